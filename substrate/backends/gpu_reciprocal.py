"""The reciprocal family on a GPU: transformers, activations, loads, control cells and joints, laid out as launches."""

from typing import Any

import numpy as np

from substrate.backends.gpu_program import KINDS, Program
from substrate.plan import INJECTED, NET_FORWARD, Pass

REFACTOR_ABOVE = 1e-12  # relative change of a matrix beyond which its inverse is made anew


class Factor:
    """``(z2 I + z1 W W^T)^-1`` of a transformer, made anew by cuSOLVER when the matrix has moved."""

    def __init__(self, xp: Any, parameters: dict[str, Any], name: str, z: tuple[float, ...]) -> None:
        self.xp, self.parameters, self.name, self.z = xp, parameters, name, z
        matrix = parameters[name]
        self.matrix = xp.full(matrix.shape, np.inf, dtype=matrix.dtype)
        self.inverse = xp.zeros((matrix.shape[0], matrix.shape[0]), dtype=matrix.dtype)

    def update(self) -> None:
        """Bring the inverse up to date, in place; the smaller side of W is inverted (Woodbury)."""
        xp, matrix, (z1, z2) = self.xp, self.parameters[self.name], self.z
        if float(xp.abs(matrix - self.matrix).max()) <= REFACTOR_ABOVE * float(xp.abs(matrix).max()):
            return
        w = matrix.astype(np.float64)
        outputs, inputs = w.shape
        if outputs <= inputs:
            inverse = xp.linalg.inv(z2 * xp.eye(outputs) + z1 * (w @ w.T))
        else:
            inner = xp.linalg.inv(z2 / z1 * xp.eye(inputs) + w.T @ w)
            inverse = (xp.eye(outputs) - w @ inner @ w.T) / z2
        self.inverse[...] = inverse.astype(matrix.dtype)
        self.matrix[...] = matrix


def _net(program: Program, step: Pass, outputs: tuple[int, ...], column: int, sign: float, inputs: Any = None) -> None:
    """Book what arrived less what left."""
    arrived = step.inputs if inputs is None else inputs
    terms = [(sign, program.power(i)) for i in arrived] + [(-sign, program.power(o)) for o in outputs]
    program.book(step.node, column, *terms)


def _parameters(program: Program, step: Pass) -> tuple[str, Any, Any]:
    name = program.name(step)
    parameters = program.stepper.state.parameters
    return name, parameters[f"{name}.matrix"], parameters.get(f"{name}.bias")


def _hear(program: Program, step: Pass, name: str, v1: Any, i2: Any) -> None:
    if program.listening and step.beta != 0.0:
        program.hear(name, i2, v1, 1.0 / step.beta, 1.0)


def transformer(program: Program, step: Pass) -> None:
    """``i2 = (z2 + z1 W W^T)^-1 (W a1 + bias - a2)`` in voltage waves; both outgoing waves from it."""
    name, matrix, bias = _parameters(program, step)
    stepper, (z1, z2) = program.stepper, step.z
    a1, a2 = (program.signals[i] for i in step.inputs)
    b2, b1 = program.signals[step.output], program.signals[step.second]
    into, out = float(np.sqrt(z1)), float(np.sqrt(z2))
    factor = stepper.factor(name, step.z)
    drive, i2 = (stepper.temporary(b2.shape, f"{name} {what}") for what in ("drive", "current"))
    program.product(matrix, a1, drive)
    program.combine(drive, drive, 2.0 * into, a2, -2.0 * out, bias, 1.0)
    program.product(factor.inverse, drive, i2)
    i1 = stepper.temporary(b1.shape, f"{name} back")
    program.product(matrix, i2, i1, transposed=True)
    program.combine(b2, a2, 1.0, i2, out)
    program.combine(b1, a1, 1.0, i1, -into)
    _net(program, step, (step.output, step.second), NET_FORWARD, 1.0)
    v1 = stepper.temporary(b1.shape, f"{name} voltage")
    program.combine(v1, a1, 2.0 * into, i1, -z1)
    _hear(program, step, name, v1, i2)


def driven_transformer(program: Program, step: Pass) -> None:
    """A transformer fed by an ideal voltage: nothing the network does moves ``v1``, so no system is solved."""
    name, matrix, bias = _parameters(program, step)
    x, a2 = (program.signals[i] for i in step.inputs)
    b2, z2, stepper = program.signals[step.output], step.z[1], program.stepper
    v2 = stepper.temporary((b2.shape[0], x.shape[1], x.shape[2]), f"{name} voltage")
    program.product(matrix, x, v2)
    i2 = stepper.temporary(b2.shape, f"{name} current")
    program.combine(i2, v2, 1.0 / z2, a2, float(-2.0 / np.sqrt(z2)), bias, 1.0 / z2)
    program.combine(b2, a2, 1.0, i2, float(np.sqrt(z2)))
    _net(program, step, (step.output,), INJECTED, -1.0, inputs=(step.inputs[1],))
    _hear(program, step, name, x, i2)


def ideal_source(program: Program, step: Pass) -> None:
    """The held pattern, as a voltage."""
    program.combine(program.signals[step.output], program.stepper.state.inputs[program.name(step)][:, None], 1.0)


def reciprocal_activation(program: Program, step: Pass) -> None:
    """Solve every channel's voltage, then send ``2 v - a`` both ways."""
    kind, (z1, z2) = KINDS[program.plan.nodes[step.node].function], step.z
    (a1, steady), (a2, still) = (program.wave(i) for i in step.inputs)
    warm = program.stepper.state.voltages[program.name(step)]
    program.launch("solve_activation", warm.size, kind, a1, steady, a2, still, z1, z2, *program.shape(step.output),
                   warm, program.signals[step.second], program.signals[step.output])  # fmt: skip
    _net(program, step, (step.output, step.second), NET_FORWARD, 1.0)


def reciprocal_load(program: Program, step: Pass) -> None:
    """Solve ``v + z beta dPhi(v) = 2 sqrt(z) a`` and send back what is left."""
    node, name, stepper = program.plan.nodes[step.node], program.name(step), program.stepper
    root, strength, shape = float(np.sqrt(step.z[0])), step.z[0] * node.beta, program.shape(step.output)
    out, voltage, target = program.signals[step.output], stepper.state.voltages[name], stepper.state.inputs[name]
    if node.loss == "mse":
        program.launch("solve_mse", out.size, *program.wave(step.inputs[0]), target, root, strength, *shape, voltage,
                       out)  # fmt: skip
    else:
        blocks = program.device.blocks(shape[2])
        work = program.device.xp.zeros(5 * shape[0] * blocks * program.device.threads)
        program.launch("solve_cross_entropy", shape[2], *program.wave(step.inputs[0]), target, root, strength, *shape,
                       work, voltage, out)  # fmt: skip
    _net(program, step, (step.output,), NET_FORWARD, 1.0)


def launcher(program: Program, step: Pass) -> None:
    """A matched wave becomes a voltage; the current it draws returns as an error wave."""
    x, a2 = (program.signals[i] for i in step.inputs)
    b2, b1, z2 = program.signals[step.output], program.signals[step.second], step.z[1]
    i2 = program.stepper.temporary(b2.shape, "current")
    program.combine(i2, x, 1.0 / z2, a2, float(-2.0 / np.sqrt(z2)))
    program.combine(b2, a2, 1.0, i2, float(np.sqrt(z2)))
    program.combine(b1, i2, 1.0 / (step.beta or 1.0))
    _net(program, step, (step.output, step.second), NET_FORWARD, 1.0)


def receiver(program: Program, step: Pass) -> None:
    """A voltage becomes a matched wave; the error wave that returns is drawn as a current."""
    a1, p = (program.signals[i] for i in step.inputs)
    b1, v, z1 = program.signals[step.output], program.signals[step.second], step.z[0]
    program.combine(v, a1, float(2.0 * np.sqrt(z1)), p, -z1 * step.beta)
    program.combine(b1, v, float(1.0 / np.sqrt(z1)), a1, -1.0)
    _net(program, step, (step.output, step.second), NET_FORWARD, 1.0)


def constant_scattering(program: Program, step: Pass) -> None:
    """``[b1, b2] = S [a1, a2]`` with the S of the node at its lines' impedances, computed once."""
    a = [program.signals[i] for i in step.inputs]
    b = [program.signals[step.second], program.signals[step.output]]
    pieces = program.stepper.pieces(step)
    for row, out in enumerate(b):
        for column, wave in enumerate(a):
            program.product(pieces[row][column], wave, out, add=column > 0)
    _net(program, step, (step.second, step.output), NET_FORWARD, 1.0)


RECIPROCAL = {
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
} | dict.fromkeys(("control_cell", "shunt_admittance", "series_impedance", "joint"), constant_scattering)
