"""The map of ports with memory runs in its tiny version, and memory is what makes one batch per tick train."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_memory_ports_example(tmp_path: Path) -> None:
    """examples/memory_ports.py with one delay and one rate: well above chance with memory, at chance without."""
    options = ["--epochs", "12", "--delays", "1", "--rates", "0.3", "--jobs", "1"]
    outputs = ["--figure", str(tmp_path / "map.png"), "--results", str(tmp_path / "map.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / "memory_ports.py"), *options, *outputs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = {row["memory"]: row["accuracy"] for row in json.loads((tmp_path / "map.json").read_text())["rows"]}
    assert found[True] > 0.94
    assert found[False] < 0.5
    assert (tmp_path / "map.png").stat().st_size > 5000
