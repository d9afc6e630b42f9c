"""One-ports: resistor, capacitor, inductor, short, open, and voltage sources with a resistance."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Port, require_temperature
from substrate.nodes.linear import Drive, LinearNode, Memoryless, Scattering, stacked
from substrate.waveforms import Step, Waveform

ONE_PORT = (Port("in", 1),)


def _gamma(r: Any, z: Any) -> Any:
    """Reflection coefficient of a resistance ``r`` on ``z``, infinite r included."""
    r = np.asarray(r, float)
    finite = np.where(np.isinf(r), 1.0, r)
    return np.where(np.isinf(r), 1.0, (finite - z) / (finite + z))[()]


def _require_positive(owner: str, name: str, value: Any) -> None:
    if not np.all(np.asarray(value) > 0.0):
        raise NetworkError(f"{owner} needs {name} above zero, but {name}={value!r}")


class _Reactance(LinearNode):
    """A one-port whose wave waits one step: trapezoidal rule as a wave digital element (Fettweis 1986)."""

    sign: float  # of the wave that comes back a step later

    def resistance(self, dt: float) -> Any:
        """Port resistance of the element at step ``dt``, ohm."""
        raise NotImplementedError

    def impedance(self, omega: np.ndarray) -> np.ndarray:
        """Impedance in ohm at angular frequencies in rad/s."""
        raise NotImplementedError

    def start(self, dt: float) -> Any:
        """The wave under way at time zero."""
        raise NotImplementedError

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        gamma = _gamma(self.resistance(dt), z[0])
        through = np.sqrt(1.0 - gamma**2)
        matrix = stacked([[gamma, through], [self.sign * through, -self.sign * gamma]])
        initial = np.asarray(self.start(dt), float)[..., None]
        return Scattering(matrix, 1, energy=np.ones(1), initial=initial)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        omega = 2.0 * np.pi * frequencies
        if np.ndim(self.resistance(1.0)) > 0:
            omega = omega[:, None]  # one element per sample of the batch
        with np.errstate(divide="ignore", invalid="ignore"):
            impedance = self.impedance(omega)
            gamma = np.where(np.isinf(impedance), 1.0, (impedance - z[0]) / (impedance + z[0]))
        return gamma[..., None, None]

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """The element's own port resistance: joined at it, it does not reflect at once."""
        value = self.resistance(dt)
        return float(value) if np.ndim(value) == 0 else None


@dataclass(frozen=True)
class Capacitor(_Reactance):
    """A capacitance (F) with ``voltage`` (V) on it at time zero. Raises NetworkError.

    Source: Fettweis 1986, "Wave digital filters", table 1: R = dt / 2C, b(n) = a(n - 1).

    >>> Capacitor(1e-12).scattering([50.0], dt=1e-10).matrix.tolist()  # dt / 2C = 50 ohm
    [[0.0, 1.0], [1.0, -0.0]]
    """

    capacitance: Any
    voltage: Any = 0.0
    sign = 1.0

    def __post_init__(self) -> None:
        _require_positive("A capacitor", "capacitance", self.capacitance)

    def resistance(self, dt: float) -> Any:
        """``dt / 2C``."""
        return dt / (2.0 * np.asarray(self.capacitance, float))

    def impedance(self, omega: np.ndarray) -> np.ndarray:
        """``1 / i omega C``."""
        return np.where(omega == 0.0, np.inf, -1j / (omega * np.asarray(self.capacitance, float)))

    def start(self, dt: float) -> Any:
        """The wave of half the energy of a charged capacitor, ``v / (2 sqrt R)``."""
        # At rest with voltage v and no current the wave in and the wave out are both v / (2 sqrt R).
        return np.asarray(self.voltage, float) / (2.0 * np.sqrt(self.resistance(dt)))


@dataclass(frozen=True)
class Inductor(_Reactance):
    """An inductance (H) with ``current`` (A) in it at time zero. Raises NetworkError.

    Source: Fettweis 1986, "Wave digital filters", table 1: R = 2L / dt, b(n) = -a(n - 1).

    >>> Inductor(2.5e-9).scattering([50.0], dt=1e-10).matrix.tolist()
    [[0.0, 1.0], [-1.0, 0.0]]
    """

    inductance: Any
    current: Any = 0.0
    sign = -1.0

    def __post_init__(self) -> None:
        _require_positive("An inductor", "inductance", self.inductance)

    def resistance(self, dt: float) -> Any:
        """``2L / dt``."""
        return 2.0 * np.asarray(self.inductance, float) / dt

    def impedance(self, omega: np.ndarray) -> np.ndarray:
        """``i omega L``."""
        return 1j * omega * np.asarray(self.inductance, float)

    def start(self, dt: float) -> Any:
        """The wave of a current without voltage: in ``i sqrt R / 2``, out minus that."""
        return -np.asarray(self.current, float) * np.sqrt(self.resistance(dt)) / 2.0


@dataclass(frozen=True)
class Resistor(LinearNode):
    """A resistance (ohm; 0 is a short, inf an open end) at ``temperature`` (K). Raises NetworkError.

    Source: reflection (R - Z)/(R + Z); its noise wave has variance kT/(2 dt), Nyquist 1928.

    >>> Resistor(100.0).scattering([50.0], dt=1.0).matrix.round(4).tolist()
    [[0.3333]]
    """

    resistance: Any
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.resistance) >= 0.0):
            raise NetworkError(f"A resistor needs at least 0 ohm, but resistance={self.resistance!r}")
        require_temperature("A resistor", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        gamma = _gamma(self.resistance, z[0])
        if self.temperature == 0.0:
            return Scattering(stacked([[gamma]]), 1)
        # The resistance emits its noise into its own impedance; the step to z lets sqrt(1 - gamma^2) through.
        matrix = stacked([[gamma, np.sqrt(1.0 - gamma**2)]])
        return Scattering(matrix, 1, drives=(Drive(temperature=self.temperature),))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        gamma = np.asarray(_gamma(self.resistance, z[0]))
        return np.broadcast_to(gamma[..., None, None], (len(frequencies), *gamma.shape, 1, 1))

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """Its own resistance."""
        r = np.asarray(self.resistance, float)
        return float(r) if r.ndim == 0 and 0.0 < r < np.inf else None


@dataclass(frozen=True)
class Short(Memoryless):
    """A short circuit: reflects -1.

    >>> Short().matrix([50.0]).tolist()
    [[-1.0]]
    """

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        return np.array([[-1.0]])


@dataclass(frozen=True)
class Open(Memoryless):
    """An open end: reflects +1.

    >>> Open().matrix([50.0]).tolist()
    [[1.0]]
    """

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        return np.array([[1.0]])


@dataclass(frozen=True)
class VoltageSource(LinearNode):
    """A voltage (V, a waveform) behind a ``resistance`` (ohm; 0 is an ideal source) at ``temperature`` (K).

    Raises NetworkError. Source: Thevenin; b = gamma a + e sqrt(Z) / (Z + R).

    >>> VoltageSource(Step(1.0), resistance=50.0).scattering([50.0], dt=1.0).matrix.round(4).tolist()
    [[0.0, 0.0707]]
    """

    waveform: Waveform = field(default_factory=Step)
    resistance: Any = 50.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.resistance) >= 0.0):
            raise NetworkError(f"A source needs a resistance of at least 0 ohm, but resistance={self.resistance!r}")
        require_temperature("A source", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``out``."""
        return (Port("out", 1),)

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        gamma = _gamma(self.resistance, z[0])
        row, drives = [gamma, np.sqrt(z[0]) / (z[0] + np.asarray(self.resistance, float))], [Drive(self.waveform)]
        if self.temperature > 0.0:
            row.append(np.sqrt(1.0 - gamma**2))
            drives.append(Drive(temperature=self.temperature))
        return Scattering(stacked([row]), 1, drives=tuple(drives))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return Resistor(self.resistance).response(z, frequencies)

    def preferred_impedance(self, port: int, dt: float) -> float | None:
        """Its own resistance."""
        return Resistor(self.resistance).preferred_impedance(port, dt)
