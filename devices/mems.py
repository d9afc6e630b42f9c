"""Electromechanical (MEMS) phase shifter or capacitor: a sprung mass pulled by a voltage, which is a momentum port."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, quantity
from devices.errors import DeviceError
from devices.lags import ramp

SUBSTEPS = 8  # most pieces of a step in which the force of a parallel plate counts as constant


@dataclass(frozen=True, kw_only=True)
class Mems(Device):
    """Sprung actuator: x'' = w0^2 (F(V, x) - x) - (w0/quality) x', phase = phase_max x/travel (rad).

    x stays in [0, travel] (m), between two stops. The controller ramps V^2 so that slowly dphi/dt = rate u (rate in
    1/s), 0 <= V <= v_max, and v_max bends the spring by `travel` at rest. `plates` "comb": F = travel (V/v_max)^2,
    solved exactly at any dt as long as the mass meets no stop within the step. "parallel": the force grows as 1/(gap
    - x)^2 (gap in m, travel < gap/3, the pull-in limit); a step is cut into pieces of an eighth of a period, 8 at most,
    in each of which the force stands still, so it is stable at any dt, exact at rest, and of first order in between.
    States: "x" (m), "velocity" (m/s), "square" (V^2). Raises DeviceError. Source: Senturia 2001 (electrostatic
    actuators, pull-in at a third of the gap); numbers on the card from Edinger et al. 2021 (10.1364/OL.436288).

    >>> shifter = Mems(v_max=10.0, travel=100e-9, phase_max=np.pi, frequency=1e6, quality=0.5)
    >>> state = shifter.create(np.array([0.0]))
    >>> state["square"][...] = 50.0
    >>> shifter.advance(np, state, np.array([0.0]), dt=1.0)
    >>> round(float(shifter.value(np, state)[0] / np.pi), 6)
    0.5
    """

    rate: float = quantity("1/s", 1.0)
    v_max: float = quantity("V", required=True)
    travel: float = quantity("m", required=True)
    phase_max: float = quantity("rad", required=True)
    frequency: float = quantity("Hz", required=True)
    quality: float = quantity("1", 0.5)
    plates: str = "comb"
    gap: float | None = quantity("m", None)

    def __post_init__(self) -> None:
        if not (self.v_max > 0 and self.travel > 0 and self.phase_max > 0 and self.frequency > 0 and self.quality > 0):
            raise DeviceError("Mems needs v_max, travel, phase_max, frequency and quality > 0")
        if self.plates not in ("comb", "parallel"):
            raise DeviceError(f"Mems.plates must be comb or parallel, but is {self.plates!r}")
        if self.plates == "parallel" and not (self.gap is not None and self.travel < self.gap / 3):
            raise DeviceError("Mems with parallel plates needs a gap above 3 times its travel, or it pulls in")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        fastest = 4 * np.pi * self.frequency * self.travel
        return (
            StateVariable("x", "m", 0.0, self.travel),
            StateVariable("velocity", "m/s", -fastest, fastest),
            StateVariable("square", "V^2", 0.0, self.v_max**2),
        )

    def clip_range(self) -> tuple[float, float]:
        return (0.0, self.phase_max)

    def pull(self, xp: Any, square: Array, x: Array) -> Array:
        """Where the spring would rest (m) if the force of this V^2 [cells] at this x [cells] stood still."""
        rest = square * (self.travel / self.v_max**2)
        if self.plates == "comb":
            return rest
        assert self.gap is not None
        # scaled so that v_max holds the plate exactly at `travel`
        return rest * ((self.gap - self.travel) / (self.gap - x)) ** 2

    def create(self, initial: Array, xi: Array | None = None) -> State:
        phase = np.clip(as_cells(self, initial), 0, self.phase_max)
        return self.at_place((phase * (self.travel / self.phase_max)).astype(phase.dtype))

    def at_place(self, x: Array) -> State:
        """State of cells that rest at `x` [cells] in m."""
        square = x / self.pull(np, np.ones_like(x), x)
        return {"x": x, "velocity": np.zeros_like(x), "square": np.clip(square, 0, self.v_max**2).astype(x.dtype)}

    @cached_property
    def oscillator(self) -> tuple[complex, complex]:
        """The two rates s (1/s) of exp(s t), nudged apart where they coincide."""
        w0 = 2 * np.pi * self.frequency
        half = w0 / (2 * self.quality)
        root = np.sqrt(complex(half**2 - w0**2))
        if abs(root) < 1e-4 * w0:
            root = complex(1e-4 * w0)
        return -half + root, -half - root

    def swing(self, xp: Any, time: Any) -> tuple[Any, Any, Any, Any]:
        """The free motion over `time` s, a number or [cells]: x <- a x + b v, v <- c x + d v."""
        fast, slow = self.oscillator
        middle, root = (fast + slow).real / 2, (fast - slow) / 2  # the root is real or imaginary
        if root.imag:
            left = xp.exp(middle * time)
            even, odd = left * xp.cos(root.imag * time), left * xp.sin(root.imag * time) / root.imag
        else:
            e1, e2 = xp.exp(fast.real * time), xp.exp(slow.real * time)
            even, odd = (e1 + e2) / 2, (e1 - e2) / (2 * root.real)
        return even - middle * odd, odd, -(fast * slow).real * odd, even + middle * odd

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        top = self.v_max**2
        # no finer than an eighth of a period, in which the plate hardly moves
        pieces = 1 if self.plates == "comb" else max(1, int(np.ceil(SUBSTEPS * min(1.0, dt * self.frequency))))

        def law(cells: State, u: Array, _: Array | None) -> None:
            for _ in range(pieces):
                self.piece(xp, cells, u * (self.rate * top / self.phase_max), dt / pieces)

        each_block(law, xp, state, drive)

    def piece(self, xp: Any, cells: State, speed: Array, dt: float) -> None:
        """One piece of a step: the force follows the ramp of V^2, at the plate's place."""
        path = ramp(xp, cells["square"], speed, 0.0, self.v_max**2, dt)
        x, velocity = cells["x"], cells["velocity"]
        lever = self.pull(xp, xp.ones_like(x), x)  # m of rest position per V^2
        slope = xp.where(path.moving > 0, (path.end - path.start) / xp.maximum(path.moving, 1e-30), 0) * lever
        w0 = 2 * np.pi * self.frequency
        # behind a ramp the plate trails by slope/(w0 quality): in that frame the motion is free
        trail = slope / (w0 * self.quality)
        a, b, c, d = self.swing_cells(xp, path.moving, dt)
        off, rush = x - (path.start * lever - trail), velocity - slope
        x1 = path.end * lever - trail + a * off + b * rush
        v1 = slope + c * off + d * rush
        a, b, c, d = self.swing_cells(xp, path.held, dt)
        off = x1 - path.end * lever
        cells["velocity"][...] = c * off + d * v1
        cells["x"][...] = path.end * lever + a * off + b * v1
        self.stop(xp, cells)
        cells["square"][...] = path.end

    def swing_cells(self, xp: Any, time: Array, dt: float) -> tuple[Array, Array, Array, Array]:
        """`swing` for each cell's own time [cells]; most cells take 0 or dt, which is computed once."""
        whole, none = time == time.dtype.type(dt), time == 0
        known = [xp.where(whole, w, n) for w, n in zip(self.swing(np, dt), (1.0, 0.0, 0.0, 1.0), strict=True)]
        known = [k.astype(time.dtype) for k in known]
        between = ~(whole | none)
        if xp.any(between):
            for k, other in zip(known, self.swing(xp, time[between]), strict=True):
                k[between] = other
        a, b, c, d = known
        return a, b, c, d

    def stop(self, xp: Any, cells: State) -> None:
        """Mechanical stops at both ends: the mass rests there and loses its speed."""
        x, velocity = cells["x"], cells["velocity"]
        inside = (x >= 0) & (x <= self.travel)
        x[...] = xp.clip(x, 0, self.travel)
        fastest = 4 * np.pi * self.frequency * self.travel
        velocity[...] = xp.clip(velocity * inside, -fastest, fastest)

    def value(self, xp: Any, state: State) -> Array:
        return state["x"] * (self.phase_max / self.travel)
