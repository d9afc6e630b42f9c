"""A network at given frequencies -> equations of its waves: in continuous time, or of the plan with its time step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import CompileError, NetworkError
from substrate.frequency.equations import Term, WaveEquations
from substrate.laying import Medium, MediumNode
from substrate.network import Connection, Line, Network, PortReference, Probe
from substrate.nodes.linear import LinearNode
from substrate.plan import ClusterGroup, Plan

Entries = list[list[Term | None]]


@dataclass(frozen=True, eq=False)
class Output:
    """A wave, voltage or current at a port: ``weight_a * a + weight_b * b`` with the arriving and departing wave.

    Weights are functions of the impedance (ohm) the waves at the port are counted at, which the assembly chooses.
    """

    port: PortReference
    kind: str  # a quantity of a probe, or "into": the power wave that travels into a port of reference `resistance`
    resistance: Any = None  # ohm; None: the impedance itself

    def weights(self, z: Any) -> tuple[Any, Any]:
        """What the arriving and the departing wave are multiplied by."""
        root = np.sqrt(z)
        if self.kind == "voltage":
            return root, root
        if self.kind == "current":
            return 1.0 / root, -1.0 / root
        if self.kind == "into" and self.resistance is not None:
            r = np.asarray(self.resistance, float)
            return (root + r / root) / (2.0 * np.sqrt(r)), (root - r / root) / (2.0 * np.sqrt(r))
        return (0.0, 1.0) if self.kind == "departing" else (1.0, 0.0)


def refuse_nonlinear(network: Network) -> None:
    """Refuse nodes that have no frequency response; raises NetworkError naming the first."""
    for name, node in network.nodes.items():
        if node.law != "linear" or not isinstance(node, LinearNode):
            raise NetworkError(
                f"Node {name!r} ({type(node).__name__}) has no frequency response: only linear circuit nodes have one; "
                "use `simulate`, or replace it by its small-signal S matrix"
            )


def continuous(
    network: Network, frequencies: np.ndarray, drives: Sequence[tuple[str, Any]], outputs: Sequence[Output]
) -> np.ndarray:
    """Outputs over source inputs in continuous time, ``[frequencies, batch, outputs, inputs]``.

    A drive is ``(node, waveform)``: the source input of the node that the waveform feeds. Raises NetworkError.
    """
    return _Continuous(network, frequencies).solve(drives, outputs)


class _Continuous:
    """Numbers the waves arriving at every port of every node and writes down where each comes from."""

    def __init__(self, network: Network, frequencies: np.ndarray) -> None:
        self.network, self.frequencies = _with_media_as_nodes(network), frequencies
        network = self.network
        self.number: dict[PortReference, int] = {}
        for name, node in network.nodes.items():
            for port in node.ports:
                self.number[PortReference(name, port.name)] = len(self.number)
        self.z: dict[PortReference, Any] = {}
        self.equations = WaveEquations(len(self.number), len(frequencies))
        self.memory: dict[Any, Entries] = {}
        self.rows: dict[PortReference, tuple[list[int], list[Term | None]]] = {}  # b of a port: columns and entries
        self.source: dict[PortReference, tuple[int, Term | None]] = {}

    def solve(self, drives: Sequence[tuple[str, Any]], outputs: Sequence[Output]) -> np.ndarray:
        """See :func:`continuous`."""
        self._choose_impedances()
        column = {name: len(self.number) + index for index, (name, _) in enumerate(drives)}
        waveform = dict(drives)
        for name, node in self.network.nodes.items():
            assert isinstance(node, LinearNode)
            references = [PortReference(name, port.name) for port in node.ports]
            z = tuple(self.z[r] for r in references)
            columns = [self.number[r] for r in references]
            for reference, terms in zip(references, self._response(node, z), strict=True):
                self.rows[reference] = (columns, terms)
            if name in column:
                for reference, value in zip(references, _source_column(name, node, z, waveform[name]), strict=True):
                    self.source[reference] = (column[name], self.equations.per_sample(value))
        self._join()
        for index, output in enumerate(outputs):
            a, b = (self.equations.per_sample(w) for w in output.weights(self.z[output.port]))
            row = len(self.number) + index
            self.equations.add(row, self.number[output.port], a)
            self._departing(row, output.port, b)
        return self.equations.solve(len(drives), len(outputs))

    def _choose_impedances(self) -> None:
        """Each port counts its waves at its line's impedance; a direct joint takes that of a line beside it."""
        for connection in self.network.connections.values():
            if connection.line is not None:
                self.z[connection.first] = self.z[connection.second] = connection.line.impedance
        for name, node in self.network.nodes.items():
            if isinstance(node, MediumNode):
                for port in node.ports:
                    self.z[PortReference(name, port.name)] = node.medium.impedance
        for connection in self.network.connections.values():
            known = next((self.z[end] for end in (connection.first, connection.second) if end in self.z), None)
            if known is not None:
                self.z[connection.first] = self.z[connection.second] = known
        scalars = [float(value) for value in self.z.values() if np.ndim(value) == 0]
        middle = float(np.exp(np.mean(np.log(scalars)))) if scalars else 50.0
        for reference in self.number:
            self.z.setdefault(reference, middle)

    def _response(self, node: LinearNode, z: tuple[Any, ...]) -> Entries:
        """Entries of a node's matrix, computed once for equal nodes at equal impedances."""
        key = (node, z)
        try:
            if key in self.memory:
                return self.memory[key]
        except TypeError:  # a node that holds arrays has no hash
            return self._entries(node.response(z, self.frequencies))
        return self.memory.setdefault(key, self._entries(node.response(z, self.frequencies)))

    def _entries(self, response: np.ndarray) -> Entries:
        ports = response.shape[-1]
        return [[self.equations.term(response[..., i, j]) for j in range(ports)] for i in range(ports)]

    def _join(self) -> None:
        """What arrives at a port is what left the other end, after a pass of the line."""
        passes: dict[Any, tuple[Term | None, Term | None]] = {}
        joined: set[PortReference] = set()
        for connection in self.network.connections.values():
            first, second = connection.first, connection.second
            joined.update((first, second))
            there: Term | None = (1.0, -1)
            back: Term | None = (1.0, -1)
            if connection.line is not None:
                key = _key(connection.line)
                if key not in passes:
                    passes[key] = self._passes(connection.line)
                there, back = passes[key]
            self._arriving(second, first, there)
            self._arriving(first, second, back)
        for reference in self.number:
            if reference not in joined:
                raise CompileError(f"Port {reference} is not connected; connect it to a line, or to a Termination")

    def _passes(self, line: Line) -> tuple[Term | None, Term | None]:
        """``gain * exp(-2 pi i f delay)``, forward and back."""
        angle = (2.0 * np.pi * line.delay) * self.frequencies
        delay = np.empty((len(angle), 1), complex)
        delay.real[:, 0], delay.imag[:, 0] = np.cos(angle), -np.sin(angle)
        turn, terms = self.equations.term(delay), []
        for gain in line.gains:
            if np.ndim(gain) == 0:
                terms.append((turn[0] * gain, turn[1]) if turn is not None else None)
            else:
                terms.append(self.equations.term(delay * np.asarray(gain)))
        return terms[0], terms[1]

    def _arriving(self, here: PortReference, there: PortReference, line: Term | None) -> None:
        """The equation of the wave that arrives ``here``, having left ``there``."""
        row = self.number[here]
        self.equations.add(row, row, (1.0, -1))
        if line is not None:
            self._departing(row, there, (-line[0], -1), line[1])

    def _departing(self, row: int, port: PortReference, factor: Term | None, line_pass: int = -1) -> None:
        """Add ``factor`` times the wave that leaves a port to a row."""
        if factor is None:
            return
        if line_pass < 0:
            line_pass = factor[1]
        columns, terms = self.rows[port]
        for column, term in zip(columns, terms, strict=True):
            self.equations.add(row, column, term, line_pass, factor[0])
        if port in self.source:
            self.equations.add(row, *self.source[port], line_pass, factor[0])


def _with_media_as_nodes(network: Network) -> Network:
    """The same network with each line that is more than a delay, a loss and a phase as a two-port node."""
    copy = Network()
    copy.nodes = dict(network.nodes)
    for name, c in network.connections.items():
        if c.line is not None and c.line.lowpass > 0.0:
            raise NetworkError(f"Line {name!r} has a lowpass, which has no frequency response; use an RLGC line")
        if c.line is not None and c.line.modulation is not None:
            raise NetworkError(f"Line {name!r} changes with time, so it has no frequency response; set modulation=None")
        if not isinstance(c.line, Medium) or c.line.is_plain:
            copy.connections[name] = c
            continue
        here = f"line {name}"  # no name that a user can give
        copy.nodes[here] = MediumNode(c.line)
        for end, port in ((c.first, "first"), (c.second, "second")):
            part = f"{here} {port}"
            copy.connections[part] = Connection(part, end, PortReference(here, port), None)
    return copy


def _key(line: Line) -> Any:
    """The line itself where it can be looked up by value, else which object it is."""
    try:
        hash(line)
    except TypeError:  # it holds arrays
        return id(line)
    return line


def _source_column(name: str, node: LinearNode, z: tuple[Any, ...], waveform: Any) -> list[Any]:
    """How much of the waveform each port of a source sends out at once, sqrt(W) per unit."""
    scattering = node.scattering(z, 1.0)
    index = next((i for i, drive in enumerate(scattering.drives) if drive.waveform is waveform), None)
    if index is None or scattering.states:
        raise NetworkError(f"Node {name!r} ({type(node).__name__}) has no plain source whose response could be found")
    column = scattering.matrix[..., : scattering.ports, scattering.ports + index]
    return [column[..., port] for port in range(scattering.ports)]


def discrete(
    network: Network, frequencies: np.ndarray, dt: float, drives: Sequence[tuple[str, Any]], outputs: Sequence[Output]
) -> np.ndarray:
    """Outputs over source inputs of the plan with time step ``dt`` (s), ``[frequencies, batch, outputs, inputs]``.

    What ``simulate`` does, step for step, in the z domain: equal to the Fourier transform of its impulse response.
    Raises NetworkError and CompileError.
    """
    probes = [Probe(str(output.port), "voltage") for output in outputs]
    plan = compile_network(network, dt, reference_power=1.0, probes=probes)
    return _Discrete(plan, frequencies).solve([waveform for _, waveform in drives], outputs)


class _Discrete:
    """The z transform of a plan: clusters as matrices of frequency, lines as whole steps."""

    def __init__(self, plan: Plan, frequencies: np.ndarray) -> None:
        self.plan = plan
        self.shift = np.exp(2j * np.pi * frequencies * plan.dt)  # z
        ports = sum(group.lines.size for group in plan.clusters)
        self.equations = WaveEquations(ports, len(frequencies))
        self.passes: dict[int, int] = {}

    def solve(self, waveforms: Sequence[Any], outputs: Sequence[Output]) -> np.ndarray:
        """See :func:`discrete`."""
        equations, n = self.equations, self.equations.unknowns
        # The wave that leaves towards (line, side) arrives at the other side; both are numbered cluster by cluster.
        ends = np.concatenate([np.stack([g.lines.ravel(), g.sides.ravel()]) for g in self.plan.clusters], axis=1)
        number = {(int(line), int(side)): index for index, (line, side) in enumerate(ends.T)}
        inputs = {self._drive(waveform): n + index for index, waveform in enumerate(waveforms)}
        wanted: dict[int, list[tuple[int, Any]]] = {}  # observed row -> output rows and weights
        for index, (output, probe) in enumerate(zip(outputs, self.plan.probes, strict=True)):
            for row, weight in zip((probe.arriving, probe.departing), output.weights(probe.scale**2), strict=True):
                wanted.setdefault(row, []).append((n + index, weight))
        for index in range(n):
            equations.add(index, index, (1.0, -1))
        first = 0
        for group in self.plan.clusters:
            entries = [self._entries(matrix, group) for matrix in group.matrices]
            for cluster, which in enumerate(group.which):
                columns: list[int | None] = [first + port for port in range(group.ports)]
                columns += [inputs.get(int(row)) for row in group.inputs[cluster]]
                first += group.ports
                rows = entries[which]
                for port in range(group.ports):
                    line, side = int(group.lines[cluster, port]), int(group.sides[cluster, port])
                    self._fill(number[line, 1 - side], columns, rows[port], self._pass(line), -1.0)
                for place, row in enumerate(group.observed[cluster]):
                    for output_row, weight in wanted.get(int(row), ()):
                        term = equations.per_sample(weight)
                        if term is not None:
                            self._fill(output_row, columns, rows[group.ports + place], term[1], term[0])
        return equations.solve(len(waveforms), len(outputs))

    def _fill(
        self, row: int, columns: Sequence[int | None], terms: list[Term | None], line: int, factor: complex
    ) -> None:
        for column, term in zip(columns, terms, strict=True):
            if column is not None:
                self.equations.add(row, column, term, line, factor)

    def _drive(self, waveform: Any) -> int:
        return next(i for i, d in enumerate(self.plan.drives) if d.drive.waveform is waveform)

    def _pass(self, line: int) -> int:
        """Table row of ``z^-steps``."""
        steps = self.plan.lines[line].steps
        if steps not in self.passes:
            self.passes[steps] = self.equations.table((self.shift**-steps)[:, None])
        return self.passes[steps]

    def _entries(self, matrix: np.ndarray, group: ClusterGroup) -> Entries:
        """Entries ``[ports + observed][ports + sources]`` of a cluster whose states are eliminated at each z."""
        ports, states = group.ports, group.energy.shape[1]
        keep_rows = [*range(ports), *range(ports + states, matrix.shape[1])]
        keep_columns = [*range(ports), *range(ports + states, matrix.shape[2])]
        direct = matrix[:, keep_rows][:, :, keep_columns]
        if states == 0:
            rows = np.moveaxis(direct, 0, 2)
            return [[self.equations.term(entry[None]) for entry in row] for row in rows]
        inner = slice(ports, ports + states)
        system = self.shift[:, None, None, None] * np.eye(states) - matrix[None, :, inner, inner]
        into = np.broadcast_to(matrix[:, inner][:, :, keep_columns], (*system.shape[:3], len(keep_columns)))
        whole = direct + matrix[:, keep_rows][:, :, inner] @ np.linalg.solve(system, into)
        return [
            [self.equations.term(whole[:, :, i, j]) for j in range(len(keep_columns))] for i in range(len(keep_rows))
        ]
