"""The load: it receives the output wave and reflects the error, dPhi/dz."""

from dataclasses import dataclass
from typing import ClassVar

from substrate.losses import loss_named
from substrate.nodes.base import Node, Port, require_channels, require_temperature


@dataclass(frozen=True)
class Load(Node):
    """A load that absorbs the arriving wave ``z`` and sends back ``dPhi/dz`` of its loss.

    ``loss`` is ``mse`` or ``cross_entropy``. Training is the reflected power falling. ``temperature`` (K) is that of
    its matched resistance, which adds thermal
    noise to the reflected wave. Raises NetworkError. Source: ``docs/theory.md``, section "Matched".

    >>> Load(10, "cross_entropy").ports
    (Port(name='in', channels=10),)
    """

    channels: int
    loss: str = "mse"
    temperature: float = 0.0
    law: ClassVar[str] = "load"

    def __post_init__(self) -> None:
        require_channels("A load", self.channels)
        require_temperature("A load", self.temperature)
        loss_named(self.loss)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return (Port("in", self.channels),)
