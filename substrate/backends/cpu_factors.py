"""Splits the matrix of a cluster with many states into blocks of rank one, which take far fewer products to apply."""

from typing import NamedTuple

import numpy as np

EXACT = 2e-14  # of the largest entry (or of 1), by which the product of the factors may differ from the matrix
RUN_COST = 8  # products that take as long as beginning a run


class Blocks(NamedTuple):
    """``matrix[i, j] = left[i] middle[p(i), q(j)] right[j]``, and ``own[s]`` more where state ``s`` acts on itself.

    Rows of one ``p`` and columns of one ``q`` lie in runs ``[runs, (first, behind the last, p or q)]``.
    """

    right: np.ndarray  # [columns]
    middle: np.ndarray  # [p, q]
    left: np.ndarray  # [rows]
    own: np.ndarray  # [states]
    columns: np.ndarray  # int64[runs, 3]
    rows: np.ndarray  # int64[runs, 3]

    @property
    def numbers(self) -> np.ndarray:
        """All factors in the order in which they are used."""
        return np.concatenate([self.right, self.middle.ravel(), self.left, self.own])

    @property
    def layout(self) -> np.ndarray:
        """Sizes and runs: ``p, q, runs of columns, runs of rows``, then the runs."""
        sizes = [*self.middle.shape, len(self.columns), len(self.rows)]
        return np.concatenate([sizes, self.columns.ravel(), self.rows.ravel()])


def rank_one_blocks(matrix: np.ndarray, own: np.ndarray, ports: int) -> Blocks | None:
    """The factors of a real ``matrix [rows, columns]``, to rounding; None where they save no work.

    A filter is one input that moves many states and one sum over them: all its entries follow from a few.

    >>> m = np.array([[0.5, 1.0, 1.0, 1.0], [2.0, 0.3, 0.0, 0.0], [2.0, 0.0, 0.2, 0.0], [2.0, 0.0, 0.0, 0.1]])
    >>> big = np.kron(np.eye(2), np.ones((20, 20)))
    >>> rank_one_blocks(m, np.array([0.3, 0.2, 0.1]), 1) is None  # too small to be worth it
    True
    >>> rank_one_blocks(big, np.zeros(40), 0).middle.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rest = matrix.copy()
    states = np.arange(ports, ports + len(own))
    rest[states, states] -= own
    within = EXACT * max(1.0, np.abs(rest).max())
    of_row, left, directions = _directions(rest, 0.25 * within)
    of_column, right, middle = _directions(directions.T, 0.25 * within)
    middle = middle.T
    columns, rows = _runs(of_column), _runs(of_row)
    work = sum(matrix.shape) + middle.size + len(own) + RUN_COST * (len(columns) + len(rows))
    if work > 0.7 * np.count_nonzero(matrix):
        return None
    error = np.abs(left[:, None] * middle[of_row][:, of_column] * right - rest).max()
    return Blocks(right, middle, left, own, columns, rows) if error <= within else None


def _directions(vectors: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``vectors[i] = factor[i] * found[which[i]]`` to ``within``: which are multiples of each other, the largest of
    each kind first."""
    which, factor = np.full(len(vectors), -1), np.zeros(len(vectors))
    found: list[np.ndarray] = []
    for i in np.argsort(-np.abs(vectors).max(axis=1, initial=0.0), kind="stable").tolist():
        vector = vectors[i]
        if not np.any(vector):
            continue
        for number, known in enumerate(found):
            factor[i] = vector @ known / (known @ known)
            if np.abs(factor[i] * known - vector).max() <= within:
                which[i] = number
                break
        else:
            which[i], factor[i] = len(found), 1.0
            found.append(vector)
    for i in np.flatnonzero(which < 0).tolist():
        which[i] = which[i - 1] if i else 0  # nothing, of any direction: so runs stay long
    return which, factor, np.array(found) if found else np.zeros((1, vectors.shape[1]))


def _runs(which: np.ndarray) -> np.ndarray:
    """First, behind the last, and the number itself of each stretch of equal numbers."""
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    return np.column_stack([starts, np.append(starts[1:], len(which)), which[starts]])
