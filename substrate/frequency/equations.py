"""The waves of a network at many frequencies at once: sparse linear equations, eliminated together."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.errors import NetworkError

Term = tuple[complex, int]  # a number, times a row of a table of values that change with frequency (-1: times one)
UNSAFE = 1e5  # a multiplier of the elimination above which its digits are not trusted and pivots are searched for
TILE_BYTES = 1 << 18  # values of one tile of points, so that they stay in the cache
PARALLEL_FROM = 500_000  # values to eliminate above which a second thread pays


@dataclass
class WaveEquations:
    """``[[M, -T], [O, D]]``: unknown waves ``M x = T u``, outputs ``y = O x + D u``; made entry by entry, then solved.

    An entry is a number, times a row of values (one per frequency and sample), times a pass of a line. Entries at one
    place add up. ``points`` are the frequencies; a table row is ``[points or 1, batch or 1]``.
    """

    unknowns: int
    points: int
    rows: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    numbers: list[complex] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    def term(self, value: Any) -> Term | None:
        """A number, or values ``[points]`` or ``[points or 1, batch or 1]``, as an entry can hold it; None for zero."""
        array = np.asarray(value)
        if array.ndim == 0:
            return (complex(array), -1) if array != 0.0 else None
        if array.ndim == 1:
            array = array[:, None]
        if array.shape[1] == 1 and (len(array) == 1 or array.strides[0] == 0):
            return self.term(array[0, 0])
        return 1.0, self.table(array)

    def table(self, values: np.ndarray) -> int:
        """Keep ``values`` ``[points or 1, batch or 1]`` as a row of the table; which one."""
        self.values.append(values)
        return len(self.values) - 1

    def per_sample(self, value: Any) -> Term | None:
        """A number, or one per sample of the batch, as an entry can hold it."""
        array = np.asarray(value)
        return self.term(array if array.ndim == 0 else array[None, :])

    def add(self, row: int, column: int, term: Term | None, line_pass: int = -1, number: complex = 1.0) -> None:
        """Add ``number * term * pass`` at a place of the matrix; ``line_pass`` is a table row too, -1 for none."""
        if term is not None:
            self.rows.append(row)
            self.columns.append(column)
            self.numbers.append(number * term[0])
            self.tables.append(term[1])
            self.passes.append(line_pass)

    def solve(self, inputs: int, outputs: int) -> np.ndarray:
        """``y / u``: ``[points, batch, outputs, inputs]``; raises NetworkError where a lossless network resonates."""
        batch = max((array.shape[1] for array in self.values), default=1)
        count = self.points * batch
        values = np.empty((len(self.values), count), complex)
        for row, array in zip(values, self.values, strict=True):
            row.reshape(self.points, batch)[...] = array
        places = np.array([self.rows, self.columns, self.tables, self.passes], np.int64).reshape(4, -1)
        numbers = np.array(self.numbers, complex)
        answer, worst = _eliminated(self.unknowns, outputs, inputs, places, numbers, values, count)
        doubtful = np.flatnonzero(~((worst < UNSAFE) & np.isfinite(answer).all(axis=(0, 1))))
        for point in doubtful:
            answer[:, :, point] = self._pivoted(inputs, outputs, places, numbers, values[:, point], int(point) // batch)
        return np.ascontiguousarray(np.moveaxis(answer, 2, 0)).reshape(self.points, batch, outputs, inputs)

    def _pivoted(
        self, inputs: int, outputs: int, places: np.ndarray, numbers: np.ndarray, values: np.ndarray, index: int
    ) -> np.ndarray:
        """One point with a search for pivots, for networks that resonate sharply there or have gain."""
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        rows, columns, tables, passes = places
        padded = np.append(values, 1.0)
        entries = numbers * padded[tables] * padded[passes]
        n = self.unknowns
        whole = csc_array((entries, (rows, columns)), shape=(n + outputs, n + inputs))
        try:
            answer = splu(whole[:n, :n].tocsc()).solve(whole[:n, n:].toarray())
        except RuntimeError:
            answer = np.full((n, inputs), np.nan)
        result: np.ndarray = whole[n:, n:].toarray() - whole[n:, :n] @ answer
        if not np.all(np.isfinite(result)):
            raise NetworkError(
                f"Frequency number {index} meets a resonance without loss, where the answer is infinite; "
                "move the frequency, or give a line loss"
            )
        return result


def _eliminated(
    unknowns: int, outputs: int, inputs: int, places: np.ndarray, numbers: np.ndarray, values: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs over inputs ``[outputs, inputs, points]`` by elimination in one order for all points.

    A passive network needs no search for pivots: I minus a contraction has a Hermitian part >= 0, and so has what is
    left of it after each elimination. Also returns the largest multiplier of each point, as a watch on that.
    """
    from substrate.frequency import kernels as wave_kernels

    rows, columns = places[0].copy(), places[1].copy()
    order = _order(unknowns, rows, columns)
    inner_rows, inner_columns = rows < unknowns, columns < unknowns
    rows[inner_rows], columns[inner_columns] = order[rows[inner_rows]], order[columns[inner_columns]]
    size = unknowns + max(outputs, inputs)
    start, column_of, diagonal = wave_kernels.filled_pattern(
        unknowns, unknowns + outputs, *_compressed(unknowns + outputs, size, rows, columns)
    )
    keys = np.repeat(np.arange(len(start) - 1), np.diff(start)) * size + column_of
    at = np.searchsorted(keys, rows * size + columns)
    answer = np.zeros((outputs, inputs, count), complex)
    worst = np.zeros(count)
    tile = int(np.clip(TILE_BYTES // (16 * max(len(column_of), 1)), 8, 64))
    parallel = len(column_of) * count > PARALLEL_FROM
    kernel = wave_kernels.eliminate_parallel if parallel else wave_kernels.eliminate
    kernel(
        unknowns, start, column_of, diagonal, at, numbers, places[2], places[3],
        np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag), tile, answer, worst,
    )  # fmt: skip
    return answer, worst


def _order(unknowns: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """New number of each unknown, chosen so that elimination fills in little (minimum degree)."""
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    if unknowns < 3:
        return np.arange(unknowns)
    inner = (rows < unknowns) & (columns < unknowns)
    shape = (unknowns, unknowns)
    pattern = csc_array((np.full(int(inner.sum()), 1e-3), (rows[inner], columns[inner])), shape=shape)
    pattern.setdiag(float(unknowns))
    order: np.ndarray = splu(pattern.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0).perm_c.astype(np.int64)
    return order


def _compressed(height: int, width: int, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The places as row starts and sorted columns, each once."""
    keys = np.unique(rows * width + columns)
    start = np.searchsorted(keys, np.arange(height + 1) * width)
    return start.astype(np.int64), (keys % width).astype(np.int64)
