"""SIGKILL of a real `substrate train` at random moments, twenty times: resumed each time, no bit differs."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from substrate.record import RunReader
from tests.test_cli import contents
from tests.training_files import TINY

ROOT = Path(__file__).resolve().parent.parent
KILLS = 20
NOISY = (  # waves and devices draw random numbers, and targets are still on their way when a batch ends
    *("-s", "training.epochs=30", "-s", "line.temperature=300 K", "-s", "line.loss=1 dB", "-s", "clock.dwell=3 ps"),
    *("-s", "line.delay=2 ps", "-s", "device.card=rram_soft_bounds", "-s", "clock.reference_power=1 uW"),
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "substrate", "train", *words, "--quiet"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}


def killed(words: list[str], path: Path, moment: float, at_once: bool) -> bool:
    """Start a command and kill it `moment` seconds after its start or its first write; False when it was quicker."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    child = subprocess.Popen(words, stderr=subprocess.PIPE, env=environment())
    while not at_once and child.poll() is None and (not path.exists() or path.stat().st_mtime_ns == before):
        time.sleep(0.002)
    try:
        _, told = child.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return True
    assert child.returncode == 0, told.decode()
    return False


def complete(path: Path) -> bool:
    """Whether the file says that its run has ended; a kill may come after that and before the process is gone."""
    with RunReader.open(path) as reader:
        return reader.complete


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    file, straight, run = tmp_path / "tiny.toml", tmp_path / "straight.h5", tmp_path / "run.h5"
    file.write_text(TINY)
    begin = command(str(file), *NOISY, "--out", str(run))
    subprocess.run(command(str(file), *NOISY, "--out", str(straight)), check=True, env=environment())
    expected = contents(straight)
    draw, kills, finished = random.Random(20), 0, 0
    while kills < KILLS:
        if run.exists() and complete(run):  # quicker than the kills: compare, and begin anew
            assert contents(run) == expected
            finished += 1
            shutil.move(run, tmp_path / f"finished{finished}.h5")
        # A few in the middle of starting up and taking over the old file, most while it trains.
        at_once = kills % 5 == 4
        words = command("--resume", str(run)) if run.exists() else begin
        kills += killed(words, run, draw.uniform(0.0, 1.0 if at_once else 0.25), at_once)
    if not run.exists():
        return
    if not complete(run):
        subprocess.run(command("--resume", str(run)), check=True, env=environment())
    assert contents(run) == expected
