"""Thermo-optic phase shifter: a heater behind a controller, thermal lag, crosstalk between neighbours."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError
from devices.lags import Ramp, behind, ramp


@dataclass(frozen=True, kw_only=True)
class ThermoOptic(Device):
    """Heated waveguide: tau dphi/dt = pi P/power_pi + sum_j K_ij phi_j - phi, 0 <= P <= power_max (W).

    The controller ramps P so that without lag or crosstalk dphi/dt = rate u (rate in 1/s), and stops at its limits.
    The lag behind that integrator is momentum: a quadratic loss of curvature lam sees damping 1/(2 sqrt(rate lam
    tau)). `crosstalk` K [n, n] couples the n cells of the (flattened) array, zero diagonal, symmetric; every part is
    solved exactly for a constant drive, at any dt, also with crosstalk. With `wrap` a controller that meets a limit
    begins anew 2 pi away, where light sees the same once the heat has gone; without, it stays at the limit. States:
    "phi" (rad), "power" (W), "energy" (J, heater energy so far). Raises DeviceError. Source: own solution of the usual
    first-order thermal model; numbers on the cards from Micromachines 13 (2022) 1509.

    >>> shifter = ThermoOptic(power_pi=20e-3, tau=5e-6)
    >>> state = shifter.create(np.array([0.0]))
    >>> state["power"][...] = 20e-3
    >>> shifter.advance(np, state, np.array([0.0]), dt=1.0)
    >>> round(float(shifter.value(np, state)[0]), 6)
    3.141593
    """

    rate: float = quantity("1/s", 1.0)
    power_pi: float = quantity("W", required=True)
    tau: float = quantity("s", required=True)
    power_max: float | None = quantity("W", None)
    crosstalk: Any = quantity("1", None, table=True)
    wrap: bool = False

    def __post_init__(self) -> None:
        if not (self.power_pi > 0 and self.tau > 0 and self.limit > 0):
            raise DeviceError("ThermoOptic needs power_pi, tau and power_max > 0")
        if self.crosstalk is not None:
            k = np.asarray(self.crosstalk)
            square = k.ndim == 2 and k.shape[0] == k.shape[1]
            if not square or not np.allclose(k, k.T) or np.any(np.diag(k) != 0):
                raise DeviceError("ThermoOptic.crosstalk must be a symmetric [n, n] array with a zero diagonal")
            if np.linalg.eigvalsh(k).max() >= 1:
                raise DeviceError("ThermoOptic.crosstalk is so strong that the chip heats itself; weaken it")

    @property
    def limit(self) -> float:
        """Highest heater power in W: power_max, or twice power_pi."""
        return 2 * self.power_pi if self.power_max is None else self.power_max

    @property
    def states(self) -> tuple[StateVariable, ...]:
        top = np.pi * self.limit / self.power_pi
        if self.crosstalk is not None:
            top = np.inf  # a neighbour may heat a cell beyond its own reach
        power = StateVariable("power", "W", 0.0, self.limit)
        return (StateVariable("phi", "rad", 0.0, top), power, StateVariable("energy", "J", 0.0))

    def clip_range(self) -> tuple[float, float]:
        return (0.0, np.pi * self.limit / self.power_pi)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        phi = as_cells(self, initial)
        own = phi.ravel()
        if self.crosstalk is not None:
            own = own - np.asarray(self.crosstalk, dtype=own.dtype) @ own
        power = np.clip(own * (self.power_pi / np.pi), 0, self.limit).reshape(phi.shape).astype(phi.dtype)
        state = {"phi": phi, "power": power, "energy": np.zeros_like(phi)}
        phi[...] = self.settled(power)
        return state

    def settled(self, power: Array) -> Array:
        """Phase [cells] in rad that constant heater powers [cells] in W end at."""
        own = power * power.dtype.type(np.pi / self.power_pi)
        if self.crosstalk is None:
            return own
        matrix = np.eye(power.size) - np.asarray(self.crosstalk)
        return np.linalg.solve(matrix, own.ravel()).reshape(power.shape).astype(power.dtype)

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        gain = np.pi / self.power_pi
        if self.crosstalk is not None:
            path = self.ramped(xp, state["power"], drive, dt)
            state["phi"][...] = self.coupled(xp, state["phi"], path)
            self.account(state, path)
            return

        def law(cells: State, u: Array, _: Array | None) -> None:
            path = self.ramped(xp, cells["power"], u, dt)
            cells["phi"][...] = xp.clip(behind(xp, cells["phi"], path, self.tau, gain), 0, gain * self.limit)
            self.account(cells, path)

        each_block(law, xp, state, drive)

    def ramped(self, xp: Any, power: Array, drive: Array, dt: float) -> Ramp:
        """The controller's power (W) during `dt` s."""
        speed = drive * (self.rate * self.power_pi / np.pi)
        if self.wrap:
            goal, turn = power + speed * dt, 2 * self.power_pi
            begun = xp.where(goal > self.limit, power - turn, xp.where(goal < 0.0, power + turn, power))
            power = xp.clip(begun, 0.0, self.limit).astype(power.dtype)
        return ramp(xp, power, speed, 0.0, self.limit, dt)

    def account(self, cells: State, path: Ramp) -> None:
        """Book the heater's energy and leave its power where the ramp ended."""
        cells["energy"] += path.integral()
        cells["power"][...] = path.end

    @cached_property
    def modes(self) -> tuple[Array, Array]:
        """Eigenvalues [n] and orthonormal eigenvectors [n, n] of 1 - K: each mode relaxes with tau/eigenvalue."""
        values, vectors = np.linalg.eigh(np.eye(len(self.crosstalk)) - np.asarray(self.crosstalk, dtype=float))
        return values, vectors

    def coupled(self, xp: Any, phi: Array, path: Ramp) -> Array:
        """Exact phase [cells] with crosstalk: every mode is a lag behind every cell's own ramp."""
        values, vectors = (xp.asarray(part) for part in self.modes)
        if values.size != phi.size:
            raise DeviceError(f"ThermoOptic.crosstalk is for {values.size} cells, but the array has {phi.size}")
        pieces = (path.start, path.speed, path.moving, path.end, path.held)
        wide = Ramp(*(xp.broadcast_to(piece, phi.shape).reshape(1, -1).astype(np.float64) for piece in pieces))
        tau = (self.tau / values)[:, None]
        gain = np.pi / self.power_pi / values[:, None]
        forced = behind(xp, xp.zeros((values.size, values.size)), wide, tau, gain)  # [mode, cell]
        kept = xp.exp(-(path.moving + path.held).reshape(-1)[0] / tau[:, 0])
        mode = kept * (vectors.T @ phi.reshape(-1)) + xp.sum(vectors.T * forced, axis=1)
        return (vectors @ mode).reshape(phi.shape).astype(phi.dtype)

    def value(self, xp: Any, state: State) -> Array:
        return state["phi"]


def exponential_crosstalk(positions: Array, strength: float, reach: float) -> Array:
    """Crosstalk K_ij = strength exp(-d_ij/reach), K_ii = 0, [n, n], of heaters at `positions` ([n] or [n, 2], in m).

    `strength` is dimensionless, `reach` in m.

    >>> exponential_crosstalk(np.array([0.0, 1.0]), 0.1, 1.0).round(4).tolist()
    [[0.0, 0.0368], [0.0368, 0.0]]
    """
    places = np.asarray(positions, dtype=float).reshape(len(positions), -1)
    distance = np.sqrt(((places[:, None] - places[None]) ** 2).sum(-1))
    coupling = strength * np.exp(-distance / reach)
    np.fill_diagonal(coupling, 0.0)
    return coupling
