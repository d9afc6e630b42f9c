"""A lossy line for a time step: its characteristic impedance and transfer as filters, and how exact they are."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from substrate.errors import CompileError
from substrate.filters import Filter, cascade, fitted
from substrate.laying import LineAccuracy
from substrate.media.fractional import split_delay
from substrate.nodes.line_ends import LineEnd
from substrate.noise.lines import mode_taps

POINTS = 300  # of the fit, log spaced
GRID = 1500  # points at which errors and passivity are measured, log spaced and again evenly spaced
DIELECTRIC = (2.0 * np.pi * 1e3, 2.0 * np.pi * 1e13)  # rad/s between which a loss tangent is flat


@dataclass(frozen=True)
class Telegraph:
    """Resistance, inductance, conductance and capacitance per metre, at any complex frequency.

    ``skin`` (ohm/m per sqrt(Hz)) adds ``skin sqrt(s / pi)``: at frequency f a resistance ``skin sqrt(f)`` and as large
    a reactance. ``loss_tangent`` at ``reference`` (Hz) comes with the change of capacitance that causality demands.
    Source: Djordjevic et al. 2001, IEEE Trans. EMC 43, eq. 6, for the dielectric.
    """

    resistance: float
    inductance: float
    conductance: float
    capacitance: float
    skin: float = 0.0
    loss_tangent: float = 0.0
    reference: float = 1e9

    @property
    def dispersive(self) -> bool:
        """Whether skin effect or dielectric change its numbers with frequency."""
        return self.skin > 0.0 or self.loss_tangent > 0.0

    def series(self, s: np.ndarray) -> np.ndarray:
        """Impedance per metre."""
        return self.resistance + s * self.inductance + self.skin * np.sqrt(s / np.pi)

    def shunt(self, s: np.ndarray) -> np.ndarray:
        """Admittance per metre."""
        if self.loss_tangent == 0.0:
            return self.conductance + s * self.capacitance
        low, high = DIELECTRIC
        # C is that at the reference, its imaginary part -tan(delta) times as large.
        at = np.log((high + 2j * np.pi * self.reference) / (low + 2j * np.pi * self.reference))
        change = self.loss_tangent * self.capacitance / -at.imag
        return self.conductance + s * (self.capacitance + change * (np.log((high + s) / (low + s)) - at.real))

    def of(self, s: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Characteristic impedance over ``sqrt(L/C)``, and ``gamma * length``."""
        # Two roots rather than one of the product: each stays on its branch.
        z, y = np.sqrt(self.series(s)), np.sqrt(self.shunt(s))
        return z / y * np.sqrt(self.capacitance / self.inductance), length * z * y


@dataclass(frozen=True, eq=False)
class LossyDesign:
    """A lossy line laid for a time step: whole steps between two equal ends, and how exact that is."""

    end: LineEnd
    steps: int
    accuracy: LineAccuracy
    transfer: Filter  # of the loss
    rest: Filter | None  # of the part of a step that the whole steps leave, behind the transfer


@lru_cache(maxsize=512)
def design(line: Telegraph, length: float, dt: float, poles: int, fractional: str, order: int) -> LossyDesign:
    """Fit the two filters of a line of ``length`` (m) for steps of ``dt`` (s), with up to ``poles`` poles each.

    The delay ``length sqrt(LC)`` is rounded, or carried by a filter of kind ``fractional``; with skin effect or
    dielectric loss the fit carries what whole steps leave. Raises CompileError when no passive fit is found.
    """
    best: LossyDesign | None = None
    for count, taps in ((poles, 2), (poles, 1), (poles + 2, 2), (poles + 2, 1)):
        found = _attempt(line, length, dt, count, taps, fractional, order)
        if best is None or found.accuracy.gain < best.accuracy.gain:
            best = found
        if best.accuracy.gain <= 0.0:
            return best
    assert best is not None
    for loss in np.geomspace(1e-7, 1e-2, 11):
        damped = _damped(line, length, dt, best, float(loss))
        if damped.accuracy.gain <= 0.0:
            return damped
    raise CompileError(
        f"A line of {length:.4g} m cannot be laid passively at dt={dt:.4g} s (its scattering exceeds 1 by "
        f"{best.accuracy.gain:.1e}); lower dt, or give it more poles"
    )


@lru_cache(maxsize=64)
def noise_taps(found: LossyDesign) -> tuple[np.ndarray, float]:
    """Filters of the thermal noise of a line as it is laid, see :func:`substrate.noise.lines.mode_taps`."""
    end, steps = found.end, found.steps
    return mode_taps(end.relative_impedance, lambda z: end.transfer.response(z) * z ** -float(steps), steps)


def _attempt(
    line: Telegraph, length: float, dt: float, count: int, taps: int, fractional: str, order: int
) -> LossyDesign:
    low, high = _range(line, dt, count)
    steady, rest = _leaking(line, low), None
    if line.dispersive:
        _, angle = line.of(np.array([1j * np.pi / dt]), length)
        # What whole steps leave of the delay must not be negative: no filter can look ahead.
        steps = max(1, int(np.floor(angle[0].imag / np.pi)))
        delay = steps * dt
    else:
        delay = length * np.sqrt(line.inductance * line.capacitance)
        steps, rest = split_delay(delay / dt, fractional, order)
    w, weight, rough = _points(line, low, high, dt)
    taps = taps if rough else 0
    zc, gl = steady.of(1j * w, length)
    still, lost = (float(np.real(value[0])) for value in steady.of(np.zeros(1, complex), length))
    z, poles = np.exp(1j * w * dt), np.exp(-dt * _poles(low, high, count))
    # A line that leaks more than it resists has an admittance with poles of positive residue, rather than an impedance.
    dual = line.conductance / line.capacitance > line.resistance / line.inductance
    wanted = 1.0 / zc if dual else zc
    impedance = _lifted(fitted(wanted, z, poles, taps, weight / np.abs(wanted), 1.0 / still if dual else still), dt)
    transfer = fitted(np.exp(1j * w * delay - gl), z, poles, taps, weight, float(np.exp(-lost)))
    return _designed(line, length, dt, impedance, dual, transfer, rest, steps)


def _designed(
    line: Telegraph,
    length: float,
    dt: float,
    impedance: Filter,
    dual: bool,
    transfer: Filter,
    rest: Filter | None,
    steps: int,
) -> LossyDesign:
    whole = transfer if rest is None else cascade(transfer, rest)
    energy = np.zeros(whole.states)  # characteristic waves hold no energy of their own
    whole = Filter(whole.a, whole.b, whole.c, whole.d, energy)
    z0 = float(np.sqrt(line.inductance / line.capacitance))
    end = LineEnd(z0, impedance, whole, hidden=True, dt=dt, dual=dual)
    return LossyDesign(end, steps, _accuracy(line, length, dt, end, steps), transfer, rest)


def _points(line: Telegraph, low: float, high: float, dt: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """Frequencies (rad/s) of the fit, their weights, and whether loss and delay vary up to half the sampling rate."""
    top = np.pi / dt
    rough = line.dispersive or high * dt > 0.1
    even = np.linspace(0.02, 0.9, 60) * top if rough else np.zeros(0)
    w = np.concatenate([[low * 1e-3], np.geomspace(low / 10.0, 0.8 * top, POINTS), even])
    bend, power = (0.1, 4) if rough else (0.25, 8)
    weight = 1.0 / (1.0 + (w * dt / (2.0 * np.pi) / bend) ** power)
    return w, weight, rough


def _range(line: Telegraph, dt: float, order: int) -> tuple[float, float]:
    """Slowest and fastest pole, rad/s: the cut of the exact functions, as far as ``order`` poles can follow it."""
    rates = (line.resistance / line.inductance, line.conductance / line.capacitance)
    top = 2.0 / dt  # faster poles are hardly different from a plain delay
    if line.dispersive:
        slow = [rate for rate in rates if rate > 0.0]
        return float(np.clip(1e-4 * min(slow, default=0.0), top * 10.0 ** (-order / 2.0), top * 1e-4)), top
    high = min(max(rates), top)
    return max(min(rates), high * 10.0 ** (-order / 3.0)), high


def _poles(low: float, high: float, order: int) -> np.ndarray:
    """Log-graded rates: a trapezoidal rule along the cut, whose error falls as exp(-pi^2 / spacing)."""
    # The cut ends like a square root; a pole beyond its end and closer poles beside it do for what the rule misses
    # there.
    spread = np.log(1.5 * high / low)
    count = int(np.clip(np.ceil(spread / 0.35) + 2, 2, order))
    place = (np.arange(count) + 0.3) / (count - 0.7)
    return np.asarray(1.5 * high * np.exp(-spread * place**1.1))


def _leaking(line: Telegraph, low: float) -> Telegraph:
    """The same line with so little leakage added that nothing in it is slower than the slowest pole."""
    return Telegraph(
        max(line.resistance, low * line.inductance, line.skin * np.sqrt(low / (2.0 * np.pi))), line.inductance,
        max(line.conductance, low * line.capacitance), line.capacitance,
        line.skin, line.loss_tangent, line.reference,
    )  # fmt: skip


def scattered(zc: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S11 and S21 between ends of impedance 1 of a line of impedance ``zc`` and transfer ``h``; Pozar, table 4.2."""
    gamma = (zc - 1.0) / (zc + 1.0)
    total = 1.0 - gamma**2 * h**2
    return gamma * (1.0 - h**2) / total, (1.0 - gamma**2) * h / total


def _lifted(impedance: Filter, dt: float) -> Filter:
    """The same, raised by a constant where its real part would fall below zero: only then is the end passive."""
    lowest = float(impedance.response(np.exp(1j * _grid(dt) * dt)).real.min())
    return impedance if lowest > 0.0 else replace(impedance, d=impedance.d - 1.01 * lowest)


def _grid(dt: float) -> np.ndarray:
    """Frequencies (rad/s) from far below the slowest pole to half the sampling rate, where errors are looked at."""
    top = np.pi / dt
    return np.concatenate([[0.0], np.geomspace(1e-10 * top, top, GRID), np.linspace(top / GRID, top, GRID)])


def _accuracy(line: Telegraph, length: float, dt: float, end: LineEnd, steps: int) -> LineAccuracy:
    """Compare the filters with the exact line from far below the slowest pole to half the sampling rate."""
    tenth = 0.2 * np.pi / dt
    w = np.append(_grid(dt)[1:], tenth)
    zc, gl = line.of(1j * w, length)
    z = np.exp(1j * w * dt)
    own, sent = end.relative_impedance(z), end.transfer.response(z) * np.exp(-1j * w * steps * dt)
    exact, found = scattered(zc, np.exp(-gl)), scattered(own, sent)
    error = np.maximum(np.abs(exact[0] - found[0]), np.abs(exact[1] - found[1]))
    # The singular values of a symmetric two-port are those of its even and odd modes; a stable transfer that nowhere
    # amplifies, behind an impedance of positive real part, keeps these bounds meaningful.
    gain = max(np.abs(found[0] + found[1]).max(), np.abs(found[0] - found[1]).max(), np.abs(sent).max()) - 1.0
    passed, lag = float(np.exp(-gl[-1].real)), 0.0
    if passed > 1e-3:
        lag = float(-np.angle(sent[-1] * np.exp(1j * gl[-1].imag)) / (tenth * dt))
    return LineAccuracy(
        medium="lossy line", steps=steps, delay=float(length * np.sqrt(line.inductance * line.capacitance)),
        states=2 * (end.characteristic.states + end.transfer.states),
        frequency=0.1 / dt, magnitude_error=float(abs(sent[-1]) - passed), phase_delay_error=lag,
        error_below=float(error[w <= tenth * (1.0 + 1e-9)].max()), band_error=float(error.max()), gain=float(gain),
    )  # fmt: skip


def _damped(line: Telegraph, length: float, dt: float, found: LossyDesign, loss: float) -> LossyDesign:
    """The same with a little more loss per pass."""
    old = found.transfer
    transfer = Filter(old.a, old.b, old.c * (1.0 - loss), old.d * (1.0 - loss), old.energy)
    return _designed(line, length, dt, found.end.characteristic, found.end.dual, transfer, found.rest, found.steps)
