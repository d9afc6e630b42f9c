"""The contract every device keeps, and the core law of analog memories."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from devices.errors import DeviceError

Array = Any  # a NumPy or CuPy array; CuPy is optional, so it cannot be named here
State = dict[str, Array]


@dataclass(frozen=True)
class StateVariable:
    """One number that a cell remembers: its name, SI unit ("1" for none) and the bounds it cannot leave.

    >>> StateVariable("theta", "1", -1.0, 1.0).hi
    1.0
    """

    name: str
    unit: str
    lo: float = -np.inf
    hi: float = np.inf


class Device(ABC):
    """A material at a parameter port: what it remembers, how a drive moves it, and the number the waves see.

    Subclasses are frozen dataclasses. `states` lists the cell's variables; a state is a dict of float arrays of the
    shape of the cells, all of the dtype of `initial`, that `create` makes and `advance` changes in place.
    Cell-to-cell parameters are arrays in the same dict, so a checkpoint of the dict is a checkpoint of the cells.
    Source: docs/architecture.md.
    """

    @property
    @abstractmethod
    def states(self) -> tuple[StateVariable, ...]:
        """The variables of one cell, the first being the one a drive moves."""

    @property
    def normals(self) -> int:
        """Standard normals per cell that one `advance` consumes."""
        return 0

    @property
    def initial_normals(self) -> int:
        """Standard normals per cell that `create` consumes (spread between cells, first write)."""
        return 0

    @abstractmethod
    def create(self, initial: Array, xi: Array | None = None) -> State:
        """State of an array of cells whose value starts at `initial` [cells]; `xi` is [initial_normals, *cells]."""

    @abstractmethod
    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        """Move `state` in place by `dt` seconds, of any length, under `drive` = -dJ/dvalue [cells] held constant.

        `xi` is [normals, *cells] and may be None where `normals` is 0.
        """

    @abstractmethod
    def value(self, xp: Any, state: State) -> Array:
        """The number the waves see [cells]; the state array itself where nothing has to be computed."""

    def resistor_rate(self) -> float | None:
        """The rate (1/s) of a device that is nothing but dvalue/dt = rate * drive; None for every other law.

        Whoever moves such a device may do so itself, in one pass with its own bookkeeping.
        """
        return None

    def clip_range(self) -> tuple[float, float]:
        """Lowest and highest value a nominal cell can reach; initial values belong inside."""
        return (-np.inf, np.inf)

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        """What `advance` can add up on request: a state that has an array (float64, zeros at first) of such a name."""
        return ()

    @property
    def quiet(self) -> "Device":
        """This material without noise, for cells of the same states: what is left draws zeros and moves as the mean."""
        return self

    def saturated(self, xp: Any, state: State, margin: float = 0.01) -> Array:
        """Which cells [cells, bool] sit within a share `margin` of their range from a bound of their first variable."""
        first = self.states[0]
        reach = margin * (first.hi - first.lo)
        here = state[first.name]
        if not np.isfinite(reach):
            return xp.zeros(here.shape, dtype=bool)
        return (here <= first.lo + reach) | (here >= first.hi - reach)


def quantity(unit: str, default: Any = None, *, required: bool = False, table: bool = False) -> Any:
    """A dataclass field that carries its SI unit, so that a card can be checked against it.

    A `table` is an array that belongs to every cell (a curve), not one number per cell.

    >>> quantity("s", 1.0).metadata["unit"]
    's'
    """
    metadata = {"unit": unit, "table": table}
    if required:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def units(device_class: Any) -> dict[str, str]:
    """Unit of every numeric field of a device class, by field name (fields made with `quantity`)."""
    return {f.name: f.metadata["unit"] for f in fields(device_class) if "unit" in f.metadata}


def core_law(xp: Any, drive: Array, up: Array, down: Array, mobility: Array | float = 1.0) -> Array:
    """Speed dtheta/dt = mu (u F - |u| G) of a memory with responses q+ = `up` and q- = `down`, both >= 0.

    F = (q+ + q-)/2 and G = (q- - q+)/2; arguments broadcast, `drive` u and the q are dimensionless, `mobility` mu is
    in units of theta per second. The power the port absorbs, u dtheta/dt, is never negative. Source: Wu, Gokmen,
    Rasch, Chen 2024 (arXiv 2406.12774), analog update law.

    >>> float(core_law(np, np.array(2.0), 0.5, 1.5)), float(core_law(np, np.array(-2.0), 0.5, 1.5))
    (1.0, -3.0)
    """
    return mobility * (drive * ((up + down) / 2) - xp.abs(drive) * ((down - up) / 2))


def cell_values(device: Device, name: str, initial: Array) -> Array:
    """A parameter field spread over the cells as an array of `initial`'s shape and dtype."""
    values = np.asarray(getattr(device, name), dtype=initial.dtype)
    try:
        return np.broadcast_to(values, initial.shape).copy()
    except ValueError:
        who = type(device).__name__
        raise DeviceError(
            f"{who}.{name} has shape {values.shape} and does not broadcast over cells of shape {initial.shape}; "
            f"give one number, or one per cell"
        ) from None


def array_parameters(device: Device, initial: Array, names: tuple[str, ...]) -> State:
    """The fields among `names` that the user gave as arrays, as per-cell state entries."""
    return {n: cell_values(device, n, initial) for n in names if np.ndim(getattr(device, n)) > 0}


def as_cells(device: Device, initial: Array) -> Array:
    """`initial` as a fresh float array that the state may own.

    >>> from devices.ideal import Gradient
    >>> as_cells(Gradient(1.0), np.zeros(2, dtype=np.float32)).dtype
    dtype('float32')
    """
    if getattr(initial, "dtype", np.dtype(object)).kind != "f":
        initial = np.asarray(initial, dtype=np.float64)
    if initial.dtype.itemsize < 4:
        raise DeviceError(f"{type(device).__name__}: cells of {initial.dtype} are too coarse; use float32 or float64")
    return initial.copy(order="C")


def parameter(device: Device, state: Mapping[str, Array], name: str) -> Array:
    """A parameter of the cells: the per-cell array of the state, else the device's own number in the state's dtype."""
    if name in state:
        return state[name]
    dtype = next(iter(state.values())).dtype
    return dtype.type(getattr(device, name))


def choose(mask: Array, yes: Array, no: Array) -> Array:
    """`yes` where `mask` [cells, bool], else `no`, both finite: exact, and free of branches, which are slow at random.

    >>> choose(np.array([True, False]), np.array([1.0, 2.0]), 3.0).tolist()
    [1.0, 3.0]
    """
    return yes * mask + no * ~mask


def need_normals(device: Device, xi: Array | None, count: int, cells: tuple[int, ...], what: str) -> None:
    """Refuse noise of the wrong shape, saying what shape was wanted.

    Raises DeviceError.
    """
    if count == 0:
        return
    want = (count, *cells)
    if xi is None or tuple(xi.shape) != want:
        got = "none" if xi is None else f"shape {tuple(xi.shape)}"
        raise DeviceError(f"{type(device).__name__}.{what} needs standard normals xi of shape {want}, but got {got}")
