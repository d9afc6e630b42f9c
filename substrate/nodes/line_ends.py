"""What stands at the ends of a line that filters: an end node between the user's node and the plain line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from substrate.filters import Filter
from substrate.nodes.algebra import fluctuating
from substrate.nodes.base import Port
from substrate.nodes.linear import Drive, LinearNode, Scattering
from substrate.noise.lines import LineNoise


@dataclass(frozen=True, eq=False)
class LineEnd(LinearNode):
    """One end of a line whose characteristic impedance and transfer are filters; ports ``outer`` and ``line``.

    With ``V, I`` at the outer port and ``Zc(z)`` = ``impedance`` times ``characteristic`` (over it, where ``dual``),
    what arrives from the line is ``B = V - Zc I`` and what is sent into it is ``transfer`` times ``F = V + Zc I = 2 V -
    B``, both over ``2 sqrt(impedance)``. ``noise`` is what the line adds to ``B`` there.
    ``initial [states]`` are its states at time zero in sqrt(W), those of ``characteristic`` first. Where ``hidden`` the
    waves in the line are no power waves, and the energy the line takes is counted at the outer port.
    Source: Bergeron's method with a filtered impedance and transfer, Marti 1982, IEEE Trans. PAS 101, eq. 9.
    """

    impedance: float
    characteristic: Filter
    transfer: Filter
    hidden: bool = False
    initial: np.ndarray = field(default_factory=lambda: np.zeros(0))
    dt: float = 1.0
    dual: bool = False
    temperature: float = 0.0  # K, of what a filter loses; where the waves in the line are power waves
    noise: LineNoise | None = None
    PORTS: ClassVar[tuple[Port, ...]] = (Port("outer", 1), Port("line", 1))

    @property
    def ports(self) -> tuple[Port, ...]:
        """``outer``, ``line``."""
        return self.PORTS

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        ratios = np.atleast_1d(np.asarray(z[0], float) / self.impedance)
        matrices = np.stack([self._matrix(float(ratio)) for ratio in ratios])
        energy = np.concatenate([np.zeros(self.characteristic.states), self.transfer.energy])
        initial = self.initial if self.initial.size else np.zeros(energy.shape)
        own = np.concatenate([np.diag(self.characteristic.a), np.diag(self.transfer.a)])
        matrix = matrices[0] if np.ndim(z[0]) == 0 else matrices
        if self.noise is not None:
            heard = np.concatenate([matrix, matrix[..., 1:2]], axis=-1)
            return Scattering(heard, 2, energy=energy, initial=initial, own=own, drives=(Drive(self.noise),))
        part = Scattering(matrix, 2, energy=energy, initial=initial, own=own)
        return part if self.temperature == 0.0 or self.hidden else fluctuating(part, self.temperature)

    def _matrix(self, ratio: float) -> np.ndarray:
        """Rows ``b_outer, b_line``, states of the impedance, of the transfer; columns alike. ``ratio`` is z / Z."""
        zc, h = self.characteristic, self.transfer
        n, m = zc.states, h.states
        root, direct = np.sqrt(ratio), float(np.real(zc.d))
        columns = 2 + n + m
        outer, line = np.eye(columns)[0], np.eye(columns)[1]
        held = np.zeros(columns)
        held[2 : 2 + n] = np.real(zc.c)
        given = 2.0 * root * outer - 2.0 * line  # (V - B) / sqrt(Z) + ratio sqrt(Z) I
        if self.dual:
            into = (given - ratio * held) / (1.0 + ratio * direct)  # (V - B) / sqrt(Z)
            current = direct * into + held  # sqrt(Z) I
        else:
            into = current = (given - held) / (ratio + direct)
        sent = 2.0 * root * outer - ratio * current - line  # F / (2 sqrt(Z)) before the transfer
        matrix = np.zeros((columns, columns), np.result_type(h.a, h.b, h.c, h.d, float))
        matrix[0] = outer - root * current
        matrix[1] = h.d * sent
        matrix[1, 2 + n :] += h.c
        matrix[2 : 2 + n] = np.outer(zc.b, into)
        matrix[2 : 2 + n, 2 : 2 + n] += zc.a
        matrix[2 + n :] = np.outer(h.b, sent)
        matrix[2 + n :, 2 + n :] += h.a
        return matrix

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """The response of its filters at steps of ``dt``, ``[frequencies, 2, 2]``: an end has no other answer."""
        shift = np.exp(2j * np.pi * np.asarray(frequencies) * self.dt)
        matrix = self._matrix(float(z[0]) / self.impedance)
        inner = shift[:, None, None] * np.eye(len(matrix) - 2) - matrix[2:, 2:]
        into = np.broadcast_to(matrix[2:, :2], (len(shift), len(matrix) - 2, 2))
        return np.asarray(matrix[:2, :2] + matrix[:2, 2:] @ np.linalg.solve(inner, into))

    def relative_impedance(self, z: np.ndarray) -> np.ndarray:
        """Characteristic impedance over ``impedance`` at points ``z`` of the z plane."""
        response = self.characteristic.response(z)
        return 1.0 / response if self.dual else response

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """That of the line, at which an end reflects least."""
        return self.impedance
