"""How lines are laid for a time step: whole steps of plain line, end nodes that filter, and how exact the result is."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.errors import CompileError, NetworkError
from substrate.network import Line
from substrate.nodes.base import Port
from substrate.nodes.linear import LinearNode, Scattering
from substrate.waveforms import Waveform

ROUNDING = 1e-9  # relative error of a delay that is rounding of decimals


@dataclass(frozen=True)
class LineAccuracy:
    """How exactly a line is stepped: errors against the exact line, as found when it was laid.

    ``magnitude_error`` is ``|H| - |H_exact|`` of one pass and ``phase_delay_error`` (steps) its delay too much,
    both at ``frequency`` (Hz, a tenth of the sampling rate unless said otherwise; from the carrier for envelopes).
    ``error_below`` is the largest deviation of an entry of the scattering matrix between matched ends from zero to
    ``frequency``, ``band_error`` the same up to half the sampling rate. ``gain`` is by how much the largest singular
    value of that matrix exceeds 1 (zero or below: passive). ``states`` are the numbers remembered beside the waves.
    From ``noise_from`` (Hz) on the thermal noise of a line that disperses has its density within 1e-3.
    """

    medium: str
    steps: int
    delay: float  # s, of the exact line
    states: int = 0
    frequency: float = 0.0
    magnitude_error: float = 0.0
    phase_delay_error: float = 0.0
    error_below: float = 0.0
    band_error: float = 0.0
    gain: float = 0.0
    noise_from: float = 0.0

    def __str__(self) -> str:
        noise = f"; thermal noise right from {self.noise_from:.3g} Hz on" if self.noise_from > 0.0 else ""
        return (
            f"{self.medium}, {self.states} states; at {self.frequency:.4g} Hz |H| error {self.magnitude_error:+.3e}, "
            f"phase delay error {self.phase_delay_error:+.3e} steps, scattering error {self.error_below:.2e} up to "
            f"there, {self.band_error:.2e} up to half the sampling rate{noise}"
        )


@dataclass(frozen=True)
class LaidLine(Line):
    """A plain line of whole steps, as laid in place of what the user described.

    ``charge`` ``[steps]`` or ``[steps, batch]`` are the waves (sqrt(W)) in its cells at time zero, in the order of
    arrival;
    ``hidden``: its waves are no power waves; ``inside``: why the waves inside cannot be probed, "" where they can.
    """

    charge: Any = field(default=None, compare=False)
    hidden: bool = False
    inside: str = ""


@dataclass(frozen=True, eq=False)
class Laid:
    """What stands in place of one line: nodes and plain lines from its first end to its second, and their accuracy."""

    parts: tuple[LinearNode | Line, ...]
    accuracy: LineAccuracy


@dataclass(frozen=True)
class Medium(Line):
    """A length of a medium: it knows its physics, and how it is laid for a time step.

    What a plain line is described by (delay, impedance, loss, phase) follows from the physics.
    """

    delay: float = field(init=False, repr=False, default=1.0)
    impedance: float = field(init=False, repr=False, default=50.0)
    loss_db: float = field(init=False, repr=False, default=0.0)
    loss_db_back: float | None = field(init=False, repr=False, default=None)
    phase: Any = field(init=False, repr=False, default=0.0)
    lowpass: float = field(init=False, repr=False, default=0.0)
    temperature: float = field(default=0.0, kw_only=True)
    voltage: Any = field(default=0.0, kw_only=True)
    fractional: str = field(default="none", kw_only=True)
    order: int = field(default=3, kw_only=True)
    modulation: Waveform | None = field(default=None, kw_only=True)
    skew: Sequence[float] = field(init=False, repr=False, default=())

    def _settle(self, **numbers: Any) -> None:
        """Set what follows from the physics, then check as a line does."""
        for name, value in numbers.items():
            object.__setattr__(self, name, value)
        Line.__post_init__(self)

    @property
    def is_plain(self) -> bool:
        """Whether it is no more than a line with a delay, a loss and a phase."""
        return False

    @abstractmethod
    def lay(self, name: str, dt: float) -> Laid:
        """What stands for it, called ``name``, at steps of ``dt`` (s); raises CompileError."""

    @abstractmethod
    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """Exact scattering matrix ``[frequencies, 2, 2]`` (Hz) between ports of impedances ``z`` (ohm)."""


@dataclass(frozen=True, eq=False)
class MediumNode(LinearNode):
    """A length of a medium as a two-port node with ports ``first`` and ``second``, for exact answers in frequency."""

    medium: Medium

    @property
    def ports(self) -> tuple[Port, ...]:
        """``first``, ``second``."""
        return (Port("first", 1), Port("second", 1))

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """Refused: in time a medium is laid as lines and end nodes."""
        raise NetworkError("A medium is stepped in time as a line; connect two nodes by it")

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return self.medium.response(z, frequencies)


def require_positive(owner: str, **numbers: Any) -> None:
    """Refuse numbers that are not above zero and finite; raises NetworkError."""
    for name, value in numbers.items():
        if not (np.ndim(value) == 0 and np.isfinite(value) and value > 0.0):
            raise NetworkError(f"{owner} needs a {name} above zero, but {name}={value!r}")


def require_passive(owner: str, **numbers: Any) -> None:
    """Refuse numbers below zero or not finite; raises NetworkError."""
    for name, value in numbers.items():
        if not (np.ndim(value) == 0 and np.isfinite(value) and value >= 0.0):
            raise NetworkError(f"{owner} needs a {name} of at least 0, but {name}={value!r}")


def chain_scattering(a: Any, b: Any, c: Any, d: Any, z: Sequence[Any]) -> np.ndarray:
    """Scattering matrix ``[f, 2, 2]`` in power waves from a chain matrix (V1 = a V2 + b I2, I1 = c V2 + d I2).

    Source: Pozar, "Microwave Engineering", table 4.2, for unequal real impedances.
    """
    z1, z2 = np.asarray(z[0], float), np.asarray(z[1], float)
    total = a * z2 + b + c * z1 * z2 + d * z1
    through = 2.0 * np.sqrt(z1 * z2) / total
    reflected = (a * z2 + b - c * z1 * z2 - d * z1) / total
    back = (-a * z2 + b - c * z1 * z2 + d * z1) / total
    # Reciprocal: a d - b c = 1, which a long lossy line would not show in floating point.
    return np.moveaxis(np.array([[reflected, through], [through, back]]), (0, 1), (-2, -1))


def whole_steps(name: str, delay: float, dt: float) -> int:
    """A delay in whole steps, to the nearest; raises CompileError where it is shorter than one."""
    # A delay written as a product of decimals may miss a whole number of steps by rounding alone.
    if delay < dt * (1.0 - ROUNDING):
        raise CompileError(
            f"{name} must last at least one step, but delay={delay:.6g} s < dt={dt:.6g} s; lower dt or lengthen it"
        )
    return nearest_step(delay, dt)


def nearest_step(seconds: float, dt: float) -> int:
    """A time in steps of ``dt`` (s), to the nearest; halves go up.

    >>> nearest_step(2.5e-12, 1e-12)
    3
    """
    return math.floor(seconds / dt + 0.5)
