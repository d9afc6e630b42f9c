"""Numbers lines and clusters anew so that those that are joined lie close together in memory."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from substrate.plan import ClusterGroup, LineRows

FEWEST_LINES = 512  # below this everything is in the cache anyway
WORTH = 0.5  # of the distance of joined lines that must remain, at most, for the new numbers to be taken


def renumbered(
    groups: Sequence[ClusterGroup], lines: Sequence[LineRows]
) -> tuple[list[ClusterGroup], tuple[LineRows, ...]]:
    """Groups and lines in an order of clusters by reverse Cuthill-McKee, or as they are where that is no better.

    Indices of lines stay; what changes is the ``row`` of each in its delay class, and the order of clusters within a
    group. Source: Cuthill & McKee 1969; George & Liu 1981, section 4.3.
    """
    if len(lines) < FEWEST_LINES or not groups:
        return list(groups), tuple(lines)
    first, second = _neighbours(groups, len(lines))
    place = np.arange(len(lines))
    order = _order_of_lines(first, second, sum(len(g.which) for g in groups))
    if _distance(groups, order) > WORTH * _distance(groups, place):
        return list(groups), tuple(lines)
    rows = _rows(lines, order)
    moved = [_sorted(group, order) for group in groups]
    return moved, tuple(replace(line, row=row) for line, row in zip(lines, rows.tolist(), strict=True))


def _neighbours(groups: Sequence[ClusterGroup], lines: int) -> tuple[np.ndarray, np.ndarray]:
    """The cluster at each end of every line, counted through all groups; -1 where there is none."""
    ends = np.full((2, lines), -1)
    start = 0
    for group in groups:
        number = np.broadcast_to(start + np.arange(len(group.which))[:, None], group.lines.shape)
        ends[group.sides, group.lines] = number
        start += len(group.which)
    return ends[0], ends[1]


def _order_of_lines(first: np.ndarray, second: np.ndarray, clusters: int) -> np.ndarray:
    """The place of each line when lines are sorted by the clusters they join."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    both = (first >= 0) & (second >= 0)
    rows, columns = np.concatenate([first[both], second[both]]), np.concatenate([second[both], first[both]])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(clusters, clusters)).tocsr()
    place = np.empty(clusters + 1, np.int64)
    place[reverse_cuthill_mckee(graph, symmetric_mode=True)] = np.arange(clusters)
    place[-1] = clusters  # lines of nodes outside the circuit part come last
    a, b = place[first], place[second]
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.empty(len(first), np.int64)
    order[np.lexsort((high, low))] = np.arange(len(first))
    return order


def _distance(groups: Sequence[ClusterGroup], order: np.ndarray) -> float:
    """How far apart the lines of a cluster lie, on average."""
    spans = [np.ptp(order[g.lines], axis=1).sum() if g.ports else 0 for g in groups]
    return float(sum(spans)) / max(1, sum(len(g.which) for g in groups))


def _rows(lines: Sequence[LineRows], order: np.ndarray) -> np.ndarray:
    """First row of each line in its delay class, when lines follow each other in ``order``."""
    delay_class = np.array([line.delay_class for line in lines])
    channels = np.array([line.channels for line in lines])
    rows = np.empty(len(lines), np.int64)
    by_class = np.lexsort((order, delay_class))
    used = np.cumsum(channels[by_class]) - channels[by_class]
    starts = np.searchsorted(delay_class[by_class], delay_class[by_class])
    rows[by_class] = used - used[starts]
    return rows


def permuted(group: ClusterGroup, order: np.ndarray) -> ClusterGroup:
    """The same group with its clusters in another order."""
    moved = {
        name: getattr(group, name)[order]
        for name in ("which", "lines", "sides", "weights", "energy", "initial", "inputs", "observed")
    }
    return replace(group, names=tuple(group.names[i] for i in order.tolist()), **moved)


def _sorted(group: ClusterGroup, order: np.ndarray) -> ClusterGroup:
    """The clusters of a group in the order of their lines."""
    if not group.ports:
        return group
    return permuted(group, np.argsort(order[group.lines].min(axis=1), kind="stable"))
