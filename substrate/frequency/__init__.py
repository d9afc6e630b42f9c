"""One network, the other answer: what `simulate` does in time, as functions of frequency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.frequency.assembly import Output, continuous, discrete, refuse_nonlinear
from substrate.network import Network, PortReference, Probe
from substrate.nodes.base import Node, Port
from substrate.nodes.linear import Drive, LinearNode, Scattering, stacked
from substrate.nodes.termination import Termination
from substrate.traces import as_probe
from substrate.waveforms import Step


@dataclass(frozen=True, eq=False)
class FrequencyResponse:
    """Scattering parameters of a network between its measurement ports.

    ``frequencies`` ``[f]`` (Hz; offsets from the carrier where waves are envelopes); ``ports`` are names of nodes;
    ``s`` is ``[f, out, in]``, or ``[f, batch, out, in]`` when parameters are arrays; ``impedances`` (ohm) of the ports.
    """

    frequencies: np.ndarray
    ports: tuple[str, ...]
    s: np.ndarray
    impedances: tuple[Any, ...]

    def __getitem__(self, ports: tuple[str, str]) -> np.ndarray:
        """``response["out", "in"]``: ``[f]`` or ``[f, batch]``; raises NetworkError naming the ports there are."""
        for name in ports:
            if name not in self.ports:
                raise NetworkError(f"There is no measurement port {name!r}; the ports are {', '.join(self.ports)}")
        out, into = (self.ports.index(name) for name in ports)
        return self.s[..., out, into]


def scattering_parameters(
    network: Network, frequencies: Any, ports: Sequence[str] | None = None, dt: float | None = None
) -> FrequencyResponse:
    """Scattering parameters of ``network`` at ``frequencies`` (Hz, ``[f]``) between its measurement ports.

    ``ports`` names one-port nodes with a resistance above zero (sources, resistors, terminations): each becomes a
    measurement port whose reference impedance is that resistance (of a termination: its line's impedance). All other
    sources are silent resistances. None means every source and every termination. ``dt=None`` is the answer in
    continuous time; with ``dt`` (s) it is that of the plan which ``simulate`` runs, equal to the Fourier transform of
    an impulse run. Raises NetworkError and CompileError. Source: Filipsson 1981, multiport connection.

    >>> from substrate.network import Line
    >>> from substrate.nodes import Termination, VoltageSource
    >>> net = Network()
    >>> net.connect(net.add(VoltageSource(resistance=50.0), "a"), net.add(Termination(), "b"), Line(delay=1e-9))
    >>> response = scattering_parameters(net, [0.0, 0.25e9])
    >>> response["b", "a"].round(12).tolist()  # a quarter wave: -i
    [(1+0j), -1j]
    """
    points = _checked(frequencies)
    names = _measured(network, ports)
    instruments = {name: _Instrument(network.nodes[name], name) for name in names}
    measured = Network()
    measured.nodes, measured.connections = {**network.nodes, **instruments}, dict(network.connections)
    refuse_nonlinear(measured)
    drives = [(name, node.waveform) for name, node in instruments.items()]
    outputs = [Output(node.reference, "into", node.resistance) for node in instruments.values()]
    s = _answer(measured, points, dt, drives, outputs)
    z = tuple(50.0 if node.resistance is None else node.resistance for node in instruments.values())
    lines = {ref: c.line for c in network.connections.values() if c.line is not None for ref in (c.first, c.second)}
    impedances = tuple(
        lines[node.reference].impedance if node.resistance is None and node.reference in lines else value
        for value, node in zip(z, instruments.values(), strict=True)
    )
    return FrequencyResponse(points, tuple(names), s, impedances)


def response_of(
    network: Network, source: str, probes: Sequence[str | Probe], frequencies: Any, dt: float | None = None
) -> Mapping[str, np.ndarray]:
    """Transfer from the waveform of node ``source`` to ``probes`` (voltages, currents, waves) at ``frequencies`` (Hz).

    Probes are written as for ``simulate``; the result maps their labels to ``[f]``, or ``[f, batch]``: volts per volt,
    amperes per volt, sqrt(W) per volt. All other sources are silent. ``dt`` as in :func:`scattering_parameters`.
    Raises NetworkError.

    >>> from substrate.network import Line
    >>> from substrate.nodes import Resistor, VoltageSource
    >>> net = Network()
    >>> net.connect(net.add(VoltageSource(resistance=25.0), "a"), net.add(Resistor(100.0), "b"), Line(delay=1e-9))
    >>> response_of(net, "a", ["b.voltage"], [0.0])["b.voltage"].round(12).tolist()
    [(0.8+0j)]
    """
    points = _checked(frequencies)
    refuse_nonlinear(network)
    network.reference(source)
    node = network.nodes[source]
    assert isinstance(node, LinearNode)
    waveform = _waveform(source, node)
    outputs = {}
    for probe in (as_probe(network, probe) for probe in probes):
        if probe != Probe(probe.at, probe.quantity) or probe.quantity == "power" or "@" in probe.at:
            raise NetworkError(f"Probe {probe.label!r} is no voltage, current or wave at a port, unreduced; probe one")
        outputs[probe.label] = Output(network.reference(probe.at), probe.quantity)
    answer = _answer(network, points, dt, [(source, waveform)], list(outputs.values()))
    return {label: answer[..., index, 0] for index, label in enumerate(outputs)}


def _answer(network: Network, points: np.ndarray, dt: float | None, drives: Any, outputs: Any) -> np.ndarray:
    """``[f, outputs, inputs]``, with a batch axis after the first when parameters are arrays."""
    if dt is None:
        answer = continuous(network, points, drives, outputs)
    else:
        answer = discrete(network, points, dt, drives, outputs)
    return answer[:, 0] if answer.shape[1] == 1 else answer


def _checked(frequencies: Any) -> np.ndarray:
    points = np.atleast_1d(np.asarray(frequencies, float))
    if points.ndim != 1 or not np.all(np.isfinite(points)):
        raise NetworkError("Frequencies must be finite numbers in Hz, one or a list of them")
    return points


def _measured(network: Network, ports: Sequence[str] | None) -> list[str]:
    """Names of the nodes that become measurement ports."""
    if ports is None:
        ports = [name for name, node in network.nodes.items() if _is_default(node)]
    if len(ports) < 1 or len(set(ports)) < len(ports):
        raise NetworkError(
            f"Scattering parameters need at least one measurement port, each once, but ports={list(ports)!r}; name "
            "sources, resistors or terminations"
        )
    for name in ports:
        network.reference(name)
    return list(ports)


def _is_default(node: Node) -> bool:
    """Whether a node is a measurement port when none are named: a source with a resistance, or a termination."""
    if isinstance(node, Termination):
        return node.channels == 1
    if not isinstance(node, LinearNode) or len(node.ports) != 1 or not hasattr(node, "waveform"):
        return False
    return bool(np.all(np.asarray(getattr(node, "resistance", 1.0)) > 0.0))


def _waveform(name: str, node: LinearNode) -> Any:
    """The waveform of the one source input of a node."""
    scattering = node.scattering((50.0,) * len(node.ports), 1.0)
    waves = [drive.waveform for drive in scattering.drives if drive.waveform is not None]
    if len(waves) != 1:
        raise NetworkError(f"Node {name!r} ({type(node).__name__}) has {len(waves)} waveforms; name a source with one")
    return waves[0]


class _Instrument(LinearNode):
    """A measurement port in place of a node: it emits a unit power wave at its resistance and absorbs what returns."""

    def __init__(self, node: Node, name: str) -> None:
        self.port_of_node: tuple[Port, ...] = node.ports
        resistance = getattr(node, "resistance", None)
        if len(node.ports) != 1 or (resistance is None and not _is_default(node)):
            raise NetworkError(f"{name!r} ({type(node).__name__}) cannot be a measurement port: it has no resistance")
        if resistance is not None and not np.all((np.asarray(resistance) > 0.0) & np.isfinite(resistance)):
            raise NetworkError(
                f"{name!r} cannot be a measurement port with resistance={resistance!r} ohm; use `response_of`, or give "
                "it a resistance above zero"
            )
        self.resistance = resistance
        self.reference = PortReference(name, node.ports[0].name)
        self.waveform = Step()  # never sampled: it marks the source input in the plan

    @property
    def ports(self) -> tuple[Port, ...]:
        """The port of the node it stands for."""
        return self.port_of_node

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        r = z[0] if self.resistance is None else np.asarray(self.resistance, float)
        # An ideal step of impedance from r to z in front of a matched port.
        gamma, through = (r - z[0]) / (r + z[0]), 2.0 * np.sqrt(r * z[0]) / (r + z[0])
        return Scattering(stacked([[gamma, through]]), 1, drives=(Drive(self.waveform),))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        matrix = self.scattering(z, 1.0).matrix[..., :1, :1]
        return np.broadcast_to(matrix, (len(frequencies), *matrix.shape))

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """Its own resistance, as of the node it stands for."""
        return float(self.resistance) if self.resistance is not None and np.ndim(self.resistance) == 0 else None
