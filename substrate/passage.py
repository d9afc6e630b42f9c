"""What befalls waves on their way beside delay, loss and noise: modulation of a line, channels of a bundle that lag.

Both work on the cells that a block of steps has just written, on any backend, before they are read again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.noise import Seed, normals, thermal_variance
from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import INJECTED, LINES, NOISE, LineRows, Plan, State, wave_segments

OWN = len(SLOTS) + 2  # generators of a modulated line: those of its waveform, and one for what each way absorbs


class Passages:
    """Modulates and delays what the ends of lines have sent; ``end`` stands after every block of the stepper.

    ``busy`` says whether any line of the plan asks for it: then a run goes on block by block. The waves that wait in
    ``state.skews`` are part of what is stored.
    """

    def __init__(self, plan: Plan, stepper: Any, batch: int, seed: Seed, batch_offset: int) -> None:
        self.stepper, self.batch, self.seed, self.batch_offset = stepper, batch, seed, batch_offset
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Go on with other numbers of the same lines."""
        self.plan = plan
        modulated = [line for line in plan.lines if line.modulation is not None]
        self.modulated = [self._modulator(line, place) for place, line in enumerate(modulated)]
        self.skewed = [line for line in plan.lines if any(line.skew)]
        self.busy = bool(self.modulated or self.skewed)

    def end(self, steps: int) -> None:
        """After a block of ``steps`` steps, which have been counted already."""
        state: State = self.stepper.state
        step = state.step - steps
        for line, waiting in zip(self.skewed, state.skews, strict=True):
            for side in (0, 1):
                self._delay(line, waiting[:, side], side, step, steps)
        for each in self.modulated:
            state.ledger[-1] += each.turn(self, step, steps)

    def stored_energy(self) -> float:
        """Amplitude^2 of what waits in the lagging channels."""
        energy, step = 0.0, self.stepper.state.step
        for line, waiting in zip(self.skewed, self.stepper.state.skews, strict=True):
            slots = waiting.shape[3]
            age = (step - 1 - np.arange(slots)) % slots + 1  # steps since a slot was written
            there = self.stepper.xp.asarray(age <= np.array(line.skew)[:, None])[:, :, None]
            energy += float((waiting.astype(float) ** 2 * there).sum())
        return energy

    def segments(self, line: LineRows, side: int, step: int, steps: int) -> Iterator[tuple[list[Any], slice]]:
        """Cells ``[channels, steps, batch]`` that an end wrote, real and imaginary, in pieces, and where in a block."""
        start = sum(2 * c.rows * c.steps * self.batch for c in self.plan.classes[: line.delay_class])
        shape = (2, self.plan.classes[line.delay_class].rows, line.steps, self.batch)
        arena, size = self.stepper.state.arena, int(np.prod(shape))
        for plane, cells, block in wave_segments(line, side, step, steps):
            rows = slice(line.row, line.row + line.channels)
            yield [part[start : start + size].reshape(shape)[plane, rows, cells] for part in arena], block

    def _delay(self, line: LineRows, waiting: Any, side: int, step: int, steps: int) -> None:
        """Put off the channels of one end; ``waiting [parts, channels, slots, batch]`` is a ring of waves sent last.

        The wave sent in step t lies in slot t modulo their number, which is enough for the longest lag and a block.
        """
        xp, slots, pieces = self.stepper.xp, waiting.shape[2], list(self.segments(line, side, step, steps))
        lags, moments = np.array(line.skew)[:, None], step + np.arange(steps)
        for index in range(len(waiting)):
            sent = xp.concatenate([parts[index] for parts, _ in pieces], axis=1)
            waiting[index][:, xp.asarray(moments % slots)] = sent
        rows, late = xp.asarray(np.arange(len(lags))[:, None]), xp.asarray((moments - lags) % slots)
        for parts, block in pieces:
            for index, part in enumerate(parts):
                part[...] = waiting[index][rows, late[:, block]]

    def _modulator(self, line: LineRows, place: int) -> "_Modulated":
        plan = self.plan
        waves = sum(drive.drive.waveform is not None for drive in plan.drives)
        source = plan.drive_noise_source + 1 + waves * len(SLOTS) + place * OWN
        stream = Stream(self.seed, source, self.batch, self.batch_offset)
        # Two samplers of the same draws: waves that return meet the modulator a delay after they were sent.
        ways = [sampler(line.modulation, plan.dt, stream, plan.noise.kinds) for _ in range(2)]
        level = thermal_variance(plan.noise.level(line.temperature), plan.dt, plan.reference_power)
        return _Modulated(line, ways, float(np.sqrt(level)), source + len(SLOTS))


@dataclass(frozen=True)
class _Modulated:
    """A line whose passes are multiplied by a waveform where they meet its first end."""

    line: LineRows
    ways: Sequence[Any]  # samplers, of the waves sent from either side
    sigma: float  # of the noise of a matched resistance at the line's temperature
    source: int  # first generator of what it absorbs

    def turn(self, passages: Passages, step: int, steps: int) -> np.ndarray:
        """Multiply what both ends have sent in a block; returns the flows ``[7]`` of its books."""
        flows = np.zeros(7)
        for side, lead in ((0, 0), (1, self.line.steps)):
            values = np.asarray(self.ways[side](step + lead, steps)).reshape(steps, -1)
            for parts, block in passages.segments(self.line, side, step, steps):
                self._multiply(passages, parts, values[block], flows)
                if self.sigma > 0.0:
                    self._absorb(passages, parts, side, step + block.start, values[block], flows)
        return flows

    def _multiply(self, passages: Passages, parts: list[Any], values: np.ndarray, flows: np.ndarray) -> None:
        xp = passages.stepper.xp
        power = sum((part.astype(float) ** 2).sum(axis=0) for part in parts)  # [steps, batch]
        surplus = np.abs(values) ** 2 - 1.0
        flows[INJECTED] += float((power * xp.asarray(np.maximum(surplus, 0.0))).sum())
        flows[LINES] += float((power * xp.asarray(np.maximum(-surplus, 0.0))).sum())
        real = xp.asarray(values.real.astype(parts[0].dtype))
        if len(parts) == 1:
            parts[0][...] = parts[0] * real
            return
        imaginary = xp.asarray(values.imag.astype(parts[0].dtype))
        turned = parts[0] * real - parts[1] * imaginary
        parts[1][...] = parts[0] * imaginary + parts[1] * real
        parts[0][...] = turned

    def _absorb(
        self, passages: Passages, parts: list[Any], side: int, step: int, values: np.ndarray, flows: np.ndarray
    ) -> None:
        """Add the noise of what the modulator absorbs or adds: with it a line in equilibrium stays there."""
        xp, (channels, steps, batch) = passages.stepper.xp, parts[0].shape
        dtype = np.float64 if len(parts) == 1 else np.complex128
        offset = passages.batch_offset
        xi = normals(
            passages.seed, self.source + side, step, channels, batch, steps=steps, batch_offset=offset, dtype=dtype
        )
        xi = xi * (self.sigma * np.sqrt(np.abs(1.0 - np.abs(values) ** 2)))
        for part, noise in zip(parts, (xi.real, xi.imag), strict=False):
            added = xp.asarray(noise.astype(part.dtype))
            flows[NOISE] += float((added.astype(float) * (2.0 * part.astype(float) + added.astype(float))).sum())
            part[...] = part + added
