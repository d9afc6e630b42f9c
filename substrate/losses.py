"""The costs a load can put on the wave that reaches it, and the error wave each sends back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from substrate.errors import NetworkError


@dataclass(frozen=True)
class Loss:
    """A cost of the arriving wave ``z`` against a target ``y``, both ``[channels, ..., batch]``, with its gradient.

    ``value(xp, z, y)`` sums over channels only (one number per sample and step); ``gradient(xp, z, y)`` is dPhi/dz,
    the wave that the load reflects. ``xp`` is the array module (NumPy or CuPy).
    """

    name: str
    value: Callable[[Any, Any, Any], Any]
    gradient: Callable[[Any, Any, Any], Any]


def _mse_value(xp: Any, z: Any, y: Any) -> Any:
    return 0.5 * ((z - y) ** 2).sum(axis=0)


def _mse_gradient(xp: Any, z: Any, y: Any) -> Any:
    return z - y


def _cross_entropy_value(xp: Any, z: Any, y: Any) -> Any:
    peak = z.max(axis=0)
    return (peak + xp.log(xp.exp(z - peak).sum(axis=0))) * y.sum(axis=0) - (y * z).sum(axis=0)


def _cross_entropy_gradient(xp: Any, z: Any, y: Any) -> Any:
    share = xp.exp(z - z.max(axis=0))
    # Times the weight of the target: with no target (all zero) there is no error, and nothing is reflected.
    share *= y.sum(axis=0) / share.sum(axis=0)
    share -= y
    return share


LOSSES = {
    "mse": Loss("mse", _mse_value, _mse_gradient),
    "cross_entropy": Loss("cross_entropy", _cross_entropy_value, _cross_entropy_gradient),
}


def loss_named(name: str) -> Loss:
    """The loss called ``name``; raises NetworkError naming the known ones.

    >>> import numpy as np
    >>> loss_named("mse").gradient(np, np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    if name not in LOSSES:
        raise NetworkError(f"A load's loss must be one of {', '.join(LOSSES)}, but it is {name!r}")
    return LOSSES[name]
