"""One network, two answers: the frequency response is the transform of the impulse run, and has its symmetries."""

import importlib
import inspect
import pkgutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from substrate import (
    Capacitor,
    Inductor,
    Line,
    Network,
    Open,
    ParallelJunction,
    Resistor,
    SeriesJunction,
    Short,
    SubstrateError,
    Termination,
    VoltageSource,
    nodes,
    simulate,
)
from substrate.compile import compile_network
from substrate.frequency import response_of, scattering_parameters
from substrate.media import OpticalLine, RcLine, RlgcLine
from substrate.nodes.linear import LinearNode
from substrate.nodes.lumped_two import IdealTransformer
from substrate.nodes.nonlinear import NonlinearNode
from substrate.nodes.optoelectronic import Optoelectronic
from substrate.nodes.scattering import ScatteringNode, StateSpaceNode
from substrate.nodes.touchstone import Touchstone
from substrate.waveforms import Samples, Step

DT = 10e-12


def touchstone() -> Touchstone:
    """A capacitor of 1 pF behind 20 ohm as a file of 60 frequencies."""
    path = Path(tempfile.mkdtemp()) / "end.s1p"
    frequencies = np.linspace(0.0, 30e9, 60)
    shunt = 1.0 / (20.0 + 1.0 / (2j * np.pi * frequencies * 1e-12 + 1e-3))
    gamma = (1.0 - 50.0 * shunt) / (1.0 + 50.0 * shunt)
    rows = [f"{f!r} {g.real!r} {g.imag!r}" for f, g in zip(frequencies.tolist(), gamma.tolist(), strict=True)]
    path.write_text("\n".join(["# HZ S RI R 50", *rows]))
    return Touchstone(str(path), order=2)


# One example, or more, of every linear node there is: a new node must be added here.
EXAMPLES = {
    "Amplifier": [nodes.Amplifier(6.0)],
    "Attenuator": [nodes.Attenuator(2.0)],
    "TransmissionPad": [nodes.TransmissionPad(0.7)],
    "Capacitor": [Capacitor(0.7e-12), Capacitor(np.array([0.2e-12, 2e-12]))],
    "Circulator": [nodes.Circulator(3, loss_db=0.4)],
    "Coupler": [nodes.Coupler(0.3, loss_db=0.1), nodes.Coupler(np.array([0.1, 0.9]))],
    "Gyrator": [nodes.Gyrator(70.0)],
    "Inductor": [Inductor(3e-9), Inductor(np.array([1e-9, 5e-9]))],
    "Isolator": [nodes.Isolator(0.3, isolation_db=20.0)],
    "LaserSource": [nodes.LaserSource(Step(0.0))],
    "MachZehnder": [nodes.MachZehnder(0.7, 0.3, couplings=(0.4, 0.5))],
    "Open": [Open()],
    "OpticalAmplifier": [nodes.OpticalAmplifier(6.0)],
    "ParallelJunction": [ParallelJunction(2), ParallelJunction(4)],
    "ParallelRLC": [nodes.ParallelRLC(200.0, 2e-9, 0.5e-12), nodes.ParallelRLC(inductance=2e-9, capacitance=1e-12)],
    "PhaseShifter": [nodes.PhaseShifter(0.8), nodes.PhaseShifter(np.array([0.1, 0.2, 2.0]))],
    "ScatteringNode": [ScatteringNode([[0.1, 0.8], [0.7, -0.2]], impedance=[50.0, 75.0])],
    "StateSpaceNode": [StateSpaceNode([[-2e10]], [[0.0, 1e10]], [[1.0], [0.5]], 0.3 * np.eye(2))],
    "Touchstone": [touchstone()],
    "Resistor": [Resistor(20.0), Resistor(np.array([0.0, 400.0])), Resistor(np.inf)],
    "Series": [nodes.Series(Inductor(2e-9)), nodes.Series(nodes.ParallelRLC(300.0, 2e-9, 1e-12))],
    "SeriesJunction": [SeriesJunction(2), SeriesJunction(3)],
    "SeriesRLC": [nodes.SeriesRLC(5.0, 2e-9, 0.5e-12), nodes.SeriesRLC(resistance=10.0, capacitance=1e-12)],
    "Short": [Short()],
    "Shunt": [nodes.Shunt(Capacitor(1e-12))],
    "Termination": [Termination()],
    "IdealTransformer": [IdealTransformer(1.7)],
    "VoltageSource": [VoltageSource(Step(0.0), resistance=30.0)],
}
NODES = [pytest.param(node, id=f"{name}-{i}") for name, some in EXAMPLES.items() for i, node in enumerate(some)]


PARTS_OF_LINES = {"LineEnd", "DiffusiveWire"}  # made by media; tested with the lines they belong to


def linear_nodes() -> set[str]:
    """Names of the linear nodes a user can put into a network, whichever file of ``substrate/nodes`` holds them."""
    files = [importlib.import_module(f"substrate.nodes.{file.name}") for file in pkgutil.iter_modules(nodes.__path__)]
    return {
        name
        for file in files
        for name, item in vars(file).items()
        if inspect.isclass(item)
        and issubclass(item, LinearNode)
        and not issubclass(item, NonlinearNode | Optoelectronic)
        if not inspect.isabstract(item) and not name.startswith("_") and name not in PARTS_OF_LINES
    }


def around(node: LinearNode, direct: bool = False) -> Network:
    """A driven network with ``node`` in its middle: lines of different lengths and impedances, lossy ends."""
    net = Network()
    net.add(VoltageSource(Samples(np.array([1.0]), DT), resistance=30.0), "src")
    net.add(node, "dut")
    net.add(ParallelJunction(2 + (len(node.ports) == 1)), "tee")
    net.connect("src", "tee.p1", Line(delay=3 * DT, impedance=50.0, loss_db=0.5), "feed")
    joint = None if direct else Line(delay=2 * DT, impedance=75.0)
    net.connect("tee.p2", f"dut.{node.ports[0].name}", joint, "stub")
    others = [f"dut.{port.name}" for port in node.ports[1:]] or ["tee.p3"]
    for index, other in enumerate(others):
        end = net.add(Termination() if index == 0 else Resistor(90.0 + 20.0 * index), f"end{index}")
        net.connect(other, end, Line(delay=(4 + index) * DT, impedance=60.0, loss_db=0.2), f"out{index}")
    return net


def is_complex(node: LinearNode) -> bool:
    scattering = node.scattering([50.0] * len(node.ports), DT)
    return bool(np.iscomplexobj(scattering.matrix))


def batch_of(node: LinearNode) -> int:
    matrix = node.scattering([50.0] * len(node.ports), DT).matrix
    return matrix.shape[0] if matrix.ndim == 3 else 1


def test_every_linear_node_has_an_example():
    assert linear_nodes() == set(EXAMPLES)


@pytest.mark.parametrize("direct", [False, True], ids=["line", "direct"])
@pytest.mark.parametrize("node", NODES)
def test_frequency_is_the_transform_of_the_impulse_run(node, direct):
    """To 1e-10 at every frequency, for voltages, currents and waves: the response of the plan itself."""
    net, steps = around(node, direct), 4096
    probes = ["end0.voltage", "end0.current", "tee.p1.arriving", "tee.p1.departing"]
    dtype = "complex128" if is_complex(node) else "float64"
    traces = simulate(net, steps * DT, DT, probes, batch=batch_of(node), dtype=dtype, noise=[])
    frequencies = np.linspace(0.0, 0.5 / DT, 33)
    response = response_of(net, "src", probes, frequencies, dt=DT)
    for probe in probes:
        assert np.abs(traces[probe][-64:]).max() < 1e-12, "the impulse response has not died down"
        shift = np.exp(-2j * np.pi * DT * np.outer(frequencies, np.arange(steps)))
        got, expected = response[probe], shift @ traces[probe]
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
        alone = response_of(net, "src", [probe], frequencies[5], dt=DT)[probe]
        np.testing.assert_allclose(alone[0], expected[5], rtol=0, atol=1e-10)


@pytest.mark.parametrize("node", NODES)
def test_continuous_answer_is_the_limit_of_small_steps(node):
    """The plan's answer approaches the one in continuous time as dt^2: a fourth of the error at half the step."""
    if isinstance(node, Touchstone):
        pytest.skip("fitted anew for every step, so that it is right at each")
    net, frequencies = around(node), np.linspace(-2e9, 2e9, 11)
    exact = scattering_parameters(net, frequencies, ports=["src", "end0"]).s
    error = [
        np.abs(scattering_parameters(net, frequencies, ports=["src", "end0"], dt=DT / n).s - exact).max()
        for n in (1, 2, 4)
    ]
    if error[0] > 1e-11:
        assert error[1] / error[0] == pytest.approx(0.25, rel=0.1)
        assert error[2] / error[1] == pytest.approx(0.25, rel=0.1)


MEDIA = {
    "rlgc": RlgcLine(0.2, 20.0, 250e-9, 1e-3, 100e-12),
    "rc": RcLine(1e-3, 100e3, 100e-12),
    "skin": RlgcLine(0.2, 5.0, 250e-9, 0.0, 100e-12, skin=1e-3),
    "thiran": Line(10.3 * DT, 70.0, fractional="thiran", order=2),
    "linear": Line(10.3 * DT, 70.0, loss_db=0.3, fractional="linear"),
    "dispersive": OpticalLine(0.5, 1.45, 1.45, 1.55e-6, dispersion=20e-6, fractional="thiran"),
    "heaviside": RlgcLine(0.2, 20.0, 250e-9, 8e-3, 100e-12),
}


def between(line: Line) -> Network:
    """A source, a lossy feed, the line and a mismatched end."""
    net = Network()
    net.add(VoltageSource(Samples(np.array([1.0]), DT), resistance=30.0), "src")
    net.add(ParallelJunction(2), "joint")
    net.connect("src", "joint.p1", Line(3 * DT, loss_db=0.5), "feed")
    net.connect("joint.p2", net.add(Resistor(80.0), "end"), line, "medium")
    return net


@pytest.mark.parametrize("name", MEDIA)
def test_media_answer_alike_in_time_and_frequency(name):
    """The plan of every medium to 1e-10; and the exact medium as nearly as its report says."""
    line = MEDIA[name]
    delay = round(line.delay / DT) * DT
    if name in ("rlgc", "skin", "heaviside"):
        assert delay == pytest.approx(line.delay)
    net = between(line)
    dtype = "complex128" if name == "dispersive" else "float64"
    steps = 1 << 15
    voltage = simulate(net, steps * DT, DT, ["end.voltage"], dtype=dtype)["end.voltage"]
    bins = np.rint(np.linspace(0.01, 0.45, 17) * steps).astype(int)
    frequencies = bins / (steps * DT)
    plan = response_of(net, "src", ["end.voltage"], frequencies, dt=DT)["end.voltage"]
    # The skin effect has a long memory: what is left at the end goes on as v / (1 - z^-1), |1 - z^-1| > 1/16 here.
    left = np.abs(voltage[-64:]).max()
    assert left < (1e-7 if name == "skin" else 1e-11)
    np.testing.assert_allclose(plan, np.fft.fft(voltage)[bins], rtol=0, atol=1e-10 + 16.0 * left)
    told = compile_network(net, DT).accuracies["medium"] if name != "heaviside" else None
    below = frequencies[frequencies <= 0.1 / DT]
    exact = response_of(net, "src", ["end.voltage"], below)["end.voltage"]
    error = np.abs(exact - plan[: len(below)]).max()
    assert error < (1e-12 if told is None else 3.0 * told.error_below + 1e-12)


def random_network(rng: np.random.Generator, reactive: bool = True) -> Network:
    """A random lossless, reciprocal network of 12 junctions with three terminations."""
    net = Network()
    free = []
    for index in range(12):
        count = int(rng.integers(2, 5))
        node = ParallelJunction(count) if rng.random() < 0.5 else SeriesJunction(count)
        net.add(node, f"j{index}")
        free += [f"j{index}.p{port + 1}" for port in range(count)]
    # A chain through all of them keeps the network in one piece.
    chain = [(f"j{index}.p2", f"j{index + 1}.p1") for index in range(11)]
    rest = [port for port in free if not any(port in pair for pair in chain)]
    rng.shuffle(rest)
    for index in range(3):
        net.connect(rest.pop(), net.add(Termination(), f"port{index}"), Line(3 * DT, float(rng.uniform(20, 200))))
    while len(rest) >= 2:
        chain.append((rest.pop(), rest.pop()))
    for first, second in chain:
        line = Line(DT * int(rng.integers(1, 9)), float(rng.uniform(20, 200)))
        net.connect(first, second, line)
    if rest:
        end = Capacitor(1e-12) if reactive else Open()
        net.connect(rest.pop(), net.add(end, "last"), Line(2 * DT, 80.0))
    return net


@pytest.mark.parametrize("dt", [None, DT])
@pytest.mark.parametrize("seed", range(8))
def test_lossless_networks_are_unitary_and_reciprocal(seed, dt):
    net = random_network(np.random.default_rng(seed))
    s = scattering_parameters(net, np.linspace(1e8, 4.3e10, 201), dt=dt).s
    assert s.shape == (201, 3, 3)
    np.testing.assert_allclose(s @ np.swapaxes(s, 1, 2).conj(), np.broadcast_to(np.eye(3), s.shape), atol=1e-9)
    np.testing.assert_allclose(s, np.swapaxes(s, 1, 2), atol=1e-9)


def test_a_wrong_impedance_is_noticed():
    """Negative control: 2 % on one line of a network of 12 junctions moves the answer far beyond the tolerance."""
    net = random_network(np.random.default_rng(1))
    name = next(iter(net.connections))
    wrong = net.changed({f"{name}.impedance": 1.02 * net.connections[name].line.impedance})
    frequencies = np.linspace(1e8, 4.3e10, 201)
    difference = scattering_parameters(net, frequencies).s - scattering_parameters(wrong, frequencies).s
    assert np.abs(difference).max() > 1e-3


def test_a_sharp_resonance_keeps_its_digits():
    """A cavity of almost no coupling, met at its resonance: pivots are searched for, and energy is still conserved."""
    net = Network()
    net.add(Termination(), "a")
    net.add(ParallelJunction(2), "left")
    net.add(ParallelJunction(2), "right")
    net.add(Termination(), "b")
    net.connect("a", "left", Line(DT, 50.0))
    net.connect("left", "right", Line(10 * DT, 50e8))
    net.connect("right", "b", Line(DT, 50.0))
    f0 = 0.5 / (10 * DT)
    s = scattering_parameters(net, [f0 * 0.7, f0, f0 * 1.3]).s
    np.testing.assert_allclose(np.abs(s[:, 1, 0]) ** 2 + np.abs(s[:, 0, 0]) ** 2, 1.0, rtol=1e-7)
    assert abs(s[1, 1, 0]) > 0.9


def test_envelopes_and_batches():
    """A ring resonator with a phase per sample: the batch axis is the second; frequencies count from the carrier."""
    phases = np.array([0.0, 0.3, 1.2])
    net = Network()
    net.add(VoltageSource(Samples(np.array([1.0 + 0.0j]), DT), resistance=50.0), "src")
    net.add(ParallelJunction(3), "tee")
    net.connect("src", "tee.p1", Line(2 * DT))
    net.connect("tee.p2", "tee.p3", Line(5 * DT, loss_db=1.0, phase=phases), "loop")
    frequencies = np.array([0.0, 1.1e9, -2.3e9])
    traces = simulate(net, 2048 * DT, DT, ["src.voltage"], batch=3, dtype="complex128")
    shift = np.exp(-2j * np.pi * DT * np.outer(frequencies, np.arange(2048)))
    for dt in (None, DT):
        response = response_of(net, "src", ["src.voltage"], frequencies, dt=dt)["src.voltage"]
        assert response.shape == (3, 3)
        np.testing.assert_allclose(response, shift @ traces["src.voltage"], atol=1e-10)


def test_reference_impedances_and_names():
    net = Network()
    net.connect(net.add(VoltageSource(resistance=25.0), "src"), net.add(Resistor(100.0), "load"), Line(DT, 50.0))
    assert scattering_parameters(net, 0.0).ports == ("src",)
    response = scattering_parameters(net, 0.0, ports=["src", "load"])
    assert response.impedances == (25.0, 100.0)
    assert response["src", "src"][0] == pytest.approx(0.6)  # 100 seen from 25 ohm
    assert abs(response["load", "src"][0]) == pytest.approx(0.8)
    for message, call in (
        ("no measurement port 'x'", lambda: response["x", "src"]),
        ("no node 'x'", lambda: scattering_parameters(net, 0.0, ports=["x"])),
        ("at least one", lambda: scattering_parameters(net, 0.0, ports=[])),
        ("finite", lambda: scattering_parameters(net, np.nan)),
        ("no voltage", lambda: response_of(net, "src", ["load.power"], 0.0)),
        ("0 waveforms", lambda: response_of(net, "load", ["load.voltage"], 0.0)),
    ):
        with pytest.raises(SubstrateError, match=message):
            call()


def test_what_has_no_response_is_refused_by_name():
    net = Network()
    net.connect(net.add(nodes.DataSource(1), "x"), net.add(Termination(), "end"), Line(DT))
    with pytest.raises(SubstrateError, match="'x' .DataSource. has no frequency response"):
        scattering_parameters(net, 0.0, ports=["end"])
    short = Network()
    short.connect(short.add(VoltageSource(resistance=0.0), "src"), short.add(Short(), "end"), Line(DT))
    with pytest.raises(SubstrateError, match="resonance without loss"):
        response_of(short, "src", ["end.current"], [0.0])
    with pytest.raises(SubstrateError, match="resistance above zero"):
        scattering_parameters(short, [0.0], ports=["src"])


def cascade(lines: int) -> Network:
    """``lines`` lines of alternating impedances and different lengths between matched ends."""
    net, last = Network(), "a"
    net.add(Termination(), "a")
    for index in range(lines):
        name = net.add(ParallelJunction(2), f"n{index}") if index < lines - 1 else net.add(Termination(), "b")
        net.connect(last, name, Line(delay=DT * (1 + index % 7), impedance=50.0 + 25.0 * (index % 2)))
        last = name
    return net


def test_a_cascade_agrees_with_its_chain_matrices_and_is_fast():
    frequencies = np.linspace(1e8, 1e10, 1001)
    net = cascade(100)
    response = scattering_parameters(net, frequencies)
    chain = np.broadcast_to(np.eye(2, dtype=complex), (1001, 2, 2))
    for connection in net.connections.values():
        z, angle = connection.line.impedance, 2 * np.pi * frequencies * connection.line.delay
        cell = np.array([[np.cos(angle), 1j * z * np.sin(angle)], [1j * np.sin(angle) / z, np.cos(angle)]])
        chain = chain @ np.moveaxis(cell, 2, 0)
    za, zb = response.impedances
    a, b, c, d = chain.reshape(1001, 4).T
    np.testing.assert_allclose(
        response["b", "a"], 2 * np.sqrt(za * zb) / (a * zb + b + c * za * zb + d * za), atol=1e-10
    )
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        scattering_parameters(net, frequencies)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1  # 5 ms on an idle core; benchmarks/frequency.py compares with scikit-rf


def test_scikit_rf_agrees():
    skrf = pytest.importorskip("skrf")
    frequencies = np.linspace(1e8, 1e10, 101)
    net = cascade(12)
    media = skrf.media.DefinedGammaZ0(
        skrf.Frequency.from_f(frequencies, unit="hz"), gamma=2j * np.pi * frequencies / 3e8, z0=50.0
    )
    parts = [media.line(c.line.delay * 3e8, "m", z0=c.line.impedance) for c in net.connections.values()]
    whole = skrf.network.cascade_list(parts)
    response = scattering_parameters(net, frequencies)
    whole.renormalize(np.array(response.impedances))
    np.testing.assert_allclose(response.s, whole.s, atol=1e-6)
