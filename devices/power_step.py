"""Step devices whose response is a power of the distance to the bound."""

from dataclasses import dataclass
from typing import Any

from devices.device import Array, State, parameter, quantity
from devices.errors import DeviceError
from devices.step_device import StepDevice


@dataclass(frozen=True, kw_only=True)
class PowerStep(StepDevice):
    """A cell with q+ = ((b_max - theta)/width)^gamma_up, q- = ((theta - b_min)/width)^gamma_down.

    width = b_max - b_min; the exponents are dimensionless scalars >= 0. The continuous law is solved in closed form;
    trains of pulses make 32 singly, then continue as the law. Raises DeviceError. Source: Rasch et al. 2021, arXiv
    2104.02184, PowStep device.

    >>> import numpy as np
    >>> cell = PowerStep(rate=1.0, dw_min=0.01, gamma_up=2.0, gamma_down=2.0, b_min=0.0, b_max=1.0)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(state["theta"][0]), 6)  # r' = -r^2: r = 1/(1 + 1)
    0.5
    """

    gamma_up: float = quantity("1", 1.0)
    gamma_down: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.gamma_up >= 0 and self.gamma_down >= 0):
            raise DeviceError(f"PowerStep exponents must be >= 0, but are {self.gamma_up} and {self.gamma_down}")

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        b_max = parameter(self, cells, "b_max")
        return (xp.maximum(b_max - theta, 0) / (b_max - parameter(self, cells, "b_min"))) ** self.gamma_up

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        b_min = parameter(self, cells, "b_min")
        return (xp.maximum(theta - b_min, 0) / (parameter(self, cells, "b_max") - b_min)) ** self.gamma_down

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        width = parameter(self, cells, "b_max") - parameter(self, cells, "b_min")
        return theta + approach(xp, parameter(self, cells, "b_max") - theta, width, dose, self.gamma_up)

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        width = parameter(self, cells, "b_max") - parameter(self, cells, "b_min")
        return theta - approach(xp, theta - parameter(self, cells, "b_min"), width, dose, self.gamma_down)


def approach(xp: Any, distance: Array, width: Array, dose: Array, exponent: float) -> Array:
    """How far a cell at `distance` from its bound moves in `dose` when it moves as (distance/width)^exponent [cells].

    For r = distance/width: r' = -r^g/width, so r^(1-g) falls linearly.

    >>> import numpy as np
    >>> round(float(approach(np, np.array(1.0), 1.0, np.array(1.0), 1.0)), 6)  # 1 - 1/e
    0.632121
    """
    tiny = 1e-30 if distance.dtype.itemsize > 4 else 1e-12
    share = xp.maximum(distance / width, tiny)
    # no double negative powers of tiny shares in float32: cap what is anyway "all the way"
    time = xp.minimum(share ** (exponent - 1) * (dose / width), 1e30)
    rest = 1 - exponent
    shrink = -time if abs(rest) < 1e-6 else xp.log1p(xp.maximum(-rest * time, -1 + 1e-7)) / rest
    return -xp.maximum(distance, 0) * xp.expm1(xp.maximum(shrink, -80.0))
