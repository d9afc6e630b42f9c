"""What stands between and behind meshes: repeaters, activations and detectors, each with what it sends back.

Light is ``[batch, modes]`` in sqrt(W), complex. An error is ``dJ/dy`` with ``dJ = 2 Re sum(dJ/dy dy)``, as
:class:`substrate.learning.insitu.InSitu` takes and gives it; a real number sent on as light hears ``2 Re`` of it. Every
element keeps what passed forward, for its own slope. Detectors may be noisy, as the light they meet is.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from substrate.noise import normals
from substrate.noise.sources import PLANCK


@dataclass
class LightNoise:
    """Shot and vacuum noise of detectors that integrate for ``window`` s at ``carrier`` Hz; each draw is a new step.

    Source: one photon of energy hf per window: Var P = hf P / T of an intensity, Var Re a = hf / (4 T) of a quadrature
    against a strong local oscillator.
    """

    window: float
    carrier: float
    seed: int
    source: int
    step: int = 0

    def quadrature(self, shape: tuple[int, int]) -> np.ndarray:
        """What is added to a quadrature ``[batch, modes]``, sqrt(W)."""
        return self._draw(shape) * np.sqrt(PLANCK * self.carrier / (4.0 * self.window))

    def intensity(self, power: np.ndarray) -> np.ndarray:
        """What is added to powers ``[batch, modes]``, W."""
        return self._draw(power.shape) * np.sqrt(PLANCK * self.carrier * power / self.window)

    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        self.step += 1
        return normals(self.seed, self.source, self.step, shape[1], shape[0])[:, 0].T


class Element(Protocol):
    """Light in, light or numbers out."""

    def forward(self, y: np.ndarray) -> np.ndarray:
        """What goes on, of light ``y[batch, modes]``."""

    def backward(self, error: np.ndarray) -> np.ndarray:
        """``dJ/dy`` of the error ``[batch, modes]`` of what went on."""


@dataclass
class Quadrature:
    """Coherent detectors: ``gain Re y / sqrt(power) + bias``, real; ``power`` (W) is the light that counts as one."""

    gain: float
    power: float
    bias: np.ndarray
    noise: LightNoise | None = None
    heard: np.ndarray = field(default_factory=lambda: np.zeros(0))  # dJ/dbias of the last batch, summed

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Numbers ``[batch, len(bias)]`` of the first modes."""
        seen = y[:, : len(self.bias)].real
        if self.noise is not None:
            seen = seen + self.noise.quadrature(seen.shape)
        self._modes = y.shape[1]
        return (self.gain / np.sqrt(self.power)) * seen + self.bias

    def backward(self, error: np.ndarray) -> np.ndarray:
        """Of the real ``dJ/dnumber``."""
        self.heard = error.sum(axis=0)
        back = np.zeros((len(error), self._modes), complex)
        back[:, : len(self.bias)] = (0.5 * self.gain / np.sqrt(self.power)) * error
        return back


@dataclass
class Intensity:
    """Square-law detectors: ``gain |y|^2 / power + bias``, real. The error light is the conjugate of what was seen."""

    gain: float
    power: float
    bias: np.ndarray
    noise: LightNoise | None = None
    heard: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Numbers ``[batch, len(bias)]`` of the first modes."""
        self._y = y
        seen = np.abs(y[:, : len(self.bias)]) ** 2
        if self.noise is not None:
            seen = seen + self.noise.intensity(seen)
        return (self.gain / self.power) * seen + self.bias

    def backward(self, error: np.ndarray) -> np.ndarray:
        """Of the real ``dJ/dnumber``: ``dJ/dy = dJ/dI conj(y)``."""
        self.heard = error.sum(axis=0)
        back = np.zeros(self._y.shape, complex)
        back[:, : len(self.bias)] = (self.gain / self.power) * error * np.conj(self._y[:, : len(self.bias)])
        return back


@dataclass
class Repeater:
    """O-E-O: a detector, a tanh in electronics, a modulator that sends it on as ``sqrt(power)`` times light of one."""

    detector: Any  # Quadrature or Intensity
    power: float

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Light of one quadrature."""
        self._h = np.tanh(self.detector.forward(y))
        return (np.sqrt(self.power) * self._h).astype(complex)

    def backward(self, error: np.ndarray) -> np.ndarray:
        """By the slope at its own value."""
        real = 2.0 * np.sqrt(self.power) * error.real
        return np.asarray(self.detector.backward(real * (1.0 - self._h**2)))


@dataclass
class ElectroOptic:
    """A tap of the light drives a modulator in the rest of it, all in one place (Williamson 2020, eq. 5).

    ``f(y) = j sqrt(1 - tap) exp(-j u) cos(u) y`` with ``u = (gain |y|^2 / power + bias) / 2``: ``gain`` (rad) is the
    phase at ``power`` (W), ``bias`` (rad). Source: Williamson et al., IEEE J. Sel. Top. Quantum Electron. 26, 7700412
    (2020).

    >>> element = ElectroOptic(tap=0.1, gain=np.pi, bias=np.pi, power=1.0)
    >>> bool(abs(element.forward(np.array([[1e-6 + 0j]]))[0, 0]) < 1e-15)  # dark where there is little light
    True
    """

    tap: float
    gain: float
    bias: float
    power: float

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Modulated light."""
        self._y = y
        u = 0.5 * (self.gain * np.abs(y) ** 2 / self.power + self.bias)
        # exp(-j u) cos(u) = (1 + exp(-2 j u)) / 2
        turn = np.exp(-2j * u)
        self._factor = 0.5j * np.sqrt(1.0 - self.tap) * (1.0 + turn)
        self._slope = 0.5 * np.sqrt(1.0 - self.tap) * turn * (self.gain / self.power)  # d factor / d |y|^2
        return np.asarray(self._factor * y)

    def backward(self, error: np.ndarray) -> np.ndarray:
        """``dJ/dy = e df/dy + conj(e df/dy*)``: the function looks at both the light and its conjugate."""
        with_light = self._factor + self._slope * np.abs(self._y) ** 2
        with_conjugate = self._slope * self._y**2
        return np.asarray(error * with_light + np.conj(error * with_conjugate))


@dataclass
class Absorber:
    """Saturable absorbers in every mode: a ``NonlinearTwoPort`` such as :class:`substrate.nodes.SaturableAbsorber`.

    The amplitude factor ``g(|y|)`` is real; its slope is taken from the law by a central difference.
    """

    law: Any
    step: float = 1e-5

    def forward(self, y: np.ndarray) -> np.ndarray:
        """Light that got through."""
        size = np.abs(y)
        self._y, tiny = y, np.maximum(size, 1e-30)
        self._g = np.asarray(self.law.transfer(tiny)) / tiny
        up, down = tiny * (1.0 + self.step), tiny * (1.0 - self.step)
        slope = (np.asarray(self.law.transfer(up)) / up - np.asarray(self.law.transfer(down)) / down) / (up - down)
        self._bend = 0.5 * slope / tiny  # dg / d|y|^2
        return np.asarray(self._g * y)

    def backward(self, error: np.ndarray) -> np.ndarray:
        """As :meth:`ElectroOptic.backward`, with a real factor."""
        with_light = self._g + self._bend * np.abs(self._y) ** 2
        return np.asarray(error * with_light + np.conj(error * self._bend * self._y**2))
