"""Noise of currents and lasers: shot noise of a photodetector, the line width that a phase walk makes."""

import numpy as np

from substrate.noise import BOLTZMANN, normals
from substrate.noise.sources import johnson_voltage_variance, laser_phase_sigma, shot_variance
from substrate.validation.case import Measured, case

SIGMAS = 4.5


def walks(count: int, steps: int, sigma: float) -> np.ndarray:
    """Phases ``[steps, count]`` of lasers that walk by ``sigma`` (rad) at every step."""
    return np.cumsum(sigma * normals(5, 1, 0, 1, count, steps=steps)[0], axis=0)


@case("V34", "shot noise of 1 mA, current density", 17.90071e-12, 1e-6, "A/rtHz", relative=True)
def shot(backend: str) -> float:
    """sqrt(2 q I) = 17.90071 pA/rtHz. Schottky 1918. Samples of a band 1 / (2 dt) have the variance q I / dt."""
    dt = 1e-12
    return float(np.sqrt(shot_variance(1e-3, dt) * 2.0 * dt))


@case(
    "V34",
    "photodetector, 166 ohm, 300 K, 20 GHz, 1 mW, 1 A/W: thermal, shot",
    [1.41284e-6, 2.53154e-6],
    1e-5,
    "A",
    relative=True,
)
def photodetector(backend: str) -> np.ndarray:
    """Thermal sqrt(4 kT B / R), shot sqrt(2 q I B): rms in the band B = 1 / (2 dt)."""
    dt = 1.0 / (2.0 * 20e9)
    thermal = johnson_voltage_variance(166.0, 300.0, dt) / 166.0**2
    return np.sqrt(np.array([thermal, shot_variance(1e-3, dt)]))


@case("V34", "photodetector, rms of drawn noise", np.hypot(1.41284e-6, 2.53154e-6), 0.0, "A")
def drawn_photocurrent(backend: str) -> Measured:
    """The two variances add; 2e5 draws at a fixed seed, 4.5 standard deviations."""
    dt, count = 1.0 / (2.0 * 20e9), 200_000
    variance = 4.0 * BOLTZMANN * 300.0 / 166.0 / (2.0 * dt) + shot_variance(1e-3, dt)
    draws = np.sqrt(variance) * normals(3, 0, 0, 1, count)[0, 0]
    value = float(np.sqrt(np.mean(draws**2)))
    return Measured(value, SIGMAS * value / float(np.sqrt(2.0 * count)))


@case("V35", "laser of 1 MHz line width, variance of its phase after 1 ns", 6.283185e-3, 0.0, "rad^2")
def phase_variance(backend: str) -> Measured:
    """2 pi dnu dt = 6.283185e-3 rad^2. Henry 1982. Ten steps of 0.1 ns, 1e5 lasers."""
    phase = walks(100_000, 10, laser_phase_sigma(1e6, 1e-10))[-1]
    value = float(np.mean(phase**2))
    return Measured(value, SIGMAS * value * float(np.sqrt(2.0 / len(phase))))


@case("V35", "laser of 1 MHz line width, full width at half maximum of its spectrum", 1e6, 0.0, "Hz")
def line_width(backend: str) -> Measured:
    """A Lorentzian of width dnu has the field correlation exp(-pi dnu |t|): its decay at 0.1 us gives the width."""
    count, lag = 50_000, 100e-9
    phase = walks(count, 20, laser_phase_sigma(1e6, lag / 20))
    correlation = float(np.mean(np.cos(phase[-1])))
    spread = float(np.std(np.cos(phase[-1])) / np.sqrt(count))
    return Measured(-np.log(correlation) / (np.pi * lag), SIGMAS * spread / correlation / (np.pi * lag))


def spectrum_expected() -> np.ndarray:
    """Sampled Lorentzian at 0, 1/2 and 1 line width from the carrier, over its peak."""
    dt, width = 50e-9, 1e6
    decay = np.exp(-np.pi * width * dt)
    distance = 1.0 + decay**2 - 2.0 * decay * np.cos(2.0 * np.pi * np.array([0.0, 0.5e6, 1e6]) * dt)
    return np.asarray(distance[0] / distance)


@case("V35", "laser of 1 MHz line width, spectrum at 0, 1/2, 1 width over its peak", spectrum_expected, 0.0)
def lorentzian(backend: str) -> Measured:
    """1 / (1 + (2 f / dnu)^2), aliases of samples 50 ns apart included: about 1, 1/2, 1/5; 4000 periodograms."""
    dt, steps, count = 50e-9, 400, 4000
    field = np.exp(1j * walks(count, steps, laser_phase_sigma(1e6, dt)))
    power = np.mean(np.abs(np.fft.fft(field, axis=0)) ** 2, axis=1)
    bins = np.rint(np.array([0.0, 0.5e6, 1e6]) * dt * steps).astype(int)
    level = np.mean([power[bins], power[-bins]], axis=0)
    # The window of 20 us (20 line widths) adds 1 / (20 pi) of bias at the wings.
    return Measured(level / level[0], SIGMAS / np.sqrt(2.0 * count) + 1.0 / (20.0 * np.pi))
