"""Arrangements of devices: pairs, reference cells, and defects, each a device around a device."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError
from devices.variability import uniform


def inner(state: State, prefix: str) -> State:
    """The entries of `state` under a prefix, without it: views, so that an inner law writes through.

    >>> inner({"plus.theta": np.zeros(1), "minus.theta": np.ones(1)}, "plus.")
    {'theta': array([0.])}
    """
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def outer(state: State, prefix: str) -> State:
    """The entries of `state` under a prefix."""
    return {prefix + name: array for name, array in state.items()}


def renamed(states: tuple[StateVariable, ...], prefix: str) -> tuple[StateVariable, ...]:
    """State variables under a prefix."""
    return tuple(StateVariable(prefix + s.name, s.unit, s.lo, s.hi) for s in states)


def share(xi: Array | None, *counts: int) -> list[Array | None]:
    """Cut the normals [sum(counts), *cells] into one piece per count."""
    if xi is None:
        return [None] * len(counts)
    edges = np.cumsum(counts)
    return [xi[end - count : end] for end, count in zip(edges, counts, strict=True)]


@dataclass(frozen=True)
class DifferentialPair(Device):
    """Two cells of one kind whose half difference is the value: (plus - minus)/2, driven in opposite directions.

    A drive u gives +u to one cell and -u to the other, so the pair moves as fast as one cell and its response is that
    of both directions at once: asymmetry cancels at first order. Initially the cells sit at +value and -value, so the
    pair reaches what a cell of symmetric bounds reaches. States: those of the cells as "plus.*" and "minus.*".
    Source: the usual G+ - G- arrangement, e.g. Burr et al. 2017 (10.1080/23746149.2016.1259585).

    >>> from devices.pulsed import SoftBounds
    >>> pair = DifferentialPair(SoftBounds(dw_min=0.01))
    >>> state = pair.create(np.array([0.5]))
    >>> float(pair.value(np, state)[0])
    0.5
    """

    cell: Device

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return renamed(self.cell.states, "plus.") + renamed(self.cell.states, "minus.")

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return renamed(self.cell.counters, "plus.") + renamed(self.cell.counters, "minus.")

    @property
    def quiet(self) -> Device:
        return replace(self, cell=self.cell.quiet)

    @property
    def normals(self) -> int:
        return 2 * self.cell.normals

    @property
    def initial_normals(self) -> int:
        return 2 * self.cell.initial_normals

    def clip_range(self) -> tuple[float, float]:
        lo, hi = self.cell.clip_range()
        reach = (hi - lo) / 2
        return (-reach, reach)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        value = as_cells(self, initial)
        lo, hi = self.cell.clip_range()
        # cells whose range is one-sided cannot sit at -value: put the pair around the middle of the range then
        middle = 0.0 if lo < 0 < hi else (lo + hi) / 2
        first, second = share(xi, self.cell.initial_normals, self.cell.initial_normals)
        plus, minus = self.cell.create(middle + value, first), self.cell.create(middle - value, second)
        return {**outer(plus, "plus."), **outer(minus, "minus.")}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        first, second = share(xi, self.cell.normals, self.cell.normals)
        self.cell.advance(xp, inner(state, "plus."), drive, dt, first)
        self.cell.advance(xp, inner(state, "minus."), -drive, dt, second)

    def value(self, xp: Any, state: State) -> Array:
        plus, minus = (self.cell.value(xp, inner(state, side)) for side in ("plus.", "minus."))
        return (plus - minus) * minus.dtype.type(0.5)


@dataclass(frozen=True)
class ReferenceCell(Device):
    """A cell read against a stored reference: value = cell - reference, the reference being fixed when it is written.

    `reference` (in units of the value) is where every reference should be, usually the cell's symmetry point;
    `error` is the standard deviation with which it is written. States: the cell's as "cell.*", and "reference".
    Source: Kim et al. 2019, arXiv 1907.10228 (zero-shifting).

    >>> from devices.pulsed import SoftBounds
    >>> cell = ReferenceCell(SoftBounds(dw_min=0.01), reference=0.2)
    >>> round(float(cell.value(np, cell.create(np.array([0.5])))[0]), 12)
    0.5
    """

    cell: Device
    reference: Any = quantity("1", 0.0)
    error: float = quantity("1", 0.0)

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (*renamed(self.cell.states, "cell."), StateVariable("reference", "1"))

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return renamed(self.cell.counters, "cell.")

    @property
    def quiet(self) -> Device:
        return replace(self, cell=self.cell.quiet)

    @property
    def normals(self) -> int:
        return self.cell.normals

    @property
    def initial_normals(self) -> int:
        return self.cell.initial_normals + int(self.error > 0)

    def clip_range(self) -> tuple[float, float]:
        lo, hi = self.cell.clip_range()
        shift = float(np.mean(self.reference))
        return (lo - shift, hi - shift)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        value = as_cells(self, initial)
        need_normals(self, xi, self.initial_normals, value.shape, "create")
        own, written = share(xi, self.cell.initial_normals, int(self.error > 0))
        reference = np.broadcast_to(np.asarray(self.reference, dtype=value.dtype), value.shape).copy()
        if self.error > 0:
            assert written is not None
            reference += (self.error * written[0]).astype(value.dtype)
        return {**outer(self.cell.create(value + reference, own), "cell."), "reference": reference}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        self.cell.advance(xp, inner(state, "cell."), drive, dt, xi)

    def value(self, xp: Any, state: State) -> Array:
        return self.cell.value(xp, inner(state, "cell.")) - state["reference"]


@dataclass(frozen=True)
class Defects(Device):
    """Cells of which some are stuck: a share `dead` shows 0 for ever, a share `stuck` a random value of `stuck_range`.

    Which cells, and where they are stuck, is drawn once, from two normals per cell. `stuck_range` (lo, hi) is in
    units of the value. States: the cell's as "cell.*", "stuck" (0 or 1) and "stuck_value". Raises DeviceError.
    Source: own; the corrupt-device option of aihwkit does the same for stuck cells.

    >>> from devices.ideal import Gradient
    >>> cell = Defects(Gradient(1.0), dead=1.0)
    >>> float(cell.value(np, cell.create(np.array([0.5]), np.zeros((2, 1))))[0])
    0.0
    """

    cell: Device
    dead: float = quantity("1", 0.0)
    stuck: float = quantity("1", 0.0)
    stuck_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if not (self.dead >= 0 and self.stuck >= 0 and self.dead + self.stuck <= 1):
            raise DeviceError(
                f"Defects needs shares dead, stuck >= 0 that sum to 1 at most, got {self.dead}, {self.stuck}"
            )

    @property
    def states(self) -> tuple[StateVariable, ...]:
        extra = (StateVariable("stuck", "1", 0.0, 1.0), StateVariable("stuck_value", "1"))
        return (*renamed(self.cell.states, "cell."), *extra)

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return renamed(self.cell.counters, "cell.")

    @property
    def quiet(self) -> Device:
        return replace(self, cell=self.cell.quiet)

    @property
    def normals(self) -> int:
        return self.cell.normals

    @property
    def initial_normals(self) -> int:
        return self.cell.initial_normals + 2

    def clip_range(self) -> tuple[float, float]:
        return self.cell.clip_range()

    def create(self, initial: Array, xi: Array | None = None) -> State:
        value = as_cells(self, initial)
        need_normals(self, xi, self.initial_normals, value.shape, "create")
        own, drawn = share(xi, self.cell.initial_normals, 2)
        assert drawn is not None
        which, where = uniform(np, drawn[0]), uniform(np, drawn[1])
        lo, hi = self.stuck_range
        shown = np.where(which < self.dead, 0.0, lo + (hi - lo) * where)
        stuck = which < self.dead + self.stuck
        marks = {"stuck": stuck.astype(value.dtype), "stuck_value": (shown * stuck).astype(value.dtype)}
        return {**outer(self.cell.create(value, own), "cell."), **marks}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        self.cell.advance(xp, inner(state, "cell."), drive * (1 - state["stuck"]), dt, xi)

    def value(self, xp: Any, state: State) -> Array:
        own = self.cell.value(xp, inner(state, "cell."))
        return own * (1 - state["stuck"]) + state["stuck_value"]
