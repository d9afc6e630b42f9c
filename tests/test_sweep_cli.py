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
