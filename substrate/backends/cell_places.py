"""Where the cells of a circuit's line ends lie in the arena, as flat arrays for compiled loops and kernels."""

import numpy as np

from substrate.plan import ClusterGroup, Plan


class CellPlaces:
    """Of every delay class its ``delay`` (steps), ``stride`` (numbers from plane to plane) and ``start``."""

    def __init__(self, plan: Plan, batch: int) -> None:
        self.batch = batch
        self.delay = np.array([c.steps for c in plan.classes], np.int64)
        rows = np.array([c.rows for c in plan.classes], np.int64)
        self.stride = rows * self.delay * batch
        self.start = np.cumsum([0, *(2 * self.stride)])[: len(rows)].astype(np.int64)
        self.line_row = np.array([line.row for line in plan.lines], np.int64)
        self.line_class = np.array([line.delay_class for line in plan.lines], np.int64)

    def ports(self, group: ClusterGroup) -> tuple[np.ndarray, np.ndarray]:
        """Where the cells of every port's line begin, and ``2 * delay class + side`` of it, ``[clusters, ports]``."""
        end = 2 * self.line_class[group.lines] + group.sides.astype(np.int64)
        base = self.start[end // 2] + self.line_row[group.lines] * self.delay[end // 2] * self.batch
        return base, end
