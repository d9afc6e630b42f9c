"""Soft-bounds resistive memory (RRAM): the step shrinks linearly as the cell nears its bound."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.device import Array, State, parameter
from devices.errors import DeviceError
from devices.step_device import StepDevice


@dataclass(frozen=True, kw_only=True)
class SoftBounds(StepDevice):
    """Soft-bounds memory: q+ = 1 - theta/b_max, q- = 1 - theta/b_min, with b_min < 0 < b_max.

    A constant drive relaxes theta exponentially to a bound, theta -> b + (theta - b) exp(-rate |u| dt/|b|), and n
    whole pulses multiply the distance to it by (1 - dw_min/|b|)^n: both exact at any dt. Bounds are dimensionless,
    see `StepDevice` for the other fields. Raises DeviceError for bounds of one sign. Source: Fusi & Abbott 2007 (soft
    bounds); Rasch et al. 2021, arXiv 2104.02184.

    >>> cell = SoftBounds(rate=1.0, dw_min=0.01)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(cell.value(np, state)[0]), 6)  # 1 - 1/e
    0.632121
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.all(np.asarray(self.b_min) < 0) and np.all(np.asarray(self.b_max) > 0)):
            raise DeviceError(f"SoftBounds needs b_min < 0 < b_max, but they are {self.b_min} and {self.b_max}")

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.maximum(1 - theta / parameter(self, cells, "b_max"), 0)

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        return xp.maximum(1 - theta / parameter(self, cells, "b_min"), 0)

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        bound = parameter(self, cells, "b_max")
        return theta - (bound - theta) * xp.expm1(dose / -bound)

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        bound = parameter(self, cells, "b_min")
        return theta - (bound - theta) * xp.expm1(dose / bound)

    def glide(self, xp: Any, theta: Array, count: Array, cells: State) -> Array:
        # both directions in one pass, the bound picked by arithmetic: random branches cost more than all the rest
        size_up, size_down = self.pulse_sizes(xp, cells)
        b_max, b_min = parameter(self, cells, "b_max"), parameter(self, cells, "b_min")
        rising = count > 0
        bound = rising * (b_max - b_min)
        bound += b_min
        size = size_up if size_up is size_down else size_down + rising * (size_up - size_down)
        exponent = count * size
        exponent /= bound  # count and bound have the same sign
        bound -= theta
        bound *= xp.expm1(xp.negative(exponent))
        return theta - bound

    def pulse_train(self, xp: Any, theta: Array, ups: Array, downs: Array, cells: State) -> Array:
        size_up, size_down = self.pulse_sizes(xp, cells)
        b_max, b_min = parameter(self, cells, "b_max"), parameter(self, cells, "b_min")
        # a step larger than the bound would overshoot it: one such pulse goes straight there
        log_up = xp.log1p(xp.maximum(size_up / -b_max, -1 + 1e-7))
        log_down = xp.log1p(xp.maximum(size_down / b_min, -1 + 1e-7))
        theta = theta - (b_max - theta) * xp.expm1(ups * log_up)
        return theta - (b_min - theta) * xp.expm1(downs * log_down)
