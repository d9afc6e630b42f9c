"""A transmission line by its resistance, inductance, conductance and capacitance per metre."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.errors import CompileError
from substrate.laying import (
    Laid,
    LaidLine,
    Medium,
    chain_scattering,
    require_passive,
    require_positive,
    whole_steps,
)
from substrate.media.fit import LossyDesign, Telegraph, design, noise_taps
from substrate.media.fractional import lay_line, warn_rounding
from substrate.network import Line
from substrate.nodes.line_ends import LineEnd
from substrate.noise.lines import LineNoise


@dataclass(frozen=True)
class RlgcLine(Medium):
    """``length`` (m) of a line with R (ohm/m), L (H/m), G (S/m) and C (F/m), all of them constant in frequency but for:

    ``skin`` (ohm/m per sqrt(Hz)), which adds ``skin sqrt(s / pi)`` to the series impedance, so ``R + skin sqrt(f)``
    and as large a reactance; ``loss_tangent`` of the dielectric, with C, given at ``reference_frequency`` (Hz).
    Lossless lines and those with R/L = G/C are plain lines with delay and loss, exact. Others have two filters of up to
    ``poles`` real poles at each end: the characteristic impedance and the transfer, fitted to the exact functions along
    their cut; the error falls about tenfold with every four poles and is reported by ``plan.report()``.
    A line without leakage is given one that discharges it in ``10^(poles/3) L/R`` (it must have a slowest pole).
    ``voltage`` (V) is its charge at time zero. A warm line's noise is that of its filters. Raises NetworkError, and
    CompileError where the line is shorter than a step or cannot be laid.
    Source: Heaviside 1887 for R/L = G/C; the equations, Pozar, "Microwave Engineering", section 2.1.

    >>> line = RlgcLine(1.0, 20.0, 250e-9, 8e-3, 100e-12)
    >>> line.is_plain, round(line.delay * 1e9, 9), round(line.impedance, 9), round(line.gains[0], 8)
    (True, 5.0, 50.0, 0.67032005)
    """

    length: float
    resistance: float
    inductance: float
    conductance: float
    capacitance: float
    skin: float = 0.0
    loss_tangent: float = 0.0
    reference_frequency: float = 1e9
    poles: int = 16

    def __post_init__(self) -> None:
        owner = "An RLGC line"
        require_positive(owner, length=self.length, inductance=self.inductance, capacitance=self.capacitance)
        require_passive(owner, resistance=self.resistance, conductance=self.conductance, skin=self.skin)
        require_passive(owner, loss_tangent=self.loss_tangent)
        require_positive(owner, reference_frequency=self.reference_frequency, poles=self.poles)
        impedance = float(np.sqrt(self.inductance / self.capacitance))
        nepers = 0.5 * self.length * (self.resistance / impedance + self.conductance * impedance)
        self._settle(
            delay=float(self.length * np.sqrt(self.inductance * self.capacitance)),
            impedance=impedance,
            loss_db=float(20.0 / np.log(10.0) * nepers) if self.is_plain else 0.0,
        )

    @property
    def telegraph(self) -> Telegraph:
        """Its numbers per metre, as functions of frequency."""
        return Telegraph(
            self.resistance, self.inductance, self.conductance, self.capacitance,
            self.skin, self.loss_tangent, self.reference_frequency,
        )  # fmt: skip

    @property
    def is_plain(self) -> bool:
        """Lossless, or distortionless: R/L = G/C, without skin effect and dielectric loss."""
        a, b = self.resistance / self.inductance, self.conductance / self.capacitance
        # What dispersion there is, is that of |a - b|: over one pass it must be below rounding.
        delay = self.length * np.sqrt(self.inductance * self.capacitance)
        return not self.telegraph.dispersive and abs(a - b) <= max(1e-9 * max(a, b), 1e-13 / delay)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`Medium`."""
        s = 2j * np.pi * np.asarray(frequencies, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            _, gl = self.telegraph.of(s, self.length)
        series, shunt = self.telegraph.series(s) * self.length, self.telegraph.shunt(s) * self.length
        # sinh(x) / x stays finite at zero frequency, where zc need not.
        ratio = np.where(np.abs(gl) < 1e-6, 1.0 + gl * gl / 6.0, np.sinh(gl) / np.where(gl == 0.0, 1.0, gl))
        return chain_scattering(np.cosh(gl), series * ratio, shunt * ratio, np.cosh(gl), z)

    def lay(self, name: str, dt: float) -> Laid:
        """See :class:`Medium`."""
        if self.is_plain:
            return lay_line(name, as_line(self), dt)
        if self.modulation is not None:
            raise CompileError(
                f"Line {name!r} disperses, so the waves in it cannot be modulated; put a plain line beside it and "
                "modulate that one"
            )
        steps = whole_steps(f"Line {name!r}", self.delay, dt)
        if self.fractional == "none" and not self.telegraph.dispersive:
            warn_rounding(name, self.delay / dt, steps)
        found = design(self.telegraph, self.length, dt, self.poles, self.fractional, self.order)
        end, charge = found.end, None
        if np.any(np.asarray(self.voltage) != 0.0):
            end, charge = self._charged(name, found)
        core = LaidLine(found.steps * dt, self.impedance, charge=charge, hidden=True, inside="a dispersive line")
        first, second, accuracy = end, end, found.accuracy
        if self.temperature > 0.0:
            taps, right_from = noise_taps(found)
            accuracy = replace(accuracy, noise_from=right_from / dt)
            first, second = (replace(end, noise=LineNoise(name, taps, side, self.temperature)) for side in (0, 1))
        return Laid((first, core, second), accuracy)

    def _charged(self, name: str, found: LossyDesign) -> tuple[LineEnd, np.ndarray]:
        """The end and the waves of a line at rest at a voltage: all that is sent or arrives is that voltage."""
        if self.conductance > 0.0:
            raise CompileError(
                f"Line {name!r} leaks, so it is not at rest when charged: set conductance=0 or voltage=0"
            )
        wave = np.asarray(self.voltage, float) / (2.0 * np.sqrt(self.impedance))
        end, transfer = found.end, found.transfer
        states = np.real(transfer.resting())
        # What the fit leaves out at zero frequency is slower than its slowest pole; there it is put.
        slowest = int(np.argmax(np.real(np.diag(transfer.a))))
        states[slowest] += (1.0 - np.real(transfer.response(np.ones(1))[0])) / np.real(transfer.c[slowest])
        behind = np.zeros(0) if found.rest is None else np.real(found.rest.resting())
        initial = np.concatenate([np.zeros(end.characteristic.states), states, behind])
        charged = replace(end, initial=np.multiply.outer(wave, initial))
        return charged, np.multiply.outer(np.ones(found.steps), wave)


def as_line(medium: Medium) -> Line:
    """The plain line with the delay, impedance, loss and phase of a medium."""
    return Line(
        medium.delay, medium.impedance, medium.loss_db, medium.loss_db_back, medium.temperature, medium.phase,
        medium.lowpass, medium.voltage, medium.fractional, medium.order, medium.modulation,
    )  # fmt: skip
