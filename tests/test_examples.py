"""Runs the tiny version of every example script in a process of its own, as a user would, and looks at what it left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

ROOT = Path(__file__).resolve().parent.parent
# Few epochs and few devices: enough to run every line of the scripts, not to show what they show.
TINY = {
    "dwell.py": ["--epochs", "1", "--seeds", "1", "--dwells", "1", "4", "--jobs", "1"],
    "rram_asymmetry.py": ["--epochs", "1", "--seeds", "1", "--rates", "0.3", "--batch", "100", "--dial", "0", "1"],
}
SECONDS = 120  # a limit for a busy machine; alone each takes a few


def run_example(script: str, arguments: list[str], folder: Path) -> str:
    """Run it in an empty folder; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_script_has_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    untested = [path.name for path in (ROOT / "examples").glob("*.py") if path.name not in tests]
    assert not untested, f"{untested}: add a tiny version to TINY, or a test elsewhere that names the script"


def test_no_example_hides_a_package() -> None:
    """Python looks beside a script first: examples/devices.py would be what `import devices` finds in all of them."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert not packages & {path.stem for path in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("script", TINY)
def test_example(script: str, tmp_path: Path) -> None:
    printed = run_example(
        script, [*TINY[script], "--figure", "out/figure.png", "--results", "out/results.json"], tmp_path
    )
    assert "wrote" in printed
    assert imread(tmp_path / "out" / "figure.png").std() > 0.01
    study = json.loads((tmp_path / "out" / "results.json").read_text())
    assert study["study"]["epochs"] == 1
    assert study["rows"]
    for row in study["rows"]:
        assert 0.0 <= row["accuracy_min"] <= row["accuracy_mean"] <= row["accuracy_max"] <= 1.0


def test_delay_only_rescales_time(tmp_path: Path) -> None:
    """Devices that move once per line delay: four times the delay and the dwell is the same run, four times slower."""
    options = [*TINY["dwell.py"], "--per-line", "--figure", "figure.png", "--results", "results.json"]
    run_example("dwell.py", options, tmp_path)
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    by_delay = {delay: [row for row in rows if row["ticks_per_line"] == delay] for delay in (1, 4)}
    for one, four in zip(by_delay[1], by_delay[4], strict=True):
        assert four["round_trips"] == pytest.approx(one["round_trips"])
        assert four["accuracy_mean"] == one["accuracy_mean"]


def test_the_dial_ends_at_soft_bounds(tmp_path: Path) -> None:
    """Turned up to 1, the linear step is the law of soft bounds, found in another file of devices."""
    options = [*TINY["rram_asymmetry.py"], "--jobs", "1", "--figure", "figure.png", "--results", "results.json"]
    run_example("rram_asymmetry.py", options, tmp_path)
    rows = {row["kind"]: row for row in json.loads((tmp_path / "results.json").read_text())["rows"]}
    assert rows["dial 1.0"]["weights_rms"] == pytest.approx(rows["soft bounds"]["weights_rms"], rel=1e-9)
    assert rows["dial 0.0"]["weights_rms"] > rows["soft bounds"]["weights_rms"]


def test_a_noisy_ring_follows_its_closed_form(tmp_path: Path) -> None:
    """Phase noise of the guide where it rules, shot noise where that does, and what lies between."""
    printed = run_example("noisy_ring.py", ["--steps", "20000", "--figure", "ring.png"], tmp_path)
    ratios = np.array([float(line.split()[-1]) for line in printed.splitlines()[1:]])
    assert len(ratios) >= 10 and np.abs(ratios - 1.0).max() < 0.3
    assert np.abs(ratios[-4:] - 1.0).max() < 0.02
    assert imread(tmp_path / "ring.png").std() > 0.01
