"""Every kernel is compiled for real devices by NVRTC, which needs none; and CuPy has what the host code asks of it."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from substrate.backends import gpu_cuda, make_stepper
from substrate.backends.gpu_kernels import KERNEL, VARIANTS, options, signatures, source, structures
from substrate.errors import BackendError
from tests.core.random_circuits import DT

ARCHITECTURES = ("sm_80", "sm_90")


def compiled(text, real, parts, architecture):
    """The machine code of a text, and what the compiler said."""
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(text, "kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*options(real, parts), f"--gpu-architecture={architecture}"))
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError as error:
        return b"", f"{error}: {nvrtc.getProgramLog(program)}"


def test_every_kernel_compiles_in_every_dtype_for_every_device():
    jobs = [(source(), real, parts, arch) for real, parts in VARIANTS for arch in ARCHITECTURES]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda job: compiled(*job), jobs))
    for job, (code, said) in zip(jobs, found, strict=True):
        assert not said.strip("\0 \n"), (job[1:], said)  # not a warning either
        for name in signatures():
            assert name.encode() in code, (name, job[1:])


def test_a_spelling_error_does_not_compile():
    code, said = compiled("__global__ void k(float* x) { x[0] = thread.x; }", "float", 1, "sm_90")
    assert not code
    assert "thread" in said


def test_every_kernel_and_structure_is_known_to_the_host():
    assert len(signatures()) == source().count("__global__ void") == len(KERNEL.findall(source()))
    assert {"Noise", "End", "Circuit", "Group", "Nonlinear"} <= set(structures())
    assert all(kind.rstrip("*") in source() for kinds in signatures().values() for kind in kinds)


@pytest.mark.skipif(not gpu_cuda.missing(), reason="there is a GPU here")
def test_a_missing_gpu_is_told_in_a_sentence():
    from substrate import Line, Network, Simulation, compile_network
    from substrate.nodes import Resistor

    net = Network()
    net.connect(net.add(Resistor(50.0), "a"), net.add(Resistor(50.0), "b"), Line(delay=DT))
    with pytest.raises(BackendError, match=r"The gpu backend cannot run here. CuPy .*") as told:
        Simulation(compile_network(net, DT), backend="gpu")
    assert str(told.value).count("\n") == 0
    with pytest.raises(BackendError, match="the backends are reference, cpu, gpu"):
        make_stepper("cuda", compile_network(net, DT), batch=1, dtype=np.dtype(float), seed=0)


def test_cupy_has_what_the_host_code_calls():
    import cupy

    # Its cuBLAS wrapper loads the library on import, which only the [gpu] extra brings; its text says enough.
    text = Path(cupy.__file__).with_name("cublas.py").read_text(encoding="utf-8")
    gemm = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "gemm")
    assert [argument.arg for argument in gemm.args.args] == ["transa", "transb", "a", "b", "out", "alpha", "beta"]
    for name in ("begin_capture", "end_capture", "wait_event", "record", "synchronize"):
        assert hasattr(cupy.cuda.Stream, name)
    assert hasattr(cupy.cuda.Graph, "launch")
    assert hasattr(cupy.cuda.MemoryPointer, "copy_to_host_async")
    assert callable(cupy.cuda.alloc_pinned_memory)
    assert callable(cupy.cuda.runtime.memGetInfo)
    module = cupy.RawModule(code=source(), options=options("float", 1))  # compiled when a kernel is asked for
    assert module.get_function


def test_importing_the_package_imports_no_gpu_code():
    code = "import substrate, substrate.backends, sys; assert not [m for m in sys.modules if m.startswith('cupy')]"
    subprocess.run([sys.executable, "-c", code], check=True)
