"""1000 mismatched ideal lines in a row against ngspice's T elements, compared exactly, at ngspice's own time points.

Lines last 1 to 3 ns in halves and are stepped by 50 ps on both sides. A line that is 2 % wrong must be noticed. What
ngspice needs to start and to read the deck is part of its time, and small. (``cascade.py`` has the lossy lines.)
"""

import shutil
import time

import numpy as np
from common import best, options, report, skipped

from substrate import Line, Network, ParallelJunction, Probe, Resistor, Simulation, VoltageSource, compile_network
from substrate.traces import simulate
from substrate.validation.ngspice import run_deck
from substrate.waveforms import Samples, Sine

NS = 1e-9
GRID, STEP = 0.5 * NS, 0.05 * NS
FREQUENCY = 1e6  # Hz, of a slow source (1 - cos) / 2: ngspice puts parabolas through its time points
WATCHED = 6  # the junction looked at
TOLERANCE = 1e-9


def line(index: int) -> tuple[float, float]:
    """Impedance (ohm) and delay (s) of a line."""
    return 30.0 + (37 * index) % 60 + (0.1 * index) % 1.0, (2 + (7 * index) % 5) * GRID


def cascade(lines: int, waveform: object, wrong: float = 1.0) -> Network:
    """From 25 to 100 ohm; ``wrong`` scales the impedance of line 3."""
    net = Network()
    last = net.add(VoltageSource(waveform, 25.0), "src")
    for index in range(lines):
        z, delay = line(index)
        end = index == lines - 1
        here = net.add(Resistor(100.0), "load") if end else net.add(ParallelJunction(2), f"n{index + 1}")
        net.connect(last, here, Line(delay, z * (wrong if index == 3 else 1.0)), f"w{index}")
        last = here
    return net


def exact(lines: int, times: np.ndarray, wrong: float = 1.0) -> np.ndarray:
    """Ours at any times: lines answer an impulse by impulses on the grid, and each brings the source's waveform."""
    label = f"n{WATCHED}.p1.voltage"
    net = cascade(lines, Samples(np.array([1.0]), GRID), wrong)
    impulses = simulate(net, times[-1] + 2 * GRID, GRID, [label])[label]
    voltage = np.zeros_like(times)
    for step in np.flatnonzero(impulses):
        since = np.maximum(times - step * GRID, 0.0)
        voltage += impulses[step] * 0.5 * (1.0 - np.cos(2.0 * np.pi * FREQUENCY * since))
    return voltage


def theirs(lines: int, duration: float) -> tuple[np.ndarray, np.ndarray, float]:
    """ngspice's times, its voltage at the watched junction, and seconds."""
    elements = [f"V1 s 0 SIN(0.5 0.5 {FREQUENCY!r} 0 0 -90)", "R1 s n0 25", f"RL n{lines} 0 100"]
    for index in range(lines):
        z, delay = line(index)
        elements.append(f"T{index} n{index} 0 n{index + 1} 0 Z0={z!r} TD={delay!r}")
    start = time.perf_counter()
    times, voltage = run_deck(elements, f"n{WATCHED}", duration, STEP)
    return times, voltage, time.perf_counter() - start


def main() -> None:
    quick = options(__doc__).quick
    lines, steps = (100, 400) if quick else (1000, 2000)
    probes = [Probe(f"n{WATCHED}.p1", "voltage")]
    plan = compile_network(cascade(lines, Sine(1.0, FREQUENCY)), STEP, reference_power=1.0, probes=probes)
    simulation = Simulation(plan)
    simulation.run(steps)

    def run() -> None:
        simulation.run(steps)
        simulation.take_probes()

    case, ours = f"ideal_lines_{lines}", best(run, 0.2 if quick else 2.0) / (lines * steps)
    print(f"{case}: {ours * 1e9:.3g} ns per line x step", flush=True)
    if shutil.which("ngspice") is None:
        skipped(case, "ngspice")
        return
    times, voltage, seconds = theirs(lines, steps * STEP)
    error = np.abs(exact(lines, times) - voltage).max()
    control = np.abs(exact(lines, times, wrong=1.02) - voltage).max()
    print(f"{case}: {len(times)} points, largest difference {error:.2g} V, with a line 2 % wrong {control:.2g} V")
    if not error <= TOLERANCE < control:
        raise SystemExit(f"{case}: the two sides did not compute the same thing, or a wrong line was not noticed")
    per_step = seconds / (lines * len(times))
    report(case, per_step / ours, f"ngspice {per_step * 1e9:.3g} ns per line x step over {ours * 1e9:.3g} ns")


if __name__ == "__main__":
    main()
