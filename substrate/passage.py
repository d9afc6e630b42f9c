"""What befalls waves on their way beside delay, loss and noise: modulation of a line, channels of a bundle that lag.

Both work on the cells that a block of steps has just written, on any backend, before they are read again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.noise import Seed, normals, thermal_variance
from substrate.noisy import SLOTS, Stream, sampler
from substrate.plan import INJECTED, LINES, NOISE, LineRows, Plan, State, end_cells

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
            state.ledger[-1] += self._turn(each, step, steps)

    def stored_energy(self) -> float:
        """Amplitude^2 of what waits in the lagging channels."""
        energy, step = 0.0, self.stepper.state.step
        for line, waiting in zip(self.skewed, self.stepper.state.skews, strict=True):
            slots = waiting.shape[3]
            age = (step - 1 - np.arange(slots)) % slots + 1  # steps since a slot was written
            there = self.stepper.xp.asarray(age <= np.array(line.skew)[:, None])[:, :, None]
            energy += float((waiting.astype(float) ** 2 * there).sum())
        return energy

    def segments(self, line: LineRows, side: int, step: int, steps: int) -> Iterator["Cells"]:
        """The cells that an end reads or writes in ``steps`` steps from ``step`` on, piece by piece."""
        arena = self.stepper.state.arena
        for parts, block in end_cells(self.plan, arena, line, side, step, steps, self.batch):
            yield Cells(parts, block)

    def multiply(
        self, line: LineRows, side: int, values: np.ndarray, flows: np.ndarray, step: int, sigma: float, source: int
    ) -> None:
        """Multiply what an end has sent from ``step`` on by ``values [steps, batch or 1]``, and book it in ``flows``.

        ``sigma`` is the noise of a matched resistance: of what is absorbed, or added, as much noise comes in its place.
        """
        xp = self.stepper.xp
        for cells in self.segments(line, side, step, len(values)):
            cells.multiply(xp, values[cells.block], flows)
            if sigma > 0.0:
                channels, steps, batch = cells.parts[0].shape
                dtype = np.float64 if len(cells.parts) == 1 else np.complex128
                xi = normals(
                    self.seed, source, step + cells.block.start, channels, batch, steps=steps,
                    batch_offset=self.batch_offset, dtype=dtype,
                )  # fmt: skip
                flows[NOISE] += cells.add(xp, xi * (sigma * np.sqrt(np.abs(1.0 - np.abs(values[cells.block]) ** 2))))

    def sigma(self, kelvin: float) -> float:
        """Rms of the noise of a matched resistance at a temperature, of the vacuum where it is simulated."""
        plan = self.plan
        return float(np.sqrt(thermal_variance(plan.noise.level(kelvin), plan.dt, plan.reference_power)))

    def _delay(self, line: LineRows, waiting: Any, side: int, step: int, steps: int) -> None:
        """Put off the channels of one end; ``waiting [parts, channels, slots, batch]`` is a ring of waves sent last.

        The wave sent in step t lies in slot t modulo their number, which is enough for the longest lag and a block.
        """
        xp, slots, pieces = self.stepper.xp, waiting.shape[2], list(self.segments(line, side, step, steps))
        lags, moments = np.array(line.skew)[:, None], step + np.arange(steps)
        for index in range(len(waiting)):
            sent = xp.concatenate([cells.parts[index] for cells in pieces], axis=1)
            waiting[index][:, xp.asarray(moments % slots)] = sent
        rows, late = xp.asarray(np.arange(len(lags))[:, None]), xp.asarray((moments - lags) % slots)
        for cells in pieces:
            for index, part in enumerate(cells.parts):
                part[...] = waiting[index][rows, late[:, cells.block]]

    def _turn(self, each: "_Modulated", step: int, steps: int) -> np.ndarray:
        """Multiply what both ends of a line have sent in a block; returns the flows ``[7]`` of its books."""
        flows, line = np.zeros(7), each.line
        for side, lead in ((0, 0), (1, line.steps)):  # what returns meets the modulator a delay after it was sent
            values = np.asarray(each.values(step + lead, steps)).reshape(steps, -1)
            self.multiply(line, side, values, flows, step, each.sigma, each.source + side)
        return flows

    def _modulator(self, line: LineRows, place: int) -> "_Modulated":
        plan, source = self.plan, self._first_source + place * OWN
        stream = Stream(self.seed, source, self.batch, self.batch_offset)
        values = sampler(line.modulation, plan.dt, stream, plan.noise.kinds, line.steps + plan.block)
        return _Modulated(line, values, self.sigma(line.temperature), source + len(SLOTS))

    @property
    def _first_source(self) -> int:
        """The first generator after those of the plan and its waveforms."""
        waves = sum(drive.drive.waveform is not None for drive in self.plan.drives)
        return self.plan.drive_noise_source + 1 + waves * len(SLOTS)

    @property
    def next_source(self) -> int:
        """The first generator that no modulated line uses."""
        return self._first_source + len(self.modulated) * OWN


@dataclass(frozen=True)
class _Modulated:
    """A line whose passes are multiplied by a waveform where they meet its first end."""

    line: LineRows
    values: Callable[[int, int], np.ndarray]  # of a step and how many
    sigma: float  # of the noise of a matched resistance as warm as the line
    source: int  # first generator of what it absorbs


@dataclass(frozen=True)
class Cells:
    """Cells ``[channels, steps, batch]`` of one end, real and imaginary, and which steps of a block they are."""

    parts: list[Any]
    block: slice

    def multiply(self, xp: Any, values: np.ndarray, flows: np.ndarray) -> None:
        """By ``values [steps, batch or 1]``; what is lost is booked at lines, what is gained as injected."""
        parts = self.parts
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

    def add(self, xp: Any, waves: np.ndarray) -> float:
        """Waves that broadcast to the cells; returns by how much the energy rose."""
        gained = 0.0
        for part, wave in zip(self.parts, (waves.real, waves.imag), strict=False):
            added = xp.asarray(np.broadcast_to(wave, part.shape).astype(part.dtype))
            gained += float((added.astype(float) * (2.0 * part.astype(float) + added.astype(float))).sum())
            part[...] = part + added
        return gained
