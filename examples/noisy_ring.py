"""A ring whose guide fluctuates turns phase into intensity: spectrum at a detector and its closed form (docs/noise.md).

    python examples/noisy_ring.py --figure ring.png

Laser light at the flank of a resonance, a ring whose phase wanders (thermo-refractive) and has 1/f noise, a detector
that counts charges. To first order in the phase `p` the light that circulates, `c = -ik s + r a e^(-ip) c(t - T)`,
answers at every frequency, and so does the light that leaves; the detector adds `2 q I`. Fluctuations are a hundred
times those of a silicon ring of 60 um, and faster, so that 40 ns show them.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

from substrate import Line, Network, simulate
from substrate.detection import Photodetector
from substrate.nodes import Coupler, LaserSource, Termination
from substrate.noise.sources import ELEMENTARY_CHARGE, Flicker, lorentzian_psd
from substrate.plots.style import BLUE, GREY, ORANGE, new_figure, paper_style, save
from substrate.waveforms import Noisy, Step

DT, ROUND = 1e-12, 10  # s, steps of a turn: a free spectral range of 100 GHz
COUPLING, LOSS_DB, POWER = 0.1, 0.2, 1e-3  # of power; dB a turn; W
WANDER, WANDER_TIME = 2e-3, 1e-9  # rad, s
PINK = Flicker(1e-8, 1e8, 1e11)  # rad^2


def flank() -> float:
    """The phase of a turn at which the transmitted power rises steepest with it."""
    phase = np.linspace(-0.5, 0.5, 20001)
    return float(phase[np.argmax(np.gradient(np.abs(transmission(phase)) ** 2, phase))])


def transmission(phase: np.ndarray) -> np.ndarray:
    """Field behind an all-pass ring over that before it (Yariv 2000, eq. 3)."""
    r, turn = np.sqrt(1.0 - COUPLING), 10.0 ** (-LOSS_DB / 20.0) * np.exp(-1j * phase)
    return (r - turn) / (1.0 - r * turn)


def detected(steps: int, batch: int, phase: float) -> np.ndarray:
    """The detector's current ``[steps, batch]`` (A)."""
    noisy = Noisy(Step(1.0), wander=WANDER, wander_time=WANDER_TIME, phase_flicker=PINK)
    net = Network()
    laser, ring = net.add(LaserSource(Step(np.sqrt(POWER))), "laser"), net.add(Coupler(COUPLING), "ring")
    net.connect(laser, f"{ring}.in1", Line(DT))
    net.connect("ring.out1", net.add(Termination(), "out"), Line(DT))
    net.connect("ring.out2", "ring.in2", Line(ROUND * DT, loss_db=LOSS_DB, phase=phase, modulation=noisy), "guide")
    settle = 500
    light = simulate(net, (settle + steps) * DT, DT, ["out.arriving"], batch=batch, dtype="complex128", seed=1)
    return Photodetector().detect(light["out.arriving"][settle:].reshape(steps, batch), DT, seed=2)


def expected(frequencies: np.ndarray, phase: float) -> tuple[np.ndarray, np.ndarray]:
    """One-sided densities (A^2/Hz) of what the phase does to the current, and of its shot noise."""
    r, k = np.sqrt(1.0 - COUPLING), np.sqrt(COUPLING)
    turn, source = 10.0 ** (-LOSS_DB / 20.0) * np.exp(-1j * phase), np.sqrt(POWER)
    inside = -1j * k * source / (1.0 - r * turn)

    def answer(f: np.ndarray) -> np.ndarray:
        late = np.exp(-2j * np.pi * f * ROUND * DT)  # over a turn; the guide is modulated at its beginning
        change = -1j * turn * inside * late / (1.0 - r * turn * late)  # of what arrives behind the guide, per rad
        return -1j * k * change

    out = transmission(np.array(phase)) * source
    current = np.conj(out) * answer(frequencies) + out * np.conj(answer(-frequencies))
    of_phase = lorentzian_psd(frequencies, WANDER_TIME, WANDER**2, DT) + PINK.psd(frequencies, DT)
    return np.abs(current) ** 2 * of_phase, np.full(len(frequencies), 2.0 * ELEMENTARY_CHARGE * abs(out) ** 2)


def spectrum(current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and one-sided density by Hann windows, averaged over the samples."""
    steps = len(current)
    window = np.hanning(steps)[:, None]
    lines = np.fft.rfft((current - current.mean()) * window, axis=0)
    return np.fft.rfftfreq(steps, DT), np.mean(np.abs(lines) ** 2, axis=1) * 2.0 * DT / np.sum(window**2)


def bands(f: np.ndarray, count: int = 14) -> list[slice]:
    """Bins grouped by equal ratios of frequency, without those next to zero and to half the sampling rate."""
    edges = np.unique(np.geomspace(4, len(f) - 4, count + 1).astype(int))
    return [slice(low, high) for low, high in pairwise(edges)]


def draw(path: Path, f: np.ndarray, measured: np.ndarray, parts: tuple[np.ndarray, np.ndarray]) -> None:
    """Densities over frequency, measured and expected."""
    with paper_style():
        figure = new_figure(2.6)
        axes = figure.subplots()
        axes.loglog(f[4:], measured[4:], color=BLUE, linewidth=0.4, label="simulated")
        axes.loglog(f[4:], sum(parts)[4:], color=ORANGE, label="closed form")
        for part, words in zip(parts, ("phase of the guide", "shot noise"), strict=True):
            axes.loglog(f[4:], part[4:], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.annotate(words, (f[40], part[40]), textcoords="offset points", xytext=(0, 4), color=GREY, fontsize=7)
        axes.set_ylim(0.3 * parts[1].min(), None)
        axes.set_xlabel("frequency (Hz)")
        axes.set_ylabel("density (A$^2$/Hz)")
        axes.legend()
        save(figure, path)


def main() -> None:
    """Print the densities in bands, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    phase = flank()
    f, measured = spectrum(detected(options.steps, options.batch, phase))
    parts = expected(f, phase)
    print(f"{'frequency':>12} {'simulated':>12} {'closed form':>12}  ratio   (A^2/Hz)")
    for band in bands(f):
        found, exact = measured[band].mean(), (parts[0] + parts[1])[band].mean()
        print(f"{np.sqrt(f[band.start] * f[band.stop - 1]):12.3e} {found:12.3e} {exact:12.3e}  {found / exact:.3f}")
    if options.figure:
        draw(options.figure, f, measured, parts)


if __name__ == "__main__":
    main()
