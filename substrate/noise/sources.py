"""Physical noise sources as variances, sigmas and exact steps: pure formulas, their random numbers handed in.

A real record sampled every dt has the one-sided band 1 / (2 dt), so a one-sided power spectral density S becomes the
variance S / (2 dt) per sample, and halving dt leaves S unchanged. Powers are in units of `reference_power` (W per unit
amplitude squared). A complex envelope of variance E|v|^2 carries half of it in each quadrature; functions named
`*_sigma` for envelopes return the standard deviation of ONE quadrature, which is the scale `noise.add_normals` wants
for complex cells. Thermal noise of waves (`thermal_variance`, `pass_noise_sigma`) is in `substrate.noise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from substrate.errors import ConfigError
from substrate.noise import BOLTZMANN

Array = npt.NDArray[Any]

PLANCK = 6.62607015e-34  # J s, exact (SI 2019)
ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact (SI 2019)
NOISE_TEMPERATURE = 290.0  # K, the T0 of noise figures (Friis, Proc. IRE 32, 419, 1944)


def bosma_factor(scattering: npt.ArrayLike) -> Array:
    """Matrix K [n, n], K K^H = I - S S^H: a passive n-port at temperature T emits `K @ xi * sqrt(thermal_variance)`.

    Raises ConfigError for an S with gain. Source: H. Bosma, Philips Res. Repts Suppl. 10 (1967); Wedge & Rutledge, IEEE
    Microwave Guided Wave Lett. 1, 117 (1991).

    >>> bosma_factor([[0.6]]).round(12).tolist()
    [[0.8]]
    """
    s = np.atleast_2d(np.asarray(scattering))
    values, vectors = np.linalg.eigh(np.eye(len(s)) - s @ s.conj().T)
    if values.min() < -1e-9:
        raise ConfigError(f"bosma_factor: S must be passive, but I - S S^H has the eigenvalue {values.min():.3g}")
    return np.asarray((vectors * np.sqrt(values.clip(0.0))) @ vectors.conj().T)


def quantum_power_density(frequency: npt.ArrayLike, temperature: npt.ArrayLike) -> Array:
    """Power per hertz hf (1/2 + 1 / (exp(hf / kT) - 1)), in W/Hz, that replaces kT where photons count.

    `frequency` in Hz > 0, `temperature` in K >= 0; shapes broadcast. Source: Callen & Welton, Phys. Rev. 83, 34 (1951).

    >>> float(quantum_power_density(1e9, 300.0) / (BOLTZMANN * 300.0))  # doctest: +ELLIPSIS
    1.000000002...
    """
    energy = PLANCK * np.asarray(frequency, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        ratio = energy / (BOLTZMANN * np.asarray(temperature, dtype=np.float64))
        return np.asarray(energy * (0.5 + 1.0 / np.expm1(ratio)))


def vacuum_variance(frequency: float, dt: float, reference_power: float) -> float:
    """Variance E|v|^2 = hf / (2 dt P_ref) of a complex envelope sample of the vacuum at carrier `frequency` (Hz).

    Source: C. M. Caves, Phys. Rev. D 26, 1817 (1982); half a photon per mode, one mode per sample.

    >>> round(vacuum_variance(193.4e12, 1e-12, 1e-3) * 1e5, 4)
    6.4074
    """
    return PLANCK * frequency / (2 * dt * reference_power)


def attenuation_sigma(transmission: npt.ArrayLike, frequency: float, dt: float, reference_power: float) -> Array:
    """Quadrature sigma sqrt((1 - eta) hf / (4 dt P_ref)) of a lossy pass: `A <- sqrt(eta) A + sigma xi`.

    `transmission` is the power factor eta in [0, 1] (any shape), `frequency` Hz, `dt` s; keeps the vacuum at its level.
    Source: beam-splitter model, Caves (1982); Haus, "Electromagnetic Noise and Quantum Optical Measurements" (2000).

    >>> float(attenuation_sigma(1.0, 193.4e12, 1e-12, 1e-3))
    0.0
    """
    eta = np.asarray(transmission, dtype=np.float64)
    if not np.all((eta >= 0) & (eta <= 1)):
        raise ConfigError(f"attenuation_sigma: transmission must be in [0, 1], but is {eta}")
    return np.sqrt((1.0 - eta) * vacuum_variance(frequency, dt, reference_power) / 2)


def optical_amplifier_sigma(
    gain: npt.ArrayLike, inversion: float, frequency: float, dt: float, reference_power: float
) -> Array:
    """Quadrature sigma sqrt(hf n_sp (G - 1) / (2 dt P_ref)) of an optical amplifier's spontaneous emission.

    `gain` G >= 1 is a power factor, `inversion` is n_sp >= 1; E|v|^2 = hf n_sp (G - 1) / dt per polarisation. Source:
    E. Desurvire, "Erbium-Doped Fiber Amplifiers" (1994), ch. 2.

    >>> float(optical_amplifier_sigma(1.0, 1.0, 193.4e12, 1e-12, 1e-3))
    0.0
    """
    g = np.asarray(gain, dtype=np.float64)
    if not (np.all(g >= 1) and inversion >= 1):
        raise ConfigError(f"optical_amplifier_sigma: gain and inversion must be >= 1, but are {g} and {inversion}")
    return np.sqrt(inversion * (g - 1.0) * vacuum_variance(frequency, dt, reference_power))


def amplifier_variance(noise_figure_db: float, dt: float, reference_power: float) -> float:
    """Variance k T0 (F - 1) / (2 dt P_ref) at the INPUT of an RF amplifier with noise figure 10 log10 F dB, T0 = 290 K.

    Source: H. T. Friis, Proc. IRE 32, 419 (1944).

    >>> amplifier_variance(0.0, 1e-12, 1e-3)
    0.0
    """
    if noise_figure_db < 0:
        raise ConfigError(f"amplifier_variance: the noise figure must be >= 0 dB, but is {noise_figure_db} dB")
    return BOLTZMANN * NOISE_TEMPERATURE * (10.0 ** (noise_figure_db / 10.0) - 1.0) / (2 * dt * reference_power)


def johnson_voltage_variance(resistance: npt.ArrayLike, temperature: float, dt: float) -> Array:
    """Variance 2 k T R / dt in V^2 per sample of the open-circuit voltage of `resistance` (ohm, any shape); PSD 4kTR.

    `temperature` in K, `dt` in s. Source: Johnson, Phys. Rev. 32, 97 (1928); Nyquist, Phys. Rev. 32, 110 (1928).

    >>> float(johnson_voltage_variance(50.0, 0.0, 1e-12))
    0.0
    """
    return np.asarray(2 * BOLTZMANN * temperature * np.asarray(resistance, dtype=np.float64) / dt)


def shot_variance(current: npt.ArrayLike, dt: float) -> Array:
    """Variance q |I| / dt in A^2 per sample of a current of independent charges (A, any shape); PSD 2 q I.

    Gaussian for many charges per sample; below some tens, draw Poisson counts instead. Source: W. Schottky, Ann. Phys.
    362, 541 (1918).

    >>> float(shot_variance(1e-3, 1e-12)) == ELEMENTARY_CHARGE * 1e-3 / 1e-12
    True
    """
    return np.asarray(ELEMENTARY_CHARGE * np.abs(current) / dt)


def rin_variance(rin_db: float, dt: float) -> float:
    """Variance r / (2 dt) of the relative power dP / P per sample for a relative intensity noise of `rin_db` dB/Hz.

    Source: Coldren, Corzine, Mashanovitch, "Diode Lasers and Photonic Integrated Circuits" (2012), sec. 5.5.

    >>> round(rin_variance(-155.0, 1e-12) ** 0.5, 4)  # 1.26 %
    0.0126
    """
    return 10.0 ** (rin_db / 10.0) / (2 * dt)


def laser_phase_sigma(linewidth: float, dt: float) -> float:
    """Step sqrt(2 pi dnu dt) in rad of a laser's phase walk, `phi += sigma xi`.

    `linewidth` dnu is the full width at half maximum, in Hz, of a Lorentzian line; `dt` in s. The one-sided PSD of the
    frequency is dnu / pi. Source: C. H. Henry, IEEE J. Quantum Electron. 18, 259 (1982).

    >>> round(laser_phase_sigma(1e6, 1.4e-9), 3)  # 10 cm of silicon wire
    0.094
    """
    return float(np.sqrt(2 * np.pi * linewidth * dt))


def thermorefractive_sigma(temperature: float, heat_capacity: float, volume: float) -> float:
    """Standard deviation sqrt(k T^2 / (rho c V)) in K of the temperature of a mode volume V (m^3).

    `temperature` in K, `heat_capacity` rho c in J/(m^3 K). Its time course is an Ornstein-Uhlenbeck process of the
    thermal time constant: see `ou_step`. Source: Landau & Lifshitz, "Statistical Physics", par. 112; Huang et al.,
    Phys. Rev. A 99, 061801 (2019).

    >>> round(thermorefractive_sigma(300.0, 1.66e6, 500e-9 * 220e-9 * 100e-6) * 1e3, 2)  # mK, 100 um of silicon wire
    0.26
    """
    return float(np.sqrt(BOLTZMANN * temperature**2 / (heat_capacity * volume)))


def ou_step(x: Array, dt: float, tau: npt.ArrayLike, sigma: npt.ArrayLike, xi: Array) -> Array:
    """`x` after `dt` seconds of an Ornstein-Uhlenbeck process.

    `tau` is the correlation time (s), `sigma` the stationary deviation (unit of x), `xi` normals. Exact for any dt: x
    exp(-dt/tau) + sigma sqrt(1 - exp(-2 dt/tau)) xi; shapes broadcast. Source: D. T. Gillespie, Phys. Rev. E 54, 2084
    (1996).

    >>> float(ou_step(np.float64(1.0), 1e9, 1.0, 2.0, np.float64(0.5)))
    1.0
    """
    ratio = dt / np.asarray(tau, dtype=np.float64)
    return np.asarray(np.exp(-ratio) * x + sigma * np.sqrt(-np.expm1(-2 * ratio)) * xi)


def lorentzian_psd(frequency: npt.ArrayLike, tau: float, variance: float, dt: float = 0.0) -> Array:
    """One-sided PSD at `frequency` Hz of a process with covariance `variance` exp(-|t| / tau): OU or telegraph.

    `dt` = 0: in continuous time, 4 var tau / (1 + (2 pi f tau)^2). `dt` > 0: of its samples, aliases included. Source:
    Wiener and Khinchin; C. W. Gardiner, "Handbook of Stochastic Methods".

    >>> float(lorentzian_psd(0.0, 1.0, 2.0)), round(float(lorentzian_psd(0.0, 1.0, 2.0, dt=1e-3)), 5)
    (8.0, 8.0)
    """
    f = np.asarray(frequency, dtype=np.float64)
    if dt == 0:
        return np.asarray(4 * variance * tau / (1 + (2 * np.pi * f * tau) ** 2))
    decay = -np.expm1(-dt / tau)  # 1 - exp(-dt/tau), without cancellation
    distance = decay**2 + 4 * (1 - decay) * np.sin(np.pi * f * dt) ** 2  # |1 - exp(-dt/tau - 2 pi i f dt)|^2
    return np.asarray(-2 * dt * variance * np.expm1(-2 * dt / tau) / distance)


@dataclass(frozen=True)
class Flicker:
    """1/f noise of one-sided PSD A / f in a band: the sum of two exact Ornstein-Uhlenbeck processes per decade.

    Attributes:
        amplitude: A, in the square of the unit of the noise.
        low, high: the band in Hz; the total variance is A ln(high / low). A decade inside the band the density is A / f
            to 7 %, at its edges half of that.

    Source: a log-uniform spread of relaxation times, F. N. Hooge & P. A. Bobbert, Physica B 239, 223 (1997).

    >>> pink = Flicker(amplitude=1e-4, low=1.0, high=1e4)
    >>> pink.count, pink.create(np.zeros((8, 3))).shape
    (8, (8, 3))
    """

    amplitude: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (self.amplitude >= 0 and 0 < self.low < self.high):
            raise ConfigError(f"Flicker: amplitude must be >= 0 and 0 < low < high, but it is {self}")

    @property
    def count(self) -> int:
        """Number of processes, and of normals per cell that `create` and `advance` consume."""
        return max(1, round(2 * np.log10(self.high / self.low)))

    @property
    def taus(self) -> Array:
        """Correlation times in s [count], equally spaced in the logarithm."""
        exponents = (np.arange(self.count) + 0.5) / self.count
        return np.asarray(1 / (2 * np.pi * self.low * (self.high / self.low) ** exponents))

    @property
    def sigma(self) -> float:
        """Stationary deviation of each process; A ln(10) / 2 is its square at exactly two per decade."""
        return float(np.sqrt(self.amplitude * np.log(self.high / self.low) / self.count))

    def create(self, xi: Array) -> Array:
        """A stationary state [count, ...] from normals `xi` of that shape; its sum over axis 0 is the noise."""
        return self.sigma * np.asarray(xi)

    def advance(self, state: Array, dt: float, xi: Array) -> Array:
        """The state [count, ...] `dt` seconds later, exactly, for any dt."""
        taus = self.taus.reshape((-1,) + (1,) * (np.ndim(state) - 1))
        return ou_step(state, dt, taus, self.sigma, xi)

    def psd(self, frequency: npt.ArrayLike, dt: float = 0.0) -> Array:
        """One-sided PSD of the sum at `frequency` Hz (see `lorentzian_psd`): A / f well inside the band."""
        return np.asarray(sum(lorentzian_psd(frequency, tau, self.sigma**2, dt) for tau in self.taus))


@dataclass(frozen=True)
class Telegraph:
    """Random telegraph noise: a trap that switches 0 -> 1 at rate `up` and 1 -> 0 at rate `down` (1/s).

    Source: S. Machlup, J. Appl. Phys. 25, 341 (1954).

    >>> trap = Telegraph(up=5.0, down=2.0)
    >>> round(trap.mean, 3), trap.create(np.array([0.1, 0.9])).tolist()
    (0.714, [1.0, 0.0])
    """

    up: float
    down: float

    def __post_init__(self) -> None:
        if not (self.up >= 0 and self.down >= 0 and self.up + self.down > 0):
            raise ConfigError(f"Telegraph: rates must be >= 0 and not both 0, but it is {self}")

    @property
    def mean(self) -> float:
        """Stationary probability of state 1, up / (up + down)."""
        return self.up / (self.up + self.down)

    @property
    def variance(self) -> float:
        """Stationary variance p (1 - p)."""
        return self.mean * (1 - self.mean)

    def create(self, u: Array) -> Array:
        """Stationary states 0.0 or 1.0 from uniforms `u` of any shape."""
        return (np.asarray(u) < self.mean).astype(np.float64)

    def advance(self, state: Array, dt: float, u: Array) -> Array:
        """The states `dt` s later, exactly, from fresh uniforms: P(1) = p + (state - p) exp(-(up + down) dt)."""
        chance = self.mean + (state - self.mean) * np.exp(-(self.up + self.down) * dt)
        return (u < chance).astype(np.float64)

    def psd(self, frequency: npt.ArrayLike, dt: float = 0.0) -> Array:
        """One-sided PSD at `frequency` Hz (see `lorentzian_psd`), tau = 1 / (up + down)."""
        return lorentzian_psd(frequency, 1 / (self.up + self.down), self.variance, dt)


@dataclass(frozen=True)
class Quantiser:
    """A converter over [-bound, bound]: rounds to the nearest of 2**bits - 1 levels, zero among them, and clips.

    The step is 2 bound / (2**bits - 2), as aihwkit's `inp_res` = 1 / (2**7 - 2); ties go to the even level (IEEE). A
    full-scale sine has 6.02 bits + 1.76 dB (W. R. Bennett, Bell Syst. Tech. J. 27, 446, 1948); a quiet input has no
    LSB^2/12 noise at all.

    >>> Quantiser(bits=3, bound=1.0)(np.array([0.1, 0.2, -5.0])).round(4).tolist()
    [0.0, 0.3333, -1.0]
    """

    bits: int
    bound: float

    def __post_init__(self) -> None:
        if not (2 <= self.bits <= 52 and self.bound > 0):
            raise ConfigError(f"Quantiser: bits must be in [2, 52] and bound > 0, but it is {self}")

    @property
    def step(self) -> float:
        """Distance between levels, in the unit of `bound`."""
        return 2 * self.bound / (2**self.bits - 2)

    def __call__(self, x: npt.ArrayLike) -> Array:
        """The level nearest to each number of `x` (any shape)."""
        return np.asarray(np.rint(np.clip(x, -self.bound, self.bound) / self.step) * self.step)
