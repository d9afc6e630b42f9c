"""The reciprocal family on the reference backend: dense solves and bisection, one sample at a time."""

import math
from typing import Any

import numpy as np

from substrate.backends.reference_control import CONTROL_PASSES
from substrate.backends.reference_functions import PHI, SLOPE, error_wave
from substrate.plan import INJECTED, NET_FORWARD, Pass

Wave = list[list[float]]


def _columns(wave: Wave) -> list[list[float]]:
    return [list(column) for column in zip(*wave, strict=True)]


def _power(*waves: Wave) -> float:
    return math.fsum(value * value for wave in waves for row in wave for value in row)


def _parameters(stepper: Any, step: Pass) -> tuple[str, np.ndarray, np.ndarray]:
    name = stepper.plan.node_names[step.node]
    matrix = stepper.state.parameters[f"{name}.matrix"].astype(float)
    bias = stepper.state.parameters.get(f"{name}.bias")
    return name, matrix, np.zeros(len(matrix)) if bias is None else bias.astype(float)


def _hear(stepper: Any, step: Pass, name: str, v1: Wave, i2: Wave) -> None:
    state = stepper.state
    if state.drive_scale == 0.0 or step.beta == 0.0:
        return
    scale, old = state.drive_scale / step.beta, 0.0 if state.drive_fresh else 1.0
    drive, bias = state.drive[f"{name}.matrix"], state.drive.get(f"{name}.bias")
    for i, current in enumerate(i2):
        for j, voltage in enumerate(v1):
            heard = math.fsum(a * b for a, b in zip(current, voltage, strict=True))
            drive[i, j] = scale * heard + old * drive[i, j]
        if bias is not None:
            bias[i] = scale * math.fsum(current) + old * bias[i]


def transformer(stepper: Any, step: Pass) -> None:
    """Solve ``(z2 + z1 W W^T) i2 = W a1 + bias - a2`` afresh at every step."""
    name, w, bias = _parameters(stepper, step)
    z1, z2 = step.z
    system = z2 * np.eye(len(w)) + z1 * w @ w.T
    a1, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    samples = []
    for x, y in zip(_columns(a1), _columns(a2), strict=True):
        wave1, wave2 = 2.0 * math.sqrt(z1) * np.array(x), 2.0 * math.sqrt(z2) * np.array(y)
        i2 = np.linalg.solve(system, w @ wave1 + bias - wave2)
        v1, v2 = wave1 - z1 * w.T @ i2, wave2 + z2 * i2
        samples.append((v1, i2, (2.0 * v1 - wave1) / (2.0 * math.sqrt(z1)), (2.0 * v2 - wave2) / (2.0 * math.sqrt(z2))))
    v1s, i2s, b1, b2 = (_columns([list(s[k]) for s in samples]) for k in range(4))
    _send(stepper, step, b2, b1)
    _hear(stepper, step, name, v1s, i2s)


def driven_transformer(stepper: Any, step: Pass) -> None:
    """The input voltage is given; the output side alone reflects."""
    name, w, bias = _parameters(stepper, step)
    z2 = step.z[1]
    x, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    currents = []
    for voltage, y in zip(_columns(x), _columns(a2), strict=True):
        currents.append(list((w @ np.array(voltage) + bias - 2.0 * math.sqrt(z2) * np.array(y)) / z2))
    i2 = _columns(currents)
    b2 = [[a + math.sqrt(z2) * i for a, i in zip(*rows, strict=True)] for rows in zip(a2, i2, strict=True)]
    stepper.signals[step.output] = b2
    stepper.state.ledger[step.node, INJECTED] += _power(b2) - _power(a2)
    _hear(stepper, step, name, x, i2)


def ideal_source(stepper: Any, step: Pass) -> None:
    """The held pattern, as a voltage."""
    stepper.signals[step.output] = stepper.state.inputs[stepper.plan.node_names[step.node]].astype(float).tolist()


def reciprocal_activation(stepper: Any, step: Pass) -> None:
    """Find each channel's voltage by Newton's method from the last one, halving the step while it does not help."""
    node, name = stepper.plan.nodes[step.node], stepper.plan.node_names[step.node]
    phi, slope = PHI[node.function], SLOPE[node.function]
    z1, z2 = step.z
    a1, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    warm = stepper.state.voltages[name]
    b1, b2 = [[0.0] * stepper.batch for _ in a1], [[0.0] * stepper.batch for _ in a1]
    for c in range(len(a1)):
        for s in range(stepper.batch):
            wave1, wave2 = 2.0 * math.sqrt(z1) * a1[c][s], 2.0 * math.sqrt(z2) * a2[c][s]
            if node.function == "relu":
                # Two straight pieces; where both have a solution the conducting one holds, where neither has, the kink.
                on = (wave1 + z1 / z2 * wave2) / (1.0 + z1 / z2)
                v = on if on > 0.0 else min(wave1, 0.0)
            else:
                v = _root(phi, slope, wave1, wave2, z1 / z2, float(warm[c, s]))
            warm[c, s] = v
            b1[c][s] = v / math.sqrt(z1) - a1[c][s]
            b2[c][s] = phi(v) / math.sqrt(z2) - a2[c][s]
    _send(stepper, step, b2, b1)


def _root(phi: Any, slope: Any, a1: float, a2: float, ratio: float, start: float) -> float:
    def f(v: float) -> float:
        return float(v + ratio * slope(v) * (phi(v) - a2) - a1)

    v, width = start, 1e-3
    low = high = start
    while f(low) > 0.0:
        low, width = low - width, 2.0 * width
    width = 1e-3
    while f(high) < 0.0:
        high, width = high + width, 2.0 * width
    for _ in range(200):  # bisection alone: slow and sure
        v = 0.5 * (low + high)
        if f(v) > 0.0:
            high = v
        else:
            low = v
    return v


def reciprocal_load(stepper: Any, step: Pass) -> None:
    """Solve ``v + z beta dPhi(v) = a`` by damped fixed point and Newton with a numerical Jacobian solve."""
    node, name = stepper.plan.nodes[step.node], stepper.plan.node_names[step.node]
    z, a = step.z[0], stepper.signals[step.inputs[0]]
    target, warm = _columns(stepper.state.inputs[name].astype(float).tolist()), stepper.state.voltages[name]
    out = []
    for s, (x, y) in enumerate(zip(_columns(a), target, strict=True)):
        wave, strength = 2.0 * math.sqrt(z) * np.array(x), z * node.beta
        v = warm[:, s].astype(float)
        weight = 1.0 if node.loss == "mse" else sum(y)
        for _ in range(100):
            residual = v + strength * np.array(error_wave(node.loss, list(v), y)) - wave
            if np.max(np.abs(residual)) <= 1e-15 * (1.0 + np.max(np.abs(wave))):
                break
            v = v - np.linalg.solve(np.eye(len(v)) + strength * weight * _curvature(node.loss, v), residual)
        warm[:, s] = v
        out.append(list(v / math.sqrt(z) - np.array(x)))
    b = _columns(out)
    stepper.signals[step.output] = b
    stepper.state.ledger[step.node, NET_FORWARD] += _power(a) - _power(b)


def _curvature(loss: str, v: np.ndarray) -> np.ndarray:
    if loss == "mse":
        return np.eye(len(v))
    share = np.exp(v - v.max()) / np.exp(v - v.max()).sum()
    return np.diag(share) - np.outer(share, share)


def launcher(stepper: Any, step: Pass) -> None:
    """A matched wave becomes a voltage; the current it draws returns as an error wave."""
    z2 = step.z[1]
    x, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    pairs = [list(zip(*rows, strict=True)) for rows in zip(x, a2, strict=True)]
    i2 = [[(v - 2.0 * math.sqrt(z2) * a) / z2 for v, a in row] for row in pairs]
    b2 = [[a + math.sqrt(z2) * i for a, i in zip(*rows, strict=True)] for rows in zip(a2, i2, strict=True)]
    _send(stepper, step, b2, [[i / (step.beta or 1.0) for i in row] for row in i2])


def receiver(stepper: Any, step: Pass) -> None:
    """A voltage becomes a matched wave; the error wave that returns is drawn as a current."""
    z1 = step.z[0]
    a1, p = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    pairs = [list(zip(*rows, strict=True)) for rows in zip(a1, p, strict=True)]
    v = [[2.0 * math.sqrt(z1) * a - z1 * step.beta * e for a, e in row] for row in pairs]
    b1 = [[u / math.sqrt(z1) - a for u, a in zip(*rows, strict=True)] for rows in zip(v, a1, strict=True)]
    _send(stepper, step, b1, v)


def _send(stepper: Any, step: Pass, first: Wave, second: Wave) -> None:
    stepper.signals[step.output], stepper.signals[step.second] = first, second
    arrived = _power(*[stepper.signals[i] for i in step.inputs])
    stepper.state.ledger[step.node, NET_FORWARD] += arrived - _power(first, second)


KERNELS = {
    f.__name__: f
    for f in (
        transformer,
        driven_transformer,
        ideal_source,
        reciprocal_activation,
        reciprocal_load,
        launcher,
        receiver,
    )
} | CONTROL_PASSES
