"""Step devices whose response is a table: the user's own measured curve."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from devices.device import Array, State, quantity
from devices.errors import DeviceError
from devices.step_device import StepDevice
from devices.variability import as_spread

STOPPED = 1e-9  # a response below this share of its largest value counts as this share


@dataclass(frozen=True, kw_only=True)
class TabulatedStep(StepDevice):
    """A cell with responses q+ and q- given at `knots` of theta and linear between them; the end knots are the bounds.

    `knots` [m] rising, `up_table` [m] and `down_table` [m], >= 0, all dimensionless. The continuous law is solved
    exactly, segment by segment, for any dt; trains of pulses make 32 singly, then continue as the law. Bounds take no
    spread. Raises DeviceError. Source: own derivation (time along a segment of linear q is a logarithm).

    >>> cell = TabulatedStep(dw_min=0.01, knots=(-1.0, 1.0), up_table=(2.0, 0.0), down_table=(0.0, 2.0))
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(state["theta"][0]), 6)  # soft bounds: 1 - 1/e
    0.632121
    """

    knots: Any = quantity("1", required=True, table=True)
    up_table: Any = quantity("1", required=True, table=True)
    down_table: Any = quantity("1", required=True, table=True)

    def __post_init__(self) -> None:
        knots, up, down = (np.asarray(t, dtype=float) for t in (self.knots, self.up_table, self.down_table))
        if knots.ndim != 1 or knots.size < 2 or not np.all(np.diff(knots) > 0):
            raise DeviceError("TabulatedStep.knots must be at least two rising numbers")
        for name, table in (("up_table", up), ("down_table", down)):
            if table.shape != knots.shape or not np.all(table >= 0) or not table.max() > 0:
                raise DeviceError(f"TabulatedStep.{name} must give a number >= 0 for each of the {knots.size} knots")
        if as_spread(self.b_min_spread) or as_spread(self.b_max_spread):
            raise DeviceError("TabulatedStep takes its bounds from the knots, so they cannot have a spread")
        object.__setattr__(self, "b_min", float(knots[0]))
        object.__setattr__(self, "b_max", float(knots[-1]))
        super().__post_init__()

    @cached_property
    def rising(self) -> "Path":
        """Motion under up pulses."""
        return Path(np.asarray(self.knots, dtype=float), np.asarray(self.up_table, dtype=float))

    @cached_property
    def falling(self) -> "Path":
        """Motion under down pulses, as a rise of -theta."""
        return Path(-np.asarray(self.knots, dtype=float)[::-1], np.asarray(self.down_table, dtype=float)[::-1])

    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        return self.rising.response(xp, theta)

    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        return self.falling.response(xp, -theta)

    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return xp.where(dose > 0, self.rising.move(xp, theta, dose), theta)

    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        return xp.where(dose > 0, -self.falling.move(xp, -theta, dose), theta)


class Path:
    """A one-way motion dx/ds = q(x) through knots x [m] with q [m] >= 0 linear between them."""

    def __init__(self, knots: Array, response: Array) -> None:
        self.knots, self.q = knots, response
        moving = np.maximum(response, STOPPED * response.max())
        self.start, self.length = moving[:-1], np.diff(knots)
        self.slope = np.diff(moving) / self.length
        straight = np.abs(np.diff(moving)) < 1e-9 * self.start
        safe = np.where(straight, 1.0, self.slope)
        self.slope = np.where(straight, 0.0, self.slope)
        times = np.where(straight, self.length / self.start, np.log(moving[1:] / moving[:-1]) / safe)
        self.times = np.concatenate([[0.0], np.cumsum(times)])

    def response(self, xp: Any, x: Array) -> Array:
        """q at x [cells]."""
        return xp.interp(x, xp.asarray(self.knots), xp.asarray(self.q)).astype(x.dtype)

    def segment(self, xp: Any, table: Array, at: Array) -> Array:
        """Which segment each entry of `at` [cells] falls in, by a table of segment ends."""
        return xp.clip(xp.searchsorted(xp.asarray(table), at, side="right") - 1, 0, len(self.length) - 1)

    def move(self, xp: Any, x: Array, dose: Array) -> Array:
        """Where x [cells] arrives after `dose` >= 0 [cells]; computed in float64."""
        start, slope, times, knots = (xp.asarray(t) for t in (self.start, self.slope, self.times, self.knots))
        place = xp.clip(x.astype(np.float64), self.knots[0], self.knots[-1])
        i = self.segment(xp, self.knots, place)
        gone = place - knots[i]
        safe = xp.where(slope[i] == 0, 1.0, slope[i])
        local = xp.where(
            slope[i] == 0, gone / start[i], xp.log1p(xp.maximum(slope[i] * gone / start[i], -1 + STOPPED)) / safe
        )
        clock = xp.minimum(times[i] + local + dose, self.times[-1])
        i = self.segment(xp, self.times, clock)
        rest = clock - times[i]
        safe = xp.where(slope[i] == 0, 1.0, slope[i])
        gone = xp.where(slope[i] == 0, start[i] * rest, start[i] * xp.expm1(slope[i] * rest) / safe)
        return xp.maximum((knots[i] + gone).astype(x.dtype), x)
