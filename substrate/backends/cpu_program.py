"""Lays the clusters of a plan out for the compiled loops: flat arrays of ports, matrices, runs and chunks of work."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from substrate.backends.cell_places import CellPlaces
from substrate.backends.cpu_factors import rank_one_blocks
from substrate.locality import permuted
from substrate.plan import ClusterGroup, Plan

STREAM, STRIP, APART, COUPLER, TILED, STEPWISE = range(6)  # how a run of clusters is stepped, see :func:`_kind`
LONGEST_RUN = 16_384  # numbers a port scatters in one piece, at most
SHORTEST_STRIP = 8  # clusters worth stepping side by side
APART_BELOW = 64  # numbers of a run of two-ports below which others are stepped along with it, see ``cpu_pairs``
WIDEST_COPY = 64  # numbers to which a matrix per sample is repeated, so that inner loops are not short
TILE = 256  # numbers copied at once by clusters that cannot work in place
SMALLEST_CHUNK, LARGEST_CHUNK = 4096, 65_536  # numbers per unit of parallel work, while they are at most
MOST_CHUNKS = 256  # as many


class Program(NamedTuple):
    """What the compiled loops read, and never write. A cluster's ports, and a pattern's rows, are numbered through."""

    block: int
    batch: int
    delay: np.ndarray  # int64[classes], steps
    stride: np.ndarray  # int64[classes], numbers from plane to plane
    # runs of clusters that are stepped in one piece where their cells follow each other
    kind: np.ndarray  # int8[runs]
    cluster: np.ndarray  # int64[runs], the first
    counts: np.ndarray  # int64[runs]
    chunk: np.ndarray  # int64[chunks + 1], first run of each
    # clusters
    port: np.ndarray  # int64[clusters + 1], first port of each
    states: np.ndarray  # int64[clusters], how many
    sources: np.ndarray  # int64[clusters]
    observed: np.ndarray  # int64[clusters]
    memory: np.ndarray  # int64[clusters], place of the first state's energy; times batch, of the state
    source: np.ndarray  # int64[clusters], place in source_row
    seen: np.ndarray  # int64[clusters], place in seen_row
    pattern: np.ndarray  # int64[clusters]
    value: np.ndarray  # int64[clusters], place of the first entry of its matrix
    width: np.ndarray  # int64[clusters], numbers per entry: 1, or a matrix for each sample
    # ports
    base: np.ndarray  # int64[ports], where the cells of its line begin
    end: np.ndarray  # int64[ports], 2 * delay class + side
    weight: np.ndarray  # float64[ports], power its line takes over power that enters its cells
    # matrices: which entries differ from zero, and their values
    first_row: np.ndarray  # int64[patterns]
    row: np.ndarray  # int64[rows + 1], first entry of each
    column: np.ndarray  # int64[entries]
    re: np.ndarray  # float[values]
    im: np.ndarray
    energy: np.ndarray  # float64[states], of the square of each state
    source_row: np.ndarray  # int64[...], rows of the inputs
    seen_row: np.ndarray  # int64[...], rows of what probes see
    columns: int  # the most that any cluster has
    # clusters of one real sample whose many states hear only a few sums, see ``cpu_factors``
    blocks: np.ndarray  # int64[clusters], where the layout of its factors begins; -1: the matrix is used as it is
    factor: np.ndarray  # int64[clusters], where its factors begin
    layout: np.ndarray  # int64[...]
    factors: np.ndarray  # float[...]


def build_program(plan: Plan, parts: int, batch: int, dtype: Any) -> tuple[Program, np.ndarray]:
    """The program of a plan, and which group of clusters each chunk of work belongs to."""
    return _Builder(plan, parts, batch, dtype).program()


def _kind(group: ClusterGroup, parts: int) -> int:
    """Streams are stepped in place; tiles need a copy of what arrives; states force one step after the other."""
    if group.memoryless and group.ports <= (3 if parts == 1 else 2):
        return STREAM
    if group.memoryless and group.ports == 4 and parts == 2:
        blocks = group.matrices.reshape(-1, 2, 2, 2, 2)  # [matrices, half out, port, half in, port]
        if not (np.any(blocks[:, 0, :, 0]) or np.any(blocks[:, 1, :, 1])):
            return COUPLER
    return STEPWISE if group.energy.shape[1] else TILED


@dataclass
class _Builder:
    """Collects the arrays of one group after the other."""

    plan: Plan
    parts: int
    batch: int
    dtype: Any
    collected: dict[str, list[np.ndarray]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    def program(self) -> tuple[Program, np.ndarray]:
        """Lay out every group, then cut the runs into chunks of about equal work."""
        plan, batch = self.plan, self.batch
        self.places = CellPlaces(plan, batch)
        self.delay = self.places.delay
        self.work: list[np.ndarray] = []
        for index, group in enumerate(plan.clusters):
            if group.matrices.size:
                self._group(index, group)
        chunk, owner = self._chunks()
        joined = {name: np.concatenate(pieces) for name, pieces in self.collected.items()}
        joined["port"] = np.concatenate([[0], np.cumsum(joined.pop("ports"))])
        joined["row"] = np.concatenate([[0], np.cumsum(joined.pop("row_length"))])
        del joined["group"]
        # Clusters that work in place need no scratch.
        columns = max(
            (max(1, g.matrices.shape[3]) for g in plan.clusters if _kind(g, self.parts) >= COUPLER), default=0
        )
        program = Program(
            block=plan.block,
            batch=batch,
            delay=self.delay,
            stride=self.places.stride,
            chunk=chunk,
            columns=columns,
            **joined,
        )
        return program, owner

    def _add(self, name: str, values: Any, dtype: Any = np.int64) -> int:
        """Append to an array of the program; returns where the appended part begins."""
        values = np.ascontiguousarray(values, dtype).ravel()
        place = self.lengths.get(name, 0)
        self.collected.setdefault(name, []).append(values)
        self.lengths[name] = place + len(values)
        return place

    def _group(self, index: int, group: ClusterGroup) -> None:
        kind = _kind(group, self.parts)
        if self.plan.block * self.batch < APART_BELOW and _is_pair(group, kind, self.parts):
            group = _by_ends(group, self.places.line_class)
        clusters, ports, states = len(group.which), group.ports, group.energy.shape[1]
        sources, observed = group.inputs.shape[1], group.observed.shape[1]
        number = np.arange(clusters)
        for name, each in (("ports", ports), ("states", states), ("sources", sources), ("observed", observed)):
            self._add(name, np.full(clusters, each))
        self._add("memory", self._add("energy", group.energy, float) + number * states)
        self._add("source", self._add("source_row", group.inputs) + number * sources)
        self._add("seen", self._add("seen_row", group.observed) + number * observed)
        base, end = self.places.ports(group)
        self._add("base", base)
        self._add("end", end)
        self._add("weight", group.weights, float)
        self._matrices(group, dense=kind <= COUPLER)
        self._factors(group, single=kind == STEPWISE and self.parts == 1 and self.batch == 1)
        self._runs(index, group, kind, base, end)

    def _matrices(self, group: ClusterGroup, dense: bool) -> None:
        """Group equal patterns of entries that are not zero, and store the entries row by row."""
        matrices = group.matrices
        unique, samples, rows, columns = matrices.shape
        mask = np.ones((unique, rows, columns), bool) if dense else np.any(matrices != 0.0, axis=1)
        patterns, which = np.unique(mask.reshape(unique, -1), axis=0, return_inverse=True)
        which = which.ravel()
        repeat = 1 if samples == 1 else -(-WIDEST_COPY // samples)
        pattern, place = np.zeros(unique, np.int64), np.zeros(unique, np.int64)
        for number, entries in enumerate(patterns.reshape(-1, rows, columns)):
            chosen = np.flatnonzero(which == number)
            i, j, padding = _entries(entries, even=not dense)
            values = matrices[chosen][:, :, i, j] * ~padding
            values = np.tile(values.transpose(0, 2, 1), (1, 1, repeat))  # [chosen, entries, width]
            first = self._add("re", values.real, self.dtype)
            self._add("im", values.imag if self.parts == 2 else np.zeros(0), self.dtype)
            place[chosen] = first + np.arange(len(chosen)) * values[0].size
            self._add("column", j)
            pattern[chosen] = self._add("first_row", [self._add("row_length", np.bincount(i, minlength=rows))])
        self._add("pattern", pattern[group.which])
        self._add("value", place[group.which])
        self._add("width", np.full(len(group.which), samples * repeat))

    def _factors(self, group: ClusterGroup, single: bool) -> None:
        """Split matrices of clusters with states where that is less work."""
        unique, samples = group.matrices.shape[:2]
        layout, place = np.full(unique, -1), np.zeros(unique, np.int64)
        self._add("layout", np.zeros(0))
        self._add("factors", np.zeros(0), self.dtype)
        for index, matrix in enumerate(group.matrices[:, 0] if single and samples == 1 else ()):
            found = rank_one_blocks(np.real(matrix), group.own[index], group.ports)
            if found is not None:
                layout[index] = self._add("layout", found.layout)
                place[index] = self._add("factors", found.numbers, self.dtype)
        self._add("blocks", layout[group.which])
        self._add("factor", place[group.which])

    def _runs(self, index: int, group: ClusterGroup, kind: int, base: np.ndarray, end: np.ndarray) -> None:
        """Cut the clusters of a group into runs whose cells follow each other and whose matrices are equal."""
        clusters, block = len(group.which), self.plan.block
        offset = self.lengths["ports"] - clusters
        follows = np.zeros(clusters, bool)
        if kind == STREAM and clusters > 1:
            step = block * self.batch
            follows[1:] = np.all((np.diff(base, axis=0) == step) & (np.diff(end, axis=0) == 0), axis=1)
            follows[1:] &= np.all(np.diff(group.weights, axis=0) == 0.0, axis=1)
            follows &= np.all(self.delay[end // 2] == block, axis=1)
        equal = np.zeros(clusters, bool)
        equal[1:] = group.which[1:] == group.which[:-1]
        strip = self._strips(group, kind, follows, equal)
        first = ~(follows & (equal | strip))
        starts = np.flatnonzero(first)
        since = np.arange(clusters) - np.repeat(starts, np.diff(np.append(starts, clusters)))
        starts = np.flatnonzero(since % max(1, LONGEST_RUN // (block * self.batch)) == 0)
        counts = np.diff(np.append(starts, clusters))
        kinds = np.where(strip[starts], STRIP, kind)
        if block * self.batch < APART_BELOW and _is_pair(group, kind, self.parts):
            key = np.column_stack([end, np.any(group.weights != 0.0, axis=1)])
            starts, counts, kinds = _gathered(starts, counts, kinds, block * self.batch, key)
        for at, count in zip(starts[kinds == STRIP], counts[kinds == STRIP], strict=True):
            entries = group.matrices[group.which[at : at + count], 0].reshape(count, 4)
            self.collected["value"][-1][at] = self._add("re", entries.T, self.dtype)
        self._add("kind", kinds, np.int8)
        self._add("cluster", offset + starts)
        self._add("counts", counts)
        self._add("group", np.full(len(starts), index))
        effort = 8 if kind == STEPWISE else 1
        self.work.append(counts * (sum(group.matrices.shape[3:]) * block * self.batch * effort))

    def _strips(self, group: ClusterGroup, kind: int, follows: np.ndarray, equal: np.ndarray) -> np.ndarray:
        """Which clusters are stepped side by side though their matrices differ: two-ports with one number per cell."""
        strip = np.zeros(len(follows), bool)
        if self.parts > 1 or kind != STREAM or group.ports != 2 or self.plan.block * self.batch > 1:
            return strip
        if np.any(group.weights != 0.0) or np.mean(equal) > 0.9:
            return strip
        starts = np.flatnonzero(~follows)
        counts = np.diff(np.append(starts, len(follows)))
        return np.repeat(counts >= SHORTEST_STRIP, counts)

    def _chunks(self) -> tuple[np.ndarray, np.ndarray]:
        """First run of each chunk of about equal work, and the group of each chunk."""
        work, group = np.concatenate(self.work), np.concatenate(self.collected["group"])
        done = np.cumsum(work) - work
        total = int(work.sum())
        size = max(SMALLEST_CHUNK, min(total // 8, LARGEST_CHUNK), total // MOST_CHUNKS)
        number = done // size
        first = np.ones(len(work), bool)
        first[1:] = (np.diff(number) != 0) | (np.diff(group) != 0)
        starts = np.flatnonzero(first)
        return np.append(starts, len(work)).astype(np.int64), group[starts]


def _is_pair(group: ClusterGroup, kind: int, parts: int) -> bool:
    """Whether a group is of real two-ports, stepped in place."""
    return kind == STREAM and group.ports == 2 and parts == 1


def _by_ends(group: ClusterGroup, line_class: np.ndarray) -> ClusterGroup:
    """The clusters of a group sorted by the delays of their lines, and those whose lines are lossless first."""
    lossy = np.any(group.weights != 0.0, axis=1)
    return permuted(group, np.lexsort([lossy, *(2 * line_class[group.lines] + group.sides).T]))


def _gathered(
    starts: np.ndarray, counts: np.ndarray, kinds: np.ndarray, numbers: int, key: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs with short ones of one ``key`` beside each other made one, up to a small chunk.

    A cluster scatters ``numbers`` a block.
    """
    apart = (kinds == STREAM) & (counts * numbers < APART_BELOW)
    chunk, same = starts * numbers // SMALLEST_CHUNK, np.all(np.diff(key[starts], axis=0) == 0, axis=1)
    first = np.ones(len(starts), bool)
    first[1:] = ~(apart[1:] & apart[:-1] & (chunk[1:] == chunk[:-1]) & same)
    ends = np.append(starts[first], starts[-1] + counts[-1])
    return starts[first], np.diff(ends), np.where(apart, APART, kinds)[first]


def _entries(mask: np.ndarray, even: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns of the entries of a pattern, row by row; where ``even``, padded to pairs by entries of zero."""
    rows, columns, padding = [], [], []
    for i, row in enumerate(mask):
        found = np.flatnonzero(row).tolist()
        odd = even and (len(found) % 2 == 1 or not found)
        extra = (1 if found else 2) if odd else 0
        columns += found + [found[-1] if found else 0] * extra
        padding += [False] * len(found) + [True] * extra
        rows += [i] * (len(found) + extra)
    return np.array(rows, np.int64), np.array(columns, np.int64), np.array(padding, bool)
