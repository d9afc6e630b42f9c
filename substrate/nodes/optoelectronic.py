"""Where light meets voltage: a photodiode that drives an electrical line, a modulator that one drives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Port, require_temperature
from substrate.nodes.linear import Drive, LinearNode, Scattering

KINDS = ("phase", "amplitude")


class Optoelectronic(LinearNode):
    """A linear node whose ports all lie at lines, and which besides carries power from one to another, one way.

    What it carries is worked on between blocks of steps (:mod:`substrate.links`); it is no part of ``scattering``.
    """

    carries: ClassVar[tuple[str, ...]]  # ports that send what no probe at the node can see

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """Refused: light squared has no frequency response. Raises NetworkError."""
        raise NetworkError(
            f"A {type(self).__name__} is not linear, so it has no frequency response; analyse what lies before and "
            "behind it, each alone"
        )


@dataclass(frozen=True)
class Photodiode(Optoelectronic):
    """Absorbs what arrives at ``light`` and drives the current ``responsivity |a|^2 + dark_current`` (A) into ``out``.

    Its electronics are matched to the line of impedance Z at ``out``: half of the current goes into it, a wave of
    ``current sqrt(Z) / 2`` (sqrt(W)), and what comes back is absorbed. ``bandwidth`` (Hz, -3 dB of one pole; None: as
    fast as a step), ``noise_temperature`` (K) of the electronics, whose wave has the density ``kT``. Charges are
    counted (``shot``), but not those of light that comes with its vacuum, which beats with it to shot noise. Raises
    NetworkError. Source: Saleh and Teich, "Fundamentals of Photonics", sections 18.1 and 18.6.

    >>> [port.name for port in Photodiode(0.8).ports]
    ['light', 'out']
    """

    responsivity: float = 1.0
    dark_current: float = 0.0
    bandwidth: float | None = None
    noise_temperature: float = 0.0
    carries: ClassVar[tuple[str, ...]] = ("out",)

    def __post_init__(self) -> None:
        for name in ("responsivity", "dark_current"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise NetworkError(f"A photodiode needs {name} of at least 0, but {name}={value!r}")
        if self.bandwidth is not None and not (np.isfinite(self.bandwidth) and self.bandwidth > 0.0):
            raise NetworkError(f"A photodiode's bandwidth is above 0 Hz, or None, but bandwidth={self.bandwidth!r}")
        require_temperature("A photodiode", self.noise_temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``light``, ``out``."""
        return (Port("light", 1), Port("out", 1))

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """Both ports absorb; light gets the vacuum where it is simulated, the line the noise of the electronics."""
        drives = (Drive(), Drive(temperature=self.noise_temperature, kind="amplifier"))
        return Scattering(np.concatenate([np.zeros((2, 2)), np.eye(2)], axis=1), 2, drives=drives)


@dataclass(frozen=True)
class Modulator(Optoelectronic):
    """Light from ``in`` to ``out``, and back, turned or dimmed by the voltage across a matched port ``drive``.

    ``kind`` ``phase``: the field times ``exp(-i (pi v / v_pi + bias))``; ``amplitude`` (a push-pull interferometer):
    times ``cos((pi v / v_pi + bias) / 2)``, so that ``v_pi`` (V) takes it from full to none. ``bias`` in rad,
    ``loss_db`` (dB) of the whole. What it absorbs of light comes with its vacuum. Raises NetworkError.
    Source: Saleh and Teich, "Fundamentals of Photonics", section 20.1.

    >>> Modulator(v_pi=2.0, kind="amplitude").factor(np.array([0.0, 2.0])).round(12).tolist()
    [1.0, 0.0]
    """

    v_pi: float = 1.0
    kind: str = "phase"
    bias: float = 0.0
    loss_db: float = 0.0
    carries: ClassVar[tuple[str, ...]] = ("in", "out")

    def __post_init__(self) -> None:
        if not (np.isfinite(self.v_pi) and self.v_pi != 0.0 and np.isfinite(self.bias)):
            raise NetworkError(
                f"A modulator needs a v_pi other than 0 V and a bias, got {self.v_pi!r} and {self.bias!r}"
            )
        if self.kind not in KINDS:
            raise NetworkError(f"A modulator's kind is {' or '.join(KINDS)}, but kind={self.kind!r}")
        if not (np.isfinite(self.loss_db) and self.loss_db >= 0.0):
            raise NetworkError(f"A modulator is passive: loss_db must be at least 0 dB, but loss_db={self.loss_db!r}")

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in``, ``out``, ``drive``."""
        return (Port("in", 1), Port("out", 1), Port("drive", 1))

    def factor(self, volts: np.ndarray) -> np.ndarray:
        """By what the field is multiplied at a voltage."""
        angle = np.pi * volts / self.v_pi + self.bias
        return np.exp(-1j * angle) if self.kind == "phase" else np.cos(0.5 * angle)

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """Light passes with its loss and the noise of that; the driven port absorbs."""
        through = 10.0 ** (-self.loss_db / 20.0)
        matrix = np.zeros((3, 5))
        matrix[0, 1] = matrix[1, 0] = through
        matrix[0, 3] = matrix[1, 4] = np.sqrt(1.0 - through**2)
        return Scattering(matrix, 3, drives=(Drive(), Drive()))
