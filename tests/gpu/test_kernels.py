"""What the kernels compute, run on the CPU from their own text, against the cpu backend and the noise arbiter."""

import numpy as np
import pytest

from substrate import DataSource, Line, Load, Network, Probe, Simulation, compile_network
from substrate.backends import gpu_layout
from substrate.errors import BackendError
from substrate.learning.layered import layered
from substrate.noise import normals
from tests.core.random_circuits import DT, random_circuit
from tests.core.test_circuits import KINDS, built, fill
from tests.tools.emulated_gpu import EmulatedDevice, compiler

pytestmark = pytest.mark.skipif(not compiler(), reason="no g++ to compile the kernels with")
CLOSE = {"d": 1e-13, "f": 1e-6, "D": 1e-13, "F": 1e-6}  # of the largest number, after a block
SINGLE = {"float64": "float32", "complex128": "complex64"}


def pair(plan, options, steps, seed=5):
    """The same random waves stepped by cpu and by the emulated GPU."""
    runs = [Simulation(plan, backend=name, seed=seed, **options) for name in ("cpu", "emulated")]
    for simulation in runs:
        fill(simulation, np.random.default_rng(1))
        simulation.run(steps)
    return runs


def assert_close(one, other, within):
    a, b = (s.stepper.to_host(s.state.arena) for s in (one, other))
    assert np.abs(a - b).max() <= within * np.abs(a).max()
    for mine, theirs in zip(one.state.memories, other.state.memories, strict=True):
        c, d = one.stepper.to_host(mine), other.stepper.to_host(theirs)
        assert np.abs(c - d).max(initial=0.0) <= within * max(np.abs(a).max(), np.abs(c).max(initial=0.0))


@pytest.mark.parametrize("alone", [True, False], ids=["own", "chunks"])
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_block_of_a_random_circuit_is_that_of_the_cpu(kind, precision, alone, monkeypatch):
    monkeypatch.setattr(gpu_layout, "OWN_ITEMS", 256 if alone else 0)
    monkeypatch.setattr(gpu_layout, "OWN_TILE", 2)  # so that a batch is cut
    monkeypatch.setattr(gpu_layout, "WIDEST_TILE", 2)
    plan, options = built(kind, 3)
    if precision == "single":
        options["dtype"] = SINGLE[options["dtype"]]
    one, other = pair(plan, options, plan.block)
    assert other.stepper.circuit.own is alone
    assert_close(one, other, 3 * CLOSE[np.dtype(options["dtype"]).char])


@pytest.mark.parametrize("kind", ["real-batch", "warm", "optical-batch"])
def test_probes_and_books_are_those_of_the_cpu(kind):
    plan, options = built(kind, 2)
    one, other = pair(plan, options, 53)
    seen, shown = one.take_probes(), other.take_probes()
    for label, rows in seen.items():
        np.testing.assert_allclose(shown[label], rows, rtol=0, atol=1e-12 * max(1.0, np.abs(rows).max()))
    books, theirs = one.take_ledger(), other.take_ledger()
    np.testing.assert_allclose(theirs.columns, books.columns, rtol=0, atol=1e-12 * np.abs(books.columns).max())
    assert theirs.residual < 1e-12


def test_one_launch_steps_a_thousand_sets_of_parameters_many_blocks():
    """A batch of circuits, each with numbers of its own, takes as many launches as one circuit."""
    rng = np.random.default_rng(0)
    plan = compile_network(random_circuit(rng, 3, batch=1000, loss=0.1), DT, reference_power=1e-9)
    simulation = Simulation(plan, backend="emulated", batch=1000, block=40 * plan.block)
    device = simulation.stepper.device
    assert simulation.stepper.circuit.own
    simulation.stepper.step(1)
    before = device.launches
    simulation.stepper.step(40 * plan.block)
    assert device.launches - before <= 4  # one that steps, the clock, and two for the books


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize(("seed", "batch", "offset"), [(7, 10, 0), (2**63 + 5, 3, 6), ((3, 1 << 40, 5, 9), 4, 0)])
def test_noise_has_the_bits_of_every_backend(real, seed, batch, offset):
    device, step = EmulatedDevice(np.dtype(real)), (1 << 40) + 3
    own = device.put(np.array(seed, np.uint64)) if isinstance(seed, tuple) else None
    from substrate.noise import normal_table

    table = device.put(normal_table())
    noise = device.pack("Noise", seed=0 if own is not None else seed, seeds=own, offset=offset, table=table)
    out = device.xp.empty((5, batch), dtype=real)
    device.launch("fill_normals", out.size, noise, 11, step, 5, batch, out)()
    want = normals(seed, 11, step, 5, batch, batch_offset=offset, dtype=real)[:, 0]
    assert np.array_equal(device.to_host(out), want)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "mse", "activation": "relu"}, {"weights": "transformer", "beta": 0.2, "impedance": "matched"},
     {"weights": ["matched", "transformer", "matched"], "beta": 0.2}],
)  # fmt: skip
def test_layers_hear_what_they_hear_on_the_cpu(options, dtype):
    plan = compile_network(layered([6, 5, 4, 3], line=Line(delay=10e-12), seed=1, **options), dt=10e-12)
    rng, heard = np.random.default_rng(0), []
    x, y = rng.normal(size=(7, 6)), np.eye(3)[rng.integers(0, 3, 7)]
    for name in ("cpu", "emulated"):
        simulation = Simulation(plan, batch=7, backend=name, dtype=dtype)
        simulation.hold({"input": x, "load": y})
        simulation.run(40)
        simulation.listen(2)
        heard.append({key: simulation.stepper.to_host(value) for key, value in simulation.state.drive.items()})
    for key, drive in heard[0].items():
        within = 30 * CLOSE[np.dtype(dtype).char] * np.abs(drive).max()  # after forty steps of round trips
        np.testing.assert_allclose(heard[1][key], drive, rtol=0, atol=within)


def test_a_barrier_that_some_threads_miss_is_told(tmp_path):
    """A negative control of the harness: on a device such a kernel would hang."""
    import ctypes
    import subprocess

    from tests.tools.emulated_gpu import FLAGS, HERE

    text = """#include "cuda_on_cpu.h"
    static void bad(void**) { if (threadIdx.x == 1) __syncthreads(); }
    static void good(void**) { __syncthreads(); }
    extern "C" int run_bad() { return run_kernel(bad, 2, 4, nullptr); }
    extern "C" int run_good() { return run_kernel(good, 2, 4, nullptr); }
    """
    (tmp_path / "k.cpp").write_text(text)
    command = [str(compiler()), *FLAGS, f"-I{HERE}", str(tmp_path / "k.cpp"), "-o", str(tmp_path / "k.so")]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(tmp_path / "k.so"))
    assert library.run_good() == 0
    assert library.run_bad() == 1


def test_arguments_are_checked_against_the_text_of_the_kernel():
    device = EmulatedDevice(np.dtype("float32"))
    xp = device.xp
    with pytest.raises(BackendError, match="square_sums takes 3 arguments, but 1 were given"):
        device.launch("square_sums", 1, xp.zeros(3, dtype=np.float32))
    with pytest.raises(BackendError, match="square_sums, argument 0 is contiguous float32, but is float64"):
        device.launch("square_sums", 1, xp.zeros(3), 3, xp.zeros(1))
    with pytest.raises(BackendError, match="not contiguous"):
        device.launch("square_sums", 1, xp.zeros((3, 3), dtype=np.float32)[:, 0], 3, xp.zeros(1))
    with pytest.raises(BackendError, match="is one number of type i64, but an array"):
        device.launch("square_sums", 1, xp.zeros(3, dtype=np.float32), xp.zeros(3), xp.zeros(1))
    with pytest.raises(BackendError, match="Structure Noise was given other fields than it has: offset, table"):
        device.pack("Noise", seed=1, seeds=None)


def test_too_large_a_network_is_refused_before_it_is_allocated(monkeypatch):
    monkeypatch.setattr(EmulatedDevice, "memory", 1 << 16)
    net = Network()
    net.connect(net.add(DataSource(100), "x"), net.add(Load(100, "mse"), "load"), Line(delay=2e-12))
    with pytest.raises(BackendError, match=r"The lines, for a batch of 64, need 2.048e\+05 bytes .* 0.0655 MB|free"):
        Simulation(compile_network(net, dt=1e-12), backend="emulated", batch=64)


def test_probes_are_on_the_host_when_they_are_taken():
    net = Network()
    net.connect(net.add(DataSource(2), "x"), net.add(Load(2, "mse"), "load"), Line(delay=3e-12))
    plan = compile_network(net, dt=1e-12, probes=[Probe("load.in", "arriving")])
    taken = []
    for name in ("cpu", "emulated"):
        simulation = Simulation(plan, backend=name, batch=3)
        simulation.hold({"x": np.arange(6.0).reshape(3, 2), "load": np.zeros((3, 2))})
        simulation.run(20)
        taken.append(simulation.take_probes()["load.in.arriving"])
    assert isinstance(taken[1], np.ndarray)
    np.testing.assert_array_equal(taken[0], taken[1])
