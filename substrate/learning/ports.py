"""Parameter ports: each tunable number of a network is the value of a device cell, driven by the local waves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Protocol

import numpy as np

from substrate.errors import NetworkError
from substrate.learning.device_columns import (
    JOULE,
    PLAIN,
    WAVES,
    Books,
    Column,
    check_columns,
    columns_of,
    port_resistance,
    port_wave,
    reach,
)
from substrate.noise import cell_normals
from substrate.plan import Array

DEVICE_NOISE = 1 << 15  # noise source ids of devices start here, above those of waves


class Device(Protocol):
    """What a port needs of a device; ``devices/device.py`` has the whole contract."""

    @property
    def states(self) -> tuple[Any, ...]:
        """What a cell remembers: things with name, unit, lo and hi; the first is what a drive moves."""

    @property
    def normals(self) -> int:
        """Standard normals per cell that one advance consumes."""

    @property
    def initial_normals(self) -> int:
        """Standard normals per cell that create consumes."""

    def create(self, initial: Array, xi: Array | None = None) -> dict[str, Array]:
        """State of cells whose value starts at ``initial``."""

    def advance(self, xp: Any, state: dict[str, Array], drive: Array, dt: float, xi: Array | None = None) -> None:
        """Move the state by ``dt`` seconds under the drive, in place."""

    def value(self, xp: Any, state: dict[str, Array]) -> Array:
        """What the waves see."""

    def clip_range(self) -> tuple[float, float]:
        """Lowest and highest value a cell can reach."""


Devices = Device | Mapping[str, Device]


@dataclass
class PortGroup:
    """All ports that share a device, as one flat array of cells."""

    device: Device
    names: list[str]  # parameters, in order
    state: dict[str, Array]  # each float[cells]
    values: Array  # float[cells], what the waves see
    drive: Array  # float[cells], mean of -dJ/dvalue over the last tick
    absorbed: Array  # float[cells], integral of drive * d(value): the loss this cell took away so far
    resistor_rate: float | None = None  # 1/s, of a device that is nothing but dvalue/dt = rate * drive
    columns: list[Column] = field(default_factory=list)  # of its trace
    books: Books | None = None  # sums for columns that nobody else keeps


class Ported(Protocol):
    """What has parameters that ports can move: a :class:`substrate.Simulation`, or whoever stands for its numbers."""

    @property
    def state(self) -> Any:
        """``parameters`` and ``drive``, arrays by name, and ``version``, which counts changes of the parameters."""

    @property
    def stepper(self) -> Any:
        """Who computes: the backend's stepper."""


class PortBank:
    """Puts devices at the parameters of a simulation and moves them at each device tick.

    ``devices`` is one device for all ports, or patterns of parameter names and their devices (``{"*.bias": ...}``, the
    first that fits counts). Ports that no pattern fits stay fixed. ``columns`` names what traces record of every cell
    (see substrate/learning/device_columns.py); the plain ones are there anyway, others may have to be added up at every
    tick. Raises NetworkError when a pattern fits nothing, ConfigError for columns that no device has.
    """

    def __init__(self, simulation: Ported, devices: Devices, *, seed: int = 0, columns: Sequence[str] = PLAIN) -> None:
        self.simulation, self.seed, self.ticks = simulation, seed, 0
        patterns = devices if isinstance(devices, Mapping) else {"*": devices}
        self.groups: list[PortGroup] = []
        left = list(simulation.state.parameters)
        for pattern, device in patterns.items():
            names = [name for name in left if fnmatch(name, pattern)]
            if not names:
                known = ", ".join(simulation.state.parameters)
                raise NetworkError(f"No port is left for the pattern {pattern!r}; the ports are {known}")
            left = [name for name in left if name not in names]
            self.groups.append(self._group(device, names, columns))
        check_columns(columns, [group.device for group in self.groups])

    def _group(self, device: Device, names: list[str], columns: Sequence[str]) -> PortGroup:
        """Make the cells of a group and let the simulation's parameters and drives be views of them."""
        state, xp, host = self.simulation.state, self.simulation.stepper.xp, self.simulation.stepper.to_host
        initial = np.concatenate([host(state.parameters[name]).ravel() for name in names])
        low, high = device.clip_range()
        initial = np.clip(initial, low, high).astype(initial.dtype)
        source, count = DEVICE_NOISE + 2 * len(self.groups), device.initial_normals
        xi = cell_normals(self.seed, source, 0, count, initial.shape, dtype=initial.dtype.type) if count else None
        # Cells are made on the host, once, and move where the waves are.
        cells = {name: xp.asarray(array) for name, array in device.create(initial, xi).items()}
        for counter in getattr(device, "counters", ()):
            if counter.name.rpartition(".")[2] in columns:
                cells[counter.name] = xp.zeros(initial.shape)
        rate = getattr(device, "resistor_rate", lambda: None)()
        books = Books(xp, device, initial, columns)
        # The waves see a resistor's own state, which moves where it lies; of a device whose moves are booked, a copy.
        own = rate is not None and not books.kept
        values = device.value(xp, cells) if own else xp.array(device.value(xp, cells))
        group = PortGroup(device, names, cells, values, xp.zeros_like(values), xp.zeros_like(values), rate)
        group.columns, group.books = columns_of(device, columns), books if books.kept else None
        start = 0
        for name in names:
            shape = state.parameters[name].shape
            stop = start + int(np.prod(shape))
            state.parameters[name] = values[start:stop].reshape(shape)
            state.drive[name] = group.drive[start:stop].reshape(shape)
            start = stop
        state.version += 1
        return group

    def tick(self, seconds: float) -> None:
        """Move every device by ``seconds`` under the drive its port has just heard."""
        stepper = self.simulation.stepper
        for index, group in enumerate(self.groups):
            if group.resistor_rate is not None and group.books is None:
                stepper.move_resistors(group.values, group.drive, group.resistor_rate * seconds, group.absorbed)
                continue
            source = DEVICE_NOISE + 2 * index + 1
            count = group.device.normals
            xi = stepper.cell_normals(self.seed, source, self.ticks, count, group.values) if count else None
            if group.books is not None:
                group.books.foresee(stepper.xp, group.state, group.drive, seconds)
            new = stepper.advance(group.device, group.state, group.drive, seconds, xi)
            if group.books is not None:
                group.books.settle(stepper.xp, group.state, new, group.values, group.drive, seconds)
            stepper.settle_ports(new, group.values, group.drive, group.absorbed)
        self.ticks += 1
        self.simulation.state.version += 1

    def port_values(self, kind: str) -> dict[str, np.ndarray]:
        """Host arrays per parameter, each in its own shape; ``kind`` is ``values``, ``drive`` or ``absorbed``."""
        arrays: dict[str, np.ndarray] = {}
        for group in self.groups:
            arrays |= self._split(group, self.simulation.stepper.to_host(getattr(group, kind)))
        return arrays

    def _split(self, group: PortGroup, flat: np.ndarray) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        start = 0
        for name in group.names:
            shape = self.simulation.state.parameters[name].shape
            stop = start + int(np.prod(shape))
            arrays[name] = flat[start:stop].reshape(shape)
            start = stop
        return arrays

    def trace(self, joule: float) -> list[tuple[Column, dict[str, np.ndarray]]]:
        """What traces record now: each column of each group with host arrays per parameter.

        ``joule`` is the energy of a unit of loss, by which columns of loss are multiplied.
        """
        found = []
        for group in self.groups:
            for column in group.columns:
                flat = self.simulation.stepper.to_host(self._cells(group, column.name))
                if column.unit == JOULE and column.name not in {state.name for state in group.device.states}:
                    flat = (flat * joule).astype(flat.dtype)
                found.append((column, self._split(group, flat.astype(column.dtype or group.values.dtype, copy=False))))
        return found

    def _cells(self, group: PortGroup, name: str) -> Array:
        """One column of a group, in the units it is kept in."""
        plain = {"value": group.values, "drive": group.drive, "absorbed": group.absorbed}
        kept = {} if group.books is None else group.books.kept
        for place in (plain, kept, group.state):
            if name in place:
                return place[name]
        xp = self.simulation.stepper.xp
        if name in WAVES:
            drive, flow = (self.simulation.stepper.to_host(array) for array in (group.drive, kept["flow"]))
            return port_wave(name, drive, flow, port_resistance(group.device, drive, flow))
        if name == "saturated":
            return group.device.saturated(xp, group.state)  # type: ignore[attr-defined]
        if name == "wear":
            cycles = kept["cycles"] if "cycles" in kept else group.state["cycles"]
            return cycles / group.device.endurance  # type: ignore[attr-defined]
        return sum(array for key, array in group.state.items() if key.rpartition(".")[2] == name)

    def totals(self, joule: float) -> dict[str, float]:
        """The devices' books in J, summed over cells: absorbed, tuning work, and, where columns keep them, the rest.

        ``saturated`` is the share of cells of bounded devices that sit near a bound.
        """
        found = {"absorbed_J": self.absorbed * joule}
        near, bounded = 0.0, 0
        for group in self.groups:
            kept = {} if group.books is None else group.books.kept
            for name in {"leaked", "noise"} & set(kept):
                found[f"{name}_J"] = found.get(f"{name}_J", 0.0) + float(kept[name].sum()) * joule
            for state in group.device.states:
                if state.unit == JOULE and state.name in group.state:
                    work = float(group.state[state.name].sum(dtype=np.float64))
                    found["tuning_J"] = found.get("tuning_J", 0.0) + work
            for counter in ("pulses_up", "pulses_down", "cycles"):
                if any(column.name == counter for column in group.columns):
                    found[counter] = found.get(counter, 0.0) + float(self._cells(group, counter).sum(dtype=np.float64))
            if reach(group.device) is not None and hasattr(group.device, "saturated"):
                near += float(group.device.saturated(self.simulation.stepper.xp, group.state).sum())
                bounded += group.values.size
        return {**found, **({"saturated": near / bounded} if bounded else {})}

    @property
    def absorbed(self) -> float:
        """The loss that all cells have taken away so far (batch-mean loss, dimensionless)."""
        return sum(float(group.absorbed.sum(dtype=np.float64)) for group in self.groups)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The state of every cell as named host arrays."""
        host, arrays = self.simulation.stepper.to_host, {"ticks": np.array(self.ticks, dtype=np.int64)}
        for index, group in enumerate(self.groups):
            for name, array in group.state.items():
                arrays[f"{index}/state/{name}"] = host(array)
            for name in ("values", "drive", "absorbed"):
                arrays[f"{index}/{name}"] = host(getattr(group, name))
            for name, array in ({} if group.books is None else group.books.kept).items():
                arrays[f"{index}/kept/{name}"] = host(array)
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint of the same ports and devices."""
        xp = self.simulation.stepper.xp
        self.ticks = int(arrays["ticks"])
        for index, group in enumerate(self.groups):
            for name, array in group.state.items():
                array[...] = xp.asarray(arrays[f"{index}/state/{name}"])
            for name in ("values", "drive", "absorbed"):
                getattr(group, name)[...] = xp.asarray(arrays[f"{index}/{name}"])
            for name, array in ({} if group.books is None else group.books.kept).items():
                array[...] = xp.asarray(arrays[f"{index}/kept/{name}"])
        self.simulation.state.version += 1
