"""Cascades of lines against ngspice: lossless lines (its T element) and lossy ones (LTRA), whole transients.

Both sides get the same circuit and the same step. Waveforms are compared at ngspice's own time points before anything
is timed, and a cascade with every third line 2 % wrong must not pass. ngspice's time is that of a whole batch run less
that of a deck with a single resistor; ours is the stepping of a compiled network, probes included.
"""

import shutil
import statistics
import sys
import time

import numpy as np
from common import options, report, skipped

from substrate import Line, Network, ParallelJunction, Probe, Resistor, Simulation, VoltageSource, compile_network
from substrate.media import RlgcLine
from substrate.validation.ngspice import run_deck
from substrate.waveforms import Sine

DT = 2e-12
DELAY = 10 * DT
FREQUENCY = 1e8  # of the raised cosine both are driven with: smooth, so that neither side's interpolation shows
LOSSY = {"resistance": 20.0, "inductance": 250e-9, "capacitance": 100e-12, "conductance": 0.0}  # per metre


def impedance(index: int) -> float:
    return (50.0, 75.0, 60.0)[index % 3]


def cascade(count: int, lossy: bool, wrong: float = 1.0) -> Network:
    """``count`` lines one behind the other; ``wrong`` multiplies the impedance (or resistance) of every third."""
    net = Network()
    before = net.add(VoltageSource(Sine(0.5, FREQUENCY, -np.pi / 2.0, 0.5), resistance=25.0), "src")
    for index in range(count):
        last = index == count - 1
        after = net.add(Resistor(100.0) if last else ParallelJunction(2), "load" if last else f"n{index}")
        factor = wrong if index % 3 == 1 else 1.0
        if lossy:
            line: Line = RlgcLine(length=0.2, **{**LOSSY, "resistance": factor * LOSSY["resistance"]})
        else:
            line = Line(DELAY, factor * impedance(index))
        net.connect(before, after, line)
        before = after
    return net


def deck(count: int, lossy: bool) -> list[str]:
    lines = [f"V1 in 0 SIN(0.5 0.5 {FREQUENCY!r} 0 0 -90)", "RS in k0 25", f"RL k{count} 0 100"]
    for index in range(count):
        ends = f"k{index} 0 k{index + 1} 0"
        lines.append(f"O{index} {ends} LOSS" if lossy else f"T{index} {ends} Z0={impedance(index)!r} TD={DELAY!r}")
    if lossy:
        r, ell, c = LOSSY["resistance"], LOSSY["inductance"], LOSSY["capacitance"]
        lines.append(f".model LOSS LTRA(R={r!r} L={ell!r} C={c!r} G=0 LEN=0.2 REL=1 ABS=1)")
    return lines


def ours(net: Network, dt: float, steps: int, watched: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Times, voltage at the port ``watched``, and the median seconds of stepping."""
    plan = compile_network(net, dt, reference_power=1.0, probes=[Probe(watched, "voltage")])
    taken = []
    for _ in range(4):
        simulation = Simulation(plan)
        started = time.perf_counter()
        simulation.run(steps)
        taken.append(time.perf_counter() - started)
    volts = simulation.take_probes()[f"{watched}.voltage"].ravel()
    return (np.arange(steps) + 1) * dt, volts, statistics.median(taken[1:])


def difference(times: np.ndarray, volts: np.ndarray, their_times: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference at ngspice's own time points; between our steps the waveform is straight."""
    inside = their_times <= times[-1]
    mine = np.interp(their_times[inside], np.concatenate([[0.0], times]), np.concatenate([[0.0], volts]))
    return float(np.abs(mine - theirs[inside]).max())


def measure(name: str, count: int, steps: int, lossy: bool, dt: float, tolerance: float) -> None:
    # Behind more than ten lossy lines too little is left of the signal for a wrong line to show.
    junction = min(count, 10) if lossy else count
    watched = "load.in" if junction == count else f"n{junction - 1}.p1"
    elements, stop = deck(count, lossy), steps * dt
    idle = min(_timed(["V1 k 0 1", "R1 k 0 1"], "k", 10 * dt, dt)[2] for _ in range(3))
    their_times, theirs, whole = _timed(elements, f"k{junction}", stop, dt)
    times, volts, mine = ours(cascade(count, lossy), dt, steps, watched)
    _, wrong_volts, _ = ours(cascade(count, lossy, wrong=1.02), dt, steps, watched)
    right = difference(times, volts, their_times, theirs)
    wrong = difference(times, wrong_volts, their_times, theirs)
    print(f"{name}: largest difference {right:.2e} V; with every third line 2 % wrong {wrong:.2e} V")
    if not (right < tolerance < wrong):
        raise SystemExit(f"{name}: the two sides did not compute the same thing")
    spent, per = whole - idle, count * len(their_times)
    print(
        f"{name}: ngspice {spent:.3f} s ({spent / per * 1e9:.0f} ns per line and step, {len(their_times)} steps), "
        f"substrate {mine * 1e3:.2f} ms ({mine / (count * steps) * 1e9:.2f} ns)"
    )
    report(name, spent / len(their_times) / (mine / steps), "ngspice seconds per step over substrate seconds per step")


def _timed(elements: list[str], node: str, stop: float, step: float) -> tuple[np.ndarray, np.ndarray, float]:
    started = time.perf_counter()
    times, volts = run_deck(elements, node, stop, step)
    return times, volts, time.perf_counter() - started


def main() -> None:
    chosen = options("Cascades of lossless and lossy lines against ngspice.")
    cases = [
        ("cascade_1000", 1000, 15_000, False, DT, 1e-5),
        ("lossy_10_4000", 10, 4000, True, 25e-12, 3e-4),
        ("lossy_100_4000", 100, 4000, True, 25e-12, 3e-4),
        ("lossy_10_16000", 10, 16_000, True, 6.25e-12, 3e-4),
    ]
    if chosen.full:  # minutes of ngspice
        cases.append(("lossy_100_16000", 100, 16_000, True, 6.25e-12, 3e-4))
    if chosen.quick:
        cases = [("cascade_quick", 20, 3000, False, DT, 1e-6)]
    for case in cases:
        if chosen.only not in case[0]:
            continue
        if shutil.which("ngspice") is None:
            skipped(case[0], "ngspice")
        else:
            measure(*case)


if __name__ == "__main__":
    sys.exit(main())
