"""Other numbers in a compiled circuit, in its tunable nodes and its lasers, without compiling again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from substrate.network import Network
from substrate.nodes.linear import Memoryless
from substrate.plan import ClusterGroup, LineRows, Plan, State
from substrate.waveforms import Step

Z = 50.0  # ohm of every waveguide; the nodes here are matched to any
SAME = 1e-12  # by how much a matrix may differ from the compiled one and still be the node's own


def side_by_side(network: Network, names: Sequence[str], values: Mapping[str, float]) -> Any:
    """Nodes of one class as a single node with arrays in its fields, with ``values`` of ``"node.field"`` in place."""
    nodes: list[Any] = [network.nodes[name] for name in names]
    stacked: dict[str, Any] = {}
    for about in fields(nodes[0]):
        column = [
            values.get(f"{name}.{about.name}", getattr(node, about.name))
            for name, node in zip(names, nodes, strict=True)
        ]
        if isinstance(column[0], tuple):
            stacked[about.name] = tuple(np.array(part, float) for part in zip(*column, strict=True))
        elif about.name != "temperature":
            stacked[about.name] = np.array(column, float)
    return replace(nodes[0], **stacked)


def matrices(node: Any) -> np.ndarray:
    """Scattering ``[nodes, ports, ports]`` of a node that holds arrays."""
    ports = len(node.ports)
    law = node.matrix((Z,) * ports) if isinstance(node, Memoryless) else node.scattering((Z,) * ports, 1.0).matrix
    return np.asarray(law, complex).reshape(-1, *np.shape(law)[-2:])[:, :ports, :ports]


class Retuner:
    """A plan whose tunable ``nodes`` each stand alone between lines, and whose ``lasers`` hold a wave.

    ``lasers`` are names of nodes with a :class:`Step` of their own as waveform. Made by :func:`retuner`.
    """

    def __init__(self, plan: Plan, network: Network, nodes: Sequence[str], lasers: Mapping[str, Step]) -> None:
        self.network = network
        self.at = _places(plan)
        kinds: dict[type, list[str]] = {}
        for name in nodes:
            kinds.setdefault(type(network.nodes[name]), []).append(name)
        self.kinds = list(kinds.values())
        self.plan = replace(plan, clusters=tuple(_apart(group) for group in plan.clusters))
        self.drive = {
            name: next(i for i, d in enumerate(plan.drives) if d.drive.waveform is wave)
            for name, wave in lasers.items()
        }
        self.gains = {name: [line.gains[side] for line, side in self._ends(name)] for name in nodes}
        self.heard = (*nodes, *lasers)
        self._lay_out([self._ends(name) for name in self.heard])

    def fits(self, values: Mapping[str, float]) -> bool:
        """Whether the matrices made here from ``values`` are those of the compiled plan."""
        if any(np.ndim(gain) for gains in self.gains.values() for gain in gains):  # each sample has its own
            return False
        for name, matrix in self._matrices(values):
            g, row = self.at[name]
            compiled = self.plan.clusters[g].matrices[row]
            if compiled.shape != (1, *matrix.shape) or np.abs(compiled[0] - matrix).max() > SAME:
                return False
        return True

    def retuned(self, values: Mapping[str, float], sent: Mapping[str, np.ndarray]) -> Plan:
        """The plan with these numbers in its tunable nodes and these waves ``[batch]`` (sqrt(W)) in its lasers."""
        changed: dict[int, np.ndarray] = {}
        for name, matrix in self._matrices(values):
            g, row = self.at[name]
            if g not in changed:
                changed[g] = self.plan.clusters[g].matrices.copy()
            changed[g][row, 0] = matrix
        clusters = [replace(c, matrices=changed[g]) if g in changed else c for g, c in enumerate(self.plan.clusters)]
        drives = list(self.plan.drives)
        for name, wave in sent.items():
            i = self.drive[name]
            drives[i] = replace(drives[i], drive=replace(drives[i].drive, waveform=Step(wave)))
        return replace(self.plan, clusters=tuple(clusters), drives=tuple(drives))

    def arriving(self, state: State, to_host: Any, batch: int) -> dict[str, np.ndarray]:
        """The waves ``[ports, batch]`` that reach each tunable node and laser in the next step, complex."""
        lap, cell = np.divmod(state.step, self._steps)
        plane = self._side ^ (lap & 1)
        waves = to_host(state.arena).reshape(len(state.arena), -1, batch)[:, self._first + plane * self._stride + cell]
        return dict(zip(self.heard, np.split(waves[0] + 1j * waves[1], self._cuts), strict=True))

    def _lay_out(self, ends: list[list[tuple[LineRows, int]]]) -> None:
        """Where the waves at all these ends lie in the arena, so that all are read at once."""
        rows = np.array([c.rows for c in self.plan.classes])
        steps = np.array([c.steps for c in self.plan.classes])
        start = np.cumsum([0, *(2 * rows * steps)])
        flat = [end for of_node in ends for end in of_node]
        kind = np.array([line.delay_class for line, _ in flat])
        self._steps, self._side = steps[kind], np.array([side for _, side in flat])
        self._stride = rows[kind] * self._steps  # from plane to plane
        self._first = start[kind] + np.array([line.row for line, _ in flat]) * self._steps
        self._cuts = np.cumsum([len(of_node) for of_node in ends])[:-1]

    def _ends(self, name: str) -> list[tuple[LineRows, int]]:
        """The lines at a node's ports, and which side of each is there."""
        g, row = self.at[name]
        group = self.plan.clusters[g]
        return [(self.plan.lines[i], s) for i, s in zip(group.lines[row], group.sides[row].tolist(), strict=True)]

    def _matrices(self, values: Mapping[str, float]) -> Iterator[tuple[str, np.ndarray]]:
        """Each tunable node's matrix, the passes of its lines in it."""
        for names in self.kinds:
            for name, matrix in zip(names, matrices(side_by_side(self.network, names, values)), strict=True):
                yield name, np.array(self.gains[name])[:, None] * matrix


def retuner(
    plan: Plan, network: Network, nodes: Sequence[str], lasers: Mapping[str, Step], values: Mapping[str, float]
) -> Retuner | None:
    """A :class:`Retuner`, or None where a matrix holds more than its node: joined without delay, or with noise.

    ``values`` are the numbers that the plan was compiled with.
    """
    if not _places(plan).keys() >= {*nodes, *lasers}:
        return None
    made = Retuner(plan, network, nodes, lasers)
    return made if made.fits(values) else None


def _places(plan: Plan) -> dict[str, tuple[int, int]]:
    """Group and row of the cluster of each node that is the first of one."""
    return {name: (g, row) for g, group in enumerate(plan.clusters) for row, name in enumerate(group.names)}


def _apart(group: ClusterGroup) -> ClusterGroup:
    """The group with a matrix for each cluster, also where some are equal now."""
    return replace(
        group,
        matrices=group.matrices[group.which].astype(complex),
        which=np.arange(len(group.which), dtype=group.which.dtype),
        own=group.own[group.which],
    )
