"""A unitary matrix -> the phases of a mesh, rectangular (Clements) or triangular (Reck).

With ``s = sin(theta / 2)``, ``c = cos(theta / 2)`` a cell is ``T = -i exp(-i theta / 2) [[s exp(-i phi), c], [c exp(-i
phi), -s]]``. Multiplying by ``T`` from the left, or by its inverse from the right, makes one entry of the matrix zero;
when only a diagonal is left, the cells that were used are the mesh.
"""

import numpy as np

from substrate.errors import NetworkError
from substrate.meshes.mesh import Cell, Mesh

UNITARY = 1e-9  # how far from unitary a matrix may be


def _checked(unitary: np.ndarray) -> np.ndarray:
    u = np.array(unitary, dtype=complex)
    if u.ndim != 2 or u.shape[0] != u.shape[1] or len(u) < 2:
        raise NetworkError(f"A mesh needs a square matrix of at least 2 x 2, but its shape is {np.shape(unitary)}")
    far = float(np.abs(u @ u.conj().T - np.eye(len(u))).max())
    if not far < UNITARY:
        raise NetworkError(
            f"A lossless mesh needs a unitary matrix, but U U^H differs from 1 by {far:.2g}; use svd_layer for others"
        )
    return u


def _angles(one: complex, other: complex) -> tuple[float, float]:
    """``theta`` and ``phi`` with ``tan(theta / 2) exp(i phi) = one / other``."""
    theta = 2.0 * float(np.arctan2(abs(one), abs(other)))
    return theta, float(np.angle(one) - np.angle(other))


def _null_from_right(u: np.ndarray, row: int, mode: int) -> Cell:
    """Make ``u[row, mode]`` zero with the inverse of a cell on columns ``mode``, ``mode + 1``, in place."""
    theta, phi = _angles(-u[row, mode + 1], u[row, mode])
    cell = Cell(mode, theta, phi)
    u[:, mode : mode + 2] = u[:, mode : mode + 2] @ cell.matrix.conj().T
    return cell


def _null_from_left(u: np.ndarray, mode: int, column: int) -> Cell:
    """Make ``u[mode + 1, column]`` zero with a cell on rows ``mode``, ``mode + 1``, in place."""
    theta, phi = _angles(u[mode, column], u[mode + 1, column])
    cell = Cell(mode, theta, phi)
    u[mode : mode + 2] = cell.matrix @ u[mode : mode + 2]
    return cell


def _past(cell: Cell, diagonal: np.ndarray) -> Cell:
    """Move ``T^-1 D`` to ``D' T'``: ``diagonal`` becomes ``D'`` in place."""
    first, second = diagonal[cell.mode], diagonal[cell.mode + 1]
    turn = -np.exp(1j * cell.theta) * second
    diagonal[cell.mode], diagonal[cell.mode + 1] = turn * np.exp(1j * cell.phi), turn
    return Cell(cell.mode, cell.theta, float(np.angle(second) - np.angle(first)))


def clements(unitary: np.ndarray) -> Mesh:
    """The rectangular mesh of a unitary ``[modes, modes]``: as shallow as can be, every path passes as many cells.

    Raises NetworkError for a matrix that is not unitary. Source: Clements et al., Optica 3, 1460 (2016).

    >>> u = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2.0)
    >>> bool(np.abs(clements(u).matrix - u).max() < 1e-14)
    True
    """
    u = _checked(unitary)
    n = len(u)
    right: list[Cell] = []
    left: list[Cell] = []
    for diagonal in range(n - 1):
        for step in range(diagonal + 1):
            if diagonal % 2 == 0:
                right.append(_null_from_right(u, n - 1 - step, diagonal - step))
            else:
                left.append(_null_from_left(u, n - 2 - diagonal + step, step))
    phases = np.diag(u).copy()
    moved = [_past(cell, phases) for cell in reversed(left)]
    return Mesh(n, tuple(right + moved), tuple((-np.angle(phases)).tolist()))


def reck(unitary: np.ndarray) -> Mesh:
    """The triangular mesh of a unitary ``[modes, modes]``. Raises NetworkError for a matrix that is not unitary.

    Source: Reck et al., Phys. Rev. Lett. 73, 58 (1994).

    >>> reck(np.eye(3)).depth
    3
    """
    u = _checked(unitary)
    n = len(u)
    cells = [_null_from_right(u, row, mode) for row in range(n - 1, 0, -1) for mode in range(row)]
    return Mesh(n, tuple(cells), tuple((-np.angle(np.diag(u))).tolist()))
