"""The activation node: forward it applies a function, backward it multiplies by the function's slope."""

from dataclasses import dataclass
from typing import ClassVar

from substrate.activations import activation_named
from substrate.nodes.base import Node, Port, require_channels


@dataclass(frozen=True)
class Activation(Node):
    """A pointwise two-port: forward ``phi(v)``, backward ``phi'(v) p`` with the ``v`` passing at that moment.

    ``function`` is one of tanh, relu, sigmoid, softplus, identity. With ``memory`` the slope is that of the ``v`` which
    passed one round trip to the load and back ago, the one the error belongs to. Raises NetworkError.

    >>> [port.name for port in Activation(32, "relu").ports]
    ['left', 'right']
    """

    channels: int
    function: str = "tanh"
    memory: bool = False
    law: ClassVar[str] = "activation"

    def __post_init__(self) -> None:
        require_channels("An activation", self.channels)
        activation_named(self.function)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (input side) and ``right`` (output side)."""
        return (Port("left", self.channels), Port("right", self.channels))
