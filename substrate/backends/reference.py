"""The arbiter: plain loops, one step, one channel, one sample at a time; slow and obvious."""

import math
from typing import Any

import numpy as np

from substrate.backends import new_state, power_cells, require_same_shape
from substrate.backends.host_ports import HostPorts
from substrate.backends.reference_circuit import step_circuit
from substrate.backends.reference_functions import PHI, SLOPE, error_wave
from substrate.backends.reference_nonlinear import stored_energy
from substrate.backends.reference_reciprocal import KERNELS as RECIPROCAL
from substrate.noise import Seed, normals
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
)

Wave = list[list[float]]  # [channels][batch], one step


def energy(wave: Wave) -> float:
    """Sum of squares of one step of a wave."""
    return math.fsum(value * value for row in wave for value in row)


class Stepper(HostPorts):
    """Steps a plan one step at a time; see :class:`substrate.backends.Stepper`."""

    def __init__(self, plan: Plan, *, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int) -> None:
        self.plan, self.batch, self.seed, self.batch_offset = plan, batch, seed, batch_offset
        self.dtype, self.longest = dtype, plan.block
        self.state = new_state(np, plan, batch, dtype)
        self.probed: list[list[np.ndarray]] = [[] for _ in plan.probes]
        self.signals: list[Wave] = [[] for _ in plan.signals]

    def step(self, steps: int) -> None:
        """Advance by ``steps``, one after the other."""
        for _ in range(steps):
            try:
                self._one_step()
            except (OverflowError, ValueError) as error:  # how Python's own floats say infinity and NaN
                raise FloatingPointError(str(error)) from error

    def adopt(self, plan: Plan) -> None:
        """Go on with other numbers in the clusters; see the contract."""
        require_same_shape(self.plan, plan)
        self.plan = plan

    def stored_energy(self) -> float:
        """Sum of amplitude^2 over every cell of every line."""
        waves = power_cells(self.plan, self.state.arena, self.batch)
        energy = math.fsum(v * v for cells in waves for v in cells.ravel().tolist())
        for group, memory in zip(self.plan.clusters, self.state.memories, strict=True):
            for index, weights in enumerate(group.energy.tolist()):
                for place, weight in enumerate(weights):
                    energy += weight * math.fsum(v * v for v in memory[:, index, place].ravel().tolist())
        return energy + stored_energy(self)

    def move_resistors(self, values: np.ndarray, drive: np.ndarray, factor: float, absorbed: np.ndarray) -> None:
        """Move ideal gradient ports and book what they absorb."""
        for i in range(len(values)):
            absorbed[i] += drive[i] * (factor * drive[i])
            values[i] += factor * drive[i]

    def settle_ports(self, new: np.ndarray, values: np.ndarray, drive: np.ndarray, absorbed: np.ndarray) -> None:
        """Take over new device values and book what the cells absorbed."""
        for i in range(len(values)):
            absorbed[i] += drive[i] * (new[i] - values[i])
            values[i] = new[i]

    def _one_step(self) -> None:
        for end, signal in self.plan.arrivals:
            self.signals[signal] = self._cells(end).astype(float).tolist()
        for step in self.plan.passes:
            if step.kind in RECIPROCAL:
                RECIPROCAL[step.kind](self, step)
            else:
                getattr(self, "_" + step.kind)(step)
        seen = step_circuit(self) if self.plan.clusters or self.plan.nonlinear else []
        for probe, blocks in zip(self.plan.probes, self.probed, strict=True):
            if probe.line >= 0:  # the simulation reads it from the cells
                continue
            waves: Any = seen if probe.in_cluster else self.signals
            blocks.append(self._reduced(probe, waves[probe.arriving], waves[probe.departing]))
        for place, (end, signal) in enumerate(self.plan.departures):
            self._depart(place, end, self.signals[signal])
        self.state.step += 1
        self.state.drive_fresh = False

    def _cells(self, end: LineEnd) -> np.ndarray:
        """The cells ``[channels, batch]`` a node reads and writes at this end in this step."""
        line = self.plan.lines[end.line]
        lap, cell = divmod(self.state.step, line.steps)
        plane = end.side if lap % 2 == 0 else 1 - end.side
        cells: np.ndarray = self.state.cells[line.delay_class][plane, line.row : line.row + line.channels, cell]
        return cells

    def _depart(self, place: int, end: LineEnd, wave: Wave) -> None:
        line = self.plan.lines[end.line]
        gain, sigma = line.gains[end.side], line.sigmas[end.side]
        row = self.state.ledger[len(self.plan.nodes) + place]
        if line.smoothing < 1.0:
            memory, before = self.state.filters[place], energy(wave)
            memory += line.smoothing * (np.array(wave) - memory)
            wave = memory.astype(float).tolist()
            row[LINES] += before - energy(wave)
        quiet = [[gain * value for value in channel] for channel in wave]
        sent = self._with_noise(quiet, sigma, line.noise_sources[end.side])
        row[LINES] += energy(wave) - energy(quiet)
        row[NOISE] += energy(sent) - energy(quiet)
        self._cells(end)[...] = sent

    def _with_noise(self, wave: Wave, sigma: float, source: int) -> Wave:
        if sigma == 0.0:
            return wave
        xi = normals(
            self.seed, source, self.state.step, len(wave), self.batch, batch_offset=self.batch_offset, dtype=self.dtype
        )
        return [
            [value + sigma * float(xi[channel, 0, sample]) for sample, value in enumerate(values)]
            for channel, values in enumerate(wave)
        ]

    def _reduced(self, probe: PlannedProbe, arriving: Wave, departing: Wave) -> np.ndarray:
        a, b = np.array(arriving), np.array(departing)
        power = probe.scale * (np.abs(a) ** 2 - np.abs(b) ** 2)
        volts, amps = probe.scale * (a + b), probe.scale * (a - b)
        seen = {"arriving": a, "departing": b, "voltage": volts, "current": amps, "power": power}[probe.quantity]
        if probe.reduce == "none":
            return seen[None]
        return np.array([seen.mean() if probe.reduce == "mean" else np.mean(np.abs(seen) ** 2)])

    def _parameter(self, step: Pass, name: str) -> Any:
        values = self.state.parameters.get(f"{self.plan.node_names[step.node]}.{name}")
        return None if values is None else values.tolist()

    def _node(self, step: Pass) -> Any:
        return self.plan.nodes[step.node]

    def _book(self, step: Pass, power_in: float, power_out: float) -> None:
        direction = NET_BACKWARD if step.kind.endswith("backward") else NET_FORWARD
        if step.booked:
            self.state.ledger[step.node, direction] += power_in - power_out

    def _emit(self, step: Pass, wave: Wave) -> None:
        self.state.ledger[step.node, INJECTED] += energy(wave)
        self._disturb(step, wave)

    def _disturb(self, step: Pass, wave: Wave) -> None:
        """Send a wave with the pass's own noise."""
        sent = self._with_noise(wave, step.sigma, step.noise_source)
        self.state.ledger[step.node, NOISE] += energy(sent) - energy(wave)
        self.signals[step.output] = sent

    def _source(self, step: Pass) -> None:
        self._emit(step, self.state.inputs[self.plan.node_names[step.node]].astype(float).tolist())

    def _termination(self, step: Pass) -> None:
        self._emit(step, [[0.0] * self.batch for _ in range(self._node(step).channels)])

    def _load(self, step: Pass) -> None:
        z = self.signals[step.inputs[0]]
        y = self.state.inputs[self.plan.node_names[step.node]].astype(float).tolist()
        samples = [
            error_wave(self._node(step).loss, [row[s] for row in z], [row[s] for row in y]) for s in range(self.batch)
        ]
        self._emit(step, [list(channel) for channel in zip(*samples, strict=True)])

    def _absorb(self, step: Pass) -> None:
        self.state.ledger[step.node, RADIATED] += energy(self.signals[step.inputs[0]])

    def _through(self, step: Pass, matrix: list[list[float]], bias: list[float]) -> None:
        """Coupler, mesh (with bias), coupler; each coupler takes ``tap`` of the power that passes it."""
        tap = self._node(step).tap
        passed = math.sqrt(1.0 - tap)
        x = self.signals[step.inputs[0]]
        inside = [
            [math.fsum(w * passed * x[j][s] for j, w in enumerate(row)) + bias[i] for s in range(self.batch)]
            for i, row in enumerate(matrix)
        ]
        left = [[passed * value for value in row] for row in inside]
        self._disturb(step, left)
        if step.booked:
            self.state.ledger[step.node, PORTS] += tap * (energy(x) + energy(inside))
        self._book(step, (1.0 - tap) * energy(x), energy(inside))

    def _weights_forward(self, step: Pass) -> None:
        matrix = self._parameter(step, "matrix")
        self._through(step, matrix, self._parameter(step, "bias") or [0.0] * len(matrix))

    def _weights_backward(self, step: Pass) -> None:
        transposed = [list(column) for column in zip(*self._parameter(step, "matrix"), strict=True)]
        self._through(step, transposed, [0.0] * len(transposed))

    def _weights_port(self, step: Pass) -> None:
        scale, state, name = self.state.drive_scale, self.state, self.plan.node_names[step.node]
        forward = self._echo(step, self.signals[step.inputs[0]])
        if scale == 0.0:
            return
        passed = math.sqrt(1.0 - self._node(step).tap)
        x, p = ([[passed * v for v in row] for row in wave] for wave in (forward, self.signals[step.inputs[1]]))
        matrix = state.drive[f"{name}.matrix"]
        bias = state.drive.get(f"{name}.bias")
        for i in range(matrix.shape[0]):
            for j in range(matrix.shape[1]):
                seen = scale * math.fsum(p[i][s] * x[j][s] for s in range(self.batch))
                matrix[i, j] = seen + (0.0 if state.drive_fresh else matrix[i, j])
            if bias is not None:
                bias[i] = scale * math.fsum(p[i]) + (0.0 if state.drive_fresh else bias[i])

    def _echo(self, step: Pass, wave: Wave) -> Wave:
        """What passed a node with memory one round trip earlier; without memory, what passes now."""
        if step.memory == 0:
            return wave
        cells = self.state.echoes[self.plan.node_names[step.node]][:, self.state.step % step.memory]
        earlier: Wave = cells.astype(float).tolist()
        cells[...] = wave
        return earlier

    def _activation_forward(self, step: Pass) -> None:
        v, function = self.signals[step.inputs[0]], PHI[self._node(step).function]
        self.signals[step.output] = [[function(value) for value in row] for row in v]
        self._book(step, energy(v), energy(self.signals[step.output]))

    def _activation_backward(self, step: Pass) -> None:
        v, p = self.signals[step.inputs[0]], self.signals[step.inputs[2]]
        slope = SLOPE[self._node(step).function]
        slopes = self._echo(step, [[slope(value) for value in row] for row in v])
        out = [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(slopes, p, strict=True)]
        self.signals[step.output] = out
        self._book(step, energy(p), energy(out))
