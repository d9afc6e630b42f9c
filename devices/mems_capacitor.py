"""Electromechanical (MEMS) radio-frequency capacitor: the mechanics of `devices.mems` read as a capacitance."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.device import Array, State, as_cells, quantity
from devices.errors import DeviceError
from devices.mems import Mems


@dataclass(frozen=True, kw_only=True)
class MemsCapacitor(Mems):
    """A parallel-plate capacitor on a spring: C/C0 = gap/(gap - x), x in [0, travel], travel < gap/3 (pull-in).

    Mechanics, controller and states are those of `Mems` with parallel plates; the value is C/C0, from 1 to
    gap/(gap - travel), at most 1.5. Slowly dvalue/dt is near rate u (rate in 1/s). Raises DeviceError.
    Source: Senturia 2001 (pull-in); numbers on the card from Elshurafa & Salama 2012, Electronics Letters 48, 392.

    >>> cell = MemsCapacitor(v_max=8.0, gap=1.2e-6, travel=0.2e-6, frequency=30e3)
    >>> cell.clip_range()[1]
    1.2
    """

    phase_max: float = quantity("rad", 0.0)
    plates: str = "parallel"

    def __post_init__(self) -> None:
        if self.gap is None or self.plates != "parallel":
            raise DeviceError("MemsCapacitor needs a gap (m) and parallel plates; a comb drive is Mems")
        # the controller of Mems maps its full stroke to phase_max; here the full stroke is the capacitance range
        object.__setattr__(self, "phase_max", self.clip_range()[1] - 1)
        super().__post_init__()

    def clip_range(self) -> tuple[float, float]:
        assert self.gap is not None
        return (1.0, self.gap / (self.gap - self.travel))

    def create(self, initial: Array, xi: Array | None = None) -> State:
        ratio = np.clip(as_cells(self, initial), *self.clip_range())
        assert self.gap is not None
        return self.at_place(np.clip(self.gap * (1 - 1 / ratio), 0, self.travel).astype(ratio.dtype))

    def value(self, xp: Any, state: State) -> Array:
        assert self.gap is not None
        return self.gap / (self.gap - state["x"])
