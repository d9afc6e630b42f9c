"""Kirchhoff's laws as nodes: lines joined in parallel (one voltage) and in series (one current)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Port
from substrate.nodes.linear import Memoryless


@cache
def _ports(owner: str, count: int) -> tuple[Port, ...]:
    if count < 2:
        raise NetworkError(f"{owner} joins at least 2 lines, but count={count}")
    return tuple(Port(f"p{index + 1}", 1) for index in range(count))


@dataclass(frozen=True)
class ParallelJunction(Memoryless):
    """``count`` lines joined at one point: one voltage, currents that add to zero; ports ``p1 .. pN``.

    ``S_ij = 2 sqrt(Y_i Y_j) / sum(Y) - d_ij`` in power waves. Raises NetworkError.
    Source: Belevitch 1968, "Classical Network Theory", section 7; N equal lines: 2/N - d_ij.

    >>> ParallelJunction(3).matrix([50.0, 50.0, 50.0]).round(4).tolist()[0]
    [-0.3333, 0.6667, 0.6667]
    """

    count: int = 3

    def __post_init__(self) -> None:
        _ports("A parallel junction", self.count)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return _ports("A parallel junction", self.count)

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        y = np.stack(np.broadcast_arrays(*[1.0 / np.asarray(value, float) for value in z]), axis=-1)
        root = np.sqrt(y / y.sum(axis=-1, keepdims=True))
        matrix: np.ndarray = 2.0 * root[..., :, None] * root[..., None, :] - np.eye(self.count)
        return matrix


@dataclass(frozen=True)
class SeriesJunction(Memoryless):
    """``count`` ports in one loop: one current, voltages that add to zero; ports ``p1 .. pN``.

    ``S_ij = d_ij - 2 sqrt(Z_i Z_j) / sum(Z)`` in power waves, every port counted in the same sense round the loop.
    Raises NetworkError. Source: Belevitch 1968, section 7.

    >>> SeriesJunction(3).matrix([50.0, 50.0, 50.0]).round(4).tolist()[0]
    [0.3333, -0.6667, -0.6667]
    """

    count: int = 3

    def __post_init__(self) -> None:
        _ports("A series junction", self.count)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return _ports("A series junction", self.count)

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        values = np.stack(np.broadcast_arrays(*[np.asarray(value, float) for value in z]), axis=-1)
        root = np.sqrt(values / values.sum(axis=-1, keepdims=True))
        matrix: np.ndarray = np.eye(self.count) - 2.0 * root[..., :, None] * root[..., None, :]
        return matrix
