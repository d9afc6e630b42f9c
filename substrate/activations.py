"""The pointwise functions an activation node can apply, each with its derivative."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from substrate.errors import NetworkError


@dataclass(frozen=True)
class ActivationFunction:
    """A pointwise function ``h = value(xp, v, out)`` and its derivative ``slope(xp, v, h)`` given input and output.

    Arrays of any shape; ``xp`` is the array module; ``out`` is where the result goes.
    """

    name: str
    value: Callable[[Any, Any, Any], Any]
    slope: Callable[[Any, Any, Any], Any]


def _tanh(xp: Any, v: Any, out: Any) -> Any:
    return xp.tanh(v, out=out)


def _tanh_slope(xp: Any, v: Any, h: Any) -> Any:
    slope = h * h
    xp.subtract(1.0, slope, out=slope)
    return slope


def _relu(xp: Any, v: Any, out: Any) -> Any:
    return xp.maximum(v, 0.0, out=out)


def _relu_slope(xp: Any, v: Any, h: Any) -> Any:
    return (v > 0.0).astype(v.dtype)


def _sigmoid(xp: Any, v: Any, out: Any) -> Any:
    # Through tanh, so that no input overflows.
    xp.multiply(v, 0.5, out=out)
    xp.tanh(out, out=out)
    out += 1.0
    out *= 0.5
    return out


def _sigmoid_slope(xp: Any, v: Any, h: Any) -> Any:
    return h * (1.0 - h)


def _softplus(xp: Any, v: Any, out: Any) -> Any:
    return xp.logaddexp(v, 0.0, out=out)


def _softplus_slope(xp: Any, v: Any, h: Any) -> Any:
    return 0.5 * (1.0 + xp.tanh(0.5 * v))


def _identity(xp: Any, v: Any, out: Any) -> Any:
    out[...] = v
    return out


def _identity_slope(xp: Any, v: Any, h: Any) -> Any:
    return xp.ones_like(v)


ACTIVATIONS = {
    "tanh": ActivationFunction("tanh", _tanh, _tanh_slope),
    "relu": ActivationFunction("relu", _relu, _relu_slope),
    "sigmoid": ActivationFunction("sigmoid", _sigmoid, _sigmoid_slope),
    "softplus": ActivationFunction("softplus", _softplus, _softplus_slope),
    "identity": ActivationFunction("identity", _identity, _identity_slope),
}


def activation_named(name: str) -> ActivationFunction:
    """The activation called ``name``; raises NetworkError naming the known ones.

    >>> import numpy as np
    >>> activation_named("relu").value(np, np.array([-1.0, 2.0]), np.empty(2))
    array([0., 2.])
    """
    if name not in ACTIVATIONS:
        raise NetworkError(f"An activation must be one of {', '.join(ACTIVATIONS)}, but it is {name!r}")
    return ACTIVATIONS[name]
