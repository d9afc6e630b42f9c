"""Other numbers in a compiled circuit, in its tunable nodes and its lasers, without compiling again."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from substrate.network import Network
from substrate.nodes.linear import Memoryless
from substrate.plan import ClusterGroup, LineRows, Plan, State, wave_segments
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

    ``lasers`` are names of nodes with a :class:`Step` of their own as waveform. :attr:`fits` tells whether the plan is
    such a one; where nodes are joined without delay, or make noise, a matrix holds more than its node.
    """

    def __init__(self, plan: Plan, network: Network, nodes: Sequence[str], lasers: Mapping[str, Step]) -> None:
        self.network, self.lasers = network, dict(lasers)
        self.at = {name: (g, row) for g, group in enumerate(plan.clusters) for row, name in enumerate(group.names)}
        kinds: dict[type, list[str]] = {}
        for name in nodes:
            kinds.setdefault(type(network.nodes[name]), []).append(name)
        self.kinds = list(kinds.values())
        self._known = all(name in self.at for name in [*nodes, *lasers])
        if not self._known:
            return
        self.plan = replace(plan, clusters=tuple(_apart(group) for group in plan.clusters))
        self.drive = {
            name: next(i for i, d in enumerate(plan.drives) if d.drive.waveform is wave)
            for name, wave in self.lasers.items()
        }
        self.gains = {name: self._gains(name) for name in nodes}

    def fits(self, values: Mapping[str, float]) -> bool:
        """Whether the matrices made here from ``values`` are those of the compiled plan."""
        if not self._known or any(gain is None for gain in self.gains.values()):
            return False
        for names in self.kinds:
            own = matrices(side_by_side(self.network, names, values))
            for name, matrix in zip(names, own, strict=True):
                g, row = self.at[name]
                compiled = self.plan.clusters[g].matrices[row]
                if compiled.shape != (1, *matrix.shape):
                    return False
                if np.abs(compiled[0] - self.gains[name][:, None] * matrix).max() > SAME:
                    return False
        return True

    def retuned(self, values: Mapping[str, float], sent: Mapping[str, np.ndarray]) -> Plan:
        """The plan with these numbers in its tunable nodes and these waves ``[batch]`` (sqrt(W)) in its lasers."""
        held = {self.at[name][0] for names in self.kinds for name in names}
        changed = {g: self.plan.clusters[g].matrices.copy() for g in held}
        for names in self.kinds:
            for name, matrix in zip(names, matrices(side_by_side(self.network, names, values)), strict=True):
                g, row = self.at[name]
                changed[g][row, 0] = self.gains[name][:, None] * matrix
        clusters = [replace(c, matrices=changed[g]) if g in changed else c for g, c in enumerate(self.plan.clusters)]
        drives = list(self.plan.drives)
        for name, wave in sent.items():
            i = self.drive[name]
            drives[i] = replace(drives[i], drive=replace(drives[i].drive, waveform=Step(wave)))
        return replace(self.plan, clusters=tuple(clusters), drives=tuple(drives))

    def arriving(self, state: State, to_host: Any, names: Sequence[str], batch: int) -> list[np.ndarray]:
        """The waves ``[ports, batch]`` that reach each node in the next step, complex."""
        starts = np.cumsum([0] + [2 * c.rows * c.steps for c in self.plan.classes])
        cells: list[int] = []
        for name in names:
            group, row = self.plan.clusters[self.at[name][0]], self.at[name][1]
            for index, side in zip(group.lines[row].tolist(), group.sides[row].tolist(), strict=True):
                line = self.plan.lines[index]
                plane, where, _ = wave_segments(line, side, state.step, 1)[0]
                rows = self.plan.classes[line.delay_class].rows
                cells.append(int(starts[line.delay_class]) + (plane * rows + line.row) * line.steps + where.start)
        parts = to_host(state.arena).reshape(len(state.arena), -1, batch)[:, cells]
        waves = parts[0] + 1j * parts[1]
        ports = [len(self.network.nodes[name].ports) for name in names]
        return np.split(waves, np.cumsum(ports)[:-1])

    def _gains(self, name: str) -> Any:
        """Amplitude factors ``[ports]`` of the passes that start at a node; None where each sample has its own."""
        group, row = self.plan.clusters[self.at[name][0]], self.at[name][1]
        ends: list[tuple[LineRows, int]] = [
            (self.plan.lines[line], side) for line, side in zip(group.lines[row], group.sides[row], strict=True)
        ]
        gains = [line.gains[side] for line, side in ends]
        return None if any(np.ndim(gain) for gain in gains) else np.array(gains)


def _apart(group: ClusterGroup) -> ClusterGroup:
    """The group with a matrix for each cluster, also where some are equal now."""
    return replace(
        group,
        matrices=group.matrices[group.which].astype(complex),
        which=np.arange(len(group.which), dtype=group.which.dtype),
        own=group.own[group.which],
    )
