"""Photodetectors: shot and Johnson noise by their densities, the vacuum counted once, few photons by Poisson's law."""

import numpy as np
import pytest

from substrate import Line, Network
from substrate.detection import Photodetector
from substrate.errors import ConfigError
from substrate.nodes import LaserSource, Termination
from substrate.noise import BOLTZMANN
from substrate.noise.sources import ELEMENTARY_CHARGE, PLANCK, Quantiser
from substrate.waveforms import Step

from .noise_runs import DT, LIGHT, SIGMAS, recorded
from .test_noise_of_sources import agrees, density

UNITY = ELEMENTARY_CHARGE / (PLANCK * LIGHT)  # A/W of one electron a photon


def steady(watts, steps=4000, batch=100):
    return np.full((steps, batch), np.sqrt(watts) + 0j)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_shot_and_johnson_noise_are_white_at_any_step(dt) -> None:
    for detector, expected in (
        (Photodetector(0.8, dark_current=1e-4), 2.0 * ELEMENTARY_CHARGE * 0.9e-3),
        (Photodetector(0.8, shot=False, resistance=50.0), 4.0 * BOLTZMANN * 300.0 / 50.0),
    ):
        current = detector.detect(steady(1e-3), dt, seed=3)
        f, measured, spread = density(current, dt)
        agrees(measured[1:-1], np.full(len(f) - 2, expected), spread)
        still = Photodetector(0.8, detector.dark_current, shot=False).detect(steady(1e-3, 2, 1), dt)
        assert np.ptp(still) == 0.0 and abs(current.mean() / still[0, 0] - 1.0) < 1e-3


def test_the_textbook_receiver() -> None:
    """166 ohm, 300 K, 1 mW, 1 A/W in 20 GHz: 1.41284 uA thermal, 2.53154 uA shot (V34); a pole passes pi/2 of it."""
    pole = 20e9 * 2.0 / np.pi
    dt = 1e-3 / pole
    share = -np.expm1(-2.0 * np.pi * pole * dt)
    passed = share / (2.0 - share) / (np.pi * pole * dt)  # of white samples, over pi / 2 of the pole: 1 for small steps
    for more, expected in (
        ({"shot": False, "resistance": 166.0}, 1.41284e-6),
        ({}, 2.53154e-6),
    ):
        detector = Photodetector(bandwidth=pole, **more)
        current = detector.detect(steady(1e-3, 20000, 60), dt)[2000:]
        independent = current.size * np.pi * pole * dt
        assert abs(np.var(current) / expected**2 / passed - 1.0) < SIGMAS * np.sqrt(2.0 / independent)
        assert abs(1.21 * np.var(current) / expected**2 / passed - 1.0) > SIGMAS * np.sqrt(2.0 / independent)


def test_few_photons_follow_poisson() -> None:
    """Of 0.7 electrons a step: whole numbers, with Poisson's probabilities."""
    watts = 0.7 * ELEMENTARY_CHARGE / DT
    current = Photodetector().detect(steady(watts, 1000, 200), DT, seed=5)
    counts = current * DT / ELEMENTARY_CHARGE
    assert np.allclose(counts, np.rint(counts), atol=1e-9) and counts.min() > -1e-9
    for k, share in enumerate(np.exp(-0.7) * np.array([1.0, 0.7, 0.245])):
        found = np.mean(np.rint(counts) == k)
        assert abs(found - share) < SIGMAS * np.sqrt(share * (1.0 - share) / counts.size)


def test_a_vacuum_beats_to_shot_noise_and_none_is_added_twice() -> None:
    """Light of a run with a vacuum: 2 q I at full efficiency and at 60 %, whose own vacuum replaces what is missed."""
    net = Network()
    net.connect(net.add(LaserSource(Step(0.05)), "laser"), net.add(Termination(), "out"), Line(3 * DT))
    field = recorded(net, ["out"], 3000, 100, dtype="complex128", settle=10, carrier=LIGHT)["out"]
    for share in (1.0, 0.6):
        current = Photodetector(share * UNITY, carrier=LIGHT).detect(field, DT, seed=1)
        mean = share * UNITY * 0.05**2
        assert abs(current.mean() / mean - 1.0) < 1e-3
        f, measured, spread = density(current, DT)
        agrees(measured[1:-1], np.full(len(f) - 2, 2.0 * ELEMENTARY_CHARGE * mean), spread)
    assert np.var(Photodetector(UNITY).detect(field, DT)) > 1.8 * np.var(
        Photodetector(UNITY, carrier=LIGHT).detect(field, DT)
    )


def test_a_record_in_parts_has_the_same_noise() -> None:
    detector = Photodetector(resistance=50.0)
    whole = detector.detect(steady(1e-6, 40, 3), DT, seed=2)
    assert np.array_equal(detector.detect(steady(1e-6, 30, 3), DT, seed=2, step=10), whole[10:])
    assert not np.array_equal(detector.detect(steady(1e-6, 40, 3), DT, seed=2, source=1), whole)
    assert np.array_equal(detector.detect(steady(1e-6, 40, 3)[:, 0], DT, seed=2), whole[:, 0])
    assert (
        detector.detect(steady(1e-6, 40, 2), DT, seed=(7, 2))[0, 1]
        == detector.detect(steady(1e-6, 40, 1), DT, seed=2)[0, 0]
    )


def test_a_converter_comes_last() -> None:
    current = Photodetector(shot=False, converter=Quantiser(2, 1e-3)).detect(steady(0.6e-3, 2, 1), DT)
    assert current[0, 0] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"responsivity": -1.0}, "responsivity of at least 0"),
        ({"bandwidth": 0.0}, "bandwidth above 0 Hz"),
        ({"responsivity": 2.0, "carrier": LIGHT}, "one electron a photon at most, 1.25"),
    ],
)
def test_refusals(fields, words) -> None:
    with pytest.raises(ConfigError, match=words):
        Photodetector(**fields)
