"""Quantities with units: "10 ps" to SI numbers and back.

A quantity is a number, already in SI, or a text of a number and a unit. The caller says which dimension it needs, so
a slip such as a loss where a time belongs is named at once. Decibels stay decibels.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

from substrate.errors import ConfigError

# Engineering prefixes by power of ten. Of two spellings of a power the first is written, both are read.
PREFIXES = {
    "a": -18,
    "f": -15,
    "p": -12,
    "n": -9,
    "µ": -6,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
}


@dataclass(frozen=True)
class Dimension:
    """One kind of quantity: what it is called, its SI unit, and every unit text that is read.

    Attributes:
        phrase: with its article, as an error message says it ("a time").
        example: a quantity a user could write ("10 ps").
        si_name: the SI unit in words ("seconds").
        scales: unit text → factor to SI.
        prefixed: power of ten → unit text that `format_quantity` writes.
    """

    phrase: str
    example: str
    si_name: str
    scales: Mapping[str, Decimal]
    prefixed: Mapping[int, str]


def _dimension(
    phrase: str,
    example: str,
    si_name: str,
    unit: str,
    prefixes: str = "",
    also: Mapping[str, Decimal | int] | None = None,
) -> Dimension:
    """Expand `unit` with each of the `prefixes`; `also` lists further unit texts and their factors.

    A unit "x/y" or "1/y" takes its prefixes below the line: 1 dB/mm = 1000 dB/m.
    """
    above, slash, below = unit.partition("/")
    power = -1 if slash else 1
    prefixed = {0: unit}
    scales: dict[str, Decimal] = {unit: Decimal(1)}
    for prefix in prefixes:
        exponent = power * PREFIXES[prefix]
        text = f"{above}/{prefix}{below}" if slash else f"{prefix}{unit}"
        scales[text] = Decimal(1).scaleb(exponent)
        prefixed.setdefault(exponent, text)
    scales.update({text: Decimal(factor) for text, factor in (also or {}).items()})
    return Dimension(phrase, example, si_name, MappingProxyType(scales), MappingProxyType(prefixed))


def _per_metre(phrase: str, example: str, unit: str, prefixes: str) -> Dimension:
    """A property of a line; its prefixes go with the unit above the line, as in "pF/m"."""
    also = {f"{prefix}{unit}/m": Decimal(1).scaleb(PREFIXES[prefix]) for prefix in prefixes}
    return _dimension(phrase, example, f"{unit}/m", f"{unit}/m", also=also)


_SMALL = "afpnµum"
_GREEK_MU = "\u03bc"  # keyboards give either; the tables know the micro sign
_DEGREE = Decimal(math.pi) / 180

DIMENSIONS: Mapping[str, Dimension] = MappingProxyType(
    {
        "time": _dimension("a time", "10 ps", "seconds", "s", _SMALL, {"min": 60, "h": 3600}),
        "frequency": _dimension("a frequency", "25 GHz", "hertz", "Hz", "mkMGTP", {"1/s": 1}),
        "rate": _dimension("a rate", "2e9 1/s", "1/s", "1/s", "fpnµum", {"Hz": 1}),
        "length": _dimension("a length", "1550 nm", "metres", "m", "fpnµumk", {"cm": Decimal("0.01")}),
        "temperature": _dimension("a temperature", "300 K", "kelvins", "K", "nµumk"),
        "power": _dimension("a power", "1 mW", "watts", "W", _SMALL + "kMG"),
        "energy": _dimension("an energy", "5 fJ", "joules", "J", _SMALL + "kMG"),
        "voltage": _dimension("a voltage", "0.5 V", "volts", "V", "fpnµumkMG"),
        "current": _dimension("a current", "20 uA", "amperes", "A", _SMALL + "kM"),
        "charge": _dimension("a charge", "1 fC", "coulombs", "C", _SMALL),
        "resistance": _dimension(
            "a resistance or impedance",
            "50 ohm",
            "ohms",
            "ohm",
            "nµumkMGTP",
            {"Ω": 1, "mΩ": Decimal("0.001"), "kΩ": 1000, "MΩ": 1000000},
        ),
        "conductance": _dimension("a conductance", "20 mS", "siemens", "S", _SMALL + "kMG"),
        "capacitance": _dimension("a capacitance", "10 fF", "farads", "F", _SMALL),
        "inductance": _dimension("an inductance", "1 nH", "henries", "H", _SMALL),
        "speed": _dimension("a speed", "2e8 m/s", "m/s", "m/s", "fpnµum"),
        "angle": _dimension("an angle", "90 deg", "radians", "rad", "nµum", {"deg": _DEGREE, "°": _DEGREE}),
        "loss": _dimension("a loss or gain", "0.2 dB", "decibels", "dB"),
        "resistance per length": _per_metre("a resistance per length", "53 mohm/m", "ohm", "mkM"),
        "inductance per length": _per_metre("an inductance per length", "250 nH/m", "H", "pnum"),
        "conductance per length": _per_metre("a conductance per length", "8 mS/m", "S", "pnum"),
        "capacitance per length": _per_metre("a capacitance per length", "100 pF/m", "F", "fpnu"),
        "loss per length": _dimension("a loss per length", "3 dB/cm", "dB/m", "dB/m", "nµumk", {"dB/cm": Decimal(100)}),
    }
)


def quantity(value: float | str, dimension: str, *, where: str = "") -> float:
    """Return `value` as a float in SI units of `dimension`.

    Args:
        value: a plain number (or its text), which is SI already, or text such as "10 ps" or "3 dB/cm".
        dimension: a key of `DIMENSIONS`, such as "time", "loss" or "resistance".
        where: the key or path that `value` came from; it begins the error message.

    Raises:
        ConfigError: the unit is of another dimension or unknown, or the number is none or not finite.
        KeyError: no such dimension (a mistake in the calling code, not the user's).

    >>> quantity("10 ps", "time")
    1e-11
    >>> quantity(50, "resistance")
    50.0
    >>> quantity("3 dB/cm", "loss per length")
    300.0
    """
    kind = DIMENSIONS[dimension]
    number, unit = _split(value) or (None, "")
    if number is None or (unit and unit not in kind.scales):
        raise ConfigError(_complaint(value, unit, kind, where))
    # Decimal scaling is rounded once, so that "10 ps" is the same float as 10e-12.
    try:
        result = float(number * kind.scales[unit]) if unit else float(number)
    except (ArithmeticError, ValueError):  # beyond even decimal numbers
        result = math.inf
    if not math.isfinite(result):
        raise ConfigError(f"{_prefix(where)}expected {kind.phrase} that is a finite number, got {value!r}")
    return result


def format_quantity(value: float, dimension: str, *, digits: int = 4) -> str:
    """Return `value` (SI units of `dimension`) as text with an engineering prefix, which `quantity` reads back.

    Args:
        value: a number in SI units.
        dimension: a key of `DIMENSIONS`.
        digits: significant digits; 17 make the round trip exact.

    Raises:
        KeyError: no such dimension.

    >>> format_quantity(1e-11, "time")
    '10 ps'
    >>> format_quantity(2.5e10, "frequency"), format_quantity(0.2, "loss")
    ('25 GHz', '0.2 dB')
    """
    kind = DIMENSIONS[dimension]
    if not math.isfinite(value) or value == 0:
        return f"{float(value):g} {kind.prefixed[0]}"
    # Rounded before the prefix is chosen: 999.96 ps to four digits is 1 ns, not 1000 ps.
    rounded = Decimal(f"{value:.{digits - 1}e}") if digits < 17 else Decimal(repr(float(value)))
    exponent = _nearest_power(kind.prefixed, rounded.adjusted())
    text = f"{rounded.scaleb(-exponent):f}"
    if len(text) > digits + 8:  # beyond the reach of the prefixes
        text = f"{rounded.scaleb(-exponent).normalize():e}"
    elif "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {kind.prefixed[exponent]}"


def _nearest_power(powers: Mapping[int, str], adjusted: int) -> int:
    """The largest power of ten not above the leading digit, or the smallest there is."""
    below = [power for power in powers if power <= adjusted]
    return max(below) if below else min(powers)


def _split(value: object) -> tuple[Decimal, str] | None:
    """Number and unit of a quantity, or None where there is no number."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, str):
        try:
            return Decimal(repr(float(value))), ""  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
    head, _, tail = value.replace(_GREEK_MU, "µ").strip().partition(" ")
    for cut in range(len(head), 0, -1):  # "10ps" and "10 ps" are the same; the longest number wins
        try:
            return Decimal(head[:cut]), (head[cut:] + " " + tail).strip()
        except InvalidOperation:
            continue
    return None


def _complaint(value: object, unit: str, kind: Dimension, where: str) -> str:
    """What was expected, what was got, and the way out."""
    expected = f"{_prefix(where)}expected {kind.phrase} such as '{kind.example}' or {kind.si_name} as a number"
    units = ", ".join(sorted(kind.scales, key=lambda text: (kind.scales[text], text)))
    if not unit:
        return f"{expected}, got {value!r}"
    other = next((known.phrase for known in DIMENSIONS.values() if unit in known.scales), None)
    if other is not None:
        return f"{expected}, got {value!r}, which is {other}; units: {units}"
    close = [known for known in kind.scales if known.lower() == unit.lower()]
    close = close or difflib.get_close_matches(unit, kind.scales, n=1, cutoff=0.5)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{expected}, got {value!r} with the unknown unit {unit!r}{guess}; units: {units}"


def _prefix(where: str) -> str:
    return f"{where}: " if where else ""
