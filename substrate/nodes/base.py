"""What every node has in common: named ports, tunable parameters, and the law that scatters its waves."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.errors import NetworkError


@dataclass(frozen=True)
class Port:
    """A place where a node meets a line: a name and how many parallel channels it carries."""

    name: str
    channels: int


class Node(ABC):
    """A place where waves meet: it takes the waves that arrive and sends waves out, instantly.

    Subclasses are frozen dataclasses. ``ports`` run from the node's input side to its output side.
    """

    law: ClassVar[str]

    @property
    @abstractmethod
    def ports(self) -> tuple[Port, ...]:
        """The node's ports, input side first."""

    def parameters(self) -> dict[str, np.ndarray]:
        """Initial values of the numbers that devices may tune, by name."""
        return {}

    def port(self, name: str) -> Port:
        """The port called ``name``; raises NetworkError naming the ones there are."""
        for port in self.ports:
            if port.name == name:
                return port
        known = ", ".join(port.name for port in self.ports)
        raise NetworkError(f"{type(self).__name__} has no port {name!r}; its ports are {known}")


def require_channels(owner: str, channels: int) -> None:
    """Refuse a channel count that is not a whole number of at least one."""
    if not isinstance(channels, int | np.integer) or channels < 1:
        raise NetworkError(f"{owner} must have a whole number of channels of at least 1, but channels={channels!r}")


def require_temperature(owner: str, temperature: float) -> None:
    """Refuse a temperature below absolute zero or not finite."""
    if not (np.isfinite(temperature) and temperature >= 0.0):
        raise NetworkError(f"{owner} needs a temperature of at least 0 K, but temperature={temperature!r}")
