"""How cells differ from each other: spreads, and numbers drawn from normals that are handed in."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from devices.device import Array
from devices.errors import DeviceError

SMALLEST = 0.01  # a spread parameter keeps its sign and at least this share of its nominal value


@dataclass(frozen=True)
class Spread:
    """Device-to-device spread of one parameter: `std` as a share of the nominal value (`relative`) or in its own unit.

    `kind` "normal" adds std * xi, "uniform" has the same std on a flat interval, "lognormal" multiplies by exp(s xi)
    with s chosen so that the standard deviation is `std` of a median equal to the nominal value. Raises DeviceError.

    >>> float(Spread(0.5).draw(np.array(1.0), 2.0))
    3.0
    """

    std: float = 0.0
    kind: Literal["normal", "lognormal", "uniform"] = "normal"
    relative: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ("normal", "lognormal", "uniform"):
            raise DeviceError(f"Spread.kind must be normal, lognormal or uniform, but is {self.kind!r}")
        if not self.std >= 0:
            raise DeviceError(f"Spread.std must be >= 0, but is {self.std}")

    def __bool__(self) -> bool:
        return self.std > 0

    def draw(self, xi: Array, nominal: float) -> Array:
        """Values of the parameter [cells] from standard normals `xi` [cells], before any clip."""
        std = self.std * abs(nominal) if self.relative else self.std
        if self.kind == "normal":
            return nominal + std * xi
        if self.kind == "uniform":
            return nominal + std * np.sqrt(12.0) * (uniform(np, xi) - 0.5)
        if nominal == 0:
            raise DeviceError("Spread of kind lognormal needs a nominal value other than 0; use kind normal")
        return nominal * np.exp(lognormal_sigma(std / abs(nominal)) * xi)


def as_spread(spread: "Spread | float") -> Spread:
    """A number is shorthand for a normal, relative spread.

    >>> as_spread(0.1).kind
    'normal'
    """
    return spread if isinstance(spread, Spread) else Spread(float(spread))


def keep_sign(values: Array, nominal: float) -> Array:
    """Clip spread `values` so that they keep the sign of `nominal` and at least 1 % of its size.

    >>> keep_sign(np.array([-0.5, 2.0]), 1.0).tolist()
    [0.01, 2.0]
    """
    floor = SMALLEST * abs(nominal)
    return np.maximum(values, floor) if nominal >= 0 else np.minimum(values, -floor)


def lognormal_sigma(ratio: float) -> float:
    """The s of exp(s xi) whose standard deviation is `ratio` times its median.

    From var = e^{s^2} (e^{s^2} - 1), so e^{s^2} = (1 + sqrt(1 + 4 ratio^2))/2.

    >>> round(lognormal_sigma(0.1), 4)
    0.0993
    """
    return float(np.sqrt(np.log((1 + np.sqrt(1 + 4 * ratio**2)) / 2)))


def uniform(xp: Any, xi: Array) -> Array:
    """Uniform numbers in [0, 1] from standard normals, any shape: the normal distribution function.

    Uses the rational approximation of Abramowitz & Stegun 1964, 26.2.17 (absolute error below 7.5e-8), since NumPy
    has no error function and CuPy's lives elsewhere.

    >>> [round(float(uniform(np, np.array(x))), 6) for x in (-1.0, 0.0, 1.0)]
    [0.158655, 0.5, 0.841345]
    """
    size = xp.abs(xi)
    t = 1 / (1 + 0.2316419 * size)
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = series * xp.exp(-0.5 * size * size) * 0.3989422804014327
    # the sum of a sign and a tail, rather than a branch: random branches cost more than the arithmetic
    half = 0.5 * xp.sign(xi)
    return 0.5 + half - xp.sign(xi) * tail
