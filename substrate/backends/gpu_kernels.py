"""The text of the CUDA kernels, and what it says about their arguments and structures: nothing of it is said twice."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FILES = ("common.cuh", "bundles.cu", "circuit.cu", "elements.cu", "coupled.cu", "nonlinear.cu", "reciprocal.cu")
VARIANTS = tuple((real, parts) for real in ("float", "double") for parts in (1, 2))  # of the text, compiled each
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
STRUCTURE = re.compile(r"struct (\w+) \{(.*?)\n\};", re.DOTALL)


@cache
def source() -> str:
    """All kernels as one text, in an order in which everything is known before it is used."""
    folder = Path(__file__).with_name("kernels")
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in FILES)


def prelude() -> str:
    """What a kernel written later needs: types, and how threads share items."""
    return Path(__file__).with_name("kernels").joinpath(FILES[0]).read_text(encoding="utf-8")


def options(real: str, parts: int) -> tuple[str, ...]:
    """What the compiler is told. A multiply and an add stay two roundings, which the bits of the noise rest on.

    >>> options("float", 2)
    ('-std=c++17', '--fmad=false', '-DREAL=float', '-DPARTS=2')
    """
    return ("-std=c++17", "--fmad=false", f"-DREAL={real}", f"-DPARTS={parts}")


def variant(dtype: Any) -> tuple[str, int]:
    """The variant that steps waves of a dtype.

    >>> variant(np.dtype("complex64"))
    ('float', 2)
    """
    kind = np.dtype(dtype)
    return ("float" if kind.char in "fF" else "double"), (2 if kind.kind == "c" else 1)


@cache
def signatures() -> dict[str, tuple[str, ...]]:
    """The types of the arguments of every kernel, without ``const``.

    >>> signatures()["advance_clock"]
    ('i64*', 'i64')
    """
    return signatures_of(source())


def signatures_of(text: str) -> dict[str, tuple[str, ...]]:
    """The same of any text."""
    found = {}
    for name, arguments in KERNEL.findall(text):
        types = [re.sub(r"\s*\w+$", "", text.strip()).removeprefix("const ") for text in arguments.split(",")]
        found[name] = tuple(kind.replace(" ", "") for kind in types)
    return found


@cache
def structures() -> dict[str, tuple[tuple[str, str], ...]]:
    """The fields of every structure that Python fills: type and name, eight bytes each.

    >>> structures()["Noise"]
    (('u64', 'seed'), ('u64*', 'seeds'), ('i64', 'offset'), ('double*', 'table'))
    """
    found = {}
    for name, body in STRUCTURE.findall(source()):
        fields: list[tuple[str, str]] = []
        for line in re.sub(r"//.*", "", body).split(";"):
            words = re.match(r"\s*(?:const )?(\w+)(\*?) ([\w, ]+)$", line.strip())
            if words:
                fields += [(words[1] + words[2], field.strip()) for field in words[3].split(",")]
        found[name] = tuple(fields)
    return found


def dtype_of(kind: str, real: str) -> np.dtype[Any]:
    """The NumPy dtype of what a pointer type points to; structures are bytes.

    >>> dtype_of("real*", "float"), dtype_of("Noise*", "float")
    (dtype('float32'), dtype('uint8'))
    """
    plain = {"i64": "i8", "u64": "u8", "double": "f8", "real": "f4" if real == "float" else "f8"}
    return np.dtype(plain.get(kind.removesuffix("*"), "u1"))
