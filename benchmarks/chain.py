"""A chain in which every cell is a node, 1e5 cells in double precision on one core, against one-dimensional meep.

A cell is a two-port and the step of line behind it, as a cell of meep is one E and one H. Two media: the same impedance
everywhere, and another one in every cell. A pulse must travel at one cell a step without changing its shape.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import best, options, report, skipped

from substrate import Line, Network, ParallelJunction, Resistor, Simulation, compile_network

DT = 1e-15
CLEAN = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def chain(impedances: np.ndarray) -> Simulation:
    """Lines of one step each between matched ends."""
    net, last = Network(), "left"
    net.add(Resistor(float(impedances[0])), "left")
    for index, z in enumerate(impedances.tolist()):
        end = index == len(impedances) - 1
        here = net.add(Resistor(z), "right") if end else net.add(ParallelJunction(2), f"n{index}")
        net.connect(last, here, Line(DT, z))
        last = here
    return Simulation(compile_network(net, DT))


def pulse_keeps_its_shape(cells: int) -> None:
    """In one medium a Gaussian moves by one cell a step, to rounding."""
    simulation = chain(np.full(cells, 50.0))
    arrays, shape = simulation.checkpoint(), np.exp(-(((np.arange(cells) - cells / 4) / 12.0) ** 2))
    arrays["cells"] = np.concatenate([np.zeros(cells), shape])[None]
    simulation.restore(arrays)
    simulation.run(cells // 2)
    waves = simulation.state.arena[0].reshape(2, cells)[(cells // 2 + 1) % 2]
    moved = np.roll(shape, cells // 2)
    assert np.abs(waves - moved).max() < 1e-12, "the pulse has changed"
    assert np.abs(waves - np.roll(moved, 1)).max() > 1e-2, "a pulse one cell away would pass"


def meep_python() -> str | None:
    """A Python that has meep: the one in MEEP_PYTHON, this one, or the system's (``python3-meep``)."""
    for python in (os.environ.get("MEEP_PYTHON", ""), sys.executable, "/usr/bin/python3"):
        found = shutil.which(python) if python else None
        if found and subprocess.run([found, "-c", "import meep"], capture_output=True, env=CLEAN).returncode == 0:
            return found
    return None


def meep_seconds(python: str, cells: int, steps: int) -> float:
    """Seconds of a cell and step of meep in one dimension."""
    command = [python, str(Path(__file__).parent / "peers" / "run_meep.py"), str(cells), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, env=CLEAN)
    if done.returncode:
        raise SystemExit(f"meep failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.split("seconds", 1)[1].split()[0])


def main() -> None:
    quick = options(__doc__).quick
    cells, steps = (1000, 20) if quick else (100_000, 40)
    pulse_keeps_its_shape(600)
    different = np.random.default_rng(0).uniform(30.0, 80.0, cells)
    speed = {}
    for name, impedances in (("equal", np.full(cells, 50.0)), ("different", different)):
        simulation = chain(impedances)
        simulation.stepper.circuit.use_threads(False)
        simulation.run(steps)
        seconds = best(lambda made=simulation: made.run(steps), 0.1 if quick else 3.0) / (cells * steps)
        speed[name] = seconds
        print(f"chain_{name}: {1e-9 / seconds:.3g} G cells per s on one core (target 0.9)", flush=True)
    python = None if quick else meep_python()
    if python is None:
        for name in speed:
            skipped(f"chain_{name}", "meep")
        return
    theirs = meep_seconds(python, cells, steps)
    print(f"meep: {1e-9 / theirs:.3g} G cells per s", flush=True)
    for name, seconds in speed.items():
        report(f"chain_{name}", theirs / seconds, "meep seconds of a cell and step over ours, floor 2")


if __name__ == "__main__":
    main()
