"""The engine of devices that move in small steps: pulses or their continuous limit, spread, noise and bounds.

A law (one subclass per file) gives the responses q+(theta), q-(theta) >= 0 and the exact motion under them; this engine
turns drive and time into pulses, adds cycle-to-cycle and write noise, and keeps every cell inside its bounds.
Definitions follow Gokmen & Vlasov 2016 (10.3389/fnins.2016.00333) and Rasch et al. 2021 (arXiv 2104.02184).
"""

from abc import abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import (
    Array,
    Device,
    State,
    StateVariable,
    array_parameters,
    as_cells,
    choose,
    need_normals,
    parameter,
    quantity,
)
from devices.errors import DeviceError
from devices.pulses import ROUNDINGS, pulse_counts
from devices.variability import as_spread, keep_sign, uniform

SINGLE_PULSES = 32  # pulses made one at a time before the rest of a long train is made by the continuous law


@dataclass(frozen=True, kw_only=True)
class StepDevice(Device):
    """A cell moved by pulses of size dw_min q(theta); see the subclasses for q.

    Drive times time gives pulses: n = |u| rate dt / dw_min, so near theta = 0 (q = 1) dtheta/dt = rate u. With a
    spread of dw_min, n follows from the mean and the size of a pulse from the cell. theta, dw_min, b_min < b_max are
    dimensionless, `rate` in 1/s, value = weight_scale (theta - reference).

    - `mode` "continuous" is the limit of many small pulses, exact for a constant drive at any dt; "pulsed" makes
      whole pulses, counted as `rounding` says ("stochastic", "poisson" or "deterministic", see devices/pulses.py).
      Laws without a closed form for n pulses make the first 32 singly and the rest continuously (error of order
      dw_min of the rest).
    - `cycle_to_cycle` s: every pulse is multiplied by 1 + s xi, or gets dw_min s xi if `additive_noise`. A train of n
      pulses uses one normal: an error dw s q made at one pulse arrives multiplied by q(end)/q(then), hence the variance
      n (dw s q(end))^2, right to first order in dw_min; the additive form takes q as exponential along the path.
    - `write_noise` (in theta) sits on the apparent value (state "apparent") and is drawn anew whenever a cell is
      written: at each advance that makes a pulse or, in continuous mode, has a drive.
    - `endurance` is how many times a cell bears going through its range and back; traces show wear as a share of it.
    - `*_spread` is a `Spread` or a number (normal, relative); bounds and steps keep their sign. `up_down` ud weakens
      one side: up by 1 + min(0, ud), down by 1 - max(0, ud). A share `dead_fraction` of cells never moves; it sits at
      `dead_value` (theta), or at its initial value if that is None.
    """

    rate: Any = quantity("1/s", 1.0)
    dw_min: Any = quantity("1", required=True)
    b_min: Any = quantity("1", -1.0)
    b_max: Any = quantity("1", 1.0)
    up_down: Any = quantity("1", 0.0)
    reference: Any = quantity("1", 0.0)
    weight_scale: float = quantity("1", 1.0)
    mode: str = "continuous"
    rounding: str = "stochastic"
    cycle_to_cycle: float = quantity("1", 0.0)
    additive_noise: bool = False
    write_noise: float = quantity("1", 0.0)
    endurance: float = quantity("1", np.inf)
    dead_fraction: float = quantity("1", 0.0)
    dead_value: float | None = quantity("1", None)
    dw_min_spread: Any = 0.0
    b_min_spread: Any = 0.0
    b_max_spread: Any = 0.0
    up_down_spread: Any = 0.0
    reference_spread: Any = 0.0

    def __post_init__(self) -> None:
        who = type(self).__name__
        if self.mode not in ("continuous", "pulsed"):
            raise DeviceError(f"{who}.mode must be continuous or pulsed, but is {self.mode!r}")
        if self.rounding not in ROUNDINGS:
            raise DeviceError(f"{who}.rounding must be one of {', '.join(ROUNDINGS)}, but is {self.rounding!r}")
        if not np.all(np.asarray(self.rate) >= 0):
            raise DeviceError(f"{who}.rate must be >= 0 per second, but is {self.rate}")
        if not np.all(np.asarray(self.dw_min) > 0):
            raise DeviceError(f"{who}.dw_min must be > 0, but is {self.dw_min}")
        if not np.all(np.asarray(self.b_min) < np.asarray(self.b_max)):
            raise DeviceError(f"{who} needs b_min < b_max, but they are {self.b_min} and {self.b_max}")
        if not 0 <= self.dead_fraction <= 1:
            raise DeviceError(f"{who}.dead_fraction must lie in [0, 1], but is {self.dead_fraction}")
        if not self.weight_scale > 0:
            raise DeviceError(f"{who}.weight_scale must be > 0, but is {self.weight_scale}")

    # --- the law: what a subclass gives -------------------------------------------------------------------------------

    @abstractmethod
    def up(self, xp: Any, theta: Array, cells: State) -> Array:
        """Response q+ >= 0 to an up pulse at `theta` [cells]; `cells` holds per-cell parameters."""

    @abstractmethod
    def down(self, xp: Any, theta: Array, cells: State) -> Array:
        """Response q- >= 0 to a down pulse at `theta` [cells]."""

    @abstractmethod
    def climb(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        """Where dtheta/ds = q+ arrives after s = `dose` >= 0 [cells]; a zero dose changes no bit."""

    @abstractmethod
    def descend(self, xp: Any, theta: Array, dose: Array, cells: State) -> Array:
        """Where dtheta/ds = -q- arrives after s = `dose` >= 0 [cells]; a zero dose changes no bit."""

    def pulse_train(self, xp: Any, theta: Array, ups: Array, downs: Array, cells: State) -> Array:
        """Where `ups` or `downs` [cells] whole pulses lead (one of them is 0 in every cell)."""
        size_up, size_down = self.pulse_sizes(xp, cells)
        theta = theta.copy()
        for _ in range(SINGLE_PULSES):
            if not (xp.any(ups > 0) or xp.any(downs > 0)):
                return theta
            one_up, one_down = xp.minimum(ups, 1), xp.minimum(downs, 1)
            theta += one_up * size_up * self.up(xp, theta, cells) - one_down * size_down * self.down(xp, theta, cells)
            theta = self.confine(xp, theta, cells)
            ups, downs = ups - one_up, downs - one_down
        return self.descend(xp, self.climb(xp, theta, ups * size_up, cells), downs * size_down, cells)

    def glide(self, xp: Any, theta: Array, count: Array, cells: State) -> Array:
        """Where the continuous law leads under `count` [cells] signed pulses, not rounded."""
        size_up, size_down = self.pulse_sizes(xp, cells)
        theta = self.climb(xp, theta, xp.maximum(count, 0) * size_up, cells)
        return self.descend(xp, theta, xp.maximum(-count, 0) * size_down, cells)

    def move(self, xp: Any, theta: Array, count: Array, dt: float, cells: State) -> Array:
        """Where a cell at `theta` goes in `dt` s under `count` [cells] signed pulses, before noise and bounds."""
        if self.mode == "pulsed":
            return self.pulse_train(xp, theta, xp.maximum(count, 0), xp.maximum(-count, 0), cells)
        return self.glide(xp, theta, count, cells)

    # --- the contract -------------------------------------------------------------------------------------------------

    @property
    def states(self) -> tuple[StateVariable, ...]:
        lo, hi = float(np.min(self.b_min)), float(np.max(self.b_max))
        extra = []
        if self.write_noise > 0:
            extra.append(StateVariable("apparent", "1"))
        if self.counts_carry:
            extra.append(StateVariable("pending", "1", -1.0, 1.0))
        return (StateVariable("theta", "1", lo, hi), *extra)

    @property
    def counts_carry(self) -> bool:
        """Whether fractions of a pulse are kept for the next advance."""
        return self.mode == "pulsed" and self.rounding == "deterministic"

    @property
    def spread_names(self) -> tuple[str, ...]:
        """Parameters that differ from cell to cell, in the order in which they take normals."""
        found = [f.name for f in fields(self) if f.name.endswith("_spread") and as_spread(getattr(self, f.name))]
        return tuple(name.removesuffix("_spread") for name in found)

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        pulses = (StateVariable("pulses_up", "1", 0.0), StateVariable("pulses_down", "1", 0.0))
        return (*pulses, StateVariable("age", "s", 0.0))  # age: since the last pulse

    @property
    def quiet(self) -> Device:
        return replace(self, mode="continuous", cycle_to_cycle=0.0, write_noise=0.0)

    @property
    def normals(self) -> int:
        counts_drawn = self.mode == "pulsed" and self.rounding != "deterministic"
        return int(counts_drawn) + int(self.cycle_to_cycle > 0) + int(self.write_noise > 0)

    @property
    def initial_normals(self) -> int:
        return len(self.spread_names) + int(self.dead_fraction > 0) + int(self.write_noise > 0)

    def clip_range(self) -> tuple[float, float]:
        lo, hi = float(np.max(self.b_min)), float(np.min(self.b_max))
        shift = float(np.mean(self.reference))
        return (self.weight_scale * (lo - shift), self.weight_scale * (hi - shift))

    def create(self, initial: Array, xi: Array | None = None) -> State:
        start = as_cells(self, initial)
        need_normals(self, xi, self.initial_normals, start.shape, "create")
        draws = iter(xi if xi is not None else ())
        cells = {"theta": start, **self.cell_parameters(start, draws)}
        theta = start / start.dtype.type(self.weight_scale) + parameter(self, cells, "reference")
        if self.dead_fraction > 0:
            dead = uniform(np, next(draws)) < self.dead_fraction
            cells["dw_min"] = parameter(self, cells, "dw_min") * np.ones_like(start)
            for name in {"dw_min", "step_up", "step_down"} & set(cells):
                cells[name] *= ~dead
            if self.dead_value is not None:
                theta = np.where(dead, start.dtype.type(self.dead_value), theta)
        start[...] = self.confine(np, theta, cells)
        if self.write_noise > 0:
            cells["apparent"] = start + start.dtype.type(self.write_noise) * next(draws).astype(start.dtype)
        if self.counts_carry:
            cells["pending"] = np.zeros_like(start)
        return cells

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, self.normals, state["theta"].shape, "advance")

        def law(cells: State, u: Array, noise: Array | None) -> None:
            self.advance_block(xp, cells, u, dt, noise)

        each_block(law, xp, state, drive, xi if self.normals else None)

    def value(self, xp: Any, state: State) -> Array:
        seen = state["apparent"] if self.write_noise > 0 else state["theta"]
        if "reference" in state or np.any(np.asarray(self.reference) != 0):
            seen = seen - parameter(self, state, "reference")
        return seen if self.weight_scale == 1 else seen * seen.dtype.type(self.weight_scale)

    def saturated(self, xp: Any, state: State, margin: float = 0.01) -> Array:
        low, high = parameter(self, state, "b_min"), parameter(self, state, "b_max")
        reach = (high - low) * state["theta"].dtype.type(margin)
        return (state["theta"] <= low + reach) | (state["theta"] >= high - reach)

    def mean_pulses(self, xp: Any, state: State, drive: Array, dt: float) -> Array:
        """Signed mean number of pulses [cells] that `drive` asks for in `dt` s."""
        return drive * (parameter(self, state, "rate") * state["theta"].dtype.type(dt / float(np.mean(self.dw_min))))

    # --- the engine ---------------------------------------------------------------------------------------------------

    def cell_parameters(self, start: Array, draws: Any) -> State:
        """Per-cell parameters: array fields as they are, spread fields drawn (the first normals of create)."""
        names = tuple(f.name for f in fields(self) if "unit" in f.metadata and not f.metadata["table"])
        cells = array_parameters(self, start, names)
        for name in self.spread_names:
            nominal = getattr(self, name)
            if np.ndim(nominal) > 0:
                raise DeviceError(f"{type(self).__name__}.{name} is an array and has a spread too; give one of the two")
            values = as_spread(getattr(self, name + "_spread")).draw(next(draws), nominal)
            signed = name not in ("up_down", "reference")
            cells[name] = np.asarray(keep_sign(values, nominal) if signed else values, dtype=start.dtype)
        if "up_down" in cells:  # only its effect is kept, so that no advance has to work it out again
            size, tilt = parameter(self, cells, "dw_min"), cells.pop("up_down")
            cells["step_up"] = size * (1 + np.minimum(tilt, 0))
            cells["step_down"] = size * (1 - np.maximum(tilt, 0))
        return cells

    def confine(self, xp: Any, theta: Array, cells: State) -> Array:
        """`theta` clipped to the bounds of its cell."""
        return xp.minimum(xp.maximum(theta, parameter(self, cells, "b_min")), parameter(self, cells, "b_max"))

    def pulse_sizes(self, xp: Any, cells: State) -> tuple[Array, Array]:
        """Size of an up and of a down pulse at q = 1."""
        if "step_up" in cells:
            return cells["step_up"], cells["step_down"]
        size = parameter(self, cells, "dw_min")
        if np.ndim(self.up_down) > 0 or self.up_down == 0:
            return size, size
        return size * size.dtype.type(1 + min(self.up_down, 0)), size * size.dtype.type(1 - max(self.up_down, 0))

    def advance_block(self, xp: Any, cells: State, drive: Array, dt: float, xi: Array | None) -> None:
        """One block of cells: pulses, motion, cycle-to-cycle noise, bounds, write noise."""
        theta = cells["theta"]
        draws = iter(xi if xi is not None else ())
        count = self.mean_pulses(xp, cells, drive, dt)
        if self.mode == "pulsed":
            count = pulse_counts(xp, count, self.rounding, draws, cells.get("pending")).astype(theta.dtype, copy=False)
        tally(xp, cells, count, dt)
        moved = self.move(xp, theta, count, dt, cells)
        if self.cycle_to_cycle > 0:
            ups, downs = xp.maximum(count, 0), xp.maximum(-count, 0)
            moved = moved + self.train_noise(xp, theta, moved, ups, downs, cells) * next(draws)
        moved = self.confine(xp, moved, cells)
        if self.write_noise > 0:
            offset = cells["apparent"] - theta
            fresh = theta.dtype.type(self.write_noise) * next(draws)
            cells["apparent"][...] = moved + xp.where(count != 0, fresh, offset)
        theta[...] = moved

    def train_noise(self, xp: Any, before: Array, after: Array, ups: Array, downs: Array, cells: State) -> Array:
        """Standard deviation [cells] that cycle-to-cycle noise adds to a train of pulses (see the class text)."""
        size_up, size_down = self.pulse_sizes(xp, cells)
        rising = ups > 0
        size = size_up if size_up is size_down else choose(rising, size_up, size_down)
        root = before.dtype.type(self.cycle_to_cycle) * size * xp.sqrt(ups + downs)
        if not self.additive_noise:
            return root * self.response(xp, after, rising, cells)
        return root * self.fading(xp, before, after, rising, cells)

    def response(self, xp: Any, theta: Array, rising: Array, cells: State) -> Array:
        """q+ where `rising` [cells, bool], else q-."""
        return choose(rising, self.up(xp, theta, cells), self.down(xp, theta, cells))

    def fading(self, xp: Any, before: Array, after: Array, rising: Array, cells: State) -> Array:
        """Share [cells] that is left, in the rms, of scatter added evenly along the way from `before` to `after`."""
        end, start = self.response(xp, after, rising, cells), self.response(xp, before, rising, cells)
        return xp.sqrt(mean_square_ratio(xp, end, start))


def tally(xp: Any, cells: State, count: Array, dt: float) -> None:
    """Add signed pulses `count` [cells], made in `dt` s, to the counters that the state has."""
    if "pulses_up" in cells:
        cells["pulses_up"] += xp.maximum(count, 0)
    if "pulses_down" in cells:
        cells["pulses_down"] += xp.maximum(-count, 0)
    if "age" in cells:
        cells["age"] += dt
        cells["age"] *= count == 0


def mean_square_ratio(xp: Any, end: Array, start: Array) -> Array:
    """Mean of (q(end)/q)^2 along a path on which q >= 0 goes exponentially from `start` to `end` [cells].

    >>> [round(float(mean_square_ratio(np, np.array(q), np.array(1.0))), 6) for q in (1.0, 0.5)]
    [1.0, 0.541011]
    """
    small = 1e-6 if end.dtype.itemsize > 4 else 1e-4  # a response this small has stopped the cell
    log = xp.log(xp.maximum(end, small) / xp.maximum(start, small))
    log = log + small / 8  # keeps 0/0 away; the ratio moves by less than `small`
    return xp.expm1(2 * log) / (2 * log)
