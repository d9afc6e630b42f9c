"""Lumped two-ports and resonators: one-ports in series and in shunt, RLC, ideal transformer, gyrator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.algebra import hung
from substrate.nodes.base import Port
from substrate.nodes.kirchhoff import ParallelJunction, SeriesJunction
from substrate.nodes.linear import LinearNode, Memoryless, Scattering, stacked
from substrate.nodes.lumped import ONE_PORT, Capacitor, Inductor, Resistor

TWO_PORTS = (Port("in", 1), Port("out", 1))
FAR_END_TURNED = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])  # current counted from in to out


class _Composed(LinearNode):
    """A node made of a memoryless junction with one-ports hung on its last ports."""

    def leaves(self) -> tuple[LinearNode, ...]:
        """The one-ports, in order."""
        raise NotImplementedError

    def junction(self, z: Sequence[Any]) -> np.ndarray:
        """The junction's matrix when its ports, outer first, have impedances ``z``."""
        raise NotImplementedError

    def _inner(self, z: Sequence[Any], dt: float) -> list[Any]:
        """Where the leaves meet the junction: at the impedance at which each reflects least."""
        middle = float(np.exp(np.mean([np.mean(np.log(value)) for value in z])))
        return [leaf.preferred_impedance(0, dt) or middle for leaf in self.leaves()]

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        inner = self._inner(z, dt)
        leaves = [leaf.scattering([r], dt) for leaf, r in zip(self.leaves(), inner, strict=True)]
        return hung(self.junction([*z, *inner]), leaves)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        inner = self._inner(z, 1.0 / max(1.0, 6.0 * float(np.max(np.abs(frequencies), initial=0.0))))
        leaves = [leaf.response([r], frequencies) for leaf, r in zip(self.leaves(), inner, strict=True)]
        return hung(self.junction([*z, *inner]), [Scattering(leaf, 1) for leaf in leaves]).matrix


def _require_one_port(owner: str, part: Any) -> None:
    if not isinstance(part, LinearNode) or part.law != "linear" or len(part.ports) != 1:
        raise NetworkError(
            f"{owner} takes a linear one-port such as Resistor(50.0), but got {part!r}; "
            "join a nonlinear one to a SeriesJunction or ParallelJunction instead"
        )


@dataclass(frozen=True)
class Series(_Composed):
    """A one-port in the way from ``in`` to ``out``, such as a series inductor. Raises NetworkError.

    >>> Series(Resistor(100.0)).scattering([50.0, 50.0], dt=1.0).matrix.round(4).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    part: LinearNode

    def __post_init__(self) -> None:
        _require_one_port("Series", self.part)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def leaves(self) -> tuple[LinearNode, ...]:
        """The part."""
        return (self.part,)

    def junction(self, z: Sequence[Any]) -> np.ndarray:
        """One current through both ends and the part."""
        matrix: np.ndarray = FAR_END_TURNED * SeriesJunction(3).matrix(z)
        return matrix


@dataclass(frozen=True)
class Shunt(_Composed):
    """A one-port across the way from ``in`` to ``out``, such as a shunt capacitor. Raises NetworkError.

    >>> Shunt(Resistor(50.0)).scattering([50.0, 50.0], dt=1.0).matrix.round(4).tolist()
    [[-0.3333, 0.6667], [0.6667, -0.3333]]
    """

    part: LinearNode

    def __post_init__(self) -> None:
        _require_one_port("Shunt", self.part)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def leaves(self) -> tuple[LinearNode, ...]:
        """The part."""
        return (self.part,)

    def junction(self, z: Sequence[Any]) -> np.ndarray:
        """One voltage at both ends and the part."""
        return ParallelJunction(3).matrix(z)


@dataclass(frozen=True)
class _Resonator(_Composed):
    """R, L and C in one one-port; a part that is None is left out."""

    resistance: Any = None
    inductance: Any = None
    capacitance: Any = None
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not self.leaves():
            raise NetworkError(f"{type(self).__name__} needs at least one of resistance, inductance and capacitance")

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def leaves(self) -> tuple[LinearNode, ...]:
        """Those of R, L and C that there are."""
        parts: list[LinearNode] = []
        if self.resistance is not None:
            parts.append(Resistor(self.resistance, self.temperature))
        if self.inductance is not None:
            parts.append(Inductor(self.inductance))
        if self.capacitance is not None:
            parts.append(Capacitor(self.capacitance))
        return tuple(parts)


@dataclass(frozen=True)
class SeriesRLC(_Resonator):
    """R (ohm), L (H) and C (F) in series, R at ``temperature`` (K); a part that is None is left out.

    Raises NetworkError. Source: Fettweis 1986 (series adaptor); trapezoidal: resonant at
    tan(w dt / 2) = w0 dt / 2.

    >>> len(SeriesRLC(1.0, 1e-9, 1e-12).scattering([50.0], dt=1e-12).energy)
    2
    """

    def junction(self, z: Sequence[Any]) -> np.ndarray:
        """One current round the loop; the outer port counted the other way."""
        matrix = SeriesJunction(len(z)).matrix(z)
        turn = np.ones(len(z))
        turn[0] = -1.0
        turned: np.ndarray = turn[:, None] * matrix * turn
        return turned

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """The sum of the parts' own."""
        inner = [leaf.preferred_impedance(0, dt) for leaf in self.leaves()]
        known = [value for value in inner if value is not None]
        return sum(known) if len(known) == len(inner) else None


@dataclass(frozen=True)
class ParallelRLC(_Resonator):
    """R (ohm), L (H) and C (F) in parallel, R at ``temperature`` (K); a part that is None is left out.

    Raises NetworkError. Source: Fettweis 1986 (parallel adaptor).

    >>> ParallelRLC(resistance=50.0).scattering([50.0], dt=1e-12).matrix.round(6).tolist()
    [[0.0]]
    """

    def junction(self, z: Sequence[Any]) -> np.ndarray:
        """One voltage across all."""
        return ParallelJunction(len(z)).matrix(z)

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """That of the parts' own in parallel."""
        inner = [leaf.preferred_impedance(0, dt) for leaf in self.leaves()]
        known = [value for value in inner if value is not None]
        return 1.0 / sum(1.0 / value for value in known) if len(known) == len(inner) else None


@dataclass(frozen=True)
class IdealTransformer(Memoryless):
    """An ideal transformer: ``v(in) = ratio v(out)``, lossless and reciprocal; ports in, out. Raises NetworkError.

    Source: Belevitch 1968, section 3.

    >>> IdealTransformer(2.0).matrix([200.0, 50.0])[:, 0].tolist()  # it matches 200 ohm to 50 ohm
    [0.0, 1.0]
    """

    ratio: Any = 1.0

    def __post_init__(self) -> None:
        if not (np.all(np.isfinite(self.ratio)) and np.all(np.asarray(self.ratio) != 0.0)):
            raise NetworkError(f"A transformer needs a finite ratio other than 0, but ratio={self.ratio!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        n = np.asarray(self.ratio, float)
        first, second = np.asarray(z[0], float), n**2 * np.asarray(z[1], float)
        gamma = (second - first) / (second + first)
        through = 2.0 * np.sign(n) * np.sqrt(first * second) / (second + first)
        return stacked([[gamma, through], [through, -gamma]])


@dataclass(frozen=True)
class Gyrator(Memoryless):
    """An ideal gyrator: ``v(in) = -R i(out)``, ``v(out) = R i(in)`` (currents inward); ports in, out.

    Raises NetworkError. Source: Tellegen 1948.

    >>> Gyrator(50.0).matrix([50.0, 50.0]).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """

    resistance: Any = 50.0

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.resistance) > 0.0):
            raise NetworkError(f"A gyrator needs resistance above zero, but resistance={self.resistance!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        g = np.asarray(self.resistance, float) / np.sqrt(np.asarray(z[0], float) * np.asarray(z[1], float))
        back, across = (g**2 - 1.0) / (g**2 + 1.0), 2.0 * g / (g**2 + 1.0)
        return stacked([[back, -across], [across, back]])
