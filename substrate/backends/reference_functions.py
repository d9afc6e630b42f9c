"""Activations, slopes and error waves of one number or one sample, as plain Python."""

import math

PHI = {
    "tanh": math.tanh,
    "relu": lambda v: max(v, 0.0),
    "sigmoid": lambda v: 0.5 * (1.0 + math.tanh(0.5 * v)),
    "softplus": lambda v: max(v, 0.0) + math.log1p(math.exp(-abs(v))),
    "identity": lambda v: v,
}
SLOPE = {
    "tanh": lambda v: 1.0 - math.tanh(v) ** 2,
    "relu": lambda v: 1.0 if v > 0.0 else 0.0,
    "sigmoid": lambda v: PHI["sigmoid"](v) * (1.0 - PHI["sigmoid"](v)),
    "softplus": lambda v: PHI["sigmoid"](v),
    "identity": lambda v: 1.0,
}


def error_wave(loss: str, z: list[float], y: list[float]) -> list[float]:
    """dPhi/dz of one sample."""
    if loss == "mse":
        return [a - b for a, b in zip(z, y, strict=True)]
    peak = max(z)
    weights = [math.exp(a - peak) for a in z]
    total = sum(weights)
    return [sum(y) * w / total - b for w, b in zip(weights, y, strict=True)]
