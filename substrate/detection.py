"""A photodetector on the record of a field: its current, with shot and Johnson noise, bandwidth and a converter."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.noise import Seed, normals, uniforms
from substrate.noise.sources import ELEMENTARY_CHARGE, PLANCK, Quantiser, johnson_voltage_variance, shot_variance

SLOTS = ("counts", "shot", "johnson", "vacuum")  # generators of one detector
FEW = 100.0  # electrons a step, below which they are counted one by one


@dataclass(frozen=True)
class Photodetector:
    """Turns light into current: ``responsivity`` (A/W), ``dark_current`` (A), ``bandwidth`` (Hz, -3 dB of one pole).

    ``shot`` says whether the charges are counted: Poisson's law where a step brings few, Gauss' of the same variance
    where many. ``resistance`` (ohm; 0: none) at ``temperature`` (K) adds ``4 kT / R``. ``converter`` rounds and clips
    the current (A) at last. A field of a run with a vacuum beats with it to shot noise by itself: then give its
    ``carrier`` (Hz), and none is added twice. White noise passes the pole as through ``pi / 2`` of its bandwidth.
    Raises ConfigError. Source: Saleh and Teich, "Fundamentals of Photonics", section 18.6; Caves 1982 for the vacuum.

    >>> quiet = Photodetector(responsivity=0.8, shot=False)
    >>> quiet.detect(np.array([0.0, 1e-3j, 2e-3]), 1e-12).round(9).tolist()  # sqrt(W) in, A out
    [0.0, 8e-07, 3.2e-06]
    """

    responsivity: float = 1.0
    dark_current: float = 0.0
    bandwidth: float | None = None
    shot: bool = True
    resistance: float = 0.0
    temperature: float = 300.0
    carrier: float | None = None
    converter: Quantiser | None = None

    def __post_init__(self) -> None:
        for name in ("responsivity", "dark_current", "resistance", "temperature"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise ConfigError(f"A photodetector needs {name} of at least 0, but {name}={value!r}")
        for name in ("bandwidth", "carrier"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0.0):
                raise ConfigError(f"A photodetector needs {name} above 0 Hz, or None, but {name}={value!r}")
        if self.carrier is not None and self.efficiency > 1.0:
            raise ConfigError(
                f"A photodetector gives one electron a photon at most, {ELEMENTARY_CHARGE / PLANCK / self.carrier:.4g} "
                f"A/W at this carrier, but responsivity={self.responsivity!r}"
            )

    @property
    def efficiency(self) -> float:
        """Electrons a photon at the carrier; 1 where it is not given."""
        return 1.0 if self.carrier is None else self.responsivity * PLANCK * self.carrier / ELEMENTARY_CHARGE

    def detect(
        self, field: Any, dt: float, *, reference_power: float = 1.0, seed: Seed = 0, source: int = 0, step: int = 0
    ) -> np.ndarray:
        """Current (A) of a ``field [steps]`` or ``[steps, batch]`` (in sqrt(reference_power), W), of its shape.

        ``source`` numbers detectors that are to have noise of their own, ``step`` is that of the first row in the run:
        what is drawn depends on both, the seed and the sample alone.
        """
        waves = np.asarray(field)
        rows = waves.reshape(len(waves), -1)
        draw = Draw(seed, len(SLOTS) * source, step, rows.shape)
        current = self.current(rows, dt, reference_power, draw)
        if self.converter is not None:
            current = self.converter(current)
        return current.reshape(waves.shape)

    def current(
        self, rows: np.ndarray, dt: float, reference_power: float, draw: "Draw", before: np.ndarray | None = None
    ) -> np.ndarray:
        """Current (A) ``[steps, batch]`` before the converter.

        The pole has rested at the current ``before`` (``[batch]``; None: at that of the first light).
        """
        light = self._lit(rows, dt, reference_power, draw)
        current = self._counted(light, dt, draw)
        if self.resistance > 0.0:
            sigma = np.sqrt(johnson_voltage_variance(self.resistance, self.temperature, dt)) / self.resistance
            current = current + sigma * draw.normals("johnson")
        if self.bandwidth is not None:
            current = self._slowed(current, light[0] if before is None else before, dt)
        return current

    def _lit(self, rows: np.ndarray, dt: float, reference_power: float, draw: "Draw") -> np.ndarray:
        """Of the light and the dark, before charges are counted."""
        watts = reference_power * np.abs(rows) ** 2
        if self.carrier is None:
            return self.responsivity * watts + self.dark_current
        # What the detector misses it replaces by vacuum, and half a photon a step is no light.
        half = PLANCK * self.carrier / (2.0 * dt)
        share, vacuum = self.efficiency, np.sqrt(half / 2.0) * draw.normals("vacuum", complex_=True)
        met = np.sqrt(share * reference_power) * rows + np.sqrt(1.0 - share) * vacuum
        charge = ELEMENTARY_CHARGE / (PLANCK * self.carrier)
        return charge * (np.abs(met) ** 2 - half) + self.dark_current

    def _counted(self, current: np.ndarray, dt: float, draw: "Draw") -> np.ndarray:
        """The current of whole charges; in a vacuum only the dark current has not been counted yet."""
        if not self.shot:
            return current
        random = current if self.carrier is None else np.full_like(current, self.dark_current)
        mean = random * dt / ELEMENTARY_CHARGE
        noise = np.sqrt(shot_variance(random, dt)) * draw.normals("shot")
        few = mean < FEW
        if few.any():
            from scipy.stats import poisson

            counts = poisson.ppf(draw.uniforms("counts")[few], mean[few])
            noise[few] = (counts - mean[few]) * ELEMENTARY_CHARGE / dt
        return np.asarray(current + noise)

    def _slowed(self, current: np.ndarray, before: np.ndarray, dt: float) -> np.ndarray:
        """Through the pole, which has rested at the current ``before``."""
        from scipy.signal import lfilter

        share = -np.expm1(-2.0 * np.pi * float(self.bandwidth or 0.0) * dt)
        slow, _ = lfilter([share], [1.0, share - 1.0], current, axis=0, zi=(1.0 - share) * before[None])
        return np.asarray(slow)


@dataclass(frozen=True)
class Draw:
    """Random numbers ``[steps, batch]`` of one detector."""

    seed: Seed
    source: int
    step: int
    shape: tuple[int, ...]
    offset: int = 0  # of the first sample in the batch

    def normals(self, slot: str, complex_: bool = False) -> np.ndarray:
        """Standard normals; complex ones of unit variance in each part."""
        dtype = np.complex128 if complex_ else np.float64
        steps, batch = self.shape
        source, offset = self.source + SLOTS.index(slot), self.offset
        return normals(self.seed, source, self.step, 1, batch, steps=steps, batch_offset=offset, dtype=dtype)[0]

    def uniforms(self, slot: str) -> np.ndarray:
        """Uniforms between 0 and 1."""
        steps, batch = self.shape
        source, offset = self.source + SLOTS.index(slot), self.offset
        return uniforms(self.seed, source, self.step, 1, batch, steps=steps, batch_offset=offset)[0]
