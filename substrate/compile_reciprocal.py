"""Schedules the nodes of the reciprocal family: each takes both arriving waves and sends both departing ones."""

from collections.abc import Mapping
from typing import Any

from substrate.errors import CompileError
from substrate.network import Network, PortReference
from substrate.nodes.reciprocal import NOMINAL_IMPEDANCE, Receiver, ReciprocalLoad
from substrate.plan import Pass

CONTROL_LAWS = ("control_cell", "shunt_admittance", "series_impedance")  # constant scattering matrices
LAWS = (
    *("ideal_source", "transformer", "reciprocal_activation", "reciprocal_load", "launcher", "receiver"),
    *CONTROL_LAWS,
    "joint",
)


def nudging_strength(network: Network) -> float:
    """``beta`` of the network's reciprocal loads and receivers, by which every port's current is divided; 1 without
    any.

    Raises CompileError when two of them disagree.
    """
    strengths = {node.beta for node in network.nodes.values() if isinstance(node, ReciprocalLoad | Receiver)}
    if len(strengths) > 1:
        raise CompileError(f"All loads of a network must be nudged alike, but their beta are {sorted(strengths)}")
    return strengths.pop() if strengths else 1.0


def reciprocal_passes(
    network: Network,
    name: str,
    index: int,
    arriving: Mapping[PortReference, int],
    departing: Mapping[PortReference, int],
) -> list[Pass]:
    """The passes of one reciprocal node; ``index`` is its place among the wide nodes."""
    node, beta = network.nodes[name], nudging_strength(network)
    ports = [PortReference(name, port.name) for port in node.ports]
    a, b = [arriving[p] for p in ports], [departing[p] for p in ports]
    z = tuple(_normalised_impedance(network, port) for port in ports)
    options: dict[str, Any] = {"z": z, "beta": beta}
    if node.law == "ideal_source":
        # It prescribes the voltage of what it feeds; the current it delivers is booked there.
        return [Pass("ideal_source", index, (), b[0])]
    if node.law == "reciprocal_load":
        return [Pass("reciprocal_load", index, (a[0],), b[0], **options)]
    if node.law == "transformer" and z[0] == 0.0:
        return [Pass("driven_transformer", index, (a[0], a[1]), b[1], **options)]
    if node.law == "launcher":
        return [Pass("launcher", index, (a[0], a[1]), b[1], second=b[0], **options)]
    if node.law == "receiver":
        return [Pass("receiver", index, (a[0], a[1]), b[0], second=b[1], **options)]
    return [Pass(node.law, index, (a[0], a[1]), b[1], second=b[0], **options)]


def _normalised_impedance(network: Network, port: PortReference) -> float:
    """Of the line at a port, over the nominal one; 0 where an ideal source is joined directly."""
    for connection in network.connections.values():
        if port not in (connection.first, connection.second):
            continue
        if connection.line is not None:
            return float(connection.line.impedance) / NOMINAL_IMPEDANCE
        other = connection.second if port == connection.first else connection.first
        here, there = network.nodes[port.node].law, network.nodes[other.node].law
        matched_side = (here, port.port) in (("launcher", "left"), ("receiver", "right"))
        if matched_side or {here, there} == {"ideal_source", "transformer"}:
            return 0.0
        raise CompileError(
            f"{port} and {other} are joined without delay, but a reciprocal node reflects; put a line between them "
            "(an ideal source may feed a transformer directly)"
        )
    raise CompileError(f"Port {port} is not connected; connect it to a line")
