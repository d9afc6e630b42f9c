"""A length of optical waveguide or fibre for an envelope about a carrier."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import CompileError, NetworkError
from substrate.laying import Laid, Medium, require_passive, require_positive
from substrate.media.fractional import lay_line
from substrate.media.rlgc import as_line

LIGHT = 299_792_458.0  # m/s
FLAT = 1e-9  # turn of the phase at a tenth of the sampling rate below which dispersion is left out


@dataclass(frozen=True)
class OpticalLine(Medium):
    """``length`` (m) of a guide with indices ``n_eff`` (effective) and ``n_g`` (group) at a carrier ``wavelength`` (m).

    A pass lasts ``n_g length / c``, turns the envelope by ``beta length`` and loses ``loss_db_per_m``. ``wavelength``
    may
    be an array, one carrier per sample of the batch; indices then hold at ``reference_wavelength`` (m; None: at every
    carrier) and the phase follows to second order, ``beta(omega) = beta_0 + (omega - omega_0) n_g / c + ...``.
    ``dispersion`` (s/m^2; 1 ps/(nm km) is 1e-6) makes the group delay rise with frequency by an allpass of first order
    at
    each end, right in phase to the third order of the offset; its error is reported by ``plan.report()``. Thermal noise
    at optical frequencies is nil, and vacuum noise is not part of a line. Raises NetworkError and CompileError.
    Source: Agrawal, "Fiber-Optic Communication Systems", section 2.3.

    >>> guide = OpticalLine(50e-6, n_eff=2.86, n_g=2.86, wavelength=1.55e-6)
    >>> round(guide.delay * 1e15, 3), round(float(guide.phase) / (2 * np.pi), 6)
    (476.997, 0.258065)
    """

    length: float
    n_eff: float
    n_g: float
    wavelength: Any = 1.55e-6
    loss_db_per_m: float = 0.0
    dispersion: float = 0.0
    reference_wavelength: float | None = None
    guide_impedance: float = 50.0

    def __post_init__(self) -> None:
        owner = "An optical line"
        require_positive(
            owner, length=self.length, n_eff=self.n_eff, n_g=self.n_g, guide_impedance=self.guide_impedance
        )
        require_passive(owner, loss_db_per_m=self.loss_db_per_m)
        if not np.all(np.asarray(self.wavelength, float) > 0.0) or not np.isfinite(self.dispersion):
            raise NetworkError(
                f"{owner} needs wavelengths above zero and a finite dispersion, but wavelength={self.wavelength!r}, "
                f"dispersion={self.dispersion!r}"
            )
        if self.temperature != 0.0:
            raise NetworkError(f"{owner} has no thermal noise; leave temperature at 0")
        self._settle(
            delay=self.n_g * self.length / LIGHT, impedance=self.guide_impedance,
            loss_db=self.loss_db_per_m * self.length, phase=self._turn(),
        )  # fmt: skip

    def _turn(self) -> Any:
        """Phase of a pass in 0 to 2 pi, one per carrier; there may be 1e9 cycles, counted in long precision."""
        carrier = np.asarray(self.wavelength, np.longdouble)
        reference = carrier if self.reference_wavelength is None else np.longdouble(self.reference_wavelength)
        # In cycles per metre: omega = 2 pi c / wavelength.
        offset = 1.0 / carrier - 1.0 / reference
        second = -np.longdouble(self.dispersion) * reference**2 * LIGHT * offset**2 / 2.0
        cycles = self.length * (self.n_eff / reference + offset * self.n_g + second)
        return np.asarray(2.0 * np.pi * np.asarray(cycles - np.floor(cycles), float))[()]

    @property
    def is_plain(self) -> bool:
        """Without dispersion."""
        return self.dispersion == 0.0

    def slope(self, dt: float) -> float:
        """By how much the group delay rises with angular frequency, in steps of ``dt`` per radian per step."""
        reference = self.reference_wavelength or float(np.mean(np.asarray(self.wavelength, float)))
        return float(-self.dispersion * reference**2 / (2.0 * np.pi * LIGHT) * self.length / dt**2)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`Medium`; ``frequencies`` are offsets from the carrier."""
        w = 2.0 * np.pi * np.asarray(frequencies, float)
        angle = w * self.delay + 0.5 * self.slope(1.0) * w * w
        gain = np.atleast_1d(self.gains[0])
        through = np.exp(-1j * angle)[:, None] * gain
        # Ends of another impedance reflect; Pozar, eq. 2.62, chained at both ends.
        steps = [
            (self.impedance - np.asarray(value, float)) / (self.impedance + np.asarray(value, float)) for value in z
        ]
        first, second = steps
        total = 1.0 - first * second * through**2
        across = np.sqrt((1.0 - first**2) * (1.0 - second**2)) * through / total
        near, far = (first - second * through**2) / total, (second - first * through**2) / total
        s = np.moveaxis(np.array([[near, across], [across, far]]), (0, 1), (-2, -1))
        return s[:, 0] if np.ndim(self.gains[0]) == 0 else s

    def lay(self, name: str, dt: float) -> Laid:
        """See :class:`Medium`."""
        slope = self.slope(dt)
        if abs(0.5 * slope * (0.2 * np.pi) ** 2) < FLAT:
            slope = 0.0
        laid = lay_line(name, as_line(self), dt, slope)
        if slope != 0.0 and laid.accuracy.error_below > 0.1:
            raise CompileError(
                f"Line {name!r} spreads an envelope of {0.1 / dt:.3g} Hz by more than an allpass of first order can "
                f"follow (error {laid.accuracy.error_below:.2g}); cut it into several lines"
            )
        return laid
