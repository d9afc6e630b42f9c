"""The description of a probe: where it sits, which quantity it reads, and what is kept of it while a run goes on."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import ConfigError, NetworkError
from substrate.units import DIMENSIONS, quantity

QUANTITIES = ("arriving", "departing", "voltage", "current", "power")  # at a port
LINE_QUANTITIES = ("forward", "backward", "voltage", "current", "power")  # inside a line
REDUCTIONS = ("none", "mean", "mean_square")  # over channels and samples
TIME_REDUCTIONS = ("none", "mean", "rms", "final", "min", "max", "histogram")
UNITS = {"voltage": "V", "current": "A", "power": "W"}  # waves are in sqrt(reference power)

Fold = Callable[[Any, np.ndarray], Any]


@dataclass(frozen=True)
class Probe:
    """What to record at every step at a node's port or inside a line, and how it is reduced while the run goes on.

    ``at`` is a port, ``"node.port"``, or a place in a line, ``"line@0.3"`` (share of its delay from the first end),
    ``"line@0.2 ns"`` or, where the line has a length, ``"line@3 mm"``; the nearest whole step is taken. ``quantity``
    at a port is ``arriving`` or ``departing`` (waves in units of sqrt(reference power), seen from the node), in a line
    ``forward`` or ``backward``; at both ``voltage`` (V), ``current`` (A, into the node, or from the line's first end to
    its second) or ``power`` (W, the same way).

    ``reduce`` is ``none`` (all channels and samples), ``mean`` or ``mean_square`` over both. ``every`` keeps the steps
    whose number is a multiple of it. ``function`` is then applied to blocks ``[steps, channels, batch]`` (``[steps]``
    when reduced) and returns ``[steps, ...]``, step by step. ``reduce_time`` is ``none`` (every kept step), ``mean``,
    ``rms``,
    ``final``, ``min``, ``max`` (of the modulus where waves are complex), ``histogram`` (counts ``[bins + 2, ...]`` of
    ``bins`` equal bins over ``span``, the first and the last for what lies below and above), or a function
    ``fold(state, block)`` that gets None at first and returns the new state. ``name`` is what the record is called.
    Raises NetworkError.

    >>> Probe("load.in", "arriving", reduce="mean_square").label
    'load.in.arriving.mean_square'
    >>> Probe("w1@0.5", "voltage", reduce_time="rms").label
    'w1@0.5.voltage.rms'
    """

    at: str
    quantity: str = "arriving"
    reduce: str = "none"
    reduce_time: str | Fold = "none"
    every: int = 1
    bins: int = 64
    span: tuple[float, float] | None = None
    function: Callable[[np.ndarray], np.ndarray] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        known = LINE_QUANTITIES if self.in_line else QUANTITIES
        if self.quantity not in known:
            raise NetworkError(f"Probe at {self.at!r}: quantity must be one of {known}, not {self.quantity!r}")
        if self.reduce not in REDUCTIONS:
            raise NetworkError(f"Probe at {self.at!r}: reduce must be one of {REDUCTIONS}, not {self.reduce!r}")
        if not callable(self.reduce_time) and self.reduce_time not in TIME_REDUCTIONS:
            raise NetworkError(
                f"Probe at {self.at!r}: reduce_time must be one of {TIME_REDUCTIONS} or a function, "
                f"not {self.reduce_time!r}"
            )
        for name, value in (("every", self.every), ("bins", self.bins)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise NetworkError(f"Probe at {self.at!r}: {name} must be a whole number of at least 1, not {value!r}")
        if self.reduce_time == "histogram" and not _is_span(self.span):
            raise NetworkError(
                f"Probe at {self.at!r}: a histogram needs span=(lowest, highest), two rising numbers, not {self.span!r}"
            )

    @property
    def in_line(self) -> bool:
        """Whether the probe sits inside a line, not at a port."""
        return "@" in self.at

    @property
    def label(self) -> str:
        """The name the record is kept under."""
        if self.name:
            return self.name
        over_time = getattr(self.reduce_time, "__name__", "fold") if callable(self.reduce_time) else self.reduce_time
        parts = [self.at, self.quantity, *(part for part in (self.reduce, over_time) if part != "none")]
        return ".".join(parts)

    @property
    def is_trace(self) -> bool:
        """Whether the record grows with the run, one row per kept step."""
        return self.reduce_time == "none"

    @property
    def unit(self) -> str:
        """The unit of the record; empty where a user's function makes it."""
        if self.function is not None or callable(self.reduce_time):
            return ""
        if self.reduce_time == "histogram":
            return "1"
        return self.value_unit

    @property
    def value_unit(self) -> str:
        """The unit of what is seen, before time is reduced."""
        unit = UNITS.get(self.quantity, "sqrt(reference power)")
        return (
            unit if self.reduce != "mean_square" else {"V": "V^2", "A": "A^2", "W": "W^2"}.get(unit, "reference power")
        )


def _is_span(span: Any) -> bool:
    try:
        low, high = span
        return bool(math.isfinite(low) and math.isfinite(high) and low < high)
    except (TypeError, ValueError):
        return False


def split_place(at: str) -> tuple[str, float, str]:
    """A place in a line as its name, a number and what that counts: ``share``, ``time`` (s) or ``length`` (m).

    Raises NetworkError.

    >>> split_place("w1@0.3"), split_place("w1@200 ps"), split_place("w1@3 mm")
    (('w1', 0.3, 'share'), ('w1', 2e-10, 'time'), ('w1', 0.003, 'length'))
    """
    line, _, text = at.partition("@")
    for kind in ("time", "length"):
        if any(text.rstrip().endswith(unit) for unit in DIMENSIONS[kind].scales):
            try:
                return line, quantity(text.strip(), kind), kind
            except ConfigError:
                continue
    try:
        return line, float(text), "share"
    except ValueError:
        raise NetworkError(
            f"Probe at {at!r}: {text!r} is no place in a line; write a share of it ({line}@0.5), a time "
            f"({line}@0.2 ns) or a length ({line}@3 mm)"
        ) from None
