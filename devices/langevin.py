"""A gradient port at a temperature: noise that obeys fluctuation and dissipation, also where the mobility varies."""

from dataclasses import dataclass
from typing import Any

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError


@dataclass(frozen=True, kw_only=True)
class Langevin(Device):
    """A resistive port with thermal noise: dtheta = mu u dt + T mu' dt + sqrt(2 mu T dt) xi.

    The mobility is mu = rate (1 + depth sin(k theta)): `rate` in 1/s, `temperature` T in units of the loss (kT over
    the joules per unit loss), `depth` in [0, 1) and `wavenumber` k (1) shape the mobility. The middle term is the Ito
    drift, without which the distribution is not exp(-loss/T). One Euler-Maruyama step a call: displacements are
    bounded by the drive, so it is stable for a constant drive, and its error in the variance of a quadratic well is
    1/(1 - mu k dt/2). Raises DeviceError. Source: Gardiner 2009, section 4.3 (Ito and Stratonovich).

    >>> import numpy as np
    >>> port = Langevin(rate=0.1, temperature=0.0)
    >>> state = port.create(np.array([1.0]))
    >>> port.advance(np, state, np.array([-3.0]), dt=1.0, xi=np.zeros((1, 1)))
    >>> round(float(state["theta"][0]), 12)
    0.7
    """

    rate: float = quantity("1/s", required=True)
    temperature: float = quantity("1", 0.0)
    depth: float = quantity("1", 0.0)
    wavenumber: float = quantity("1", 1.0)

    def __post_init__(self) -> None:
        if not (self.rate >= 0 and self.temperature >= 0 and 0 <= self.depth < 1):
            raise DeviceError("Langevin needs rate >= 0, temperature >= 0 and 0 <= depth < 1")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("theta", "1"),)

    @property
    def normals(self) -> int:
        return 1

    def create(self, initial: Array, xi: Array | None = None) -> State:
        return {"theta": as_cells(self, initial)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, 1, state["theta"].shape, "advance")

        def law(cells: State, u: Array, noise: Array | None) -> None:
            assert noise is not None
            theta = cells["theta"]
            phase = self.wavenumber * theta
            mobility = self.rate * (1 + self.depth * xp.sin(phase))
            slope = self.rate * self.depth * self.wavenumber * xp.cos(phase)
            kick = xp.sqrt(mobility * (2 * self.temperature * dt)) * noise[0]
            theta += (mobility * u + self.temperature * slope) * dt + kick

        each_block(law, xp, state, drive, xi)

    def value(self, xp: Any, state: State) -> Array:
        return state["theta"]
