"""Phase-change memory: a pair of one-sided cells with drift, read noise, programming noise and refresh."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from devices.blocks import each_block
from devices.device import Array, Device, State, StateVariable, as_cells, choose, need_normals, quantity
from devices.errors import DeviceError
from devices.exponential_step import ExponentialStep
from devices.variability import as_spread, keep_sign

SMALLEST = 1e-6  # share of g_max that counts as zero where a formula has log g or 1/g


@dataclass(frozen=True, kw_only=True)
class SetPulses(ExponentialStep):
    """An `ExponentialStep` that is only ever driven up: what would go down is not worked out."""

    def glide(self, xp: Any, theta: Array, count: Array, cells: State) -> Array:
        return self.climb(xp, theta, count * self.pulse_sizes(xp, cells)[0], cells)

    def response(self, xp: Any, theta: Array, rising: Array, cells: State) -> Array:
        return self.up(xp, theta, cells)


@dataclass(frozen=True, kw_only=True)
class PcmPair(Device):
    """Two phase-change cells whose difference is the weight: weight_scale (plus - minus), each in [0, b_max].

    SET pulses only add (an `ExponentialStep` law: dw_min, a_up, gamma_up, slope, all dimensionless; n = |u| rate
    dt/dw_min pulses, rate in 1/s): u > 0 acts on plus, u < 0 on minus. When one cell exceeds `refresh_level` b_max
    and the other is not empty, both are erased and the difference is written anew.

    - Drift: a cell of programmed g (share of g_max) and age a reads g (a/t0)^-nu, a := t0 (s) when programmed, with
      nu = clip(nu_slope ln g + nu_offset, nu_lo, nu_hi) plus the cell's own deviation of the standard deviation
      clip(nu_std_slope ln g + nu_std_offset, nu_std_lo, nu_std_hi). Ageing is exact: two half steps are one step.
    - Programming noise (on creation and refresh): the polynomial `programming` in g, in S.
    - Read noise, drawn once per advance: relative sigma min(read_limit, read_scale/g^read_power) times
      sqrt(ln((t + t_read)/(2 t_read))), t (s) since programming.

    Raises DeviceError. Source: Nandakumar et al. 2019 (ICECS, 8964852) and Joshi et al. 2020 (10.1038/
    s41467-020-16108-9) as parameterised in aihwkit (noise/pcm.py); SET law Nandakumar 2020 (fnins.2020.00406).

    >>> pair = PcmPair(drift=True, programming_noise=False, read_noise=False)
    >>> state = pair.create(np.array([2.0]), np.zeros((2, 1)))
    >>> pair.advance(np, state, np.array([0.0]), dt=3600.0)
    >>> round(float(pair.value(np, state)[0] / 2.0), 4)
    0.7751
    """

    rate: float = quantity("1/s", 1.0)
    dw_min: float = quantity("1", 0.01)
    b_max: float = quantity("1", 2.0)
    a_up: float = quantity("1", -27.235)
    gamma_up: float = quantity("1", 2.5)
    slope: float = quantity("1", -1.0)
    cycle_to_cycle: float = quantity("1", 0.0)
    noise_offset: float = quantity("1", 0.0)
    noise_slope: float = quantity("1", 0.0)
    dw_min_spread: Any = 0.0
    mode: str = "continuous"
    rounding: str = "stochastic"
    endurance: float = quantity("1", np.inf)
    refresh_level: float = quantity("1", 0.9)
    weight_scale: float = quantity("1", 1.0)
    drift: bool = True
    programming_noise: bool = True
    read_noise: bool = True
    g_max: float = quantity("S", 25e-6)
    t0: float = quantity("s", 20.0)
    t_read: float = quantity("s", 250e-9)
    programming: Any = quantity("S", (0.26348e-6, 1.9650e-6, -1.1731e-6), table=True)
    nu_slope: float = quantity("1", -0.0155)
    nu_offset: float = quantity("1", 0.0244)
    nu_lo: float = quantity("1", 0.049)
    nu_hi: float = quantity("1", 0.1)
    nu_std_slope: float = quantity("1", -0.0125)
    nu_std_offset: float = quantity("1", -0.0059)
    nu_std_lo: float = quantity("1", 0.008)
    nu_std_hi: float = quantity("1", 0.045)
    read_scale: float = quantity("1", 0.0088)
    read_power: float = quantity("1", 0.65)
    read_limit: float = quantity("1", 0.2)

    def __post_init__(self) -> None:
        if not (self.t0 > 0 and self.t_read > 0 and self.g_max > 0 and self.weight_scale > 0):
            raise DeviceError("PcmPair needs t0, t_read, g_max and weight_scale > 0")
        if self.rounding == "deterministic" and self.mode == "pulsed":
            raise DeviceError("PcmPair counts pulses by rounding stochastic or poisson, not deterministic")
        _ = self.law  # its own checks

    @cached_property
    def law(self) -> "SetPulses":
        """How SET pulses move one cell of the pair."""
        return SetPulses(
            rate=self.rate,
            dw_min=self.dw_min,
            b_min=0.0,
            b_max=self.b_max,
            a_up=self.a_up,
            gamma_up=self.gamma_up,
            slope=self.slope,
            mode=self.mode,
            rounding=self.rounding,
            cycle_to_cycle=self.cycle_to_cycle,
            noise_offset=self.noise_offset,
            noise_slope=self.noise_slope,
        )

    @property
    def states(self) -> tuple[StateVariable, ...]:
        span = self.weight_scale * self.b_max
        cells = (StateVariable("plus", "1", 0.0, self.b_max), StateVariable("minus", "1", 0.0, self.b_max))
        ages = (StateVariable("age_plus", "s", self.t0), StateVariable("age_minus", "s", self.t0))
        seen = StateVariable("seen", "1") if self.read_noise else StateVariable("seen", "1", -span, span)
        return (*cells, *ages, seen)

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return (StateVariable("pulses_up", "1", 0.0), StateVariable("pulses_down", "1", 0.0))  # on plus, on minus

    @property
    def quiet(self) -> Device:
        return replace(self, mode="continuous", cycle_to_cycle=0.0, programming_noise=False, read_noise=False)

    @property
    def normals(self) -> int:
        return self.law.normals + int(self.programming_noise) + int(self.read_noise)

    @property
    def initial_normals(self) -> int:
        per_side = int(self.drift) + int(bool(as_spread(self.dw_min_spread)))
        return 2 * per_side + int(self.programming_noise) + int(self.read_noise)

    def clip_range(self) -> tuple[float, float]:
        return (-self.weight_scale * self.b_max, self.weight_scale * self.b_max)

    # --- the published fits -------------------------------------------------------------------------------------------

    def programming_sigma(self, g: Array) -> Array:
        """Standard deviation in S of a conductance programmed to the share g of g_max [cells]; 0 for an erased cell."""
        total = sum(float(c) * g**k for k, c in enumerate(np.asarray(self.programming)))
        return np.maximum(total, 0) * (g > 0)

    def drift_exponent(self, xp: Any, g: Array, deviation: Array | float = 0.0) -> Array:
        """nu of cells programmed to the share g [cells], `deviation` standard deviations from the mean."""
        log = xp.log(xp.maximum(g, SMALLEST))
        std = xp.clip(self.nu_std_slope * log + self.nu_std_offset, self.nu_std_lo, self.nu_std_hi)
        mean = xp.clip(self.nu_slope * log + self.nu_offset, self.nu_lo, self.nu_hi)
        return xp.maximum(mean + deviation * std, 0)

    def read_sigma(self, xp: Any, g: Array, time: Array) -> Array:
        """Relative standard deviation of a read, `time` s after programming to the share g [cells]."""
        growth = xp.exp(-self.read_power * xp.log(xp.maximum(g, SMALLEST)))
        size = xp.minimum(self.read_scale * growth, self.read_limit)
        return size * xp.sqrt(xp.maximum(xp.log((time + self.t_read) / (2 * self.t_read)), 0))

    # --- the contract -------------------------------------------------------------------------------------------------

    def create(self, initial: Array, xi: Array | None = None) -> State:
        weight = as_cells(self, initial) / initial.dtype.type(self.weight_scale)
        need_normals(self, xi, self.initial_normals, weight.shape, "create")
        draws, spread = iter(xi if xi is not None else ()), as_spread(self.dw_min_spread)
        state = {"plus": np.zeros_like(weight), "minus": np.zeros_like(weight)}
        for side in ("plus", "minus"):
            state[f"age_{side}"] = np.full_like(weight, self.t0)
            if self.drift:
                state[f"nu_{side}"] = next(draws).astype(weight.dtype)
            if spread:
                sizes = keep_sign(spread.draw(next(draws), self.dw_min), self.dw_min)
                state[f"dw_min_{side}"] = sizes.astype(weight.dtype)
        self.write(np, state, np.clip(weight, -self.b_max, self.b_max), next(draws) if self.programming_noise else None)
        state["seen"] = np.zeros_like(weight)
        self.read(np, state, next(draws) if self.read_noise else None)
        return state

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        need_normals(self, xi, self.normals, state["plus"].shape, "advance")

        def law(cells: State, u: Array, noise: Array | None) -> None:
            draws = list(noise) if noise is not None else []
            self.pulse(xp, cells, u, dt, noise[: self.law.normals] if noise is not None else None)
            self.refresh(xp, cells, draws[self.law.normals] if self.programming_noise else None)
            self.read(xp, cells, draws[-1] if self.read_noise else None)

        each_block(law, xp, state, drive, xi if self.normals else None)

    def pulse(self, xp: Any, cells: State, drive: Array, dt: float, xi: Array | None) -> None:
        """Pulse the side of each cell that its drive asks for, and let both age; the sides never move together."""
        up = drive > 0
        chosen = {name: choose(up, cells[f"{name}_plus"], cells[f"{name}_minus"]) for name in self.of_sides(cells)}
        programmed = choose(up, cells["plus"], cells["minus"])
        now = self.drifted(xp, programmed, chosen["age"], chosen.get("nu"))
        pulsed = {"theta": now.copy(), **{name: chosen[name] for name in {"dw_min"} & set(chosen)}}
        if "pulses_up" in cells or "pulses_down" in cells:
            pulsed["pulses_up"] = xp.zeros(now.shape)
        self.law.advance_block(xp, pulsed, xp.abs(drive), dt, xi)
        if "pulses_up" in cells:
            cells["pulses_up"] += pulsed["pulses_up"] * up
        if "pulses_down" in cells:
            cells["pulses_down"] += pulsed["pulses_up"] * ~up
        changed = pulsed["theta"] != now
        for side, own in (("plus", changed & up), ("minus", changed & ~up)):
            cells[side][...] = choose(own, pulsed["theta"], cells[side])
            age = cells[f"age_{side}"]
            age[...] = choose(own, age.dtype.type(self.t0), age + age.dtype.type(dt))

    def of_sides(self, cells: State) -> list[str]:
        """Names of what each side has of its own, without the side."""
        return [name.removesuffix("_plus") for name in cells if name.endswith("_plus")]

    def value(self, xp: Any, state: State) -> Array:
        return state["seen"]

    def aged(self, xp: Any, cells: State, side: str) -> Array:
        """What drift has left of one side [cells]."""
        return self.drifted(xp, cells[side], cells[f"age_{side}"], cells.get(f"nu_{side}"))

    def drifted(self, xp: Any, programmed: Array, age: Array, deviation: Array | None) -> Array:
        """What drift has left of `programmed` [cells], `age` s old; `deviation` as in `drift_exponent`."""
        if not self.drift or deviation is None:
            return programmed
        nu = self.drift_exponent(xp, programmed / self.b_max, deviation)
        # exp of a log is several times faster than a power of arrays
        return programmed * xp.exp(-nu * xp.log(age / self.t0))

    def write(self, xp: Any, cells: State, weight: Array, xi: Array | None) -> None:
        """Erase both sides and program the difference `weight` [cells] on one of them."""
        for side, sign in (("plus", 1), ("minus", -1)):
            target = xp.maximum(weight * sign, 0)
            if xi is not None:
                error = self.programming_sigma(target / self.b_max) * (self.b_max / self.g_max) * xi
                target = xp.clip(target + error, 0, self.b_max)
            cells[side][...] = target
            cells[f"age_{side}"][...] = self.t0

    def refresh(self, xp: Any, cells: State, xi: Array | None) -> None:
        """Rewrite pairs of which one cell is nearly full while the other is not empty."""
        plus, minus = cells["plus"], cells["minus"]
        full = (xp.maximum(plus, minus) > self.refresh_level * self.b_max) & (xp.minimum(plus, minus) > 0)
        if not xp.any(full):
            return
        some = {name: array[full] for name, array in cells.items()}
        weight = self.aged(xp, some, "plus") - self.aged(xp, some, "minus")
        self.write(xp, some, weight, None if xi is None else xi[full])
        for name in ("plus", "minus", "age_plus", "age_minus"):
            cells[name][full] = some[name]

    def read(self, xp: Any, cells: State, xi: Array | None) -> None:
        """Store what a read shows now."""
        total, variance = 0.0, 0.0
        for side, sign in (("plus", 1), ("minus", -1)):
            now = self.aged(xp, cells, side)
            total = total + sign * now
            if xi is not None:
                since = cells[f"age_{side}"] - self.t0
                variance = variance + (now * self.read_sigma(xp, cells[side] / self.b_max, since)) ** 2
        noise = 0.0 if xi is None else xp.sqrt(variance) * xi
        cells["seen"][...] = self.weight_scale * (total + noise)
