"""Nodes given by their scattering matrix: a constant one, and a continuous-time state space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.algebra import fluctuating, renormalised, warmed
from substrate.nodes.base import Port, require_temperature
from substrate.nodes.linear import LinearNode, Scattering

ROUNDING = 1e-9  # by which the largest singular value of a passive matrix may be over 1


def _numbered(count: int) -> tuple[Port, ...]:
    return tuple(Port(f"p{index + 1}", 1) for index in range(count))


def _references(impedance: Any, count: int) -> list[Any]:
    """One reference impedance per port."""
    values = np.broadcast_to(np.asarray(impedance, float), (count,))
    if not np.all(np.isfinite(values) & (values > 0.0)):
        raise NetworkError(f"Reference impedances are real and above zero, but impedance={impedance!r}")
    return list(values)


def not_passive(name: str, largest: float, where: str = "") -> NetworkError:
    """What to tell of a matrix that gives out more than it gets."""
    return NetworkError(
        f"Node {name!r} is not passive: largest singular value {largest:.6g}{where}; "
        "pass active=True if it is meant to amplify"
    )


@dataclass(frozen=True)
class ScatteringNode(LinearNode):
    """A constant matrix ``S[out, in]`` (``[n, n]``, or ``[batch, n, n]``) of power waves; ports ``p1 .. pN``.

    ``impedance`` (ohm, one number or one per port) is what its waves refer to; it is renormalised to the lines it
    meets. ``temperature`` (K) gives it the thermal noise of what it absorbs. Raises NetworkError when it is not square
    or, unless ``active``, when its largest singular value is over 1. Source: Kurokawa 1965; Bosma 1967.

    >>> ScatteringNode([[0.0, 0.5], [0.5, 0.0]]).scattering([50.0, 50.0], 1e-12).matrix.tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """

    matrix: Any
    impedance: Any = 50.0
    active: bool = False
    temperature: float = 0.0

    def __post_init__(self) -> None:
        shape = self._matrix.shape
        if len(shape) not in (2, 3) or shape[-1] != shape[-2] or shape[-1] < 1 or not np.all(np.isfinite(self._matrix)):
            raise NetworkError(
                f"A scattering matrix is [ports, ports] or [batch, ports, ports] and finite, not {shape}"
            )
        _references(self.impedance, shape[-1])
        require_temperature("A scattering node", self.temperature)

    @property
    def _matrix(self) -> np.ndarray:
        matrix = np.asarray(self.matrix)
        return matrix if np.iscomplexobj(matrix) and np.any(matrix.imag != 0.0) else matrix.real.astype(float)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return _numbered(self._matrix.shape[-1])

    def refuse(self, name: str) -> None:
        """See :class:`LinearNode`."""
        largest = float(np.max(np.linalg.norm(self._matrix, 2, axis=(-2, -1))))
        if largest > 1.0 + ROUNDING and not self.active:
            raise not_passive(name, largest)

    def _at(self, z: Sequence[Any]) -> np.ndarray:
        count = self._matrix.shape[-1]
        return renormalised(self._matrix, count, _references(self.impedance, count), z)

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        return warmed(self._at(z), self.temperature)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        matrix = self._at(z)
        return np.broadcast_to(matrix, (len(frequencies), *matrix.shape))


@dataclass(frozen=True)
class StateSpaceNode(LinearNode):
    """A continuous-time model of waves, ``x' = A x + B a``, ``b = C x + D a`` (A in 1/s); ports ``p1 .. pN``.

    Stepped by the trapezoidal rule, which keeps what is passive and stable so; its frequency f appears at
    ``atan(pi f dt) / (pi dt)``. The energy in its states is booked with what it dissipates. ``impedance`` and
    ``active`` as in :class:`ScatteringNode`; at ``temperature`` (K) it emits ``kT (I - S S^H)``, exactly as stepped.
    Raises NetworkError for an unstable A, or wrong shapes.
    Source: Al-Saggaf and Franklin 1988, eq. 4 (bilinear transformation of a state space).

    >>> low_pass = StateSpaceNode([[-1e9]], [[0.0, 1e9]], [[1.0], [0.0]], np.zeros((2, 2)))  # what enters p2 leaves p1
    >>> abs(low_pass.response([50.0, 50.0], np.array([0.0, 1e9 / (2 * np.pi)]))[:, 0, 1]).round(4).tolist()
    [1.0, 0.7071]
    """

    a: Any
    b: Any
    c: Any
    d: Any
    impedance: Any = 50.0
    active: bool = False
    temperature: float = 0.0

    def __post_init__(self) -> None:
        a, b, c, d = self.arrays
        states, count = len(a), len(d)
        if (a.shape, b.shape, c.shape, d.shape) != ((states, states), (states, count), (count, states), (count, count)):
            raise NetworkError(
                f"A state space has A, B, C, D of matching shapes, not {a.shape}, {b.shape}, {c.shape}, {d.shape}"
            )
        if states and np.max(np.linalg.eigvals(a).real) >= 0.0:
            raise NetworkError("A state space needs eigenvalues of A with negative real parts; this one is not stable")
        _references(self.impedance, count)
        require_temperature("A state space", self.temperature)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A, B, C, D."""
        a, b, c, d = (np.asarray(matrix, float) for matrix in (self.a, self.b, self.c, self.d))
        return a, b, c, d

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return _numbered(len(self.arrays[3]))

    def largest_gain(self, points: int = 2000) -> tuple[float, float]:
        """Largest singular value on a grid of frequencies from 0 to well beyond the poles, and where (Hz)."""
        a, _, _, d = self.arrays
        top = np.max(np.abs(np.linalg.eigvals(a)), initial=1.0) / (2.0 * np.pi)
        poles = np.abs(np.linalg.eigvals(a).imag) / (2.0 * np.pi)
        grid = np.concatenate([[0.0], np.geomspace(1e-4 * top, 100.0 * top, points), poles])
        values = np.linalg.norm(self._reference_response(grid), 2, axis=(-2, -1))
        at = int(np.argmax(values))
        return max(float(values[at]), float(np.linalg.norm(d, 2))), float(grid[at])

    def refuse(self, name: str) -> None:
        """See :class:`LinearNode`."""
        largest, where = self.largest_gain()
        if largest > 1.0 + ROUNDING and not self.active:
            raise not_passive(name, largest, f" at {where:.6g} Hz")

    def _reference_response(self, frequencies: np.ndarray) -> np.ndarray:
        a, b, c, d = self.arrays
        s = 2j * np.pi * np.asarray(frequencies, float)[:, None, None]
        response: np.ndarray = c @ np.linalg.solve(s * np.eye(len(a)) - a, np.broadcast_to(b, (len(s), *b.shape))) + d
        return response

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        a, b, c, d = self.arrays
        unit = np.eye(len(a))
        step = np.linalg.inv(unit - 0.5 * dt * a)
        states = step @ (unit + 0.5 * dt * a)
        top = np.concatenate([d + 0.5 * dt * c @ step @ b, np.sqrt(dt) * c @ step], axis=1)
        low = np.concatenate([np.sqrt(dt) * step @ b, states], axis=1)
        count, size = len(d), len(a)
        part = Scattering(np.concatenate([top, low]), count, energy=np.zeros(size), initial=np.zeros(size))
        if self.temperature > 0.0:
            part = fluctuating(part, self.temperature)
        return replace(part, matrix=renormalised(part.matrix, count, _references(self.impedance, count), z))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        count = len(self.arrays[3])
        return renormalised(self._reference_response(frequencies), count, _references(self.impedance, count), z)
