"""Charge-trap (SONOS) cell: a programmed current with programming error, retention loss and read noise."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Sonos(Device):
    """A cell of current I in [0, i_max] (A) read as the weight weight_scale (2 I/i_max - 1), against a mid reference.

    A drive shifts the target current evenly (dweight/dt = rate u, clipped; an assumption, the source only gives
    errors). The error of a cell is z sigma(I, age), sigma = A (1 - exp(-I/B)), with A and B (A) interpolated linearly
    in log(1 + age/day) between `ages` (s) and held beyond; z is drawn when a cell is written, so ageing widens one
    and the same error. Read noise read_a (1 - exp(-I/read_b)) is drawn at every advance. Raises DeviceError. Source:
    Agrawal et al., IEDM 2022 (10019564), fits as in CrossSim 3.2 (SONOS.py).

    >>> cell = Sonos()
    >>> round(float(cell.error_sigma(np, np.array(1600e-9), np.array(0.0))) * 1e9, 2)
    19.89
    """

    rate: float = quantity("1/s", 1.0)
    i_max: float = quantity("A", 3200e-9)
    ages: Any = quantity("s", (0.0, 86400.0, 432000.0), table=True)
    error_a: Any = quantity("A", (19.89e-9, 25.6e-9, 34.6e-9), table=True)
    error_b: Any = quantity("A", (176.3e-9, 186.9e-9, 207.3e-9), table=True)
    read_a: float = quantity("A", 12.58e-9)
    read_b: float = quantity("A", 215.4e-9)
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        shapes = {np.shape(self.ages), np.shape(self.error_a), np.shape(self.error_b)}
        if len(shapes) != 1 or not np.all(np.diff(np.asarray(self.ages)) > 0):
            raise DeviceError("Sonos.ages must rise, and error_a and error_b give one number for each age")
        if not (self.i_max > 0 and self.weight_scale > 0):
            raise DeviceError("Sonos.i_max and weight_scale must be > 0")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (
            StateVariable("weight", "1", -self.weight_scale, self.weight_scale),
            StateVariable("age", "s", 0.0),
            StateVariable("error", "1"),
            StateVariable("seen", "1"),
        )

    @property
    def quiet(self) -> Device:
        return replace(self, error_a=np.zeros(np.shape(self.error_a)), read_a=0.0)

    @property
    def normals(self) -> int:
        return 2

    @property
    def initial_normals(self) -> int:
        return 2

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def error_sigma(self, xp: Any, current: Array, age: Array) -> Array:
        """Standard deviation (A) of a cell of `current` (A) [cells], `age` s after it was written."""
        knots = np.log1p(np.asarray(self.ages) / 86400.0)
        place = xp.log1p(age / 86400.0)
        size = xp.interp(place, xp.asarray(knots), xp.asarray(np.asarray(self.error_a, dtype=float)))
        reach = xp.interp(place, xp.asarray(knots), xp.asarray(np.asarray(self.error_b, dtype=float)))
        return -size * xp.expm1(-current / reach)

    def read_sigma(self, xp: Any, current: Array) -> Array:
        """Standard deviation (A) of one read of `current` (A) [cells]."""
        return -self.read_a * xp.expm1(-current / self.read_b)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = np.clip(as_cells(self, initial), -self.weight_scale, self.weight_scale)
        need_normals(self, xi, 2, weight.shape, "create")
        error, read = (xi if xi is not None else np.zeros((2, *weight.shape))).astype(weight.dtype)
        state = {"weight": weight, "age": np.zeros_like(weight), "error": error, "seen": weight.copy()}
        self.read(np, state, read)
        return state

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, 2, state["weight"].shape, "advance")
        assert xi is not None

        def law(cells: State, u: Array, noise: Array | None) -> None:
            assert noise is not None
            weight, written = cells["weight"], u != 0
            weight[...] = xp.clip(weight + u * (self.rate * dt), -self.weight_scale, self.weight_scale)
            cells["age"][...] = xp.where(written, 0, cells["age"] + cells["age"].dtype.type(dt))
            cells["error"][...] = xp.where(written, noise[0], cells["error"])
            self.read(xp, cells, noise[1])

        each_block(law, xp, state, drive, xi)

    def read(self, xp: Any, cells: State, xi: Array) -> None:
        """Store what a read shows now."""
        per_weight = self.i_max / (2 * self.weight_scale)
        current = (cells["weight"] + self.weight_scale) * per_weight
        shift = self.error_sigma(xp, current, cells["age"]) * cells["error"] + self.read_sigma(xp, current) * xi
        cells["seen"][...] = cells["weight"] + shift / per_weight

    def value(self, xp: Any, state: State) -> Array:
        return state["seen"]
