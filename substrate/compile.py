"""Network -> Plan: seconds to steps, names to indices, node laws to an ordered schedule of passes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from substrate.circuits import Circuit, compile_circuit, is_circuit
from substrate.compile_reciprocal import LAWS as RECIPROCAL_LAWS
from substrate.compile_reciprocal import reciprocal_passes
from substrate.errors import CompileError, NetworkError
from substrate.laying import LaidLine, LineAccuracy, nearest_step, whole_steps
from substrate.line_probes import places_of_lengths, plan_line_probe, refuse_twins
from substrate.locality import renumbered
from substrate.media import expand_media
from substrate.media.fractional import warn_rounding
from substrate.memory import require_memory
from substrate.network import Connection, Line, Network, PortReference, Probe
from substrate.nodes.base import Node
from substrate.nodes.optoelectronic import Optoelectronic
from substrate.noise import pass_noise_sigma, thermal_variance
from substrate.noise.switch import NoiseSettings
from substrate.plan import DelayClass, LineEnd, LineRows, Link, Pass, Plan, PlannedProbe, Signal


def compile_network(
    network: Network,
    dt: float,
    *,
    reference_power: float = 1e-3,
    probes: Sequence[Probe] = (),
    noise: Sequence[str] | None = None,
    carrier: float | None = None,
) -> Plan:
    """Compile ``network`` for time steps of ``dt`` seconds.

    ``reference_power`` (W) is the power of a wave of unit amplitude; it fixes how large thermal noise is beside the
    signals. ``noise`` are the kinds of noise that run (:data:`substrate.noise.switch.KINDS`; None: all that are
    described), ``carrier`` the optical frequency (Hz) of envelopes, which gives them a vacuum.
    Raises CompileError (line shorter than a step, unconnected port, loop without delay) and NetworkError.

    >>> from substrate.network import Line
    >>> from substrate.nodes import Termination
    >>> net = Network()
    >>> net.connect(net.add(Termination(), "left"), net.add(Termination(), "right"), Line(delay=1e-9), "w1")
    >>> compile_network(net, dt=1e-10).block
    10
    """
    if not (np.isfinite(dt) and dt > 0.0):
        raise CompileError(f"The time step must be above zero seconds, but dt={dt!r}")
    if not (np.isfinite(reference_power) and reference_power > 0.0):
        raise CompileError(f"The reference power must be above zero watts, but reference_power={reference_power!r}")
    _refuse_huge(network, dt)
    probes = places_of_lengths(network, probes)
    laid, accuracies = expand_media(network, dt)
    settings = NoiseSettings.of(noise, carrier)
    return _Compiler(laid, dt, reference_power, probes, accuracies, settings).plan()


def _refuse_huge(network: Network, dt: float) -> None:
    """Refuse lines whose cells alone would fill the machine."""
    lines = [(c.line, network.channels(c.first)) for c in network.connections.values() if c.line is not None]
    cells = sum((line.delay + max(line.skew, default=0.0)) / dt * channels for line, channels in lines)
    require_memory(16.0 * cells, f"{len(lines)} lines of {cells:.3g} steps together", "raise dt, or shorten the lines")


class _Compiler:
    """Holds what the stages of one compilation share."""

    def __init__(
        self,
        network: Network,
        dt: float,
        reference_power: float,
        probes: Sequence[Probe],
        accuracies: dict[str, LineAccuracy],
        noise: NoiseSettings,
    ) -> None:
        self.accuracies, self.noise = accuracies, noise
        self.network, self.dt, self.reference_power, self.probes = network, dt, reference_power, probes
        self.signals: list[Signal] = []
        self.arriving: dict[PortReference, int] = {}
        self.departing: dict[PortReference, int] = {}
        self.arrivals: list[tuple[LineEnd, int]] = []
        self.departures: list[tuple[LineEnd, int]] = []
        self.lines: list[LineRows] = []
        self.rows: dict[tuple[int, bool], int] = {}  # delay in steps, whether hidden -> rows used so far
        self.noise_sources = 0
        self.ends: dict[PortReference, LineEnd] = {}  # where the ports of the circuit part lie
        self.joined: set[PortReference] = set()  # ports of the circuit part joined without delay
        self.wide = [name for name in network.nodes if not is_circuit(network, name)]
        refuse_twins(probes)

    def plan(self) -> Plan:
        """Run every stage."""
        for connection in self.network.connections.values():
            if connection.line is not None:
                self._lay_line(connection)
            elif not is_circuit(self.network, connection.first.node):
                self._join(connection)
            else:
                self.joined.update((connection.first, connection.second))
        self._refuse_open_ports()
        delays = sorted(self.rows)
        number = {key: index for index, key in enumerate(delays)}
        lines = tuple(replace(line, delay_class=number[line.steps, line.hidden]) for line in self.lines)
        watched = [self.network.reference(probe.at) for probe in self.probes if not probe.in_line]
        circuit = compile_circuit(self.network, self.ends, lines, self.dt, self.reference_power, watched, self.noise)
        circuit.groups, lines = renumbered(circuit.groups, lines)
        probes = tuple(self._planned_probe(probe, circuit) for probe in self.probes)
        passes = self._passes()
        outside = [probe for probe in probes if not probe.in_cluster and probe.line < 0]
        needed = {signal for probe in outside for signal in (probe.arriving, probe.departing)}
        passes = _absorb_early(passes, needed, [self.network.nodes[name] for name in self.wide])
        passes = _in_order(passes, {signal for _, signal in self.arrivals}, self.wide)
        self._mark_steady(passes)
        return Plan(
            dt=self.dt,
            reference_power=self.reference_power,
            node_names=tuple(self.wide),
            nodes=tuple(self.network.nodes[name] for name in self.wide),
            classes=tuple(DelayClass(steps, self.rows[steps, hidden], hidden) for steps, hidden in delays),
            lines=lines,
            signals=tuple(self.signals),
            arrivals=tuple(self.arrivals),
            passes=tuple(passes),
            departures=tuple(self.departures),
            probes=probes,
            parameters=self.network.parameters(),
            clusters=tuple(circuit.groups),
            nonlinear=tuple(circuit.nonlinear),
            drives=tuple(circuit.drives),
            drive_noise_source=self._noise_source(),
            observed=circuit.rows,
            links=self._links(),
            accuracies=self.accuracies,
            noise=self.noise,
        )

    def _links(self) -> tuple[Link, ...]:
        """Photodiodes and modulators at their lines; raises CompileError where one is joined without delay."""
        found = []
        for name, node in self.network.nodes.items():
            if isinstance(node, Optoelectronic):
                ports = {port.name: PortReference(name, port.name) for port in node.ports}
                for port in ports.values():
                    if port not in self.ends:
                        raise CompileError(
                            f"{port} needs a plain line of whole steps; what it does takes a step at least"
                        )
                listening = next(port for port in ports if port not in node.carries)
                ends = [self.ends[ports[port]] for port in (listening, *node.carries)]
                found.append(Link(node, tuple(ends)))
        return tuple(found)

    def _signal(self, label: str, channels: int) -> int:
        self.signals.append(Signal(label, channels))
        return len(self.signals) - 1

    def _noise_source(self) -> int:
        self.noise_sources += 1
        return self.noise_sources - 1

    def _join(self, connection: Connection) -> None:
        channels = self.network.channels(connection.first)
        for here, there in ((connection.first, connection.second), (connection.second, connection.first)):
            signal = self._signal(f"{here} -> {there}", channels)
            self.departing[here] = signal
            self.arriving[there] = signal

    def _lay_line(self, connection: Connection) -> None:
        line, channels = connection.line, self.network.channels(connection.first)
        assert line is not None
        steps = whole_steps(f"Line {connection.name!r}", line.delay, self.dt)
        error = warn_rounding(connection.name, line.delay / self.dt, steps, stacklevel=6)
        gains = line.gains
        sigma = (self._sigma(gains[0], line.temperature), self._sigma(gains[1], line.temperature))
        hidden = isinstance(line, LaidLine) and line.hidden
        row = self.rows.get((steps, hidden), 0)
        self.rows[steps, hidden] = row + channels
        ports = (connection.first, connection.second)
        wide = [not is_circuit(self.network, port.node) for port in ports]
        sources = (self._noise_source(), self._noise_source()) if any(wide) else (0, 0)
        z = line.impedance
        skew = _skew(connection, channels, wide, self.dt)
        share = 1.0 if line.lowpass == 0.0 else float(-np.expm1(-self.dt / line.lowpass))
        self.lines.append(
            LineRows(
                connection.name, -1, row, channels, steps, gains, sigma, sources, error, z, line.temperature, share,
                hidden, line.modulation, skew, _charge(line, self.reference_power),
            )
        )  # fmt: skip
        for side, port in enumerate(ports):
            end = LineEnd(len(self.lines) - 1, side)
            if not wide[side]:
                if share < 1.0:
                    raise CompileError(
                        f"Line {connection.name!r} has a lowpass, which works at layers, not at {port.node!r}; "
                        "use an RLGC line there"
                    )
                self.ends[port] = end
                continue
            if np.iscomplexobj(gains[side]) or np.size(gains[side]) > 1:
                raise CompileError(
                    f"Line {connection.name!r} turns phases, but {port.node!r} works with real waves; "
                    "leave phase at zero"
                )
            self.arriving[port] = self._signal(f"{port} arriving", channels)
            self.departing[port] = self._signal(f"{port} departing", channels)
            self.arrivals.append((end, self.arriving[port]))
            self.departures.append((end, self.departing[port]))

    def _sigma(self, gain: Any, temperature: float) -> float:
        """Rms of the thermal noise that one pass adds."""
        if temperature == 0.0 or "thermal" not in self.noise.kinds:
            return 0.0
        size = min(1.0, float(np.mean(np.abs(gain))))
        return float(pass_noise_sigma(size, temperature, self.dt, self.reference_power))

    def _refuse_open_ports(self) -> None:
        for name, node in self.network.nodes.items():
            for port in node.ports:
                reference = PortReference(name, port.name)
                if reference not in self.arriving and reference not in self.ends and reference not in self.joined:
                    raise CompileError(
                        f"Port {name}.{port.name} is not connected; connect it to a line, or to a Termination"
                    )

    def _planned_probe(self, probe: Probe, circuit: Circuit) -> PlannedProbe:
        if probe.in_line:
            return plan_line_probe(self.network, self.lines, probe, self.dt, self.reference_power)
        port = self.network.reference(probe.at)
        if port.port in getattr(self.network.nodes[port.node], "carries", ()):
            raise NetworkError(
                f"Probe at {probe.at!r}: what leaves there is made after the step; probe the other end of its line"
            )
        if port in circuit.observed:
            row = circuit.observed[port]
            waves, z = (row, row + 1, True), circuit.impedances[port]
        else:
            waves, z = (self.arriving[port], self.departing[port], False), self._impedance(port)
        power = self.reference_power
        scale = {"voltage": np.sqrt(z * power), "current": np.sqrt(power / z), "power": power}.get(probe.quantity, 1.0)
        return PlannedProbe(probe.label, probe.quantity, probe.reduce, *waves, scale, probe)

    def _impedance(self, port: PortReference) -> float:
        """Of the line at a wide port; a port joined directly has no impedance of its own, so 50 ohm by convention."""
        connection = next(c for c in self.network.connections.values() if port in (c.first, c.second))
        return 50.0 if connection.line is None else connection.line.impedance

    def _passes(self) -> list[Pass]:
        passes: list[Pass] = []
        for index, name in enumerate(self.wide):
            node = self.network.nodes[name]
            a = [self.arriving[PortReference(name, port.name)] for port in node.ports]
            b = [self.departing[PortReference(name, port.name)] for port in node.ports]
            if node.law in ("source", "termination", "load"):
                kelvin = getattr(node, "temperature", 0.0) if "thermal" in self.noise.kinds else 0.0
                sigma = float(np.sqrt(thermal_variance(kelvin, self.dt, self.reference_power)))
                inputs = (a[0],) if node.law == "load" else ()
                passes.append(Pass(node.law, index, inputs, b[0], sigma, self._noise_source()))
                passes.append(Pass("absorb", index, (a[0],)))
            elif node.law == "weights":
                passes.append(Pass("weights_forward", index, (a[0],), b[1], *self._amplifier(node)))
                passes.append(Pass("weights_backward", index, (a[1],), b[0], *self._amplifier(node)))
                passes.append(Pass("weights_port", index, (a[0], a[1]), memory=self._echo(name)))
            elif node.law == "activation":
                passes.append(Pass("activation_forward", index, (a[0],), b[1]))
                echo = self._echo(name)
                passes.append(Pass("activation_backward", index, (a[0], b[1], a[1]), b[0], memory=echo))
            elif node.law in RECIPROCAL_LAWS:
                passes += reciprocal_passes(self.network, name, index, self.arriving, self.departing)
            else:
                raise CompileError(f"Node {name!r}: no schedule is known for the law {node.law!r}")
        return passes

    def _amplifier(self, node: Node) -> tuple[float, int]:
        """Rms of what the amplifiers at a mesh's outputs add, and the generator that draws it."""
        kelvin = getattr(node, "noise_temperature", 0.0)
        if kelvin == 0.0:
            return 0.0, -1
        sigma = np.sqrt(thermal_variance(kelvin, self.dt, self.reference_power))
        return float(sigma) * ("amplifier" in self.noise.kinds), self._noise_source()

    def _echo(self, name: str) -> int:
        """Steps from a node to the load and back, for a node with memory; 0 without. Raises CompileError."""
        if not getattr(self.network.nodes[name], "memory", False):
            return 0
        steps, here = 0, name
        after = {c.first.node: c for c in self.network.connections.values()}
        ends = ("load", "termination", "linear")
        while here in after and self.network.nodes[here].law not in ends:
            connection = after.pop(here)
            if connection.line is not None:
                steps += next(line.steps for line in self.lines if line.name == connection.name)
            here = connection.second.node
        if self.network.nodes[here].law not in ends:
            raise CompileError(f"Node {name!r} has a memory, but no load lies behind it to send an echo back")
        return 2 * steps

    def _mark_steady(self, passes: list[Pass]) -> None:
        noisy = {signal for step in passes if step.sigma > 0.0 for signal in step.inputs}
        for step in passes:
            held = step.kind in ("source", "ideal_source") and step.sigma == 0.0 and step.output not in noisy
            passed_on = step.kind in ("weights_forward", "activation_forward") and self.signals[step.inputs[0]].steady
            if held or (passed_on and step.sigma == 0.0):
                self.signals[step.output] = replace(self.signals[step.output], steady=True)


def _skew(connection: Connection, channels: int, wide: Sequence[bool], dt: float) -> tuple[int, ...]:
    """Steps by which each channel of a bundle lags, to the nearest; raises CompileError where it is none."""
    line = connection.line
    if line is None or not len(line.skew):
        return ()
    if not all(wide):
        raise CompileError(f"Line {connection.name!r} is no bundle of layers, so it has no skew; lengthen its delay")
    if len(line.skew) != channels:
        raise CompileError(
            f"Line {connection.name!r} has {channels} channels, but skew has {len(line.skew)} entries; give one of each"
        )
    return tuple(nearest_step(lag, dt) for lag in line.skew)


def _charge(line: Line, reference_power: float) -> np.ndarray | None:
    """Amplitudes in a line's cells at time zero."""
    charge = line.charge if isinstance(line, LaidLine) else None
    return None if charge is None else np.asarray(charge) / np.sqrt(reference_power)


def _absorb_early(passes: list[Pass], probed: set[int], nodes: Sequence[Node]) -> list[Pass]:
    """Absorb a returning wave where it enters a zero-delay cluster that only leads it into a matched source.

    Inside such a cluster the split between mesh and source cannot be seen from outside, and computing it would cost a
    matrix product per step. A mesh with sensing taps keeps its pass, for its ports absorb part of the wave; so does one
    with noise.
    """
    producers = {step.output: position for position, step in enumerate(passes) if step.output >= 0}
    consumers: dict[int, int] = {}
    for step in passes:
        for signal in step.inputs:
            consumers[signal] = consumers.get(signal, 0) + 1
    passes = list(passes)
    dropped: set[int] = set()
    for position, step in enumerate(passes):
        while step.kind == "absorb" and step.inputs[0] in producers:
            producer = producers[step.inputs[0]]
            source = passes[producer]
            tapped = getattr(nodes[source.node], "tap", 0.0) > 0.0 or source.sigma > 0.0
            if source.kind not in ("weights_backward", "activation_backward") or tapped or consumers[source.output] > 1:
                break
            if source.output in probed:
                passes[producer] = replace(source, booked=False)
            else:
                dropped.add(producer)
            step = replace(step, inputs=(source.inputs[-1],))
            passes[position] = step
    return [step for position, step in enumerate(passes) if position not in dropped]


def _in_order(passes: list[Pass], ready: set[int], names: Sequence[str]) -> list[Pass]:
    """Order passes so that every input is computed before it is used; refuse loops without delay."""
    ready, ordered, waiting = set(ready), [], list(passes)
    while waiting:
        runnable = [step for step in waiting if ready.issuperset(step.inputs)]
        if not runnable:
            loop = ", ".join(dict.fromkeys(names[step.node] for step in waiting))
            raise CompileError(f"Nodes {loop} form a loop without delay; put a line somewhere between them")
        ordered += runnable
        ready.update(output for step in runnable for output in (step.output, step.second))
        waiting = [step for step in waiting if step not in runnable]
    return ordered
