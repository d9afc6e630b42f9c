"""The matched weight node: a reflectionless reciprocal mesh whose every entry is a parameter port."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Node, Port, require_temperature


def check_matrix(owner: str, matrix: np.ndarray, bias: np.ndarray | None) -> None:
    """Refuse a matrix ``[outputs, inputs]`` or a bias ``[outputs]`` of a wrong shape, or with numbers that are none."""
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise NetworkError(f"{owner} need a matrix [outputs, inputs], but its shape is {matrix.shape}")
    if bias is not None and bias.shape != matrix.shape[:1]:
        raise NetworkError(
            f"{owner} with {matrix.shape[0]} outputs need a bias of that length, but its shape is {bias.shape}"
        )
    for name, values in (("matrix", matrix), ("bias", bias)):
        if values is not None and not np.all(np.isfinite(values)):
            raise NetworkError(f"{owner} need finite numbers, but their {name} holds NaN or infinity")


@dataclass(frozen=True, eq=False)
class Weights(Node):
    """A mesh with ``S = [[0, W^T], [W, 0]]``: forward ``W x + bias``, backward ``W^T p``, nothing reflected.

    ``matrix`` is ``[outputs, inputs]``, ``bias`` is ``[outputs]`` or None. The port of entry (i, j) senses
    ``p_i x_j`` and the port of bias i senses ``p_i``: the gradient of the loss. ``tap`` is the share of power that
    the sensing couplers take from each wave on each side of the mesh (0: sensing is free). With ``memory`` the ports
    keep the forward wave for their own round trip to the load and back, and multiply the returning error with the wave
    it belongs to. Amplifiers at its outputs, both ways, of ``noise_temperature`` (K) add the density ``kT`` to every
    wave that leaves; a passive mesh at T absorbs and so emits at most that. Raises NetworkError.
    Source: ``docs/theory.md``, sections "Matched" and "Noise"; Friis 1944 (``T = 290 K (F - 1)``).

    >>> node = Weights(np.eye(3)[:2], bias=np.zeros(2))
    >>> node.ports
    (Port(name='left', channels=3), Port(name='right', channels=2))
    """

    matrix: np.ndarray
    bias: np.ndarray | None = None
    tap: float = 0.0
    memory: bool = False
    noise_temperature: float = 0.0
    law: ClassVar[str] = "weights"

    def __post_init__(self) -> None:
        check_matrix("Weights", self.matrix, self.bias)
        require_temperature("Weights", self.noise_temperature)
        if not 0.0 <= self.tap < 1.0:
            raise NetworkError(f"The tap of weights is a share of power in [0, 1), but tap={self.tap!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (inputs) and ``right`` (outputs)."""
        outputs, inputs = self.matrix.shape
        return (Port("left", inputs), Port("right", outputs))

    def parameters(self) -> dict[str, np.ndarray]:
        """``matrix`` and, where there is one, ``bias``."""
        return {"matrix": self.matrix} if self.bias is None else {"matrix": self.matrix, "bias": self.bias}
