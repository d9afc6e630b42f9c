"""The GPU backend: all state lives on the device, and blocks are lists of launches laid out once (docs/gpu.md)."""

from typing import Any

import numpy as np

from substrate.backends import new_state, power_cells, require_same_shape
from substrate.backends.gpu_circuit import DeviceCircuit
from substrate.backends.gpu_device import Device, Operation
from substrate.backends.gpu_laws import Laws
from substrate.backends.gpu_passes import MATCHED
from substrate.backends.gpu_program import Program
from substrate.backends.gpu_reciprocal import RECIPROCAL, Factor
from substrate.errors import BackendError
from substrate.noise import Seed, normal_table, own_seeds
from substrate.plan import Pass, Plan, PlannedProbe

BLOCKS_PER_CALL = 256  # of plans without circuits, between two looks at the books
PASSES = MATCHED | RECIPROCAL
MOST_PROGRAMS = 64  # lists of launches that are kept


def make_device(dtype: Any) -> Device:
    """The device that steppers get; raises BackendError where there is none."""
    from substrate.backends.gpu_cuda import device

    return device(dtype)


class Stepper:
    """Steps a plan on a GPU; see :class:`substrate.backends.Stepper`."""

    def __init__(self, plan: Plan, *, batch: int, dtype: np.dtype, seed: Seed, batch_offset: int) -> None:
        if dtype.kind == "c" and plan.nodes:
            raise BackendError(f"{plan.node_names[0]!r} works with real waves; use float64 or float32")
        self.plan, self.batch, self.dtype, self.seed, self.batch_offset = plan, batch, dtype, seed, batch_offset
        self.device = device = make_device(dtype)
        self.xp = xp = device.xp
        self.real = np.zeros(0, dtype).real.dtype
        self.state = new_state(xp, plan, batch, dtype, device.require)
        self.clock, self.drive_scale = xp.zeros(2, dtype=np.int64), xp.zeros(1)
        self.ledger = xp.zeros(max(1, self.state.ledger.size))
        self.sums = xp.zeros((2 * len(plan.signals) + 2 * len(plan.departures) + 1) * device.most_blocks)
        self.laws = Laws(device)
        self._noise(seed, batch_offset)
        self._buffers()
        self.factors: dict[str, Factor] = {}
        self.split: dict[str, list[list[Any]]] = {}
        self.circuit = self._circuit()
        self.longest = self._longest()
        self.probed: list[list[Any]] = [[] for _ in plan.probes]
        self.programs: dict[tuple[Any, ...], tuple[Program, Operation]] = {}
        self.known: list[Any] = []  # arrays that the programs were laid out for
        self.steady_version = -1

    def step(self, steps: int) -> None:
        """Advance by a call of one block, or many; see the contract."""
        with self.device.working():
            self._step(steps)

    def _step(self, steps: int) -> None:
        state, device = self.state, self.device
        self._refresh()
        self.clock[...] = device.put(np.array([state.step, 0]))
        self.drive_scale.fill(state.drive_scale)
        self.ledger.fill(0.0)
        if self.circuit is not None:
            self.circuit.prepare(state.step, steps)
        listening, done, cleared = state.drive_scale != 0.0, 0, not state.drive_fresh
        at_once = steps if self.circuit is not None and self.circuit.own else self.plan.block
        while done < steps:
            count = min(at_once, steps - done)
            program, run = self._program(count, self.steady_version != state.version, listening)
            if listening and not cleared:
                for drive in program.heard:
                    drive.fill(0.0)
                cleared = True
            run()
            self.steady_version = state.version
            self._record_bundles(program)
            done += count
        self._close(steps)

    def adopt(self, plan: Plan) -> None:
        """Go on with other numbers in the clusters; see the contract."""
        require_same_shape(self.plan, plan)
        self.plan = plan
        self.programs.clear()
        self.circuit = self._circuit()

    def stored_energy(self) -> float:
        """Sum of amplitude^2 over every cell of every line."""
        waves = [cells for part in self.state.arena for cells in power_cells(self.plan, part, self.batch)]
        energy = sum(self._squares("square_sums", cells, cells.size) for cells in waves)
        weights = self.circuit.energy_weights if self.circuit else []
        for weight, memory in zip(weights, [*self.state.memories, *self.state.nonlinear], strict=True):
            if memory.size:
                energy += self._squares("state_energy", memory, memory.size, weight, weight.size, self.batch)
        return energy + sum(n.stored_energy() for n in (self.circuit.nonlinear if self.circuit else []))

    def move_resistors(self, values: Any, drive: Any, factor: float, absorbed: Any) -> None:
        """Move ideal gradient ports and book what they absorb."""
        count = values.size
        self.device.launch("move_resistors", count, values, drive, factor, absorbed, count)()

    def settle_ports(self, new: Any, values: Any, drive: Any, absorbed: Any) -> None:
        """Take over new device values and book what the cells absorbed."""
        new = self.xp.ascontiguousarray(new.astype(values.dtype, copy=False))
        self.device.launch("settle_ports", values.size, new, values, drive, absorbed, values.size)()

    def advance(self, device: Any, state: dict[str, Any], drive: Any, seconds: float, xi: Any) -> Any:
        """Move device cells by one kernel written from their law, or by array operations where it cannot be written."""
        value = self.laws.advance(device, state, drive, seconds, xi)
        if value is not None:
            return value
        device.advance(self.xp, state, drive, seconds, xi)
        return device.value(self.xp, state)

    def cell_normals(self, seed: int, source: int, step: int, count: int, like: Any) -> Any:
        """Standard normals of device cells, made where they are."""
        xi = self.xp.empty((count, *like.shape), dtype=self.real)
        noise = self.device.pack("Noise", seed=seed, seeds=None, offset=0, table=self.table)
        self.device.launch("fill_normals", xi.size, noise, source, step, count, like.size, xi)()
        return xi.astype(like.dtype, copy=False)

    def to_host(self, array: Any) -> np.ndarray:
        """A copy of an array of the state, or of what a probe recorded."""
        return self.device.to_host(array)

    # What programs are laid out with.

    def view(self, signal: int, steps: int) -> Any:
        """The buffer of a signal in a block of ``steps`` steps: ``[channels, steps or 1, batch]``."""
        wanted = self.plan.signals[signal]
        length = 1 if wanted.steady else steps
        return self.buffers[signal][: wanted.channels * length * self.batch].reshape(
            wanted.channels, length, self.batch
        )

    def temporary(self, shape: tuple[int, ...], purpose: str) -> Any:
        """Scratch of a purpose, long enough for every block."""
        channels, steps, batch = (int(n) for n in shape)
        key = (purpose, channels)
        if key not in self.scratch:
            self.scratch[key] = self.xp.zeros(channels * self.plan.block * batch, dtype=self.real)
        return self.scratch[key][: channels * steps * batch].reshape(channels, steps, batch)

    def factor(self, name: str, z: tuple[float, ...]) -> Factor:
        """The inverse that a transformer needs, up to date for the parameters as they are."""
        if name not in self.factors:
            self.factors[name] = Factor(self.xp, self.state.parameters, f"{name}.matrix", z)
            self.factors[name].update()
        return self.factors[name]

    def pieces(self, step: Pass) -> list[list[Any]]:
        """The four blocks of a constant scattering matrix."""
        name = self.plan.node_names[step.node]
        if name not in self.split:
            node: Any = self.plan.nodes[step.node]
            matrix = node.scattering(*step.z)
            half = len(matrix) // 2
            cuts = (slice(0, half), slice(half, None))
            self.split[name] = [[self.device.put(matrix[a, b], self.real) for b in cuts] for a in cuts]
        return self.split[name]

    def _noise(self, seed: Seed, batch_offset: int) -> None:
        own = own_seeds(seed, self.batch, batch_offset) if isinstance(seed, tuple) else ()
        self.table = self.device.put(normal_table())
        self.seeds = self.device.put(np.array(own, np.uint64)) if own else None
        self.noise = self.device.pack(
            "Noise", seed=0 if own else seed, seeds=self.seeds, offset=batch_offset, table=self.table
        )

    def _buffers(self) -> None:
        """Signals, scratch, and the ends of lines that bundles meet."""
        xp, plan, batch = self.xp, self.plan, self.batch
        sizes = [s.channels * (1 if s.steady else plan.block) * batch for s in plan.signals]
        self.device.require(float(sum(sizes)) * self.real.itemsize, "The waves of a block", "split the batch")
        self.buffers = [xp.zeros(size, dtype=self.real) for size in sizes]
        self.scratch: dict[tuple[str, int], Any] = {}
        starts = np.cumsum([0, *(2 * c.rows * c.steps * batch for c in plan.classes)])
        self.ends: dict[tuple[int, int], Any] = {}
        for end, _ in (*plan.arrivals, *plan.departures):
            line = plan.lines[end.line]
            self.ends[(end.line, end.side)] = self.device.pack(
                "End", start=starts[line.delay_class] + line.row * line.steps * batch,
                plane=plan.classes[line.delay_class].rows * line.steps * batch, delay=line.steps, side=end.side,
                channels=line.channels, batch=batch,
            )  # fmt: skip

    def _circuit(self) -> DeviceCircuit | None:
        if not (self.plan.clusters or self.plan.nonlinear):
            return None
        return DeviceCircuit(self.plan, self.state, self.device, self.batch, self.seed, self.batch_offset, self)

    def _longest(self) -> int:
        if self.circuit is not None:
            return self.circuit.longest
        return self.plan.block * (1 if any(p.line >= 0 for p in self.plan.probes) else BLOCKS_PER_CALL)

    def _refresh(self) -> None:
        """Forget the programs when an array they point to is another; bring inverses up to date."""
        state = self.state
        arrays = [*state.parameters.values(), *state.drive.values(), *state.inputs.values(), *state.voltages.values()]
        if len(arrays) != len(self.known) or any(a is not b for a, b in zip(arrays, self.known, strict=True)):
            self.programs.clear()
            self.factors.clear()
            self.known = arrays
        if self.steady_version != state.version:
            for factor in self.factors.values():
                factor.update()

    def _program(self, steps: int, fresh: bool, listening: bool) -> tuple[Program, Operation]:
        key = (steps, fresh, listening)
        if key not in self.programs:
            if len(self.programs) >= MOST_PROGRAMS:
                self.programs.clear()
            program = Program(self, steps, fresh, listening).build(PASSES)
            self.programs[key] = program, self.device.replay(program.operations)
        return self.programs[key]

    def _close(self, steps: int) -> None:
        """After a call: bring the books to the host, look for failures, and record what probes in circuits saw."""
        state, first = self.state, self.state.step
        if self.circuit is not None:
            for operation in self.circuit.closing:
                operation()
        self._record_circuit(steps)
        state.ledger += self.device.to_host(self.ledger)[: state.ledger.size].reshape(state.ledger.shape)
        state.step += steps
        state.drive_fresh = False
        for group in self.circuit.nonlinear if self.circuit is not None else []:
            group.check(first)

    def _squares(self, kernel: str, values: Any, items: int, *rest: Any) -> float:
        blocks = self.device.blocks(items)
        sums = self.xp.zeros(blocks)
        arguments = (values, *rest, sums) if rest else (values, items, sums)
        self.device.launch(kernel, items, *arguments, blocks=blocks)()
        return float(self.device.to_host(sums).sum())

    def _record_bundles(self, program: Program) -> None:
        for probe, blocks in zip(self.plan.probes, self.probed, strict=True):
            if probe.line < 0 and not probe.in_cluster:
                a, b = (self._wave(program, index) for index in (probe.arriving, probe.departing))
                blocks.append(self._recorded(probe, _quantity(self.xp, probe, a, b)))

    def _record_circuit(self, steps: int) -> None:
        for probe, blocks in zip(self.plan.probes, self.probed, strict=True):
            if probe.in_cluster and self.circuit is not None:
                blocks.append(self._recorded(probe, self.circuit.observed(probe, steps)))

    def _recorded(self, probe: PlannedProbe, block: Any) -> Any:
        """What is kept of a block ``[channels, steps, batch]``, on its way to the host."""
        if probe.reduce == "mean":
            kept = block.mean(axis=(0, 2))
        elif probe.reduce == "mean_square":
            kept = (self.xp.abs(block) ** 2).mean(axis=(0, 2))
        else:
            kept = self.xp.moveaxis(block, 1, 0).copy()
        return self.device.send(kept)

    def _wave(self, program: Program, index: int) -> Any:
        wave = program.signals[index]
        if wave.shape[1] == 1 != program.steps:
            wave = self.xp.broadcast_to(wave, (wave.shape[0], program.steps, wave.shape[2]))
        return wave


def _quantity(xp: Any, probe: PlannedProbe, a: Any, b: Any) -> Any:
    """What a probe makes of the waves arriving and departing."""
    if probe.quantity in ("arriving", "departing"):
        return a if probe.quantity == "arriving" else b
    if probe.quantity == "power":
        return probe.scale * (xp.abs(a) ** 2 - xp.abs(b) ** 2)
    return probe.scale * (a + b if probe.quantity == "voltage" else a - b)
