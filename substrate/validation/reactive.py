"""Lumped reactances at the end of a line and against a resistor, by the trapezoidal rule."""

import numpy as np

from substrate.frequency import response_of
from substrate.network import Line, Network
from substrate.nodes.base import Node
from substrate.nodes.lumped import Capacitor, Inductor, Resistor, VoltageSource
from substrate.nodes.lumped_two import Series
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Step

PS, DT = 1e-12, 0.1e-12
DELAY = 10 * PS
TIMES = np.arange(20.0, 300.0, 20.0) * PS


def end_voltage(end: Node, backend: str) -> np.ndarray:
    """Voltage at ``end`` behind a line of 10 ps and a matched source, at TIMES."""
    net = Network()
    net.connect(net.add(VoltageSource(Step(1.0), 50.0), "src"), net.add(end, "end"), Line(DELAY, 50.0))
    traces = simulate(net, TIMES[-1] + DT, DT, ["end.voltage"], backend=backend)
    return np.asarray(traces["end.voltage"][np.rint(TIMES / DT).astype(int) - 1])


# The trapezoidal rule joins samples by straight lines: a step between two samples lies half a step before the second.
SINCE = TIMES - DELAY - 0.5 * DT


@case("V2", "1 pF at the end of a 50 ohm line, voltage", 1.0 - np.exp(-SINCE / (50.0 * 1e-12)), 1e-6, "V")
def capacitive_end(backend: str) -> np.ndarray:
    """v = 1 - exp(-(t - T) / (Z0 C)), tau = 50 ps; the error is (dt / tau)^2 / 12 of the trapezoidal rule."""
    return end_voltage(Capacitor(1e-12), backend)


@case("V2", "10 nH at the end of a 50 ohm line, voltage", np.exp(-SINCE * 50.0 / 10e-9), 1e-6, "V")
def inductive_end(backend: str) -> np.ndarray:
    """v = exp(-(t - T) Z0 / L), tau = 200 ps."""
    return end_voltage(Inductor(10e-9), backend)


def corner(backend: str, dt: float | None) -> float:
    """Frequency (Hz) at which R = 10 kohm and C = 10 nF, RC = 1e-4 s, pass half the power."""
    net = Network()
    net.connect(net.add(VoltageSource(Step(1.0), 0.0), "src"), net.add(Series(Resistor(1e4)), "r"))
    net.connect("r", net.add(Capacitor(1e-8), "c"))
    low, high = 100.0, 10_000.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        gain = abs(response_of(net, "src", ["c.voltage"], [middle], dt=dt)["c.voltage"][0])
        low, high = (middle, high) if gain > np.sqrt(0.5) else (low, middle)
    return middle


ANALOG = 1.0 / (2.0 * np.pi * 1e-4)


@case("V24", "RC low-pass at 48 kHz, half-power frequency", 48e3 / np.pi * np.arctan(np.pi * ANALOG / 48e3), 1e-6, "Hz")
def discrete_corner(backend: str) -> float:
    """The bilinear transform warps: tan(pi f / fs) = pi fc / fs, so 1585.830 Hz for fc = 1591.549 Hz. Fettweis 1986."""
    return corner(backend, 1.0 / 48e3)


@case("V24", "RC low-pass in continuous time, half-power frequency", ANALOG, 1e-6, "Hz")
def analog_corner(backend: str) -> float:
    """1 / (2 pi R C) = 1591.549 Hz."""
    return corner(backend, None)


@case("V24", "RC low-pass at 48 kHz, gain at its corner by a sine through the engine", np.sqrt(0.5), 1e-6)
def simulated_corner(backend: str) -> float:
    """A sine at 48 kHz / pi * atan(pi fc / fs) is run for 20 time constants; its amplitude comes out as sqrt(1/2)."""
    from substrate.waveforms import Sine

    frequency, dt = 48e3 / np.pi * np.arctan(np.pi * ANALOG / 48e3), 1.0 / 48e3
    net = Network()
    net.connect(net.add(VoltageSource(Sine(1.0, frequency), 0.0), "src"), net.add(Series(Resistor(1e4)), "r"))
    net.connect("r", net.add(Capacitor(1e-8), "c"))
    traces = simulate(net, 200 * dt, dt, ["c.voltage"], backend=backend)
    late = slice(120, None)
    turn = 2.0 * np.pi * frequency * traces.time[late]
    basis = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return float(np.hypot(*np.linalg.lstsq(basis, traces["c.voltage"][late], rcond=None)[0]))
