"""The data source: it sends a held pattern into the network and absorbs whatever comes back."""

from dataclasses import dataclass
from typing import ClassVar

from substrate.nodes.base import Node, Port, require_channels, require_temperature


@dataclass(frozen=True)
class DataSource(Node):
    """A matched source that emits one held value per channel and sample, and absorbs the returning wave.

    ``temperature`` (K) is that of its matched resistance, which adds thermal noise to what it emits.
    Raises NetworkError.

    >>> DataSource(64).ports
    (Port(name='out', channels=64),)
    """

    channels: int
    temperature: float = 0.0
    law: ClassVar[str] = "source"

    def __post_init__(self) -> None:
        require_channels("A data source", self.channels)
        require_temperature("A data source", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``out``."""
        return (Port("out", self.channels),)
