"""Steps the circuit part of a plan: addresses, source inputs and the choice of kernel around the compiled loops."""

from typing import Any

import numpy as np

from substrate.noise import fill_normals, thermal_variance
from substrate.plan import INJECTED, LINES, NET_FORWARD, NOISE, ClusterGroup, Plan, State

PARALLEL_FROM = 20_000  # numbers scattered per block below which waking a second thread costs more than it saves
WAVEFORM_CHUNK = 4096  # steps of source waveforms sampled at once


class Inputs:
    """What the sources of a circuit feed in, block by block: waveforms sampled ahead, and thermal noise."""

    def __init__(self, plan: Plan, parts: int, batch: int, dtype: np.dtype, seed: int, batch_offset: int) -> None:
        self.plan, self.parts, self.batch, self.dtype = plan, parts, batch, dtype
        self.seed, self.batch_offset = seed, batch_offset
        self.waves = [drive for drive in plan.drives if drive.drive.waveform is not None]
        self.noise = [drive for drive in plan.drives if drive.drive.waveform is None]
        variance = [thermal_variance(d.drive.temperature, plan.dt, plan.reference_power) for d in self.noise]
        self.sigma = np.sqrt(np.array(variance, float) / parts).astype(dtype)
        self.block = np.zeros((parts, len(plan.drives), plan.block, batch), dtype)
        self.ahead = np.zeros((parts, len(self.waves), 0, 1), dtype)
        self.ahead_start = 0

    def at(self, step: int, steps: int) -> np.ndarray:
        """Inputs ``[parts, drives, steps, batch]`` of the block that begins at ``step``."""
        block = self.block[:, :, :steps]
        if self.waves:
            if not self.ahead_start <= step <= step + steps <= self.ahead_start + self.ahead.shape[2]:
                self._sample(step, max(steps, WAVEFORM_CHUNK))
            start = step - self.ahead_start
            block[:, : len(self.waves)] = self.ahead[:, :, start : start + steps]
        if self.noise:
            xi = np.empty((self.parts * len(self.noise), steps, self.batch), self.dtype)
            fill_normals(xi, self.seed, self.plan.drive_noise_source, step, self.batch_offset)
            xi = xi.reshape(self.parts, len(self.noise), steps, self.batch)
            block[:, len(self.waves) :] = xi * self.sigma[:, None, None]
        return block

    def _sample(self, step: int, steps: int) -> None:
        times = (np.arange(step, step + steps) + 1) * self.plan.dt
        rows = [np.atleast_2d((d.scale * d.drive.waveform.sample(times)).T).T for d in self.waves]
        width = max(row.shape[1] for row in rows)
        values = np.stack([np.broadcast_to(row, (steps, width)) for row in rows])
        parts = [values.real, values.imag] if self.parts == 2 else [values.real]
        self.ahead, self.ahead_start = np.stack(parts).astype(self.dtype), step


class Group:
    """One cluster group ready to be stepped: flat addresses of its line ends, matrices in the kernel's layout."""

    def __init__(self, plan: Plan, group: ClusterGroup, offsets: list[int], parts: int, batch: int, dtype: Any) -> None:
        self.group, self.batch, self.parts = group, batch, parts
        lines = group.lines
        steps = np.array([line.steps for line in plan.lines], np.int64)
        row = np.array([line.row for line in plan.lines], np.int64)
        delay_class = np.array([line.delay_class for line in plan.lines], np.int32)
        rows = np.array([c.rows for c in plan.classes], np.int64)
        start = np.array(offsets, np.int64)
        self.delay_class = delay_class[lines]
        self.base = start[self.delay_class] + row[lines] * steps[lines] * batch
        self.stride = rows[self.delay_class] * steps[lines] * batch
        self.side = group.sides.astype(np.int64)
        matrices = group.matrices
        split = [matrices.real, matrices.imag] if parts == 2 else [matrices]
        self.matrices = np.ascontiguousarray(np.stack(split, axis=1).astype(dtype))  # [unique, parts, batch or 1, ...]
        self.chunks = -(-len(group.which) // 256)
        driven = [plan.drives[i].drive.waveform is not None for i in group.inputs.ravel()]
        self.column = INJECTED if any(driven) else NOISE if driven else NET_FORWARD

    def step(self, state: State, where: tuple[np.ndarray, ...], steps: int, inputs: Any, seen: Any, memory: Any) -> Any:
        """Step all clusters of the group; returns what arrived, left, was lost in lines, and went into states."""
        from substrate.backends import cpu_clusters as kernels

        group = self.group
        parallel = len(group.which) * group.ports * steps * self.batch >= PARALLEL_FROM and self.chunks > 1
        totals = np.zeros((self.chunks, 4))
        common = (group.which, self.base, self.stride, self.side, self.delay_class, group.weights, *where)
        if not group.memoryless:
            kernel = kernels.scatter_general_parallel if parallel else kernels.scatter_general
            kernel(
                state.arena, self.matrices, *common, steps, self.batch, totals,
                memory, inputs, group.inputs, seen, group.observed, group.energy,
            )  # fmt: skip
        elif self.parts == 1:
            kernel = kernels.scatter_real_parallel if parallel else kernels.scatter_real
            kernel(state.arena[0], self.matrices[:, 0, 0], *common, steps, self.batch, totals)
        else:
            kernel = kernels.scatter_complex_parallel if parallel else kernels.scatter_complex
            re, im = self.matrices[:, 0, 0], self.matrices[:, 1, 0]
            kernel(state.arena[0], state.arena[1], re, im, *common, steps, self.batch, totals)
        return totals.sum(axis=0)


class CircuitStepper:
    """Steps every cluster group of a plan and books its energy."""

    def __init__(self, plan: Plan, state: State, batch: int, seed: int, batch_offset: int) -> None:
        self.plan, self.state, self.batch = plan, state, batch
        parts, dtype = state.arena.shape[0], state.arena.dtype
        offsets = np.cumsum([0] + [2 * c.rows * c.steps * batch for c in plan.classes]).tolist()
        self.groups = [Group(plan, group, offsets, parts, batch, dtype) for group in plan.clusters]
        self.inputs = Inputs(plan, parts, batch, dtype, seed, batch_offset)
        self.seen = np.zeros((parts, plan.observed, plan.block, batch), dtype)
        self.class_steps = np.array([c.steps for c in plan.classes], np.int64)

    def step(self, steps: int) -> None:
        """Step all clusters by one block."""
        state = self.state
        lap, cell = np.divmod(np.int64(state.step), self.class_steps)
        where = (cell, lap & 1, np.minimum(steps, self.class_steps - cell))
        inputs = self.inputs.at(state.step, steps)
        first_row = len(self.plan.nodes) + len(self.plan.departures)
        for index, group in enumerate(self.groups):
            arrived, left, lost, stored = group.step(state, where, steps, inputs, self.seen, state.memories[index])
            row, net = state.ledger[first_row + index], arrived - left - lost - stored
            row[LINES] += lost
            row[group.column] += net if group.column == NET_FORWARD else -net

    def observed(self, row: int, steps: int) -> np.ndarray:
        """What one observed row saw in the block, ``[1, steps, batch]``, complex where waves are."""
        part = self.seen[:, row, :steps]
        return (part[0] if len(part) == 1 else part[0] + 1j * part[1])[None]
