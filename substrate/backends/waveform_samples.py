"""Samples of the waveforms of a plan, noise included, in amplitude units; the host makes them for every backend."""

from collections.abc import Callable

import numpy as np

from substrate.noise import Seed
from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import Plan, ScaledDrive
from substrate.stacking import SideBySide


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
