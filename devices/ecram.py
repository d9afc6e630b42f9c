"""Electrochemical memory (ECRAM): a near-linear gate charge that the channel follows with an ionic lag."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.device import Array, State, StateVariable, parameter, quantity
from devices.errors import DeviceError
from devices.linear_step import LinearStep


@dataclass(frozen=True, kw_only=True)
class Ecram(LinearStep):
    """A `LinearStep` gate charge theta that the channel follows: lag dchannel/dt = theta - channel.

    `lag` in s (0: none); the value is read from the channel (state "channel", same scale as theta). Exact in continuous
    mode without cycle-to-cycle noise, for any dt; pulses, and noise, act at the start of the interval, after which the
    channel relaxes. Raises DeviceError. Source: Tang et al., IEDM 2018 (steps); the lag is a single-pole model of ion
    diffusion, assumed.

    >>> cell = Ecram(rate=1.0, dw_min=0.002, lag=1.0)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([0.5]), dt=1.0)
    >>> round(float(state["theta"][0]), 6), round(float(state["channel"][0]), 6)  # 1/2 and 1/2 (1 - (1 - 1/e))
    (0.5, 0.18394)
    """

    lag: Any = quantity("s", 0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.asarray(self.lag) >= 0):
            raise DeviceError(f"Ecram.lag must be >= 0 s, but is {self.lag}")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        gate = super().states[0]
        return (*super().states, StateVariable("channel", "1", gate.lo, gate.hi))

    def create(self, initial: Array, xi: Array | None = None) -> State:
        cells = super().create(initial, xi)
        return {**cells, "channel": cells["theta"].copy()}

    def value(self, xp: Any, state: State) -> Array:
        seen = {**state, "theta": state["channel"]}
        if self.write_noise > 0:
            seen["apparent"] = state["apparent"] - state["theta"] + state["channel"]
        return super().value(xp, seen)

    def advance_block(self, xp: Any, cells: State, drive: Array, dt: float, xi: Array | None) -> None:
        before = cells["theta"].copy()
        super().advance_block(xp, cells, drive, dt, xi)
        channel, gate = cells["channel"], cells["theta"]
        step, lag = gate.dtype.type(dt), xp.maximum(parameter(self, cells, "lag"), np.finfo(gate.dtype).tiny * 1e6)
        if self.mode == "pulsed" or self.cycle_to_cycle > 0:
            channel -= (gate - channel) * xp.expm1(-step / lag)
            return
        moving, held = self.split_at_bound(xp, before, drive, step, cells)
        speed, pull = self.gate_speed(xp, before, drive, cells)
        follow_ramp(xp, channel, before, speed, pull, moving, lag)
        channel -= (gate - channel) * xp.expm1(-held / lag)

    def gate_speed(self, xp: Any, gate: Array, drive: Array, cells: State) -> tuple[Array, Array]:
        """Speed of the gate at `gate` and the rate (1/s) at which that speed decays, under a constant drive [cells]."""
        size_up, size_down = self.pulse_sizes(xp, cells)
        slope_up, slope_down = self.slopes(xp, cells)
        scale = parameter(self, cells, "rate") / gate.dtype.type(np.mean(self.dw_min))
        ups, downs = xp.maximum(drive, 0) * scale * size_up, xp.maximum(-drive, 0) * scale * size_down
        pull = ups * slope_up + downs * slope_down
        return ups - downs - gate * pull, pull

    def split_at_bound(self, xp: Any, gate: Array, drive: Array, step: Array, cells: State) -> tuple[Array, Array]:
        """Seconds [cells] for which the gate moves, and seconds for which it sits at a hard bound."""
        speed, pull = self.gate_speed(xp, gate, drive, cells)
        b_max, b_min = parameter(self, cells, "b_max"), parameter(self, cells, "b_min")
        distance = xp.where(speed > 0, b_max - gate, gate - b_min)
        tiny = np.finfo(gate.dtype).tiny * 1e6
        share = xp.minimum(distance * pull / xp.maximum(xp.abs(speed), tiny), 1 - 1e-7)  # 1: the bound is never reached
        exact = -xp.log1p(-share) / xp.maximum(pull, tiny)
        moving = xp.minimum(xp.where(share < 1e-6, distance / xp.maximum(xp.abs(speed), tiny), exact), step)
        return moving, step - moving


def follow_ramp(xp: Any, channel: Array, gate: Array, speed: Array, pull: Array, time: Array, lag: Array) -> None:
    """Move `channel` in place [cells] by `time` s behind a gate that goes as gate + speed (1 - exp(-pull t))/pull.

    Solves lag y' = x(t) - y with x' = speed exp(-pull t): the lag of a ramp that dies out.
    """
    forgotten = -xp.expm1(-time / lag)
    settled = time * exprel(xp, -pull * time)  # (1 - exp(-pull t))/pull
    gap = 1 - pull * lag  # 0 is a double pole
    near = xp.abs(gap * time) < lag
    owed = lag * (xp.exp(-pull * time) - (1 - forgotten)) / xp.where(near, 1, gap)
    owed_near = time * (1 - forgotten) * exprel(xp, xp.where(near, gap * time / lag, 0))
    channel += (gate - channel) * forgotten + speed * (settled - xp.where(near, owed_near, owed))


def exprel(xp: Any, x: Array) -> Array:
    """(exp(x) - 1)/x, with its limit 1 at x = 0.

    >>> [round(float(exprel(np, np.array(x))), 6) for x in (0.0, 1.0)]
    [1.0, 1.718282]
    """
    safe = xp.where(x == 0, 1, x)
    return xp.where(x == 0, 1, xp.expm1(safe) / safe)
