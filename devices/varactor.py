"""Varactor: a capacitance set by a bias voltage; a wave's charge is conserved when it changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError
from devices.lags import behind, ramp


@dataclass(frozen=True, kw_only=True)
class Varactor(Device):
    """Reverse-biased junction: C = c_j0/(1 + V/v_j)^m, tau dV/dt = V_bias - V, 0 <= V_bias <= v_max.

    c_j0 in F, v_j and v_max in V, tau in s. The value is C/c_j0, in (0, 1]. A drive u > 0 asks for more capacitance:
    the controller ramps V_bias at -rate v_max u (rate in 1/s). Exact for a constant drive at any dt. States:
    "voltage", "bias" (V), "work" (J, done by the bias source on the junction: the change of the energy of its
    charge). For a wave riding on the bias see `charge_conserving_voltage` and `tuning_work`. Raises DeviceError.
    Source: SPICE junction capacitance (Nagel 1975); BB439 numbers from Qucs-S Varactor_RF.lib.

    >>> diode = Varactor(c_j0=56e-12, v_j=3.826, m=1.267, v_max=28.0)
    >>> round(float(diode.capacitance(np, np.array(1.0))) * 1e12, 1)
    41.7
    """

    rate: float = quantity("1/s", 1.0)
    c_j0: float = quantity("F", required=True)
    v_j: float = quantity("V", required=True)
    m: float = quantity("1", required=True)
    v_max: float = quantity("V", required=True)
    tau: float = quantity("s", 1e-9)

    def __post_init__(self) -> None:
        if not (self.c_j0 > 0 and self.v_j > 0 and self.m > 0 and self.v_max > 0 and self.tau > 0):
            raise DeviceError("Varactor needs c_j0, v_j, m, v_max and tau > 0")
        if self.m in (1.0, 2.0):
            raise DeviceError("Varactor.m of exactly 1 or 2 makes its energy a logarithm; use e.g. 1.0001")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        voltage = StateVariable("voltage", "V", 0.0, self.v_max)
        return (voltage, StateVariable("bias", "V", 0.0, self.v_max), StateVariable("work", "J"))

    def capacitance(self, xp: Any, voltage: Array) -> Array:
        """Small-signal capacitance in F at reverse voltages [cells] in V."""
        return self.c_j0 * (1 + voltage / self.v_j) ** -self.m

    def stored(self, xp: Any, voltage: Array) -> Array:
        """Energy in J of the junction's charge, the integral of C(V) V dV [cells]."""
        y = 1 + voltage / self.v_j
        up, down = (y ** (2 - self.m) - 1) / (2 - self.m), (y ** (1 - self.m) - 1) / (1 - self.m)
        return self.c_j0 * self.v_j**2 * (up - down)

    def clip_range(self) -> tuple[float, float]:
        return (float((1 + self.v_max / self.v_j) ** -self.m), 1.0)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        share = np.clip(as_cells(self, initial), *self.clip_range())
        voltage = np.clip(self.v_j * (share ** (-1 / self.m) - 1), 0, self.v_max).astype(share.dtype)
        return {"voltage": voltage, "bias": voltage.copy(), "work": np.zeros_like(voltage)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        def law(cells: State, u: Array, _: Array | None) -> None:
            path = ramp(xp, cells["bias"], u * (-self.rate * self.v_max), 0.0, self.v_max, dt)
            voltage = cells["voltage"]
            moved = xp.clip(behind(xp, voltage, path, self.tau), 0, self.v_max)
            cells["work"] += self.stored(xp, moved) - self.stored(xp, voltage)
            voltage[...] = moved
            cells["bias"][...] = path.end

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        return (1 + state["voltage"] / self.v_j) ** -self.m


def charge_conserving_voltage(voltage: Array, before: Array, after: Array) -> Array:
    """Voltage (V) of a capacitor whose capacitance goes from `before` to `after` (F) while its charge stays.

    >>> charge_conserving_voltage(1.0, 2e-12, 1e-12)
    2.0
    """
    return voltage * before / after


def tuning_work(voltage: Array, before: Array, after: Array) -> Array:
    """Energy (J) that retuning a capacitor charged to `voltage` (V) puts into the wave: Q^2/2 (1/after - 1/before).

    >>> round(tuning_work(1.0, 2e-12, 1e-12) * 1e12, 6)
    1.0
    """
    charge = before * voltage
    return 0.5 * charge * charge * (1 / after - 1 / before)
