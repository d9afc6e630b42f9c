"""Electro-optic phase shifters: lithium niobate with DC drift, barium titanate with a remanent polarisation."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, choose, quantity
from devices.errors import DeviceError
from devices.lags import Ramp, behind, behind_relaxing, ramp


@dataclass(frozen=True, kw_only=True)
class LithiumNiobate(Device):
    """Pockels shifter with slow charge: tau dphi/dt = pi (V - Vd)/v_pi - phi, drift_time dVd/dt = drift_share V - Vd.

    The controller ramps V (V) so that at first dphi/dt = rate u (rate in 1/s) and stops at |V| = v_max. drift_share
    (0 .. 1) of a held voltage is screened after a few drift_time (s). Exact for a constant drive at any dt. States:
    "phi" (rad), "voltage" and "drift" (V). Raises DeviceError. Source: first-order model of DC drift, photonics 8
    (2021) 571 for its time scales; no static power.

    >>> shifter = LithiumNiobate(v_pi=4.0, drift_share=0.2, drift_time=100.0)
    >>> state = shifter.create(np.array([np.pi]))
    >>> shifter.advance(np, state, np.array([0.0]), dt=1e5)
    >>> round(float(shifter.value(np, state)[0] / np.pi), 6)
    0.8
    """

    rate: float = quantity("1/s", 1.0)
    v_pi: float = quantity("V", required=True)
    v_max: float | None = quantity("V", None)
    tau: float = quantity("s", 10e-12)
    drift_share: float = quantity("1", 0.0)
    drift_time: float = quantity("s", 1000.0)

    def __post_init__(self) -> None:
        if not (self.v_pi > 0 and self.tau > 0 and self.limit > 0):
            raise DeviceError("LithiumNiobate needs v_pi, tau and v_max > 0")
        if not (0 <= self.drift_share <= 1 and self.drift_time > 2 * self.tau):
            raise DeviceError("LithiumNiobate needs 0 <= drift_share <= 1 and a drift_time above 2 tau")

    @property
    def limit(self) -> float:
        """Highest voltage in V: v_max, or v_pi."""
        return self.v_pi if self.v_max is None else self.v_max

    @property
    def states(self) -> tuple[StateVariable, ...]:
        v = self.limit
        top = np.pi * (1 + self.drift_share) * v / self.v_pi
        slow = self.drift_share * v
        return (
            StateVariable("phi", "rad", -top, top),
            StateVariable("voltage", "V", -v, v),
            StateVariable("drift", "V", -slow, slow),
        )

    def clip_range(self) -> tuple[float, float]:
        top = np.pi * self.limit / self.v_pi
        return (-top, top)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        phi = np.clip(as_cells(self, initial), *self.clip_range())
        voltage = (phi * (self.v_pi / np.pi)).astype(phi.dtype)
        return {"phi": phi, "voltage": voltage, "drift": np.zeros_like(phi)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        gain = np.pi / self.v_pi

        def law(cells: State, u: Array, _: Array | None) -> None:
            path = ramp(xp, cells["voltage"], u * (self.rate / gain), -self.limit, self.limit, dt)
            fast = behind(xp, cells["phi"], path, self.tau, gain)  # what phi would be without drift
            shift = self.drift_lag(xp, cells["drift"], path)
            cells["phi"][...] = fast - gain * shift
            cells["drift"][...] = behind(xp, cells["drift"], path, self.drift_time, self.drift_share)
            cells["voltage"][...] = path.end

        each_block(law, xp, state, drive)

    def drift_lag(self, xp: Any, drift: Array, path: Ramp) -> Array:
        """What a lag of tau behind the drift voltage, starting at 0, has reached (V) at the end of `path`: exact."""
        share, slow, time = self.drift_share, self.drift_time, path.moving
        fast = -xp.expm1(-time / self.tau)  # the lag's answer to a step
        left = -xp.expm1(-time / slow)
        # while V ramps, Vd = drift + (share V0 - drift) left + share speed (time - slow left); each term is small where
        # the ramp is short, so that no digits are lost
        late = fast - (slow / (slow - self.tau)) * (fast - left)  # the lag's answer to `left`
        shift = drift * fast + (share * path.start - drift) * late
        shift = shift + share * path.speed * (time - slow * left - self.tau * late)
        halfway = Ramp(path.start, path.speed, path.moving, path.end, path.held * 0)
        reached = behind(xp, drift, halfway, slow, share)
        return behind_relaxing(xp, shift, reached, share * path.end, path.held, self.tau, slow)

    def value(self, xp: Any, state: State) -> Array:
        return state["phi"]


@dataclass(frozen=True, kw_only=True)
class BariumTitanate(Device):
    """Pockels shifter whose domains can be poled: phi = pi V r/v_pi, remanence r in [-1, 1] switched beyond v_coercive.

    While |V| > v_coercive, dr/dt = (sign(V) - r) (|V|/v_coercive - 1)/poling_time, else r holds: a non-volatile
    weight under a fixed bias. The controller ramps V so that dphi/dt = rate u at r = 1 and stops at |V| = v_max (V).
    Exact for a constant drive at any dt; the electrical lag (ps) is left out. States: "voltage" (V), "remanence" (1).
    Raises DeviceError. Source: hysteretic Pockels response, Abel et al. 2019 (10.1038/s41563-018-0208-0); the
    switching law is an assumption (rate proportional to the excess field).

    >>> shifter = BariumTitanate(v_pi=2.0, v_coercive=1.0, poling_time=1.0)
    >>> state = shifter.create(np.array([0.0]))
    >>> state["voltage"][...] = -2.0
    >>> shifter.advance(np, state, np.array([0.0]), dt=1.0)
    >>> round(float(state["remanence"][0]), 6)  # -1 + 2/e
    -0.264241
    """

    rate: float = quantity("1/s", 1.0)
    v_pi: float = quantity("V", required=True)
    v_max: float | None = quantity("V", None)
    v_coercive: float = quantity("V", required=True)
    poling_time: float = quantity("s", required=True)

    def __post_init__(self) -> None:
        if not (self.v_pi > 0 and self.v_coercive > 0 and self.poling_time > 0 and self.limit > 0):
            raise DeviceError("BariumTitanate needs v_pi, v_coercive, poling_time and v_max > 0")

    @property
    def limit(self) -> float:
        """Highest voltage in V: v_max, or v_pi."""
        return self.v_pi if self.v_max is None else self.v_max

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("voltage", "V", -self.limit, self.limit), StateVariable("remanence", "1", -1.0, 1.0))

    def clip_range(self) -> tuple[float, float]:
        top = np.pi * self.limit / self.v_pi
        return (-top, top)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        phi = np.clip(as_cells(self, initial), *self.clip_range())
        return {"voltage": (phi * (self.v_pi / np.pi)).astype(phi.dtype), "remanence": np.ones_like(phi)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        def law(cells: State, u: Array, _: Array | None) -> None:
            path = ramp(xp, cells["voltage"], u * (self.rate * self.v_pi / np.pi), -self.limit, self.limit, dt)
            down, up = self.poling(xp, -path.start, -path.end, path), self.poling(xp, path.start, path.end, path)
            held_up, held_down = self.excess(xp, path.end) * path.held, self.excess(xp, -path.end) * path.held
            r = cells["remanence"]
            # a ramp crosses from one polarity to the other at most once: first the one it starts in, then the other
            rising = path.speed > 0
            first = choose(rising, pole(xp, r, down, -1.0), pole(xp, r, up, 1.0))
            second = choose(rising, pole(xp, first, up, 1.0), pole(xp, first, down, -1.0))
            r[...] = pole(xp, pole(xp, second, held_up, 1.0), held_down, -1.0)
            cells["voltage"][...] = path.end

        each_block(law, xp, state, drive)

    def excess(self, xp: Any, voltage: Array) -> Array:
        """Rate (1/s) at which `voltage` (V) [cells] poles towards its own sign, for the positive sign."""
        return xp.maximum(voltage / self.v_coercive - 1, 0) / self.poling_time

    def poling(self, xp: Any, start: Array, end: Array, path: Ramp) -> Array:
        """Time integral of `excess` [cells] while the voltage ramps from `start` to `end`: exact."""
        low, high = xp.minimum(start, end), xp.maximum(start, end)
        above_low, above_high = self.excess(xp, low), self.excess(xp, high)
        # share of the ramp above threshold, times the mean excess there
        share = (high - xp.maximum(low, self.v_coercive)) / xp.maximum(high - low, 1e-30)
        return xp.clip(share, 0, 1) * 0.5 * (above_low + above_high) * path.moving

    def value(self, xp: Any, state: State) -> Array:
        return state["voltage"] * state["remanence"] * (np.pi / self.v_pi)


def pole(xp: Any, remanence: Array, dose: Array, sign: float) -> Array:
    """Remanence [cells] after a poling `dose` (dimensionless) towards `sign`.

    >>> float(pole(np, np.array(-1.0), np.array(0.0), 1.0))
    -1.0
    """
    return remanence - (sign - remanence) * xp.expm1(-dose)
