"""Nonlinear two-ports that act on each direction's wave alone: saturable absorber, Kerr phase, tanh gain."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Port
from substrate.nodes.linear import Scattering
from substrate.nodes.nonlinear import ABSORBER, KERR, TANH, Element, NonlinearNode
from substrate.nodes.photonic import TWO_PORTS, amplitude


class NonlinearTwoPort(NonlinearNode):
    """What enters one port leaves the other through a memoryless law, the same both ways; nothing is reflected."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    @abstractmethod
    def transfer(self, wave: Any) -> Any:
        """What leaves when ``wave`` (sqrt(W), real or complex) enters."""

    @abstractmethod
    def small_signal(self) -> Any:
        """Amplitude factor of a wave too small to matter."""

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`NonlinearNode`: each outer port leads to an inner one, which leads on to the other outer port."""
        matrix = np.zeros((4, 4))
        matrix[2, 0] = matrix[3, 1] = matrix[1, 2] = matrix[0, 3] = 1.0
        return Scattering(matrix, 4)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`NonlinearNode`."""
        factor = np.asarray(self.small_signal())[..., None, None] * np.array([[0.0, 1.0], [1.0, 0.0]])
        return np.broadcast_to(factor, (len(frequencies), *factor.shape))


def _require_positive(owner: str, name: str, value: Any) -> None:
    array = np.asarray(value, float)
    if not np.all(np.isfinite(array) & (array > 0.0)):
        raise NetworkError(f"{owner} needs {name} above zero, but {name}={value!r}")


@dataclass(frozen=True)
class SaturableAbsorber(NonlinearTwoPort):
    """A fast absorber, ``dP/dx = -alpha P / (1 + P / P_sat)``, of ``small_signal_db`` (dB). Raises NetworkError.

    ``saturation_power`` (W); ``residual_db`` (dB) is lost at any power. Numbers or arrays with one per sample.
    Source: Rigrod 1965 (with loss for gain): ``P2 = P_sat W((P1/P_sat) exp(P1/P_sat - A))``, W of Lambert.

    >>> absorber = SaturableAbsorber(small_signal_db=3.0, saturation_power=1e-3)
    >>> [round(float(absorber.transfer(a) ** 2 / a**2), 3) for a in (1e-4, 0.0316, 1.0)]  # 10 nW, 1 mW, 1 W
    [0.501, 0.686, 0.999]
    """

    small_signal_db: Any = 3.0
    saturation_power: Any = 1e-3
    residual_db: Any = 0.0

    def __post_init__(self) -> None:
        _require_positive("A saturable absorber", "small_signal_db", self.small_signal_db)
        _require_positive("A saturable absorber", "saturation_power", self.saturation_power)
        if not np.all(np.asarray(self.residual_db) >= 0.0):
            raise NetworkError(f"A saturable absorber needs residual_db of at least 0, but it is {self.residual_db!r}")

    @property
    def _absorbance(self) -> Any:
        return np.asarray(self.small_signal_db, float) * (np.log(10.0) / 10.0)

    def transfer(self, wave: Any) -> Any:
        """See :class:`NonlinearTwoPort`."""
        from scipy.special import wrightomega

        power = np.abs(wave) ** 2 / self.saturation_power
        # W(x exp(x - A)) / x = exp(x - A - w), with w = W(x exp(x - A)) = wrightomega(log x + x - A).
        log = np.log(np.where(power > 0.0, power, 1.0))
        passed = np.where(power > 0.0, wrightomega(log + power - self._absorbance).real, 0.0)
        thin = np.exp(0.5 * np.minimum(power - self._absorbance - passed, 0.0))
        factor = np.where(power > 1.0, np.sqrt(passed / np.where(power > 1.0, power, 1.0)), thin)
        return wave * factor * amplitude(self.residual_db)

    def small_signal(self) -> Any:
        """See :class:`NonlinearTwoPort`."""
        return amplitude(np.asarray(self.small_signal_db, float) + self.residual_db)

    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """See :class:`NonlinearNode`."""
        power = np.asarray(self.saturation_power, float) / reference_power
        element = Element(ABSORBER, (self._absorbance, power, amplitude(self.residual_db)), self)
        return element, element


@dataclass(frozen=True)
class KerrPhase(NonlinearTwoPort):
    """Self-phase modulation: ``b = a exp(-i coefficient |a|^2)``, ``coefficient`` in rad/W, for optical envelopes.

    Source: Agrawal 2013, "Nonlinear fiber optics", eq. 4.1.4, with the sign of a line's phase. Raises NetworkError.

    >>> KerrPhase(2.0).transfer(1.0 + 0j).round(4)
    np.complex128(-0.4161-0.9093j)
    """

    coefficient: Any = 1.0

    def __post_init__(self) -> None:
        if not np.all(np.isfinite(self.coefficient)):
            raise NetworkError(f"A Kerr phase needs a finite coefficient, but coefficient={self.coefficient!r}")

    def transfer(self, wave: Any) -> Any:
        """See :class:`NonlinearTwoPort`."""
        return wave * np.exp(-1j * np.asarray(self.coefficient, float) * np.abs(wave) ** 2)

    def small_signal(self) -> Any:
        """See :class:`NonlinearTwoPort`."""
        return np.ones(np.shape(self.coefficient))

    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """See :class:`NonlinearNode`."""
        element = Element(KERR, (np.asarray(self.coefficient, float) * reference_power,), self)
        return element, element


@dataclass(frozen=True)
class TanhGain(NonlinearTwoPort):
    """A limiting amplifier: amplitude ``A tanh(g |a| / A)``, phase kept; active, both ways. Raises NetworkError.

    ``gain_db`` (dB of power, small signals), ``saturation_power`` (W, of the strongest wave that leaves).
    Source: the law of a differential pair, Gray and Meyer, section 3.5.

    >>> round(float(TanhGain(20.0, 1.0).transfer(0.1)), 6)
    0.761594
    """

    gain_db: Any = 20.0
    saturation_power: Any = 1.0
    active = True

    def __post_init__(self) -> None:
        _require_positive("A tanh gain", "saturation_power", self.saturation_power)
        if not np.all(np.isfinite(self.gain_db)):
            raise NetworkError(f"A tanh gain needs a finite gain_db, but gain_db={self.gain_db!r}")

    def transfer(self, wave: Any) -> Any:
        """See :class:`NonlinearTwoPort`."""
        top, size = np.sqrt(np.asarray(self.saturation_power, float)), np.abs(wave)
        ratio = self.small_signal() * size / top
        return wave * np.where(ratio > 0.0, top * np.tanh(ratio) / np.where(size > 0.0, size, 1.0), self.small_signal())

    def small_signal(self) -> Any:
        """See :class:`NonlinearTwoPort`."""
        return amplitude(-np.asarray(self.gain_db, float))

    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """See :class:`NonlinearNode`."""
        top = np.sqrt(np.asarray(self.saturation_power, float) / reference_power)
        element = Element(TANH, (self.small_signal(), top), self)
        return element, element
