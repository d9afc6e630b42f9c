"""Layers -> Network: builds the chain source, weights, line, activation, ..., line, load."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from substrate.errors import NetworkError
from substrate.network import Line, Network
from substrate.nodes import Activation, DataSource, Load, Termination, Weights

STAGE_OF = {  # law of a node -> what it does to a settled wave
    "weights": "weights",
    "transformer": "weights",
    "activation": "activation",
    "reciprocal_activation": "activation",
}
INPUT, OUTPUT = "input", "load"  # the names of the two ends of a layered network


def layered(
    sizes: Sequence[int],
    *,
    line: Line | Sequence[Line],
    activation: str = "tanh",
    weights: str = "matched",
    loss: str = "cross_entropy",
    bias: bool = True,
    scale: float = 1.0,
    tap: float = 0.0,
    source_temperature: float = 0.0,
    load_temperature: float = 0.0,
    seed: int = 0,
) -> Network:
    """A feed-forward network as a wave substrate: weights ``w1 .. wL``, each followed by its line.

    ``sizes`` are the channels from input to output; ``line`` is one for all layers or one each. Weights start normal
    with variance ``scale^2 / inputs``, biases at zero. Raises NetworkError. Source: ``docs/theory.md``, "Matched".

    >>> net = layered([4, 3, 2], line=Line(delay=1e-12))
    >>> print(net)
    Network of 5 nodes, 2 lines
    """
    layers = len(sizes) - 1
    if layers < 1:
        raise NetworkError(f"A layered network needs at least an input and an output size, but sizes={list(sizes)}")
    if weights != "matched":
        raise NetworkError(f"Weights must be 'matched', but weights={weights!r}")
    lines = [line] * layers if isinstance(line, Line) else list(line)
    if len(lines) != layers:
        raise NetworkError(f"{layers} layers need one line, or {layers}, but {len(lines)} were given")
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x77])))
    net = Network()
    before = net.add(DataSource(sizes[0], source_temperature), INPUT)
    for layer, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        matrix = rng.normal(0.0, scale / np.sqrt(inputs), (outputs, inputs))
        mesh = net.add(Weights(matrix, np.zeros(outputs) if bias else None, tap), f"w{layer}")
        net.connect(before, mesh)
        if layer == layers:
            before = net.add(Load(outputs, loss, load_temperature), OUTPUT)
        else:
            before = net.add(Activation(outputs, activation), f"phi{layer}")
        net.connect(mesh, before, lines[layer - 1], f"line{layer}")
    return net


@dataclass(frozen=True)
class Stage:
    """One element of a chain: ``weights`` or ``activation`` (a node's name) or ``line`` (a connection's name)."""

    kind: str
    name: str


def chain(network: Network) -> list[Stage]:
    """The stages a forward wave passes from the only source to the only load; raises NetworkError if it is no chain.

    >>> [stage.name for stage in chain(layered([2, 2], line=Line(delay=1e-12)))]
    ['w1', 'line1']
    """
    after = {c.first.node: c for c in network.connections.values()}
    sources = [name for name, node in network.nodes.items() if node.law in ("source", "ideal_source")]
    if len(sources) != 1:
        raise NetworkError(f"A layered network has one source, but this one has {len(sources)}")
    stages, here, seen = [], sources[0], set()
    while here in after and here not in seen:
        seen.add(here)
        connection = after[here]
        if connection.line is not None:
            stages.append(Stage("line", connection.name))
        here = connection.second.node
        kind = STAGE_OF.get(network.nodes[here].law)
        if kind is not None:
            stages.append(Stage(kind, here))
    if network.nodes[here].law not in ("load", "termination", "reciprocal_load") or len(seen) + 1 != len(network.nodes):
        raise NetworkError("A layered network is one chain from its source to its load; this network is not")
    return stages


def forward_delay(network: Network) -> float:
    """Seconds a wave needs from the source to the load."""
    lines = (network.connections[stage.name].line for stage in chain(network) if stage.kind == "line")
    return sum(line.delay for line in lines if line is not None)


def without_load(network: Network) -> Network:
    """The same network with its load replaced by a matched termination: what answers a question does not correct it."""
    quiet = Network()
    for name, node in network.nodes.items():
        quiet.add(Termination(node.channels, node.temperature) if isinstance(node, Load) else node, name)
    for c in network.connections.values():
        quiet.connect(str(c.first), str(c.second), c.line, c.name)
    return quiet
