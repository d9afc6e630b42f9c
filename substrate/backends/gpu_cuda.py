"""The device that CuPy drives: the only file that imports it, and only when a GPU is asked for."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from substrate.backends.gpu_device import Device, Launch, Operation
from substrate.backends.gpu_kernels import options, prelude, source
from substrate.errors import BackendError

THREADS = 256  # of a block
BLOCKS_PER_PROCESSOR = 8  # 2048 threads, as many as one holds
SHORTEST_GRAPH = 2  # launches worth a graph


@cache
def missing() -> str:
    """Why no GPU can be used here, as a sentence; "" where one can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed: `pip install 'wave-substrate[gpu]'` beside a driver of CUDA 12 or 13"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no CUDA device ({error}); `nvidia-smi` shows what the driver sees"
    if not count:
        return "CuPy is installed, but there is no CUDA device"
    try:
        from cupy import cublas  # noqa: F401
    except ImportError as error:
        return f"CuPy finds no cuBLAS ({error}); `pip install 'wave-substrate[gpu]'` brings it"
    return ""


def device(dtype: Any) -> "CudaDevice":
    """The current CUDA device for waves of ``dtype``; raises BackendError where there is none."""
    why = missing()
    if why:
        raise BackendError(f"The gpu backend cannot run here. {why}")
    return CudaDevice(dtype)


@cache
def _module(real: str, parts: int, number: int) -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=options(real, parts))


class Sent:
    """A copy to pinned memory on a stream of its own, so that the next block runs meanwhile."""

    def __init__(self, array: Any, after: Any, stream: Any) -> None:
        import cupy

        self.array = cupy.ascontiguousarray(array)
        self.shape, self.dtype, self.size, self.ndim = array.shape, array.dtype, array.size, array.ndim
        self.pinned = cupy.cuda.alloc_pinned_memory(max(1, self.array.nbytes))
        stream.wait_event(after.record())
        self.array.data.copy_to_host_async(self.pinned.ptr, self.array.nbytes, stream)
        self.done = stream.record()
        self.host: np.ndarray | None = None

    def wait(self) -> np.ndarray:
        """The copy, in ordinary memory, when it is there; the pinned memory is free again."""
        if self.host is None:
            self.done.synchronize()
            view = np.frombuffer(self.pinned, self.dtype, self.size)
            self.host = view.reshape(self.shape).copy()
            self.pinned = self.array = None
        return self.host


class CudaDevice(Device):
    """A CUDA device. Float32 products use TF32 only where SUBSTRATE_TF32=1."""

    def __init__(self, dtype: Any) -> None:
        import cupy

        super().__init__(dtype)
        self.xp, self.threads = cupy, THREADS
        self.number = cupy.cuda.Device().id
        self.most_blocks = BLOCKS_PER_PROCESSOR * cupy.cuda.Device().attributes["MultiProcessorCount"]
        self.copies = cupy.cuda.Stream(non_blocking=True)
        # Waits for, and is waited for by, the default stream, on which devices and users work: nothing is out of order.
        self.stream = cupy.cuda.Stream(non_blocking=False)
        self.tensor = os.environ.get("SUBSTRATE_TF32") == "1" and self.real == "float"
        self.last: Sent | None = None

    def kernel(self, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        """See :class:`Device`."""
        return self._runner(_module(self.real, self.parts, self.number).get_function(name))

    def compile(self, text: str, name: str) -> Callable[[int, int, tuple[Any, ...]], None]:
        """See :class:`Device`."""
        code = prelude() + text
        return self._runner(self.xp.RawModule(code=code, options=options(self.real, self.parts)).get_function(name))

    def _runner(self, function: Any) -> Callable[[int, int, tuple[Any, ...]], None]:
        return lambda grid, block, arguments: function((grid,), (block,), arguments)

    def working(self) -> Any:
        """See :class:`Device`."""
        return self.stream

    def pointer(self, array: Any) -> int:
        """See :class:`Device`."""
        return int(array.data.ptr)

    def product(
        self, a: Any, b: Any, out: Any, *, transpose_a: bool = False, transpose_b: bool = False, add: bool = False
    ) -> Operation:
        """See :class:`Device`."""
        from cupy import cublas
        from cupy.cuda import device as handles
        from cupy_backends.cuda.libs import cublas as library

        ways, beta = ("T" if transpose_a else "N", "T" if transpose_b else "N"), 1.0 if add else 0.0

        def run() -> None:
            if not self.tensor:
                cublas.gemm(*ways, a, b, out=out, alpha=1.0, beta=beta)
                return
            handle = handles.get_cublas_handle()
            before = library.getMathMode(handle)
            library.setMathMode(handle, library.CUBLAS_TF32_TENSOR_OP_MATH)
            cublas.gemm(*ways, a, b, out=out, alpha=1.0, beta=beta)
            library.setMathMode(handle, before)

        return run

    def replay(self, operations: Sequence[Operation]) -> Operation:
        """See :class:`Device`: launches between products become CUDA graphs; CuPy captures no product."""
        pieces: list[Operation] = []
        launches: list[Operation] = []
        for operation in [*operations, None]:
            if isinstance(operation, Launch):
                launches.append(operation)
                continue
            if len(launches) >= SHORTEST_GRAPH:
                pieces.append(self._graph(launches))
            else:
                pieces += launches
            launches = []
            if operation is not None:
                pieces.append(operation)

        def run() -> None:
            for piece in pieces:
                piece()

        return run

    def _graph(self, launches: Sequence[Operation]) -> Operation:
        """One graph of several launches; kernels are loaded before, for a capture may not load code."""
        with self.stream:
            self.stream.begin_capture()
            for operation in launches:
                operation()
            graph = self.stream.end_capture()
        return lambda: graph.launch(self.stream)

    def free_memory(self) -> int:
        """See :class:`Device`: of the device, and of CuPy's pool."""
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return int(free + self.xp.get_default_memory_pool().free_bytes())

    def send(self, array: Any) -> Sent:
        """See :class:`Device`; what was sent before has arrived by now, and leaves its pinned memory."""
        sent = Sent(array, self.stream, self.copies)
        if self.last is not None:
            self.last.wait()
        self.last = sent
        return sent

    def to_host(self, array: Any) -> np.ndarray:
        """See :class:`Device`."""
        if isinstance(array, Sent):
            return array.wait()
        if isinstance(array, np.ndarray):
            return array.copy()
        self.stream.synchronize()
        return np.asarray(array.get())
