"""Compiled algebra of small matrices: rows of a product for all samples, and elimination."""

from substrate.backends.cpu_loops import borrowing


@borrowing
def rows(x, y, matrix, first, last, parts, batch):  # type: ignore[no-untyped-def]
    """Rows ``first .. last`` of ``y = matrix x``, ``[parts, rows, batch]``; ``matrix`` ``[parts, batch or 1, ...]``."""
    shared, columns = matrix.shape[1] == 1, matrix.shape[3]
    for i in range(first, last):
        for p in range(parts):
            for b in range(batch):
                y[p, i, b] = 0.0
        for j in range(columns):
            for b in range(batch):
                s = 0 if shared else b
                m = matrix[0, s, i, j]
                y[0, i, b] += m * x[0, j, b]
                if parts == 2:
                    n = matrix[1, s, i, j]
                    y[0, i, b] -= n * x[1, j, b]
                    y[1, i, b] += m * x[1, j, b] + n * x[0, j, b]


@borrowing
def solve_dense(a, b):  # type: ignore[no-untyped-def]
    """Solve ``a x = b`` in place by elimination with row pivots; the answer is left in ``b``."""
    n = len(b)
    for col in range(n):
        pivot = col
        for row in range(col + 1, n):
            if abs(a[row, col]) > abs(a[pivot, col]):
                pivot = row
        if a[pivot, col] == 0.0:
            return False
        if pivot != col:
            for j in range(n):
                a[col, j], a[pivot, j] = a[pivot, j], a[col, j]
            b[col], b[pivot] = b[pivot], b[col]
        for row in range(col + 1, n):
            factor = a[row, col] / a[col, col]
            for j in range(col, n):
                a[row, j] -= factor * a[col, j]
            b[row] -= factor * b[col]
    for row in range(n - 1, -1, -1):
        for j in range(row + 1, n):
            b[row] -= a[row, j] * b[j]
        b[row] /= a[row, row]
    return True
