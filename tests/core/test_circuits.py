"""Random circuits: the backends agree, the books close, energy is held, and blocks do not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from substrate import Line, Network, Probe, Simulation, compile_network, simulate
from substrate.nodes import Capacitor, ParallelJunction, Resistor, VoltageSource

from .random_circuits import DT, GivenMatrix, random_circuit, unitary

KINDS = {
    "real": {"dtype": "float64"},
    "real-batch": {"dtype": "float64", "batch": 3},
    "two-ports": {"dtype": "float64", "ports": (2, 2)},
    "big": {"dtype": "float64", "ports": (9, 16)},
    "warm": {"dtype": "float64", "batch": 2, "temperature": 300.0},
    "one-step": {"dtype": "float64", "ports": (2, 3), "delays": (1, 1), "loss": 0.0},
    "optical": {"dtype": "complex128", "optical": True},
    "optical-two": {"dtype": "complex128", "optical": True, "ports": (2, 2), "delays": (2, 2)},
    "optical-batch": {"dtype": "complex128", "optical": True, "batch": 5},
}


def built(kind, seed, junctions=8):
    """A random plan and what to run it with; its first probes look at the junctions, the last at what ends them."""
    options = dict(KINDS[kind])
    dtype, batch = options.pop("dtype"), options.get("batch", 0)
    net = random_circuit(np.random.default_rng(seed), junctions, **options)
    ports = [f"{name}.{node.ports[0].name}" for name, node in list(net.nodes.items())[:3]]
    probes = [Probe(f"{port}", quantity) for port in ports for quantity in ("arriving", "voltage")]
    probes.append(Probe("e0", "current"))
    return compile_network(net, DT, reference_power=1e-9, probes=probes), {"dtype": dtype, "batch": max(1, batch)}


def run(plan, steps, backend="cpu", **options):
    simulation = Simulation(plan, backend=backend, seed=5, **options)
    simulation.run(steps)
    return simulation


def fill(simulation, rng):
    """Put random waves into every line."""
    arrays = simulation.checkpoint()
    arrays["cells"] = rng.normal(size=arrays["cells"].shape)
    simulation.restore(arrays)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_backends_agree(kind, seed):
    plan, options = built(kind, seed)
    simulations = [run(plan, 67, backend, **options) for backend in ("reference", "cpu")]
    cells, flows, probes = zip(
        *[(s.state.arena.copy(), s.take_ledger(), s.take_probes()) for s in simulations], strict=True
    )
    scale = np.abs(cells[0]).max()
    assert scale > 0.0
    assert np.abs(cells[1] - cells[0]).max() < 1e-12 * scale
    for a, b in zip(*[s.state.memories for s in simulations], strict=True):
        np.testing.assert_allclose(b, a, rtol=0.0, atol=1e-12 * scale)
    for label, values in probes[0].items():
        np.testing.assert_allclose(probes[1][label], values, rtol=0.0, atol=1e-12 * max(1.0, np.abs(values).max()))
    np.testing.assert_allclose(
        flows[1].columns, flows[0].columns, rtol=1e-9, atol=1e-12 * np.abs(flows[0].columns).max()
    )
    assert max(f.residual for f in flows) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_agrees_to_its_rounding(kind):
    plan, options = built(kind, 11)
    double = run(plan, 40, **options).state.arena
    options["dtype"] = {"float64": "float32", "complex128": "complex64"}[options["dtype"]]
    simulation = run(plan, 40, **options)
    assert simulation.state.arena.dtype == np.float32
    tolerance = 1e-5 if kind != "warm" else 1e-3  # single precision draws its noise from a coarser table
    assert np.abs(simulation.state.arena - double).max() < tolerance * np.abs(double).max()
    assert simulation.take_ledger().residual < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_do_not_matter(kind):
    plan, options = built(kind, 3)
    whole = run(plan, 50, **options)
    pieces = Simulation(plan, seed=5, block=1, **options)
    uneven = Simulation(plan, seed=5, **options)
    pieces.run(50)
    for steps in (1, 6, 2, 13, 28):
        uneven.run(steps)
    for other in (pieces, uneven):
        scale = np.abs(whole.state.arena).max()
        np.testing.assert_allclose(other.state.arena, whole.state.arena, rtol=0.0, atol=1e-14 * scale)
    a, b = whole.take_probes(), uneven.take_probes()
    for label, values in a.items():
        np.testing.assert_allclose(b[label], values, rtol=0.0, atol=1e-13 * max(1.0, np.abs(values).max()))


@pytest.mark.parametrize("kind", ["real", "optical"])
def test_lossless_networks_hold_their_energy(kind):
    """200 random junctions, 1e5 steps: the energy put in by initial waves stays, to 1e-12."""
    rng = np.random.default_rng(7)
    net = random_circuit(rng, 200, ports=(2, 4), loss=0.0, ends=False, optical=kind == "optical", delays=(4, 9))
    simulation = Simulation(compile_network(net, DT), dtype="complex128" if kind == "optical" else "float64")
    fill(simulation, rng)
    before = simulation.stepper.stored_energy()
    simulation.run(100_000)
    assert abs(simulation.stepper.stored_energy() / before - 1.0) < 1e-12
    assert simulation.take_ledger().residual < 1e-12


def test_a_wrong_matrix_is_noticed_by_the_energy():
    """Negative control: one junction that scatters 1 % too little."""
    rng = np.random.default_rng(7)
    net = random_circuit(rng, 20, loss=0.0, ends=False, optical=True, delays=(4, 9))
    net.nodes["n3"] = GivenMatrix(0.99 * net.nodes["n3"].values)
    simulation = Simulation(compile_network(net, DT), dtype="complex128")
    fill(simulation, rng)
    before = simulation.stepper.stored_energy()
    simulation.run(10_000)
    assert simulation.stepper.stored_energy() < 0.9 * before


def test_cells_changed_behind_the_books_are_noticed():
    """Negative control of the ledger: energy that no column knows of."""
    plan, options = built("real", 2)
    simulation = run(plan, 40, **options)
    assert simulation.take_ledger().residual < 1e-12
    simulation.run(3)
    simulation.state.arena *= 0.999
    simulation.run(3)
    assert simulation.take_ledger().residual > 1e-6


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1), junctions=st.integers(1, 12), most=st.integers(2, 9), longest=st.integers(1, 12),
    optical=st.booleans(), batch=st.sampled_from([0, 2, 4]),
)  # fmt: skip
def test_passive_networks_never_gain_energy(seed, junctions, most, longest, optical, batch):
    """Whatever waves are in a network without sources, they never become more."""
    rng = np.random.default_rng(seed)
    net = random_circuit(
        rng, junctions, ports=(2, most), delays=(1, longest), ends=False, optical=optical, batch=batch if optical else 0
    )
    simulation = Simulation(compile_network(net, DT), batch=max(1, batch), dtype="complex128" if optical else "float64")
    fill(simulation, rng)
    stored = simulation.stepper.stored_energy()
    for steps in (1, 2, 5, 17, 60):
        simulation.run(steps)
        after = simulation.stepper.stored_energy()
        assert after <= stored * (1.0 + 1e-13)
        stored = after


def test_numbers_change_during_a_run(backend):
    """A switch: the load jumps from 50 to 150 ohm at 6 ns, and the wave it then reflects is the closed form."""
    net = Network()
    net.add(VoltageSource(resistance=50.0), "src")
    net.add(Resistor(50.0), "load")
    net.connect("src", "load", Line(1e-9, 50.0), "w")
    dt, change = 0.1e-9, [(6e-9, {"load.resistance": 150.0})]
    traces = simulate(net, 12e-9, dt, ["load.voltage", "src.voltage"], backend=backend, changes=change)
    at = lambda name, seconds: traces[name][round(seconds / dt) - 1]  # noqa: E731
    assert at("load.voltage", 5.9e-9) == pytest.approx(0.5, abs=1e-14)
    assert at("load.voltage", 6.1e-9) == pytest.approx(0.75, abs=1e-14)
    assert at("src.voltage", 6.9e-9) == pytest.approx(0.5, abs=1e-14)
    assert at("src.voltage", 7.3e-9) == pytest.approx(0.75, abs=1e-14)


def test_a_change_keeps_what_capacitors_hold():
    """The charge of a capacitor outlives a change elsewhere in the circuit."""
    net = Network()
    net.add(VoltageSource(resistance=50.0), "src")
    net.add(ParallelJunction(2), "tee")
    net.add(Capacitor(1e-12), "load")
    net.connect("src", "tee", Line(10e-12, 50.0))
    net.connect("tee.p2", "load")
    plain = simulate(net, 600e-12, DT, ["load.voltage"])
    same = simulate(net, 600e-12, DT, ["load.voltage"], changes=[(77 * DT, {"src.resistance": 50.0})])
    np.testing.assert_array_equal(same["load.voltage"], plain["load.voltage"])


def test_long_chain_is_one_piece_and_right():
    """Equal two-ports in a row are stepped as one run, and side by side when each differs: same waves either way."""
    rng = np.random.default_rng(0)
    for impedances in (np.full(40, 50.0), rng.uniform(30, 80, 40)):
        net = Network()
        names = [net.add(ParallelJunction(2), f"n{i}") for i in range(39)]
        net.add(VoltageSource(resistance=25.0), "src")
        net.add(Resistor(75.0), "load")
        for i, (a, b) in enumerate(zip(["src", *names], [*names, "load"], strict=True)):
            net.connect(a, b, Line(DT, impedances[i]), f"w{i}")
        traces = [
            simulate(net, 200 * DT, DT, ["load.voltage"], backend=b)["load.voltage"] for b in ("cpu", "reference")
        ]
        assert np.abs(traces[1]).max() > 0.5
        np.testing.assert_allclose(traces[0], traces[1], rtol=0.0, atol=1e-13)


def test_many_clusters_use_both_cores_with_the_same_result():
    """Above the threshold for threads the waves are those of a run in one thread, bit for bit."""
    net = Network()
    rng = np.random.default_rng(1)
    names = [net.add(GivenMatrix(unitary(rng, 4)), f"n{i}") for i in range(64)]
    for i, name in enumerate(names):
        following = names[(i + 1) % len(names)]
        for port in (0, 1):
            net.connect(f"{name}.p{port + 3}", f"{following}.p{port + 1}", Line(80 * DT), f"w{i}{port}")
    arenas = []
    for parallel in (True, False):
        simulation = Simulation(compile_network(net, DT), batch=8, dtype="complex128")
        assert simulation.stepper.circuit.parallel
        if not parallel:
            simulation.stepper.circuit.parallel = False
        fill(simulation, np.random.default_rng(3))
        simulation.run(300)
        arenas.append(simulation.state.arena)
    np.testing.assert_array_equal(*arenas)


def test_new_numbers_for_locality_change_nothing_else(monkeypatch):
    """A chain whose nodes come in random order is laid out along the chain, and its waves are the same to rounding."""
    rng = np.random.default_rng(4)
    count = 600
    net, order = Network(), rng.permutation(count)
    for i in order:
        net.add(ParallelJunction(2) if i % 7 else ParallelJunction(3), f"n{i}")
        if i % 7 == 0:
            net.add(Resistor(150.0), f"r{i}")
    net.add(VoltageSource(resistance=50.0), "src")
    net.add(Resistor(20.0), "load")
    for i in rng.permutation(count):
        net.connect(
            f"n{i}.p2", f"n{i + 1}.p1" if i + 1 < count else "load", Line(float(i % 3 + 1) * DT, 40.0 + i % 5), f"w{i}"
        )
        if i % 7 == 0:
            net.connect(f"n{i}.p3", f"r{i}")
    net.connect("src", "n0.p1", Line(DT, 50.0), "w")
    probes = ["load.voltage", "n300.p1.voltage"]
    moved = simulate(net, 3000 * DT, DT, probes)
    rows = {line.name: line.row for line in compile_network(net, DT).lines}
    monkeypatch.setattr("substrate.compile.renumbered", lambda groups, lines: (groups, lines))
    plain = simulate(net, 3000 * DT, DT, probes)
    assert np.abs(plain["load.voltage"]).max() > 1e-3
    for name in probes:
        np.testing.assert_allclose(moved[name], plain[name], rtol=0.0, atol=1e-13)
    along = [abs(rows[f"w{i}"] - rows[f"w{i + 3}"]) for i in range(count - 3)]  # lines of equal delay
    assert np.mean(along) < 3.0
    assert rows != {line.name: line.row for line in compile_network(net, DT).lines}
