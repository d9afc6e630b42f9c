"""Parameter ports: each tunable number of a network is the value of a device cell, driven by the local waves."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Protocol

import numpy as np

from substrate.errors import NetworkError
from substrate.noise import cell_normals
from substrate.plan import Array
from substrate.simulation import Simulation

DEVICE_NOISE = 1 << 15  # noise source ids of devices start here, above those of waves


class Device(Protocol):
    """What a port needs of a device; ``devices/device.py`` has the whole contract."""

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


class PortBank:
    """Puts devices at the parameters of a simulation and moves them at each device tick.

    ``devices`` is one device for all ports, or patterns of parameter names and their devices (``{"*.bias": ...}``, the
    first that fits counts). Ports that no pattern fits stay fixed. Raises NetworkError when a pattern fits nothing.
    """

    def __init__(self, simulation: Simulation, devices: Devices, *, seed: int = 0) -> None:
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
            self.groups.append(self._group(device, names))

    def _group(self, device: Device, names: list[str]) -> PortGroup:
        """Make the cells of a group and let the simulation's parameters and drives be views of them."""
        state, xp = self.simulation.state, self.simulation.stepper.xp
        initial = xp.concatenate([state.parameters[name].ravel() for name in names])
        low, high = device.clip_range()
        initial = xp.clip(initial, low, high).astype(initial.dtype)
        source = DEVICE_NOISE + 2 * len(self.groups)
        cells = device.create(initial, self._normals(source, 0, device.initial_normals, initial))
        values = xp.array(device.value(xp, cells))
        group = PortGroup(device, names, cells, values, xp.zeros_like(values), xp.zeros_like(values))
        start = 0
        for name in names:
            shape = state.parameters[name].shape
            stop = start + int(np.prod(shape))
            state.parameters[name] = values[start:stop].reshape(shape)
            state.drive[name] = group.drive[start:stop].reshape(shape)
            start = stop
        state.version += 1
        return group

    def _normals(self, source: int, step: int, count: int, like: Array) -> Array | None:
        if count == 0:
            return None
        xi = cell_normals(self.seed, source, step, count, like.shape, dtype=like.dtype.type)
        return self.simulation.stepper.xp.asarray(xi)

    def tick(self, seconds: float) -> None:
        """Move every device by ``seconds`` under the drive its port has just heard."""
        stepper = self.simulation.stepper
        for index, group in enumerate(self.groups):
            source = DEVICE_NOISE + 2 * index + 1
            xi = self._normals(source, self.ticks, group.device.normals, group.values)
            group.device.advance(stepper.xp, group.state, group.drive, seconds, xi)
            stepper.settle_ports(group.device.value(stepper.xp, group.state), group.values, group.drive, group.absorbed)
        self.ticks += 1
        self.simulation.state.version += 1

    def port_values(self, kind: str) -> dict[str, np.ndarray]:
        """Host arrays per parameter, each in its own shape; ``kind`` is ``values``, ``drive`` or ``absorbed``."""
        arrays = {}
        for group in self.groups:
            flat, start = self.simulation.stepper.to_host(getattr(group, kind)), 0
            for name in group.names:
                shape = self.simulation.state.parameters[name].shape
                stop = start + int(np.prod(shape))
                arrays[name] = flat[start:stop].reshape(shape)
                start = stop
        return arrays

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
        self.simulation.state.version += 1
