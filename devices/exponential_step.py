"""Step devices whose response is exponential in the state."""

from dataclasses import dataclass
from typing import Any

from devices.device import Array, State, parameter, quantity
from devices.errors import DeviceError
from devices.step_device import StepDevice

LARGEST = 80.0  # exponents are cut here; e^80 still fits float32, and every cell is at its bound long before


@dataclass(frozen=True, kw_only=True)
class ExponentialStep(StepDevice):
    """A cell with q+ = max(1 - a_up exp(gamma_up z), 0), q- = max(1 - a_down exp(-gamma_down z), 0), hard bounds.

    z = 2 slope theta/(b_max - b_min) + offset; all parameters dimensionless scalars. The continuous law is solved in
    closed form; trains of pulses make 32 singly, then continue as the law. Besides the multiplicative part, a pulse of
    step dw may scatter by cycle_to_cycle (|dw| + noise_offset + noise_slope |theta|), the sum as in the source; trains
    fade what was scattered early as the additive noise of `StepDevice` does. Raises DeviceError. Source: Rasch et al.
    2021 (arXiv 2104.02184), ExpStep device; q- has -z, as its update code does.

    >>> import numpy as np
    >>> cell = ExponentialStep(dw_min=0.01, a_up=-27.235, gamma_up=2.5, slope=-1.0, b_min=0.0, b_max=2.0)
    >>> round(float(cell.up(np, np.array(0.0), {"theta": np.zeros(1)})), 3)
    28.235
    """

    a_up: float = quantity("1", 0.0)
    a_down: float = quantity("1", 0.0)
    gamma_up: float = quantity("1", 1.0)
    gamma_down: float = quantity("1", 1.0)
    slope: float = quantity("1", 1.0)
    offset: float = quantity("1", 0.0)
    noise_offset: float = quantity("1", 0.0)
    noise_slope: float = quantity("1", 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("gamma_up", "gamma_down"):
            steepness = abs(2 * getattr(self, name) * self.slope)
            if not 0 < steepness < LARGEST / 2:
                raise DeviceError(
                    f"ExponentialStep needs 0 < |2 {name} slope| < {LARGEST / 2:.0f}, but it is {steepness:g}; "
                    f"use ConstantStep for a flat response"
                )

    def steepness(self, cells: State) -> Array:
        """dz/dtheta of the cells."""
        return 2 * self.slope / (parameter(self, cells, "b_max") - parameter(self, cells, "b_min"))

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        z = self.steepness(cells) * theta + self.offset
        return xp.maximum(1 - self.a_up * xp.exp(self.gamma_up * z), 0)

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        z = self.steepness(cells) * theta + self.offset
        return xp.maximum(1 - self.a_down * xp.exp(-self.gamma_down * z), 0)

    def train_noise(self, xp: Any, before: Array, after: Array, ups: Array, downs: Array, cells: State) -> Array:
        spread = super().train_noise(xp, before, after, ups, downs, cells)
        if self.noise_offset == 0 and self.noise_slope == 0:
            return spread
        size = self.cycle_to_cycle * (self.noise_offset + self.noise_slope * xp.abs(after))
        return spread + size * xp.sqrt(ups + downs) * self.fading(xp, before, after, ups > 0, cells)

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return theta + travel(xp, self.up(xp, theta, cells), self.gamma_up * self.steepness(cells), dose)

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return theta - travel(xp, self.down(xp, theta, cells), self.gamma_down * self.steepness(cells), dose)


def travel(xp: Any, response: Array, steepness: Array, dose: Array) -> Array:
    """Distance [cells] moved in `dose` >= 0 when dx/ds = q = 1 - A exp(steepness x), from a place where q = `response`.

    With p = exp(-steepness x) the law is linear, p' = -steepness (p - A), which gives x = -log(1 + q (exp(-steepness
    s) - 1))/steepness.

    >>> import numpy as np
    >>> float(travel(np, np.array(1.0), 2.0, np.array(0.3)))  # A = 0: as far as the dose
    0.3
    """
    lowest = -1 + 1e-7  # below it a response that grows has run away to the bound
    grown = response * xp.expm1(xp.minimum(-steepness * dose, LARGEST))
    return -xp.log1p(xp.maximum(grown, lowest)) / steepness
