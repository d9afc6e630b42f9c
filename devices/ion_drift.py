"""Linear-ion-drift memristor: a doped region that grows with the charge that has passed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.conductance import check_limits, from_weight, limits, to_weight
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError

EDGE = 1e-6  # with a window a cell at a bound can never leave it; keep this far away
NEWTON_STEPS = 200  # at most; a tick takes 2, the way from bound to bound about 12
ROUNDING = 4e-16


@dataclass(frozen=True, kw_only=True)
class IonDrift(Device):
    """Memristor with dw/dt = mobility r_on/length^2 i f(w), w the doped share in [0, 1], i = v/R.

    R = r_on w + r_off (1 - w); mobility in m^2/(V s), length in m, r in ohm; a drive u holds v = volts u (V) if |v| >
    threshold (V), else 0. `window` "none" is f = 1, solved by M^2 = M0^2 - 2 K flux; "joglekar" is f = 4 w (1 - w),
    solved by inverting its integral to rounding. Both hold at any dt. The weight is the conductance between its
    limits. Raises DeviceError. Source: Strukov et al. 2008; Joglekar & Wolf 2009 (window, p = 1); numbers as in
    MemTorch (305c3a74).

    >>> cell = IonDrift(threshold=0.0, window="none", volts=1.0)
    >>> state = cell.at_resistance(np.array([14410.0]))
    >>> cell.advance(np, state, np.array([1.0]), dt=1 / np.pi)  # the flux of half a period of sin(2 pi t)
    >>> round(float(cell.resistance(np, state)[0]), 6)
    10316.276276
    """

    volts: float = quantity("V", 1.0)
    mobility: float = quantity("m^2/(V*s)", 1e-14)
    length: float = quantity("m", 10e-9)
    r_on: float = quantity("ohm", 100.0)
    r_off: float = quantity("ohm", 16e3)
    threshold: float = quantity("V", 0.55)
    window: str = "joglekar"
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        fault = check_limits("IonDrift", self.r_on, self.r_off, self.weight_scale)
        if self.window not in ("none", "joglekar"):
            fault = f"IonDrift.window must be none or joglekar, but is {self.window!r}"
        if not (self.mobility > 0 and self.length > 0 and self.threshold >= 0):
            fault = "IonDrift needs mobility > 0, length > 0 and threshold >= 0"
        if fault:
            raise DeviceError(fault)

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("w", "1", 0.0, 1.0),)

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = as_cells(self, initial)
        low, high = limits(self.r_on, self.r_off)
        return self.at_resistance(1 / np.clip(from_weight(weight, low, high, self.weight_scale), low, high))

    def at_resistance(self, resistance: Array) -> State:
        """State of cells [cells] of the given resistances in ohm."""
        edge = EDGE if self.window == "joglekar" else 0.0
        share = (self.r_off - resistance) / (self.r_off - self.r_on)
        return {"w": np.clip(share, edge, 1 - edge).astype(resistance.dtype)}

    def resistance(self, xp: Any, state: State) -> Array:
        """Resistance [cells] in ohm, for nodes that load a line with it."""
        return self.r_off - (self.r_off - self.r_on) * state["w"]

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        scale = self.mobility * self.r_on / self.length**2 * dt  # ohm per volt; R dw = push f

        def law(cells: State, u: Array, _: Array | None) -> None:
            voltage = u * self.volts
            driven = (xp.abs(voltage) >= self.threshold) & (voltage != 0)
            if not xp.any(driven):
                return
            w, push = cells["w"], voltage[driven].astype(np.float64) * scale
            moved = self.unwindowed if self.window == "none" else self.windowed
            w[driven] = moved(xp, w[driven].astype(np.float64), push).astype(w.dtype)

        each_block(law, xp, state, drive)

    def unwindowed(self, xp: Any, w: Array, push: Array) -> Array:
        """Doped share after `push` [cells] in ohm, f = 1: M^2 falls linearly with the flux."""
        span = self.r_off - self.r_on
        square = (self.r_off - span * w) ** 2 - 2 * span * push
        return (self.r_off - xp.sqrt(xp.clip(square, self.r_on**2, self.r_off**2))) / span

    def windowed(self, xp: Any, w: Array, push: Array) -> Array:
        """Doped share after `push`, f = 4 w (1-w): (r_off log w - r_on log(1 - w))/4 grows by `push`.

        In y = logit(w) that function is concave, its slope between r_off/4 and r_on/4, so Newton's method converges
        from anywhere: after the first step from the left, without passing the root. A cell stops when its step is
        rounding.
        """
        w = xp.clip(w, EDGE, 1 - EDGE)
        y = xp.log(w / (1 - w))
        charge, slope = self.charge(xp, y)
        goal, step = charge + push, push / slope
        for _ in range(NEWTON_STEPS):
            y = y + step
            charge, slope = self.charge(xp, y)
            step = (goal - charge) / slope
            step = step * (xp.abs(step) > ROUNDING * xp.maximum(xp.abs(y), 1))
            if not xp.any(step):
                break
        return xp.clip(1 / (1 + xp.exp(-xp.clip(y, -60, 60))), EDGE, 1 - EDGE)

    def charge(self, xp: Any, logit: Array) -> tuple[Array, Array]:
        """The function of logit(w) that grows linearly with the flux (ohm), and its slope."""
        small = xp.exp(-xp.abs(logit))
        both = xp.log1p(small)
        above, below = xp.maximum(logit, 0), xp.maximum(-logit, 0)
        charge = 0.25 * (self.r_on * (above + both) - self.r_off * (below + both))
        share = xp.where(logit > 0, 1, small) / (1 + small)
        return charge, 0.25 * (self.r_off + (self.r_on - self.r_off) * share)

    def value(self, xp: Any, state: State) -> Array:
        return to_weight(1 / self.resistance(xp, state), *limits(self.r_on, self.r_off), self.weight_scale)
