"""Whole pulses from a mean number of pulses: stochastic rounding, Poisson, or counting with a carried remainder."""

from collections.abc import Iterator
from typing import Any

from devices.device import Array
from devices.variability import uniform

ROUNDINGS = ("stochastic", "poisson", "deterministic")
SMALL_MEAN = 16.0  # Poisson counts are exact below this mean and rounded from a corrected normal above


def pulse_counts(xp: Any, mean: Array, rounding: str, draws: Iterator[Array], pending: Array | None = None) -> Array:
    """Signed whole pulses [cells] from their signed mean [cells]; takes one normal per cell except "deterministic".

    - "stochastic": floor(|m| + U): mean m exactly, variance at most 1/4, no carry;
    - "poisson": mean and variance m; exact below 16, above it round(m + sqrt(m) xi + (xi^2 - 1)/6), the Cornish-Fisher
      expansion, whose mean is right to 1e-3 of a pulse and whose skewness is right to order 1/m;
    - "deterministic": the whole part of m plus `pending`, which keeps the rest for the next call (changed in place).

    >>> import numpy as np
    >>> carried = np.zeros(1)
    >>> [int(pulse_counts(np, np.array([0.4]), "deterministic", iter(()), carried)[0]) for _ in range(5)]
    [0, 0, 1, 0, 1]
    """
    if rounding == "deterministic":
        assert pending is not None
        total = mean + pending
        whole = xp.trunc(total)
        pending[...] = total - whole
        return whole
    size, xi = xp.abs(mean), next(draws)
    if rounding == "poisson":
        return xp.sign(mean) * poisson(xp, size, xi)
    return xp.sign(mean) * xp.floor(size + xp.minimum(uniform(xp, xi), 1 - 2.0**-24))


def poisson(xp: Any, mean: Array, xi: Array) -> Array:
    """Poisson numbers [cells] of the given `mean` >= 0 [cells] from standard normals `xi` [cells].

    >>> import numpy as np
    >>> poisson(np, np.array([0.0, 1.0, 100.0]), np.array([0.0, 1.0, 0.0])).tolist()
    [0.0, 2.0, 100.0]
    """
    large = xp.maximum(xp.rint(mean + xp.sqrt(mean) * xi + (xi * xi - 1) / 6), 0)
    if not xp.any(mean < SMALL_MEAN):
        return large
    few = xp.minimum(mean, SMALL_MEAN)
    chance = uniform(xp, xi)
    term = xp.exp(-few)
    below, number = term.copy(), xp.zeros_like(mean)
    for k in range(1, 80):  # beyond 80 pulses of a mean of 16 the chance is below 1e-27
        more = chance > below
        if not xp.any(more):
            break
        number += more
        term = term * few / k
        below = below + term
    return xp.where(mean < SMALL_MEAN, number, large)
