"""Nonlinear nodes against closed forms: Lambert W (V25), charge and energy of a varactor, optical laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import wrightomega

from substrate import Line, Network
from substrate.compile import compile_network
from substrate.errors import CompileError, DivergenceError
from substrate.nodes import (
    Capacitor,
    Diode,
    KerrPhase,
    LaserSource,
    ParallelJunction,
    Resistor,
    SaturableAbsorber,
    SeriesJunction,
    TanhGain,
    Varactor,
    VoltageSource,
)
from substrate.simulation import Simulation
from substrate.traces import simulate
from substrate.waveforms import PiecewiseLinear, Sine, Step

DT = 1e-10


def lambert(volts: np.ndarray, resistance: float, saturation: float, thermal: float) -> np.ndarray:
    """Current of a diode behind a resistor: (U/R) W[(I R / U) exp((V + I R)/U)] - I; Banwell and Jayakumar 2000."""
    drop = saturation * resistance
    return thermal / resistance * wrightomega(np.log(drop / thermal) + (volts + drop) / thermal) - saturation


@pytest.mark.parametrize("reverse", [False, True])
def test_diode_on_a_slow_ramp_follows_lambert(backend: str, reverse: bool) -> None:
    """V25: at every step of a ramp through a matched line, either way round."""
    sign = -1.0 if reverse else 1.0
    diode = Diode(1e-14, ideality=1.2, temperature=310.0, reverse=reverse)
    ramp = PiecewiseLinear([(0.0, -5.0 * sign), (20e-9, 50.0 * sign)])
    net = Network()
    net.connect(net.add(VoltageSource(ramp, 50.0), "src"), net.add(diode, "d"), Line(delay=1e-9))
    run = simulate(net, 20e-9, DT, ["d.voltage", "d.current"], backend=backend)
    late = run.time > 1.05e-9
    volts = sign * ramp.sample(run.time - 1e-9)[late]
    current = sign * run["d.current"][late]
    expected = lambert(volts, 50.0, 1e-14, float(diode.thermal_voltage))
    assert np.max(np.abs(current - expected)) < 1e-14
    assert np.allclose(run["d.voltage"][late], sign * (volts - 50.0 * expected), atol=1e-12)
    assert run.ledger.residual < 1e-13


def test_diode_behind_a_mismatched_line_settles(backend: str) -> None:
    drives = np.array([0.2, 0.8, 3.0, 200.0])
    net = Network()
    net.connect(
        net.add(VoltageSource(Step(drives), 1000.0), "src"),
        net.add(Diode(1e-12), "d"),
        Line(delay=2 * DT, impedance=300.0),
    )
    run = simulate(net, 300 * DT, DT, ["d.current"], batch=4, backend=backend)
    assert np.allclose(run["d.current"][-1], lambert(drives, 1000.0, 1e-12, float(Diode().thermal_voltage)), rtol=1e-9)


def test_diodes_in_one_cluster_add_up(backend: str) -> None:
    """Two equal diodes side by side carry what one of twice the saturation current does; in series, they share it."""
    waveform = Sine(4.0, frequency=3e8)
    single, double, row = Network(), Network(), Network()
    for net in (single, double, row):
        net.add(VoltageSource(waveform, 75.0), "src")
    single.connect("src", single.add(Diode(2e-14), "d"), Line(delay=2 * DT))
    for net, junction in ((double, ParallelJunction(3)), (row, SeriesJunction(3))):
        net.add(junction, "j")
        net.connect("src", "j.p1", Line(delay=2 * DT))
        net.connect("j.p2", net.add(Diode(1e-14), "d1"))
        net.connect("j.p3", net.add(Diode(1e-14), "d2"))
    one = simulate(single, 30 * DT, DT, ["d.voltage", "d.current"], backend=backend)
    two = simulate(double, 30 * DT, DT, ["d1.voltage", "d1.current", "d2.current"], backend=backend)
    assert np.allclose(two["d1.voltage"], one["d.voltage"], atol=1e-12)
    assert np.allclose(two["d1.current"], 0.5 * one["d.current"], atol=1e-12)
    assert np.array_equal(np.sign(two["d1.current"]), np.sign(two["d2.current"]))
    third = simulate(row, 30 * DT, DT, ["d1.voltage", "d2.voltage", "d1.current"], backend=backend)
    # While both block, how they share the voltage hangs on currents below rounding; while they conduct it does not.
    on = third["d1.current"] > 1e-9
    assert 5 < np.count_nonzero(on) < 25
    assert np.allclose(third["d1.voltage"][on], third["d2.voltage"][on], atol=1e-11)
    assert np.allclose(third["d1.current"], Diode(1e-14).current(third["d1.voltage"]), atol=1e-11)


SPREAD = st.floats(-3.0, 3.0)


@given(
    st.lists(st.tuples(st.sampled_from(["diode", "reverse", "varactor"]), SPREAD), min_size=1, max_size=4),
    st.floats(-2.0, 5.0),
    st.floats(-1.0, 5.0),
    st.booleans(),
    st.integers(0, 1000),
)
@hypothesis_settings(max_examples=100)
def test_every_passive_circuit_converges(parts, volts: float, ohms: float, parallel: bool, seed: int) -> None:
    """Up to 100 kV behind 0.1 ohm to 100 kohm, elements over six decades, random steps: an answer, and closed books."""
    parts = parts if parallel else parts[:3]  # four in series that all block are decided by currents below rounding
    count = len(parts) + 2
    net = Network()
    net.add((ParallelJunction if parallel else SeriesJunction)(count), "j")
    rng = np.random.default_rng(seed)
    points = [(2 * k * DT, float(v)) for k, v in enumerate(10.0**volts * rng.choice([-1.0, 1.0, 0.01], 10), 1)]
    net.connect(net.add(VoltageSource(PiecewiseLinear(points), 10.0**ohms), "src"), "j.p1", Line(delay=2 * DT))
    net.connect(net.add(Resistor(1e4), "r"), "j.p2", Line(delay=DT, impedance=300.0))
    for k, (kind, size) in enumerate(parts):
        part = (
            Varactor(1e-12 * 10**size, grading=0.5 + 0.3 * k)
            if kind == "varactor"
            else Diode(1e-12 * 10**size, reverse=kind == "reverse")
        )
        net.connect(f"j.p{k + 3}", net.add(part, f"x{k}"))
    run = simulate(net, 25 * DT, DT, [f"x{k}.voltage" for k in range(len(parts))])
    assert all(np.all(np.isfinite(values)) for values in run.values.values())
    assert run.ledger.residual < 1e-12


def test_several_elements_agree_with_the_reference() -> None:
    """The compiled Newton and the plain one of the reference, on a limiter with reactances."""
    runs = []
    for backend in ("cpu", "reference"):
        net = Network()
        net.add(ParallelJunction(5), "j")
        net.connect(net.add(VoltageSource(Sine(8.0, frequency=4e8), 50.0), "src"), "j.p1", Line(delay=2 * DT))
        parts = {"d1": Diode(), "d2": Diode(1e-12, reverse=True), "v": Varactor(5e-12), "c": Capacitor(3e-12)}
        for k, (name, part) in enumerate(parts.items()):
            net.connect(f"j.p{k + 2}", net.add(part, name))
        runs.append(simulate(net, 12 * DT, DT, [f"{name}.current" for name in parts], backend=backend))
    for label, values in runs[0].values.items():
        assert np.allclose(values, runs[1][label], atol=1e-12), label


GRADINGS = [0.33, 0.5, 1.0, 1.267, 2.0]


@pytest.mark.parametrize("grading", GRADINGS)
def test_charge_and_energy_of_a_varactor_are_integrals(grading: float) -> None:
    """q = int C dv, W = int v C dv, on both sides of the tangent; v(q) is the inverse."""
    part = Varactor(2e-12, 0.8, grading)
    for volts in (-3.0, -0.41, -0.2, 0.7, 6.0):
        charge = quad(part.capacitance_at, 0.0, volts, points=[-0.4], epsabs=0)[0]
        energy = quad(lambda v: v * part.capacitance_at(v), 0.0, volts, points=[-0.4], epsabs=0)[0]
        assert part.charge(volts) == pytest.approx(charge, rel=1e-10)
        assert part.voltage_at(part.charge(volts)) == pytest.approx(volts, rel=1e-12)
        assert part.energy(charge) == pytest.approx(energy, rel=1e-9)


def test_varactor_keeps_charge_and_energy_on_a_line() -> None:
    """Driven hard for 2000 steps: charge = integral of current, nothing dissipated, for every grading."""
    gradings = np.array(GRADINGS)
    net = Network()
    part = Varactor(5e-12, 0.7, gradings, voltage=0.5)
    net.connect(net.add(VoltageSource(Sine(9.0, frequency=7e7), 50.0), "src"), net.add(part, "v"), Line(delay=5 * DT))
    plan = compile_network(net, DT, reference_power=1.0)
    simulation = Simulation(plan, batch=len(gradings))
    start = simulation.state.charges[0][0, 0].copy()
    run = simulate(net, 2000 * DT, DT, ["v.current", "v.voltage"], batch=len(gradings))
    simulation.run(2000)
    moved = DT * run["v.current"].sum(axis=0)
    rounding = 1e-13 * DT * np.sum(np.abs(run["v.current"]))
    assert np.allclose(simulation.state.charges[0][0, 0] - start, moved, rtol=0.0, atol=rounding)
    assert run.ledger.residual < 1e-13
    lost = run.ledger["dissipated_nodes"] + run.ledger["gain"]
    delivered = DT * np.sum(run["v.current"] * run["v.voltage"])
    assert delivered == pytest.approx(float(np.sum(part.energy(start + moved) - part.energy(start))), rel=1e-10)
    assert lost < 1e-12 * DT * np.sum(np.abs(run["v.current"] * run["v.voltage"]))


def test_varactor_of_weak_signals_is_a_capacitor(backend: str) -> None:
    """A thousandth of the junction's potential: the same as C(0), to second order in the drive."""
    traces = []
    for part in (Varactor(2e-11, potential=1.0), Capacitor(2e-11)):
        net = Network()
        net.connect(net.add(VoltageSource(Step(1e-4), 50.0), "src"), net.add(part, "c"), Line(delay=2 * DT))
        traces.append(simulate(net, 25 * DT, DT, ["c.voltage"], backend=backend)["c.voltage"])
    assert np.allclose(traces[0], traces[1], atol=1e-8)
    assert np.max(np.abs(traces[1])) > 8e-5


def test_varactor_settles_to_second_order_in_the_step() -> None:
    """Discharge through a resistor against the integral of R C(v) dv / v."""
    part, errors = Varactor(2e-11, 0.7, 0.5, voltage=3.0), []
    exact = quad(lambda v: 50.0 * part.capacitance_at(v) / v, 1.0, 3.0)[0]  # seconds from 3 V to 1 V
    for count in (50, 100, 200):
        dt = exact / count
        net = Network()
        net.connect(net.add(Resistor(50.0), "r"), net.add(part, "v"))
        plan = compile_network(net, dt, reference_power=1.0)
        simulation = Simulation(plan)
        simulation.run(count)
        errors.append(abs(float(part.voltage_at(simulation.state.charges[0][0, 0, 0])) - 1.0))
    assert errors[0] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)


def test_charge_stays_when_the_capacitance_changes(backend: str) -> None:
    """Pumped while open: v falls to what the same charge means, and the work is booked."""
    net = Network()
    net.add(Varactor(1e-12, 0.7, 0.5, voltage=2.0), "v")
    net.connect(net.add(Resistor(1e15), "r"), "v", Line(delay=DT))
    run = simulate(net, 40 * DT, DT, ["v.voltage"], backend=backend, changes=[(20 * DT, {"v.capacitance": 2e-12})])
    before, after = Varactor(1e-12, 0.7, 0.5), Varactor(2e-12, 0.7, 0.5)
    work = after.energy(before.charge(2.0)) - before.energy(before.charge(2.0))
    assert run.ledger["injected"] == pytest.approx(work, rel=0.2)  # the line holds a little of the charge
    assert work < 0.0
    assert run.ledger.residual < 1e-12


def test_self_phase_modulation(backend: str) -> None:
    """Kerr: phase = coefficient * power, in both directions, power kept; one coefficient per sample."""
    coefficients = np.array([0.0, 1.5, -40.0])
    net = Network()
    net.add(KerrPhase(coefficients), "kerr"), net.add(Resistor(np.inf), "mirror")
    net.connect(net.add(LaserSource(Step(0.8 * np.exp(0.3j))), "laser"), "kerr", Line(delay=2 * DT))
    net.connect("kerr", "mirror", Line(delay=2 * DT))
    probes = ["mirror.arriving", "laser.arriving"]
    run = simulate(net, 20 * DT, DT, probes, batch=3, dtype="complex128", backend=backend)
    turn = np.exp(-1j * coefficients * 0.64)
    assert np.allclose(run["mirror.arriving"][-1], 0.8 * np.exp(0.3j) * turn, atol=1e-14)
    assert np.allclose(run["laser.arriving"][-1], 0.8 * np.exp(0.3j) * turn**2, atol=1e-14)
    assert run.ledger["gain"] + run.ledger["dissipated_nodes"] < 1e-14 * run.ledger["injected"]


@given(st.floats(-6.0, 4.0), st.floats(0.01, 60.0))
@hypothesis_settings(max_examples=40)
def test_absorber_equals_its_differential_equation(power: float, decibels: float) -> None:
    """ln(P2/P1) + (P2 - P1)/P_sat = -A, whatever the power and the thickness; the kernel equals the node."""
    absorber, amplitude = SaturableAbsorber(decibels, 1e-3), np.sqrt(1e-3 * 10.0**power)
    left = float(absorber.transfer(amplitude))
    ratio = np.log(left**2 / amplitude**2) + (left**2 - amplitude**2) / 1e-3
    assert ratio == pytest.approx(-decibels * np.log(10) / 10, rel=1e-9, abs=1e-12 * 10.0**power)
    net = Network()
    net.connect(net.add(LaserSource(Step(amplitude)), "laser"), net.add(absorber, "part"), Line(delay=DT))
    net.connect("part", net.add(Resistor(50.0), "end"), Line(delay=DT))
    run = simulate(net, 4 * DT, DT, ["end.arriving"])
    assert run["end.arriving"][-1] == pytest.approx(left, rel=1e-12)


def test_tanh_gain(backend: str) -> None:
    """Amplitude A tanh(g a / A), the sign kept, for real and complex waves; the gain is booked."""
    drives = np.array([1e-3, -0.05, 2.0])
    for dtype, factor in (("float64", 1.0), ("complex128", np.exp(1j))):
        net = Network()
        net.connect(
            net.add(LaserSource(Step(drives * factor)), "laser"), net.add(TanhGain(20.0, 4.0), "part"), Line(delay=DT)
        )
        net.connect("part", net.add(Resistor(50.0), "end"), Line(delay=DT))
        run = simulate(net, 5 * DT, DT, ["end.arriving"], batch=3, dtype=dtype, backend=backend, reference_power=1e-3)
        wave = run["end.arriving"][-1] * np.sqrt(1e-3)
        assert np.allclose(wave, 2.0 * np.tanh(10.0 * drives / 2.0) * factor, atol=1e-14)
        assert run.ledger["gain"] + run.ledger["dissipated_nodes"] > 0.0


def test_results_do_not_depend_on_the_block_and_survive_a_checkpoint() -> None:
    net = Network()
    net.add(ParallelJunction(3), "j")
    net.connect(net.add(VoltageSource(Sine(5.0, frequency=1e8), 50.0, 300.0), "src"), "j.p1", Line(delay=7 * DT))
    net.connect("j.p2", net.add(Diode(), "d"))
    net.connect("j.p3", net.add(Varactor(5e-12), "v"))
    plan = compile_network(net, DT, reference_power=1.0)
    whole, pieces = Simulation(plan, seed=2), Simulation(plan, seed=2, block=3)
    whole.run(100)
    pieces.run(40)
    later = Simulation(plan, seed=2)
    later.restore(pieces.checkpoint())
    later.run(60)
    assert np.array_equal(whole.state.arena, later.state.arena)
    assert np.array_equal(whole.state.charges[0], later.state.charges[0])


def test_what_has_no_answer_is_told(backend: str) -> None:
    net = Network()
    net.connect(net.add(VoltageSource(Step(100.0), 0.0), "src"), net.add(Diode(), "rectifier"))
    with pytest.raises(DivergenceError, match="'rectifier' found no voltage that fits its circuit at t = 1e-10 s"):
        simulate(net, DT, DT, backend=backend)
    net = Network()
    net.add(TanhGain(), "limiter"), net.add(Resistor(10.0), "end")
    net.connect(net.add(LaserSource(Step(1.0)), "laser"), "limiter", Line(delay=DT))
    net.add(ParallelJunction(2), "j")
    net.connect("limiter", "j.p1")
    net.connect("j.p2", "end")
    net.changed({"end.resistance": 20.0})
    mirrored = Network()
    mirrored.nodes, mirrored.connections = dict(net.nodes), dict(net.connections)
    mirrored.nodes["end"] = Resistor(np.inf)
    with pytest.raises(CompileError, match="'limiter' acts on waves alone"):
        simulate(mirrored, DT, DT, backend=backend)
