"""Lines beyond plain ones, and how all lines are laid for a time step before a network is compiled."""

import numpy as np

from substrate.errors import CompileError
from substrate.laying import Laid, LineAccuracy, Medium
from substrate.media.fractional import lay_line
from substrate.media.optical import OpticalLine
from substrate.media.rc import RcLine
from substrate.media.rlgc import RlgcLine
from substrate.network import Connection, Line, Network, PortReference

__all__ = ["OpticalLine", "RcLine", "RlgcLine", "expand_media"]

CIRCUIT = ("linear", "nonlinear")  # laws of nodes that can share a cluster with the end of a line


def expand_media(network: Network, dt: float) -> tuple[Network, dict[str, LineAccuracy]]:
    """The network with every line that is more than a delay laid for steps of ``dt`` (s), and how exact each is.

    A line becomes plain line of whole steps between end nodes that are joined to the user's nodes, so that they share a
    cluster; the plain line keeps its name, and the user's ports stay where they are. Raises CompileError.

    >>> from substrate.nodes import Termination
    >>> net = Network()
    >>> line = Line(1.05e-9, fractional="thiran")
    >>> net.connect(net.add(Termination(), "a"), net.add(Termination(), "b"), line, "w1")
    >>> laid, accuracy = expand_media(net, 1e-10)
    >>> sorted(laid.nodes), sorted(laid.connections), accuracy["w1"].steps
    (['a', 'b', 'w1-end1', 'w1-end2'], ['w1', 'w1-1', 'w1-2'], 8)
    """
    found: dict[str, Laid] = {}
    for name, connection in network.connections.items():
        if connection.line is not None and not _stays(connection.line):
            found[name] = lay(name, connection.line, dt)
    if not found:
        return network, {}
    laid = Network()
    laid.nodes = dict(network.nodes)
    for name, connection in network.connections.items():
        if name in found:
            _place(laid, connection, found[name])
        else:
            laid.connections[name] = connection
    return laid, {name: each.accuracy for name, each in found.items()}


def lay(name: str, line: Line, dt: float) -> Laid:
    """What stands for one line, called ``name``, at steps of ``dt`` (s); raises CompileError."""
    return line.lay(name, dt) if isinstance(line, Medium) else lay_line(name, line, dt)


def _stays(line: Line) -> bool:
    """Whether a line is a delay, a loss and a phase, and at rest."""
    charged = bool(np.any(np.asarray(line.voltage) != 0.0))
    return not isinstance(line, Medium) and line.fractional == "none" and not charged


def _place(network: Network, connection: Connection, laid: Laid) -> None:
    """Put the parts of one line between the two ports it joined."""
    ends = [part for part in laid.parts if not isinstance(part, Line)]
    if ends:
        for port in (connection.first, connection.second):
            if network.nodes[port.node].law not in CIRCUIT:
                raise CompileError(
                    f"Line {connection.name!r} needs filters at its ends, which {port.node!r} has no place for; use a "
                    "plain line of a whole number of steps there"
                )
    here, pending, count, joints = connection.first, None, 0, 0
    for part in [*laid.parts, None]:
        if isinstance(part, Line):
            pending = part
            continue
        # The first end faces the line with its last port, the second end too: it stands the other way round.
        ports = [] if part is None else [port.name for port in part.ports]
        into, out = (ports[:1], ports[-1:]) if pending is None else (ports[-1:], ports[:1])
        count += 1
        node = f"{connection.name}-end{count}"
        there = connection.second if part is None else PortReference(node, into[0])
        joints += pending is None
        name = connection.name if pending is not None else f"{connection.name}-{joints}"
        network.connections[name] = Connection(name, here, there, pending)
        if part is not None:
            network.nodes[node], here, pending = part, PortReference(node, out[0]), None
