"""Lossy lines: distortionless, and with series resistance only, whose front leaves a tail behind."""

import numpy as np

from substrate.media import RlgcLine
from substrate.network import Line, Network
from substrate.nodes.kirchhoff import ParallelJunction
from substrate.nodes.lumped import Open, Resistor, VoltageSource
from substrate.nodes.termination import Termination
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Samples, Step

NS = 1e-9
LOSSY_TIMES = np.array([5.1, 6.0, 7.5, 10.0, 14.0]) * NS
R, L, C = 20.0, 250e-9, 100e-12  # ohm, H, F per metre: 50 ohm, 5 ns a metre


def step_through_lossy(late: float = 0.0) -> np.ndarray:
    """Voltage after a metre of a semi-infinite line without shunt loss, unit step, ``late`` s before LOSSY_TIMES.

    v = e^(-sT) + sT int_T^t e^(-sy) I1(s sqrt(y^2 - T^2)) / sqrt(y^2 - T^2) dy, s = R / 2L. Carson 1926.
    """
    from scipy.integrate import quad
    from scipy.special import i1e

    s, delay = R / (2.0 * L), np.sqrt(L * C)

    def tail(y: float) -> float:
        root = np.sqrt(max(y * y - delay * delay, 1e-40))
        return float(np.exp(-s * (y - root)) * i1e(s * root) / root)

    value = [quad(tail, delay, t, epsabs=0.0, epsrel=1e-12)[0] for t in LOSSY_TIMES - late]
    return np.asarray(np.exp(-s * delay) + s * delay * np.array(value))


INPUT_TIMES = np.array([2.0, 10.0]) * NS


def lossy_input_current(late: float = 0.0) -> np.ndarray:
    """i = (V / Z0) e^(-st) I0(st) into the same line, A, ``late`` s before INPUT_TIMES. Carson 1926."""
    from scipy.special import i0e

    return np.asarray(i0e(R / (2.0 * L) * (INPUT_TIMES - late)) / np.sqrt(L / C))


@case("V11", "Heaviside's distortionless line, noise sent through it: largest error of its shape", 0.0, 1e-14)
def heaviside(backend: str) -> float:
    """R = 20, G = 8 mS (R/L = G/C), Z0 = 50 both ends: the input 5 ns later times e^-0.4 = 0.67032005, no tail."""
    dt = 0.5 * NS
    signal = np.random.default_rng(2).normal(size=60)
    net = Network()
    line = Line(5 * NS, 50.0, loss_db=20.0 * 0.4 / np.log(10.0))
    net.connect(net.add(VoltageSource(Samples(signal, dt), 50.0), "src"), net.add(Termination(), "end"), line)
    voltage = simulate(net, 40 * NS, dt, ["end.voltage"], backend=backend)["end.voltage"]
    return float(np.abs(voltage[10:70] - 0.5 * np.exp(-0.4) * signal).max() + np.abs(voltage[70:]).max())


def semi_infinite() -> Network:
    """A step of one volt into one metre and two more; nothing returns from the far end before 30 ns."""
    net = Network()
    net.add(ParallelJunction(2), "metre")
    net.connect(net.add(VoltageSource(Step(1.0), 0.0), "src"), "metre.p1", RlgcLine(1.0, R, L, 0.0, C))
    net.connect("metre.p2", net.add(Termination(), "end"), RlgcLine(2.0, R, L, 0.0, C))
    return net


STEP = 0.05 * NS
# The filters join samples by straight lines: a step between two samples lies half a step before the second.
LATE = 0.5 * STEP


def stamps(times: np.ndarray) -> np.ndarray:
    """Indices of the samples at ``times`` (s)."""
    return np.rint(times / STEP).astype(int) - 1


@case(
    "V8",
    "semi-infinite line with series resistance, voltage after a metre",
    lambda: step_through_lossy(LATE),
    5e-5,
    "V",
)
def lossy_voltage(backend: str) -> np.ndarray:
    """Ideal unit step into R = 20 ohm, L = 250 nH, C = 100 pF per metre: a front of e^-0.2 = 0.8187308 and its tail.

    v = e^(-sT) + sT int e^(-sy) I1(s sqrt(y^2 - T^2)) / sqrt(y^2 - T^2) dy, s = R / 2L = 4e7. Carson 1926. Filters of
    16 poles; the tolerance is a quarter of ngspice's own error.
    """
    traces = simulate(semi_infinite(), 15 * NS, STEP, ["metre.p1.voltage"], backend=backend)
    return np.asarray(traces["metre.p1.voltage"][stamps(LOSSY_TIMES)])


@case("V10", "the same line, current into it at 2 and 10 ns", lambda: lossy_input_current(LATE), 1e-6, "A")
def lossy_current(backend: str) -> np.ndarray:
    """i = (V / Z0) e^(-st) I0(st): 18.491878 mA and 13.948043 mA. Carson 1926."""
    traces = simulate(semi_infinite(), 15 * NS, STEP, ["src.current"], backend=backend)
    return -np.asarray(traces["src.current"][stamps(INPUT_TIMES)])


def pulse_former(backend: str) -> np.ndarray:
    """Voltage at 50 ohm that are put across an open-ended line of 50 ohm and 1 ns, charged to 1 V; steps of 0.1 ns."""
    net = Network()
    net.connect(net.add(Resistor(50.0), "load"), net.add(Open(), "far"), Line(NS, 50.0, voltage=1.0))
    return np.asarray(simulate(net, 4 * NS, 0.1 * NS, ["load.voltage"], backend=backend)["load.voltage"])


@case("V7", "pulse former, voltage in the first 2 T and after", [0.5] * 20 + [0.0] * 20, 1e-12, "V")
def pulse_shape(backend: str) -> np.ndarray:
    """Half the charge's voltage runs into the load, half to the open end and back: V0 / 2 for 2 T, then nothing."""
    return pulse_former(backend)


@case("V7", "pulse former, energy delivered over that of the line", 1.0, 1e-12)
def pulse_energy(backend: str) -> float:
    """C V0^2 / 2 with C = T / Z0, all of it."""
    return float(np.sum(pulse_former(backend) ** 2) / 50.0 * 0.1 * NS / (0.5 * NS / 50.0))
