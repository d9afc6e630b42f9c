"""The table of a study: one row per run, whatever became of it, kept as the runs end and written tidy at the end."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from substrate.errors import ConfigError

ROWS = "rows.jsonl"  # one JSON object per run that has ended, in the order in which they ended
TABLE = "table.csv"
FIRST = ("run", "point", "repeat", "seed", "status", "reason", "file")
UNTIDY = ("wall_s",)  # differs between machines; it is in the run files


def keep_row(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row to what is kept, on the disk before this returns."""
    with (folder / ROWS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=True) + "\n")
        file.flush()
        os.fsync(file.fileno())


def kept_rows(folder: Path) -> dict[int, dict[str, Any]]:
    """The newest row of each run; a line that a kill cut short is left out."""
    rows: dict[int, dict[str, Any]] = {}
    path = folder / ROWS
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows[int(row["run"])] = row
    return rows


def flat(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a summary by dotted names, without those that belong to no table.

    >>> flat({"accuracy": 0.9, "ledger_J": {"gain": 0.0}, "title": "x", "wall_s": 3.0})
    {'accuracy': 0.9, 'ledger_J.gain': 0.0}
    """
    found: dict[str, float] = {}
    for name, value in summary.items():
        if name in UNTIDY:
            continue
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def write_table(folder: Path, rows: Iterable[Mapping[str, Any]], varied: Sequence[str]) -> Path:
    """Write ``table.csv`` (and ``table.parquet`` where pyarrow is installed), rows by run, columns in a fixed order."""
    ordered = sorted(rows, key=lambda row: int(row["run"]))
    metrics = sorted({name for row in ordered for name in row if name not in FIRST and name not in varied})
    columns = [*FIRST, *varied, *metrics]
    path, partial = folder / TABLE, folder / (TABLE + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(row.get(name, "")) for name in columns] for row in ordered)
    partial.replace(path)
    _write_parquet(folder, ordered, columns)
    return path


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _write_parquet(folder: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return
    arrays = {}
    for name in columns:
        values = [row.get(name) for row in rows]
        numeric = all(value is None or isinstance(value, int | float) for value in values)
        arrays[name] = values if numeric else [None if value is None else str(value) for value in values]
    pyarrow.parquet.write_table(pyarrow.table(arrays), folder / "table.parquet")


def read_table(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of a study, by run: its numbers as floats, the rest as text. Raises ConfigError where there is none."""
    path = Path(folder) / TABLE
    if not path.exists():
        raise ConfigError(
            f"{folder}: holds no study ({TABLE}); run one with: substrate sweep STUDY.toml --out {folder}"
        )
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
