"""How fast run files are written, beside plain h5py writing the same rows in blocks of 64.

Run it alone: `python benchmarks/record.py [--megabytes 400] [--folder DIR]`. Both files are read back and compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from substrate.record import RunReader, RunWriter, TableSpec

FLOOR = 500.0  # MB/s
BLOCK = 64  # rows
REPEATS = 5
CASES = {"2048_float64": (2048,), "48x64_float64": (48, 64), "64_float64": (64,), "1_float64": ()}


def plain(path: Path, source: np.ndarray, count: int) -> None:
    """Write `count` rows with h5py alone: one dataset, chunks of 64 rows, whole chunks at a time."""
    with h5py.File(path, "w", libver="latest") as file:
        row = source.shape[1:]
        data = file.create_dataset("t", (0, *row), "f8", maxshape=(None, *row), chunks=(BLOCK, *row))
        for start in range(0, count, BLOCK):
            data.resize(start + BLOCK, axis=0)
            data[start : start + BLOCK] = source


def ours(path: Path, source: np.ndarray, count: int, row_by_row: bool) -> None:
    """Write the same rows through `RunWriter`, safe against a kill all the way."""
    tables = {"/t": TableSpec(source.shape[1:], "f8", "1", "")}
    with RunWriter.create(path, tables=tables, checkpoint={}, attributes={}, overwrite=True) as run:
        for _ in range(0, count, BLOCK):
            if row_by_row:
                for row in source:
                    run.append("/t", row)
            else:
                run.extend("/t", source)
        run.finish("complete", {})


def check(one: Path, other: Path) -> None:
    """Stop unless both files hold the same rows."""
    with h5py.File(one, "r") as file, RunReader.open(other) as run:
        if run.rows("/t") != len(file["t"]):
            raise SystemExit("the two files differ in length")
        for start in range(0, len(file["t"]), 4096):
            if not np.array_equal(file["t"][start : start + 4096], run.read("/t", start, start + 4096)):
                raise SystemExit(f"the two files differ after row {start}")


def seconds(path: Path, work: Callable[[], None]) -> float:
    """Time `work`, which makes the file `path`; the file is removed first so that its pages are not reused."""
    path.unlink(missing_ok=True)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(folder: Path, case: str, row: tuple[int, ...], megabytes: float, row_by_row: bool) -> None:
    """Write both files in turns, compare them, print rates and their ratio."""
    source = np.random.default_rng(0).normal(size=(BLOCK, *row))
    count = max(1, int(megabytes * 1e6 / source.nbytes)) * BLOCK
    size = count // BLOCK * source.nbytes / 1e6
    one, other = folder / "plain.h5", folder / "ours.h5"
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(REPEATS):
        rates["plain"].append(size / seconds(one, lambda: plain(one, source, count)))
        rates["ours"].append(size / seconds(other, lambda: ours(other, source, count, row_by_row)))
    check(one, other)
    median = {who: statistics.median(rate) for who, rate in rates.items()}
    name = f"record_{'append' if row_by_row else 'extend'}_{case}"
    # Below a page a call, calls are what is measured, not bytes.
    bound = source.nbytes // (BLOCK if row_by_row else 1) >= 4096
    verdict = "ok" if median["ours"] >= FLOOR else "MISSED"
    floor = f", floor {FLOOR:.0f}: {verdict}" if bound else f", {size / median['ours'] / count * 1e9:.0f} ns a row"
    print(f"{name}: ours {median['ours']:.0f} MB/s, plain h5py {median['plain']:.0f} MB/s, {size:.0f} MB{floor}")
    print(f"RATIO {name} {median['ours'] / median['plain']:.2f} (our MB/s over plain h5py in blocks of {BLOCK} rows)")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=200.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for case, row in CASES.items():
            small = row in ((), (64,))  # one call per row: the calls are what is measured, so fewer bytes do
            measure(Path(folder), case, row, options.megabytes / (4 if row == () else 1), row_by_row=False)
            measure(Path(folder), case, row, options.megabytes / (40 if small else 1), row_by_row=True)


if __name__ == "__main__":
    main()
