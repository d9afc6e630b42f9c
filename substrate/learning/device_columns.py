"""Columns of device traces: what can be recorded of every cell, and the sums that are kept only for those who ask.

A tick changes a cell's value by the drive, by the device itself (leak, drift, lag) and by chance. With u the drive and
dv the change of the value, the loss u dv that the cell takes away is split by two noise-free twins that take the same
tick from the same state: an idle one without drive and a quiet one with it. ``leaked`` sums u dv(idle), ``noise`` sums
u (dv(cell) - dv(quiet)); the rest of ``absorbed``, u (dv(quiet) - dv(idle)), is dissipated in the port, and is never
negative for a memory that obeys the core law.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.plan import Array

PLAIN = ("value", "drive", "absorbed")
JOULE = "J"  # columns in joules are kept as loss; recording multiplies by reference power x dwell
ABOUT = {
    "value": ("1", "what the waves see"),
    "drive": ("1", "minus the gradient heard in the last tick"),
    "absorbed": (JOULE, "energy dissipated in the device so far: loss taken away x reference power x dwell"),
    "flow": ("1/s", "speed of the value in the last tick"),
    "incident": (
        "s^-1/2",
        "incident wave of the port, (effort + R flow) / (2 sqrt R); R is 1 / rate, or rms effort over flow",
    ),
    "reflected": ("s^-1/2", "reflected wave of the port, (effort - R flow) / (2 sqrt R)"),
    "reflection": ("1", "reflection coefficient of the port: reflected over incident wave, 0 where neither is"),
    "power": ("1/s", "loss per second the port takes away: incident^2 - reflected^2"),
    "leaked": (JOULE, "the part of absorbed that leak, drift and lag took away, or gave back (negative)"),
    "noise": (JOULE, "the part of absorbed that chance took away, or gave back (negative)"),
    "cycles": ("1", "how often the first state of the cell has gone through its range and back so far"),
    "wear": ("1", "cycles as a share of the device's endurance"),
    "saturated": ("1", "1 where the cell sits within 1 % of its range from a bound"),
    "pulses_up": ("1", "pulses up so far; mean numbers where pulses are not made one by one"),
    "pulses_down": ("1", "pulses down so far"),
}
WAVES = ("incident", "reflected", "reflection", "power")  # made of drive and flow
KEPT = ("flow", "leaked", "noise", "cycles")  # arrays of the books
TWINS = ("leaked", "noise")  # need twins


@dataclass(frozen=True)
class Column:
    """One column of a device's trace."""

    name: str
    unit: str
    description: str
    dtype: str  # of the table, as NumPy writes it; "" for that of the values


def columns_of(device: Any, names: Sequence[str]) -> list[Column]:
    """Those of the columns ``names`` that a device has, in order; ``state`` is the first of its states.

    >>> from devices import SoftBounds
    >>> [column.name for column in columns_of(SoftBounds(dw_min=0.01), ["value", "state", "saturated", "voltage"])]
    ['value', 'theta', 'saturated']
    """
    known = {column.name: column for column in all_columns(device)}
    known["state"] = known[device.states[0].name]
    return list({known[name].name: known[name] for name in names if name in known}.values())


def all_columns(device: Any) -> list[Column]:
    """Every column a device can give: the plain ones, its states, and what can be kept for it."""
    names = [*PLAIN, "flow", *WAVES, "leaked", "noise"]
    if reach(device) is not None:
        names += ["cycles", "saturated"]
        names += ["wear"] if np.isfinite(getattr(device, "endurance", np.inf)) else []
    states = {s.name: Column(s.name, s.unit, "state of the device", "") for s in device.states}
    counted = {counter.name.rpartition(".")[2]: counter for counter in getattr(device, "counters", ())}
    found = {name: Column(name, *ABOUT[name], _dtype(name)) for name in names}
    for name, counter in counted.items():
        unit, text = ABOUT.get(name, (counter.unit, "since the last pulse"))
        found[name] = Column(name, unit, text, "f8")
    return [*{**found, **states}.values()]


def _dtype(name: str) -> str:
    return "u1" if name == "saturated" else "f8" if name in (*KEPT, "wear") else ""


def reach(device: Any) -> float | None:
    """How far apart the bounds of a device's first state are; None where it has none."""
    span = float(device.states[0].hi - device.states[0].lo)
    return span if np.isfinite(span) else None


def check_columns(names: Sequence[str], devices: Sequence[Any]) -> None:
    """Refuse columns that no device has. Raises ConfigError."""
    known = ["state", *dict.fromkeys(column.name for device in devices for column in all_columns(device))]
    for name in names:
        if name not in known:
            raise ConfigError(f"device_columns: no device here has a column {name!r}; there are {', '.join(known)}")


def port_resistance(device: Any, drive: Array, flow: Array) -> Any:
    """R (s) of the ports of a device: 1 / rate; where it has no rate, effort over flow, rms of all cells just now."""
    rate = np.asarray(getattr(device, "rate", 0.0))
    if np.all(rate > 0.0):
        return 1.0 / rate
    effort, answer = float((drive.astype(float) ** 2).sum()), float((flow**2).sum())
    return np.sqrt(effort / answer) if effort > 0.0 and answer > 0.0 else 1.0


def port_wave(name: str, drive: Array, flow: Array, resistance: Any) -> Array:
    """One of the waves of ports [cells] that hear ``drive = -effort`` while their values move at ``flow`` (1/s).

    ``resistance`` (s) is that of the ideal device of the same rate, which reflects nothing (:func:`port_resistance`).
    Source: ``docs/theory.md``, section "Ports".

    >>> drive, flow = np.array([2.0]), np.array([1.0])  # moves at half of what this resistance would
    >>> [port_wave(name, drive, flow, 1.0).tolist() for name in ("incident", "reflected", "power")]
    [[-1.5], [-0.5], [2.0]]
    """
    root = np.sqrt(resistance)
    effort, answer = -drive, -flow  # flow into the device
    incident, reflected = (effort / root + root * answer) / 2.0, (effort / root - root * answer) / 2.0
    if name == "incident":
        return incident
    if name == "reflected":
        return reflected
    if name == "power":
        return effort * answer
    return np.divide(reflected, incident, out=np.zeros_like(incident), where=incident != 0.0)


class Books:
    """What is added up for the cells of one group of ports, in float64: only made where a column needs it."""

    def __init__(self, xp: Any, device: Any, values: Array, wanted: Sequence[str]) -> None:
        needs = {"wear": "cycles", **dict.fromkeys(WAVES, "flow")}
        names = {needs.get(name, name) for name in wanted}
        own = {state.name for state in device.states}
        self.device, self.reach = device, reach(device)
        self.kept = {name: xp.zeros(values.shape) for name in KEPT if name in names - own}
        self.twins = any(name in self.kept for name in TWINS)
        self.quiet = getattr(device, "quiet", device)
        self.idle_step = self.quiet_step = self.place = xp.zeros(0)

    def foresee(self, xp: Any, state: dict[str, Array], drive: Array, seconds: float) -> None:
        """Before a tick: remember where the cells are, and let the twins take it."""
        if "cycles" in self.kept:
            self.place = state[self.device.states[0].name].copy()
        if self.twins:
            still = xp.zeros_like(drive)
            now = self._twin(xp, state, still, 0.0)
            self.idle_step = self._twin(xp, state, still, seconds) - now
            self.quiet_step = self._twin(xp, state, drive, seconds) - now

    def _twin(self, xp: Any, state: dict[str, Array], drive: Array, seconds: float) -> Array:
        """The value [cells] of noise-free cells, ``seconds`` from now."""
        copy = {name: array.copy() for name, array in state.items()}
        xi = xp.zeros((self.quiet.normals, *drive.shape), drive.dtype) if self.quiet.normals else None
        self.quiet.advance(xp, copy, drive, seconds, xi)
        return xp.array(self.quiet.value(xp, copy), dtype=np.float64)

    def settle(self, xp: Any, state: dict[str, Array], new: Array, values: Array, drive: Array, seconds: float) -> None:
        """After a tick, before the ``new`` values take the place of ``values``."""
        kept, step = self.kept, new - values
        if "flow" in kept:
            kept["flow"][...] = step / seconds
        if "cycles" in kept:
            kept["cycles"] += xp.abs(state[self.device.states[0].name] - self.place) / (2.0 * (self.reach or 1.0))
        if "leaked" in kept:
            kept["leaked"] += drive * self.idle_step
        if "noise" in kept:
            kept["noise"] += drive * (step - self.quiet_step)
