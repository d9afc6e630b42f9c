"""Constant reciprocal nodes of optimal control: a cost is an admittance across the line, a control an impedance in it.

Voltages and currents are those of normalised waves (``substrate/nodes/reciprocal.py``), so the matrices are pure
numbers.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Node, Port

ASYMMETRY = 1e-12  # of a matrix over its largest entry, above which it is refused


def _require_passive(owner: str, matrix: np.ndarray) -> None:
    """Refuse what is not a symmetric matrix without negative eigenvalues."""
    shape = np.shape(matrix)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 1 or not np.all(np.isfinite(matrix)):
        raise NetworkError(f"{owner} needs a square matrix of finite numbers, but its shape is {shape}")
    size = float(np.abs(matrix).max())
    if np.abs(matrix - np.transpose(matrix)).max() > ASYMMETRY * size:
        raise NetworkError(f"{owner} is reciprocal: its matrix must be symmetric, but it is not; give (M + M^T) / 2")
    if np.linalg.eigvalsh(matrix)[0] < -1e-10 * size:
        raise NetworkError(f"{owner} is passive: its matrix must have no negative eigenvalue, but it has")


def _from_voltage_and_current(z1: float, z2: float, solution: np.ndarray, n: int) -> np.ndarray:
    """The scattering matrix, from ``[v1, i2] = solution [2 sqrt(z1) a1, 2 sqrt(z2) a2]``; i2 flows out at the right.

    At the left ``b1 = v1 / sqrt(z1) - a1``, at the right ``b2 = a2 + sqrt(z2) i2``.
    """
    roots = np.concatenate([np.full(n, np.sqrt(z1)), np.full(len(solution) - n, np.sqrt(z2))])
    matrix = np.diag(np.where(np.arange(len(solution)) < n, -1.0, 1.0))
    matrix[:n] += 2.0 / np.sqrt(z1) * solution[:n] * roots
    matrix[n:] += 2.0 * np.sqrt(z2) * solution[n:] * roots
    return matrix


@dataclass(frozen=True, eq=False)
class ControlCell(Node):
    """One step of a linear plant: state ``v2 = A v1 - S i2``, costate ``i1 = Q v1 + A^T i2``.

    A transformer ``A`` between a shunt admittance ``Q`` (the running cost ``x^T Q x / 2``) and a series impedance
    ``S = B R^-1 B^T`` (the control ``u = -R^-1 B^T i2`` with its cost ``u^T R u / 2``); all ``[n, n]``. Raises
    NetworkError. Source: ``docs/theory.md``, section "Control".

    >>> cell = ControlCell(np.array([[1.0]]), cost=np.array([[1.0]]), control=np.array([[0.5]]))
    >>> cell.scattering(1.0, 1.0).round(3)  # symmetric: it is reciprocal
    array([[-0.25,  0.5 ],
           [ 0.5 ,  0.  ]])
    """

    dynamics: np.ndarray
    cost: np.ndarray
    control: np.ndarray
    law: ClassVar[str] = "control_cell"

    def __post_init__(self) -> None:
        _require_passive("The cost of a control cell", self.cost)
        _require_passive("The control of a control cell", self.control)
        if not np.shape(self.dynamics) == np.shape(self.cost) == np.shape(self.control):
            shapes = ", ".join(str(np.shape(m)) for m in (self.dynamics, self.cost, self.control))
            raise NetworkError(f"A control cell needs three square matrices of one size, but their shapes are {shapes}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (this step's state) and ``right`` (the next one's)."""
        return (Port("left", len(self.cost)), Port("right", len(self.cost)))

    def scattering(self, z1: float, z2: float) -> np.ndarray:
        """``[2 n, 2 n]``: departing waves from arriving ones, left channels first, at normalised impedances."""
        eye, z_q = np.eye(len(self.cost)), z1 * self.cost
        system = np.block([[eye + z_q, z1 * self.dynamics.T], [self.dynamics, -(self.control + z2 * eye)]])
        return _from_voltage_and_current(z1, z2, np.linalg.inv(system), len(eye))


@dataclass(frozen=True, eq=False)
class ShuntAdmittance(Node):
    """Draws ``i = Y v`` from a line of many channels that goes on behind it: a running cost ``v^T Y v / 2``.

    ``matrix`` is symmetric, without negative eigenvalues. Raises NetworkError.

    >>> ShuntAdmittance(np.array([[2.0]])).scattering(1.0, 1.0)
    array([[-0.5,  0.5],
           [ 0.5, -0.5]])
    """

    matrix: np.ndarray
    law: ClassVar[str] = "shunt_admittance"

    def __post_init__(self) -> None:
        _require_passive("A shunt admittance", self.matrix)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` and ``right``, at the same voltages."""
        return (Port("left", len(self.matrix)), Port("right", len(self.matrix)))

    def scattering(self, z1: float, z2: float) -> np.ndarray:
        """``[2 n, 2 n]`` at normalised impedances; see :meth:`ControlCell.scattering`."""
        eye = np.eye(len(self.matrix))
        return ControlCell(eye, self.matrix, 0.0 * eye).scattering(z1, z2)


@dataclass(frozen=True, eq=False)
class SeriesImpedance(Node):
    """Drops ``v1 - v2 = Z i`` within a line of many channels: a control, or the resistance of the wire.

    ``matrix`` is symmetric, without negative eigenvalues. Raises NetworkError.

    >>> SeriesImpedance(np.array([[2.0]])).scattering(1.0, 1.0)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    matrix: np.ndarray
    law: ClassVar[str] = "series_impedance"

    def __post_init__(self) -> None:
        _require_passive("A series impedance", self.matrix)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` and ``right``, with the same current."""
        return (Port("left", len(self.matrix)), Port("right", len(self.matrix)))

    def scattering(self, z1: float, z2: float) -> np.ndarray:
        """``[2 n, 2 n]`` at normalised impedances; see :meth:`ControlCell.scattering`."""
        eye = np.eye(len(self.matrix))
        return ControlCell(eye, 0.0 * eye, self.matrix).scattering(z1, z2)
