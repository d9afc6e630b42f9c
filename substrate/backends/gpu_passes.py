"""The passes of matched layered networks on a GPU, laid out as launches and products."""

import numpy as np

from substrate.backends.gpu_program import KINDS, PassLayout, Program
from substrate.plan import INJECTED, NET_BACKWARD, NET_FORWARD, NOISE, PORTS, RADIATED, Pass


def source(program: Program, step: Pass) -> None:
    """The held pattern."""
    held = program.stepper.state.inputs[program.name(step)][:, None]
    if program.steady(step.output):
        program.signals[step.output] = held
    else:
        program.combine(program.signals[step.output], held, 1.0)
    _finish_emission(program, step)


def termination(program: Program, step: Pass) -> None:
    """Nothing, before its noise."""
    program.combine(program.signals[step.output], None, 0.0)
    _finish_emission(program, step)


def load(program: Program, step: Pass) -> None:
    """The error wave of what arrives against the held target."""
    target = program.stepper.state.inputs[program.name(step)]
    out = program.signals[step.output]
    if getattr(program.plan.nodes[step.node], "loss", "") == "mse":
        program.combine(out, program.signals[step.inputs[0]], 1.0, target[:, None], -1.0)
    else:
        channels, steps, batch = program.shape(step.output)
        program.launch("cross_entropy", steps * batch, *program.wave(step.inputs[0]), target, channels, steps, batch,
                       out)  # fmt: skip
    _finish_emission(program, step)


def _finish_emission(program: Program, step: Pass) -> None:
    """Book what is emitted, then add the thermal noise of its resistance."""
    program.book(step.node, INJECTED, (1.0, program.power(step.output)))
    _disturb(program, step)


def _disturb(program: Program, step: Pass) -> None:
    """Add a pass's own noise to what it sends, and book it."""
    if step.sigma > 0.0:
        sent = program.power(step.output)
        wave = program.signals[step.output]
        program.launch("add_noise", wave.size, program.stepper.noise, step.sigma, step.noise_source,
                       program.stepper.clock, *program.shape(step.output), wave)  # fmt: skip
        del program.powers[step.output]
        program.book(step.node, NOISE, (1.0, program.power(step.output)), (-1.0, sent))


def absorb(program: Program, step: Pass) -> None:
    """What arrives goes no further."""
    program.book(step.node, RADIATED, (1.0, program.power(step.inputs[0])))


def weights_forward(program: Program, step: Pass) -> None:
    """Coupler, mesh with bias, coupler."""
    if not program.known(step.output):
        name, tap, out = program.name(step), program.tap(step), program.signals[step.output]
        parameters = program.stepper.state.parameters
        program.product(parameters[f"{name}.matrix"], program.signals[step.inputs[0]], out)
        bias = parameters.get(f"{name}.bias")
        if tap > 0.0 or bias is not None:
            program.combine(out, out, 1.0 - tap, shift=bias, r=float(np.sqrt(1.0 - tap)))
    _book_mesh(program, step)
    _disturb(program, step)


def weights_backward(program: Program, step: Pass) -> None:
    """The same mesh the other way, which is its transpose."""
    matrix = program.stepper.state.parameters[f"{program.name(step)}.matrix"]
    out, tap = program.signals[step.output], program.tap(step)
    program.product(matrix, program.signals[step.inputs[0]], out, transposed=True)
    if tap > 0.0:
        program.combine(out, out, 1.0 - tap)
    if step.booked:
        _book_mesh(program, step)
    _disturb(program, step)


def _book_mesh(program: Program, step: Pass) -> None:
    """Sensing couplers take ``tap`` of the wave before the mesh and ``tap`` of it after; the mesh does the rest."""
    tap, arrived, left = program.tap(step), program.power(step.inputs[0]), program.power(step.output)
    inside = 1.0 / (1.0 - tap)
    if tap > 0.0:
        program.book(step.node, PORTS, (tap, arrived), (inside - 1.0, left))
    direction = NET_BACKWARD if step.kind.endswith("backward") else NET_FORWARD
    program.book(step.node, direction, (1.0 - tap, arrived), (-inside, left))


def weights_port(program: Program, step: Pass) -> None:
    """Add this block to the drive of each entry: -(error wave) x (forward wave), summed over steps and batch."""
    x, p = program.signals[step.inputs[0]], program.signals[step.inputs[1]]
    if step.memory:
        x = program.echo(program.name(step), x)
    if program.listening:
        tap = program.tap(step)
        program.hear(program.name(step), p, x, 1.0 - tap, float(1.0 / np.sqrt(1.0 - tap)))


def _kind(program: Program, step: Pass) -> int:
    return KINDS[getattr(program.plan.nodes[step.node], "function", "")]


def activation_forward(program: Program, step: Pass) -> None:
    """``phi(v)``."""
    if not program.known(step.output):
        v = program.signals[step.inputs[0]]
        program.launch("activate", v.size, v, _kind(program, step), v.size, program.signals[step.output])
    program.book(
        step.node, NET_FORWARD, (1.0, program.power(step.inputs[0])), (-1.0, program.power(step.output))
    )  # fmt: skip


def activation_backward(program: Program, step: Pass) -> None:
    """``phi'(v) p``, with the slope of one round trip earlier where the node remembers it."""
    (v, steady), (h, _), (p, still) = (program.wave(i) for i in step.inputs)
    shape, out, kind = program.shape(step.output), program.signals[step.output], _kind(program, step)
    if step.memory:
        channels, _, batch = shape
        slope = program.stepper.temporary((channels, program.signals[step.inputs[0]].shape[1], batch), "slope")
        sizes = tuple(int(n) for n in slope.shape)
        program.launch("activate_backward", slope.size, v, h, 0, None, 0, kind, *sizes, slope)
        earlier = program.echo(program.name(step), slope)
        program.launch("multiply", out.size, earlier, p, still, *shape, out)
    else:
        program.launch("activate_backward", out.size, v, h, steady, p, still, kind, *shape, out)
    if step.booked:
        program.book(
            step.node, NET_BACKWARD, (1.0, program.power(step.inputs[2])), (-1.0, program.power(step.output))
        )  # fmt: skip


MATCHED: dict[str, PassLayout] = {
    f.__name__: f
    for f in (
        source,
        termination,
        load,
        absorb,
        weights_forward,
        weights_backward,
        weights_port,
        activation_forward,
        activation_backward,
    )
}
