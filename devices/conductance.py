"""A conductance between two limits read as a signed weight, and back."""

from typing import Any

from devices.device import Array


def to_weight(conductance: Array, g_off: float, g_on: float, scale: float) -> Array:
    """Weight scale (2 (G - g_off)/(g_on - g_off) - 1) of conductances G [cells] in S, as against a mid reference.

    >>> to_weight(1e-3, 0.0, 2e-3, 1.0)
    0.0
    """
    return (conductance - g_off) * (2 * scale / (g_on - g_off)) - scale


def from_weight(weight: Array, g_off: float, g_on: float, scale: float) -> Array:
    """Conductance [cells] in S that `to_weight` reads as `weight`.

    >>> from_weight(0.0, 0.0, 2e-3, 1.0)
    0.001
    """
    return g_off + (weight + scale) * ((g_on - g_off) / (2 * scale))


def limits(r_on: float, r_off: float) -> tuple[float, float]:
    """(g_off, g_on) in S from the two limiting resistances in ohm."""
    return 1 / r_off, 1 / r_on


def check_limits(who: str, r_on: Any, r_off: Any, scale: Any) -> str | None:
    """What is wrong with the limits, or None."""
    if not 0 < r_on < r_off:
        return f"{who} needs 0 < r_on < r_off, but they are {r_on} and {r_off} ohm"
    if not scale > 0:
        return f"{who}.weight_scale must be > 0, but is {scale}"
    return None
