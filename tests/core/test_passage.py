"""Lines that are modulated or whose channels lag: closed forms, noise inside a network, equilibrium, books, bits."""

import numpy as np
import pytest

from substrate import DataSource, Line, Load, Network, Probe, Simulation, compile_network, simulate
from substrate.errors import CompileError, NetworkError
from substrate.frequency import scattering_parameters
from substrate.learning.layered import layered
from substrate.media import RlgcLine
from substrate.nodes import LaserSource, Open, Resistor, Short, Termination, VoltageSource
from substrate.noise.sources import PLANCK, Flicker, Telegraph, lorentzian_psd
from substrate.waveforms import Carrier, Noisy, Samples, Sine, Step

from .chains import samples
from .noise_runs import DENSE, DT, KELVIN, LIGHT, SIGMAS, recorded
from .test_noise_of_sources import agrees, density


def through(line, source=None, end=None, kelvin=0.0):
    net = Network()
    first = net.add(source or Termination(temperature=kelvin), "a")
    net.connect(first, net.add(end or Termination(temperature=kelvin), "b"), line, "w")
    return net


def random_steps(seed, steps=400):
    return Samples(np.random.default_rng(seed).uniform(0.2, 1.0, steps), DT)


# --- modulation -----------------------------------------------------------------------------------------------------


def test_a_modulator_acts_both_ways_at_the_same_moment(backend) -> None:
    """Out after D steps: m(t) x(t). Back from a short after 2 D: minus m(t) m(t + 2 D) x(t)."""
    m, x, delay, steps = random_steps(1), random_steps(2), 7, 60
    net = through(Line(delay * DT, modulation=m), LaserSource(x), Short())
    traces = simulate(net, steps * DT, DT, ["b.arriving", "a.arriving"], backend=backend)
    there, back = traces["b.arriving"], traces["a.arriving"]
    sent = m.values * x.values
    np.testing.assert_allclose(there[delay:], sent[: steps - delay], rtol=1e-14)
    expected = -sent[: steps - 2 * delay] * m.values[2 * delay : steps]
    np.testing.assert_allclose(back[2 * delay :], expected, rtol=1e-14)
    assert not np.any(there[:delay]) and not np.any(back[: 2 * delay])
    assert traces.ledger.residual < 1e-12


def test_a_frequency_shifter(backend) -> None:
    shifter = Line(5 * DT, modulation=Carrier(Step(0.5), offset=50e9))
    net = through(shifter, LaserSource(Step(1.0)))
    seen = simulate(net, 80 * DT, DT, ["b.arriving"], backend=backend, dtype="complex128")["b.arriving"][5:]
    moments = (np.arange(len(seen)) + 1) * DT
    np.testing.assert_allclose(seen, 0.5 * np.exp(2j * np.pi * 50e9 * moments), atol=1e-13)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_flicker_and_thermorefraction_inside_a_network(dt) -> None:
    """A guide whose phase has 1/f noise, and one whose phase wanders: the phase behind it has exactly that spectrum."""
    pink = Flicker(1e-4, 1e9, 1e11)
    for noisy, kind, psd in (
        (Noisy(Step(1.0), phase_flicker=pink), "flicker", lambda f: pink.psd(f, dt)),
        (Noisy(Step(1.0), wander=0.02, wander_time=10 * DT), "wander", lambda f: lorentzian_psd(f, 10 * DT, 4e-4, dt)),
    ):
        net = through(Line(4 * DT, loss_db=1.0, modulation=noisy), LaserSource(Step(1.0)))
        options = {"dtype": "complex128", "dt": dt, "settle": 10}
        phase = np.angle(recorded(net, ["b"], round(3000 * DT / dt), 100, **options)["b"])
        f, measured, spread = density(phase, dt)
        keep = slice(1, -1)
        agrees(measured[keep], psd(f[keep]), spread)
        still = recorded(net, ["b"], 50, 2, noise=[k for k in ("thermal", "shot") if k != kind], **options)["b"]
        assert np.ptp(still.real) == 0.0


def test_a_trap_that_dims_a_line() -> None:
    trap = Telegraph(up=2e10, down=3e10)
    line = Line(3 * DT, modulation=Noisy(Step(1.0), telegraph=trap, telegraph_size=0.1))
    seen = recorded(through(line, LaserSource(Step(1.0))), ["b"], 4000, 100, settle=10)["b"]
    assert set(np.unique(seen.round(12))) == {0.9, 1.0}
    f, measured, spread = density(seen, DT)
    agrees(measured[1:-1], 0.01 * trap.psd(f[1:-1], DT), spread)


def test_a_modulated_warm_line_is_in_equilibrium() -> None:
    """Whatever it absorbs it emits: kT leaves a modulated network at every moment; without that noise it is missed."""
    net = through(Line(6 * DT, 50.0, 2.0, temperature=KELVIN, modulation=Sine(0.5, 3e10, offset=0.5)), kelvin=KELVIN)
    for wave in recorded(net, ["a", "b"], 400, 300).values():
        bound = SIGMAS * np.sqrt(2.0 / wave.size)
        assert abs(np.mean(wave**2) * DENSE - 1.0) < bound
        for part in np.array_split(np.mean(wave[:330] ** 2, axis=1).reshape(-1, 33).mean(axis=0) * DENSE, 8):
            assert abs(part.mean() - 1.0) < SIGMAS * np.sqrt(2.0 / (wave[:330].size / 33 * len(part)))
    cold = through(Line(6 * DT, modulation=Sine(0.5, 3e10, offset=0.5)), kelvin=KELVIN)
    assert np.mean(recorded(cold, ["b"], 400, 300)["b"] ** 2) * DENSE < 0.6


def test_a_modulator_keeps_the_vacuum() -> None:
    net = through(Line(6 * DT, modulation=Carrier(Step(0.3), 5e9)))
    wave = recorded(net, ["b"], 400, 200, dtype="complex128", settle=20, carrier=LIGHT)["b"]
    photons = np.mean(np.abs(wave) ** 2) * DT / (PLANCK * LIGHT)
    assert abs(photons / 0.5 - 1.0) < SIGMAS / np.sqrt(wave.size)


def test_books_close_and_a_pump_is_booked_as_injected() -> None:
    pumped = Line(6 * DT, 50.0, 1.0, temperature=KELVIN, modulation=Sine(0.8, 4e10, offset=0.7))
    net = through(pumped, VoltageSource(Sine(1.0, 1e10), resistance=30.0), Resistor(200.0, KELVIN))
    ledger = simulate(net, 3000 * DT, DT, ["b.voltage"]).ledger
    assert ledger.residual < 1e-12
    alone = simulate(net.changed({"w.modulation": None}), 3000 * DT, DT, ["b.voltage"]).ledger
    assert ledger["injected"] > 1.2 * alone["injected"]


def waves_of(net, batch=4, cuts=(300,), backend="cpu", dtype="complex128", start=None, at="b", **options):
    plan = compile_network(net, DT, reference_power=1.0, probes=[Probe(at)])
    simulation = Simulation(plan, batch=batch, backend=backend, dtype=dtype, **options)
    if start is not None:
        simulation.restore(start)
    for steps in cuts:
        simulation.run(steps)
    simulation.take_ledger()
    return simulation.take_probes()[f"{at}.arriving"][:, 0], simulation.checkpoint()


def fluctuating():
    noisy = Noisy(
        Step(0.9), phase_flicker=Flicker(1e-3, 1e9, 1e11), telegraph=Telegraph(1e11, 2e11), telegraph_size=0.2
    )
    net = through(
        Line(9 * DT, 50.0, 1.0, temperature=KELVIN, modulation=noisy), LaserSource(Step(1e-4)), Resistor(20.0)
    )
    net.nodes["a"] = LaserSource(Noisy(Step(1e-4), linewidth=1e9))
    return net


def test_modulation_has_the_same_bits_however_a_run_is_cut() -> None:
    whole, _ = waves_of(fluctuating())
    assert np.array_equal(waves_of(fluctuating(), cuts=(1, 130, 169))[0], whole)
    assert np.array_equal(waves_of(fluctuating(), block=2)[0], whole)
    parts = [waves_of(fluctuating(), batch=2, batch_offset=offset)[0] for offset in (0, 2)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    first, state = waves_of(fluctuating(), cuts=(111,))
    second, _ = waves_of(fluctuating(), cuts=(189,), start=state)
    assert np.array_equal(np.concatenate([first, second]), whole)


def test_modulation_is_the_same_on_every_backend(backend) -> None:
    expected, _ = waves_of(fluctuating(), cuts=(60,))
    found, _ = waves_of(fluctuating(), cuts=(60,), backend=backend)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


# --- skew -----------------------------------------------------------------------------------------------------------


def bundle(skew, delay=4):
    net = Network()
    net.connect(net.add(DataSource(3), "x"), net.add(Load(3, "mse"), "load"), Line(delay * DT, skew=skew), "w")
    return net


def test_channels_lag_both_ways(backend) -> None:
    """What is held at the source arrives in channel c after D + s_c steps, and its error is back after twice that."""
    lags, delay = (0, 5, 2), 4
    plan = compile_network(bundle([lag * DT for lag in lags]), DT, probes=[Probe("load.in"), Probe("x.out")])
    simulation = Simulation(plan, batch=2, backend=backend)
    x, target = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.zeros((2, 3))
    simulation.hold({"x": x, "load": target})
    simulation.run(30)
    seen = simulation.take_probes()
    there, back = seen["load.in.arriving"], seen["x.out.arriving"]
    settled = back[-1]
    for channel, lag in enumerate(lags):
        first = delay + lag
        assert not np.any(there[:first, channel]) and np.array_equal(
            there[first:, channel], [x[:, channel]] * (30 - first)
        )
        assert not np.any(back[: 2 * first, channel])
        assert np.array_equal(back[2 * first :, channel], [settled[channel]] * (30 - 2 * first))
    assert np.all(settled != 0.0)
    assert simulation.take_ledger().residual < 1e-12


def trained_drive(skew, backend="cpu", cut=(0,)):
    net = layered([4, 3, 2], line=[Line(4 * DT, loss_db=0.5, skew=skew[0]), Line(3 * DT, skew=skew[1])], seed=3)
    x, targets = samples(net, 5)
    simulation = Simulation(compile_network(net, DT), batch=5, backend=backend)
    simulation.hold({"input": x, "load": targets})
    for steps in cut:
        simulation.run(steps)
    simulation.run(80 - sum(cut))
    simulation.listen(10)
    assert simulation.take_ledger().residual < 1e-12
    return {name: simulation.stepper.to_host(drive) for name, drive in simulation.state.drive.items()}


def test_lagging_channels_leave_settled_gradients_as_they_are(backend) -> None:
    """A skew delays, it does not change where the waves settle; while they settle it does."""
    skew = ([0.0, 3 * DT, DT], [2 * DT, 0.0])
    exact, found = trained_drive(((), ())), trained_drive(skew, backend)
    for name, drive in exact.items():
        np.testing.assert_allclose(found[name], drive, rtol=0, atol=1e-13 * np.abs(drive).max())
    assert all(np.array_equal(a, b) for a, b in zip(trained_drive(skew, cut=(1, 17)).values(),
                                                    trained_drive(skew).values(), strict=True))  # fmt: skip


def test_a_skewed_run_goes_on_from_a_checkpoint() -> None:
    net = bundle([0.0, 5 * DT, 2 * DT])

    def run(steps, arrays=None):
        simulation = Simulation(compile_network(net, DT, probes=[Probe("x.out")]), batch=1)
        simulation.hold({"x": np.array([[1.0, 2.0, 3.0]]), "load": np.zeros((1, 3))})
        if arrays is not None:
            simulation.restore(arrays)
        simulation.run(steps)
        return simulation.take_probes()["x.out.arriving"], simulation.checkpoint()

    whole, _ = run(25)
    first, state = run(7)
    assert np.array_equal(np.concatenate([first, run(18, state)[0]]), whole)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Line(DT, skew=[-1.0]), NetworkError, "at least 0 s"),
        (lambda: Line(DT, modulation=0.5), NetworkError, "is a waveform"),
        (lambda: Line(DT, modulation=Step(1.0), skew=[0.0]), NetworkError, "make two lines"),
        (lambda: compile_network(bundle([DT]), DT), CompileError, "has 3 channels, but skew has 1"),
        (lambda: compile_network(through(Line(DT, skew=[DT])), DT), CompileError, "no bundle of layers"),
        (
            lambda: compile_network(through(RlgcLine(1e-3, 1e3, 1e-6, 0, 1e-10, modulation=Step(1.0))), DT),
            CompileError,
            "cannot be modulated",
        ),
        (
            lambda: scattering_parameters(through(Line(DT, modulation=Step(1.0))), [1e9]),
            NetworkError,
            "no frequency response",
        ),
        (
            lambda: simulate(through(Line(DT, modulation=Carrier(Step(1.0)))), 5 * DT, DT, ["b.arriving"]),
            NetworkError,
            "dtype='complex128'",
        ),
        (
            lambda: simulate(through(Line(4 * DT, modulation=Step(1.0))), 5 * DT, DT, ["w@0.5.voltage"]),
            NetworkError,
            "a line with a modulation or a skew are not kept",
        ),
    ],
)
def test_refusals(make, error, words) -> None:
    with pytest.raises(error, match=words):
        make()


def test_an_open_modulated_stub_rings_down() -> None:
    """Loss by modulation alone: each round trip of a stub takes m^2."""
    net = through(Line(5 * DT, modulation=Step(0.9)), LaserSource(Samples(np.eye(1)[0], DT)), Open())
    seen = simulate(net, 12 * DT, DT, ["a.arriving"])["a.arriving"]
    assert seen[10] == pytest.approx(0.81) and np.count_nonzero(seen) == 1
