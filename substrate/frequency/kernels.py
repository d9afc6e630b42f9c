"""Compiled loops that eliminate sparse equations at many points at once."""

import heapq

import numpy as np
from numba import njit, prange

from substrate.backends.cpu_loops import side_by_side

FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True)
def filled_pattern(unknowns, height, start, columns):  # type: ignore[no-untyped-def]
    """Rows of a matrix after elimination of its first ``unknowns`` columns: starts, sorted columns, diagonals.

    Row by row: every column k < i of row i brings in what row k holds right of its diagonal. Source: George & Liu 1981.
    """
    new_start = np.zeros(height + 1, np.int64)
    diagonal = np.zeros(height, np.int64)
    capacity = 4 * len(columns) + height + 16
    out = np.empty(capacity, np.int64)
    width = unknowns + height  # an upper bound of the number of columns
    seen = np.full(max(width, columns.max() + 1 if len(columns) else 1), -1, np.int64)
    filled = 0
    for i in range(height):
        waiting = [np.int64(0) for _ in range(0)]
        for p in range(start[i], start[i + 1]):
            seen[columns[p]] = i
            heapq.heappush(waiting, columns[p])
        if i < unknowns and seen[i] != i:
            seen[i] = i
            heapq.heappush(waiting, np.int64(i))
        while len(waiting) > 0:
            k = heapq.heappop(waiting)
            if filled == capacity:
                capacity *= 2
                longer = np.empty(capacity, np.int64)
                longer[:filled] = out
                out = longer
            if k == i:
                diagonal[i] = filled
            out[filled] = k
            filled += 1
            if k < unknowns and k < i:
                for p in range(diagonal[k] + 1, new_start[k + 1]):
                    if seen[out[p]] != i:
                        seen[out[p]] = i
                        heapq.heappush(waiting, out[p])
        new_start[i + 1] = filled
    return new_start, out[:filled], diagonal


@njit(cache=True, fastmath=FAST)
def _add_entries(re, im, at, numbers, tables, passes, vre, vim, first, width):  # type: ignore[no-untyped-def]
    """Put the entries of the equations at points ``first ..`` into the tile ``re, im``."""
    for e in range(len(at)):
        p, t, f = at[e], tables[e], passes[e]
        c, d = numbers[e].real, numbers[e].imag
        if t < 0 and f < 0:
            for x in range(width):
                re[p, x] += c
                im[p, x] += d
        elif t < 0 or f < 0:
            row = max(t, f)
            for x in range(width):
                u, v = vre[row, first + x], vim[row, first + x]
                re[p, x] += c * u - d * v
                im[p, x] += c * v + d * u
        else:
            for x in range(width):
                u, v = vre[t, first + x], vim[t, first + x]
                r, s = vre[f, first + x], vim[f, first + x]
                m, n = u * r - v * s, u * s + v * r
                re[p, x] += c * m - d * n
                im[p, x] += c * n + d * m


@njit(cache=True, fastmath=FAST)
def _eliminate_row(re, im, i, start, columns, diagonal, place, unknowns, width, lre, lim, worst):  # type: ignore[no-untyped-def]
    """Subtract from row ``i`` the rows of its pivots; diagonals hold reciprocals already."""
    for p in range(start[i], start[i + 1]):
        place[columns[p]] = p
    for p in range(start[i], start[i + 1]):
        k = columns[p]
        if k >= i or k >= unknowns:
            break
        pivot = diagonal[k]
        for x in range(width):
            u, v, r, s = re[p, x], im[p, x], re[pivot, x], im[pivot, x]
            lre[x], lim[x] = u * r - v * s, u * s + v * r
            if i < unknowns:
                worst[x] = max(worst[x], lre[x] * lre[x] + lim[x] * lim[x])
        for q in range(pivot + 1, start[k + 1]):
            target = place[columns[q]]
            for x in range(width):
                u, v = re[q, x], im[q, x]
                re[target, x] -= lre[x] * u - lim[x] * v
                im[target, x] -= lre[x] * v + lim[x] * u
    if i < unknowns:
        pivot = diagonal[i]
        for x in range(width):
            u, v = re[pivot, x], im[pivot, x]
            square = u * u + v * v
            re[pivot, x], im[pivot, x] = u / square, -v / square


def _eliminate(  # type: ignore[no-untyped-def]
    unknowns, start, columns, diagonal, at, numbers, tables, passes, vre, vim, tile, answer, worst
):
    """Fill ``answer[outputs, inputs, points]`` and the largest multiplier of each point."""
    height, points = len(start) - 1, len(worst)
    for piece in prange((points + tile - 1) // tile):
        first = piece * tile
        width = min(tile, points - first)
        re, im = np.zeros((len(columns), tile)), np.zeros((len(columns), tile))
        lre, lim, squares = np.zeros(tile), np.zeros(tile), np.zeros(tile)
        place = np.zeros(unknowns + max(height - unknowns, answer.shape[1]), np.int64)
        _add_entries(re, im, at, numbers, tables, passes, vre, vim, first, width)
        for i in range(height):
            _eliminate_row(re, im, i, start, columns, diagonal, place, unknowns, width, lre, lim, squares)
            if i >= unknowns:
                for p in range(start[i], start[i + 1]):
                    if columns[p] >= unknowns:
                        for x in range(width):
                            answer[i - unknowns, columns[p] - unknowns, first + x] = complex(re[p, x], im[p, x])
        for x in range(width):
            worst[first + x] = np.sqrt(squares[x])


eliminate = njit(cache=True, error_model="numpy")(_eliminate)
eliminate_parallel = side_by_side(_eliminate, error_model="numpy")
