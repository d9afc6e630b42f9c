"""Noise of reading a cell: white, random telegraph and 1/f, which never reaches the stored state."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from devices.arrangements import inner, outer, renamed, share
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError
from devices.variability import uniform

PER_DECADE = 2  # relaxations per decade of frequency; the slope of their sum is then within 0.06 of -1


@dataclass(frozen=True)
class NoisyReadout(Device):
    """A cell whose value is seen with noise, drawn anew at every advance: seen = cell + white + telegraph + flicker.

    `white` is a standard deviation. `telegraph` is the size of a trap's step: one two-state Markov process per cell,
    exact at any dt, that stays `trap_time` (s) in the trapped (lower) state and `free_time` (s) in the other on
    average. `flicker` is A of a one-sided spectrum A/f between `f_low` and `f_high` (Hz): two Ornstein-Uhlenbeck
    processes per decade, each of variance A ln(10)/2 and exact at any dt. Sizes are in units of the value, A in its
    square; with `relative` they are shares of the value. States: "cell.*", "seen", "trapped", "slow_0" ... Raises
    DeviceError. Source: Machlup 1954 (telegraph noise); sum of relaxations, van der Ziel 1950.

    >>> from devices.ideal import Gradient
    >>> port = NoisyReadout(Gradient(1.0), white=0.1)
    >>> state = port.create(np.array([0.0]), np.ones((1, 1)))
    >>> port.advance(np, state, np.array([1.0]), 1.0, np.full((1, 1), -2.0))
    >>> float(port.value(np, state)[0]), float(state["cell.theta"][0])
    (0.8, 1.0)
    """

    cell: Device
    white: float = quantity("1", 0.0)
    telegraph: float = quantity("1", 0.0)
    trap_time: float = quantity("s", 1.0)
    free_time: float = quantity("s", 1.0)
    flicker: float = quantity("1", 0.0)
    f_low: float = quantity("Hz", 1.0)
    f_high: float = quantity("Hz", 1e6)
    relative: bool = field(default=False)

    def __post_init__(self) -> None:
        if not (self.white >= 0 and self.telegraph >= 0 and self.flicker >= 0):
            raise DeviceError("NoisyReadout needs white, telegraph and flicker >= 0")
        if not (self.trap_time > 0 and self.free_time > 0 and 0 < self.f_low < self.f_high):
            raise DeviceError("NoisyReadout needs trap_time, free_time > 0 s and 0 < f_low < f_high in Hz")

    @cached_property
    def relaxation_times(self) -> tuple[float, ...]:
        """Time constants (s) of the processes that make up 1/f noise."""
        if self.flicker == 0:
            return ()
        decades = np.log10(self.f_high / self.f_low)
        count = max(1, round(PER_DECADE * decades))
        corners = self.f_low * 10 ** (decades * (np.arange(count) + 0.5) / count)
        return tuple(float(t) for t in 1 / (2 * np.pi * corners))

    @property
    def own_normals(self) -> int:
        """Normals per cell that the noise takes, at creation and at every advance."""
        return int(self.white > 0) + int(self.telegraph > 0) + len(self.relaxation_times)

    @property
    def states(self) -> tuple[StateVariable, ...]:
        extra = [StateVariable("seen", "1")]
        if self.telegraph > 0:
            extra.append(StateVariable("trapped", "1", 0.0, 1.0))
        extra += [StateVariable(f"slow_{k}", "1") for k in range(len(self.relaxation_times))]
        return (*renamed(self.cell.states, "cell."), *extra)

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return renamed(self.cell.counters, "cell.")

    @property
    def quiet(self) -> Device:
        return replace(self, cell=self.cell.quiet, white=0.0, telegraph=0.0, flicker=0.0)

    @property
    def normals(self) -> int:
        return self.cell.normals + self.own_normals

    @property
    def initial_normals(self) -> int:
        return self.cell.initial_normals + self.own_normals

    def clip_range(self) -> tuple[float, float]:
        return self.cell.clip_range()

    def create(self, initial: Array, xi: Array | None = None) -> State:
        value = as_cells(self, initial)
        need_normals(self, xi, self.initial_normals, value.shape, "create")
        for_cell, own = share(xi, self.cell.initial_normals, self.own_normals)
        state = outer(self.cell.create(value, for_cell), "cell.")
        state["seen"] = np.zeros_like(value)
        if self.telegraph > 0:
            state["trapped"] = np.zeros_like(value)
        for k in range(len(self.relaxation_times)):
            state[f"slow_{k}"] = np.zeros_like(value)
        # an infinite step from any state is a draw from the stationary one
        self.read(np, state, np.inf, own)
        return state

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, self.normals, state["seen"].shape, "advance")
        for_cell, own = share(xi, self.cell.normals, self.own_normals)
        self.cell.advance(xp, inner(state, "cell."), drive, dt, for_cell)
        self.read(xp, state, dt, own)

    def read(self, xp: Any, state: State, dt: float, xi: Array | None) -> None:
        """Move the noise by `dt` s and store what is seen."""
        draws = iter(xi if xi is not None else ())
        clean = self.cell.value(xp, inner(state, "cell."))
        noise = xp.zeros_like(clean)
        if self.white > 0:
            noise += self.white * next(draws)
        if self.telegraph > 0:
            trapped = state["trapped"]
            often = self.trap_time / (self.trap_time + self.free_time)
            kept = float(np.exp(-dt * (1 / self.trap_time + 1 / self.free_time)))
            chance = often + (trapped - often) * kept
            trapped[...] = uniform(xp, next(draws)) < chance
            noise -= self.telegraph * trapped
        for k, tau in enumerate(self.relaxation_times):
            slow = state[f"slow_{k}"]
            size = np.sqrt(self.flicker * np.log(self.f_high / self.f_low) / len(self.relaxation_times))
            slow *= float(np.exp(-dt / tau))
            slow += float(size * np.sqrt(-np.expm1(-2 * dt / tau))) * next(draws)
            noise += slow
        state["seen"][...] = clean * (1 + noise) if self.relative else clean + noise

    def value(self, xp: Any, state: State) -> Array:
        return state["seen"]
