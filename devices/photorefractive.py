"""Photorefractive grating: an index change that follows the interference of two waves."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Photorefractive(Device):
    """A grating dn in [-dn_sat, dn_sat]: tau ddn/dt = dn_sat m - dn, faster in stronger light.

    tau = tau_0 intensity_0/(intensity + dark_intensity). The contrast m = contrast u, cut at -1 and 1, is the product
    of two counter-propagating waves: fluence sets the speed, contrast the end. tau_0 in s at intensity_0 (W/m^2).
    Without contrast the light erases the grating; with `gated` light is on only while there is a drive, and in
    between only dark_intensity erases. The weight is weight_scale dn/dn_sat, so that for small u it grows at
    weight_scale contrast u/tau. Exact at any dt. State "dn" (1). Raises DeviceError. Source: Yeh 1993
    (photorefractive dynamics, single time constant inverse in intensity).

    >>> grating = Photorefractive(dn_sat=1e-4, tau_0=1.0)
    >>> state = grating.create(np.array([0.0]))
    >>> grating.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(grating.value(np, state)[0]), 6)  # 1 - 1/e
    0.632121
    """

    dn_sat: float = quantity("1", required=True)
    tau_0: float = quantity("s", required=True)
    intensity_0: float = quantity("W/m^2", 1.0)
    intensity: float = quantity("W/m^2", 1.0)
    dark_intensity: float = quantity("W/m^2", 0.0)
    contrast: float = quantity("1", 1.0)
    gated: bool = False
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        if not (self.dn_sat > 0 and self.tau_0 > 0 and self.intensity_0 > 0 and self.weight_scale > 0):
            raise DeviceError("Photorefractive needs dn_sat, tau_0, intensity_0 and weight_scale > 0")
        if not (self.intensity > 0 and self.dark_intensity >= 0 and self.contrast > 0):
            raise DeviceError("Photorefractive needs intensity and contrast > 0, and dark_intensity >= 0")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("dn", "1", -self.dn_sat, self.dn_sat),)

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = np.clip(as_cells(self, initial), -self.weight_scale, self.weight_scale)
        return {"dn": (weight * (self.dn_sat / self.weight_scale)).astype(weight.dtype)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        per_second = 1 / (self.tau_0 * self.intensity_0)  # per W/m^2

        def law(cells: State, u: Array, _: Array | None) -> None:
            light = self.intensity * (u != 0) if self.gated else self.intensity
            dn = cells["dn"]
            forgotten = -xp.expm1(-((light + self.dark_intensity) * (per_second * dt)) * xp.ones_like(dn))
            dn += (self.dn_sat * xp.clip(u * self.contrast, -1, 1) - dn) * forgotten
            dn[...] = xp.clip(dn, -self.dn_sat, self.dn_sat)

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        return state["dn"] * (self.weight_scale / self.dn_sat)
