"""Step devices whose response is flat (constant step) or falls linearly with the state (linear step)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.device import Array, State, parameter, quantity
from devices.errors import DeviceError
from devices.step_device import StepDevice

FLAT = 1e-9  # a smaller slope is computed as this one: the quotient expm1(x)/x needs some x


@dataclass(frozen=True, kw_only=True)
class ConstantStep(StepDevice):
    """A cell whose steps have one size between hard bounds: q+ = q- = 1.

    See `StepDevice` for the fields. Exact for any number of pulses. Source: Gokmen & Vlasov 2016
    (10.3389/fnins.2016.00333), the resistive processing unit.

    >>> cell = ConstantStep(rate=1.0, dw_min=0.01)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([0.25]), dt=2.0)
    >>> float(state["theta"][0])
    0.5
    """

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.ones_like(theta)

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.ones_like(theta)

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return theta + dose

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return theta - dose

    def pulse_train(self, xp: Any, theta: Array, ups: Array, downs: Array, cells: State) -> Array:
        size_up, size_down = self.pulse_sizes(xp, cells)
        return theta + ups * size_up - downs * size_down


@dataclass(frozen=True, kw_only=True)
class LinearStep(StepDevice):
    """A cell whose steps shrink linearly: q+ = 1 - gamma_up theta/b_max, q- = 1 - gamma_down theta/b_min, hard bounds.

    0 <= gamma <= 1 (dimensionless), b_min < 0 < b_max; gamma = 1 is `SoftBounds`, gamma = 0 `ConstantStep`. Exact for
    any dt and any number of pulses. Raises DeviceError. Source: Rasch et al. 2021, arXiv 2104.02184.

    >>> cell = LinearStep(rate=1.0, dw_min=0.01, gamma_up=0.5, gamma_down=0.5)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(state["theta"][0]), 6)  # 2 (1 - exp(-1/2))
    0.786939
    """

    gamma_up: Any = quantity("1", 0.0)
    gamma_down: Any = quantity("1", 0.0)
    gamma_up_spread: Any = 0.0
    gamma_down_spread: Any = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        if not (np.all(np.asarray(self.b_min) < 0) and np.all(np.asarray(self.b_max) > 0)):
            raise DeviceError(f"{who} needs b_min < 0 < b_max, but they are {self.b_min} and {self.b_max}")
        for name in ("gamma_up", "gamma_down"):
            gamma = np.asarray(getattr(self, name))
            if not np.all((gamma >= 0) & (gamma <= 1)):
                raise DeviceError(f"{who}.{name} must lie in [0, 1], but is {gamma}; beyond 1 use SoftBounds")

    def slopes(self, xp: Any, cells: State) -> tuple[Array, Array]:
        """Slopes gamma/|b| > 0 of the two responses."""
        up = parameter(self, cells, "gamma_up") / parameter(self, cells, "b_max")
        down = parameter(self, cells, "gamma_down") / -parameter(self, cells, "b_min")
        return xp.maximum(up, FLAT), xp.maximum(down, FLAT)

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.maximum(1 - theta * self.slopes(xp, cells)[0], 0)

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.maximum(1 + theta * self.slopes(xp, cells)[1], 0)

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        slope = self.slopes(xp, cells)[0]
        return theta - (1 / slope - theta) * xp.expm1(-slope * dose)

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        slope = self.slopes(xp, cells)[1]
        return theta + (1 / slope + theta) * xp.expm1(-slope * dose)

    def pulse_train(self, xp: Any, theta: Array, ups: Array, downs: Array, cells: State) -> Array:
        size_up, size_down = self.pulse_sizes(xp, cells)
        slope_up, slope_down = self.slopes(xp, cells)
        # a step longer than 1/slope would overshoot the zero of q: one such pulse goes straight there
        log_up = xp.log1p(xp.maximum(-slope_up * size_up, -1 + 1e-7))
        log_down = xp.log1p(xp.maximum(-slope_down * size_down, -1 + 1e-7))
        theta = theta - (1 / slope_up - theta) * xp.expm1(ups * log_up)
        return theta + (1 / slope_down + theta) * xp.expm1(downs * log_down)
