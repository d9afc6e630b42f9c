"""Physical noise sources: power spectral densities with confidence bounds, and controls that must fail.

A periodogram ordinate of a stationary process is exponentially distributed about the density, so a mean of n of them
has the relative error 1 / sqrt(n). Every check asks for 4.5 of those; an amplitude 5 % too large (10 % in power) must
fail it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate.errors import ConfigError
from substrate.noise import BOLTZMANN, Array, normals, pass_noise_sigma, sources, thermal_variance, uniforms

SAMPLES, SERIES = 512, 400
SIGMAS = 4.5
F0 = 193.4e12  # Hz, the C band
H, Q = sources.PLANCK, sources.ELEMENTARY_CHARGE


def periodogram(x: Array, dt: float) -> tuple[Array, Array]:
    """Frequencies and one-sided PSD of series x [samples, series], mean over series; the ends of the band left out."""
    window = np.hanning(len(x) + 1)[:-1, None]
    density = 2 * dt * np.abs(np.fft.rfft(x * window, axis=0)) ** 2 / np.sum(window**2)
    return np.fft.rfftfreq(len(x), dt)[2:-2], density.mean(axis=1)[2:-2]


def fits(x: Array, dt: float, psd: Callable[[Array], Array | float], bands: int = 5) -> bool:
    """Whether the PSD of x [samples, series] agrees with `psd` within the confidence bounds, in each of some bands."""
    frequency, density = periodogram(x, dt)
    ratios = np.array_split(density / psd(frequency), bands)
    # A Hann window correlates neighbouring ordinates: a mean over them counts 18/35 as many.
    return all(abs(r.mean() - 1) < SIGMAS / np.sqrt(len(r) * x.shape[1] * 18 / 35) for r in ratios)


def white(source: int, samples: int = SAMPLES) -> Array:
    """Normals [samples, series]."""
    return normals(42, source, 0, 1, SERIES, steps=samples)[0]


def stepped(create: Callable[[Array], Array], advance: Callable[[Array, Array], Array], draws: Array) -> Array:
    """The path [samples, ...] of a stepped source with draws [samples, ...]."""
    state = create(draws[0])
    path = [state]
    for draw in draws[1:]:
        state = advance(state, draw)
        path.append(state)
    return np.array(path)


# --- white sources: variance S / (2 dt) at any dt ---------------------------------------------------------------------


@dataclass(frozen=True)
class White:
    """A white source with its documented one-sided density, and how to scale normals at a given dt."""

    density: float
    sigma: Callable[[float], float]


P = 1e-3  # W, reference power
WHITE = {
    "thermal wave": White(BOLTZMANN * 300 / P, lambda dt: float(thermal_variance(300.0, dt, P)) ** 0.5),
    "lossy pass": White(0.36 * BOLTZMANN * 300 / P, lambda dt: float(pass_noise_sigma(0.8, 300.0, dt, P))),
    "Johnson voltage": White(
        4 * BOLTZMANN * 300 * 50, lambda dt: float(sources.johnson_voltage_variance(50.0, 300.0, dt)) ** 0.5
    ),
    "shot": White(2 * Q * 1e-3, lambda dt: float(sources.shot_variance(-1e-3, dt)) ** 0.5),
    "RIN": White(10**-15.5, lambda dt: sources.rin_variance(-155.0, dt) ** 0.5),
    # Envelopes: one quadrature of a band of 1 / dt, half of the density per hertz each; one-sided twice that.
    "vacuum quadrature": White(H * F0 / 2 / P, lambda dt: (sources.vacuum_variance(F0, dt, P) / 2) ** 0.5),
    "attenuation": White(0.3 * H * F0 / 2 / P, lambda dt: float(sources.attenuation_sigma(0.7, F0, dt, P))),
    "optical amplifier": White(
        H * F0 * 1.5 * 99 / P, lambda dt: float(sources.optical_amplifier_sigma(100.0, 1.5, F0, dt, P))
    ),
    "RF amplifier": White(
        BOLTZMANN * 290 * (10**0.3 - 1) / P, lambda dt: sources.amplifier_variance(3.0, dt, P) ** 0.5
    ),
}


@pytest.mark.parametrize("name", WHITE)
@pytest.mark.parametrize("dt", [1e-12, 0.5e-12])
def test_a_white_source_has_its_density_at_any_dt(name: str, dt: float) -> None:
    source = WHITE[name]
    x = source.sigma(dt) * white(1)
    assert fits(x, dt, lambda f: source.density)
    assert not fits(1.05 * x, dt, lambda f: source.density)
    assert not fits(1.1 * x, dt, lambda f: source.density)


def test_a_laser_has_its_frequency_density_and_linewidth() -> None:
    """S_nu = dnu / pi, and coherence exp(-pi dnu t) of the field, whose transform is a Lorentzian of width dnu."""
    linewidth, dt = 1e6, 1e-9
    for step in (dt, dt / 2):
        phase = np.cumsum(sources.laser_phase_sigma(linewidth, step) * white(2), axis=0)
        frequency = np.diff(phase, axis=0) / (2 * np.pi * step)
        assert fits(frequency, step, lambda f: linewidth / np.pi)
        assert not fits(1.1 * frequency, step, lambda f: linewidth / np.pi)
    lag = 64
    coherence = np.exp(1j * (phase[lag:] - phase[:-lag])).mean()
    assert abs(coherence - np.exp(-np.pi * linewidth * lag * dt / 2)) < SIGMAS * 0.6 / np.sqrt(phase.size / lag)


def test_shot_noise_is_the_variance_of_counted_charges() -> None:
    current, dt, n = 1e-6, 1e-10, 200_000
    counted = np.random.default_rng(3).poisson(current * dt / Q, n) * Q / dt
    assert counted.mean() == pytest.approx(current, rel=1e-3)
    assert counted.var() == pytest.approx(float(sources.shot_variance(current, dt)), rel=SIGMAS * np.sqrt(2 / n))


def test_attenuation_keeps_the_vacuum_and_an_ideal_amplifier_adds_the_least() -> None:
    eta = np.linspace(0, 1, 11)
    vacuum = sources.vacuum_variance(F0, 1e-12, P)
    assert np.allclose(eta * vacuum + 2 * sources.attenuation_sigma(eta, F0, 1e-12, P) ** 2, vacuum, rtol=1e-14)
    # Caves: vacuum leaves an ideal amplifier as G hf/2 + (G - 1) hf/2, that is hf/2 and an emission of (G - 1) hf.
    amplified = vacuum + 2 * sources.optical_amplifier_sigma(100.0, 1.0, F0, 1e-12, P) ** 2
    assert amplified == pytest.approx((2 * 100 - 1) * vacuum)


@given(st.integers(1, 5), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_bosma_noise_completes_a_passive_scattering(n: int, seed: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    s = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)) * (seed % 2)
    s *= gain / np.linalg.norm(s, 2)
    k = sources.bosma_factor(s)
    assert np.allclose(s @ s.conj().T + k @ k.conj().T, np.eye(n), atol=1e-12)
    assert np.isrealobj(k) or seed % 2 == 1 or np.abs(k.imag).max() < 1e-12


def test_quantum_density_joins_thermal_noise_and_vacuum() -> None:
    assert sources.quantum_power_density(1e6, 300.0) == pytest.approx(BOLTZMANN * 300, rel=1e-9)
    assert sources.quantum_power_density(F0, 300.0) == pytest.approx(H * F0 / 2, rel=1e-12)
    assert sources.quantum_power_density(5e9, 0.0) == H * 5e9 / 2


# --- coloured sources -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_ornstein_uhlenbeck(dt: float) -> None:
    tau, sigma = 8.0, 3.0
    xi = white(3)
    x = stepped(lambda d: sigma * d, lambda s, d: sources.ou_step(s, dt, tau, sigma, d), xi)
    assert fits(x, dt, lambda f: sources.lorentzian_psd(f, tau, sigma**2, dt))
    assert not fits(1.1 * x, dt, lambda f: sources.lorentzian_psd(f, tau, sigma**2, dt))
    assert not fits(x, dt, lambda f: sources.lorentzian_psd(f, 1.1 * tau, sigma**2, dt))


def test_one_long_ornstein_uhlenbeck_step_is_many_short_ones() -> None:
    """Mean and variance compose exactly, whatever dt: x -> r x and v -> sigma^2 + r^2 (v - sigma^2)."""
    tau, sigma = 2.0, 3.0
    zero, one = np.array(0.0), np.array(1.0)
    parts = [0.1, 3.0, 0.4]
    mean, variance = np.array(5.0), 0.0
    for dt in parts:
        mean = sources.ou_step(mean, dt, tau, sigma, zero)
        decay = sources.ou_step(one, dt, tau, sigma, zero)
        variance = decay**2 * variance + sources.ou_step(zero, dt, tau, sigma, one) ** 2
    assert mean == pytest.approx(sources.ou_step(np.array(5.0), sum(parts), tau, sigma, zero), rel=1e-14)
    assert variance == pytest.approx(sources.ou_step(zero, sum(parts), tau, sigma, one) ** 2, rel=1e-14)


@pytest.mark.parametrize("dt", [1 / 400, 1 / 800])
def test_flicker(dt: float) -> None:
    """The path has the density of its two processes per decade, which is A / f a decade inside the band, at any dt."""
    pink, series = sources.Flicker(amplitude=2.0, low=0.1, high=100.0), 100
    draws = normals(42, 4, 0, pink.count, series, steps=round(4.0 / dt)).transpose(1, 0, 2)
    path = stepped(pink.create, lambda s, d: pink.advance(s, dt, d), draws).sum(axis=1)
    assert fits(path, dt, lambda f: pink.psd(f, dt))
    assert not fits(1.1 * path, dt, lambda f: pink.psd(f, dt))
    frequency, density = periodogram(path, dt)
    inside = (frequency >= 1) & (frequency <= 10)
    slope = np.polyfit(np.log(frequency[inside]), np.log(density[inside]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.08)
    assert np.mean(density[inside] * frequency[inside]) == pytest.approx(0.97 * pink.amplitude, rel=0.07)


def test_flicker_in_continuous_time_is_one_over_f_inside_its_band() -> None:
    pink = sources.Flicker(amplitude=1.0, low=1.0, high=1e6)
    f = np.logspace(1, 5, 200)
    assert np.abs(pink.psd(f) * f - 1).max() < 0.07
    assert pink.count * pink.sigma**2 == pytest.approx(np.log(1e6))
    assert pink.sigma**2 == pytest.approx(np.log(10) / 2)
    assert sources.Flicker(1.0, 1.0, 1.5).count == 1


@pytest.mark.parametrize("dt", [0.02, 0.01])
def test_telegraph(dt: float) -> None:
    trap = sources.Telegraph(up=5.0, down=2.0)
    u = uniforms(42, 5, 0, 1, SERIES, steps=SAMPLES)[0]
    x = stepped(trap.create, lambda s, d: trap.advance(s, dt, d), u)
    assert set(np.unique(x)) == {0.0, 1.0}
    # Ordinates of a two-state process are only nearly exponential; the bounds hold with the mean over many series.
    assert fits(x - trap.mean, dt, lambda f: trap.psd(f, dt))
    assert not fits(1.1 * (x - trap.mean), dt, lambda f: trap.psd(f, dt))
    dwell = 1 / (trap.up + trap.down)
    independent = x.size * dt / (2 * dwell)
    assert abs(x.mean() - 5 / 7) < SIGMAS * np.sqrt(trap.variance / independent)


@given(st.floats(0, 10), st.floats(0.01, 10), st.floats(0, 3), st.floats(0, 3))
def test_telegraph_chances_compose(up: float, down: float, first: float, second: float) -> None:
    """Chapman-Kolmogorov: the chance of 1 after two steps is that after one long step."""
    trap = sources.Telegraph(up, down)
    fine = np.linspace(0.5e-4, 1 - 0.5e-4, 10_000)

    def chance(state: float, dt: float) -> float:
        return float(trap.advance(np.full(fine.shape, state), dt, fine).mean())

    for state in (0.0, 1.0):
        middle = chance(state, first)
        twice = middle * chance(1.0, second) + (1 - middle) * chance(0.0, second)
        assert twice == pytest.approx(chance(state, first + second), abs=4e-4)


def test_a_dead_trap_stays() -> None:
    assert sources.Telegraph(0.0, 1.0).create(np.array([0.0, 0.5])).tolist() == [0.0, 0.0]


# --- quantiser --------------------------------------------------------------------------------------------------------


@given(st.integers(2, 16), st.floats(0.1, 10), st.lists(st.floats(-20, 20), min_size=1, max_size=20))
def test_quantiser_rounds_to_the_nearest_level(bits: int, bound: float, values: list[float]) -> None:
    quantise = sources.Quantiser(bits, bound)
    x = np.array(values)
    y = quantise(x)
    assert np.abs(y).max() <= bound * (1 + 1e-12)
    inside = np.abs(x) <= bound
    assert np.all(np.abs(y - x)[inside] <= quantise.step / 2 * (1 + 1e-9))
    assert np.allclose(np.abs(y[~inside]), bound, rtol=1e-12)
    assert np.array_equal(quantise(y), y)
    assert np.array_equal(quantise(-x), -y)


@pytest.mark.parametrize("bits", [7, 9, 12])
def test_a_full_scale_sine_keeps_6_02_dB_a_bit(bits: int) -> None:
    quantise = sources.Quantiser(bits, 1.0)
    x = np.sin(2 * np.pi * np.sqrt(2) * np.arange(200_000))
    ratio = 10 * np.log10(np.mean(x**2) / np.mean((quantise(x) - x) ** 2))
    exact = 10 * np.log10(1.5 * (2**bits - 2) ** 2)
    assert ratio == pytest.approx(exact, abs=0.3)
    assert exact == pytest.approx(6.02 * bits + 1.76, abs=0.2)


def test_a_quiet_signal_has_no_quantisation_noise() -> None:
    """Why the rounding itself is modelled and not a variance of LSB^2 / 12."""
    assert not sources.Quantiser(7, 1.0)(np.full(10, 0.3 / 126)).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: sources.Quantiser(1, 1.0),
        lambda: sources.Quantiser(7, 0.0),
        lambda: sources.Flicker(1.0, 10.0, 1.0),
        lambda: sources.Telegraph(0.0, 0.0),
        lambda: sources.attenuation_sigma(1.1, F0, 1e-12, P),
        lambda: sources.optical_amplifier_sigma(0.5, 1.0, F0, 1e-12, P),
        lambda: sources.amplifier_variance(-1.0, 1e-12, P),
        lambda: sources.bosma_factor([[1.1]]),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()
