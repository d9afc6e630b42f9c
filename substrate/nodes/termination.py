"""The matched termination: it absorbs every wave and emits only the thermal noise of its resistance."""

from dataclasses import dataclass
from typing import ClassVar

from substrate.nodes.base import Node, Port, require_channels, require_temperature


@dataclass(frozen=True)
class Termination(Node):
    """A resistance equal to the line's impedance at ``temperature`` (K), one per channel. Raises NetworkError.

    >>> Termination(channels=2, temperature=300.0).ports
    (Port(name='in', channels=2),)
    """

    channels: int = 1
    temperature: float = 0.0
    law: ClassVar[str] = "termination"

    def __post_init__(self) -> None:
        require_channels("A termination", self.channels)
        require_temperature("A termination", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return (Port("in", self.channels),)
