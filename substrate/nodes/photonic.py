"""Photonic nodes between matched waveguides: couplers, phases, losses, one-way parts, a laser."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.algebra import warmed
from substrate.nodes.base import Port, require_temperature
from substrate.nodes.linear import Drive, LinearNode, Memoryless, Scattering, stacked
from substrate.noise import BOLTZMANN
from substrate.noise.sources import PLANCK
from substrate.waveforms import Step, Waveform

TWO_PORTS = (Port("in", 1), Port("out", 1))
FOUR_PORTS = (Port("in1", 1), Port("in2", 1), Port("out1", 1), Port("out2", 1))
ROOM = 290.0  # K, the temperature noise figures refer to (IEEE)


def _require_range(owner: str, name: str, value: Any, low: float, high: float) -> None:
    array = np.asarray(value, float)
    if not np.all((array >= low) & (array <= high)):
        raise NetworkError(f"{owner} needs {low:g} <= {name} <= {high:g}, but {name}={value!r}")


def amplitude(decibels: Any) -> Any:
    """Amplitude factor of a loss in dB of power; infinite loss lets nothing through.

    >>> round(float(amplitude(20.0)), 6)
    0.1
    """
    return 10.0 ** (-np.asarray(decibels, float) / 20.0)


class Passive(Memoryless):
    """A memoryless part with a ``temperature`` (K), at which it emits what it absorbs: ``kT (I - S S^H)``."""

    temperature: float

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        return warmed(self.matrix(z), self.temperature)


def _both_ways(t: Sequence[Sequence[Any]]) -> np.ndarray:
    """A reciprocal four-port from the 2 x 2 ``t[out, in]`` between its two sides; no reflections."""
    (a, b), (c, d) = t
    return stacked([[0.0, 0.0, a, c], [0.0, 0.0, b, d], [a, b, 0.0, 0.0], [c, d, 0.0, 0.0]])


@dataclass(frozen=True)
class Coupler(Passive):
    """A directional coupler that sends ``coupling`` of the power across and loses ``loss_db`` (dB); or arrays [batch].

    ``temperature`` (K) is that of what it loses power to. Ports ``in1, in2, out1, out2``: straight on from in1 to out1,
    across (a quarter turn behind) to out2; the same
    backwards. Raises NetworkError. Source: Yariv 2000, "Universal relations for coupling ...", eq. 1.

    >>> Coupler(0.25).matrix([50.0] * 4)[2:, 0].round(4).tolist()
    [(0.866+0j), -0.5j]
    """

    coupling: Any = 0.5
    loss_db: Any = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("A coupler", self.temperature)
        _require_range("A coupler", "coupling", self.coupling, 0.0, 1.0)
        _require_range("A coupler", "loss_db", self.loss_db, 0.0, np.inf)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in1, in2, out1, out2``."""
        return FOUR_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        coupling, pass_on = np.asarray(self.coupling, float), amplitude(self.loss_db)
        straight, across = pass_on * np.sqrt(1.0 - coupling), -1j * pass_on * np.sqrt(coupling)
        return _both_ways([[straight, across], [across, straight]])


@dataclass(frozen=True)
class PhaseShifter(Passive):
    """Turns an envelope by ``exp(-i phase)`` (rad) both ways, as a line's phase does, with ``loss_db`` (dB).

    ``temperature`` (K) is that of what it loses power to. Raises NetworkError.

    >>> PhaseShifter(np.pi / 2).matrix([50.0, 50.0])[1, 0].round(4)
    np.complex128(-1j)
    """

    phase: Any = 0.0
    loss_db: Any = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("A phase shifter", self.temperature)
        _require_range("A phase shifter", "loss_db", self.loss_db, 0.0, np.inf)
        _require_range("A phase shifter", "phase", self.phase, -1e9, 1e9)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        turn = amplitude(self.loss_db) * np.exp(-1j * np.asarray(self.phase, float))
        return stacked([[0.0, turn], [turn, 0.0]])


@dataclass(frozen=True)
class Attenuator(Passive):
    """A matched pad that loses ``db`` (dB of power) both ways, at ``temperature`` (K); ports in, out.

    >>> Attenuator(20.0).response([50.0, 50.0], np.zeros(1))[0].tolist()
    [[0.0, 0.1], [0.1, 0.0]]
    """

    db: Any = 3.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        _require_range("An attenuator", "db", self.db, 0.0, np.inf)
        require_temperature("An attenuator", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        factor = amplitude(self.db)
        return stacked([[0.0, factor], [factor, 0.0]])


@dataclass(frozen=True)
class TransmissionPad(Passive):
    """A matched pad that lets ``transmission`` (of the amplitude, 0 to 1) through both ways; ports in, out.

    What a phase-change cell over a waveguide is, whose value is that number. ``temperature`` in K. Raises NetworkError.

    >>> TransmissionPad(0.5).response([50.0, 50.0], np.zeros(1))[0].tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """

    transmission: Any = 0.5
    temperature: float = 0.0

    def __post_init__(self) -> None:
        _require_range("A pad", "transmission", self.transmission, 0.0, 1.0)
        require_temperature("A pad", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        factor = np.asarray(self.transmission, float)
        return stacked([[0.0, factor], [factor, 0.0]])


@dataclass(frozen=True)
class MachZehnder(Passive):
    """Coupler, phase ``theta`` in the upper arm, coupler; ``phi`` in the upper input; ports in1, in2, out1, out2.

    ``couplings`` are the power couplings of the two couplers, ``loss_db`` (dB) the loss of the whole; all may be arrays
    [batch]; ``temperature`` (K) is that of what it loses power to. With ideal couplers ``|S(out1, in1)|^2 = sin^2(theta
    / 2)``. Raises NetworkError.
    Source: Clements 2016, "Optimal design for universal multiport interferometers", eq. 1 (up to a common phase).

    >>> abs(MachZehnder(np.pi / 3).matrix([50.0] * 4)[2:, 0] ** 2).round(6).tolist()
    [0.25, 0.75]
    """

    theta: Any = 0.0
    phi: Any = 0.0
    loss_db: Any = 0.0
    couplings: tuple[Any, Any] = (0.5, 0.5)
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("A Mach-Zehnder", self.temperature)
        for coupling in self.couplings:
            _require_range("A Mach-Zehnder", "couplings", coupling, 0.0, 1.0)
        _require_range("A Mach-Zehnder", "loss_db", self.loss_db, 0.0, np.inf)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in1, in2, out1, out2``."""
        return FOUR_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        (t1, k1), (t2, k2) = (_split(coupling) for coupling in self.couplings)
        inner, outer = np.exp(-1j * np.asarray(self.theta, float)), np.exp(-1j * np.asarray(self.phi, float))
        factor = amplitude(self.loss_db)
        upper = [factor * outer * (t2 * inner * t1 + k2 * k1), factor * (t2 * inner * k1 + k2 * t1)]
        lower = [factor * outer * (k2 * inner * t1 + t2 * k1), factor * (k2 * inner * k1 + t2 * t1)]
        return _both_ways([upper, lower])


def _split(coupling: Any) -> tuple[Any, Any]:
    """Straight and across amplitude of a lossless coupler."""
    value = np.asarray(coupling, float)
    return np.sqrt(1.0 - value), -1j * np.sqrt(value)


@dataclass(frozen=True)
class Isolator(Passive):
    """Lets waves from in to out through with ``loss_db`` and back with ``isolation_db`` (dB).

    What it absorbs it emits at ``temperature`` (K). Raises NetworkError.

    >>> Isolator().matrix([50.0, 50.0]).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """

    loss_db: Any = 0.0
    isolation_db: Any = np.inf
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("An isolator", self.temperature)
        _require_range("An isolator", "loss_db", self.loss_db, 0.0, np.inf)
        _require_range("An isolator", "isolation_db", self.isolation_db, 0.0, np.inf)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        return stacked([[0.0, amplitude(self.isolation_db)], [amplitude(self.loss_db), 0.0]])


@dataclass(frozen=True)
class Circulator(Passive):
    """Sends what enters port ``p1`` out of ``p2``, p2 to p3, ... and the last to p1, with ``loss_db``.

    What it absorbs it emits at ``temperature`` (K). Raises NetworkError.

    >>> Circulator(3).matrix([50.0] * 3)[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """

    count: int = 3
    loss_db: Any = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("A circulator", self.temperature)
        if self.count < 2:
            raise NetworkError(f"A circulator has at least 2 ports, but count={self.count!r}")
        _require_range("A circulator", "loss_db", self.loss_db, 0.0, np.inf)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return tuple(Port(f"p{index + 1}", 1) for index in range(self.count))

    def matrix(self, z: Sequence[Any]) -> np.ndarray:
        """See :class:`Memoryless`."""
        factor = amplitude(self.loss_db)
        turned: np.ndarray = np.roll(np.eye(self.count), 1, axis=0) * factor[..., None, None]
        return turned


@dataclass(frozen=True)
class Amplifier(LinearNode):
    """An ideal one-way amplifier of ``gain_db`` (dB of power) from in to out; what comes back is absorbed.

    ``noise_figure_db`` adds the output noise of a resistance at ``290 K (F - 1)`` before the gain. It is active: nobody
    refuses it, and the ledger books what it adds as gain. Raises NetworkError. Source: Friis 1944 (noise figure).

    >>> Amplifier(20.0).response([50.0, 50.0], np.zeros(1))[0].tolist()
    [[0.0, 0.0], [10.0, 0.0]]
    """

    gain_db: Any = 20.0
    noise_figure_db: float = 0.0
    active = True

    def __post_init__(self) -> None:
        _require_range("An amplifier", "noise_figure_db", self.noise_figure_db, 0.0, 1e6)
        _require_range("An amplifier", "gain_db", self.gain_db, -np.inf, 1e6)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        gain = amplitude(-np.asarray(self.gain_db, float))
        if self.noise_figure_db == 0.0:
            return Scattering(stacked([[0.0, 0.0], [gain, 0.0]]), 2)
        drive = Drive(temperature=ROOM * (10.0 ** (self.noise_figure_db / 10.0) - 1.0), kind="amplifier")
        return Scattering(stacked([[0.0, 0.0, 0.0], [gain, 0.0, gain]]), 2, drives=(drive,))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        matrix = stacked([[0.0, 0.0], [amplitude(-np.asarray(self.gain_db, float)), 0.0]])
        return np.broadcast_to(matrix, (len(frequencies), *matrix.shape))


@dataclass(frozen=True)
class OpticalAmplifier(LinearNode):
    """A one-way amplifier of an envelope at ``frequency`` (Hz): ``gain_db`` (dB of power) and the light it emits.

    ``inversion`` (n_sp, at least 1) gives spontaneous emission of ``h f n_sp (G - 1)`` W/Hz; where
    the vacuum is simulated, the half photon per mode of it that amplifying the vacuum takes comes with the vacuum.
    Raises NetworkError. Source: Desurvire 1994, chapter 2; Caves 1982, eq. 3.34.

    >>> OpticalAmplifier(20.0).scattering([50.0, 50.0], 1e-12).matrix.round(3).tolist()
    [[0.0, 0.0, 0.0], [10.0, 0.0, 1.0]]
    """

    gain_db: float = 20.0
    inversion: float = 1.0
    frequency: float = 193.4e12
    active = True

    def __post_init__(self) -> None:
        _require_range("An optical amplifier", "gain_db", self.gain_db, 0.0, 1e3)
        _require_range("An optical amplifier", "inversion", self.inversion, 1.0, 1e6)
        _require_range("An optical amplifier", "frequency", self.frequency, 1.0, 1e18)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``in, out``."""
        return TWO_PORTS

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        gain = float(amplitude(-np.asarray(self.gain_db, float)))
        photon = PLANCK * self.frequency / BOLTZMANN * (gain**2 - 1.0)  # of all that the gain adds, K
        drive = Drive(temperature=self.inversion * photon, kind="spontaneous", spontaneous=photon)
        return Scattering(stacked([[0.0, 0.0, 0.0], [gain, 0.0, 1.0]]), 2, drives=(drive,))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return Amplifier(self.gain_db).response(z, frequencies)


@dataclass(frozen=True)
class LaserSource(LinearNode):
    """A matched source: sends ``waveform`` (sqrt(W), may be complex) out and absorbs what comes back; port out.

    It emits ``kT`` at ``temperature`` (K) beside. Raises NetworkError.

    >>> LaserSource(Step(1e-3)).scattering([50.0], dt=1e-12).matrix.tolist()
    [[0.0, 1.0]]
    """

    waveform: Waveform = field(default_factory=Step)
    temperature: float = 0.0

    def __post_init__(self) -> None:
        require_temperature("A laser", self.temperature)

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``out``."""
        return (Port("out", 1),)

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        drives = [Drive(self.waveform), Drive(temperature=self.temperature)]
        count = 1 if self.temperature == 0.0 else 2
        return Scattering(np.array([[0.0, 1.0, 1.0][: 1 + count]]), 1, drives=tuple(drives[:count]))

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return np.zeros((len(frequencies), 1, 1))
