"""What a circuit is fed with and how long it may run alone: waveforms sampled by the host for every backend, calls."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.noise import Seed, fill_normals, thermal_variance
from substrate.noise.lines import LineNoise, LinePair
from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import Plan
from substrate.stacking import SideBySide

Sampler = Callable[[int, int], np.ndarray]
WAVEFORM_CHUNK = 4096  # steps of source waveforms sampled at once
BUFFER = 1 << 20  # numbers that sources feed in and probes see in one call, unless a single block has more
LONGEST_RECORD = 1 << 14  # steps in one call, at most
LONGEST_CALL = 1 << 28  # numbers scattered in one call, so that a run can be stopped


class Ahead:
    """Waveforms of a plan, sampled some way ahead."""

    def __init__(self, plan: Plan, parts: int, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int) -> None:
        self.parts, self.dtype = parts, dtype
        self.samplers = samplers(plan, batch, seed, batch_offset, parts)
        self.values = np.zeros((parts, len(self.samplers), 0, 1), dtype)
        self.start = 0

    def take(self, step: int, steps: int) -> np.ndarray:
        """Values ``[parts, waveforms, steps, batch or 1]`` from step ``step`` on."""
        if not self.start <= step <= step + steps <= self.start + self.values.shape[2]:
            # A circuit that is soon adopted by another plan throws the rest away: a little at first, then more.
            self._sample(step, max(steps, min(WAVEFORM_CHUNK, 4 * self.values.shape[2])))
        return self.values[:, :, step - self.start : step - self.start + steps]

    def _sample(self, step: int, steps: int) -> None:
        rows = [np.atleast_2d(sampler(step, steps).T).T for sampler in self.samplers]
        width = max(row.shape[1] for row in rows)
        values = np.stack([np.broadcast_to(row, (steps, width)) for row in rows])
        parts = [values.real, values.imag] if self.parts == 2 else [values.real]
        self.values, self.start = np.stack(parts).astype(self.dtype), step


def white_sigmas(plan: Plan, dtype: np.dtype) -> np.ndarray:
    """Rms of the white drives of a plan, in amplitude; of each quadrature, where waves are envelopes."""
    noisy = [drive for drive in plan.drives if drive.drive.waveform is None]
    variance = [thermal_variance(d.drive.temperature, plan.dt, plan.reference_power) for d in noisy]
    return np.sqrt(np.array(variance, float)).astype(dtype)


def longest_call(plan: Plan, batch: int, parts: int, every_block: bool) -> int:
    """A whole number of blocks, as many as the buffer of sources and probes holds, and one at least.

    ``every_block``: whether something outside the circuit part must be done between two blocks.
    """
    if every_block or any(probe.line >= 0 for probe in plan.probes):  # probes inside lines look at every block
        return plan.block
    numbers = parts * batch * (len(plan.drives) + plan.observed) * plan.block
    cells = parts * batch * sum(c.rows for c in plan.classes) * plan.block
    blocks = min(BUFFER // max(1, numbers), LONGEST_CALL // max(1, cells), LONGEST_RECORD // plan.block)
    return max(1, blocks) * plan.block


def samplers(plan: Plan, batch: int, seed: Seed, batch_offset: int, parts: int) -> list[Sampler]:
    """One per waveform drive, in the order of ``plan.drives``: called with a step and how many, it gives the values.

    A source's generators are numbered by its place in the network, after those of the plan; the two ends of a warm line
    share those of the first. ``parts`` is 2 where waves are envelopes, which have noise of two quadratures.
    """
    waves = [drive for drive in plan.drives if drive.drive.waveform is not None]
    made: list[Sampler] = []
    pairs: dict[tuple[str, int], LinePair] = {}
    for place, drive in enumerate(waves):
        source = plan.drive_noise_source + 1 + place * len(SLOTS)
        make = _Maker(plan, Stream(seed, source, batch, batch_offset), parts, pairs)
        made.append(make.scaled(drive.drive.waveform, drive.scale))
    return made


@dataclass(frozen=True)
class _Maker:
    """Makes the samplers of one drive; ``pairs`` are the noisy lines met so far, by name and sample."""

    plan: Plan
    stream: Stream
    parts: int
    pairs: dict[tuple[str, int], LinePair]

    def scaled(self, waveform: Any, scale: float, sample: int = -1) -> Sampler:
        """Values ``[steps]`` or ``[steps, batch]`` of a waveform."""
        if isinstance(waveform, SideBySide):
            return self._beside(waveform)
        if isinstance(waveform, LineNoise):
            return self._line(waveform, scale, sample)
        values = sampler(waveform, self.plan.dt, self.stream, self.plan.noise.kinds)
        return lambda step, steps: scale * values(step, steps)

    def _beside(self, beside: SideBySide) -> Sampler:
        """Each sample with a waveform of its own, which draws what it would in a run of the same seed."""
        parts, seed, first = [], self.stream.seed, self.stream.batch_offset
        for b, (waveform, scale) in enumerate(zip(beside.waveforms, beside.scales, strict=True)):
            own, offset = (seed[first + b], 0) if isinstance(seed, tuple) else (seed, first + b)
            alone = replace(self, stream=replace(self.stream, seed=own, batch=1, batch_offset=offset))
            parts.append(alone.scaled(waveform, scale, b))
        return lambda step, steps: np.stack(
            [np.asarray(values(step, steps)).reshape(steps) for values in parts], axis=1
        )

    def _line(self, noise: LineNoise, scale: float, sample: int) -> Sampler:
        """One end of a warm line."""
        stream, dtype = self.stream, np.complex128 if self.parts == 2 else np.float64

        def draw(step: int, steps: int, first: int, count: int) -> np.ndarray:
            out = np.empty((2, steps, count), dtype)
            return fill_normals(out, stream.seed, stream.source, step, stream.batch_offset + first)

        if (noise.line, sample) not in self.pairs:
            self.pairs[noise.line, sample] = LinePair(noise.line, noise.taps, stream.batch, draw)
        pair = self.pairs[noise.line, sample]
        level = scale * float(np.sqrt(thermal_variance(noise.temperature, self.plan.dt, 1.0)))
        return lambda step, steps: level * pair.ends(step, steps)[noise.side]
