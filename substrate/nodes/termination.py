"""The matched termination: it absorbs every wave and emits only the thermal noise of its resistance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.nodes.base import Port, require_channels, require_temperature
from substrate.nodes.linear import Drive, LinearNode, Scattering


@dataclass(frozen=True)
class Termination(LinearNode):
    """A resistance equal to the line's impedance at ``temperature`` (K), one per channel. Raises NetworkError.

    With one channel it can stand in any circuit; with more it ends a bundle of lines.

    >>> Termination(channels=2, temperature=300.0).ports
    (Port(name='in', channels=2),)
    """

    channels: int = 1
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_channels("A termination", self.channels)
        require_temperature("A termination", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return (Port("in", self.channels),)

    @property
    def law(self) -> str:  # type: ignore[override]
        """``linear`` for one channel, ``termination`` for a bundle."""
        return "linear" if self.channels == 1 else "termination"

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        if self.temperature == 0.0:
            return Scattering(np.zeros((1, 1)), 1)
        return Scattering(np.array([[0.0, 1.0]]), 1, drives=(Drive(temperature=self.temperature),))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return np.zeros((len(frequencies), 1, 1))
