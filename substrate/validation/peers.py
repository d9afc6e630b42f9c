"""The same problems solved by ngspice, scikit-rf and sax, where they are installed, and compared."""

import importlib
import importlib.util
from typing import Any

import numpy as np

from substrate.frequency import scattering_parameters
from substrate.network import Line, Network
from substrate.nodes.kirchhoff import ParallelJunction
from substrate.nodes.lumped import Resistor, VoltageSource
from substrate.traces import simulate
from substrate.validation.case import Skipped, case
from substrate.validation.lossy import LOSSY_TIMES, step_through_lossy
from substrate.validation.ngspice import run_deck
from substrate.validation.resonators import LOSS_DB, TAU2, ring
from substrate.waveforms import Samples

NS = 1e-9
GRID = 0.1 * NS  # s, every delay is a multiple of it
FREQUENCY = 0.1e9  # Hz, of a source that starts without a corner, for ngspice smears corners over a step
IMPEDANCES, DELAYS = (50.0, 75.0, 30.0, 120.0, 60.0), (1.0, 0.7, 1.3, 0.4, 2.0)  # ohm, ns


def peer(module: str, name: str) -> Any:
    """A peer's module; raises Skipped when it is not installed."""
    if importlib.util.find_spec(module) is None:
        raise Skipped(f"not installed: {name}")
    return importlib.import_module(module)


def cascade(wrong: float = 1.0) -> Network:
    """Five lines of different impedance and delay from 25 to 100 ohm; ``wrong`` scales the impedance of the third."""
    net = Network()
    last = net.add(VoltageSource(Samples(np.array([1.0]), GRID), 25.0), "src")
    for index, (z, delay) in enumerate(zip(IMPEDANCES, DELAYS, strict=True)):
        end = index == len(DELAYS) - 1
        here = net.add(Resistor(100.0), "load") if end else net.add(ParallelJunction(2), f"node{index}")
        net.connect(last, here, Line(delay * NS, z * (wrong if index == 2 else 1.0)))
        last = here
    return net


def spice_difference(net: Network, backend: str) -> float:
    """Largest difference of the load voltage to ngspice's, at its own time points."""
    elements = [f"V1 s 0 SIN(0.5 0.5 {FREQUENCY!r} 0 0 -90)", "R1 s n0 25", "RL n5 0 100"]
    for index, (z, delay) in enumerate(zip(IMPEDANCES, DELAYS, strict=True)):
        elements.append(f"T{index} n{index} 0 n{index + 1} 0 Z0={z!r} TD={delay * NS!r}")
    time, voltage = run_deck(elements, "n5", 30 * NS, 2e-3 * NS)
    # Ideal lines answer an impulse by impulses on the grid: their sum is exact at every time, not on the grid only.
    impulses = simulate(net, 31 * NS, GRID, ["load.voltage"], backend=backend)["load.voltage"]
    ours = np.zeros_like(time)
    for step in np.flatnonzero(impulses):
        since = np.maximum(time - step * GRID, 0.0)
        ours += impulses[step] * 0.5 * (1.0 - np.cos(2.0 * np.pi * FREQUENCY * since))
    return float(np.abs(ours - voltage).max())


@case("V43", "five lines against ngspice's T elements, largest difference at its own time points", 0.0, 1e-6, "V")
def spice_cascade(backend: str) -> float:
    """(1 - cos) / 2 of 0.1 GHz sent through five mismatched lines; ngspice runs a deck made from the same numbers."""
    return spice_difference(cascade(), backend)


@case("control", "ngspice notices a line that is 2 % wrong: difference above 1000 tolerances (1: yes)", 1.0, 0.0)
def spice_control(backend: str) -> float:
    """The same comparison with the third line at 1.02 of its impedance."""
    return float(spice_difference(cascade(1.02), backend) > 1e-3)


@case("V8", "ngspice's LTRA on the semi-infinite lossy line, against the closed form", step_through_lossy, 2e-4, "V")
def spice_lossy(backend: str) -> np.ndarray:
    """R = 20 ohm, L = 250 nH, C = 100 pF per m: a metre of a line that goes on for 20 m more, and a step of 1 fs.

    LTRA's own error is 2e-4.
    """
    model = ".model lossy LTRA rel=1 abs=1 R=20 G=0 L=250n C=100p LEN={}"
    elements = ["V1 n0 0 PWL(0 0 1f 1)", "O1 n0 0 n1 0 near", "O2 n1 0 n2 0 far", "R2 n2 0 50"]
    elements += [model.format(1).replace("lossy", "near"), model.format(20).replace("lossy", "far")]
    time, voltage = run_deck(elements, "n1", 15 * NS, 0.02 * NS)
    return np.interp(LOSSY_TIMES, time, voltage)


def matched(net: Network) -> Network:
    """The cascade between terminations."""
    copy = Network()
    copy.nodes, copy.connections = dict(net.nodes), dict(net.connections)
    copy.nodes["load"] = Resistor(50.0)
    copy.nodes["src"] = VoltageSource(resistance=50.0)
    return copy


def rf_difference(net: Network) -> float:
    """Largest difference of the S parameters to scikit-rf's chain of the right lines."""
    skrf = peer("skrf", "scikit-rf")
    frequencies = np.linspace(1e8, 5e9, 201)
    band = skrf.Frequency.from_f(frequencies, unit="hz")
    speed = 3e8
    whole = None
    for z, delay in zip(IMPEDANCES, DELAYS, strict=True):
        medium = skrf.media.DefinedGammaZ0(band, z0=z, gamma=2j * np.pi * frequencies / speed)
        part = medium.line(delay * NS * speed, "m")
        part.renormalize(50.0)
        whole = part if whole is None else whole**part
    ours = scattering_parameters(net, frequencies, ports=["src", "load"]).s
    return float(np.abs(ours - whole.s).max())  # type: ignore[union-attr]


@case("V43", "five lines against scikit-rf, largest difference of an S parameter at 201 frequencies", 0.0, 1e-6)
def rf_cascade(backend: str) -> float:
    """A chain of lines, each renormalised to 50 ohm, which costs scikit-rf some digits (6e-8)."""
    return rf_difference(matched(cascade()))


@case("V43", "five lines in time against scikit-rf: transform of the impulse run, largest difference", 0.0, 1e-6)
def rf_time(backend: str) -> float:
    """The impulse response of the engine, Fourier transformed, against the chain of scikit-rf."""
    peer("skrf", "scikit-rf")
    dt = 0.1 * NS
    frequencies = np.linspace(1e8, 4.9e9, 101)
    net = matched(cascade())
    net.nodes["src"] = VoltageSource(Samples(np.array([1.0]), dt), 50.0)
    voltage = simulate(net, 4000 * dt, dt, ["load.voltage"], backend=backend)["load.voltage"]
    transfer = np.exp(-2j * np.pi * dt * np.outer(frequencies, np.arange(len(voltage)))) @ voltage
    ours = scattering_parameters(net, frequencies, ports=["src", "load"])
    # S21 is twice the voltage across the load per volt of the source when both are 50 ohm.
    return max(float(np.abs(2.0 * transfer - ours["load", "src"]).max()), rf_difference(net))


@case("control", "scikit-rf notices a line that is 2 % wrong: difference above 1e-3 (1: yes)", 1.0, 0.0)
def rf_control(backend: str) -> float:
    """The same comparison with the third line at 1.02 of its impedance."""
    return float(rf_difference(matched(cascade(1.02))) > 1e-3)


@case("V16", "all-pass ring against sax, largest difference of the amplitude at 101 frequencies", 0.0, 1e-6)
def sax_ring(backend: str) -> float:
    """A coupler and a loop in sax's circuit solver, with the same conventions of phase."""
    sax = peer("sax", "sax")
    delay, frequencies = 10e-12, np.linspace(-60e9, 60e9, 101)
    straight, across = np.sqrt(TAU2), -1j * np.sqrt(1.0 - TAU2)

    def coupler() -> Any:
        pairs = {("in1", "out1"): straight, ("in2", "out2"): straight, ("in1", "out2"): across, ("in2", "out1"): across}
        return sax.reciprocal({key: value + 0j * frequencies for key, value in pairs.items()})

    def loop() -> Any:
        return sax.reciprocal({("in0", "out0"): 10 ** (-LOSS_DB / 20) * np.exp(-2j * np.pi * frequencies * delay)})

    circuit, _ = sax.circuit(
        netlist={
            "instances": {"c": "coupler", "l": "loop"},
            "connections": {"c,out2": "l,in0", "l,out0": "c,in2"},
            "ports": {"in": "c,in1", "out": "c,out1"},
        },
        models={"coupler": coupler, "loop": loop},
    )
    theirs = np.asarray(sax.sdict(circuit())["out", "in"])
    ours = scattering_parameters(ring(0.0), frequencies, ports=["src", "through"])["through", "src"]
    feeds = np.exp(-2j * np.pi * frequencies * 2e-12)  # two lines of 1 ps in front of the ports
    return float(np.abs(ours - feeds * theirs).max())
