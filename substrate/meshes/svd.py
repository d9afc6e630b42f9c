"""Any matrix as light can do it: a mesh, attenuators, a mesh, and one gain for all."""

from dataclasses import dataclass

import numpy as np

from substrate.errors import NetworkError
from substrate.meshes.decompose import clements
from substrate.meshes.mesh import Mesh


@dataclass(frozen=True)
class SvdLayer:
    """``W = gain * left diag(attenuations) right``: meshes and amplitude factors of at most 1; ``gain`` is the largest
    singular value, which only an amplifier can give."""

    right: Mesh
    attenuations: tuple[float, ...]
    left: Mesh
    gain: float

    @property
    def matrix(self) -> np.ndarray:
        """``[modes, modes]``, gain included."""
        return self.gain * self.left.matrix @ (np.array(self.attenuations)[:, None] * self.right.matrix)

    @property
    def decibels(self) -> tuple[float, ...]:
        """The attenuators' losses, dB of power."""
        return tuple(float(-20.0 * np.log10(a)) if a > 0.0 else float("inf") for a in self.attenuations)


def svd_layer(matrix: np.ndarray) -> SvdLayer:
    """The layer of a real or complex square ``matrix``. Raises NetworkError for others.

    Source: Miller, "Self-configuring universal linear optical component", Photonics Res. 1, 1 (2013).

    >>> w = np.array([[1.0, 2.0], [0.5, -3.0]])
    >>> bool(np.abs(svd_layer(w).matrix - w).max() < 1e-12)
    True
    """
    w = np.asarray(matrix, dtype=complex)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or not np.all(np.isfinite(w)) or not np.any(w):
        raise NetworkError(f"An SVD layer needs a finite square matrix that is not zero, got shape {w.shape}; pad it")
    u, values, v = np.linalg.svd(w)
    return SvdLayer(clements(v), tuple((values / values[0]).tolist()), clements(u), float(values[0]))
