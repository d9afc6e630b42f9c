"""Compiled clusters with nonlinear elements: a linear matrix with inner ports, and a law behind each of those."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.nodes.nonlinear import PARAMETERS, VARACTOR, WAVE, Element, NonlinearNode, Varactor


@dataclass(frozen=True, eq=False)
class NonlinearGroup:
    """Clusters of one shape with ``inner`` nonlinear elements; ``linear`` is a :class:`substrate.plan.ClusterGroup`.

    The matrices of ``linear`` have ``inner`` rows (waves towards the elements) and columns (waves from them) after
    those of the line ends; elements that answer to a wave alone come first.
    """

    linear: Any  # ClusterGroup
    kinds: np.ndarray  # int64[inner]
    parameters: np.ndarray  # float64[clusters, inner, PARAMETERS, batch or 1]
    impedances: np.ndarray  # float64[clusters, inner, batch or 1], ohm
    start: np.ndarray  # float64[clusters, inner, batch or 1], C
    labels: tuple[tuple[str, ...], ...]  # the node of every element
    nodes: tuple[tuple[NonlinearNode, ...], ...]

    @property
    def inner(self) -> int:
        """Elements per cluster."""
        return len(self.kinds)

    @property
    def waves(self) -> int:
        """How many of them answer to a wave alone."""
        return int(np.sum(self.kinds >= WAVE))

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers, one per sample, the matrices, states, elements, impedances and charges hold."""
        arrays = (self.linear.initial, self.parameters, self.impedances, self.start)
        return (self.linear.matrices.shape[1], *(array.shape[-1] for array in arrays))

    def charge_energy(self, charges: np.ndarray) -> float:
        """Joules stored at ``charges[clusters, inner, batch]``."""
        energy = 0.0
        for cluster, nodes in enumerate(self.nodes):
            for place, node in enumerate(nodes):
                if self.kinds[place] == VARACTOR:
                    assert isinstance(node, Varactor)
                    energy += float(np.sum(node.energy(charges[cluster, place])))
        return energy


def nonlinear_group(
    linear: Any, members: list[tuple[tuple[Element, ...], tuple[str, ...], tuple[Any, ...]]]
) -> NonlinearGroup:
    """A group from its linear part and, per cluster, the elements, their nodes' names and impedances (ohm)."""
    first = members[0][0]
    parameters = [[_padded(element.parameters) for element in elements] for elements, _, _ in members]
    return NonlinearGroup(
        linear=linear,
        kinds=np.array([element.kind for element in first], np.int64),
        parameters=_stack(parameters),
        impedances=_stack([list(impedances) for _, _, impedances in members]),
        start=_stack([[element.start for element in elements] for elements, _, _ in members]),
        labels=tuple(labels for _, labels, _ in members),
        nodes=tuple(tuple(element.node for element in elements) for elements, _, _ in members),
    )


def _padded(values: tuple[Any, ...]) -> np.ndarray:
    """``[PARAMETERS, batch or 1]``."""
    rows = np.stack([np.atleast_1d(row) for row in np.broadcast_arrays(*[np.asarray(v, float) for v in values])])
    return np.concatenate([rows, np.zeros((PARAMETERS - len(rows), rows.shape[1]))])


def _stack(values: list[list[Any]]) -> np.ndarray:
    """``[clusters, inner, ..., batch or 1]`` from entries whose last axis is 1 or the batch."""
    arrays = [[np.atleast_1d(np.asarray(value, float)) for value in row] for row in values]
    width = max(array.shape[-1] for row in arrays for array in row)
    return np.stack([np.stack([np.broadcast_to(a, (*a.shape[:-1], width)) for a in row]) for row in arrays])
