"""What a circuit is fed with and how long it may run alone: waveforms sampled by the host for every backend, calls."""

from collections.abc import Callable

import numpy as np

from substrate.noise import Seed, thermal_variance
from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import Plan, ScaledDrive
from substrate.stacking import SideBySide

WAVEFORM_CHUNK = 4096  # steps of source waveforms sampled at once
BUFFER = 1 << 20  # numbers that sources feed in and probes see in one call, unless a single block has more
LONGEST_RECORD = 1 << 14  # steps in one call, at most
LONGEST_CALL = 1 << 28  # numbers scattered in one call, so that a run can be stopped


class Ahead:
    """Waveforms of a plan, sampled some way ahead."""

    def __init__(self, plan: Plan, parts: int, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int) -> None:
        self.parts, self.dtype = parts, dtype
        self.samplers = samplers(plan, batch, seed, batch_offset)
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


def samplers(plan: Plan, batch: int, seed: Seed, batch_offset: int) -> list[Callable[[int, int], np.ndarray]]:
    """One per waveform drive, in the order of ``plan.drives``: called with a step and how many, it gives the values.

    A source's generators are numbered by its place in the network, after those of the plan.
    """
    waves = [drive for drive in plan.drives if drive.drive.waveform is not None]
    return [_scaled(plan, drive, place, batch, seed, batch_offset) for place, drive in enumerate(waves)]


def _scaled(
    plan: Plan, drive: ScaledDrive, place: int, batch: int, seed: Seed, batch_offset: int
) -> Callable[[int, int], np.ndarray]:
    if isinstance(drive.drive.waveform, SideBySide):
        return _beside(plan, drive.drive.waveform, place, seed, batch_offset)
    stream = Stream(seed, plan.drive_noise_source + 1 + place * len(SLOTS), batch, batch_offset)
    values = sampler(drive.drive.waveform, plan.dt, stream, plan.noise.kinds)
    return lambda step, steps: drive.scale * values(step, steps)


def _beside(
    plan: Plan, beside: SideBySide, place: int, seed: Seed, batch_offset: int
) -> Callable[[int, int], np.ndarray]:
    """Each sample with a waveform of its own, which draws what it would in a run of the same seed."""
    source, parts = plan.drive_noise_source + 1 + place * len(SLOTS), []
    for b, (waveform, scale) in enumerate(zip(beside.waveforms, beside.scales, strict=True)):
        own, offset = (seed[batch_offset + b], 0) if isinstance(seed, tuple) else (seed, batch_offset + b)
        parts.append((scale, sampler(waveform, plan.dt, Stream(own, source, 1, offset), plan.noise.kinds)))
    return lambda step, steps: np.stack(
        [scale * np.asarray(values(step, steps)).reshape(steps) for scale, values in parts], axis=1
    )
