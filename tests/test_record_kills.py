"""Run files under attack: killed, read while written, written twice, on a full disk; all in processes of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from substrate.errors import RunFileError
from substrate.record import RunReader, RunWriter, TableSpec, repair
from substrate.record.reading import consistency_flags

TABLES = {
    "/devices/w1/value": TableSpec((6, 8), "f8", "S", "conductance of every cell"),
    "/ledger/injected": TableSpec((), "f8", "J", "energy put in"),
    "/probes/flags": TableSpec((2,), "?", "1", "a pair of flags"),
    "/probes/field": TableSpec((3,), "c8", "sqrt(W)", "complex field"),
    "/metrics/never": TableSpec((), "f4", "1", "a table that stays empty"),
}
STATE = {"theta": np.zeros((6, 8)), "tick": np.zeros((), np.int64), "nothing": np.zeros((0, 3), np.float32)}
STEPS, EVERY = 1500, 20


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an interpreter of its own on the code under test."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def make(path: Path, **options: Any) -> RunWriter:
    options = {"tables": TABLES, "checkpoint": STATE, "attributes": {"seed": 3}, **options}
    return RunWriter.create(path, **options)


# ------------------------------------------------------------- a toy simulation; its steps follow from its state alone


def advance(theta: np.ndarray, tick: int) -> np.ndarray:
    return np.sin(theta * 1.7 + np.arange(48).reshape(6, 8) + tick)


def simulate(path: Path, steps: int = STEPS, buffer_bytes: int = 1 << 16) -> None:
    """Run to the end, resuming from whatever an earlier attempt has left."""
    try:
        run, state, scalars = RunWriter.resume(path, buffer_bytes)
        theta, tick, energy = state["theta"], int(state["tick"]), scalars["energy"]
    except RunFileError:  # no file yet, or none with a checkpoint
        attributes = {"input": "[layers]\n", "seed": 3}
        run = RunWriter.create(
            path, tables=TABLES, checkpoint=STATE, attributes=attributes, overwrite=True, buffer_bytes=buffer_bytes
        )
        theta, tick, energy = STATE["theta"].copy(), 0, 0.1
    with run:
        while tick < steps:
            theta, tick, energy = advance(theta, tick), tick + 1, energy * 1.0001 + 1 / 3
            run.append("/devices/w1/value", theta)
            run.extend("/ledger/injected", [energy, np.nan if tick % 7 else -0.0])
            run.append("/probes/flags", theta[0, :2] > 0)
            run.append("/probes/field", theta[0, :3] + 1j)
            if tick % EVERY == 0:
                arrays = {"theta": theta, "tick": np.asarray(tick), "nothing": STATE["nothing"]}
                run.checkpoint(arrays, {"energy": energy, "epoch": tick // 100})
        run.finish("complete", {"energy": energy})


def contents(path: Path) -> dict[str, bytes]:
    """Every table, the state and the summary as bytes, so that comparing is bit for bit and NaN equals NaN."""
    with RunReader.open(path) as run:
        found = {name: run.read(name).tobytes() for name in run.tables}
        arrays, scalars = run.checkpoint()
        found |= {"state " + name: array.tobytes() for name, array in arrays.items()}
        return found | {"scalars": json.dumps([scalars, run.summary]).encode(), "status": run.status.encode()}


def kill_and_resume(folder: Path, kills: int, seed: int) -> None:
    """Kill and resume toy runs until `kills` of them died; after each death the file must read."""
    chance = random.Random(seed)
    simulate(folder / "whole.h5")
    whole, deaths, runs = contents(folder / "whole.h5"), 0, 0
    path = folder / "killed.h5"
    while deaths < kills:
        path.unlink(missing_ok=True)
        runs += 1
        while True:
            child = os.fork()  # not a new interpreter: that would spend the time importing
            if child == 0:
                simulate(path)
                os._exit(0)
            if deaths < kills:
                time.sleep(chance.uniform(0.0, 0.12))
                os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            if status == 0:
                break
            assert os.WIFSIGNALED(status)
            deaths += 1
            check_killed(path, whole)
        assert contents(path) == whole
    print(f"{runs} runs {deaths} deaths")


def check_killed(path: Path, whole: dict[str, bytes]) -> None:
    if path.exists():  # else it died before the file got its name
        with RunReader.open(path) as run:
            for name in run.tables:
                assert whole[name].startswith(run.read(name).tobytes())
            assert run.status in ("running", "complete")


# ------------------------------------------------------------------------------------------------------------ kills


def test_killed_runs_read_and_resume_bit_for_bit(tmp_path: Path) -> None:
    # In an interpreter of its own, which may fork safely: pytest may have threads.
    done = python(__file__, tmp_path, 24, 1)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-2]) == 24


def test_a_kill_between_checkpoints_leaves_flags_and_repair_clears_them(tmp_path: Path) -> None:
    code = """
import os, sys
import numpy as np
from substrate.record import RunWriter, TableSpec
run = RunWriter.create(sys.argv[1], tables={"/ledger/injected": TableSpec((), "f8", "J", "")}, checkpoint={},
                       attributes={})
run.extend("/ledger/injected", np.arange(5000.0))
run.checkpoint({}, {"tick": 5000})
run.extend("/ledger/injected", np.arange(5000.0, 8000.0))
run.flush()
os.kill(os.getpid(), 9)
"""
    path = tmp_path / "run.h5"
    assert python("-c", code, path).returncode == -9
    assert consistency_flags(path) == 5
    with pytest.raises(OSError, match="already open"), h5py.File(path, "r"):
        pass
    with h5py.File(path, "r", swmr=True) as file:
        np.testing.assert_array_equal(file["/ledger/injected"], np.arange(8000.0))
    repair(path)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(file["/ledger/injected"], np.arange(8000.0))
    run, _, scalars = RunWriter.resume(path)
    with run:
        assert (scalars, run.rows("/ledger/injected")) == ({"tick": 5000}, 5000)


def test_a_running_file_is_read_from_outside_and_inside(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    code = (
        "import sys; from substrate.record import RunReader; r = RunReader.open(sys.argv[1]); "
        "print(r.status, r.rows('/ledger/injected'), r.checkpoint()[1])"
    )
    with make(path) as run, RunReader.open(path) as inside:
        run.extend("/ledger/injected", [1.0, 2.0])
        assert len(inside.read("/ledger/injected")) == 0  # buffered
        run.checkpoint(STATE, {"at": 2})
        assert len(inside.read("/ledger/injected")) == 2
        out = python("-c", code, path)
        assert out.stdout.strip() == "running 2 {'at': 2}"


def test_two_writers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    code = (
        "import sys; from substrate.record import RunWriter\n"
        "try: RunWriter.resume(sys.argv[1])\nexcept Exception as error: print(error)"
    )
    with make(path) as run:
        run.checkpoint(STATE, {})
        out = python("-c", code, path)
        assert "another process is writing it" in out.stdout


def test_a_full_disk_is_told_and_the_file_goes_on(tmp_path: Path) -> None:
    # A limit on the file size stands for the disk; it fails in the same place with another number.
    code = """
import resource, sys
import numpy as np
from substrate.record import RunWriter, TableSpec
run = RunWriter.create(sys.argv[1], tables={"/t": TableSpec((64,), "f8", "1", "")}, checkpoint={"x": np.zeros(9)},
                       attributes={}, buffer_bytes=1 << 18)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
with run:
    for i in range(10**6):
        run.append("/t", np.full(64, i))
        if i % 100 == 99:
            run.checkpoint({"x": np.full(9, 1.0 * i)}, {"i": i})
"""
    path = tmp_path / "run.h5"
    done = python("-c", code, path)
    assert done.returncode == 1  # a Python error, not a crash of HDF5
    assert "File too large" in done.stderr
    assert "make room, then go on or resume" in done.stderr
    with h5py.File(path, "r") as file:
        count = len(file["/t"])
        np.testing.assert_array_equal(file["/t"][:, 0], np.arange(count))
        assert file["/status"][()].startswith(b"failed: RunFileError")
    run, state, scalars = RunWriter.resume(path)
    with run:
        assert run.rows("/t") == scalars["i"] + 1 == state["x"][0] + 1 > 1000


if __name__ == "__main__":
    kill_and_resume(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
