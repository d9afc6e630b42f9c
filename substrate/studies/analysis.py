"""What a study says: its target against each varied number, yield with its confidence, which number matters most."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from substrate.distributions import NUMBER
from substrate.errors import ConfigError
from substrate.studies.description import Study

MOST_ROWS = 60  # of the table that a command prints
CONFIDENCE = 0.95


def values_of(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """A column of the good rows as numbers, nan where a row has none; raises ConfigError where none has it."""
    good = [row for row in rows if row["status"] == "ok"]
    if good and not any(column in row for row in good):
        known = sorted(name for name, value in good[0].items() if isinstance(value, int | float))
        raise ConfigError(f"target {column!r} is no number of these runs; there are {', '.join(known)}")
    return np.array([float(row.get(column, np.nan)) for row in good])


def by_value(rows: Sequence[Mapping[str, Any]], key: str, target: str) -> list[tuple[Any, np.ndarray]]:
    """For each value of a varied number, in the order of the study, the targets of the good runs that had it."""
    found: dict[Any, list[float]] = {}
    for row in rows:
        if row["status"] == "ok":
            found.setdefault(row[key], []).append(float(row.get(target, np.nan)))
    return [(value, np.array(targets)) for value, targets in found.items()]


def yield_of(good: int, runs: int) -> tuple[float, float, float]:
    """Share of good runs with its 95 % interval; source: Wilson, J. Am. Stat. Assoc. 22, 209 (1927).

    >>> [round(float(x), 3) for x in yield_of(9, 10)]
    [0.9, 0.596, 0.982]
    """
    from scipy.stats import binomtest

    if runs == 0:
        return float("nan"), 0.0, 1.0
    interval = binomtest(good, runs).proportion_ci(CONFIDENCE, method="wilson")
    return good / runs, float(interval.low), float(interval.high)


def summarise(study: Study, rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and lines of the table a command prints: each point with the mean and spread of its target."""
    keys = list(study.vary)
    columns = [*keys, "runs", study.target, "±", *(["yield"] if study.above is not None else [])]
    lines = []
    points = sorted({int(row["point"]) for row in rows})
    for point in points[:MOST_ROWS]:
        here = [row for row in rows if int(row["point"]) == point]
        targets = values_of(here, study.target)
        mean, spread = (f"{targets.mean():.4g}", f"{targets.std():.2g}") if len(targets) else ("-", "-")
        line = [*(_short(here[0][key]) for key in keys), f"{len(targets)} of {len(here)}", mean, spread]
        if study.above is not None:
            share, low, high = yield_of(int((targets >= study.above).sum()), len(here))
            line.append(f"{share:.0%} ({low:.0%} to {high:.0%})")
        lines.append(line)
    if len(points) > MOST_ROWS:
        lines.append([f"and {len(points) - MOST_ROWS} more points", *[""] * (len(columns) - 1)])
    return columns, lines


def _short(value: Any) -> str:
    """A value with four digits, its unit kept.

    >>> _short(0.123456), _short("52.34859812345678 ohm"), _short("0 dB"), _short("rram.toml")
    ('0.1235', '52.35 ohm', '0 dB', 'rram.toml')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    found = NUMBER.match(str(value))
    return str(value) if found is None else f"{float(found[1]):.4g} {found[2]}".rstrip()


def sensitivity(study: Study, rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """First-order and total share of the target's variance that each varied number explains (repeats are averaged).

    Of a study with method ``sensitivity``; raises ConfigError for others, and where a run is missing.
    Source: Sobol' indices, Saltelli et al. 2010, as in scipy.stats.sobol_indices.
    """
    from scipy.stats import sobol_indices

    if study.method != "sensitivity":
        raise ConfigError(f'a ranking needs method = "sensitivity", but this study has {study.method!r}')
    keys, n = list(study.vary), study.samples
    points: list[list[float]] = [[] for _ in range(n * (len(keys) + 2))]
    for row in rows:
        if row["status"] == "ok" and study.target in row:
            points[int(row["point"])].append(float(row[study.target]))
    if not all(points):
        missing = sum(not found for found in points)
        raise ConfigError(f"a ranking needs every point, but {missing} of {len(points)} have no good run; --resume")
    means = np.array([np.mean(found) for found in points])
    parts = {"f_A": means[None, :n], "f_B": means[None, n : 2 * n]}
    parts["f_AB"] = means[2 * n :].reshape(len(keys), 1, n)
    found = sobol_indices(func=parts, n=n)
    first, total = np.ravel(found.first_order), np.ravel(found.total_order)
    return {key: (float(a), float(b)) for key, a, b in zip(keys, first, total, strict=True)}
