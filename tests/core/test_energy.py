"""The ledger closes to rounding; equilibrium emits exactly kT; wrong noise is noticed."""

import math

import numpy as np
import pytest

from substrate import Line, Network, Probe, Simulation, Termination, compile_network
from substrate.learning import layered
from substrate.noise import BOLTZMANN
from substrate.plan import LEDGER

from .chains import DT, chain_of, samples

WARM = {"loss_db": 0.7, "temperature": 300.0, "tap": 0.05, "source_temperature": 100.0, "load_temperature": 200.0}


@pytest.mark.parametrize("options", [{}, WARM], ids=["cold", "warm"])
def test_ledger_closes_at_every_block(backend, options):
    network = chain_of([6, 5, 4, 3], [3, 2, 4], **options)
    x, y = samples(network, 4)
    simulation = Simulation(compile_network(network, dt=DT, reference_power=1e-9), batch=4, backend=backend)
    simulation.hold({"input": x, "load": y})
    for _ in range(10):
        simulation.listen(2)
        ledger = simulation.take_ledger()
        assert ledger.residual < 1e-12
    used = set(LEDGER) if options else set(LEDGER) - {"noise", "dissipated_lines", "absorbed_ports"}
    assert {name for name in LEDGER if ledger[name] != 0.0} == used


def test_a_wrong_column_is_noticed():
    """Negative control: a line that loses 0.1 % more than its gain says does not close."""
    network = chain_of([6, 5, 3], [3, 2], loss_db=0.5)
    x, y = samples(network, 4)
    simulation = Simulation(compile_network(network, dt=DT), batch=4)
    simulation.hold({"input": x, "load": y})
    simulation.run(4)
    simulation.state.cells[0] *= 0.999
    simulation.run(2)
    assert simulation.take_ledger().residual > 1e-6


def test_power_of_a_steady_wave_in_watts():
    """One unit wave into an absorbing load: injected = radiated = reference power x time, once the line is full."""
    network = chain_of([1, 1], [4], loss="mse", bias=False)
    network.nodes["w1"].matrix[...] = 1.0
    simulation = Simulation(compile_network(network, dt=DT, reference_power=2e-3))
    simulation.hold({"input": [[1.0]], "load": [[1.0]]})
    simulation.run(8)
    simulation.take_ledger()
    simulation.run(100)
    ledger = simulation.take_ledger()
    assert ledger["injected"] == pytest.approx(2e-3 * 100 * DT, rel=1e-12)
    assert ledger["radiated"] == pytest.approx(ledger["injected"], rel=1e-12)
    assert ledger.stored == pytest.approx(2e-3 * 4 * DT, rel=1e-12)


def test_gain_of_an_active_mesh_is_booked():
    """A mesh with ||W|| = 3 needs 9 - 1 = 8 times the power that enters it."""
    network = chain_of([1, 1, 1], [2, 2], loss="mse", bias=False, activation="identity")
    network.nodes["w1"].matrix[...] = 1.0
    network.nodes["w2"].matrix[...] = 3.0
    simulation = Simulation(compile_network(network, dt=DT, reference_power=1.0))
    simulation.hold({"input": [[1.0]], "load": [[3.0]]})
    simulation.run(8)
    simulation.take_ledger()
    simulation.run(10)
    assert simulation.take_ledger()["gain"] == pytest.approx(8.0 * 10 * DT, rel=1e-12)


def emitted_variance(temperature, line_temperature, loss_db, *, factor=1.0, steps=4000, channels=64):
    """Variance of the waves reaching both ends of a lossy line between matched terminations, over kT/(2 dt)."""
    net = Network()
    left, right = (net.add(Termination(channels, temperature), name) for name in ("left", "right"))
    net.connect(left, right, Line(delay=5 * DT, loss_db=loss_db, temperature=line_temperature), "w")
    probes = [Probe("left.in"), Probe("right.in")]
    simulation = Simulation(compile_network(net, dt=DT, reference_power=1e-9, probes=probes), seed=3)
    simulation.run(10)
    simulation.take_probes()
    simulation.run(steps)
    waves = np.stack(list(simulation.take_probes().values())) * factor
    return np.mean(waves**2) * 1e-9 / (BOLTZMANN * 300.0 / (2.0 * DT)), waves.size


def z_score(ratio, count, expected=1.0):
    """How many standard deviations a mean square of ``count`` normals is away from what it should be."""
    return (ratio / expected - 1.0) / math.sqrt(2.0 / count)


@pytest.mark.parametrize("loss_db", [0.0, 0.5, 3.0, 30.0])
def test_equilibrium_emits_kT(loss_db):
    assert abs(z_score(*emitted_variance(300.0, 300.0, loss_db))) < 4.0


def test_too_much_noise_fails_the_equilibrium_test():
    assert abs(z_score(*emitted_variance(300.0, 300.0, 3.0, factor=1.1))) > 20.0


def test_matched_3_dB_line_with_cold_ends():
    """V32: the line alone emits kT (1 - 10^-0.3) = 0.49881 kT."""
    ratio, count = emitted_variance(0.0, 300.0, 3.0)
    assert abs(z_score(ratio, count, 0.4988127663727278)) < 4.0


def test_noise_power_does_not_depend_on_dt():
    """Halving dt doubles the variance per sample: the power spectral density is the same."""
    variances = []
    for steps in (4, 8):
        net = Network()
        net.connect(net.add(Termination(64, 300.0), "a"), net.add(Termination(64, 300.0), "b"), Line(delay=4 * DT), "w")
        probes = [Probe("a.in")]
        plan = compile_network(net, dt=4 * DT / steps, reference_power=1e-9, probes=probes)
        simulation = Simulation(plan, seed=3)
        simulation.run(8)
        simulation.take_probes()
        simulation.run(4000)
        variances.append(np.mean(simulation.take_probes()["a.in.arriving"] ** 2))
    assert variances[1] / variances[0] == pytest.approx(2.0, rel=4 * math.sqrt(4.0 / (64 * 4000)))


def test_cold_line_between_warm_ends_cools_them():
    """Heat flows from warm to cold: a cold 3 dB line takes what it does not return."""
    net = Network()
    net.connect(
        net.add(Termination(64, 300.0), "a"), net.add(Termination(64, 300.0), "b"), Line(delay=4 * DT, loss_db=3.0), "w"
    )
    simulation = Simulation(compile_network(net, dt=DT), seed=3)
    simulation.run(10)
    simulation.take_ledger()
    simulation.run(4000)
    ledger = simulation.take_ledger()
    energy = 2 * 64 * 4000 * BOLTZMANN * 300.0 / 2.0  # kT/2 per wave sample, 64 channels, both ends
    assert ledger["noise"] == pytest.approx(energy, rel=0.02)
    assert ledger["dissipated_lines"] == pytest.approx(energy * (1 - 10**-0.3), rel=0.02)


def test_books_of_huge_flows_that_cancel_close_to_rounding() -> None:
    """What a mesh of weights 1e7 adds to the error, the activation takes: their sum says nothing."""
    net = layered([16, 8, 4], line=Line(delay=DT), loss="mse")
    simulation = Simulation(compile_network(net, DT), batch=8)
    random = np.random.default_rng(0)
    simulation.hold({name: random.random(held.shape[::-1]) for name, held in simulation.state.inputs.items()})
    simulation.state.parameters["w1.matrix"] *= 1e3
    simulation.state.parameters["w2.matrix"] *= 1e7
    simulation.state.version += 1
    simulation.run(20)
    simulation.take_ledger()
    simulation.run(20)
    ledger = simulation.take_ledger()
    assert ledger["gain"] > 1e4 * ledger.stored
    assert ledger.residual < 1e-15
