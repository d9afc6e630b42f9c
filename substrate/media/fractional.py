"""Plain lines for a time step: whole steps, a filter for the rest of the delay, and the waves of an initial charge."""

import warnings
from typing import Any

import numpy as np

from substrate.errors import CompileError
from substrate.filters import Filter, cascade, dispersive_allpass, linear_delay, plain, thiran_delay
from substrate.laying import ROUNDING, Laid, LaidLine, LineAccuracy, whole_steps
from substrate.network import Line
from substrate.nodes.line_ends import LineEnd

ROUNDING_WARNING = 1e-6  # relative delay error above which the user is told
GRID = 400  # frequencies at which errors are measured


def split_delay(total: float, fractional: str, order: int) -> tuple[int, Filter | None]:
    """Whole steps of a delay of ``total`` steps, and the filter that carries the rest (None where there is none).

    Raises CompileError where the line is too short for the filter.

    >>> split_delay(10.25, "thiran", 1)[0], split_delay(10.25, "thiran", 3)[0], split_delay(10.0, "linear", 1)[1]
    (10, 7, None)
    """
    near = np.floor(total + 0.5)
    if fractional == "none" or abs(total - near) < ROUNDING * max(1.0, total):
        steps, found = int(near), None
    elif fractional == "linear":
        steps = int(np.floor(total))
        found = linear_delay(total - steps)
    else:
        # Best where the filter delays by about its order; a filter of first order may delay by a tenth of a step.
        steps = int(np.floor(total - 0.1)) if order == 1 else int(np.floor(total - order + 0.5))
        found = thiran_delay(total - steps, order) if steps >= 1 else None
    if steps < 1:
        raise CompileError(
            f"A delay of {total:.4g} steps is too short for a {fractional} filter of order {order}; lower dt or order"
        )
    return steps, found


def warn_rounding(name: str, total: float, steps: int, stacklevel: int = 7) -> float:
    """Tell the user where a delay of ``total`` steps is rounded to ``steps``; returns the relative error."""
    error = steps / total - 1.0
    if abs(error) > ROUNDING_WARNING:
        warnings.warn(
            f"Line {name!r} lasts {total:.4f} steps and is rounded to {steps} ({error:+.2%}); choose dt so that its "
            'delay is a whole number of steps, or give the line fractional="thiran"',
            stacklevel=stacklevel,
        )
    return error


def lay_line(name: str, line: Line, dt: float, slope: float = 0.0) -> Laid:
    """What stands for a plain line at steps of ``dt`` (s).

    ``slope`` (steps per radian per step) is by how much its group delay rises with frequency, for envelopes.
    Raises CompileError.
    """
    total = line.delay / dt
    charged = bool(np.any(np.asarray(line.voltage) != 0.0))
    if any(line.skew) or (charged and line.modulation is not None):
        raise CompileError(
            f"Line {name!r} has a skew or modulation, which goes with neither voltage nor fractional skew"
        )
    whole_steps(f"Line {name!r}", line.delay, dt)
    section, section_delay = (None, 0.0) if slope == 0.0 else dispersive_allpass(slope)[:2]
    steps, rest = split_delay(total - section_delay, line.fractional, line.order)
    parts = [part for part in (section, rest) if part is not None]
    transfer = parts[0] if parts else plain()
    for part in parts[1:]:
        transfer = cascade(transfer, part)
    if section is not None and abs(total - section_delay - steps) > 0.01 and rest is None:
        warn_rounding(name, total - section_delay, steps)
    charge, initial = _charge(name, line, steps, total, transfer) if charged else (None, np.zeros(0))
    inside = "a line with filters at its ends" if parts else ""
    core = _core(line, steps * dt if parts else line.delay, charge, inside)
    accuracy = _accuracy(name, line, dt, steps, transfer, total, slope)
    if not parts:
        return Laid((core,), accuracy)
    end = LineEnd(line.impedance, plain(), transfer, initial=initial, dt=dt, temperature=line.temperature)
    return Laid((end, core, end), accuracy)


def _core(line: Line, delay: float, charge: Any, inside: str) -> LaidLine:
    return LaidLine(
        delay, line.impedance, line.loss_db, line.loss_db_back, line.temperature, line.phase,
        modulation=line.modulation, charge=charge, inside=inside,
    )  # fmt: skip


def _charge(name: str, line: Line, steps: int, total: float, transfer: Filter) -> tuple[np.ndarray, np.ndarray]:
    """Waves in the cells, and states of an end, of a line at rest at a voltage that its own loss lets decay."""
    if np.any(np.asarray(line.phase) != 0.0) or line.loss_db_back not in (None, line.loss_db):
        raise CompileError(f"Line {name!r} is charged, so it needs equal losses both ways and no phase")
    wave = np.asarray(line.voltage, float) / (2.0 * np.sqrt(line.impedance))
    ratio = abs(line.gains[0]) ** (1.0 / total)  # per step: R/L = G/C lets a uniform voltage decay as it stands
    arriving = ratio ** (np.arange(steps) + 1.0)
    charge = np.multiply.outer(arriving, wave)
    return charge, np.multiply.outer(wave * ratio, transfer.resting(ratio)) if transfer.states else np.zeros(0)


def _accuracy(
    name: str, line: Line, dt: float, steps: int, transfer: Filter, total: float, slope: float
) -> LineAccuracy:
    """Compare one pass with the exact one; half the sampling rate is approached, not reached."""
    tenth = 0.2 * np.pi
    w = np.append(np.linspace(0.0, 0.999 * np.pi, GRID)[1:], tenth)
    if slope != 0.0:
        w = np.concatenate([-w, w])
    sent = transfer.response(np.exp(1j * w)) * np.exp(-1j * w * (steps - total) + 0.5j * slope * w * w)
    error = np.abs(sent - 1.0)
    kind = "plain line" if line.fractional == "none" else f"line with {line.fractional} fractional delay"
    below = np.abs(w) <= tenth * (1.0 + 1e-9)
    return LineAccuracy(
        medium=kind + (" and dispersion" if slope != 0.0 else ""), steps=steps, delay=line.delay,
        states=2 * transfer.states, frequency=0.1 / dt, magnitude_error=float(abs(sent[-1]) - 1.0),
        phase_delay_error=float(-np.angle(sent[-1]) / tenth), error_below=float(error[below].max()),
        band_error=float(error.max()), gain=float(np.abs(sent).max() - 1.0),
    )  # fmt: skip
