"""The fast backend: NumPy over whole blocks, Numba where noise is added."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from substrate.activations import ActivationFunction, activation_named
from substrate.backends import new_state, power_cells, require_same_shape
from substrate.backends.cpu_circuit import CircuitStepper
from substrate.backends.cpu_reciprocal import KERNELS as RECIPROCAL
from substrate.backends.echo import recall
from substrate.backends.host_ports import HostPorts
from substrate.errors import BackendError
from substrate.losses import loss_named
from substrate.noise import Seed
from substrate.plan import (
    INJECTED,
    LINES,
    NET_BACKWARD,
    NET_FORWARD,
    NOISE,
    PORTS,
    RADIATED,
    LineEnd,
    Pass,
    Plan,
    PlannedProbe,
    wave_segments,
)

ENERGY_PIECE = 8192  # cells whose squares are added up at once: more wake a second thread, which may keep all waiting
Block = np.ndarray  # [channels, steps, batch]; a steady signal has one step


def flat(block: Block) -> np.ndarray:
    """View ``[channels, steps, batch]`` as ``[channels, steps * batch]``, the shape matrix products want."""
    return block.reshape(block.shape[0], -1)


def power(block: np.ndarray) -> float:
    """Sum of squares of a block."""
    if block.flags.c_contiguous:
        line = block.ravel()
        return float(np.dot(line, line))
    rows = flat(block)
    return float(np.einsum("ij,ij->", rows, rows))


class Stepper(HostPorts):
    """Steps a plan in blocks ``[channels, steps * batch]``; see :class:`substrate.backends.Stepper`."""

    def __init__(self, plan: Plan, *, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int) -> None:
        self.plan, self.batch, self.dtype, self.seed, self.batch_offset = plan, batch, dtype, seed, batch_offset
        if dtype.kind == "c" and plan.nodes:
            raise BackendError(f"{plan.node_names[0]!r} works with real waves; use float64 or float32")
        self.state = new_state(np, plan, batch, dtype)
        self.circuit = (
            CircuitStepper(plan, self.state, batch, seed, batch_offset) if plan.clusters or plan.nonlinear else None
        )
        self.longest = self.circuit.longest if self.circuit is not None else plan.block
        self.probed: list[list[np.ndarray]] = [[] for _ in plan.probes]
        self.buffers = [np.empty((s.channels, 1 if s.steady else plan.block, batch), dtype) for s in plan.signals]
        self.scratch: dict[tuple[Any, ...], np.ndarray] = {}
        self.signals: list[Block] = [buffer[:, :0] for buffer in self.buffers]
        self.powers: list[float | None] = []
        self.steady_version = -1
        self.held_power: dict[int, tuple[int, float]] = {}  # of steady sources: version of the inputs, power of a step
        self.steps = 0
        self.kernels: list[tuple[Callable[[Pass], None], Pass]] = [(self._kernel(p.kind), p) for p in plan.passes]
        self.factors: dict[str, Any] = {}  # of transformers, by node name

    def step(self, steps: int) -> None:
        """Advance by one block, or many; see the contract."""
        self.steps = steps
        self.powers = [None] * len(self.signals)
        for end, signal in self.plan.arrivals:
            self.signals[signal] = self._arriving(end, signal)
        for signal, buffer in self._outputs:
            self.signals[signal] = buffer[:, :steps]
        for kernel, step in self.kernels:
            kernel(step)
        self.steady_version = self.state.version
        if self.circuit is not None:
            self.circuit.step(steps)
        self._record_probes()
        for place, (end, signal) in enumerate(self.plan.departures):
            self._depart(place, end, signal)
        self.state.step += steps
        self.state.drive_fresh = False

    def _kernel(self, kind: str) -> Callable[[Pass], None]:
        if kind in RECIPROCAL:
            return partial(RECIPROCAL[kind], self)
        kernel: Callable[[Pass], None] = getattr(self, "_" + kind)
        return kernel

    def activation(self, step: Pass) -> ActivationFunction:
        """The function of an activation node."""
        return activation_named(getattr(self.plan.nodes[step.node], "function", ""))

    def adopt(self, plan: Plan) -> None:
        """Go on with other numbers in the clusters; see the contract."""
        require_same_shape(self.plan, plan)
        self.plan = plan
        if plan.clusters or plan.nonlinear:
            self.circuit = CircuitStepper(plan, self.state, self.batch, self.seed, self.batch_offset)

    def stored_energy(self) -> float:
        """Sum of amplitude^2 over every cell of every line."""
        energy = 0.0
        for part in self.state.arena:
            for cells in power_cells(self.plan, part, self.batch):
                energy += sum(power(cells[i : i + ENERGY_PIECE]) for i in range(0, len(cells), ENERGY_PIECE))
        for group, memory in zip(self.plan.clusters, self.state.memories, strict=True):
            energy += float(np.sum(group.energy[:, :, None] * np.sum(memory.astype(float) ** 2, axis=0)))
        if self.circuit is not None and self.circuit.nonlinear is not None:
            energy += self.circuit.nonlinear.stored_energy()
        return energy

    def move_resistors(self, values: np.ndarray, drive: np.ndarray, factor: float, absorbed: np.ndarray) -> None:
        """Move ideal gradient ports and book what they absorb, in one pass."""
        from substrate.backends.cpu_kernels import move_resistors

        move_resistors(values, drive, values.dtype.type(factor), absorbed)

    def settle_ports(self, new: np.ndarray, values: np.ndarray, drive: np.ndarray, absorbed: np.ndarray) -> None:
        """Take over new device values and book what the cells absorbed."""
        from substrate.backends.cpu_kernels import settle_ports

        settle_ports(new, values, drive, absorbed)

    @cached_property
    def _outputs(self) -> list[tuple[int, np.ndarray]]:
        arrivals = {signal for _, signal in self.plan.arrivals}
        return [(i, buffer) for i, buffer in enumerate(self.buffers) if i not in arrivals]

    def _arriving(self, end: LineEnd, signal: int) -> Block:
        """The waves reaching a node in this block: a view of the line's cells where it can be one."""
        line = self.plan.lines[end.line]
        segments = wave_segments(line, end.side, self.state.step, self.steps)
        cells = self.state.cells[line.delay_class][:, line.row : line.row + line.channels]
        if len(segments) == 1:
            plane, where, _ = segments[0]
            return cells[plane, :, where]
        block = self.buffers[signal][:, : self.steps]
        for plane, where, part in segments:
            block[:, part] = cells[plane, :, where]
        return block

    def _depart(self, place: int, end: LineEnd, signal: int) -> None:
        """Write a departing wave into the cells the arriving one was read from, attenuated and with its noise."""
        line, block, state = self.plan.lines[end.line], self.signals[signal], self.state
        gain, sigma = line.gains[end.side], line.sigmas[end.side]
        cells = state.cells[line.delay_class][:, line.row : line.row + line.channels]
        row, sent, noisy = state.ledger[len(self.plan.nodes) + place], self._power(signal), 0.0
        if line.smoothing < 1.0:
            block = self._smoothed(block, line.smoothing, state.filters[place])
            smooth = power(block)
            row[LINES] += sent - smooth
            sent = smooth
        for plane, where, part in wave_segments(line, end.side, state.step, self.steps):
            target = cells[plane, :, where]
            source = block if block.shape[1] == 1 else block[:, part]
            if gain == 1.0:
                target[...] = source
            else:
                np.multiply(source, gain, out=target)
            if sigma > 0.0:
                self._add_noise(target, sigma, line.noise_sources[end.side], state.step + part.start)
                noisy += power(target)
        row[LINES] += (1.0 - gain * gain) * sent
        if sigma > 0.0:
            row[NOISE] += noisy - gain * gain * sent

    def _smoothed(self, block: Block, share: float, memory: np.ndarray) -> Block:
        """A departing wave after the low-pass at the line's end, which lets DC through unchanged."""
        from substrate.backends.cpu_kernels import smooth

        out = self._temporary((block.shape[0], self.steps, self.batch), "smooth")
        smooth(block if block.shape == out.shape else np.broadcast_to(block, out.shape), memory, share, out)
        return out

    def _add_noise(self, target: Block, sigma: float, source: int, step: int) -> None:
        from substrate.noise import add_normals

        add_normals(target, sigma, self.seed, source, step, self.batch_offset)

    def _power(self, signal: int) -> float:
        """Energy of a signal over the block, computed once."""
        value = self.powers[signal]
        if value is None:
            block = self.signals[signal]
            value = power(block) * (self.steps if block.shape[1] == 1 else 1)
            self.powers[signal] = value
        return value

    def _unchanged(self, signal: int) -> bool:
        return self.plan.signals[signal].steady and self.steady_version == self.state.version

    def _book(self, step: Pass, power_in: float, power_out: float) -> None:
        """Count what a pass took from the waves (or, below zero, gave to them)."""
        direction = NET_BACKWARD if step.kind.endswith("backward") else NET_FORWARD
        self.state.ledger[step.node, direction] += power_in - power_out

    def _temporary(self, shape: tuple[int, ...], purpose: str = "") -> np.ndarray:
        key = (purpose, *shape)
        if key not in self.scratch:
            self.scratch[key] = np.empty(shape, self.dtype)
        return self.scratch[key]

    # One method per kind of pass; `plan.passes` says in which order they run.

    def _source(self, step: Pass) -> None:
        held = self.state.inputs[self.plan.node_names[step.node]][:, None]
        if self.plan.signals[step.output].steady:
            self.signals[step.output] = held
            known = self.held_power.get(step.output, (-1, 0.0))
            if known[0] != self.state.inputs_version:
                known = self.held_power[step.output] = (self.state.inputs_version, power(held))
            self.powers[step.output] = self.steps * known[1]
        else:
            self.signals[step.output][...] = held
        self._finish_emission(step)

    def _termination(self, step: Pass) -> None:
        self.signals[step.output][...] = 0.0
        self._finish_emission(step)

    def _load(self, step: Pass) -> None:
        node = self.plan.nodes[step.node]
        target = self.state.inputs[self.plan.node_names[step.node]][:, None]
        loss = loss_named(getattr(node, "loss", ""))
        self.signals[step.output][...] = loss.gradient(np, self.signals[step.inputs[0]], target)
        self._finish_emission(step)

    def _finish_emission(self, step: Pass) -> None:
        """Book what a source or load emits, then add the thermal noise of its resistance."""
        self.state.ledger[step.node, INJECTED] += self._power(step.output)
        self._disturb(step)

    def _disturb(self, step: Pass) -> None:
        """Add a pass's own noise to what it sends, and book it."""
        if step.sigma > 0.0:
            sent = self._power(step.output)
            self._add_noise(self.signals[step.output], step.sigma, step.noise_source, self.state.step)
            self.powers[step.output] = None
            self.state.ledger[step.node, NOISE] += self._power(step.output) - sent

    def _absorb(self, step: Pass) -> None:
        self.state.ledger[step.node, RADIATED] += self._power(step.inputs[0])

    def _weights_forward(self, step: Pass) -> None:
        name = self.plan.node_names[step.node]
        x, out = self.signals[step.inputs[0]], self.signals[step.output]
        if not self._unchanged(step.output):
            self._through(step, self.state.parameters[f"{name}.matrix"], x, out)
            bias = self.state.parameters.get(f"{name}.bias")
            if bias is not None:
                tap = getattr(self.plan.nodes[step.node], "tap", 0.0)
                out += (bias if tap == 0.0 else np.sqrt(1.0 - tap) * bias)[:, None, None]
        self._book_mesh(step)
        self._disturb(step)

    def _weights_backward(self, step: Pass) -> None:
        matrix = self.state.parameters[f"{self.plan.node_names[step.node]}.matrix"]
        self._through(step, matrix.T, self.signals[step.inputs[0]], self.signals[step.output])
        if step.booked:
            self._book_mesh(step)
        self._disturb(step)

    def _through(self, step: Pass, matrix: np.ndarray, wave: Block, out: Block) -> None:
        np.matmul(matrix, flat(wave), out=flat(out))
        tap = getattr(self.plan.nodes[step.node], "tap", 0.0)
        if tap > 0.0:
            out *= 1.0 - tap

    def _book_mesh(self, step: Pass) -> None:
        """Sensing couplers take ``tap`` of the wave before the mesh and ``tap`` of it after; the mesh does the rest."""
        tap = getattr(self.plan.nodes[step.node], "tap", 0.0)
        power_in, power_out = self._power(step.inputs[0]), self._power(step.output)
        if tap > 0.0:
            inside = power_out / (1.0 - tap)
            self.state.ledger[step.node, PORTS] += tap * power_in + (inside - power_out)
            power_in, power_out = (1.0 - tap) * power_in, inside
        self._book(step, power_in, power_out)

    def _weights_port(self, step: Pass) -> None:
        """Add this block to the drive of each entry: -(error wave) x (forward wave), summed over steps and batch."""
        state, name = self.state, self.plan.node_names[step.node]
        x, p = self.signals[step.inputs[0]], self.signals[step.inputs[1]]
        if step.memory:
            x = self._echo(name, x)
        if state.drive_scale == 0.0:
            return
        tap = getattr(self.plan.nodes[step.node], "tap", 0.0)
        if x.shape[1] == 1 and p.shape[1] > 1:
            p = p.sum(axis=1, keepdims=True)
        error = self._temporary((p.shape[0], p.shape[1] * self.batch), "error")
        np.multiply(flat(p), state.drive_scale * (1.0 - tap), out=error)
        self._accumulate(state.drive[f"{name}.matrix"], lambda out: np.matmul(error, flat(x).T, out=out))
        bias = state.drive.get(f"{name}.bias")
        if bias is not None:
            scale = 1.0 if tap == 0.0 else 1.0 / np.sqrt(1.0 - tap)
            self._accumulate(bias, lambda out: np.multiply(error.sum(axis=1), scale, out=out))

    def _echo(self, name: str, block: Block) -> Block:
        """What passed a node one round trip earlier, in exchange for what passes now."""
        out = self._temporary((block.shape[0], self.steps, self.batch), "echo")
        return recall(self.state.echoes[name], self.state.step, block, out)

    def _accumulate(self, drive: np.ndarray, compute: Callable[[np.ndarray], Any]) -> None:
        if self.state.drive_fresh:
            compute(drive)
        else:
            part = self._temporary(drive.shape, "part")
            compute(part)
            drive += part

    def _activation_forward(self, step: Pass) -> None:
        function = self.activation(step)
        if not self._unchanged(step.output):
            function.value(np, self.signals[step.inputs[0]], self.signals[step.output])
        self._book(step, self._power(step.inputs[0]), self._power(step.output))

    def _activation_backward(self, step: Pass) -> None:
        v, h, p = (self.signals[i] for i in step.inputs)
        function = self.activation(step)
        slope = function.slope(np, v, h)
        if step.memory:
            slope = self._echo(self.plan.node_names[step.node], slope)
        np.multiply(slope, p, out=self.signals[step.output])
        if step.booked:
            self._book(step, self._power(step.inputs[2]), self._power(step.output))

    def _record_probes(self) -> None:
        for probe, blocks in zip(self.plan.probes, self.probed, strict=True):
            if probe.line >= 0:  # the simulation reads it from the cells
                continue
            block = self._seen(probe)
            if probe.reduce == "mean":
                blocks.append(block.mean(axis=(0, 2)))
            elif probe.reduce == "mean_square":
                blocks.append(np.mean(np.abs(block) ** 2, axis=(0, 2)))
            else:
                rows = np.moveaxis(block, 1, 0)
                blocks.append(rows if probe.in_cluster else rows.copy())

    def _seen(self, probe: PlannedProbe) -> np.ndarray:
        """What a probe sees in this block, ``[channels, steps, batch]``."""
        if probe.in_cluster:
            assert self.circuit is not None
            return self.circuit.observed(probe, self.steps)
        if probe.quantity == "arriving":
            return self._wave(probe.arriving)
        if probe.quantity == "departing":
            return self._wave(probe.departing)
        a, b = self._wave(probe.arriving), self._wave(probe.departing)
        if probe.quantity == "power":
            return probe.scale * (np.abs(a) ** 2 - np.abs(b) ** 2)
        return probe.scale * (a + b if probe.quantity == "voltage" else a - b)

    def _wave(self, index: int) -> np.ndarray:
        block = self.signals[index]
        if block.shape[1] == 1:
            block = np.broadcast_to(block, (block.shape[0], self.steps, block.shape[2]))
        return block
