"""What sources emit: functions of time, sampled at the end of each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from substrate.errors import NetworkError
from substrate.noise.sources import Flicker, Quantiser, Telegraph


class Waveform(Protocol):
    """A function of time: ``sample(times[steps])`` gives ``[steps]``, or ``[steps, batch]``, real or complex."""

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""


def _per_sample(value: Any) -> np.ndarray:
    """A number, or an array with one per sample of the batch, ready to multiply ``[steps, 1]``."""
    return np.atleast_1d(np.asarray(value))[None, :]


def _shaped(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.shape[1] == 1 else values


@dataclass(frozen=True)
class Step:
    """``amplitude`` from ``start`` (s) on, reached by a straight ramp that lasts ``rise`` (s).

    Fields may be arrays with one number per sample of the batch. A run samples it at ``dt``, ``2 dt`` and so on, and
    lines that disperse join samples by straight lines: to them a step without ``rise`` lies halfway between the last
    sample without and the first with it, so one from time zero at ``dt / 2``. A ``start`` halfway between two samples
    is exact.

    >>> Step(2.0, start=1.0).sample(np.array([0.5, 1.0, 3.0])).tolist()
    [0.0, 2.0, 2.0]
    """

    amplitude: Any = 1.0
    start: Any = 0.0
    rise: float = 0.0

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        # Half a part in 1e9 of slack: a step at 3 dt starts in step 3, whatever rounding says of 3 dt.
        since = times[:, None] - _per_sample(self.start)
        if self.rise > 0.0:
            return _shaped(_per_sample(self.amplitude) * np.clip(since / self.rise, 0.0, 1.0))
        slack = 1e-9 * np.maximum(np.abs(times[:, None]), 1e-300)
        return _shaped(_per_sample(self.amplitude) * (since >= -slack))


@dataclass(frozen=True)
class Pulse:
    """A trapezoid: ``amplitude`` from ``start`` for ``width`` (s, between half heights), ramps of ``rise`` and
    ``fall``.

    >>> Pulse(1.0, start=1.0, width=2.0).sample(np.array([0.5, 1.5, 3.5])).tolist()
    [0.0, 1.0, 0.0]
    """

    amplitude: Any = 1.0
    start: Any = 0.0
    width: float = 1.0
    rise: float = 0.0
    fall: float = 0.0

    def __post_init__(self) -> None:
        if self.width < 0.5 * (self.rise + self.fall):
            raise NetworkError(f"A pulse of width={self.width!r} s is too short for its ramps; lengthen it")

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        up = Step(1.0, self.start, self.rise).sample(times)
        down = Step(1.0, self.start + self.width + 0.5 * (self.rise - self.fall), self.fall).sample(times)
        values = up - down
        return _shaped(_per_sample(self.amplitude) * values.reshape(len(times), -1))


@dataclass(frozen=True)
class Sine:
    """``amplitude * sin(2 pi frequency (t - start) + phase) + offset`` from ``start`` on, before it ``offset``.

    >>> round(float(Sine(1.0, frequency=1.0).sample(np.array([0.25]))[0]), 12)
    1.0
    """

    amplitude: Any = 1.0
    frequency: Any = 1.0  # Hz
    phase: Any = 0.0  # rad
    offset: Any = 0.0
    start: float = 0.0

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        since = times[:, None] - self.start
        wave = np.sin(2.0 * np.pi * _per_sample(self.frequency) * since + _per_sample(self.phase))
        return _shaped(_per_sample(self.offset) + _per_sample(self.amplitude) * wave * (since >= 0.0))


@dataclass(frozen=True)
class PiecewiseLinear:
    """Straight lines between ``points`` of (seconds, value); constant before the first and after the last.

    >>> PiecewiseLinear([(0.0, 0.0), (1.0, 2.0)]).sample(np.array([0.5, 9.0])).tolist()
    [1.0, 2.0]
    """

    points: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        times = [time for time, _ in self.points]
        if len(times) < 1 or any(b <= a for a, b in pairwise(times)):
            raise NetworkError("The points of a piecewise linear waveform need times that increase")

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        at, values = zip(*self.points, strict=True)
        return np.interp(times, at, values)


@dataclass(frozen=True, eq=False)
class Samples:
    """An array with one value per step: ``values[steps]`` or ``[steps, batch]``, real or complex; zero afterwards.

    ``dt`` (s) is the step of the run, which tells at which step a time lies.

    >>> Samples(np.array([1.0, 2.0]), dt=0.5).sample(np.array([0.5, 1.0, 1.5])).tolist()
    [1.0, 2.0, 0.0]
    """

    values: np.ndarray
    dt: float

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        index = np.rint(times / self.dt).astype(np.int64) - 1
        inside = (index >= 0) & (index < len(self.values))
        out = np.zeros((len(times), *self.values.shape[1:]), dtype=np.result_type(self.values, 1.0))
        out[inside] = self.values[index[inside]]
        return out


@dataclass(frozen=True)
class Noisy:
    """``waveform`` with the noise of the source that makes it; every field is a noise of its own, 0 or None without it.

    ``rin_db`` (dB/Hz, one-sided) of the power; ``linewidth`` (Hz) of a laser, whose phase walks; ``flicker``, 1/f of
    the size and ``phase_flicker`` (rad) of the phase; ``telegraph``, which lowers the size by the share
    ``telegraph_size`` while its trap is full; ``wander`` (rad rms) of the phase with correlation time ``wander_time``
    (s), such as that of thermo-refractive noise; shot noise of a current that makes the waveform (V)
    in ``shot_resistance`` (ohm); ``jitter`` (s rms)
    of the moments at which the waveform is sampled; a converter of ``bits`` that clips at ``bound``, last of all.
    Noise that turns the phase needs envelopes. What is drawn depends on the run's seed, the source, the step and the
    sample. Raises NetworkError. Source: the formulas in :mod:`substrate.noise.sources`.

    >>> Noisy(Step(0.9), bits=3, bound=1.0).sample(np.array([1.0])).round(4).tolist()  # without a run: rounding alone
    [1.0]
    """

    waveform: Waveform
    rin_db: float | None = None
    linewidth: float = 0.0
    flicker: Flicker | None = None
    phase_flicker: Flicker | None = None
    telegraph: Telegraph | None = None
    telegraph_size: float = 0.0
    wander: float = 0.0
    wander_time: float = 0.0
    shot_resistance: float = 0.0
    jitter: float = 0.0
    bits: int = 0
    bound: float = 1.0

    def __post_init__(self) -> None:
        for name in ("linewidth", "wander", "jitter", "telegraph_size", "shot_resistance"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise NetworkError(f"A noisy waveform needs {name} of at least 0, but {name}={value!r}")
        if self.wander > 0.0 and not self.wander_time > 0.0:
            raise NetworkError("A phase that wanders needs a wander_time above 0 s")
        if (self.telegraph is None) != (self.telegraph_size == 0.0):
            raise NetworkError("Telegraph noise needs both telegraph (its rates) and telegraph_size")
        if self.bits:
            Quantiser(self.bits, self.bound)
        if isinstance(self.waveform, Noisy):
            raise NetworkError("A noisy waveform cannot be of a noisy waveform; give one Noisy all fields")

    @property
    def turns(self) -> bool:
        """Whether its noise turns the phase, so that it is an envelope."""
        return self.linewidth > 0.0 or self.wander > 0.0 or self.phase_flicker is not None

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds without what is drawn at random, which :mod:`substrate.noisy` adds in a run."""
        values = self.converted(self.waveform.sample(times))
        return values.astype(complex) if self.turns else values

    def converted(self, values: np.ndarray) -> np.ndarray:
        """What the converter makes of ``values``; envelopes part by part."""
        if not self.bits:
            return values
        rounded = Quantiser(self.bits, self.bound)
        return rounded(values.real) + 1j * rounded(values.imag) if np.iscomplexobj(values) else rounded(values)


@dataclass(frozen=True)
class Carrier:
    """An optical envelope: ``envelope`` times ``exp(2 pi i offset t)``, ``offset`` (Hz) from the carrier, one per
    sample.

    >>> Carrier(Step(1.0), offset=0.25).sample(np.array([1.0])).round(12).tolist()
    [1j]
    """

    envelope: Waveform
    offset: Any = 0.0
    phase: Any = 0.0  # rad

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values at the given seconds."""
        envelope = self.envelope.sample(times).reshape(len(times), -1)
        angle = 2.0 * np.pi * _per_sample(self.offset) * times[:, None] + _per_sample(self.phase)
        return _shaped(envelope * np.exp(1j * angle))
