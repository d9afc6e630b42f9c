"""A study of 200 runs on one and on two local workers, and a Monte Carlo as 200 runs, as a study that stacks its runs
into shared simulations, and as an array axis of one.

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

from substrate.cli.sweep import do_runs, make_task
from substrate.netfile import parse_netfile
from substrate.studies import load_study, plan_runs, read_table
from substrate.studies.running import batch_size

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


def sweep(study: Path, out: Path, jobs: int, *more: str) -> float:
    """Seconds that a study takes as a command."""
    command = [
        sys.executable,
        "-m",
        "substrate",
        "sweep",
        str(study),
        "--out",
        str(out),
        "--jobs",
        str(jobs),
        "-q",
        *more,
    ]
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
    many = sweep(study, folder / "circuits", 2, "--no-batch")
    stacked = sweep(study, folder / "stacked", 2)
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
    side = np.array([row["probes.load.voltage.final"] for row in read_table(folder / "stacked")])
    agree("study_side_by_side", side, final, 1e-12)
    print(f"{runs} circuits as a study: a simulation each {many:.2f} s, side by side {stacked:.2f} s, workers started")
    report("study_side_by_side", many / stacked, "seconds of a study with --no-batch over seconds of one with --batch")
    apart(folder, study, runs)
    agree("monte_carlo", traces["load.voltage"][-1], final, 1e-12)
    print(f"{runs} circuits: as runs {many:.2f} s on two workers, as an array axis {once:.3f} s")
    report("monte_carlo_array_axis", many / once, "seconds of a study of runs over seconds of one run with arrays")


def apart(folder: Path, study: Path, runs: int) -> None:
    """The same runs in this process, without workers to start: one by one, and side by side."""
    base, made = folder / "line.toml", load_study(study)
    seconds = []
    for name, size in (("alone", 1), ("beside", batch_size(runs))):
        tasks = [make_task(made, run, base.read_text(), base, folder / name) for run in plan_runs(made)]
        do_runs(tasks[:2])  # what is compiled once is not counted
        start = time.perf_counter()
        for first in range(0, runs, size):
            do_runs(tasks[first : first + size])
        seconds.append(time.perf_counter() - start)
    print(f"{runs} circuits in one process: one by one {seconds[0]:.2f} s, side by side {seconds[1]:.2f} s")
    report("runs_side_by_side", seconds[0] / seconds[1], "seconds of runs one by one over seconds side by side")


def main() -> None:
    quick = options(__doc__).quick
    with tempfile.TemporaryDirectory() as name:
        workers(Path(name), 8 if quick else 200)
        monte_carlo(Path(name), 8 if quick else 200)


if __name__ == "__main__":
    main()
