"""Steps the circuit part of a plan: source inputs, states, probes and books around the compiled loops."""

from time import perf_counter

import numpy as np

from substrate.backends.cpu_nonlinear import NonlinearStepper, metered_flow
from substrate.backends.cpu_pace import Pace
from substrate.backends.cpu_program import TILE, build_program
from substrate.backends.waveform_samples import Ahead, longest_call, white_sigmas
from substrate.noise import Seed, fill_normals
from substrate.plan import LINES, NET_FORWARD, Plan, PlannedProbe, State

PARALLEL_FROM = 65_536  # numbers scattered per block below which waking a second thread costs more than it saves


class Inputs:
    """What the sources of a circuit feed in, call by call: waveforms sampled ahead, and thermal noise."""

    def __init__(
        self, plan: Plan, parts: int, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int, longest: int
    ) -> None:
        self.plan, self.parts, self.batch, self.dtype = plan, parts, batch, dtype
        self.seed, self.batch_offset = seed, batch_offset
        self.waves = [drive for drive in plan.drives if drive.drive.waveform is not None]
        self.noise = [drive for drive in plan.drives if drive.drive.waveform is None]
        self.sigma = white_sigmas(plan, dtype)
        self.ahead = Ahead(plan, parts, batch, dtype, seed, batch_offset)
        self.block = np.zeros((parts, len(plan.drives), longest, batch), dtype)

    def prepare(self, step: int, steps: int) -> None:
        """Fill the first ``steps`` steps of ``block [parts, drives, longest, batch]`` for a call that begins at
        ``step``."""
        block = self.block[:, :, :steps]
        if self.waves:
            block[:, : len(self.waves)] = self.ahead.take(step, steps)
        if self.sigma.any():
            xi = np.empty((self.parts * len(self.noise), steps, self.batch), self.dtype)
            fill_normals(xi, self.seed, self.plan.drive_noise_source, step, self.batch_offset)
            xi = xi.reshape(self.parts, len(self.noise), steps, self.batch)
            block[:, len(self.waves) :] = xi * self.sigma[:, None, None]


class CircuitStepper:
    """Steps every cluster of a plan, many blocks in one compiled call, and books their energy.

    ``longest`` is the most steps of a call: as many as keep the records of sources and probes in a small buffer.
    """

    def __init__(self, plan: Plan, state: State, batch: int, seed: Seed, batch_offset: int) -> None:
        self.plan, self.state, self.batch = plan, state, batch
        parts, dtype = state.arena.shape[0], state.arena.dtype
        if plan.clusters:
            self.program, self.owner = build_program(plan, parts, batch, dtype)
        # Nodes outside the circuit part and nonlinear clusters need every block.
        self.longest = longest_call(plan, batch, parts, bool(plan.nodes or plan.nonlinear))
        self.inputs = Inputs(plan, parts, batch, dtype, seed, batch_offset, self.longest)
        self.seen = np.zeros((parts, plan.observed, self.longest, batch), dtype)
        self.memory = _flat_memory(state, parts, dtype)
        work = sum(len(g.which) * g.ports for g in plan.clusters) * plan.block * batch
        self.parallel = work >= PARALLEL_FROM and len(self.owner) > 1 if plan.clusters else False
        self.pace = Pace()
        self.column = [plan.heading(group) for group in plan.clusters]
        self.scratch = self._scratch(parts, dtype) if plan.clusters else []
        self.nonlinear = NonlinearStepper(plan, state, batch) if plan.nonlinear else None

    def step(self, steps: int) -> None:
        """Step all clusters by ``steps`` <= ``longest``."""
        self.inputs.prepare(self.state.step, steps)
        if self.plan.clusters:
            self._step_linear(steps)
        if self.nonlinear is not None:
            self.nonlinear.step(steps, self.inputs.block, self.seen)

    def _step_linear(self, steps: int) -> None:
        from substrate.backends import cpu_clusters as kernels

        state, parts = self.state, len(self.memory)
        inputs, seen = self.inputs.block.reshape(parts, -1), self.seen.reshape(parts, -1)
        totals, span = np.zeros((len(self.owner), 3)), self.longest * self.batch
        begin = 0
        while begin < steps:
            threads = self.parallel and self.pace.pick()
            end = min(steps, begin + self.pace.blocks * self.plan.block) if self.parallel else steps
            kernel, start = kernels.step_clusters_parallel if threads else kernels.step_clusters, perf_counter()
            kernel(
                self.program, state.arena, self.memory, inputs, seen, span, *self.scratch, state.step, begin, end,
                totals,
            )  # fmt: skip
            if self.parallel:
                self.pace.took((perf_counter() - start) / (end - begin))
            begin = end
        first_row = len(self.plan.nodes) + len(self.plan.departures)
        for index, column in enumerate(self.column):
            net, lost, stored = totals[self.owner == index].sum(axis=0)
            row = state.ledger[first_row + index]
            if self.plan.clusters[index].metered:
                outside, inside = metered_flow(self.seen, self.plan.clusters[index], steps)
                net, lost = net - inside - outside, lost + outside
            row[LINES] += lost
            row[column] += (net - stored) if column == NET_FORWARD else (stored - net)

    def use_threads(self, parallel: bool) -> None:
        """Step chunks of clusters side by side where that is faster, or one after the other, whatever pays."""
        self.parallel, self.pace = parallel, Pace()
        self.scratch = self._scratch(self.state.arena.shape[0], self.state.arena.dtype)

    def _scratch(self, parts: int, dtype: np.dtype) -> list[np.ndarray]:
        """Where the compiled loops put what arrives at a cluster, its next states, and places; see
        ``step_clusters``."""
        slots, columns = len(self.owner) if self.parallel else 1, self.program.columns
        # A single sample with states takes three runs of numbers out of the second.
        rows = max(sum(group.matrices.shape[2:]) for group in self.plan.clusters)
        shapes = (
            (slots, parts, columns, max(TILE, self.batch)),
            (slots, parts, max(columns * self.batch, 3 * (rows + 1))),
        )
        classes = len(self.program.delay)
        places = [(slots, columns), 2 * classes, 2 * classes, classes]
        return [np.zeros(shape, dtype) for shape in shapes] + [np.zeros(shape, np.int64) for shape in places]

    def observed(self, probe: PlannedProbe, steps: int) -> np.ndarray:
        """What a probe saw in the last call, ``[1, steps, batch]`` of its own, complex where waves are."""
        from substrate.backends.cpu_kernels import envelope_power

        parts = len(self.seen)
        a, b = self.seen[:, probe.arriving, :steps], self.seen[:, probe.departing, :steps]
        if probe.quantity == "power" and parts == 2:
            out = np.empty(a[0].shape, a.dtype)
            rows = (wave.ravel() for wave in (a[0], a[1], b[0], b[1]))
            envelope_power(*rows, a.dtype.type(probe.scale), out.ravel())
            return out[None]
        if probe.quantity == "power":
            return np.asarray(probe.scale * (a**2 - b**2))
        out = np.empty(a[0].shape, np.result_type(a, 1j) if parts == 2 else a.dtype)
        for part, to in enumerate((out.real, out.imag)[:parts]):
            if probe.quantity in ("arriving", "departing"):
                to[...] = (a if probe.quantity == "arriving" else b)[part]
                continue
            (np.add if probe.quantity == "voltage" else np.subtract)(a[part], b[part], out=to)
            to *= probe.scale
        return out[None]


def _flat_memory(state: State, parts: int, dtype: np.dtype) -> np.ndarray:
    """All states in one array ``[parts, states * batch]``; ``state.memories`` become views of it."""
    memory = np.zeros((parts, sum(m[0].size for m in state.memories)), dtype)
    place = 0
    for index, old in enumerate(state.memories):
        view = memory[:, place : place + old[0].size].reshape(old.shape)
        view[...] = old
        state.memories[index] = view
        place += old[0].size
    return memory
