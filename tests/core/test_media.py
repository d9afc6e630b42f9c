"""Media: lossy, charged, diffusive and optical lines against closed forms; passivity, books and refusals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import i0e, i1e

from substrate import (
    Capacitor,
    Line,
    Network,
    Open,
    ParallelJunction,
    Resistor,
    Short,
    Simulation,
    Termination,
    VoltageSource,
    compile_network,
    simulate,
)
from substrate.errors import CompileError, DataError, NetworkError
from substrate.frequency import scattering_parameters
from substrate.media import OpticalLine, RcLine, RlgcLine
from substrate.media.cards import media, medium
from substrate.waveforms import Carrier, PiecewiseLinear, Samples, Sine, Step

NS, PS = 1e-9, 1e-12
R, L, C = 20.0, 250e-9, 100e-12  # per metre: 50 ohm, 5 ns
KINDS = {
    "resistive": RlgcLine(0.3, R, L, 0.0, C),
    "leaky": RlgcLine(0.3, 1.0, L, 8e-3, C),
    "conductive": RlgcLine(0.3, 0.0, L, 8e-3, C),
    "skin": RlgcLine(0.3, 2.0, L, 0.0, C, skin=5e-4),
    "dielectric": RlgcLine(0.3, 2.0, L, 0.0, C, loss_tangent=0.01),
    "fractional": RlgcLine(0.301, R, L, 1e-3, C, fractional="thiran"),
    "rc": RcLine(1e-3, 100e3, 100e-12),
}


def between(line: Line, first: object, second: object) -> Network:
    net = Network()
    net.connect(net.add(first, "src"), net.add(second, "end"), line, "w")
    return net


def semi_infinite(poles: int = 16) -> Network:
    """V8 and V10: an ideal step into a line whose far end sends nothing back within 15 ns."""
    net = Network()
    net.add(ParallelJunction(2), "metre")
    net.connect(net.add(VoltageSource(Step(1.0), 0.0), "src"), "metre.p1", RlgcLine(1.0, R, L, 0.0, C, poles=poles))
    net.connect("metre.p2", net.add(Termination(), "end"), RlgcLine(2.0, R, L, 0.0, C, poles=poles))
    return net


def step_after_a_metre(t: float) -> float:
    """Carson 1926; the numbers of V8 come out of it."""
    s, delay = R / (2 * L), 5 * NS
    tail = quad(
        lambda y: (
            np.exp(-s * (y - np.sqrt(y * y - delay * delay)))
            * i1e(s * np.sqrt(y * y - delay * delay))
            / np.sqrt(y * y - delay * delay)
        ),
        delay,
        t,
        epsabs=0.0,
        epsrel=1e-11,
    )[0]
    return float(np.exp(-s * delay) + s * delay * tail)


V8 = {5.1: 0.8190576, 6.0: 0.8219444, 7.5: 0.8265444, 10.0: 0.8336674, 14.0: 0.8438164}


def test_v8_numbers_at_their_times(backend):
    dt = 20 * PS
    voltage = simulate(semi_infinite(), 15 * NS, dt, ["metre.p1.voltage"], backend=backend)["metre.p1.voltage"]
    for t, expected in V8.items():
        assert voltage[round(t * NS / dt) - 1] == pytest.approx(expected, abs=5e-5)
    assert voltage[:250].max() == 0.0 and voltage[250] == pytest.approx(0.8187308, abs=5e-5)


def errors_of_v8(poles: int, dt: float) -> float:
    """Largest error against the closed form of a step that lies half a step after zero, as sampled waves carry it."""
    voltage = simulate(semi_infinite(poles), 14.1 * NS, dt, ["metre.p1.voltage"])["metre.p1.voltage"]
    return max(abs(voltage[round(t * NS / dt) - 1] - step_after_a_metre(t * NS - dt / 2)) for t in V8)


def test_v8_converges_with_the_number_of_poles():
    found = [errors_of_v8(poles, 20 * PS) for poles in (8, 12, 16)]
    assert found[0] < 1e-3 and found[1] < 5e-5 and found[2] < 5e-6
    assert found[0] > 5 * found[1] > 25 * found[2]


def test_v10_input_current(backend):
    dt = 20 * PS
    current = -simulate(semi_infinite(), 10.1 * NS, dt, ["src.current"], backend=backend)["src.current"]
    for t, published in ((2.0, 18.491878e-3), (10.0, 13.948043e-3)):
        seen = current[round(t * NS / dt) - 1]
        assert seen == pytest.approx(published, rel=5e-4)
        assert seen == pytest.approx(i0e(R / (2 * L) * (t * NS - dt / 2)) / 50.0, rel=2e-5)


def test_steps_of_time_converge_to_second_order():
    """A smooth ramp through a lossy mismatched line: errors against a fine run fall by four when dt is halved."""
    net = between(
        RlgcLine(0.4, 200.0, L, 0.0, C, poles=12),
        VoltageSource(PiecewiseLinear([(0.0, 0.0), (3 * NS, 1.0)]), 25.0),
        Resistor(100.0),
    )
    at = 6 * NS
    values = [simulate(net, at, dt, ["end.voltage"])["end.voltage"][-1] for dt in (200 * PS, 100 * PS, 50 * PS, 2 * PS)]
    errors = np.abs(np.array(values[:3]) - values[3])
    assert errors[0] < 2e-4 and errors[2] < 2e-5
    assert errors[2] < 0.35 * errors[1] < 0.15 * errors[0]


@pytest.mark.parametrize("waveform", [Step(1.0), Sine(1.0, 0.37e9), Samples(np.sin(np.arange(300.0) ** 2), 50 * PS)])
def test_v11_heaviside(waveform, backend):
    net = between(RlgcLine(1.0, R, L, 8e-3, C), VoltageSource(waveform, 50.0), Resistor(50.0))
    traces = simulate(net, 15 * NS, 50 * PS, ["src.voltage", "end.voltage"], backend=backend)
    assert np.abs(traces["end.voltage"][100:] - 0.67032005 * traces["src.voltage"][:-100]).max() < 4e-9
    assert np.abs(traces["end.voltage"][100:] - np.exp(-0.4) * traces["src.voltage"][:-100]).max() < 1e-13


def test_v4_quarter_wave_by_its_physics():
    """A lossless RLGC line of 70.71 ohm between 50 and 100 ohm; |G| at f0, f0/2 and 0.9 f0."""
    zq = np.sqrt(5000.0)
    net = between(RlgcLine(0.2, 0.0, zq * 5e-9, 0.0, 5e-9 / zq), VoltageSource(Step(0.0), 50.0), Resistor(100.0))
    f0 = 1.0 / (4 * NS)
    for dt in (None, 50 * PS):
        s = scattering_parameters(net, np.array([1.0, 0.5, 0.9]) * f0, ports=["src"], dt=dt)["src", "src"]
        assert np.abs(s) == pytest.approx([0.0, 0.24253563, 0.05522352], abs=2e-8)


@pytest.mark.parametrize("name", KINDS)
def test_the_plan_is_as_exact_as_it_says(name):
    """Scattering of what is stepped against the exact medium, between matched ends, at frequencies the fit never
    saw."""
    line, dt = KINDS[name], 10 * PS
    z = line.impedance
    net = between(line, VoltageSource(resistance=z), Resistor(z))
    reported = compile_network(net, dt).accuracies["w"]
    f = np.concatenate([np.geomspace(1e4, 0.0999 / dt, 57), np.linspace(0.11, 0.49, 17) / dt])
    exact = scattering_parameters(net, f, ports=["src", "end"]).s
    stepped = scattering_parameters(net, f, ports=["src", "end"], dt=dt).s
    error = np.abs(exact - stepped).max(axis=(1, 2))
    below = f < 0.1 / dt
    assert error[below].max() < 1.05 * reported.error_below + 1e-9
    assert error[below].max() < 0.01
    assert np.linalg.norm(stepped, 2, axis=(1, 2)).max() <= 1.0 + 1e-9
    assert reported.gain <= 1e-9


def test_more_poles_are_more_exact():
    errors = []
    for poles in (4, 8, 12):
        net = between(RlgcLine(0.3, R, L, 0.0, C, poles=poles), VoltageSource(resistance=50.0), Resistor(50.0))
        f = np.geomspace(3e6, 1e10, 60)
        exact, stepped = (scattering_parameters(net, f, ports=["src", "end"], dt=dt).s for dt in (None, 10 * PS))
        errors.append(np.abs(exact - stepped).max())
    assert errors[0] < 1e-2 and errors[-1] < 5e-5
    assert all(after < before / 5 for before, after in pairwise(errors))


@pytest.mark.parametrize("name", KINDS)
def test_backends_agree_and_the_ledger_closes(name):
    """Mismatched, with a capacitor and a random drive; what lines took is what entered them and never less than
    nothing."""
    rng, dt = np.random.default_rng(5), 50 * PS
    net = Network()
    net.add(ParallelJunction(3), "tee")
    net.connect(net.add(VoltageSource(Samples(rng.normal(size=40), dt), 20.0), "src"), "tee.p1", KINDS[name], "w")
    net.connect("tee.p2", net.add(Resistor(120.0), "end"), Line(0.35 * NS, 75.0))
    net.connect("tee.p3", net.add(Capacitor(1e-12), "cap"), Line(0.2 * NS, 30.0))
    probes = ["src.voltage", "tee.p1.voltage", "tee.p1.current", "end.voltage", "src.power", "tee.p1.power"]
    runs = [simulate(net, 6 * NS, dt, probes, backend=backend) for backend in ("reference", "cpu")]
    for probe in probes:
        assert np.abs(runs[0][probe] - runs[1][probe]).max() < 1e-12 * max(1.0, np.abs(runs[0][probe]).max())
    for run in runs:
        assert run.ledger.residual < 1e-12 and run.ledger["gain"] <= 1e-12 * run.ledger["injected"]
        taken = -(run["src.power"] + run["tee.p1.power"]) * dt
        assert np.cumsum(taken).min() > -1e-12 * np.abs(taken).sum()
        if name != "rc":  # whose states are waves, so that it stands with the nodes
            assert run.ledger["dissipated_lines"] == pytest.approx(taken.sum(), rel=1e-9)


PASSIVE_END = st.one_of(
    st.floats(0.1, 1e4).map(Resistor), st.just(Open()), st.just(Short()), st.floats(1e-13, 1e-10).map(Capacitor)
)
RLGC = st.builds(
    RlgcLine,
    st.floats(0.05, 2.0),
    st.floats(0.0, 500.0),
    st.just(L),
    st.floats(0.0, 0.05),
    st.just(C),
    skin=st.sampled_from([0.0, 0.0, 1e-4, 1e-3]),
    loss_tangent=st.sampled_from([0.0, 0.0, 0.02]),
    poles=st.integers(4, 14),
)


@given(RLGC, PASSIVE_END, st.sampled_from([0.0, 1.0, 20.0, 300.0]), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_passive_lines_never_give_more_than_they_took(line, end, resistance, seed):
    """Whatever R, L, G, C, order and ends: the energy that entered the line is never below zero, and the run dies
    away."""
    dt, rng = 20 * PS, np.random.default_rng(seed)
    with np.errstate(all="raise", under="ignore"):
        net = between(line, VoltageSource(Samples(rng.normal(size=60), dt), resistance), end)
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # delays that are no whole number of steps
            traces = simulate(net, 1500 * dt, dt, ["src.power", "end.power", "end.voltage"])
    taken = -(traces["src.power"] + traces["end.power"])
    assert np.cumsum(taken).min() >= -1e-9 * np.abs(taken).sum()
    early, late = (np.abs(traces["end.voltage"][part]).max() for part in (slice(0, 700), slice(1100, 1500)))
    # Nothing grows. A lossless line with a capacitor may peak later; along a very lossy one charge still creeps in.
    assert late <= max(1.5 * early, 0.01)  # V, of the 3 V that the source has at its peak


@pytest.mark.parametrize(
    "line",
    [Line(NS, 50.0, voltage=2.0), RlgcLine(0.2, 0.0, L, 0.0, C, voltage=2.0)],
    ids=["line", "rlgc"],
)
def test_v7_pulse_former(line, backend):
    """V0 / 2 for 2 T into the matched resistance, then nothing; all of C V0^2 / 2 arrives."""
    dt = 50 * PS
    traces = simulate(between(line, Resistor(50.0), Open()), 4 * NS, dt, ["src.voltage", "src.power"], backend=backend)
    assert traces["src.voltage"][:40] == pytest.approx(1.0, abs=1e-14)
    assert np.abs(traces["src.voltage"][40:]).max() < 1e-14
    assert traces["src.power"].sum() * dt == pytest.approx(0.5 * (NS / 50.0) * 4.0, rel=1e-12)
    assert traces.ledger.residual < 1e-13


def test_charged_lines_begin_at_rest():
    """Before it is known at an end, a charged line holds its voltage, with filters and losses as without them."""
    for line in (
        Line(1.03 * NS, 50.0, voltage=2.0, fractional="thiran"),
        RlgcLine(1.0, R, L, 0.0, C, voltage=2.0),
        RcLine(1e-3, 100e3, 100e-12, voltage=2.0),
    ):
        traces = simulate(
            between(line, Open(), Open()), 10 * NS, 10 * PS, ["src.voltage", "end.voltage", "end.current"]
        )
        assert traces["src.voltage"] == pytest.approx(2.0, abs=1e-6)
        assert traces["end.voltage"] == pytest.approx(2.0, abs=1e-6)
        assert np.abs(traces["end.current"]).max() < 1e-12
    leaking = simulate(
        between(Line(NS, 50.0, loss_db=2.0, voltage=1.0), Open(), Open()), 5 * NS, 10 * PS, ["end.voltage"]
    )
    # R/L = G/C: a uniform voltage decays like a travelling wave.
    assert leaking["end.voltage"] == pytest.approx(10 ** (-0.1 * leaking.time / NS), rel=1e-9)


def test_a_discharged_lossy_line_gives_all_its_charge():
    dt = 20 * PS
    traces = simulate(
        between(RlgcLine(1.0, R, L, 0.0, C, voltage=1.0), Resistor(50.0), Open()), 400 * NS, dt, ["src.current"]
    )
    assert traces["src.current"][0] == pytest.approx(0.01, rel=3e-4)
    assert traces["src.current"].sum() * dt == pytest.approx(C, rel=2e-3)


def test_diffusive_delay(backend):
    """Half of a step after 0.379 R C l^2 (0.38 in the textbooks) at the open end of an ideally driven wire."""
    line, dt = RcLine(1e-3, 100e3, 100e-12, modes=8), 0.05 * PS
    tau = 100e3 * 100e-12 * 1e-6
    traces = simulate(
        between(line, VoltageSource(Step(1.0), 0.0), Open()), 30 * PS, dt, ["end.voltage"], backend=backend
    )
    k = np.arange(60)
    time = traces.time - dt / 2
    series = 4 / np.pi * (-1.0) ** k / (2 * k + 1) * np.exp(-(((k + 0.5) * np.pi) ** 2) * time[:, None] / tau)
    exact = 1.0 - series.sum(axis=1)
    assert np.abs(traces["end.voltage"] - exact)[2:].max() < 4e-3
    half = np.interp(0.5, traces["end.voltage"], time)
    assert half / tau == pytest.approx(0.379, abs=2e-3)
    assert line.delay == pytest.approx(0.379 * tau, rel=1e-12)
    assert traces.ledger.residual < 1e-12 and traces.ledger["gain"] == 0.0


def test_optical_phase_of_many_cycles():
    """Index times length over wavelength, 9.5e8 cycles in a kilometre of fibre: the part of a cycle left is right to
    1e-6."""
    from fractions import Fraction

    cycles = Fraction(1000) * Fraction(14682, 10000) / Fraction(1550, 10**9)
    line = OpticalLine(1000.0, 1.4682, 1.4682, 1.55e-6)
    assert line.phase / (2 * np.pi) == pytest.approx(float(cycles % 1), abs=1e-6)
    assert line.delay == pytest.approx(4.89739e-6, rel=1e-5)


def test_optical_carriers_follow_the_group_index():
    """Two carriers one free spectral range apart, c / (n_g L), turn by one cycle more: to second order in the
    offset."""
    length, n_g, reference = 1e-3, 4.19088, 1.55e-6
    frequency = 299792458.0 / reference
    fsr = 299792458.0 / (n_g * length)
    carriers = 299792458.0 / (frequency + np.array([-1.0, 0.0, 1.0]) * fsr)
    line = OpticalLine(length, 2.44553, n_g, carriers, reference_wavelength=reference, loss_db_per_m=360.0)
    turns = np.exp(1j * np.asarray(line.phase))
    assert np.abs(turns - turns[1]).max() < 1e-8
    assert np.abs(line.gains[0]) == pytest.approx(10 ** (-0.36 / 20), rel=1e-12)


@pytest.mark.parametrize("dispersion", [17e-6, -100e-6])
def test_dispersion_turns_an_offset_as_it_should(dispersion, backend):
    """Phase of a settled offset after the line, against beta_2 L w^2 / 2; the error is the one reported."""
    dt, length = 5 * PS, 20.0
    line = OpticalLine(length, 1.45, 1.45, dispersion=dispersion, fractional="thiran", order=3)
    offset = 0.1 / dt
    net = between(line, VoltageSource(Carrier(Step(2.0), offset=offset), 50.0), Termination())
    reported = compile_network(net, dt).accuracies["w"]
    exact = scattering_parameters(net, [offset], ports=["src", "end"])["end", "src"][0]
    beta_2 = -dispersion * 1.55e-6**2 / (2 * np.pi * 299792458.0)
    plain = np.exp(
        -1j * (2 * np.pi * offset * line.delay + 0.5 * beta_2 * length * (2 * np.pi * offset) ** 2 + line.phase)
    )
    assert abs(exact - plain) < 1e-7
    stepped = scattering_parameters(net, [offset], ports=["src", "end"], dt=dt)["end", "src"][0]
    assert abs(stepped - exact) <= reported.error_below * 1.001 + 1e-6
    assert -np.angle(stepped / exact) / (0.2 * np.pi) == pytest.approx(reported.phase_delay_error, abs=1e-6)
    simulation = Simulation(compile_network(net, dt, reference_power=1.0), dtype="complex128", backend=backend)
    simulation.run(100)
    assert simulation.take_ledger().residual < 1e-12


def test_every_card_makes_a_line_that_runs():
    assert len(media()) == 10
    for name in media():
        line = medium(name).line({"generic_ideal": 1.0, "smf28": 1.0, "rg58": 1.0}.get(name, 1e-3))
        net = between(line, Resistor(50.0), Resistor(75.0))
        plan = compile_network(net, line.delay / 50)
        assert name in ("generic_ideal",) or plan.accuracies["w"].gain <= 1e-9


def test_cards_keep_their_loss():
    """RG-58: 1.4 dB per 100 ft at 10 MHz, from its card; FR-4: 0.48 + 3.05 dB/m at 1 GHz (copper and dielectric)."""
    line = medium("rg58").line(30.48)
    s = scattering_parameters(between(line, VoltageSource(resistance=54.035), Resistor(54.035)), [10e6], ["src", "end"])
    steady = 8.686 * 0.053 * 30.48 / (2 * 54.035)  # of the card's resistance at direct current, which stands beside it
    assert -20 * np.log10(abs(s["end", "src"][0])) == pytest.approx(1.4 + steady, rel=0.02)
    board = medium("fr4_microstrip_50").line(1.0)
    s = scattering_parameters(between(board, VoltageSource(resistance=49.5), Resistor(49.5)), [1e9], ["src", "end"])
    # The card's 3.05 dB/m is of the air-filled part too; a homogeneous dielectric loses pi f sqrt(LC) tan(delta).
    homogeneous = 8.686 * np.pi * 1e9 * np.sqrt(3.04e-7 * 1.24e-10) * 0.02
    assert -20 * np.log10(abs(s["end", "src"][0])) == pytest.approx(0.48 + homogeneous, rel=0.02)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: RlgcLine(-1.0, R, L, 0.0, C), NetworkError, "needs a length above zero"),
        (lambda: RlgcLine(1.0, -R, L, 0.0, C), NetworkError, "needs a resistance of at least 0"),
        (lambda: RcLine(1e-3, 0.0, C), NetworkError, "needs a resistance above zero"),
        (lambda: OpticalLine(1e-3, 2.4, 4.2, wavelength=-1.0), NetworkError, "wavelengths above zero"),
        (lambda: RlgcLine(1.0, R, L, 1e-3, C, voltage=1.0), CompileError, "leaks, so it is not at rest"),
        (lambda: RlgcLine(1e-3, R, L, 0.0, C), CompileError, "must last at least one step"),
        (lambda: medium("rg85"), DataError, "no medium 'rg85'"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        compile_network(between(make(), Resistor(50.0), Resistor(50.0)), 50 * PS)


def test_a_warm_heaviside_line_is_in_equilibrium():
    """Noise of a distortionless line between cold ends: kT (1 - g^2) leaves it at each, in units of kT / 2 dt."""
    from substrate.noise import BOLTZMANN

    dt = 50 * PS
    net = between(RlgcLine(1.0, R, L, 8e-3, C, temperature=300.0), Resistor(50.0), Resistor(50.0))
    traces = simulate(net, 20_000 * dt, dt, ["src.arriving", "end.arriving"], seed=3)
    for end in ("src", "end"):
        variance = np.mean(traces[f"{end}.arriving"][200:] ** 2) / (BOLTZMANN * 300.0 / (2 * dt))
        assert variance == pytest.approx(1.0 - np.exp(-0.8), abs=5 * np.sqrt(2 / 20_000))


def test_a_faulty_card_is_named(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text('kind = "medium"\nmodel = "rc"\n[params.R]\nvalue = 1.0\nunit = "ohm"\n')
    with pytest.raises(DataError, match=r"params.R is not a number that a rc medium has: R in ohm/m"):
        medium(path)
    path.write_text('kind = "medium"\nmodel = "rc"\n[params.R]\nvalue = 1.0\nunit = "ohm/m"\n')
    with pytest.raises(DataError, match="a rc medium needs C too"):
        medium(path)
