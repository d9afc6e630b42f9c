"""Samples of the waveforms of a plan, noise included, in amplitude units; the host makes them for every backend."""

from collections.abc import Callable

import numpy as np

from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import Plan, ScaledDrive


def samplers(plan: Plan, batch: int, seed: int, batch_offset: int) -> list[Callable[[int, int], np.ndarray]]:
    """One per waveform drive, in the order of ``plan.drives``: called with a step and how many, it gives the values.

    A source's generators are numbered by its place in the network, after those of the plan.
    """
    waves = [drive for drive in plan.drives if drive.drive.waveform is not None]
    return [_scaled(plan, drive, place, batch, seed, batch_offset) for place, drive in enumerate(waves)]


def _scaled(
    plan: Plan, drive: ScaledDrive, place: int, batch: int, seed: int, batch_offset: int
) -> Callable[[int, int], np.ndarray]:
    stream = Stream(seed, plan.drive_noise_source + 1 + place * len(SLOTS), batch, batch_offset)
    values = sampler(drive.drive.waveform, plan.dt, stream, plan.noise.kinds)
    return lambda step, steps: drive.scale * values(step, steps)
