"""The matched weight node: a reflectionless reciprocal mesh whose every entry is a parameter port."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Node, Port


@dataclass(frozen=True, eq=False)
class Weights(Node):
    """A mesh with ``S = [[0, W^T], [W, 0]]``: forward ``W x + bias``, backward ``W^T p``, nothing reflected.

    ``matrix`` is ``[outputs, inputs]``, ``bias`` is ``[outputs]`` or None. The port of entry (i, j) senses
    ``p_i x_j`` and the port of bias i senses ``p_i``: the gradient of the loss. ``tap`` is the share of power that
    the sensing couplers take from each wave on each side of the mesh (0: sensing is free). Raises NetworkError.
    Source: ``docs/theory.md``, section "Matched".

    >>> node = Weights(np.eye(3)[:2], bias=np.zeros(2))
    >>> node.ports
    (Port(name='left', channels=3), Port(name='right', channels=2))
    """

    matrix: np.ndarray
    bias: np.ndarray | None = None
    tap: float = 0.0
    law: ClassVar[str] = "weights"

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or 0 in self.matrix.shape:
            raise NetworkError(f"Weights need a matrix [outputs, inputs], but its shape is {self.matrix.shape}")
        if self.bias is not None and self.bias.shape != self.matrix.shape[:1]:
            raise NetworkError(
                f"Weights with {self.matrix.shape[0]} outputs need a bias of that length, "
                f"but its shape is {self.bias.shape}"
            )
        if not 0.0 <= self.tap < 1.0:
            raise NetworkError(f"The tap of weights is a share of power in [0, 1), but tap={self.tap!r}")
        for name, values in self.parameters().items():
            if not np.all(np.isfinite(values)):
                raise NetworkError(f"Weights need finite numbers, but their {name} holds NaN or infinity")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (inputs) and ``right`` (outputs)."""
        outputs, inputs = self.matrix.shape
        return (Port("left", inputs), Port("right", outputs))

    def parameters(self) -> dict[str, np.ndarray]:
        """``matrix`` and, where there is one, ``bias``."""
        return {"matrix": self.matrix} if self.bias is None else {"matrix": self.matrix, "bias": self.bias}
