"""What the GPU backend asks of a device: arrays, checked launches of kernels, matrix products, and copies on the way.

:class:`Device` knows the kernels' arguments and no GPU, so that the tests run it, and everything above it, on a CPU;
``gpu_cuda`` is the device that CuPy drives.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from substrate.backends.gpu_kernels import dtype_of, signatures, structures, variant
from substrate.errors import BackendError

Operation = Callable[[], None]  # something the device is told to do: a launch, or a product
LEAST_ITEMS = 8  # per thread of a launch over many items, so that a sum per block of threads costs nothing
SPARE = 0.95  # of the free memory is taken at most


class Launch:
    """A kernel with its arguments, ready to be launched again and again."""

    def __init__(self, run: Callable[[int, int, tuple[Any, ...]], None], grid: int, block: int, arguments: Any) -> None:
        self.run, self.grid, self.block, self.arguments = run, grid, block, tuple(arguments)

    def __call__(self) -> None:
        """Launch it."""
        self.run(self.grid, self.block, self.arguments)


class Device(ABC):
    """A device for waves of one dtype. Kernels are checked against their own text before they are ever launched."""

    xp: Any  # the array module
    threads: int  # of a block, a power of two
    most_blocks: int  # of a launch; more than fill the device

    def __init__(self, dtype: Any) -> None:
        self.real, self.parts = variant(dtype)

    @abstractmethod
    def kernel(self, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        """The compiled kernel, called with blocks, threads of a block, and arguments."""

    @abstractmethod
    def working(self) -> Any:
        """A context in which launches, products and array operations follow each other in one stream."""

    @abstractmethod
    def compile(self, text: str, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        """The kernel ``name`` of a text that follows the prelude, called as :meth:`kernel`."""

    @abstractmethod
    def pointer(self, array: Any) -> int:
        """Where an array begins in the device's memory."""

    @abstractmethod
    def product(
        self, a: Any, b: Any, out: Any, *, transpose_a: bool = False, transpose_b: bool = False, add: bool = False
    ) -> Operation:
        """``out = a b`` of contiguous matrices, or ``out += a b``."""

    @abstractmethod
    def replay(self, operations: Sequence[Operation]) -> Operation:
        """All of them as one, with as little work on the host as can be; their arguments stay what they are."""

    @abstractmethod
    def free_memory(self) -> int:
        """Bytes that can still be had."""

    @abstractmethod
    def send(self, array: Any) -> Any:
        """A copy on its way to the host: :meth:`to_host` waits for it."""

    @abstractmethod
    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy copy of an array, or of what was sent."""

    def put(self, values: Any, dtype: Any = None) -> Any:
        """A contiguous array on the device."""
        return self.xp.asarray(np.ascontiguousarray(values, dtype))

    def blocks(self, items: int) -> int:
        """How many blocks of threads a launch over ``items`` gets."""
        return int(max(1, min(self.most_blocks, -(-items // (self.threads * LEAST_ITEMS)))))

    def launch(self, name: str, items: int, *arguments: Any, blocks: int = 0) -> Launch:
        """A launch of kernel ``name`` over ``items``; raises BackendError for arguments that do not fit its text."""
        types = signatures()[name]
        if len(types) != len(arguments):
            raise BackendError(f"Kernel {name} takes {len(types)} arguments, but {len(arguments)} were given")
        checked = [
            self._argument(f"{name}, argument {i}", kind, value)
            for i, (kind, value) in enumerate(zip(types, arguments, strict=True))
        ]
        return Launch(self.kernel(name), blocks or self.blocks(items), self.threads, checked)

    def pack(self, name: str, **fields: Any) -> Any:
        """A structure of the kernels in the device's memory, filled by name; its arrays must be kept by the caller."""
        places = structures()[name]
        if {field for _, field in places} != set(fields):
            wrong = {field for _, field in places} ^ set(fields)
            raise BackendError(f"Structure {name} was given other fields than it has: {', '.join(sorted(wrong))}")
        words = np.zeros(len(places), np.uint64)
        for i, (kind, field) in enumerate(places):
            value = self._argument(f"{name}.{field}", kind, fields[field])
            if kind.endswith("*"):
                empty = fields[field] is None or fields[field].size == 0
                words[i] = 0 if empty else self.pointer(fields[field])
            else:
                words[i : i + 1] = np.asarray(value).reshape(1).view(np.uint64)
        return self.put(words.view(np.uint8))

    def require(self, size: float, what: str, way_out: str) -> None:
        """Refuse to need more bytes than the device has free; raises BackendError."""
        free = self.free_memory()
        if not size <= SPARE * free:
            raise BackendError(
                f"{what} need {size:.4g} bytes ({size / 1e9:.3g} GB) of the GPU's memory, "
                f"but {free / 1e9:.3g} GB are free; {way_out}"
            )

    def _argument(self, who: str, kind: str, value: Any) -> Any:
        """A value as the kernel wants it: an array of the right dtype, or a number of eight bytes."""
        if not kind.endswith("*"):
            if getattr(value, "ndim", 0) > 0:
                raise BackendError(f"{who} is one number of type {kind}, but an array was given")
            number: Any = {"i64": np.int64, "u64": np.uint64, "double": np.float64}[kind]
            return number(value)
        if value is None:
            return np.uint64(0)
        if value.dtype != dtype_of(kind, self.real) or not (value.flags.c_contiguous or value.size == 0):
            raise BackendError(
                f"{who} is contiguous {dtype_of(kind, self.real)}, but is {value.dtype}, "
                f"{'' if value.flags.c_contiguous else 'not '}contiguous"
            )
        return value
