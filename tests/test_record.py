"""Run files: what goes in comes out, whatever kills the writer; and every refusal says the way out."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import substrate.record as record
from substrate.errors import RunFileError
from substrate.record import RunReader, RunWriter, Static, TableSpec
from substrate.runfile_read import consistency_flags

TABLES = {
    "/devices/w1/value": TableSpec((6, 8), "f8", "S", "conductance of every cell"),
    "/ledger/injected": TableSpec((), "f8", "J", "energy put in"),
    "/probes/flags": TableSpec((2,), "?", "1", "a pair of flags"),
    "/probes/field": TableSpec((3,), "c8", "sqrt(W)", "complex field"),
    "/metrics/never": TableSpec((), "f4", "1", "a table that stays empty"),
}
STATE = {"theta": np.zeros((6, 8)), "tick": np.zeros((), np.int64), "nothing": np.zeros((0, 3), np.float32)}
STEPS, EVERY = 1500, 20


# ------------------------------------------------------------- a toy simulation; its steps follow from its state alone


def advance(theta: np.ndarray, tick: int) -> np.ndarray:
    theta = np.sin(theta * 1.7 + np.arange(48).reshape(6, 8) + tick)
    theta[tick % 6, tick % 8] = np.nan if tick % 50 == 0 else tick
    return np.where(np.isnan(theta), np.float64(0.25), theta)


def simulate(path: Path, steps: int = STEPS, buffer_bytes: int = 1 << 16) -> None:
    """Run to the end, resuming from whatever an earlier attempt has left."""
    try:
        run, state, scalars = RunWriter.resume(path, buffer_bytes)
        theta, tick, energy = state["theta"], int(state["tick"]), scalars["energy"]
    except RunFileError:  # no file yet, or none with a checkpoint
        attributes = {"input": "[layers]\n", "seed": 3}
        run = RunWriter.create(path, tables=TABLES, checkpoint=STATE, attributes=attributes, overwrite=True,
                               buffer_bytes=buffer_bytes)
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


def kill_and_resume(folder: Path, kills: int, seed: int) -> int:
    """Kill and resume toy runs until `kills` of them died; after each death the file must read. Returns the deaths."""
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
    print(f"{runs} runs, {deaths} deaths")
    return deaths


def check_killed(path: Path, whole: dict[str, bytes]) -> None:
    if path.exists():  # else it died before the file got its name
        with RunReader.open(path) as run:
            for name in run.tables:
                assert whole[name].startswith(run.read(name).tobytes())
            assert run.status in ("running", "complete")
