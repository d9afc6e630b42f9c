"""A diffusive wire as a two-port node: the eigenmodes of a line with resistance and capacitance only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.nodes.algebra import fluctuating
from substrate.nodes.base import Port
from substrate.nodes.linear import LinearNode, Scattering


@dataclass(frozen=True)
class DiffusiveWire(LinearNode):
    """A wire of ``resistance`` (ohm) and ``capacitance`` (F) in all, with ``modes`` of each parity and two ports.

    Equal currents into both ends meet ``R coth(x) / 2x``, opposite ones ``R tanh(x) / 2x`` with ``x = sqrt(s R C) /
    2``: sums over poles at ``-(k pi)^2 / RC`` of capacitors beside resistors, stepped by the trapezoidal rule as wave
    digital
    elements; the modes left out are resistances in series. Every state is a wave, so the energy balance is exact.
    ``voltage`` (V) is on the wire at time zero. Source: Kirchhoff's diffusive line, mode expansion as in Carslaw and
    Jaeger, "Conduction of Heat in Solids", section 3.3.
    """

    resistance: float
    capacitance: float
    modes: int = 8
    voltage: Any = 0.0
    temperature: float = 0.0  # K

    @property
    def ports(self) -> tuple[Port, ...]:
        """``first``, ``second``."""
        return (Port("first", 1), Port("second", 1))

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Resistances ``[2, modes]`` beside the capacitors of even and odd modes, the capacitors, and what is left."""
        k = np.arange(self.modes)
        with np.errstate(divide="ignore"):
            even = 4.0 * self.resistance / (2.0 * np.pi * k) ** 2  # k = 0: the whole wire as a capacitor
        odd = 4.0 * self.resistance / ((2.0 * k + 1.0) * np.pi) ** 2
        beside = np.stack([even, odd])
        capacitors = np.full((2, self.modes), self.capacitance / 4.0)
        capacitors[0, 0] = self.capacitance / 2.0
        # At rest the sums are R/6 (without the capacitor) and R/2.
        left = np.array([self.resistance / 6.0 - even[1:].sum(), self.resistance / 2.0 - odd.sum()])
        return beside, capacitors, left

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        beside, capacitors, left = self.parts()
        ports = np.asarray(dt / (2.0 * capacitors))  # of the wave digital capacitors, ohm
        share = 1.0 / (1.0 / beside + 1.0 / ports)  # volts of a mode per ampere
        turn = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2.0)  # ends to even and odd; its own inverse
        direct = turn @ np.diag(left + share.sum(axis=1)) @ turn
        n = 2 * self.modes
        modes = np.repeat(turn, self.modes, axis=0)  # [n, 2] current of an end to that of a mode
        held = modes.T * (share * 2.0 / np.sqrt(ports)).ravel()  # volts at the ends per state
        z_ends = [np.atleast_1d(np.asarray(value, float)) for value in z]
        matrices = []
        for z1, z2 in zip(*np.broadcast_arrays(*z_ends), strict=True):
            root, wave = np.diag(np.sqrt([z1, z2])), np.eye(2 + n)
            # (direct + z) I = 2 sqrt(z) a - held s, and b = a - sqrt(z) I.
            current = np.linalg.solve(direct + root @ root, 2.0 * root @ wave[:2] - held @ wave[2:])
            volts = share.ravel()[:, None] * (modes @ current + 2.0 / np.sqrt(ports.ravel())[:, None] * wave[2:])
            matrices.append(
                np.concatenate([wave[:2] - root @ current, volts / np.sqrt(ports.ravel())[:, None] - wave[2:]])
            )
        initial = np.zeros((*np.shape(self.voltage), n))
        # Both ends at one voltage are an even mode of sqrt(2) times it.
        initial[..., 0] = np.asarray(self.voltage, float) * np.sqrt(2.0) / (2.0 * np.sqrt(ports[0, 0]))
        matrix = matrices[0] if all(np.ndim(value) == 0 for value in z) else np.stack(matrices)
        part = Scattering(matrix, 2, energy=np.ones(n), initial=initial)
        return part if self.temperature == 0.0 else fluctuating(part, self.temperature)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`: of the wire itself, all modes."""
        s = 2j * np.pi * np.asarray(frequencies, float) * self.resistance * self.capacitance
        theta = np.sqrt(s)
        ratio = np.where(np.abs(theta) < 1e-6, 1.0 + s / 6.0, np.sinh(theta) / np.where(theta == 0.0, 1.0, theta))
        b, c = self.resistance * ratio, s / self.resistance * ratio
        z1, z2 = np.asarray(z[0], float), np.asarray(z[1], float)
        a = np.cosh(theta)
        total = a * (z1 + z2) + b + c * z1 * z2
        through = 2.0 * np.sqrt(z1 * z2) / total
        first, second = (a * (z2 - z1) + b - c * z1 * z2) / total, (a * (z1 - z2) + b - c * z1 * z2) / total
        return np.moveaxis(np.array([[first, through], [through, second]]), (0, 1), (-2, -1))
