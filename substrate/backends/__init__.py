"""The contract of a backend, and the backends there are."""

import importlib
import importlib.util
from typing import Any, Protocol

import numpy as np

from substrate.errors import BackendError, NetworkError
from substrate.memory import require_memory
from substrate.noise import Seed, own_seeds
from substrate.plan import Link, Plan, State

MODULES = {
    "reference": "substrate.backends.reference",
    "cpu": "substrate.backends.cpu",
    "gpu": "substrate.backends.gpu",  # where there is a CUDA device; asked for, it says itself why not
}


class Stepper(Protocol):
    """Steps one plan and its state; made by :func:`make_stepper`."""

    xp: Any  # the array module the state lives in
    state: State
    probed: list[list[Any]]  # per probe of the plan at a port, the blocks recorded since the list was last emptied

    longest: int  # the most steps of one call: a block, or many where nothing needs to be heard in between

    def step(self, steps: int) -> None:
        """Advance the state by ``steps`` <= longest steps; inputs and parameters do not change meanwhile.

        May raise FloatingPointError when a wave is no longer finite.
        """

    def adopt(self, plan: Plan) -> None:
        """Go on with a plan of the same shape, with other numbers in its clusters; raises NetworkError."""

    def stored_energy(self) -> float:
        """Sum of amplitude^2 over every cell of every line."""

    def move_resistors(self, values: Any, drive: Any, factor: float, absorbed: Any) -> None:
        """``values += factor * drive; absorbed += factor * drive^2`` (flat arrays): ports that are plain resistors."""

    def settle_ports(self, new: Any, values: Any, drive: Any, absorbed: Any) -> None:
        """Take over the devices' ``new`` values: ``absorbed += drive * (new - values); values = new`` (flat arrays)."""

    def advance(self, device: Any, state: dict[str, Any], drive: Any, seconds: float, xi: Any) -> Any:
        """Move device cells by ``seconds``, in place; returns their new values."""

    def cell_normals(self, seed: int, source: int, step: int, count: int, like: Any) -> Any:
        """Standard normals ``[count, *cells]`` as :func:`substrate.noise.cell_normals` for an array of cells."""

    def to_host(self, array: Any) -> np.ndarray:
        """A NumPy copy of an array of the state."""


def available() -> list[str]:
    """Names of the backends that can run on this machine.

    >>> "cpu" in available()
    True
    """
    from substrate.backends.gpu_cuda import missing

    return [name for name in MODULES if name != "gpu" or not missing()]


def make_stepper(name: str, plan: Plan, *, batch: int, dtype: Any, seed: Seed, batch_offset: int = 0) -> Stepper:
    """A stepper of ``plan`` on backend ``name`` for ``batch`` samples side by side, all waves at rest.

    ``dtype`` is float32 or float64; ``seed`` keys all noise; ``batch_offset`` is the index of the first sample when a
    larger batch is split. Raises BackendError, and ConfigError for too few seeds.
    """
    if name not in MODULES:
        raise BackendError(f"There is no backend {name!r}; the backends are {', '.join(MODULES)}")
    if isinstance(seed, tuple):
        own_seeds(seed, batch, batch_offset)  # too few are told before the run, not at the first draw
    module = importlib.import_module(MODULES[name])
    stepper: Stepper = module.Stepper(plan, batch=batch, dtype=np.dtype(dtype), seed=seed, batch_offset=batch_offset)
    return stepper


def require_same_shape(old: Plan, new: Plan) -> None:
    """Refuse to go on with a plan whose lines or clusters are laid out in another way."""
    lines = [[(x.name, x.steps, x.row, x.skew) for x in plan.lines] for plan in (old, new)]
    remembered = [[_waits(link) for link in plan.links] for plan in (old, new)]
    shapes: list[list[Any]] = [
        [(g.names, g.matrices.shape[2:], g.observed.shape) for g in plan.clusters] for plan in (old, new)
    ]
    for plan, shape in zip((old, new), shapes, strict=True):
        shape += [(g.labels, g.linear.matrices.shape[2:], tuple(g.kinds)) for g in plan.nonlinear]
    if remembered[0] != remembered[1]:
        raise NetworkError("A photodiode cannot get or lose its bandwidth while it runs, only change it")
    if lines[0] != lines[1] or shapes[0] != shapes[1] or old.nodes != new.nodes:
        raise NetworkError(
            "A running network can change the numbers of its circuit nodes, not its lines or their delays"
        )


def power_cells(plan: Plan, cells: Any, batch: int) -> list[Any]:
    """The parts of ``cells [..., all cells]`` that hold power waves: all but those of lines with hidden waves."""
    if not any(c.hidden for c in plan.classes):
        return [cells]
    ends = np.cumsum([0] + [2 * c.rows * c.steps * batch for c in plan.classes]).tolist()
    return [cells[..., a:b] for a, b, c in zip(ends, ends[1:], plan.classes, strict=False) if not c.hidden]


def new_state(xp: Any, plan: Plan, batch: int, dtype: Any, require: Any = require_memory) -> State:
    """The state at step zero: lines empty, parameters at their initial values, inputs zero.

    ``require(bytes, what, way_out)`` refuses what the memory that ``xp`` allocates in cannot hold.
    """
    parts, dtype = (2 if np.dtype(dtype).kind == "c" else 1), np.zeros(0, dtype).real.dtype
    state = State(step=0, cells=[], parameters={}, drive={}, inputs={}, ledger=np.zeros((0, 0)))
    sizes = [2 * c.rows * c.steps * batch for c in plan.classes]
    require(
        float(sum(sizes)) * parts * dtype.itemsize,
        f"The lines, for a batch of {batch},",
        "raise dt, or split the batch",
    )
    state.arena, start = xp.zeros((parts, sum(sizes)), dtype=dtype), 0
    for c, size in zip(plan.classes, sizes, strict=True):
        state.cells.append(state.arena[0, start : start + size].reshape(2, c.rows, c.steps, batch))
        start += size
    for line in plan.lines:
        if line.charge is not None:
            charge = np.reshape(line.charge, (line.steps, -1))  # of both ways: what arrives at an end in its step
            state.cells[line.delay_class][:, line.row : line.row + line.channels] = xp.asarray(charge.astype(dtype))
    for group in plan.clusters:
        memory = np.broadcast_to(group.initial, (*group.initial.shape[:2], batch))
        split = [memory.real, memory.imag] if parts == 2 else [memory.real]
        state.memories.append(xp.asarray(np.stack(split).astype(dtype)))
    for nonlinear in plan.nonlinear:
        initial = nonlinear.linear.initial
        memory = np.broadcast_to(initial, (*initial.shape[:2], batch))
        state.nonlinear.append(xp.asarray(np.stack([memory.real, memory.imag][:parts]).astype(dtype)))
        state.charges.append(xp.asarray(np.broadcast_to(nonlinear.start, (*nonlinear.start.shape[:2], batch)).copy()))
    state.parameters = {name: xp.asarray(value).astype(dtype) for name, value in plan.parameters.items()}
    state.drive = {name: xp.zeros(value.shape, dtype=dtype) for name, value in plan.parameters.items()}
    for name, node in zip(plan.node_names, plan.nodes, strict=True):
        if node.law in ("source", "load", "ideal_source", "reciprocal_load"):
            state.inputs[name] = xp.zeros((node.ports[0].channels, batch), dtype=dtype)
        if node.law in ("reciprocal_activation", "reciprocal_load"):
            state.voltages[name] = xp.zeros((node.ports[0].channels, batch), dtype=dtype)
    for step in plan.passes:
        if step.memory:
            channels = plan.signals[step.inputs[0]].channels
            state.echoes[plan.node_names[step.node]] = xp.zeros((channels, step.memory, batch), dtype=dtype)
    _rest_of_lines(xp, plan, state, parts, batch, dtype)
    state.ledger = np.zeros((len(plan.entities), 7))
    return state


def _rest_of_lines(xp: Any, plan: Plan, state: State, parts: int, batch: int, dtype: Any) -> None:
    """What low-passes at the ends of lines remember, and the waves that wait in channels that lag: nothing yet."""
    for end, _ in plan.departures:
        channels = plan.lines[end.line].channels if plan.lines[end.line].smoothing < 1.0 else 0
        state.filters.append(xp.zeros((channels, batch), dtype=dtype))
    for line in plan.lines:
        if any(line.skew):
            slots = max(line.skew) + plan.block  # the longest lag, and what a block adds
            state.skews.append(xp.zeros((parts, 2, line.channels, slots, batch), dtype=dtype))
    state.poles = [np.zeros(batch) for link in plan.links if _waits(link)]


def _waits(link: Link) -> bool:
    """Whether a link remembers a current."""
    return getattr(link.node, "bandwidth", None) is not None
