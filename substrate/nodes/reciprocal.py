"""The reciprocal family: state as voltage, costate as current, layers as lossless transformers that reflect.

Voltages and currents are those of normalised waves: ``v = sqrt(z) (a + b)``, ``i = (a - b) / sqrt(z)`` with ``z`` the
line's impedance over 50 ohm, so that a voltage of 1 is an activation of 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from substrate.activations import activation_named
from substrate.errors import NetworkError
from substrate.losses import loss_named
from substrate.nodes.base import Node, Port, require_channels
from substrate.nodes.weights import check_matrix

NOMINAL_IMPEDANCE = 50.0  # ohm; an impedance of this size is 1 in normalised units


@dataclass(frozen=True)
class IdealSource(Node):
    """A voltage source without resistance, one per channel, joined directly to the transformer it feeds.

    >>> IdealSource(64).ports
    (Port(name='out', channels=64),)
    """

    channels: int
    law: ClassVar[str] = "ideal_source"

    def __post_init__(self) -> None:
        require_channels("An ideal source", self.channels)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``out``."""
        return (Port("out", self.channels),)


@dataclass(frozen=True, eq=False)
class Transformer(Node):
    """A many-winding ideal transformer: ``v2 = W v1 + bias``, ``i1 = W^T i2``; lossless, and it reflects.

    ``matrix`` is ``[outputs, inputs]``, ``bias`` is ``[outputs]`` (voltage sources in series with the outputs). Once
    the waves have settled the port of entry (i, j) senses ``i2_i v1_j``, the gradient. Raises NetworkError.
    Source: Pehle & Slotine 2026 (arXiv 2602.10461); ``docs/theory.md``, section "Transformer".

    >>> Transformer(np.ones((2, 3))).ports
    (Port(name='left', channels=3), Port(name='right', channels=2))
    """

    matrix: np.ndarray
    bias: np.ndarray | None = None
    law: ClassVar[str] = "transformer"

    def __post_init__(self) -> None:
        check_matrix("A transformer", self.matrix, self.bias)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (inputs) and ``right`` (outputs)."""
        outputs, inputs = self.matrix.shape
        return (Port("left", inputs), Port("right", outputs))

    def parameters(self) -> dict[str, np.ndarray]:
        """``matrix`` and, where there is one, ``bias``."""
        return {"matrix": self.matrix} if self.bias is None else {"matrix": self.matrix, "bias": self.bias}


@dataclass(frozen=True)
class ReciprocalActivation(Node):
    """A state-modulated transformer per channel: ``v2 = phi(v1)``, ``i1 = phi'(v1) i2``.

    Solved at every step by Newton's method inside a bracket, from the last voltage. ``function`` as in Activation.
    Raises NetworkError. Source: ``docs/theory.md``, section "Transformer".

    >>> [port.name for port in ReciprocalActivation(32, "tanh").ports]
    ['left', 'right']
    """

    channels: int
    function: str = "tanh"
    law: ClassVar[str] = "reciprocal_activation"

    def __post_init__(self) -> None:
        require_channels("An activation", self.channels)
        activation_named(self.function)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (input side) and ``right`` (output side)."""
        return (Port("left", self.channels), Port("right", self.channels))


@dataclass(frozen=True)
class ReciprocalLoad(Node):
    """A load that draws the current ``i = beta dPhi/dv``: the error, nudged by ``beta``.

    ``beta`` 0 is an open end that only looks; 1 is the full error. Raises NetworkError.
    Source: ``docs/theory.md``, section "Transformer"; nudging: Scellier & Bengio 2017.

    >>> ReciprocalLoad(10, "cross_entropy", beta=0.1).ports
    (Port(name='in', channels=10),)
    """

    channels: int
    loss: str = "mse"
    beta: float = 1.0
    law: ClassVar[str] = "reciprocal_load"

    def __post_init__(self) -> None:
        require_channels("A load", self.channels)
        loss_named(self.loss)
        if not np.isfinite(self.beta):
            raise NetworkError(f"A load's beta must be a finite number, but beta={self.beta!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return (Port("in", self.channels),)


@dataclass(frozen=True)
class Launcher(Node):
    """From the matched to the reciprocal family: the arriving wave ``x`` becomes a voltage, the current it draws a
    wave.

    Left: forward ``x``, backward ``i / beta``; right: ``v = x``. ``beta`` is that of the reciprocal load further on.

    >>> Launcher(8).ports[1]
    Port(name='right', channels=8)
    """

    channels: int
    law: ClassVar[str] = "launcher"

    def __post_init__(self) -> None:
        require_channels("A launcher", self.channels)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (matched side) and ``right`` (reciprocal side)."""
        return (Port("left", self.channels), Port("right", self.channels))


@dataclass(frozen=True)
class Receiver(Node):
    """From the reciprocal to the matched family: the voltage becomes a forward wave, the returning wave a current.

    Left: ``i = beta p``; right: forward ``v``, arriving backward ``p``.

    >>> Receiver(8).ports[0]
    Port(name='left', channels=8)
    """

    channels: int
    beta: float = 1.0
    law: ClassVar[str] = "receiver"

    def __post_init__(self) -> None:
        require_channels("A receiver", self.channels)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``left`` (reciprocal side) and ``right`` (matched side)."""
        return (Port("left", self.channels), Port("right", self.channels))
