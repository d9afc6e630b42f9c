"""What probes make of the waves while a run goes on: places inside lines, and reductions over time on the fly.

Rows are reduced in portions counted in steps from where the record began, never in blocks, so the numbers do not depend
on how long the blocks of the run were, to the last bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from substrate.plan import LineRows, Plan, PlannedProbe, State, end_cells
from substrate.probe import Probe
from substrate.reductions import Reduction, reduction_of

PORTION_STEPS = 1024  # most steps that are reduced at once
PORTION_NUMBERS = 1 << 18  # most numbers in such a portion, where a batch is large


class Record:
    """What one probe has left since it was last taken: its kept steps, or the state of its reduction."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.plain = probe.is_trace and probe.every == 1 and probe.function is None
        self.step = 0  # of the run, at the first pending row
        self.pending: list[np.ndarray] = []  # blocks [steps, channels, batch], or [steps]
        self.rows = 0  # in them
        self.kept: list[np.ndarray] = []
        self.reduction = self._fresh()

    def feed(self, blocks: Sequence[np.ndarray], step: int) -> None:
        """Take blocks whose first row belongs to step ``step`` of the run."""
        if not blocks:
            return
        if not self.rows:
            self.step = step
        self.pending += blocks
        self.rows += sum(len(block) for block in blocks)
        if self.plain:
            return
        portion = max(1, min(PORTION_STEPS, PORTION_NUMBERS // max(1, blocks[0][0].size)))
        if self.rows >= portion:
            rows, whole = np.concatenate(self.pending), self.rows // portion * portion
            for start in range(0, whole, portion):
                self._digest(rows[start : start + portion])
            self.pending, self.rows = ([rows[whole:].copy()] if whole < len(rows) else []), len(rows) - whole

    def take(self) -> Any:
        """The record so far, which then begins anew."""
        if self.plain:
            kept, self.pending, self.rows = self.pending, [], 0
            return np.concatenate(kept) if kept else np.zeros(0)
        if self.rows:
            self._digest(np.concatenate(self.pending))
            self.pending, self.rows = [], 0
        if self.reduction is None:
            kept, self.kept = self.kept, []
            return np.concatenate(kept) if kept else np.zeros(0)
        value, self.reduction = self.reduction.value(), self._fresh()
        return value

    def _fresh(self) -> Reduction | None:
        return None if self.probe.is_trace else reduction_of(self.probe)

    def _digest(self, rows: np.ndarray) -> None:
        """Decimate, apply the user's function, and keep or reduce a portion."""
        first, self.step = self.step, self.step + len(rows)
        if self.probe.every > 1:
            rows = rows[-(first + 1) % self.probe.every :: self.probe.every]
        if not len(rows):
            return
        if self.probe.function is not None:
            rows = np.asarray(self.probe.function(rows))
        if self.reduction is None:
            self.kept.append(rows.copy())
        else:
            self.reduction.add(rows)


class Recorder:
    """All probes of a simulation: reads those inside lines around each block, and feeds the records.

    ``begin`` and ``end`` stand before and after the stepper's block. A wave at ``place`` steps from its start was sent
    ``place`` steps ago, and its cell is overwritten a line's delay after it was sent: waves sent before the block are
    read before it, the others after.
    """

    def __init__(self, plan: Plan, stepper: Any, batch: int) -> None:
        self.stepper, self.batch = stepper, batch
        self.records = [Record(probe.request) for probe in plan.probes]
        self.adopt(plan)

    def adopt(self, plan: Plan) -> None:
        """Go on with the same probes of a plan of the same shape."""
        self.plan = plan
        self.inside = [(index, probe) for index, probe in enumerate(plan.probes) if probe.line >= 0]
        self.busy = bool(self.inside) or not all(record.plain for record in self.records)
        self.early: list[list[np.ndarray]] = []

    def begin(self, steps: int) -> None:
        """Before a block of ``steps`` steps: read what the block is going to overwrite."""
        if self.inside:
            step = self.stepper.state.step
            self.early = [
                [self._sent(probe, way, step - delay, min(delay, steps)) for way, delay in self._ways(probe)]
                for _, probe in self.inside
            ]

    def end(self, steps: int) -> None:
        """After the block: read the rest, and reduce what can be."""
        if not self.busy:
            return
        step = self.stepper.state.step - steps
        for (index, probe), early in zip(self.inside, self.early, strict=True):
            waves = []
            for (way, _), part in zip(self._ways(probe), early, strict=True):
                late = self._sent(probe, way, step, steps - part.shape[1])
                waves.append(probe.corrections[way] * np.concatenate([part, late], axis=1))
            self.stepper.probed[index].append(_quantity(probe, waves[0], waves[1]))
        for record, blocks in zip(self.records, self.stepper.probed, strict=True):
            if not record.plain:
                record.feed([self.stepper.to_host(block) for block in blocks], step)
                blocks.clear()

    def take(self, reduced: bool = True) -> dict[str, Any]:
        """The records by label; those reduced over time only where ``reduced``. What is taken begins anew."""
        taken = {}
        for record, blocks in zip(self.records, self.stepper.probed, strict=True):
            record.feed([self.stepper.to_host(block) for block in blocks], self.stepper.state.step)
            blocks.clear()
            if reduced or record.probe.is_trace:
                taken[record.probe.label] = record.take()
        return taken

    def _ways(self, probe: PlannedProbe) -> tuple[tuple[int, int], tuple[int, int]]:
        """Side a wave was sent from, and how many steps ago: forward and returning."""
        return (0, probe.place), (1, self.plan.lines[probe.line].steps - probe.place)

    def _sent(self, probe: PlannedProbe, side: int, step: int, steps: int) -> np.ndarray:
        """Waves ``[channels, steps, batch]`` sent from one end of a line, from ``step`` on, as its cells hold them."""
        line = self.plan.lines[probe.line]
        return sent_waves(self.plan, self.stepper.state, self.stepper.to_host, line, side, step, steps, self.batch)


def sent_waves(
    plan: Plan, state: State, to_host: Any, line: LineRows, side: int, step: int, steps: int, batch: int
) -> np.ndarray:
    """Waves ``[channels, steps, batch]`` sent from one end of a line, from ``step`` on, as its cells hold them now."""
    pieces = [parts for parts, _ in end_cells(plan, state.arena, line, side, step, steps, batch)]
    parts = [np.concatenate([to_host(piece[i]) for piece in pieces], axis=1) for i in range(len(state.arena))]
    waves: np.ndarray = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
    return waves


def _quantity(probe: PlannedProbe, forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """What a probe inside a line makes of its two waves ``[channels, steps, batch]``: ``[steps, channels, batch]``."""
    if probe.quantity == "power":
        seen = probe.scale * (np.abs(forward) ** 2 - np.abs(backward) ** 2)
    elif probe.quantity in ("forward", "backward"):
        seen = forward if probe.quantity == "forward" else backward
    else:
        seen = probe.scale * (forward + backward if probe.quantity == "voltage" else forward - backward)
    rows = np.moveaxis(seen, 1, 0)
    if probe.reduce == "none":
        return np.ascontiguousarray(rows)
    return np.asarray(rows.mean(axis=(1, 2)) if probe.reduce == "mean" else np.mean(np.abs(rows) ** 2, axis=(1, 2)))
