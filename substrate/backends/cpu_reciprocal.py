"""The reciprocal family on the CPU: transformers, activations and loads that reflect, in blocks of steps."""

from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from substrate.backends.cpu_control import CONTROL_KERNELS
from substrate.plan import INJECTED, NET_FORWARD, Pass

REFACTOR_ABOVE = 1e-12  # relative change of a matrix beyond which its factor is made anew


class Factor:
    """``(z2 I + z1 W W^T)^-1`` applied to a block; the smaller side of W is factored (Woodbury)."""

    def __init__(self, matrix: np.ndarray, z1: float, z2: float) -> None:
        self.matrix, self.z1, self.z2 = matrix.copy(), z1, z2
        outputs, inputs = matrix.shape
        w = matrix.astype(np.float64)
        if outputs <= inputs:
            factor = cho_factor(z2 * np.eye(outputs) + z1 * w @ w.T)
            inverse = cho_solve(factor, np.eye(outputs))
        else:
            factor = cho_factor(z2 / z1 * np.eye(inputs) + w.T @ w)
            inverse = (np.eye(outputs) - w @ cho_solve(factor, w.T)) / z2
        self.inverse = inverse.astype(matrix.dtype)

    def fits(self, matrix: np.ndarray) -> bool:
        """Whether the matrix has moved too little to matter."""
        return bool(np.abs(matrix - self.matrix).max() <= REFACTOR_ABOVE * np.abs(self.matrix).max())


def _flat(block: np.ndarray) -> np.ndarray:
    return block.reshape(block.shape[0], -1)


def _parameters(stepper: Any, step: Pass) -> tuple[str, np.ndarray, Any]:
    name = stepper.plan.node_names[step.node]
    parameters = stepper.state.parameters
    return name, parameters[f"{name}.matrix"], parameters.get(f"{name}.bias")


def _hear(stepper: Any, step: Pass, name: str, v1: np.ndarray, i2: np.ndarray) -> None:
    """Add -(current) x (voltage) / beta of this block to the drives of a transformer."""
    state = stepper.state
    if state.drive_scale == 0.0 or step.beta == 0.0:
        return
    if v1.shape[1] == 1 and i2.shape[1] > 1:
        i2 = i2.sum(axis=1, keepdims=True)
    error = _flat(i2) * (state.drive_scale / step.beta)
    stepper._accumulate(state.drive[f"{name}.matrix"], lambda out: np.matmul(error, _flat(v1).T, out=out))
    if f"{name}.bias" in state.drive:
        stepper._accumulate(state.drive[f"{name}.bias"], lambda out: error.sum(axis=1, out=out))


def _net(stepper: Any, step: Pass, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> float:
    return sum(stepper._power(i) for i in inputs) - sum(stepper._power(o) for o in outputs)


def transformer(stepper: Any, step: Pass) -> None:
    """``i2 = (z2 + z1 W W^T)^-1 (W a1 + bias - a2)`` in voltage waves; both outgoing waves from it."""
    name, matrix, bias = _parameters(stepper, step)
    z1, z2 = step.z
    a1, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    factor = stepper.factors.get(name)
    if factor is None or (factor[0] != stepper.state.version and not factor[1].fits(matrix)):
        factor = (stepper.state.version, Factor(matrix, z1, z2))
    stepper.factors[name] = (stepper.state.version, factor[1])
    into = np.sqrt(z1)
    drive = (2.0 * into) * (matrix @ _flat(a1)) - (2.0 * np.sqrt(z2)) * _flat(a2)
    if bias is not None:
        drive += bias[:, None]
    i2 = factor[1].inverse @ drive
    i1 = matrix.T @ i2
    b2, b1 = stepper.signals[step.output], stepper.signals[step.second]
    np.add(a2, np.sqrt(z2) * i2.reshape(a2.shape), out=b2)
    np.subtract(a1, into * i1.reshape(a1.shape), out=b1)
    v1 = 2.0 * into * a1 - z1 * i1.reshape(a1.shape)
    stepper.state.ledger[step.node, NET_FORWARD] += _net(stepper, step, step.inputs, (step.output, step.second))
    _hear(stepper, step, name, v1, i2.reshape(a2.shape))


def driven_transformer(stepper: Any, step: Pass) -> None:
    """A transformer fed by an ideal voltage: nothing the network does moves ``v1``, so no system is solved."""
    name, matrix, bias = _parameters(stepper, step)
    x, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    z2 = step.z[1]
    v2 = (matrix @ _flat(x)).reshape(matrix.shape[0], *x.shape[1:])
    if bias is not None:
        v2 += bias[:, None, None]
    i2 = (v2 - 2.0 * np.sqrt(z2) * a2) / z2
    np.add(a2, np.sqrt(z2) * i2, out=stepper.signals[step.output])
    stepper.state.ledger[step.node, INJECTED] -= _net(stepper, step, (step.inputs[1],), (step.output,))
    _hear(stepper, step, name, x, i2)


def ideal_source(stepper: Any, step: Pass) -> None:
    """The held pattern, as a voltage."""
    stepper.signals[step.output][...] = stepper.state.inputs[stepper.plan.node_names[step.node]][:, None]


def reciprocal_activation(stepper: Any, step: Pass) -> None:
    """Solve every channel's voltage, then send ``2 v - a`` both ways."""
    from substrate.backends.cpu_reciprocal_kernels import FUNCTIONS, solve_activation

    node, name = stepper.plan.nodes[step.node], stepper.plan.node_names[step.node]
    z1, z2 = step.z
    a1, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    v = stepper._temporary(a1.shape, "voltage")
    wave1, wave2 = 2.0 * np.sqrt(z1) * a1, 2.0 * np.sqrt(z2) * a2
    solve_activation(FUNCTIONS[node.function], wave1, wave2, z1 / z2, stepper.state.voltages[name], v)
    np.subtract(v / np.sqrt(z1), a1, out=stepper.signals[step.second])
    h = stepper._temporary(a1.shape, "value")
    stepper.activation(step).value(np, v, h)
    np.subtract(h / np.sqrt(z2), a2, out=stepper.signals[step.output])
    stepper.state.ledger[step.node, NET_FORWARD] += _net(stepper, step, step.inputs, (step.output, step.second))


def reciprocal_load(stepper: Any, step: Pass) -> None:
    """Solve ``v + z beta dPhi(v) = 2 sqrt(z) a`` and send back what is left."""
    node, name = stepper.plan.nodes[step.node], stepper.plan.node_names[step.node]
    z, a = step.z[0], stepper.signals[step.inputs[0]]
    target, strength, wave = stepper.state.inputs[name], step.z[0] * node.beta, 2.0 * np.sqrt(step.z[0]) * a
    if node.loss == "mse":
        v = (wave + strength * target[:, None]) / (1.0 + strength)
        stepper.state.voltages[name][...] = v[:, -1]
    else:
        from substrate.backends.cpu_reciprocal_kernels import solve_cross_entropy

        v = stepper._temporary(a.shape, "voltage")
        solve_cross_entropy(wave, target, strength, stepper.state.voltages[name], v)
    np.subtract(v / np.sqrt(z), a, out=stepper.signals[step.output])
    stepper.state.ledger[step.node, NET_FORWARD] += _net(stepper, step, step.inputs, (step.output,))


def launcher(stepper: Any, step: Pass) -> None:
    """A matched wave becomes a voltage; the current it draws returns as an error wave."""
    x, a2 = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    z2 = step.z[1]
    i2 = (x - 2.0 * np.sqrt(z2) * a2) / z2
    np.add(a2, np.sqrt(z2) * i2, out=stepper.signals[step.output])
    np.divide(i2, step.beta or 1.0, out=stepper.signals[step.second])
    stepper.state.ledger[step.node, NET_FORWARD] += _net(stepper, step, step.inputs, (step.output, step.second))


def receiver(stepper: Any, step: Pass) -> None:
    """A voltage becomes a matched wave; the error wave that returns is drawn as a current."""
    a1, p = stepper.signals[step.inputs[0]], stepper.signals[step.inputs[1]]
    z1 = step.z[0]
    v = 2.0 * np.sqrt(z1) * a1 - (z1 * step.beta) * p
    np.subtract(v / np.sqrt(z1), a1, out=stepper.signals[step.output])
    stepper.signals[step.second][...] = v
    stepper.state.ledger[step.node, NET_FORWARD] += _net(stepper, step, step.inputs, (step.output, step.second))


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
} | CONTROL_KERNELS
