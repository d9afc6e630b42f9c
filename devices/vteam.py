"""VTEAM memristor: a wall that moves only under voltages beyond a threshold."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.conductance import check_limits, from_weight, limits, to_weight
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Vteam(Device):
    """Threshold memristor: dx/dt = k_off (v/v_off - 1)^alpha_off for v >= v_off, likewise on.

    On is k_on (v/v_on - 1)^alpha_on for v <= v_on; between the thresholds nothing moves. x in [0, length] (m),
    resistance r_on + (r_off - r_on) x/length (ohm); k in m/s, v in V, k_on < 0 < k_off, v_on < 0 < v_off. A drive u
    holds v = -volts u across the cell, so that u > 0 raises the conductance; the weight is the conductance between
    its limits, from -weight_scale to weight_scale. The speed does not depend on x, so every step is exact. A drive
    below the threshold does not train. Raises DeviceError. Source: Kvatinsky et al. 2015 (VTEAM), numbers as in
    MemTorch (VTEAM.py at 305c3a74).

    >>> cell = Vteam(volts=0.1)
    >>> state = cell.create(np.array([0.0]))
    >>> cell.advance(np, state, np.array([-1.0]), dt=1e-7)  # 0.1 V: 5e-4 (5 - 1) m/s for 100 ns
    >>> before = cell.create(np.array([0.0]))["x"]
    >>> round(float((state["x"] - before)[0]) * 1e10, 6)
    2.0
    """

    volts: float = quantity("V", 1.0)
    k_on: float = quantity("m/s", -10.0)
    k_off: float = quantity("m/s", 5e-4)
    alpha_on: float = quantity("1", 3.0)
    alpha_off: float = quantity("1", 1.0)
    v_on: float = quantity("V", -0.2)
    v_off: float = quantity("V", 0.02)
    length: float = quantity("m", 3e-9)
    r_on: float = quantity("ohm", 50.0)
    r_off: float = quantity("ohm", 1000.0)
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        fault = check_limits("Vteam", self.r_on, self.r_off, self.weight_scale)
        if not self.k_on < 0 < self.k_off or not self.v_on < 0 < self.v_off:
            fault = "Vteam needs k_on < 0 < k_off and v_on < 0 < v_off"
        if not self.length > 0:
            fault = f"Vteam.length must be > 0 m, but is {self.length}"
        if fault:
            raise DeviceError(fault)

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("x", "m", 0.0, self.length),)

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = as_cells(self, initial)
        conductance = from_weight(weight, *limits(self.r_on, self.r_off), self.weight_scale)
        low, high = limits(self.r_on, self.r_off)
        share = (1 / np.clip(conductance, low, high) - self.r_on) / (self.r_off - self.r_on)
        return {"x": np.clip(share * self.length, 0, self.length).astype(weight.dtype)}

    def speed(self, xp: Any, voltage: Array) -> Array:
        """Wall speed (m/s) under `voltage` [cells] in V."""
        rise = self.k_off * xp.maximum(voltage / self.v_off - 1, 0) ** self.alpha_off
        return rise + self.k_on * xp.maximum(voltage / self.v_on - 1, 0) ** self.alpha_on

    def resistance(self, xp: Any, state: State) -> Array:
        """Resistance [cells] in ohm, for nodes that load a line with it."""
        return self.r_on + (self.r_off - self.r_on) / self.length * state["x"]

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        def law(cells: State, u: Array, _: Array | None) -> None:
            x = cells["x"]
            # a distance beyond the cell is clipped before it can overflow float32
            moved = xp.clip(self.speed(xp, u * -self.volts) * dt, -self.length, self.length)
            x[...] = xp.clip(x + moved, 0, self.length)

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        return to_weight(1 / self.resistance(xp, state), *limits(self.r_on, self.r_off), self.weight_scale)
