"""What every linear lumped node offers: a scattering matrix between its ports, its memory and its sources."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from substrate.nodes.base import Node
from substrate.noise.lines import LineNoise


@dataclass(frozen=True)
class Drive:
    """What feeds one source input of a node: a waveform, or white noise of a resistance at ``temperature`` (K).

    The input multiplies a column of the node's matrix: volts, or sqrt(W) of an incident wave. Noise has the one-sided
    density ``kT`` (W/Hz), so every real number, and each quadrature of an envelope, the variance ``kT / (2 dt)``.
    ``kind`` is one of :data:`substrate.noise.KINDS`, by which it can be switched off. ``spontaneous`` (K) is the part
    of ``temperature`` that the vacuum brings itself where it is simulated. Noise that is not white comes as a waveform,
    :class:`substrate.noise.lines.LineNoise`.
    """

    waveform: Any = None
    temperature: float = 0.0
    kind: str = "thermal"
    spontaneous: float = 0.0
    of_line: bool = False  # what a lossy line adds to a wave behind its loss

    @property
    def is_noise(self) -> bool:
        """Whether what it feeds in is drawn at random alone."""
        return self.waveform is None or isinstance(self.waveform, LineNoise)


@dataclass(frozen=True, eq=False)
class Scattering:
    """``[b, s'] = matrix [a, s, u]``: outgoing waves and next states from incoming waves, states and sources.

    ``matrix`` is ``[ports + states, ports + states + sources]`` or ``[batch, ...]`` when samples differ; waves are
    power
    waves (sqrt(W)) at the port impedances the node was asked about. A state with ``energy`` 1 is itself a wave that
    waits one step (a capacitor, an inductor): ``s^2 dt`` is joules. A state with energy 0 belongs to a filter.
    """

    matrix: np.ndarray
    ports: int
    energy: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [states]
    initial: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [states] or [batch, states]
    drives: tuple[Drive, ...] = ()
    own: np.ndarray | None = None  # [states], what of each state stays in it whatever it is joined to; None: nothing

    @property
    def states(self) -> int:
        """How many numbers the node remembers from step to step."""
        return len(self.energy)


class LinearNode(Node):
    """A node whose law is linear: it lowers itself to one :class:`Scattering`."""

    law: ClassVar[str] = "linear"

    @abstractmethod
    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """The node between ports of impedances ``z`` (ohm), for steps of ``dt`` (s)."""

    @abstractmethod
    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """The exact continuous-time scattering matrix ``[frequencies, ports, ports]`` (Hz) at impedances ``z``."""

    def refuse(self, name: str) -> None:
        """Raise NetworkError when the node, called ``name``, cannot be as described (a passive one that amplifies)."""
        return None

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """An impedance (ohm) at which a directly joined port would reflect least, where there is a natural one."""
        return None


class Memoryless(LinearNode):
    """A linear node that remembers nothing and has no source: its matrix is its response at every frequency."""

    @abstractmethod
    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """``S[out, in]`` at impedances ``z``, or ``[batch, out, in]``."""

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        return Scattering(self.matrix(z), len(self.ports))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        matrix = self.matrix(z)
        if matrix.ndim == 3:
            return np.broadcast_to(matrix, (len(frequencies), *matrix.shape))
        return np.broadcast_to(matrix, (len(frequencies), *matrix.shape))


def stacked(rows: Sequence[Sequence[Any]]) -> np.ndarray:
    """A matrix from entries that are numbers or arrays ``[batch]``: ``[rows, columns]`` or ``[batch, rows, columns]``.

    >>> stacked([[0.0, np.array([1.0, 2.0])], [1.0, 0.0]]).shape
    (2, 2, 2)
    """
    entries = np.broadcast_arrays(*[entry for row in rows for entry in row])
    matrix = np.stack(entries, axis=-1)
    return matrix.reshape(*matrix.shape[:-1], len(rows), len(rows[0]))
