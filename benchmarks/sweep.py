"""A study of 200 runs on one and on two local workers, and a Monte Carlo as 200 runs and as an array axis of one.

Every worker counts with one BLAS thread. Starting the workers is part of the time. The tables of one and two workers
must be the same, byte by byte; the final voltages of the array and of the runs must agree. Run alone:
``python benchmarks/sweep.py``.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import agree, options, report

from substrate.netfile import parse_netfile
from substrate.studies import read_table

ROOT = Path(__file__).resolve().parent.parent
TRAINING = """
schema = 1
kind = "study"
base = "{base}"
repeats = {repeats}
[fixed]
"network.layers" = [64, 32, 10]
"training.epochs" = 2
[vary]
"line.loss" = ["0 dB", "1 dB"]
"""
CIRCUIT = """
schema = 1
kind = "study"
base = "line.toml"
target = "probes.load.voltage.final"
repeats = {repeats}
[vary]
"lines.w1.loss_db" = [0.0]
"""
LINE = """
schema = 1
kind = "circuit"
[simulation]
duration = "20 ns"
dt = "10 ps"
probes = ["load.voltage"]
[nodes.src]
type = "VoltageSource"
resistance = "50 ohm"
waveform = {{ type = "Step", amplitude = "1 V" }}
[nodes.load]
type = "Resistor"
resistance = {resistance}
[lines.w1]
from = "src"
to = "load"
delay = "100 ps"
"""


def sweep(study: Path, out: Path, jobs: int) -> float:
    """Seconds that a study takes as a command."""
    command = [sys.executable, "-m", "substrate", "sweep", str(study), "--out", str(out), "--jobs", str(jobs), "-q"]
    start = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return time.perf_counter() - start


def workers(folder: Path, runs: int) -> None:
    """One worker against two."""
    study = folder / "training.toml"
    study.write_text(TRAINING.format(base=ROOT / "examples" / "digits.toml", repeats=runs // 2))
    two, one = (sweep(study, folder / f"jobs{jobs}", jobs) for jobs in (2, 1))
    tables = [(folder / f"jobs{jobs}" / "table.csv").read_bytes() for jobs in (1, 2)]
    if tables[0] != tables[1]:
        raise SystemExit("one and two workers did not make the same table")
    print(f"{runs} runs: one worker {one:.1f} s, two workers {two:.1f} s")
    report("sweep_two_workers", one / two, "seconds of one worker over seconds of two")


def monte_carlo(folder: Path, runs: int) -> None:
    """Runs one by one against one run with an array axis."""
    (folder / "line.toml").write_text(LINE.format(resistance='"normal(50 ohm, 5 ohm)"'))
    study = folder / "circuit.toml"
    study.write_text(CIRCUIT.format(repeats=runs))
    many = sweep(study, folder / "circuits", 2)
    rows = read_table(folder / "circuits")
    ohms = [
        float(
            parse_netfile((folder / "line.toml").read_text(), overrides=[f"simulation.seed={n}"])
            .network.nodes["load"]
            .resistance
        )
        for n in range(runs)
    ]
    text = LINE.format(resistance=ohms)
    start = time.perf_counter()
    traces = parse_netfile(text, overrides=[f"simulation.batch={runs}"]).simulate()
    once = time.perf_counter() - start
    final = np.array([row["probes.load.voltage.final"] for row in rows])
    agree("monte_carlo", traces["load.voltage"][-1], final, 1e-12)
    print(f"{runs} circuits: as runs {many:.2f} s on two workers, as an array axis {once:.3f} s")
    report("monte_carlo_array_axis", many / once, "seconds of a study of runs over seconds of one run with arrays")


def main() -> None:
    quick = options(__doc__).quick
    with tempfile.TemporaryDirectory() as name:
        workers(Path(name), 8 if quick else 200)
        monte_carlo(Path(name), 8 if quick else 200)


if __name__ == "__main__":
    main()
