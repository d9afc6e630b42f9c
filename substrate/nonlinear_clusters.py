"""Nonlinear nodes in clusters: their linear parts are collapsed like any other, their inner ports stay open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from substrate.clusters import Cluster
from substrate.errors import CompileError
from substrate.network import PortReference
from substrate.nodes.base import Node
from substrate.nodes.nonlinear import WAVE, Element, NonlinearNode

INNER = "~"  # begins the name of an inner port, which no node's port can have


def with_inner(name: str, node: Node) -> list[PortReference]:
    """The ports of a node's linear part: its own, then one per nonlinear element."""
    own = [PortReference(name, port.name) for port in node.ports]
    count = len(node.elements(1.0)) if isinstance(node, NonlinearNode) else 0
    return own + [PortReference(name, f"{INNER}{index}") for index in range(count)]


def is_inner(reference: PortReference) -> bool:
    """Whether a port is an inner one."""
    return reference.port.startswith(INNER)


def opened(
    cluster: Cluster, outer: Sequence[PortReference], nodes: Mapping[str, Node], reference_power: float
) -> tuple[Cluster, tuple[Element, ...], tuple[str, ...]]:
    """Put a cluster's inner ports after its line ends, wave elements first.

    ``outer`` are its ports. Returns the cluster, the elements and their nodes' names; raises CompileError when waves
    run in a loop without delay through an element that acts on waves alone.
    """
    found: list[tuple[int, Element, str]] = []
    for position, reference in enumerate(outer):
        node = nodes[reference.node]
        if is_inner(reference) and isinstance(node, NonlinearNode):
            element = node.elements(reference_power)[int(reference.port[len(INNER) :])]
            found.append((position, element, reference.node))
    if not found:
        return cluster, (), ()
    found.sort(key=lambda item: item[1].kind < WAVE)
    inner = [position for position, _, _ in found]
    lines = [position for position in range(len(outer)) if position not in set(inner)]
    order = [*lines, *inner]
    rows, columns = cluster.matrix.shape[1:]
    matrix = cluster.matrix[:, [*order, *range(len(order), rows)]][:, :, [*order, *range(len(order), columns)]]
    wave = [len(lines) + k for k, (_, element, _) in enumerate(found) if element.kind >= WAVE]
    fed = matrix[:, wave, len(lines) : len(order)]
    if np.any(np.abs(fed) > 1e-12):
        raise CompileError(
            f"{found[0][2]!r} acts on waves alone, but what leaves it comes back without delay; "
            "put a line at both its ports"
        )
    elements, names = tuple(item[1] for item in found), tuple(item[2] for item in found)
    return replace(cluster, matrix=matrix, ports=len(lines)), elements, names


def impedances(names: Sequence[str], elements: Sequence[Element], z: Mapping[PortReference, Any]) -> tuple[Any, ...]:
    """Impedance (ohm) at each inner port: that of its node's first port."""
    return tuple(
        z[PortReference(name, element.node.ports[0].name)] for name, element in zip(names, elements, strict=True)
    )
