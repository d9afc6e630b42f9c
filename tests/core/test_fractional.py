"""Fractional delays: the errors a plan reports are those measured; filters keep the energy they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate import Line, Network, ParallelJunction, Resistor, Termination, VoltageSource, compile_network, simulate
from substrate.errors import CompileError, NetworkError
from substrate.filters import dispersive_allpass, linear_delay, thiran_delay
from substrate.frequency import scattering_parameters
from substrate.nodes import Coupler
from substrate.waveforms import Carrier, Samples, Step

DT = 1e-12
TENTH = np.exp(2j * np.pi * np.array([0.1]))


def matched(line: Line, waveform=None) -> Network:
    net = Network()
    source = VoltageSource(Samples(np.array([2.0]), DT) if waveform is None else waveform, 50.0)
    net.connect(net.add(source, "src"), net.add(Termination(), "end"), line, "w")
    return net


@pytest.mark.parametrize(
    ("share", "magnitude", "lag"), [(0.5, 0.95105652, 0.51265), (0.25, 0.96352549, 0.25800)], ids=["half", "quarter"]
)
def test_v15_numbers(share, magnitude, lag):
    """V15: |H| of linear interpolation, |H| = 1 and phase delay of Thiran's first order, at a tenth of the rate."""
    assert abs(linear_delay(share).response(TENTH)[0]) == pytest.approx(magnitude, abs=5e-9)
    allpass = thiran_delay(share, 1).response(TENTH)[0]
    assert abs(allpass) == pytest.approx(1.0, abs=1e-14)
    assert -np.angle(allpass) / (0.2 * np.pi) == pytest.approx(lag, abs=5e-6)
    delay = (10 + share) * DT
    plans = {kind: compile_network(matched(Line(delay, fractional=kind, order=1)), DT) for kind in ("linear", "thiran")}
    reported = {kind: plan.accuracies["w"] for kind, plan in plans.items()}
    assert reported["linear"].magnitude_error == pytest.approx(magnitude - 1.0, abs=5e-9)
    assert reported["thiran"].magnitude_error == pytest.approx(0.0, abs=1e-14)
    assert reported["thiran"].phase_delay_error == pytest.approx(lag - share, abs=5e-6)
    assert "fractional delay" in plans["linear"].report()


@pytest.mark.parametrize("kind", ["linear", "thiran"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("delay", [10.37, 6.5, 8.02])
def test_the_reported_error_is_the_measured_error(kind, order, delay, backend):
    """One pass of an impulse, its Fourier transform against exp(-i w delay) at the frequency the report names."""
    net = matched(Line(delay * DT, fractional=kind, order=order))
    reported = compile_network(net, DT).accuracies["w"]
    traces = simulate(net, 220 * DT, DT, ["end.voltage"], backend=backend)
    step = np.arange(220)
    sent = np.sum(traces["end.voltage"] * np.exp(-2j * np.pi * reported.frequency * DT * step))
    ratio = sent * np.exp(2j * np.pi * reported.frequency * DT * delay)
    assert abs(ratio) - 1.0 == pytest.approx(reported.magnitude_error, abs=1e-9)
    assert -np.angle(ratio) / (0.2 * np.pi) == pytest.approx(reported.phase_delay_error, abs=1e-9)
    assert traces.ledger.residual < 1e-13


def ring(round_trip: float, **options) -> Network:
    """An all-pass ring whose round trip lasts ``round_trip`` steps, and loses a little so that its dips are seen."""
    net = Network()
    net.add(Coupler(0.1), "coupler")
    net.connect(net.add(VoltageSource(Step(1.0), 50.0), "in"), "coupler.in1", Line(5 * DT))
    net.connect("coupler.out1", net.add(Termination(), "out"), Line(5 * DT))
    net.connect("coupler.out2", "coupler.in2", Line(round_trip * DT, loss_db=0.3, **options), "ring")
    return net


def dip(network: Network, guess: float) -> float:
    """Frequency (1/steps) of the resonance nearest to ``guess``, of the plan that is stepped."""
    f = guess + np.linspace(-4e-3, 4e-3, 4001)
    s = scattering_parameters(network, f / DT, ports=["in", "out"], dt=DT)["out", "in"]
    k = int(np.argmin(np.abs(s)))
    a, b, c = np.abs(s[k - 1 : k + 2]) ** 2
    return float(f[k] + 0.5 * (a - c) / (a - 2 * b + c) * (f[1] - f[0]))


@pytest.mark.parametrize("round_trip", [10.1, 10.37, 10.5, 10.9, 25.25])
def test_free_spectral_range_at_the_carrier(round_trip):
    """The spacing of resonances is 1 / round trip to 0.1 %, and off by what the plan says its delay is off there."""
    net = ring(round_trip, fractional="thiran", order=3)
    found = dip(net, 1.0 / round_trip) - dip(net, 0.0)
    assert found * round_trip == pytest.approx(1.0, abs=1e-3)
    whole = ring(float(round(round_trip)))
    rounded = dip(whole, 1.0 / round(round_trip)) - dip(whole, 0.0)
    assert rounded == pytest.approx(1.0 / round(round_trip), rel=1e-6)
    # At the resonance w (T + error) = 2 pi, so the spacing is off by - error / T; the error grows like w^6 below.
    error = -np.angle(thiran_response(net, found) * np.exp(2j * np.pi * found * round_trip)) / (2 * np.pi * found)
    assert found * round_trip - 1.0 == pytest.approx(-error / round_trip, rel=2e-2, abs=1e-7)


def thiran_response(network: Network, frequency: float) -> complex:
    """One pass of the ring's line at ``frequency`` (1/steps), measured alone."""
    return complex(
        scattering_parameters(matched(network.connections["ring"].line), [frequency / DT], ports=["src", "end"], dt=DT)[
            "end", "src"
        ][0]
        * 10 ** (0.3 / 20)
    )


def test_a_ring_settles_to_its_frequency_response(backend):
    """Complex envelope, one offset per sample of a batch: the settled output is the frequency solve to 1e-9."""
    offsets = np.array([0.0, 0.03, -0.07]) / DT
    net = ring(10.37, fractional="thiran", order=2)
    net.nodes["in"] = VoltageSource(Carrier(Step(2.0), offset=offsets), 50.0)
    traces = simulate(net, 3000 * DT, DT, ["out.arriving"], batch=3, dtype="complex128", backend=backend)
    last = traces["out.arriving"][-1] * np.exp(-2j * np.pi * offsets * traces.time[-1]) * np.sqrt(50.0)
    exact = scattering_parameters(net, offsets, ports=["in", "out"], dt=DT)["out", "in"]
    # The source is sampled at the end of a step: its wave is one step ahead of the z domain's.
    assert np.allclose(last, exact, atol=1e-9)


@given(st.floats(4.6, 40.0), st.integers(1, 5), st.floats(5.0, 500.0), st.floats(5.0, 500.0), st.integers(0, 2**32 - 1))
def test_allpass_lines_keep_energy(delay, order, first, second, seed):
    """Between lossless ends a Thiran line keeps what is in it to rounding, whatever its length and order."""
    rng = np.random.default_rng(seed)
    net = Network()
    net.add(ParallelJunction(2), "joint")
    net.connect(net.add(VoltageSource(Samples(rng.normal(size=20), DT), 0.0), "src"), "joint.p1", Line(3 * DT, first))
    line = Line(delay * DT, second, fractional="thiran", order=order)
    try:
        net.connect("joint.p2", net.add(Resistor(np.inf), "end"), line)
        plan = compile_network(net, DT)
    except CompileError:
        assert delay < order + 1
        return
    from substrate import Simulation

    simulation = Simulation(plan)
    simulation.run(20)
    before = simulation.take_ledger().stored
    simulation.run(400)
    ledger = simulation.take_ledger()
    assert ledger.stored == pytest.approx(before, rel=1e-11)
    assert ledger["dissipated_nodes"] + ledger["gain"] <= 1e-11 * before


def test_linear_interpolation_dissipates_and_never_gains():
    traces = simulate(matched(Line(7.5 * DT, fractional="linear")), 40 * DT, DT, ["end.voltage"])
    assert traces.ledger["gain"] == 0.0 and traces.ledger.residual < 1e-14
    assert np.flatnonzero(traces["end.voltage"]).tolist() == [7, 8]
    assert traces["end.voltage"][7:9] == pytest.approx([0.5, 0.5], abs=1e-15)


def test_rounding_stays_the_default_and_is_told():
    with pytest.warns(UserWarning, match="lasts 10.4000 steps and is rounded to 10"):
        plan = compile_network(matched(Line(10.4 * DT)), DT)
    assert plan.lines[0].steps == 10 and not plan.accuracies


def test_whole_delays_need_no_filter():
    plan = compile_network(matched(Line(10 * DT, fractional="thiran", order=4)), DT)
    assert plan.lines[0].steps == 10 and plan.accuracies["w"].states == 0


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        (lambda: Line(DT, fractional="cubic"), NetworkError, "fractional must be one of none, linear, thiran"),
        (
            lambda: Line(2.5 * DT, fractional="thiran", order=4),
            CompileError,
            "too short for a thiran filter of order 4",
        ),
        (lambda: Line(0.5 * DT, fractional="linear"), CompileError, "must last at least one step"),
    ],
)
def test_refusals(line, error, words):
    with pytest.raises(error, match=words):
        compile_network(matched(line()), DT)


def test_wide_nodes_have_no_place_for_a_filter():
    from substrate import DataSource, Load

    net = Network()
    net.connect(
        net.add(DataSource(1), "x"), net.add(Load(1, "mse"), "load"), Line(2.5 * DT, fractional="thiran", order=1)
    )
    with pytest.raises(CompileError, match="needs filters at its ends, which 'x' has no place for"):
        compile_network(net, DT)


@pytest.mark.parametrize("slope", [1e-4, 0.02, -0.3])
def test_dispersive_section_is_right_to_the_third_order(slope):
    """Phase against -(tau w + slope w^2 / 2): the error at 2 w is 16 times that at w (fourth order)."""
    section, delay, _ = dispersive_allpass(slope)
    w = np.array([0.05, 0.1])
    error = np.angle(section.response(np.exp(1j * w)) * np.exp(1j * w * delay + 0.5j * slope * w**2))
    assert np.abs(section.response(np.exp(1j * np.linspace(-3, 3, 50)))) == pytest.approx(1.0, abs=1e-12)
    assert abs(error[1] / error[0]) == pytest.approx(16.0, rel=0.15)
