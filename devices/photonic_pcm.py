"""Photonic phase-change attenuator: a gradient port of a loss, with pulse energy and wear."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class PhotonicPcm(Device):
    """A waveguide of `length` (m) under a phase-change film: amplitude transmission exp(-alpha(X) length/2).

    X in [0, 1] is the crystalline share; the loss in dB goes linearly from amorphous_loss to crystalline_loss (dB/m).
    A drive u > 0 asks for more transmission and amorphises, dX/dt = -rate_reset u X; u < 0 crystallises, dX/dt =
    rate_set |u| (1 - X); rates in 1/s, so that steps of any dt are exact. Each dB of change costs energy_per_db
    (J/dB); a cell that has gone through `endurance` full cycles (state "cycles") is stuck. States:
    "crystalline" (1), "energy" (J), "cycles" (1). Raises DeviceError. Source: Table 1 of 10.1038/s41377-023-01213-3
    (losses, energy, endurance); two-rate kinetics, an assumption.

    >>> cell = PhotonicPcm(length=10e-6, amorphous_loss=0.0, crystalline_loss=2e5, rate_reset=1.0)
    >>> round(float(cell.value(np, {"crystalline": np.array([1.0])})[0]), 6)  # 2 dB in power
    0.794328
    """

    rate_set: float = quantity("1/s", 1.0)
    rate_reset: float = quantity("1/s", 1.0)
    length: float = quantity("m", required=True)
    amorphous_loss: float = quantity("dB/m", required=True)
    crystalline_loss: float = quantity("dB/m", required=True)
    energy_per_db: float = quantity("J/dB", 0.0)
    endurance: float = quantity("1", np.inf)

    def __post_init__(self) -> None:
        if not 0 <= self.amorphous_loss < self.crystalline_loss:
            raise DeviceError("PhotonicPcm needs 0 <= amorphous_loss < crystalline_loss, in dB/m")
        if not (self.length > 0 and self.rate_set >= 0 and self.rate_reset >= 0 and self.endurance > 0):
            raise DeviceError("PhotonicPcm needs length and endurance > 0, and rates >= 0")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        share = StateVariable("crystalline", "1", 0.0, 1.0)
        return (share, StateVariable("energy", "J", 0.0), StateVariable("cycles", "1", 0.0))

    @property
    def contrast(self) -> float:
        """Loss in dB between the two phases."""
        return (self.crystalline_loss - self.amorphous_loss) * self.length

    def clip_range(self) -> tuple[float, float]:
        return (10 ** (-self.crystalline_loss * self.length / 20), 10 ** (-self.amorphous_loss * self.length / 20))

    def create(self, initial: Array, xi: Array | None = None) -> State:
        seen = np.clip(as_cells(self, initial), *self.clip_range())
        share = (-20 * np.log10(seen) - self.amorphous_loss * self.length) / self.contrast
        share = np.clip(share, 0, 1).astype(seen.dtype)
        return {"crystalline": share, "energy": np.zeros_like(share), "cycles": np.zeros_like(share)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        def law(cells: State, u: Array, _: Array | None) -> None:
            share = cells["crystalline"]
            lost = -xp.expm1(xp.minimum(u, 0) * (self.rate_set * dt))
            melted = -xp.expm1(xp.maximum(u, 0) * (-self.rate_reset * dt))
            alive = cells["cycles"] < self.endurance
            moved = xp.clip(share + ((1 - share) * lost - share * melted) * alive, 0, 1)
            change = xp.abs(moved - share)
            cells["energy"] += change * (self.contrast * self.energy_per_db)
            cells["cycles"] += change / 2
            share[...] = moved

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        loss = self.amorphous_loss * self.length + self.contrast * state["crystalline"]
        return xp.exp(loss * float(-np.log(10) / 20))
