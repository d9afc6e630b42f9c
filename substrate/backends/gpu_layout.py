"""Lays the circuit part of a plan out for the GPU: flat arrays of ports and matrices, and chunks of work for blocks."""

from typing import Any

import numpy as np

from substrate.backends.cell_places import CellPlaces
from substrate.backends.gpu_device import Device
from substrate.plan import ClusterGroup, Plan

FEW_PORTS = 4  # of a memoryless cluster, up to which one thread takes all of it
WIDEST_TILE = 4096  # samples a block of threads takes at most
OWN_TILE = 32  # samples a block steps by itself, where it steps all clusters
OWN_ITEMS = 256  # per thread and block of steps, up to which one block of threads steps all clusters alone
CHUNK_ITEMS = 16  # per thread, of a chunk of memoryless clusters
STATE_ITEMS = 2  # per thread and step, of a chunk of clusters with states


def shared_fields(places: CellPlaces, group: ClusterGroup) -> dict[str, Any]:
    """What the structures of linear and nonlinear groups have in common, as host numbers and arrays."""
    base, end = places.ports(group)
    rows, columns = group.matrices.shape[2:]
    return {
        "clusters": len(group.which), "ports": group.ports, "states": group.energy.shape[1],
        "sources": group.inputs.shape[1], "observed": group.observed.shape[1], "metered": group.metered,
        "rows": rows, "columns": columns, "base": base, "end": end, "weight": group.weights.astype(np.float64),
        "which": group.which.astype(np.int64), "energy": group.energy.astype(np.float64),
        "source_row": group.inputs.astype(np.int64), "seen_row": group.observed.astype(np.int64),
    }  # fmt: skip


def entries(matrices: np.ndarray, parts: int, dtype: Any) -> tuple[np.ndarray, int]:
    """``[parts, unique, rows, columns, samples]`` of matrices, and the numbers of a part."""
    ordered = np.moveaxis(matrices, 1, 3)
    split = np.stack([ordered.real, ordered.imag][:parts])
    return np.ascontiguousarray(split, dtype), int(ordered.size)


class Chunks:
    """Which clusters each block of threads steps: all of them by itself ("own"), or a chunk of some.

    ``runs [*, 5]``: group, first cluster, behind the last, first step of a block, behind the last; ``first`` run of
    each chunk. ``work``: numbers of scratch that a block of threads needs.
    """

    def __init__(self, plan: Plan, device: Device, batch: int, alone: bool) -> None:
        self.plan, self.batch, self.parts, self.threads = plan, batch, device.parts, device.threads
        tile = min(batch, OWN_TILE)
        items = sum(len(g.which) * max(g.ports, g.matrices.shape[2]) for g in plan.clusters) * plan.block * tile
        self.own = alone and items <= OWN_ITEMS * device.threads
        self.tile = tile if self.own else min(batch, WIDEST_TILE)
        if self.own:
            found = [[(index, 0, len(group.which), 0, plan.block) for index, group in enumerate(plan.clusters)]]
        else:
            found = [[run] for index, group in enumerate(plan.clusters) for run in self._runs(index, group)]
        self.runs = np.array([run for chunk in found for run in chunk], np.int64).reshape(-1, 5)
        self.first = np.cumsum([0, *(len(chunk) for chunk in found)]).astype(np.int64)
        self.work = max((self._scratch(*run) for chunk in found for run in chunk), default=0)

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return len(self.first) - 1

    @property
    def jobs(self) -> int:
        """Chunks times tiles of samples."""
        return self.count * -(-self.batch // self.tile)

    def _runs(self, index: int, group: ClusterGroup) -> list[tuple[int, int, int, int, int]]:
        clusters, block = len(group.which), self.plan.block
        if _remembers(group):
            each = max(1, STATE_ITEMS * self.threads // (group.matrices.shape[2] * self.tile))
            return [(index, c, min(clusters, c + each), 0, block) for c in range(0, clusters, each)]
        wanted = CHUNK_ITEMS * self.threads
        each = max(1, wanted // (block * self.tile))
        piece = block if each > 1 else min(block, max(1, wanted // self.tile))
        return [
            (index, c, min(clusters, c + each), k, min(block, k + piece))
            for c in range(0, clusters, each)
            for k in range(0, block, piece)
        ]

    def _scratch(self, index: int, first: int, last: int, *_: int) -> int:
        group = self.plan.clusters[index]
        if not _remembers(group):
            return 0
        numbers = group.ports + group.inputs.shape[1] + 2 * group.energy.shape[1]
        return numbers * self.parts * (last - first) * self.tile


def _remembers(group: ClusterGroup) -> bool:
    """Whether a group is stepped by all threads of a block together, one step after the other."""
    return group.energy.shape[1] > 0 or group.ports > FEW_PORTS
