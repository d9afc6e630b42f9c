"""The engine's contract: one answer on every backend, for any block length, batch split, probes and restart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from substrate import Line, Network, Probe, Simulation, Termination, compile_network

from .chains import DT, chain_of, samples

WARM = {"loss_db": 0.7, "temperature": 300.0, "tap": 0.05, "source_temperature": 100.0, "load_temperature": 200.0}
PROBES = [Probe("load.in"), Probe("load.in", "departing", "mean_square"), Probe("w1.right", "arriving", "mean")]


def outcome(plan, x, y, *, backend="cpu", block=None, batch_offset=0, dtype="float64"):
    """Everything a run of 37 steps leaves behind."""
    simulation = Simulation(
        plan, batch=len(x), backend=backend, block=block, seed=5, batch_offset=batch_offset, dtype=dtype
    )
    simulation.hold({"input": x, "load": y})
    simulation.run(11)
    simulation.listen(17)
    simulation.run(9)
    host = simulation.stepper.to_host
    drive = {name: host(value) for name, value in simulation.state.drive.items()}
    return [host(c) for c in simulation.state.cells], drive, simulation.take_probes(), simulation.take_ledger()


def assert_same(a, b, tolerance=1e-12):
    for one, two in zip(a[0], b[0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=tolerance)
    for part in (1, 2):
        assert a[part].keys() == b[part].keys()
        for name in a[part]:
            np.testing.assert_allclose(a[part][name], b[part][name], rtol=0, atol=tolerance)
    np.testing.assert_allclose(a[3].columns, b[3].columns, rtol=1e-9, atol=1e-12 * np.abs(a[3].columns).max())


@pytest.mark.parametrize("delays", [[1, 1, 1], [4, 4, 4], [3, 5, 7]])
@pytest.mark.parametrize("options", [{}, WARM], ids=["cold", "warm"])
def test_every_backend_gives_the_reference_answer(backend, delays, options):
    network = chain_of([5, 4, 3, 2], delays, **options)
    plan = compile_network(network, dt=DT, reference_power=1e-9, probes=PROBES)
    x, y = samples(network, 3)
    assert_same(outcome(plan, x, y, backend=backend), outcome(plan, x, y, backend="reference"))


@given(st.integers(1, 6), st.lists(st.integers(3, 9), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None)
def test_block_length_does_not_matter(block, delays):
    network = chain_of([5, 4, 3, 2], delays, **WARM)
    plan = compile_network(network, dt=DT, reference_power=1e-9, probes=PROBES)
    x, y = samples(network, 3)
    assert_same(outcome(plan, x, y, block=block), outcome(plan, x, y))


@pytest.mark.parametrize("split", [1, 3, 4])
def test_batch_split_does_not_matter(backend, split):
    network = chain_of([5, 4, 2], [2, 3], **WARM)
    plan = compile_network(network, dt=DT, reference_power=1e-9)
    x, y = samples(network, 6)
    whole = outcome(plan, x, y, backend=backend)
    parts = [
        outcome(plan, x[:split], y[:split], backend=backend),
        outcome(plan, x[split:], y[split:], backend=backend, batch_offset=split),
    ]
    for index, cells in enumerate(whole[0]):
        np.testing.assert_allclose(cells, np.concatenate([p[0][index] for p in parts], axis=-1), rtol=0, atol=1e-12)
    for name, drive in whole[1].items():
        mean = (split * parts[0][1][name] + (6 - split) * parts[1][1][name]) / 6
        np.testing.assert_allclose(drive, mean, rtol=0, atol=1e-12)


def test_probes_do_not_disturb(backend):
    network = chain_of([5, 4, 2], [2, 3])
    x, y = samples(network, 3)
    inner = Probe("w1.left", "departing")  # a wave nobody needs but this probe
    bare = outcome(compile_network(network, dt=DT), x, y, backend=backend)
    probed = outcome(compile_network(network, dt=DT, probes=[*PROBES, inner]), x, y, backend=backend)
    assert_same((*bare[:2], {}, bare[3]), (*probed[:2], {}, probed[3]))
    assert probed[2][inner.label].shape == (37, 5, 3)


def test_steady_inputs_give_what_a_warm_source_at_zero_kelvin_would(backend):
    """The source's constant wave is computed once per block; a source that is (almost) cold takes the other path."""
    x, y = samples(chain_of([5, 4, 2], [4, 4]), 3)
    networks = [chain_of([5, 4, 2], [4, 4], source_temperature=kelvin) for kelvin in (0.0, 1e-20)]
    plans = [compile_network(network, dt=DT, reference_power=1e3) for network in networks]
    assert plans[0].signals[0].steady != plans[1].signals[0].steady
    assert_same(*[outcome(plan, x, y, backend=backend) for plan in plans])


def test_checkpoint_continues_bit_for_bit(backend):
    network = chain_of([5, 4, 2], [2, 3], **WARM)
    plan = compile_network(network, dt=DT)
    x, y = samples(network, 3)
    one = Simulation(plan, batch=3, seed=5, backend=backend)
    one.hold({"input": x, "load": y})
    one.run(7)
    saved = one.checkpoint()
    other = Simulation(plan, batch=3, seed=5, backend=backend)
    other.restore(saved)
    for simulation in (one, other):
        simulation.run(6)
    for name, array in one.checkpoint().items():
        np.testing.assert_array_equal(array, other.checkpoint()[name])


def test_zero_temperature_is_exactly_noiseless(backend):
    network = chain_of([3, 2], [2], loss_db=1.0)
    plan = compile_network(network, dt=DT)
    runs = []
    for seed in (1, 2):
        simulation = Simulation(plan, batch=2, seed=seed, backend=backend)
        simulation.hold({"input": np.ones((2, 3)), "load": np.eye(2)})
        simulation.run(9)
        runs.append(simulation)
    assert runs[0].take_ledger()["noise"] == 0.0
    np.testing.assert_array_equal(*[r.stepper.to_host(r.state.cells[0]) for r in runs])


def test_a_pulse_travels_and_fades(backend):
    """The field of a line shows the wave at its place: one cell per step, attenuated once."""
    network = chain_of([1, 1], [5], loss_db=20.0, loss="mse", bias=False)
    network.nodes["w1"].matrix[...] = 1.0
    simulation = Simulation(compile_network(network, dt=DT), backend=backend)
    simulation.hold({"input": [[1.0]], "load": [[0.0]]})
    simulation.run(1)
    simulation.hold({"input": [[0.0]], "load": [[0.0]]})
    for age in range(5):
        forward, backward = simulation.field("line1")
        expected = np.zeros(5)
        expected[age] = 0.1
        np.testing.assert_allclose(forward[0, :, 0], expected, atol=1e-15)
        assert not backward.any()
        simulation.run(1)
    forward, backward = simulation.field("line1")
    assert not forward.any()
    np.testing.assert_allclose(backward[0, :, 0], [0, 0, 0, 0, 0.01], atol=1e-15)


def test_lines_run_both_ways():
    """Two terminations: nothing in, nothing out; the network needs no source."""
    net = Network()
    net.connect(net.add(Termination(2), "left"), net.add(Termination(2), "right"), Line(delay=3 * DT), "w")
    simulation = Simulation(compile_network(net, dt=DT))
    simulation.run(10)
    assert simulation.take_ledger().stored == 0.0
