"""A memory programmed to a conductance by write and verify: it goes where it is told, with a known error."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.conductance import from_weight, to_weight
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class WriteVerify(Device):
    """A cell whose target conductance follows the drive, and which lands beside it with a programming error.

    A drive shifts the target weight evenly, dweight/dt = rate u (rate in 1/s), clipped to [-weight_scale,
    weight_scale]; the weight is the conductance between g_min and g_max (S) against a mid reference. Each write draws
    one error z sigma(G), sigma a polynomial in G/g_max with coefficients `programming` (S); it stays until the next
    write, an advance with a drive. No conductance is below 0. States: "weight" (the target), "error" (z). Raises
    DeviceError. Source: write-and-verify statistics of Wan et al. 2022 (10.1038/s41586-022-04992-8) and Milo et al.
    2021 (IRPS, 9405119), fits as in CrossSim 3.2.

    >>> cell = WriteVerify(g_min=0.0, g_max=40e-6, programming=(1e-6, 0.5e-6))
    >>> round(float(cell.sigma(np, np.array(40e-6))) * 1e6, 6)
    1.5
    """

    rate: float = quantity("1/s", 1.0)
    g_min: float = quantity("S", required=True)
    g_max: float = quantity("S", required=True)
    programming: Any = quantity("S", required=True, table=True)
    endurance: float = quantity("1", np.inf)
    weight_scale: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        if not (0 <= self.g_min < self.g_max and self.weight_scale > 0 and self.rate >= 0):
            raise DeviceError("WriteVerify needs 0 <= g_min < g_max, weight_scale > 0 and rate >= 0")
        if np.ndim(self.programming) != 1 or np.size(self.programming) == 0:
            raise DeviceError("WriteVerify.programming must be a list of polynomial coefficients in S")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        target = StateVariable("weight", "1", -self.weight_scale, self.weight_scale)
        return (target, StateVariable("error", "1"))

    @property
    def quiet(self) -> Device:
        return replace(self, programming=(0.0,))

    @property
    def normals(self) -> int:
        return 1

    @property
    def initial_normals(self) -> int:
        return 1

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale, self.weight_scale)

    def sigma(self, xp: Any, conductance: Array) -> Array:
        """Standard deviation (S) of the error of a cell told to have this conductance (S) [cells]."""
        share = conductance / self.g_max
        total = xp.zeros_like(share)
        for coefficient in reversed(np.asarray(self.programming, dtype=float).tolist()):  # Horner
            total = total * share + coefficient
        return xp.maximum(total, 0)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = np.clip(as_cells(self, initial), -self.weight_scale, self.weight_scale)
        need_normals(self, xi, 1, weight.shape, "create")
        error = np.zeros_like(weight) if xi is None else xi[0].astype(weight.dtype)
        return {"weight": weight, "error": error}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, 1, state["weight"].shape, "advance")

        def law(cells: State, u: Array, noise: Array | None) -> None:
            assert noise is not None
            weight, written = cells["weight"], u != 0
            weight[...] = xp.clip(weight + u * (self.rate * dt), -self.weight_scale, self.weight_scale)
            cells["error"][...] = noise[0] * written + cells["error"] * ~written

        each_block(law, xp, state, drive, xi)

    def value(self, xp: Any, state: State) -> Array:
        target = from_weight(state["weight"], self.g_min, self.g_max, self.weight_scale)
        landed = xp.maximum(target + self.sigma(xp, target) * state["error"], 0)
        return to_weight(landed, self.g_min, self.g_max, self.weight_scale)
