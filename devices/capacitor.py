"""Capacitor cell: a linear-step memory whose charge leaks away."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.device import Array, State, parameter, quantity
from devices.errors import DeviceError
from devices.linear_step import LinearStep


@dataclass(frozen=True, kw_only=True)
class CapacitorCell(LinearStep):
    """A `LinearStep` cell with leak: dtheta/dt = rate (u+ q+ - u- q-) - (theta - rest)/leak_time.

    `leak_time` in s, `rest` (dimensionless) is where an undriven cell ends. In continuous mode the sum of drive and
    leak is
    solved exactly for any dt; in pulsed mode the cell leaks for dt and is then pulsed. Raises DeviceError.
    Source: Li et al., VLSI 2018 (capacitor-based cross-point array), as a linear-step cell with decay.

    >>> cell = CapacitorCell(rate=1.0, dw_min=0.005, leak_time=2.0)
    >>> state = cell.create(np.array([0.8]))
    >>> cell.advance(np, state, np.array([0.0]), dt=2.0)
    >>> round(float(state["theta"][0] / 0.8), 6)  # 1/e
    0.367879
    """

    leak_time: Any = quantity("s", 1.0)
    rest: Any = quantity("1", 0.0)
    leak_time_spread: Any = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.asarray(self.leak_time) > 0):
            raise DeviceError(f"CapacitorCell.leak_time must be > 0 s, but is {self.leak_time}; use inf for no leak")

    def advance_block(self, xp: Any, cells: State, drive: Array, dt: float, xi: Array | None) -> None:
        theta = cells["theta"]
        before = theta.copy()
        leak = 1 / parameter(self, cells, "leak_time")
        rest = parameter(self, cells, "rest")
        if self.mode == "pulsed":
            theta += (theta - rest) * xp.expm1(-leak * theta.dtype.type(dt))
            if self.write_noise > 0:
                cells["apparent"] += theta - before
            super().advance_block(xp, cells, drive, dt, xi)
            return
        super().advance_block(xp, cells, drive, dt, xi)
        # the engine moved the cell without leak and added the noise; what the leak changes is the difference of two
        # exact solutions, so that noise, write errors and bounds stay the engine's business
        theta += self.leaky(xp, before, drive, dt, cells, leak, rest) - self.leaky(
            xp, before, drive, dt, cells, 0, rest
        )
        theta[...] = self.confine(xp, theta, cells)

    def leaky(self, xp: Any, theta: Array, drive: Array, dt: float, cells: State, leak: Any, rest: Array) -> Array:
        """Exact solution [cells] of the linear law with a leak rate `leak` (1/s), confined to the bounds."""
        size_up, size_down = self.pulse_sizes(xp, cells)
        slope_up, slope_down = self.slopes(xp, cells)
        scale = parameter(self, cells, "rate") / theta.dtype.type(np.mean(self.dw_min))
        ups, downs = xp.maximum(drive, 0) * scale * size_up, xp.maximum(-drive, 0) * scale * size_down
        pull = xp.maximum(ups * slope_up + downs * slope_down + leak, np.finfo(theta.dtype).tiny * 1e3)
        speed = ups - downs + leak * rest - theta * pull
        return self.confine(xp, theta - speed / pull * xp.expm1(-pull * theta.dtype.type(dt)), cells)
