"""Conversions between waves, voltages and currents, and between amplitude factors and decibels."""

from typing import Any

import numpy as np


def amplitude_gain(loss_db: float) -> float:
    """Amplitude factor of a pass that loses ``loss_db`` decibels of power.

    >>> round(amplitude_gain(20.0), 6)
    0.1
    """
    return float(10.0 ** (-loss_db / 20.0))


def loss_in_db(gain: float) -> float:
    """Power lost, in decibels, by a pass with amplitude factor ``gain`` in (0, 1].

    >>> round(loss_in_db(0.5), 4)
    6.0206
    """
    return float(-20.0 * np.log10(gain))


def reflection_coefficient(z_load: Any, z0: float) -> Any:
    """Reflection coefficient gamma of an impedance ``z_load`` (ohm, scalar or array) on a line of impedance ``z0``.

    An open end is ``inf``. Source: Pozar, "Microwave Engineering", eq. (2.35).

    >>> reflection_coefficient(100.0, 50.0).item()
    0.3333333333333333
    >>> reflection_coefficient(float("inf"), 50.0).item()
    1.0
    """
    z = np.asarray(z_load)
    finite = np.where(np.isinf(z), 0.0, z)
    return np.where(np.isinf(z), 1.0, (finite - z0) / (finite + z0))[()]


def waves_from_voltage(v: Any, i: Any, z0: float) -> tuple[Any, Any]:
    """Power waves ``(a, b)`` (sqrt(W)) at a port with voltage ``v`` (V) and current ``i`` (A) into the port.

    ``a`` travels into the port, ``b`` out of it; ``|a|^2 - |b|^2`` is the power absorbed. Source: Kurokawa 1965,
    eq. (1), for real z0.

    >>> a, b = waves_from_voltage(1.0, 0.02, 50.0)
    >>> float(b), round(float(a * a), 12)
    (0.0, 0.02)
    """
    root = np.sqrt(z0)
    return (v + z0 * i) / (2.0 * root), (v - z0 * i) / (2.0 * root)


def voltage_from_waves(a: Any, b: Any, z0: float) -> tuple[Any, Any]:
    """Voltage (V) and current (A) into a port from its power waves; the inverse of :func:`waves_from_voltage`.

    >>> v, i = voltage_from_waves(*waves_from_voltage(3.0, 0.1, 75.0), 75.0)
    >>> round(float(v), 12), round(float(i), 12)
    (3.0, 0.1)
    """
    root = np.sqrt(z0)
    return root * (a + b), (a - b) / root


def is_passive(scattering: Any, tolerance: float = 1e-12) -> bool:
    """Whether no input can make the scattering matrix ``S[out, in]`` emit more power than it receives.

    >>> is_passive(np.array([[0.0, 1.0], [1.0, 0.0]])), is_passive(np.array([[1.1]]))
    (True, False)
    """
    return bool(np.linalg.norm(np.asarray(scattering), 2) <= 1.0 + tolerance)
