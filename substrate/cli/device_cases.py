"""Validation cases of devices: only the command line may know both the cases and the devices."""

from typing import Any

import numpy as np

from devices import Gradient, Momentum
from devices.ion_drift import IonDrift
from devices.pcm import PcmPair
from devices.tabulated_step import TabulatedStep
from substrate.compile import compile_network
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank
from substrate.network import Line
from substrate.simulation import Simulation
from substrate.validation import Case, case

SHARES = np.array([1.0, 0.5, 0.1])  # of the largest conductance
QUIET: dict[str, Any] = {"programming_noise": False, "read_noise": False}
KNOTS = np.linspace(-1.0, 1.0, 21)


def memristor() -> tuple[IonDrift, dict[str, np.ndarray]]:
    """The HP memristor, a tenth of it doped."""
    return IonDrift(threshold=0.0, window="none"), {"w": np.array([0.1])}


def driven(steps: int) -> tuple[float, float]:
    """Resistance at the start and after half a second of sin(2 pi t) V, ohm."""
    cell, state = memristor()
    before = float(cell.resistance(np, state)[0])
    for t in (np.arange(steps) + 0.5) * 0.5 / steps:
        cell.advance(np, state, np.array([np.sin(2 * np.pi * t)]), 0.5 / steps)
    return before, float(cell.resistance(np, state)[0])


@case("V23", "HP memristor, resistance at 0 and 0.5 s of a sine", [14410.0, 10316.276276], 1e-6, "ohm", relative=True)
def memristor_flux(backend: str) -> np.ndarray:
    """M^2 = M0^2 - 2 K phi, K = (Roff - Ron) mu Ron / D^2 = 1.59e8, phi the flux of sin(2 pi t) V.

    Strukov 2008. Ron 100, Roff 16k, D 10 nm, mu 1e-14 m^2/(V s), x0 = 0.1.
    """
    return np.array(driven(2000))


@case(
    "V23", "HP memristor, current at the zeros of the voltage over its largest: the loop is pinched", [0.0, 0.0], 1e-12
)
def pinched(backend: str) -> np.ndarray:
    """i = v / M(x) with M > 0: no voltage, no current, whatever the state."""
    cell, state = memristor()
    seen = []
    for t in np.arange(1001) / 1000.0:
        seen.append(np.sin(2 * np.pi * t) / float(cell.resistance(np, state)[0]))
        cell.advance(np, state, np.array([np.sin(2 * np.pi * (t + 5e-4))]), 1e-3)
    return np.array([seen[0], seen[500]]) / np.max(np.abs(seen))


@case(
    "V26", "PCM at g = 1, 0.5, 0.1: programming sigma", [1.05538e-6, 0.952705e-6, 0.448249e-6], 1e-5, "S", relative=True
)
def pcm_programming(backend: str) -> np.ndarray:
    """Quadratic fit of Nandakumar 2019, with aihwkit's coefficients."""
    return np.asarray(PcmPair().programming_sigma(SHARES))


@case("V26", "PCM at g = 1, 0.5, 0.1: mean drift exponent", [0.049, 0.049, 0.0600901], 1e-5, relative=True)
def pcm_exponent(backend: str) -> np.ndarray:
    """nu = -0.0155 ln g + 0.0244 between its limits, Nandakumar 2019."""
    return np.asarray(PcmPair().drift_exponent(np, SHARES))


KEPT = [[0.7751, 0.7751, 0.7317], [0.6635, 0.6635, 0.6047], [0.4969, 0.4969, 0.4242]]


@case("V26", "PCM at g = 1, 0.5, 0.1: share left after an hour, a day, a year", KEPT, 1e-3, relative=True)
def pcm_drift(backend: str) -> np.ndarray:
    """(t / t0)^-nu with the mean exponent, t0 = 20 s."""
    rows = []
    for seconds in (3600.0, 86400.0, 31_536_000.0):
        pair = PcmPair(**QUIET)
        state = pair.create(2 * SHARES, np.zeros((2, 3)))
        pair.advance(np, state, np.zeros(3), seconds)
        rows.append(pair.value(np, state) / (2 * SHARES))
    return np.array(rows)


@case("V26", "PCM at g = 1, 0.5, 0.1: read sigma after an hour", [0.04193, 0.06579, 0.1873], 1e-3, relative=True)
def pcm_read(backend: str) -> np.ndarray:
    """Q sqrt(ln((t + t_read) / 2 t_read)) of G, Q = min(0.0088 g^-0.65, 0.2), Nandakumar 2019."""
    return np.asarray(PcmPair().read_sigma(np, SHARES, np.asarray(3600.0)))


def tables() -> tuple[np.ndarray, np.ndarray]:
    """Random responses of a device to up and down pulses at KNOTS."""
    rng = np.random.default_rng(4)
    return rng.uniform(0.01, 2.0, len(KNOTS)), rng.uniform(0.01, 2.0, len(KNOTS))


@case("V27", "table of a device read back at its knots, largest difference", 0.0, 0.0)
def table_knots(backend: str) -> float:
    """Linear between the knots, so at a knot the table's number itself, to the last bit."""
    up, down = tables()
    law = TabulatedStep(dw_min=0.01, knots=KNOTS, up_table=up, down_table=down)
    back = law.up(np, KNOTS, {}) - up, law.down(np, KNOTS, {}) - down
    return float(np.max(np.abs(back)))


def scalar_port(device: Any, seconds: float, dt: float = 1e-3) -> float:
    """One weight w at a port, loss (2 w - 0.5)^2 / 2 from w = 1, after ``seconds``."""
    net = layered([1, 1], line=Line(delay=dt), bias=False, loss="mse")
    net.nodes["w1"].matrix[...] = 1.0  # type: ignore[attr-defined]
    simulation = Simulation(compile_network(net, dt=dt))
    bank = PortBank(simulation, device)
    simulation.hold({"input": [[2.0]], "load": [[0.5]]})
    simulation.run(2)
    for _ in range(round(seconds / dt)):
        simulation.listen(1)
        bank.tick(dt)
    return float(bank.port_values("values")["w1.matrix"][0, 0])


@case("V36", "gradient port, weight after 1 s", 0.25 + 0.75 * np.exp(-0.4), 5e-4)
def gradient_port(backend: str) -> float:
    """dw/dtau = -eta dL/dw: w = y/x + (w0 - y/x) exp(-eta x^2 tau) = 0.7527400; eta 0.1, x 2, y 0.5, w0 1."""
    return scalar_port(Gradient(rate=0.1), 1.0)


def oscillator(t: float, rate: float = 1.0, tau: float = 0.5, curvature: float = 4.0) -> float:
    """The weight of a port with inertia."""
    damping = 0.5 / tau
    omega = np.sqrt(rate * curvature / tau - damping**2)
    return float(0.25 + 0.75 * np.exp(-damping * t) * (np.cos(omega * t) + damping / omega * np.sin(omega * t)))


@case("V36", "momentum port, weight after 1.5 s", oscillator(1.5), 5e-3)
def momentum_port(backend: str) -> float:
    """tau w'' + w' = -eta dL/dw: the damped oscillator, here with a time constant of 0.5 s and ticks of 1 ms."""
    return scalar_port(Momentum(rate=1.0, time_constant=0.5), 1.5)


def device_cases() -> list[Case]:
    """All cases of this file."""
    return [item for item in globals().values() if isinstance(item, Case)]
