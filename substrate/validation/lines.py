"""Ideal lines and junctions: lattices, transformers, ladders, whole steps; exact on the grid of time steps."""

import numpy as np

from substrate.frequency import scattering_parameters
from substrate.network import Line, Network
from substrate.nodes.kirchhoff import ParallelJunction
from substrate.nodes.lumped import Capacitor, Inductor, Resistor, VoltageSource
from substrate.nodes.lumped_two import Series, Shunt
from substrate.nodes.termination import Termination
from substrate.tdr import time_domain_reflectometry
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Samples, Step

NS = 1e-9


def at(trace: np.ndarray, times: list[float], dt: float) -> np.ndarray:
    """Values of a trace at the stamps ``times`` (s)."""
    return trace[np.rint(np.array(times) / dt).astype(int) - 1]


def driven_line(source: float, load: float, z0: float = 50.0, delay: float = NS) -> Network:
    """A step of one volt behind ``source`` ohm, a line, and ``load`` ohm."""
    net = Network()
    net.connect(
        net.add(VoltageSource(Step(1.0), source), "src"), net.add(Resistor(load), "load"), Line(delay, z0), "w1"
    )
    return net


def bergeron(
    times: list[float], place: float, source: float = 25.0, load: float = 100.0, z0: float = 50.0
) -> np.ndarray:
    """Voltage at ``place`` (0 source, 1 load) of a line of one nanosecond, by its lattice of reflections."""
    gamma_s, gamma_l = (source - z0) / (source + z0), (load - z0) / (load + z0)
    launched = z0 / (z0 + source)
    values = []
    for t in times:
        forward = [launched * (gamma_s * gamma_l) ** n for n in range(99) if t >= (2 * n + place) * NS]
        back = [launched * (gamma_s * gamma_l) ** n * gamma_l for n in range(99) if t >= (2 * n + 2 - place) * NS]
        values.append(sum(forward) + sum(back))
    return np.array(values)


LOAD_TIMES, INPUT_TIMES = [1.5 * NS, 3.5 * NS, 5.5 * NS, 7.5 * NS], [0.5 * NS, 2.5 * NS, 4.5 * NS]


@case("V1", "Bergeron lattice, load voltage", bergeron(LOAD_TIMES, 1.0), 1e-12, "V")
def bergeron_load(backend: str) -> np.ndarray:
    """Rs = 25, Z0 = 50, RL = 100 ohm, T = 1 ns.

    Each arrival at the load adds (1 + Gl) times what left the source, V1 (Gs Gl)^n with V1 = Z0 / (Z0 + Rs):
    0.8888889, 0.7901235, 0.8010974, 0.7998781 V. Bergeron 1961.
    """
    traces = simulate(driven_line(25.0, 100.0), 8 * NS, 0.1 * NS, ["load.voltage"], backend=backend)
    return at(traces["load.voltage"], LOAD_TIMES, 0.1 * NS)


@case("V1", "Bergeron lattice, input voltage", bergeron(INPUT_TIMES, 0.0), 1e-12, "V")
def bergeron_input(backend: str) -> np.ndarray:
    """The same line at its source: 0.6666667, 0.8148148, 0.7983539 V."""
    traces = simulate(driven_line(25.0, 100.0), 8 * NS, 0.1 * NS, ["src.voltage"], backend=backend)
    return at(traces["src.voltage"], INPUT_TIMES, 0.1 * NS)


@case("V2", "open end, shorted end, ideal source on an open line", [0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 2.0], 1e-12, "V")
def simple_ends(backend: str) -> np.ndarray:
    """Matched source: v = 1 after T at an open end, 0 at a short. Ideal source (Rs = 0): Gs = -1, Gl = 1: 2, 0, 2."""
    seen = []
    for source, load, times in (
        (50.0, np.inf, [0.5, 1.5]),
        (50.0, 0.0, [0.5, 1.5]),
        (0.0, np.inf, [1.5, 3.5, 5.5]),
    ):
        traces = simulate(driven_line(source, load), 6 * NS, 0.1 * NS, ["load.voltage"], backend=backend)
        seen.append(at(traces["load.voltage"], [t * NS for t in times], 0.1 * NS))
    return np.concatenate(seen)


@case("V3", "three equal lines at a node: reflected, transmitted", [-1.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0], 1e-14)
def three_lines(backend: str) -> np.ndarray:
    """S_ii = 2/N - 1, S_ij = 2/N: one voltage, currents that add to zero. A unit wave is sent in and timed."""
    net = Network()
    net.add(ParallelJunction(3), "tee")
    net.connect(net.add(VoltageSource(Samples(np.array([2.0]), NS), 50.0), "src"), "tee.p1", Line(2 * NS))
    for index in (2, 3):
        net.connect(f"tee.p{index}", net.add(Termination(), f"end{index}"), Line(3 * NS))
    probes = ["src.arriving", "end2.arriving", "end3.arriving"]
    traces = simulate(net, 8 * NS, NS, probes, backend=backend)
    return np.array([traces[probe].sum() for probe in probes]) * np.sqrt(50.0)


def unequal(seed: int) -> np.ndarray:
    """Admittances of 2 to 16 lines, S."""
    rng = np.random.default_rng(seed)
    return np.asarray(1.0 / rng.uniform(5.0, 500.0, int(rng.integers(2, 17))))


@case("V3", "unequal lines at a node, voltage waves 2 Y_j / sum(Y) - d_ij", 0.0, 1e-14)
def unequal_lines(backend: str) -> float:
    """Power waves carry sqrt(Y): S_ij(voltage) = S_ij(power) sqrt(Y_j / Y_i). Fifty random nodes, the worst."""
    worst = 0.0
    for seed in range(50):
        y = unequal(seed)
        voltage = ParallelJunction(len(y)).matrix(list(1.0 / y)) * np.sqrt(y[None, :] / y[:, None])
        worst = max(worst, float(np.abs(voltage - (2.0 * y / y.sum() - np.eye(len(y)))).max()))
    return worst


@case("V3", "power at a node of up to 16 random lines: |S^T S - 1|", 0.0, 1e-14)
def junction_power(backend: str) -> float:
    """A junction stores and dissipates nothing, so its matrix in power waves is orthogonal. Fifty random nodes."""
    matrices = [ParallelJunction(len(y)).matrix(list(1.0 / y)) for y in map(unequal, range(50))]
    return max(float(np.abs(m.T @ m - np.eye(len(m))).max()) for m in matrices)


def transformer() -> Network:
    """50 ohm, a quarter wave (one nanosecond) of 70.71 ohm, 100 ohm."""
    net = Network()
    net.connect(net.add(VoltageSource(Step(0.0), 50.0), "in"), net.add(ParallelJunction(2), "step"), Line(NS, 50.0))
    net.connect("step.p2", net.add(Resistor(100.0), "load"), Line(NS, np.sqrt(5000.0)))
    return net


def quarter_wave(theta: np.ndarray) -> np.ndarray:
    """Pozar, "Microwave Engineering", eq. 5.32."""
    return 1.0 / np.sqrt(1.0 + 4.0 * 50.0 * 100.0 / (50.0**2) / np.cos(theta) ** 2)


THETA = np.radians([90.0, 45.0, 81.0])


@case("V4", "quarter-wave transformer 50 -> 100 ohm, |reflection| at f0, f0/2, 0.9 f0", quarter_wave(THETA), 1e-12)
def quarter_wave_frequency(backend: str) -> np.ndarray:
    """|G| = [1 + 4 Z0 ZL / (ZL - Z0)^2 sec^2 theta]^(-1/2): 0, 0.24253563, 0.05522352 (Pozar, eq. 5.32)."""
    return np.abs(scattering_parameters(transformer(), THETA / (2 * np.pi * NS), ports=["in"])["in", "in"])


def staircase(steps: int) -> np.ndarray:
    """Reflection of a step after each round trip in the transformer."""
    first = (np.sqrt(5000.0) - 50.0) / (np.sqrt(5000.0) + 50.0)
    second = (100.0 - np.sqrt(5000.0)) / (100.0 + np.sqrt(5000.0))
    echoes = [first] + [(1 - first**2) * second * (-first * second) ** n for n in range(steps - 1)]
    return np.cumsum(echoes)


@case("V4", "step reflection of the transformer, a staircase every 2 T", staircase(4), 1e-12)
def quarter_wave_staircase(backend: str) -> np.ndarray:
    """Echo n adds (1 - G1^2) G2 (-G1 G2)^(n-1): 0.17157288, 0.33809512, 0.33319316, 0.33333746 -> 1/3."""
    seen = time_domain_reflectometry(transformer(), "in", 10 * NS, 0.1 * NS, backend=backend)
    return seen.reflected[[25, 45, 65, 85]]


def ladder_phase(omega: np.ndarray) -> np.ndarray:
    """cos k of one cell of a ladder with omega0 = 1 / sqrt(LC)."""
    return 1.0 - 0.5 * omega**2


@case("V14", "LC ladder: cos k of a cell at 0.5, 1, 1.9, 2 omega0", ladder_phase(np.array([0.5, 1.0, 1.9, 2.0])), 1e-11)
def ladder(backend: str) -> np.ndarray:
    """omega = 2 omega0 sin(k/2), so cos k = 1 - (omega / omega0)^2 / 2; cutoff (k = pi) at 2 omega0. Brillouin 1946.

    One cell, C/2 - L - C/2, is measured between 50 ohm; cos k = (A + D) / 2 of its chain matrix.
    """
    inductance, capacitance = 1e-9, 1e-12
    net = Network()
    parts = [Shunt(Capacitor(0.5 * capacitance)), Series(Inductor(inductance)), Shunt(Capacitor(0.5 * capacitance))]
    last = net.add(VoltageSource(resistance=50.0), "a")
    for index, part in enumerate(parts):
        here = net.add(part, f"part{index}")
        net.connect(last, here)
        last = here
    net.connect(last, net.add(Resistor(50.0), "b"))
    omega0 = 1.0 / np.sqrt(inductance * capacitance)
    frequencies = np.array([0.5, 1.0, 1.9, 2.0]) * omega0 / (2 * np.pi)
    s = scattering_parameters(net, frequencies, ports=["a", "b"]).s
    # (A + D) / 2 of a symmetric two-port, Pozar table 4.2.
    return np.real((1.0 - s[:, 0, 0] ** 2 + s[:, 1, 0] ** 2) / (2.0 * s[:, 1, 0]))


@case("V14", "magic step: a pulse after 50 cells of one step each, error of its shape", 0.0, 1e-13)
def magic_step(backend: str) -> float:
    """With c dt = dx the delay-line grid has no dispersion: the pulse arrives as it was sent, 50 steps later.

    What is left is the rounding of 49 junctions.
    """
    rng = np.random.default_rng(1)
    pulse = rng.normal(size=40)
    net = Network()
    last = net.add(VoltageSource(Samples(2.0 * pulse, NS), 50.0), "src")
    for index in range(49):
        here = net.add(ParallelJunction(2), f"cell{index}")
        net.connect(last, here, Line(NS))
        last = here
    net.connect(last, net.add(Termination(), "end"), Line(NS))
    traces = simulate(net, 100 * NS, NS, ["end.voltage"], backend=backend)
    return float(np.abs(traces["end.voltage"][50:90] - pulse).max())
