"""A mesh as numbers: which interferometer joins which two modes, in which order, with which phases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.photonic import MachZehnder

IDEAL = (0.5, 0.5)


@dataclass(frozen=True)
class Cell:
    """One interferometer: it joins ``mode`` and the one below with phases ``theta`` and ``phi`` (rad).

    ``couplings`` are the power couplings of its two couplers, ``loss_db`` (dB) the loss of the whole.
    """

    mode: int
    theta: float
    phi: float
    couplings: tuple[float, float] = IDEAL
    loss_db: float = 0.0

    @property
    def node(self) -> MachZehnder:
        """The node that does this in a circuit."""
        return MachZehnder(self.theta, self.phi, self.loss_db, self.couplings)

    @property
    def matrix(self) -> np.ndarray:
        """``[2, 2]`` from its inputs to its outputs, as the node scatters."""
        return np.asarray(self.node.matrix((50.0,) * 4)[2:, :2])


@dataclass(frozen=True)
class Mesh:
    """``modes`` waveguides, ``cells`` in the order in which light meets them, ``phases`` (rad) behind the last.

    A phase turns a wave by ``exp(-i phase)``, as everywhere here. Raises NetworkError for cells that do not fit.

    >>> mesh = Mesh(2, (Cell(0, np.pi, 0.0),), (0.0, 0.0))
    >>> abs(mesh.matrix).round(12).tolist()  # a bar: every mode keeps its light
    [[1.0, 0.0], [0.0, 1.0]]
    """

    modes: int
    cells: tuple[Cell, ...]
    phases: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.modes < 2 or len(self.phases) != self.modes:
            raise NetworkError(f"A mesh needs at least 2 modes and a phase for each, got {self.modes}, {self.phases}")
        for cell in self.cells:
            if not 0 <= cell.mode < self.modes - 1:
                raise NetworkError(
                    f"A cell joins modes 0 to {self.modes - 2} with the next, but its mode is {cell.mode}"
                )

    @property
    def matrix(self) -> np.ndarray:
        """The whole mesh, ``[modes, modes]``."""
        whole = np.eye(self.modes, dtype=complex)
        for cell in self.cells:
            whole[cell.mode : cell.mode + 2] = cell.matrix @ whole[cell.mode : cell.mode + 2]
        return np.exp(-1j * np.array(self.phases))[:, None] * whole

    @property
    def columns(self) -> tuple[int, ...]:
        """The column that each cell stands in when it is moved to the front as far as it goes.

        >>> Mesh(3, (Cell(0, 0, 0), Cell(1, 0, 0), Cell(0, 0, 0)), (0,) * 3).columns
        (0, 1, 2)
        """
        free, found = [0] * self.modes, []
        for cell in self.cells:
            column = max(free[cell.mode], free[cell.mode + 1])
            found.append(column)
            free[cell.mode] = free[cell.mode + 1] = column + 1
        return tuple(found)

    @property
    def depth(self) -> int:
        """How many columns there are."""
        return max(self.columns, default=-1) + 1

    def spread(self, seed: int, *, coupling: float = 0.0, loss_db: float = 0.0) -> "Mesh":
        """A mesh as it comes from a factory: couplings 0.5 with this standard deviation, each cell this lossy."""
        random = np.random.Generator(np.random.Philox(seed))
        drawn = (0.5 + coupling * random.standard_normal((len(self.cells), 2))).clip(0.0, 1.0)
        cells = [
            replace(cell, couplings=(float(a), float(b)), loss_db=loss_db)
            for cell, (a, b) in zip(self.cells, drawn, strict=True)
        ]
        return replace(self, cells=tuple(cells))


def rectangle(modes: int, columns: int = 0) -> list[int]:
    """Modes of the cells of Clements' mesh, column by column: ``modes (modes - 1) / 2`` of them in ``modes`` columns.

    >>> rectangle(4)
    [0, 2, 1, 0, 2, 1]
    """
    return [mode for column in range(columns or modes) for mode in range(column % 2, modes - 1, 2)]


def random_mesh(modes: int, seed: int, cells: Sequence[int] | None = None) -> Mesh:
    """A mesh of random phases, Clements' rectangle unless ``cells`` says which modes its cells join."""
    random = np.random.Generator(np.random.Philox(seed))
    places = rectangle(modes) if cells is None else list(cells)
    angles = random.uniform(0.0, 2.0 * np.pi, (len(places), 2))
    made = [Cell(mode, float(theta) / 2.0, float(phi)) for mode, (theta, phi) in zip(places, angles, strict=True)]
    return Mesh(modes, tuple(made), tuple(random.uniform(0.0, 2.0 * np.pi, modes).tolist()))


def random_unitary(modes: int, seed: int) -> np.ndarray:
    """A unitary matrix drawn evenly from all of them. Source: Mezzadri, Notices AMS 54, 592 (2007)."""
    random = np.random.Generator(np.random.Philox(seed))
    q, r = np.linalg.qr(random.standard_normal((modes, modes)) + 1j * random.standard_normal((modes, modes)))
    diagonal = np.diag(r)
    return np.asarray(q * (diagonal / np.abs(diagonal)))
