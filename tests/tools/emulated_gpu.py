"""The GPU backend on a CPU: its own host code, and its kernels compiled from their own text by g++.

A launch has few threads, and few blocks, so that their loops, barriers and sums over several of both are run.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from substrate.backends import gpu
from substrate.backends.gpu_device import Device, Operation
from substrate.backends.gpu_kernels import prelude, signatures, signatures_of, source
from tests.tools.strict_arrays import DeviceArray, StrictModule

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".numba_cache"
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g1")
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wno-unused-function", "-Wno-overflow")


def compiler() -> str | None:
    """The C++ compiler of this machine, or none."""
    return shutil.which("g++")


def program_text(text: str = "") -> str:
    """The kernels, and for each a function that takes its arguments one by one from where they lie."""
    lines = ['#include "cuda_on_cpu.h"', text or source()]
    for name, types in signatures_of(text).items() if text else signatures().items():
        call = ", ".join(f"*({kind}*)arguments[{i}]" for i, kind in enumerate(types))
        lines.append(f"static void call_{name}(void** arguments) {{ {name}({call}); }}")
        lines.append(
            f'extern "C" int run_{name}(unsigned grid, unsigned block, void** arguments) '
            f"{{ return run_kernel(call_{name}, grid, block, arguments); }}"
        )
    return "\n".join(lines)


@cache
def library(real: str, parts: int, *flags: str) -> ctypes.CDLL:
    """The kernels of a variant, compiled once for a state of their text."""
    return built(program_text(), real, parts, *flags)


def built(text: str, real: str, parts: int, *flags: str) -> ctypes.CDLL:
    """A text compiled and loaded."""
    stamp = text + (HERE / "cuda_on_cpu.h").read_text() + " ".join((real, str(parts), *FLAGS, *flags))
    found = FOLDER / f"kernels-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.so"
    if not found.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            file, made = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            file.write_text(text)
            command = [str(compiler()), *FLAGS, *flags, f"-DREAL={real}", f"-DPARTS={parts}", f"-I{HERE}"]
            subprocess.run([*command, str(file), "-o", str(made)], check=True)
            os.replace(made, found)
    return ctypes.CDLL(str(found))


class EmulatedDevice(Device):
    """A device of ``most_blocks`` blocks of ``threads`` threads on this CPU, with ``memory`` bytes."""

    threads, most_blocks, memory = 8, 3, 1 << 34

    def __init__(self, dtype: Any) -> None:
        super().__init__(dtype)
        self.xp = StrictModule()
        self.library = library(self.real, self.parts, *(SANITIZED if os.environ.get("SUBSTRATE_SANITIZE") else ()))
        self.launches = 0

    def kernel(self, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        return self._runner(name, getattr(self.library, f"run_{name}"))

    def working(self) -> Any:
        return nullcontext()

    def compile(self, text: str, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        made = built(program_text(prelude() + text), self.real, self.parts, "-O1")
        return self._runner(name, getattr(made, f"run_{name}"))

    def _runner(self, name: str, function: Any) -> Callable[[int, int, tuple[Any, ...]], None]:
        def run(grid: int, block: int, arguments: tuple[Any, ...]) -> None:
            self.launches += 1
            words = [_word(value) for value in arguments]
            places = (ctypes.c_void_p * len(words))(*(word.ctypes.data for word in words))
            if function(grid, block, places):
                raise RuntimeError(f"{name}: some threads of a block wait at a barrier that others never reach")

        return run

    def pointer(self, array: Any) -> int:
        return int(array.host.ctypes.data)

    def product(
        self, a: Any, b: Any, out: Any, *, transpose_a: bool = False, transpose_b: bool = False, add: bool = False
    ) -> Operation:
        assert out.flags.c_contiguous
        assert a.dtype == b.dtype == out.dtype

        def run() -> None:
            product = np.matmul(a.host.T if transpose_a else a.host, b.host.T if transpose_b else b.host)
            assert product.shape == out.host.shape
            out.host[...] = out.host + product if add else product

        return run

    def replay(self, operations: Sequence[Operation]) -> Operation:
        kept = tuple(operations)

        def run() -> None:
            for operation in kept:
                operation()

        return run

    def free_memory(self) -> int:
        return self.memory

    def send(self, array: Any) -> Any:
        return DeviceArray(np.array(array.host))

    def to_host(self, array: Any) -> np.ndarray:
        return np.array(array.host if isinstance(array, DeviceArray) else array)


def _word(value: Any) -> np.ndarray:
    """The eight bytes of an argument."""
    return np.array([value.host.ctypes.data]) if isinstance(value, DeviceArray) else np.asarray(value).reshape(1)


class Stepper(gpu.Stepper):
    """The GPU's stepper on an emulated device."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kept, gpu.make_device = gpu.make_device, EmulatedDevice
        try:
            super().__init__(*args, **kwargs)
        finally:
            gpu.make_device = kept


def make_device(dtype: Any) -> EmulatedDevice:
    """As :func:`substrate.backends.gpu.make_device`."""
    return EmulatedDevice(dtype)
