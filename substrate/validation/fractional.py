"""Delays that are no whole number of steps: phase and magnitude of the filters that carry the rest."""

import numpy as np

from substrate.frequency import scattering_parameters
from substrate.media import lay
from substrate.network import Line, Network
from substrate.nodes.termination import Termination
from substrate.validation.case import case

DT = 1e-12
SHARES = (0.5, 0.25)  # of a step


def passes(kind: str, total: float, frequencies: list[float], order: int = 1) -> np.ndarray:
    """Transfer of the plan of one matched line of ``total`` steps, at ``frequencies`` in sampling rates."""
    net = Network()
    line = Line(total * DT, fractional=kind, order=order)
    net.connect(net.add(Termination(), "a"), net.add(Termination(), "b"), line, "w")
    return scattering_parameters(net, np.array(frequencies) / DT, dt=DT)["b", "a"]


def phase_delay(transfer: complex, whole: int, frequency: float = 0.1) -> float:
    """Steps beyond ``whole`` by which a transfer at ``frequency`` (sampling rates) delays."""
    return float(-np.angle(transfer * np.exp(2j * np.pi * frequency * whole)) / (2.0 * np.pi * frequency))


def interpolated(share: float) -> float:
    """|1 - d + d z^-1| at a tenth of the sampling rate."""
    return float(abs(1.0 - share + share * np.exp(-0.2j * np.pi)))


def allpass(share: float) -> float:
    """Phase delay of (k + z^-1) / (1 + k z^-1), k = (1 - d) / (1 + d), at a tenth of the sampling rate, in steps."""
    k, turn = (1.0 - share) / (1.0 + share), np.exp(-0.2j * np.pi)
    return phase_delay((k + turn) / (1.0 + k * turn), 0)


@case(
    "V15",
    "linear interpolation of 0.5 and 0.25 step, |H| at a tenth of the sampling rate",
    [interpolated(d) for d in SHARES],
    1e-10,
)
def linear(backend: str) -> np.ndarray:
    """|1 - d + d z^-1|: 0.95105652 (-0.436 dB) and 0.96352549. Laakso 1996, "Splitting the unit delay"."""
    return np.array([abs(passes("linear", 10 + d, [0.1])[0]) for d in SHARES])


@case("V15", "Thiran's allpass of first order for 0.5 and 0.25 step, |H|", [1.0, 1.0], 1e-10)
def thiran_magnitude(backend: str) -> np.ndarray:
    """An allpass loses nothing at any frequency. Thiran 1971."""
    return np.array([abs(passes("thiran", 10 + d, [0.1])[0]) for d in SHARES])


@case(
    "V15",
    "Thiran's allpass of first order for 0.5 and 0.25 step, phase delay",
    [allpass(d) for d in SHARES],
    1e-10,
    "steps",
)
def thiran_phase(backend: str) -> np.ndarray:
    """0.51265 and 0.25800 steps at a tenth of the sampling rate; right at zero frequency. Thiran 1971."""
    return np.array([phase_delay(passes("thiran", 10 + d, [0.1])[0], 10) for d in SHARES])


@case("V15", "error of phase delay that is reported for a line, against what its plan does", 0.0, 1e-9, "steps")
def reported(backend: str) -> float:
    """Twelve lines, linear and Thiran's of order 1 to 3; the largest difference of report and measurement."""
    worst = 0.0
    for kind, order in (("linear", 1), ("thiran", 1), ("thiran", 2), ("thiran", 3)):
        for total in (10.2, 11.5, 14.83):
            told = lay("w", Line(total * DT, fractional=kind, order=order), DT).accuracy
            measured = phase_delay(passes(kind, total, [0.1], order)[0], round(total)) + round(total) - total
            worst = max(worst, abs(told.phase_delay_error - measured))
    return worst


ROUND_TRIPS = [10.37, 10.5, 13.9, 57.2]


@case(
    "V15",
    "rings of 10.37 to 57.2 steps, free spectral range at the carrier",
    [1 / n for n in ROUND_TRIPS],
    1e-3,
    "1/dt",
    relative=True,
)
def spectral_range(backend: str) -> np.ndarray:
    """One over the group delay of the round trip at the carrier; rounding the first to 10 steps would err by 3.7 %."""
    step = 1e-4
    ranges = []
    for total in ROUND_TRIPS:
        below, above = passes("thiran", total, [-step, step])
        ranges.append(4.0 * np.pi * step / float(np.angle(below / above)))
    return np.array(ranges)
