"""Runaway: caught long before overflow, with time, node, ledger column and advice, and without losing records."""

import numpy as np
import pytest

from substrate import Line, Network, Probe, Simulation, compile_network, simulate
from substrate.circuit_run import run_circuit
from substrate.errors import DivergenceError
from substrate.learning.layered import layered
from substrate.netfile import Circuit, SimulationSettings
from substrate.nodes import Resistor, VoltageSource
from substrate.nodes.photonic import Amplifier, Coupler, LaserSource
from substrate.record import RunReader
from substrate.runaway import LAYERED_MARGIN
from substrate.waveforms import Step
from tests.core.chains import DT, chain_of, samples


def nudged(beta, lowpass=3.0, activation="identity", target=1.0, seed=0, sizes=(6, 5, 4)):
    """A transformer network held at a random input, its load pulling towards ``target``."""
    line = Line(DT, lowpass=lowpass * DT)
    net = layered(
        list(sizes), line=line, weights="transformer", activation=activation, loss="mse", beta=beta, seed=seed
    )
    simulation = Simulation(compile_network(net, DT), batch=2)
    x, _ = samples(net, 2, seed)
    simulation.hold({"input": x, "load": np.full((2, sizes[-1]), target)})
    return simulation


def test_a_load_that_feeds_energy_in_is_named():
    simulation = nudged(beta=-3.0)
    with pytest.raises(DivergenceError) as caught:
        simulation.run(5000)
    message = str(caught.value)
    assert message.startswith(f"The waves grew beyond all bounds at t = {simulation.time:.6g} s, with ")
    assert "'gain', at load (" in message and "bring beta closer to 0" in message
    stored = simulation.stepper.stored_energy()
    assert stored < 1e12  # long before overflow
    assert stored > LAYERED_MARGIN * np.sum(simulation.state.inputs["input"] ** 2)
    simulation.take_ledger()  # the books are still open
    assert np.all(np.isfinite(simulation.field("line1")[0]))


def test_an_undamped_curved_network_pumps_itself():
    """The current through a curved activation is a conductance of either sign."""
    simulation = nudged(beta=1.0, lowpass=0.0, activation="tanh", target=30.0, sizes=(2, 2, 1))
    with pytest.raises(DivergenceError, match=r"'gain', at (phi1|load) .*lower the load's beta|'gain', at load"):
        simulation.run(60_000)
    assert simulation.take_ledger().residual < 1e-10


@pytest.mark.parametrize("beta", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("lowpass", [0.0, 3.0])
def test_passive_networks_are_left_alone(beta, lowpass):
    """Linear and passive: lossless ones ring for ever, and that is no runaway."""
    nudged(beta, lowpass, target=3.0).run(3000)


def test_large_weights_are_no_runaway():
    """A deep matched network that amplifies 1e12 times in power is what the user asked for."""
    network = chain_of([2, 2, 2, 2], [1, 1, 1], activation="identity", loss="mse", bias=False)
    for name in ("w1", "w2", "w3"):
        network.nodes[name].matrix[...] = 100.0 * np.eye(2)
    simulation = Simulation(compile_network(network, DT), batch=1)
    simulation.hold({"input": [[1.0, 2.0]], "load": [[0.0, 0.0]]})
    simulation.run(50)
    assert simulation.stepper.stored_energy() > 1e20


def amplifying_ring(gain_db):
    """A ring with an amplifier in it, fed through a coupler."""
    net = Network()
    for name, node in (
        ("laser", LaserSource(Step(1e-3))),
        ("coupler", Coupler(0.1)),
        ("amplifier", Amplifier(gain_db)),
        ("sink", Resistor(50.0)),
    ):
        net.add(node, name)
    ports = [port.name for port in net.nodes["coupler"].ports]
    line = Line(4e-12)
    net.connect("laser", f"coupler.{ports[0]}", line, "feed")
    net.connect(f"coupler.{ports[2]}", "sink", line, "out")
    net.connect(f"coupler.{ports[3]}", "amplifier", line, "ring1")
    net.connect("amplifier", f"coupler.{ports[1]}", line, "ring2")
    return net


def test_circuits_above_threshold_run_away_and_keep_their_traces():
    quiet = simulate(amplifying_ring(0.3), 4e-9, 1e-12, probes=["sink.power"], dtype="complex128")
    assert np.isfinite(quiet["sink.power"]).all()
    with pytest.raises(DivergenceError, match=r"'gain'|'injected'") as caught:
        simulate(amplifying_ring(6.0), 400e-9, 1e-12, probes=["sink.power"], dtype="complex128")
    traces = caught.value.traces
    seen = traces["sink.power"]
    assert 100 < len(seen) == len(traces.time) < 400_000
    assert np.isfinite(seen).all() and seen[-1] > 1e3 * seen[60] > 0.0
    assert traces.ledger["gain"] > 0.0


def test_the_run_file_keeps_what_led_to_it(tmp_path):
    settings = SimulationSettings(400e-9, 1e-12, probes=(Probe("sink", "power"),), dtype="complex128")
    circuit = Circuit(network=amplifying_ring(6.0), settings=settings)
    with pytest.raises(DivergenceError):
        run_circuit(circuit, tmp_path / "run.h5", attributes={})
    with RunReader.open(tmp_path / "run.h5") as run:
        assert run.status.startswith("failed: DivergenceError")
        assert run.rows("/probes/sink.power/value") == run.rows("/probes/time") > 100


def test_ordinary_circuits_are_left_alone():
    """A resonator of high quality stores a thousand times what arrives in a step, all of it supplied by the source."""
    net = Network()
    net.add(VoltageSource(Step(1.0), resistance=50e3), "src")
    net.add(Resistor(1e7), "load")
    net.connect("src", "load", Line(5e-12), "w")
    traces = simulate(net, 50e-9, 1e-12, probes=["load.voltage"])
    assert traces["load.voltage"][-1] == pytest.approx(1e7 / (1e7 + 50e3), rel=1e-2)


def test_waves_put_in_by_hand_or_restored_are_no_runaway():
    net = Network()
    net.add(Resistor(1e6), "a")
    net.add(Resistor(1e6), "b")
    net.connect("a", "b", Line(4e-12), "w")
    plan = compile_network(net, 1e-12)
    simulation = Simulation(plan)
    simulation.state.arena[...] = 1e3
    simulation.run(500)
    again = Simulation(plan)
    again.restore(simulation.checkpoint())
    again.run(500)
    assert again.stepper.stored_energy() > 0.0
