"""The same layered network in another form: matched, transformer, with resistance in its lines, or cold."""

from dataclasses import replace

import numpy as np

from substrate.errors import NetworkError
from substrate.learning.layered import OUTPUT, chain, layered
from substrate.network import Line, Network
from substrate.nodes.control import SeriesImpedance
from substrate.nodes.reciprocal import ReciprocalLoad

TICK = 1e-12  # s, delay of the lines of a derived form; nothing at rest depends on it
LOWPASS = (
    3.0  # time constant of a derived form's low-pass, in ticks: settles fastest for random layers (docs/theory.md)
)


def in_family(network: Network, family: str, beta: float = 1.0, line: Line | None = None) -> Network:
    """The same weights, biases, activation and loss as a network of ``family``, all its lines like ``line``.

    ``line`` None: one tick of 1 ps, with a low-pass where the family rings. Raises NetworkError for mixed activations.

    >>> net = layered([3, 2], line=Line(1e-9, loss_db=3.0))
    >>> type(in_family(net, "transformer", beta=0.1).nodes["w1"]).__name__
    'Transformer'
    """
    values = network.parameters()
    names = [stage.name for stage in chain(network) if stage.kind == "weights"]
    functions = {getattr(network.nodes[s.name], "function", "") for s in chain(network) if s.kind == "activation"}
    if len(functions) > 1:
        raise NetworkError(f"Only a network of one activation can change its form, but this has {sorted(functions)}")
    matrices = [np.asarray(values[f"{name}.matrix"], dtype=float) for name in names]
    line = line or Line(TICK, lowpass=LOWPASS * TICK if family == "transformer" else 0.0)
    built = layered(
        [matrices[0].shape[1], *(len(matrix) for matrix in matrices)],
        line=line,
        activation=functions.pop() if functions else "identity",
        weights=family,
        loss=getattr(network.nodes[OUTPUT], "loss", "mse"),
        bias=any(f"{name}.bias" in values for name in names),
        beta=beta,
    )
    changes = {f"w{k + 1}.matrix": matrix for k, matrix in enumerate(matrices)}
    for k, name in enumerate(names):
        if f"{name}.bias" in values:
            changes[f"w{k + 1}.bias"] = np.asarray(values[f"{name}.bias"], dtype=float)
    return built.changed(changes)


def with_series_resistance(network: Network, resistance: float) -> Network:
    """A copy whose lines each have a resistance (over 50 ohm) in their middle: voltages then feel the currents.

    >>> net = layered([3, 2], line=Line(1e-12), weights="transformer")
    >>> sorted(with_series_resistance(net, 0.1).connections)
    ['input-w1', 'line1', 'line1_end']
    """
    copy = Network()
    for name, node in network.nodes.items():
        copy.add(node, name)
    for c in network.connections.values():
        if c.line is None:
            copy.connect(str(c.first), str(c.second), None, c.name)
            continue
        channels = network.channels(c.first)
        wire = copy.add(SeriesImpedance(resistance * np.eye(channels)), f"resistance_{c.name}")
        copy.connect(str(c.first), wire, c.line, c.name)
        copy.connect(wire, str(c.second), c.line, f"{c.name}_end")
    return copy


def cold(network: Network) -> Network:
    """A copy at absolute zero, where nothing is noisy."""
    copy = Network()
    for name, node in network.nodes.items():
        copy.add(replace(node, temperature=0.0) if hasattr(node, "temperature") else node, name)  # type: ignore[type-var]
    for c in network.connections.values():
        line = None if c.line is None else replace(c.line, temperature=0.0)
        copy.connect(str(c.first), str(c.second), line, c.name)
    return copy


def nudged(network: Network, beta: float) -> Network:
    """A copy whose reciprocal load nudges by ``beta``."""
    copy = Network()
    copy.nodes, copy.connections = dict(network.nodes), dict(network.connections)
    for name, node in network.nodes.items():
        if isinstance(node, ReciprocalLoad):
            copy.nodes[name] = replace(node, beta=beta)
    return copy
