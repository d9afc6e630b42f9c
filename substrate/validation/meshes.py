"""Interferometers: a Mach-Zehnder's outputs and spectrum, and meshes of many that are unitary and arrive together."""

import numpy as np

from substrate.frequency import scattering_parameters
from substrate.network import Line, Network
from substrate.nodes.photonic import Coupler, LaserSource, MachZehnder
from substrate.nodes.termination import Termination
from substrate.rings import waveguide
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Step

PS, LIGHT = 1e-12, 299_792_458.0


def measured(net: Network, inputs: list[str], outputs: list[str], line: Line) -> None:
    """Put sources ``in1 ..`` and terminations ``out1 ..`` at the ports of a network."""
    for index, port in enumerate(inputs):
        net.connect(net.add(LaserSource(Step(0.0)), f"in{index + 1}"), port, line)
    for index, port in enumerate(outputs):
        net.connect(port, net.add(Termination(), f"out{index + 1}"), line)


@case("V19", "Mach-Zehnder at 60 degrees, powers at its outputs", [0.25, 0.75], 1e-14)
def interferometer(backend: str) -> np.ndarray:
    """sin^2(dphi / 2) straight on, cos^2(dphi / 2) across, of two 3 dB couplers (Clements 2016, eq. 1)."""
    net = Network()
    net.add(MachZehnder(np.radians(60.0)), "mzi")
    measured(net, ["mzi.in1", "mzi.in2"], ["mzi.out1", "mzi.out2"], Line(PS))
    response = scattering_parameters(net, [0.0])
    return np.array([abs(response[name, "in1"][0]) ** 2 for name in ("out1", "out2")])


@case("V19", "unbalanced Mach-Zehnder, free spectral range", LIGHT / (4.2 * 100e-6), 1e-6, "Hz", relative=True)
def spectral_range(backend: str) -> float:
    """c / (n_g dL) for n_g = 4.2 and dL = 100 um: the distance of two minima of one output."""
    guide = waveguide(2.4, 4.2, 1.55e-6)
    net = Network()
    net.add(Coupler(0.5), "split"), net.add(Coupler(0.5), "join")
    measured(net, ["split.in1", "split.in2"], ["join.out1", "join.out2"], guide(10e-6))
    net.connect("split.out1", "join.in1", guide(300e-6))
    net.connect("split.out2", "join.in2", guide(200e-6))
    span = LIGHT / (4.2 * 100e-6)
    frequencies = np.linspace(0.0, 2.2 * span, 4001)
    power = np.abs(scattering_parameters(net, frequencies)["out1", "in1"]) ** 2
    dips = [k for k in range(1, 4000) if power[k] < power[k - 1] and power[k] <= power[k + 1]]
    places = []
    for k in dips[:2]:  # the power is a sine of frequency: refine each dip by a parabola through three points
        a, b, c = power[k - 1 : k + 2]
        places.append(frequencies[k] + 0.5 * (a - c) / (a - 2 * b + c) * (frequencies[1] - frequencies[0]))
    return float(places[1] - places[0])


def clements(count: int) -> list[list[int]]:
    """Upper modes of the interferometers in each column of a rectangular mesh. Clements 2016, figure 1."""
    return [list(range(column % 2, count - 1, 2)) for column in range(count)]


def reck(count: int) -> list[list[int]]:
    """The same of a triangular mesh, each interferometer as early as it can be. Reck 1994."""
    columns: list[list[int]] = [[] for _ in range(2 * count - 3)]
    for first in range(count - 1):
        for mode in range(count - 1 - first):
            columns[2 * first + mode].append(mode)
    return columns


def mesh(columns: list[list[int]], count: int, seed: int, padded: bool = True) -> Network:
    """Interferometers with random phases, 3 ps from one column to the next also where a mode passes a column by.

    ``padded``: all modes begin and end at the same columns; otherwise at their own first and last interferometers.
    """
    rng = np.random.default_rng(seed)
    net = Network()
    ends: list[tuple[str, int]] = [("", 0)] * count  # of each mode, the port that is open and its column
    for mode in range(count):
        ends[mode] = (f"{net.add(LaserSource(Step(1.0 if mode == 0 else 0.0)), f'in{mode + 1}')}.out", -1)
    met = [False] * count
    for column, modes in enumerate(columns):
        for mode in modes:
            theta, phi = rng.uniform(0.0, 2.0 * np.pi, 2)
            name = net.add(MachZehnder(theta, phi), f"m{column}_{mode}")
            for side in (1, 2):
                here = mode + side - 1
                port, before = ends[here]
                length = column - before if padded or met[here] else 1
                net.connect(port, f"{name}.in{side}", Line(3 * PS * length))
                ends[here], met[here] = (f"{name}.out{side}", column), True
    for mode, (port, before) in enumerate(ends):
        length = len(columns) - before if padded else 1
        net.connect(port, net.add(Termination(), f"out{mode + 1}"), Line(3 * PS * length))
    return net


@case("V20", "Clements and Reck meshes of 4, 8, 16 modes, random phases: |1 - U U^H|", 0.0, 1e-12)
def unitary(backend: str) -> float:
    """A mesh of lossless interferometers without reflections is unitary whatever its phases; the largest entry."""
    worst = 0.0
    for count in (4, 8, 16):
        for columns in (clements(count), reck(count)):
            s = scattering_parameters(mesh(columns, count, count), [0.0, 1e9]).s
            u = s[:, count:, :count]
            worst = max(worst, float(np.abs(u @ np.swapaxes(u, 1, 2).conj() - np.eye(count)).max()))
    return worst


def arrivals(net: Network, backend: str) -> np.ndarray:
    """Delay, in lines, after which a step into the first input reaches each output of six."""
    probes = [f"out{index + 1}.arriving" for index in range(6)]
    traces = simulate(net, 60 * PS, PS, probes, backend=backend, dtype="complex128")
    return np.array([np.flatnonzero(np.abs(traces[probe]) > 1e-12)[0] / 3.0 for probe in probes])


@case("V20", "Clements mesh of 6 modes, first arrivals at the outputs, in lines", [7.0] * 6, 0.0)
def clements_arrivals(backend: str) -> np.ndarray:
    """Every path crosses all N columns: N + 1 lines, all outputs at once. Clements 2016."""
    return arrivals(mesh(clements(6), 6, 3), backend)


@case("V20", "Reck mesh of 6 modes, first arrivals at the outputs, in lines", [10.0, 10.0, 9.0, 8.0, 7.0, 6.0], 0.0)
def reck_arrivals(backend: str) -> np.ndarray:
    """The last interferometer of output j lies in column 2 N - 3 - j: staggered arrivals. Reck 1994."""
    return arrivals(mesh(reck(6), 6, 3, padded=False), backend)
