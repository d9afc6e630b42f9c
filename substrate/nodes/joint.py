"""An imperfect joint within a bundle of lines: crosstalk between channels, reflection, gain of the returning wave."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Node, Port, require_channels


@dataclass(frozen=True)
class Joint(Node):
    """Where two lengths of a bundle meet, and what is wrong there; with nothing wrong it passes every wave unchanged.

    ``crosstalk``: share of the power that two neighbouring channels, alone, exchange (0 to 1, without loss);
    ``reflection``: amplitude sent back, ``(z2 - z1) / (z2 + z1)`` where the impedance steps from z1 to z2, equally the
    forward wave that a separator of finite isolation shows to the port (-1 to 1); ``return_gain``: amplitude factor on
    waves from right to left over that of the other way (1: reciprocal). All dimensionless. Raises NetworkError.
    Source: ``docs/theory.md``, section "Loss".

    >>> Joint(2, crosstalk=0.25).scattering(1.0, 1.0).round(3)[2:, :2]
    array([[ 0.866, -0.5  ],
           [ 0.5  ,  0.866]])
    """

    channels: int
    crosstalk: float = 0.0
    reflection: float = 0.0
    return_gain: float = 1.0
    law: ClassVar[str] = "joint"

    def __post_init__(self) -> None:
        require_channels("A joint", self.channels)
        if not 0.0 <= self.crosstalk <= 1.0:
            raise NetworkError(f"A joint's crosstalk is a share of power from 0 to 1, but crosstalk={self.crosstalk!r}")
        if not -1.0 < self.reflection < 1.0:
            raise NetworkError(
                f"A joint's reflection is an amplitude between -1 and 1, but reflection={self.reflection!r}"
            )
        if not (np.isfinite(self.return_gain) and self.return_gain >= 0.0):
            raise NetworkError(f"A joint's return_gain must be at least 0, but return_gain={self.return_gain!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` and ``right``, as many channels each."""
        return (Port("left", self.channels), Port("right", self.channels))

    @property
    def through(self) -> np.ndarray:
        """``[channels, channels]``: departing right over arriving left, ``sqrt(1 - r^2) exp(angle K)``.

        ``K`` couples neighbours antisymmetrically, so the exponential is orthogonal: crosstalk moves power, loses none.
        """
        from scipy.linalg import expm

        coupling = np.diag(np.ones(self.channels - 1), -1) - np.diag(np.ones(self.channels - 1), 1)
        matrix: np.ndarray = expm(np.arcsin(np.sqrt(self.crosstalk)) * coupling)
        return np.sqrt(1.0 - self.reflection**2) * matrix

    def scattering(self, z1: float, z2: float) -> np.ndarray:
        """``[2 n, 2 n]``: departing waves from arriving ones, left channels first; the same at all impedances."""
        echo, through = self.reflection * np.eye(self.channels), self.through
        return np.block([[echo, self.return_gain * through.T], [through, -echo]])
