"""Runs ngspice where it is installed: a deck of lines in, waveforms at ngspice's own time points out."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from substrate.validation.case import Skipped

SECONDS = 120


def run_deck(elements: Sequence[str], node: str, stop: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) and voltages (V) of ``node`` over a transient of ``stop`` s with steps of at most ``step`` s.

    ``elements`` are the deck's lines but for title and analysis. Raises Skipped when ngspice is not installed or gives
    no answer.
    """
    program = shutil.which("ngspice")
    if program is None:
        raise Skipped("not installed: ngspice")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.txt"
        deck = Path(folder) / "deck.cir"
        deck.write_text("\n".join(_deck(elements, node, stop, step, out)))
        done = subprocess.run([program, "-b", str(deck)], capture_output=True, text=True, timeout=SECONDS, check=False)
        if not out.exists():
            raise Skipped(f"ngspice gave no answer: {done.stderr.strip()[-200:]}")
        time, value = np.loadtxt(out, usecols=(0, 1), unpack=True)
    return time, value


def _deck(elements: Sequence[str], node: str, stop: float, step: float, out: Path) -> list[str]:
    return [
        "* made by substrate validate",
        *elements,
        ".options reltol=1e-6 abstol=1e-14 vntol=1e-10 numdgt=15",
        f".tran {step!r} {stop!r} 0 {step!r}",
        ".control",
        "set numdgt=15",
        "run",
        f"wrdata {out} v({node})",
        "quit",
        ".endc",
        ".end",
        "",
    ]
