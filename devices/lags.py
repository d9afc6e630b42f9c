"""Exact pieces of devices behind a controller: a control that ramps, then holds, and first-order lags behind it."""

from dataclasses import dataclass
from typing import Any

from devices.device import Array


@dataclass(frozen=True)
class Ramp:
    """A control that moves from `start` at `speed` for `moving` seconds, then holds `end` for `held` ([cells]).

    Where no cell meets a limit, `moving` and `held` are numbers, not arrays, which spares a law its exponentials.
    """

    start: Array
    speed: Array
    moving: Array
    end: Array
    held: Array

    def integral(self) -> Array:
        """Time integral of the control."""
        return 0.5 * (self.start + self.end) * self.moving + self.end * self.held

    def square_integral(self) -> Array:
        """Time integral of the square of the control."""
        mean = (self.start * self.start + self.start * self.end + self.end * self.end) / 3
        return mean * self.moving + self.end * self.end * self.held


def ramp(xp: Any, control: Array, speed: Array, lo: Any, hi: Any, dt: float) -> Ramp:
    """How a control [cells] that stops at `lo` and `hi` moves for `dt` s at constant `speed` [cells] per second.

    >>> import numpy as np
    >>> path = ramp(np, np.array(0.0), np.array(2.0), 0.0, 1.0, dt=2.0)
    >>> float(path.moving), float(path.end), float(path.held)
    (0.5, 1.0, 1.5)
    """
    step = control.dtype.type(dt)
    goal = control + speed * step
    end = xp.clip(goal, lo, hi)
    free = end == goal
    if xp.all(free & (speed != 0)):
        return Ramp(control, speed, step, end, step - step)
    share = (end - control) / xp.where(free, 1, speed)
    moving = xp.where(free, step, xp.clip(share, 0, step)) * (speed != 0)
    return Ramp(control, xp.where(moving > 0, speed, 0), moving, end, step - moving)


def behind(xp: Any, y: Array, path: Ramp, tau: Any, gain: Any = 1.0) -> Array:
    """Where y [cells], tau y' = gain control - y, is at the end of a ramp-and-hold `path`; tau in s, exact.

    >>> import numpy as np
    >>> path = ramp(np, np.array(1.0), np.array(0.0), 0.0, 1.0, dt=1.0)
    >>> round(float(behind(np, np.array(0.0), path, 1.0)), 6)  # 1 - 1/e
    0.632121
    """
    forgotten = -xp.expm1(-path.moving / tau)
    y = y + (gain * path.start - y) * forgotten + gain * path.speed * (path.moving - tau * forgotten)
    return y - (gain * path.end - y) * xp.expm1(-path.held / tau)


def behind_relaxing(xp: Any, y: Array, source: Array, goal: Any, time: Array, tau: Any, slow: Any) -> Array:
    """Where y [cells], tau y' = x - y, is after `time` s while x relaxes from `source` to `goal`.

    x has the time constant `slow`; tau and slow in s and not equal; exact.

    >>> import numpy as np
    >>> round(float(behind_relaxing(np, np.array(0.0), np.array(1.0), 1.0, 1.0, 1.0, 5.0)), 6)
    0.632121
    """
    gone = xp.exp(-time / tau)
    part = (xp.exp(-time / slow) - gone) * (slow / (slow - tau))
    return y * gone + goal * (1 - gone) + (source - goal) * part
