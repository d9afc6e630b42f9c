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
    leak is solved exactly for any dt; in pulsed mode the cell leaks for dt and is then pulsed. Raises DeviceError.
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

    def move(self, xp: Any, theta: Array, count: Array, dt: float, cells: State) -> Array:
        leaked = theta.dtype.type(dt) / parameter(self, cells, "leak_time")
        rest = parameter(self, cells, "rest")
        if self.mode == "pulsed":
            return super().move(xp, theta + (theta - rest) * xp.expm1(-leaked), count, dt, cells)
        size_up, size_down = self.pulse_sizes(xp, cells)
        slope_up, slope_down = self.slopes(xp, cells)
        ups, downs = xp.maximum(count, 0) * size_up, xp.maximum(-count, 0) * size_down
        # the sum of both linear laws is a linear law: pull and push are its coefficients times dt
        pull = xp.maximum(ups * slope_up + downs * slope_down + leaked, np.finfo(theta.dtype).tiny * 1e3)
        push = ups - downs + leaked * rest - theta * pull
        return theta - push / pull * xp.expm1(-pull)
