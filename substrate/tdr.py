"""Time-domain reflectometry: a step sent into one port, what comes back against distance, the impedance it tells."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.network import Network, PortReference
from substrate.nodes.linear import LinearNode
from substrate.nodes.lumped import VoltageSource
from substrate.nodes.termination import Termination
from substrate.traces import simulate
from substrate.waveforms import Step


@dataclass(frozen=True)
class Reflectometry:
    """What a reflectometer at one port shows.

    ``delay`` ``[steps]`` is the one-way time (s) to where a sample was reflected first, ``distance`` (m) the same along
    the lines (None where no speed is known); ``reflected`` is the wave that returns over the step sent, ``[steps]`` or
    ``[steps, batch]``; ``impedance`` (ohm) the load that would reflect as much at once, ``R (1 + rho) / (1 - rho)``.
    """

    delay: np.ndarray
    distance: np.ndarray | None
    reflected: np.ndarray
    impedance: np.ndarray
    reference: float  # ohm


def time_domain_reflectometry(
    network: Network,
    port: str,
    duration: float,
    dt: float,
    *,
    speed: float | Mapping[str, float] | None = None,
    batch: int = 1,
    backend: str = "cpu",
    dtype: str = "float64",
) -> Reflectometry:
    """Send a unit step into ``network`` at ``port`` for ``duration`` (s) in steps of ``dt`` (s) and watch what returns.

    ``port`` names a one-port node (a source, resistor or termination); the reflectometer takes its place, with its
    resistance, and every other source is silent. ``speed`` (m/s) turns delays into distances: one number, or one per
    name of a line met on the way from the port (the last one holds beyond); None takes the lines' own where they have
    a length. Multiple reflections appear later than where they come from, as on the instrument.
    Raises NetworkError. Source: Pozar, "Microwave Engineering", section 2.7.

    >>> from substrate.network import Line
    >>> from substrate.nodes import Resistor
    >>> net = Network()
    >>> net.connect(net.add(Termination(), "tdr"), net.add(Resistor(75.0), "end"), Line(delay=1e-9))
    >>> seen = time_domain_reflectometry(net, "tdr", 4e-9, 1e-10, speed=2e8)
    >>> round(float(seen.distance[np.argmax(seen.reflected > 0.1)]), 9), seen.impedance[[0, -1]].round(6).tolist()
    (0.2, [50.0, 75.0])
    """
    reference = network.reference(port)
    resistance = _resistance(network, reference)
    silent = Network()
    silent.nodes = {name: _silenced(node) for name, node in network.nodes.items()}
    # Two volts behind R send the wave of one volt into a line of R.
    silent.nodes[port] = VoltageSource(Step(2.0), resistance)
    there = PortReference(port, "out")
    for c in network.connections.values():
        first, second = (there if end == reference else end for end in (c.first, c.second))
        silent.connections[c.name] = replace(c, first=first, second=second)
    probes = [f"{port}.voltage"]
    traces = simulate(silent, duration, dt, probes, batch=batch, backend=backend, dtype=dtype)
    reflected = traces[probes[0]] - 1.0
    delay = 0.5 * dt * np.arange(len(reflected))
    with np.errstate(divide="ignore"):
        impedance = resistance * (1.0 + reflected) / (1.0 - reflected)
    return Reflectometry(delay, _distance(network, reference, delay, speed), reflected, impedance, resistance)


def _resistance(network: Network, reference: PortReference) -> float:
    """Reference impedance of the reflectometer: the node's resistance, or its line's impedance."""
    node = network.nodes[reference.node]
    resistance = getattr(node, "resistance", None)
    if isinstance(node, Termination) or resistance is None:
        line = next((c.line for c in network.connections.values() if reference in (c.first, c.second)), None)
        resistance = 50.0 if line is None else line.impedance
    if len(node.ports) != 1 or np.ndim(resistance) > 0 or not 0.0 < float(resistance) < np.inf:
        raise NetworkError(
            "A reflectometer takes the place of a one-port node with a resistance above zero, but "
            f"{reference.node!r} is {node!r}"
        )
    return float(resistance)


def _silenced(node: Any) -> Any:
    """The same node without its waveform and its noise."""
    if isinstance(node, LinearNode) and hasattr(node, "waveform"):
        node = replace(node, waveform=Step(0.0))  # type: ignore[type-var]
    return replace(node, temperature=0.0) if getattr(node, "temperature", 0.0) else node


def _distance(network: Network, reference: PortReference, delay: np.ndarray, speed: Any) -> np.ndarray | None:
    """Metres along the lines from the port on, at each one-way delay."""
    if speed is not None and not isinstance(speed, Mapping):
        return np.asarray(delay * float(speed))
    times, places = [0.0], [0.0]
    last = None
    for name, line in _path(network, reference):
        length = getattr(line, "length", None)
        metres = speed.get(name) if speed is not None else None if length is None else length / line.delay
        if metres is None:
            break
        times.append(times[-1] + line.delay)
        places.append(places[-1] + metres * line.delay)
        last = metres
    if last is None:
        return None
    far = np.maximum(delay - times[-1], 0.0) * last
    return np.asarray(np.interp(delay, times, places) + far)


def _path(network: Network, reference: PortReference) -> list[tuple[str, Any]]:
    """Lines met on the way from a port; at a branch the first one described."""
    found: list[tuple[str, Any]] = []
    here, used = reference, set()
    while True:
        ports = [here, *(PortReference(here.node, p.name) for p in network.nodes[here.node].ports)]
        step = next(
            (
                c
                for port in ports
                for c in network.connections.values()
                if c.name not in used and port in (c.first, c.second)
            ),
            None,
        )
        if step is None:
            return found
        used.add(step.name)
        if step.line is not None:
            found.append((step.name, step.line))
        here = step.second if step.first.node == here.node else step.first
