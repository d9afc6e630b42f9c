"""The circuit part of a network -> groups of clusters: finds clusters, collapses them, folds in line losses."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from substrate.clusters import Cluster, collapse
from substrate.errors import CompileError
from substrate.fluctuations import with_noise
from substrate.network import Connection, Line, Network, PortReference
from substrate.nodes.linear import Drive, LinearNode, Scattering
from substrate.nodes.nonlinear import Element
from substrate.noise.switch import NoiseSettings
from substrate.nonlinear_clusters import impedances, is_inner, opened, with_inner
from substrate.nonlinear_plan import NonlinearGroup, nonlinear_group
from substrate.plan import ClusterGroup, LineEnd, LineRows, ScaledDrive


@dataclass
class Circuit:
    """What compiling the circuit part of a network yields."""

    groups: list[ClusterGroup] = field(default_factory=list)
    nonlinear: list[NonlinearGroup] = field(default_factory=list)
    drives: list[ScaledDrive] = field(default_factory=list)  # waveforms first, then white noise
    observed: dict[PortReference, int] = field(default_factory=dict)  # port -> first of its two observed rows
    impedances: dict[PortReference, Any] = field(default_factory=dict)  # of the observed ports, ohm
    rows: int = 0  # that clusters observe, for probes and for the books of lines with hidden waves


def is_circuit(network: Network, name: str) -> bool:
    """Whether a node belongs to the circuit part: small, one channel a port."""
    return network.nodes[name].law in ("linear", "nonlinear")


def compile_circuit(
    network: Network,
    ends: dict[PortReference, LineEnd],
    lines: Sequence[LineRows],
    dt: float,
    reference_power: float,
    watched: Sequence[PortReference],
    noise: NoiseSettings | None = None,
) -> Circuit:
    """Collapse all circuit nodes of ``network``; ``ends`` says at which line end each port lies; see
    :class:`Circuit`."""
    builder = _CircuitBuilder(network, ends, lines, dt, reference_power, set(watched), noise or NoiseSettings())
    return builder.build()


class _CircuitBuilder:
    """Holds what the stages of compiling a circuit share."""

    def __init__(
        self,
        network: Network,
        ends: dict[PortReference, LineEnd],
        lines: Sequence[LineRows],
        dt: float,
        reference_power: float,
        watched: set[PortReference],
        noise: NoiseSettings,
    ) -> None:
        self.network, self.ends, self.lines, self.dt = network, ends, lines, dt
        self.reference_power, self.watched, self.noise = reference_power, watched, noise
        self.memory: dict[Any, Scattering] = {}
        self.alike: dict[Any, _Placed] = {}  # nodes that stand alone, by all that their matrix depends on
        self.circuit = Circuit()
        self.joints: dict[PortReference, PortReference] = {}
        self.line_of: dict[PortReference, Line] = {}
        for c in network.connections.values():
            if c.line is None:
                self.joints[c.first], self.joints[c.second] = c.second, c.first
                self._refuse_mixed(c)
            else:
                self.line_of[c.first] = self.line_of[c.second] = c.line

    def build(self) -> Circuit:
        """Collapse every cluster and group them by shape."""
        by_shape: dict[Any, list[_Placed]] = {}
        drives: list[ScaledDrive] = []  # in the order of the network: probes, which regroup clusters, move no noise
        for names in self._components():
            try:
                placed = self._place(names)
            except ValueError as error:  # arrays of different lengths, or numbers that are none
                raise CompileError(
                    f"The numbers of {', '.join(names[:4])} and the lines there do not fit together ({error}); give "
                    "finite single numbers, or one for each sample of the batch"
                ) from error
            batched = placed.matrix.shape[0] if placed.matrix.shape[0] > 1 else 1
            key = (*placed.cluster.shape[:2], len(placed.drives), placed.cluster.observed, placed.metered, batched)
            kinds = tuple(element.kind for element in placed.elements)
            by_shape.setdefault((*key, kinds), []).append(placed)
            drives += placed.drives
        waves = [drive for drive in drives if drive.drive.waveform is not None]
        self.circuit.drives = waves + [drive for drive in drives if drive.drive.waveform is None]
        row = {id(drive): index for index, drive in enumerate(self.circuit.drives)}
        seen = 0
        for group in by_shape.values():
            linear = _group(group, row, seen)
            if group[0].elements:
                members = [(placed.elements, placed.labels, placed.impedances) for placed in group]
                self.circuit.nonlinear.append(nonlinear_group(linear, members))
            else:
                self.circuit.groups.append(linear)
            for placed in group:
                for index, port in enumerate(placed.watched):
                    self.circuit.observed[port] = seen + 2 * index
                seen += placed.cluster.observed
        self.circuit.rows = seen
        return self.circuit

    def _refuse_mixed(self, connection: Connection) -> None:
        kinds = [is_circuit(self.network, port.node) for port in (connection.first, connection.second)]
        if kinds[0] != kinds[1]:
            raise CompileError(
                f"{connection.first} and {connection.second} are joined without delay, but only one of them is a "
                "circuit node; put a line between them"
            )

    def _components(self) -> list[list[str]]:
        """Names of the nodes of each cluster, in the order of the network."""
        found, done = [], set()
        for name, node in self.network.nodes.items():
            if name in done or not is_circuit(self.network, name):
                continue
            names, frontier = [name], [(name, node)]
            done.add(name)
            while self.joints and frontier:
                here, part = frontier.pop()
                for port in part.ports:
                    other = self.joints.get(PortReference(here, port.name))
                    if other is not None and other.node not in done:
                        done.add(other.node)
                        names.append(other.node)
                        frontier.append((other.node, self.network.nodes[other.node]))
            found.append(names)
        return found

    def _place(self, names: list[str]) -> "_Placed":
        """Collapse one cluster and fold the passes of its lines into its matrix; once for nodes that are alike."""
        node = self.network.nodes[names[0]]
        ports = [PortReference(names[0], port.name) for port in node.ports]
        if any(port in self.watched or port in self.joints for port in ports) or getattr(node, "hidden", False):
            return self._collapsed(names)
        ends = [self.ends[port] for port in ports]
        at = [(self.lines[end.line], end.side) for end in ends]
        try:
            key = (
                node,
                *[(line.impedance, line.gains[side], line.sigmas[side], line.temperature) for line, side in at],
            )
            twin = self.alike.get(key)
        except TypeError:  # a node or line that holds arrays has no hash
            return self._collapsed(names)
        if twin is None:
            twin = self._collapsed(names)
            if twin.drives:  # each source of noise is its own
                return twin
            self.alike[key] = twin
        return replace(twin, name=names[0], ends=ends)

    def _collapsed(self, names: list[str]) -> "_Placed":
        """As :meth:`_place`, whatever the nodes."""
        references = [reference for n in names for reference in with_inner(n, self.network.nodes[n])]
        number = {reference: index for index, reference in enumerate(references)}
        z = self._impedances([r for r in references if not is_inner(r)])
        parts = []
        for name in names:
            node = self.network.nodes[name]
            assert isinstance(node, LinearNode)
            node.refuse(name)
            parts.append(self._scattering(node, tuple(z[PortReference(name, port.name)] for port in node.ports)))
        joints = [
            (number[r], number[self.joints[r]])
            for r in references
            if r in self.joints and number[r] < number[self.joints[r]]
        ]
        watched = [r for r in references if r in self.watched]
        self.circuit.impedances.update({r: z[r] for r in watched})
        metered = [r for r in references if getattr(self.network.nodes[r.node], "hidden", False)]
        seen = [number[r] for r in watched + metered]
        cluster = collapse(parts, joints, seen, "Cluster of " + ", ".join(names[:4]))
        ends = [self.ends[r] for r in references if r in self.ends]
        cluster, elements, labels = opened(
            cluster, [r for r in references if r not in self.joints], self.network.nodes, self.reference_power
        )
        return replace(
            self._folded(names[0], cluster, ends, watched),
            metered=2 * len(metered),
            elements=elements,
            labels=labels,
            impedances=impedances(labels, elements, z),
        )

    def _scattering(self, node: LinearNode, z: tuple[Any, ...]) -> Scattering:
        """The node's matrix, computed once for equal nodes at equal impedances."""
        try:
            key = (node, z)
            if key not in self.memory:
                self.memory[key] = with_noise(node, node.scattering(z, self.dt), self.noise)
            return self.memory[key]
        except TypeError:  # a node that holds arrays has no hash
            return with_noise(node, node.scattering(z, self.dt), self.noise)

    def _impedances(self, references: list[PortReference]) -> dict[PortReference, Any]:
        """Of every port: its line's, or for a direct joint one that either side would choose."""
        z: dict[PortReference, Any] = {r: self.line_of[r].impedance for r in references if r in self.line_of}
        around = [value for value in z.values() if np.ndim(value) == 0]
        middle = float(np.exp(np.mean(np.log(around)))) if around else 50.0
        for r in references:
            if r not in z:
                sides = (r, self.joints[r])
                chosen = [self._preferred(side) for side in sides]
                z[sides[0]] = z[sides[1]] = next((value for value in chosen if value), middle)
        return z

    def _preferred(self, reference: PortReference) -> float | None:
        node = self.network.nodes[reference.node]
        assert isinstance(node, LinearNode)
        index = [port.name for port in node.ports].index(reference.port)
        return node.preferred_impedance(index, self.dt)

    def _folded(self, name: str, cluster: Cluster, ends: list[LineEnd], watched: list[PortReference]) -> "_Placed":
        """Multiply departing rows by the passes of their lines, and give warm lines their noise."""
        batch = max(np.size(self.lines[end.line].gains[end.side]) for end in ends) if ends else 1
        gains = [np.broadcast_to(self.lines[end.line].gains[end.side], batch) for end in ends]
        root = 1.0 / np.sqrt(self.reference_power)
        drives = [ScaledDrive(drive, 1.0 if drive.waveform is None else root) for drive in cluster.drives]
        matrix = cluster.matrix
        if any(np.any(gain != 1.0) for gain in gains):
            dtype = np.result_type(matrix, *gains)
            matrix = np.broadcast_to(matrix, (max(batch, matrix.shape[0]), *matrix.shape[1:])).astype(dtype)
            for port, gain in enumerate(gains):
                matrix[:, port] *= gain[:, None]
        for port, end in enumerate(ends):
            line = self.lines[end.line]
            kelvin = self.noise.level(line.temperature)
            if kelvin > 0.0 and np.any(np.abs(gains[port]) < 1.0):
                column = np.zeros((*matrix.shape[:2], 1), matrix.dtype)
                column[:, port, 0] = np.sqrt(1.0 - np.abs(gains[port]) ** 2)
                matrix = np.concatenate([matrix, column], axis=2)
                drives.append(ScaledDrive(Drive(temperature=kelvin, of_line=True), 1.0))
        weights = [float(1.0 / np.mean(np.abs(gain) ** 2) - 1.0) for gain in gains]
        return _Placed(name, cluster, matrix, ends, weights, drives, watched, cluster.initial * root)


@dataclass(eq=False)
class _Placed:
    """A collapsed cluster at its place in the network."""

    name: str
    cluster: Cluster
    matrix: np.ndarray
    ends: list[LineEnd]
    weights: list[float]
    drives: list[ScaledDrive]
    watched: list[PortReference]
    initial: np.ndarray
    metered: int = 0
    elements: tuple[Element, ...] = ()
    labels: tuple[str, ...] = ()  # the nodes of the elements
    impedances: tuple[Any, ...] = ()  # at the elements, ohm


def _group(members: list[_Placed], row: dict[int, int], seen: int) -> ClusterGroup:
    """Clusters of one shape as arrays; equal matrices are kept once."""
    unique: dict[bytes, int] = {}
    which: list[int] = []
    kept: list[np.ndarray] = []
    own: list[np.ndarray] = []
    dtype = np.result_type(*[p.matrix.dtype for p in members])
    known: dict[int, int] = {}  # the same array, without looking at its numbers
    for placed in members:
        if id(placed.matrix) not in known:
            key = placed.matrix.tobytes() + bytes(placed.matrix.dtype.char, "ascii")
            if key not in unique:
                unique[key] = len(kept)
                kept.append(placed.matrix.astype(dtype))
                own.append(placed.cluster.own)
            known[id(placed.matrix)] = unique[key]
        which.append(known[id(placed.matrix)])
    ports, states, _, observed = members[0].cluster.shape
    count, sources = len(members), len(members[0].drives)
    batch = max(p.initial.shape[0] for p in members)
    initial = np.stack([np.broadcast_to(p.initial, (batch, states)) for p in members])
    return ClusterGroup(
        names=tuple(p.name for p in members),
        matrices=np.stack(kept),
        which=np.array(which, np.int32),
        ports=ports,
        lines=np.array([[end.line for end in p.ends] for p in members], np.int32).reshape(count, ports),
        sides=np.array([[end.side for end in p.ends] for p in members], np.int8).reshape(count, ports),
        weights=np.array([p.weights for p in members]).reshape(count, ports),
        energy=np.stack([p.cluster.energy for p in members]),
        initial=np.moveaxis(initial, 1, 2),
        inputs=np.array([[row[id(d)] for d in p.drives] for p in members], np.int32).reshape(count, sources),
        observed=seen + np.arange(count * observed, dtype=np.int32).reshape(count, observed),
        own=np.stack(own),
        metered=members[0].metered,
    )
