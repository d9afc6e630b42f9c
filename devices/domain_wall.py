"""Domain-wall magnetic cell: a wall that a current beyond depinning pushes along a notched track."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class DomainWall(Device):
    """A wall at x in [0, length] (m), read by a tunnel junction as the weight weight_scale (2 x/length - 1).

    A drive u is a current density J = current u (A/m^2); the wall moves at mobility (|J| - j_c) sign(J) (m/s) where
    |J| exceeds j_c, and otherwise falls into the nearest of `notches` equally spaced pinning sites (0: none). Exact
    at any dt. `jitter` (m/sqrt(s), given as diffusion length of one second) adds sqrt(dt) jitter xi while the wall
    moves. Raises DeviceError. Source: Liu et al. 2021, Appl. Phys. Lett. 118, 202405 (notched cells); near-linear
    motion above depinning is the usual model of a wall under spin torque.

    >>> cell = DomainWall(current=2e11, j_c=1e11, mobility=1e-10, length=100e-9, notches=0)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1e-9)  # 10 m/s for 1 ns
    >>> round(float(cell.value(np, state)[0]), 6)
    0.2
    """

    current: float = quantity("A/m^2", 2e11)
    j_c: float = quantity("A/m^2", 1e11)
    mobility: float = quantity("m^3/(A*s)", 1e-10)
    length: float = quantity("m", 1e-6)
    notches: int = 0
    jitter: float = quantity("m/sqrt(s)", 0.0)
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        if not (self.length > 0 and self.mobility > 0 and self.j_c >= 0 and self.weight_scale > 0):
            raise DeviceError("DomainWall needs length, mobility, weight_scale > 0 and j_c >= 0")
        if self.notches == 1 or self.notches < 0:
            raise DeviceError(f"DomainWall.notches must be 0 or at least 2, but is {self.notches}")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("x", "m", 0.0, self.length),)

    @property
    def normals(self) -> int:
        return int(self.jitter > 0)

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = np.clip(as_cells(self, initial), -self.weight_scale, self.weight_scale)
        x = (weight + self.weight_scale) * (self.length / (2 * self.weight_scale))
        return {"x": self.pinned(np, x).astype(weight.dtype)}

    def pinned(self, xp: Any, x: Array) -> Array:
        """The pinning site [cells] into which a wall at x falls."""
        if self.notches == 0:
            return x
        pitch = self.length / (self.notches - 1)
        return xp.clip(xp.rint(x / pitch) * pitch, 0, self.length)

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, self.normals, state["x"].shape, "advance")

        def law(cells: State, u: Array, noise: Array | None) -> None:
            x = cells["x"]
            excess = xp.maximum(xp.abs(u) * self.current - self.j_c, 0)
            moved = x + xp.sign(u) * xp.minimum(excess * (self.mobility * dt), 2 * self.length)
            if noise is not None:
                moved = moved + (excess > 0) * (self.jitter * np.sqrt(dt)) * noise[0]
            x[...] = xp.where(excess > 0, xp.clip(moved, 0, self.length), self.pinned(xp, x))

        each_block(law, xp, state, drive, xi if self.normals else None)

    def value(self, xp: Any, state: State) -> Array:
        return state["x"] * (2 * self.weight_scale / self.length) - self.weight_scale
