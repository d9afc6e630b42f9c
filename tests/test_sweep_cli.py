"""`substrate sweep` as a user runs it: local processes, and a Dask cluster that loses a worker on the way."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from substrate.cli import app
from substrate.record import RunReader
from substrate.studies import read_table

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
TRAINING = """
schema = 1
kind = "study"
base = "{base}"
repeats = 2
above = 0.5
[fixed]
"network.layers" = [64, 10]
"training.epochs" = 1
"training.batch" = 200
[vary]
"line.loss" = ["0 dB", "1 dB", "20 dB"]
"device.rate_per_batch" = [0.1, 0.3]
"""


@pytest.fixture
def training(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(TRAINING.format(base=ROOT / "examples" / "digits.toml"))
    return path


def sweep(*arguments, **options):
    command = [sys.executable, "-m", "substrate", "sweep", *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, **options)


def start(module, *arguments):
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers, all processes of their own."""
    scheduler = start("dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
    address = ""
    for line in scheduler.stderr:
        if found := re.search(r"tcp://127\.0\.0\.1:\d+", line):
            address = found[0]
            break
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / "dask"))
    workers = [start("dask_worker", address, *options) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_cluster_and_local_processes_give_the_same_table(training, tmp_path, cluster):
    address, workers = cluster
    # The whole study on a cluster that loses one of its two workers on the way.
    command = [sys.executable, "-m", "substrate", "sweep", str(training), "--out", str(tmp_path / "far")]
    far = subprocess.Popen([*command, "--scheduler", address], env=ENVIRONMENT, text=True, stdout=subprocess.DEVNULL)
    rows = tmp_path / "far" / "rows.jsonl"
    for _ in range(1200):
        if rows.exists() and rows.read_text().count("\n") >= 2:
            break
        time.sleep(0.1)
    workers[0].kill()
    assert far.wait(timeout=240) == 0
    near = sweep(training, "--out", tmp_path / "near", "--jobs", "1")
    assert near.returncode == 0, near.stderr
    assert (tmp_path / "far" / "table.csv").read_bytes() == (tmp_path / "near" / "table.csv").read_bytes()
    table = read_table(tmp_path / "near")
    assert len(table) == 12 and {row["status"] for row in table} == {"ok"}
    with RunReader.open(tmp_path / "near" / table[5]["file"]) as run:
        assert run.complete and run.summary["accuracy"] == table[5]["accuracy"]
    assert "line.loss" in near.stdout and "yield" in near.stdout
    again = sweep(training, "--out", tmp_path / "near")
    assert again.returncode != 0 and "--resume goes on with it" in again.stderr
    before = (tmp_path / "near" / "table.csv").read_bytes()
    assert sweep(training, "--out", tmp_path / "near", "--resume").returncode == 0
    assert (tmp_path / "near" / "table.csv").read_bytes() == before


CIRCUITS = """
schema = 1
kind = "study"
base = "line.toml"
repeats = 16
target = "probes.load.voltage.rms"
[vary]
"nodes.load.resistance" = ["normal(50 ohm, 5 ohm)"]
[fixed]
"simulation.duration" = "400 ps"
"""
LINE = """
schema = 1
kind = "circuit"
[simulation]
duration = "1 ns"
dt = "10 ps"
probes = ["load.voltage"]
[nodes.src]
type = "VoltageSource"
resistance = "50 ohm"
waveform = { type = "Step", amplitude = "1 V" }
[nodes.load]
type = "Resistor"
resistance = "50 ohm"
temperature = "300 K"
[lines.w1]
from = "src"
to = "load"
delay = "100 ps"
"""


def test_runs_side_by_side_do_not_depend_on_workers_or_a_pause(tmp_path):
    """Sixteen runs, two in a simulation: the same table from one worker, from two, and from a resumed study."""
    (tmp_path / "line.toml").write_text(LINE)
    (tmp_path / "study.toml").write_text(CIRCUITS)
    for name, jobs in (("one", 1), ("two", 2)):
        done = sweep(tmp_path / "study.toml", "--out", tmp_path / name, "--jobs", jobs)
        assert done.returncode == 0, done.stderr
    table = (tmp_path / "one" / "table.csv").read_bytes()
    assert (tmp_path / "two" / "table.csv").read_bytes() == table
    rows = tmp_path / "two" / "rows.jsonl"
    kept = [line for line in rows.read_text().splitlines(keepends=True) if '"run": 5' not in line]
    assert len(kept) == 15
    rows.write_text("".join(kept))  # as if a worker had died before it told of run 5
    assert sweep(tmp_path / "study.toml", "--out", tmp_path / "two", "--resume", "--jobs", "2").returncode == 0
    once, again = (read_table(tmp_path / name) for name in ("one", "two"))
    assert [row["run"] for row in again] == list(range(16))
    for a, b in zip(once, again, strict=True):
        for key, value in a.items():
            # A run that was made up for alone has a file of its own, and nobody beside it.
            if isinstance(value, float) and key not in ("wall_s", "batch", "sample"):
                assert b[key] == pytest.approx(value, rel=1e-12, abs=1e-15), key


def test_a_fault_of_the_base_is_told_before_anything_starts(training, tmp_path):
    training.write_text(training.read_text().replace('"line.loss"', '"line.lost"'))
    told = CliRunner().invoke(app, ["sweep", str(training), "--out", str(tmp_path / "out")])
    assert told.exit_code == 2 and "unknown key 'lost'" in told.output
    assert not (tmp_path / "out").exists()


def test_no_scheduler_is_told(training, tmp_path):
    told = CliRunner().invoke(
        app, ["sweep", str(training), "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:1"]
    )
    assert told.exit_code == 2 and "no Dask scheduler answers there" in told.output
