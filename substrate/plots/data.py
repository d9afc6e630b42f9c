"""Reads the tables a figure needs, from finished, running and killed files alike, and says what is missing."""

from dataclasses import dataclass

import numpy as np

from substrate.record import RunReader


class MissingData(Exception):
    """A figure cannot be drawn from this file; the message says why in one sentence."""


@dataclass(frozen=True)
class Run:
    """An open run file with the few questions that figures ask."""

    reader: RunReader

    def names(self, group: str) -> list[str]:
        """Names of the tables under a group, ``/ledger`` say."""
        return [name for name in self.reader.tables if name.startswith(group + "/")]

    def ports(self) -> list[str]:
        """Names of the parameter ports whose values were recorded."""
        return [name.split("/")[2] for name in self.names("/devices") if name.endswith("/value")]

    def lines(self) -> list[str]:
        """Names of the lines whose field was recorded, from source to load."""
        return [name.split("/")[2] for name in self.names("/field") if name.endswith("/forward")]

    def columns(self, *tables: str, rows: int = 1) -> list[np.ndarray]:
        """Tables of a common clock, cut to the shortest; raises MissingData when one has fewer than ``rows`` rows."""
        known = self.reader.tables
        for name in tables:
            if name not in known:
                raise MissingData(f"the file has no table {name}")
        length = min(self.reader.rows(name) for name in tables)
        if length < rows:
            short = min(tables, key=self.reader.rows)
            raise MissingData(f"table {short} has {length} of the {rows} rows that are needed")
        return [self.reader.read(name, 0, length) for name in tables]

    def optional(self, *tables: str, rows: int = 1) -> list[np.ndarray] | None:
        """The same, or None when they cannot be had."""
        try:
            return self.columns(*tables, rows=rows)
        except MissingData:
            return None

    def epoch_seconds(self) -> float | None:
        """Simulated seconds per epoch, None before the first one has ended."""
        found = self.optional("/metrics/epoch/time")
        return None if found is None or not found[0][-1] > 0.0 else float(found[0][-1]) / len(found[0])

    @property
    def remark(self) -> str:
        """What to write on a figure of a run that did not come to its end; empty for a complete one."""
        return "" if self.reader.complete else "unfinished run"


def running_median(values: np.ndarray, window: int) -> np.ndarray:
    """Median of the ``window`` (odd) values around each, fewer at the ends.

    >>> running_median(np.array([1.0, 9.0, 2.0, 3.0]), 3).tolist()
    [5.0, 2.0, 3.0, 2.5]
    """
    half = window // 2
    padded = np.pad(values.astype(float), half, constant_values=np.nan)
    return np.asarray(np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))


def median_window(rows: int) -> int:
    """How many rows a running median takes: an odd number, about one in thirty."""
    return 2 * max(1, rows // 60) + 1


def in_bins(values: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbouring rows, so that at most ``most`` are left; the rows that fill no bin count in the last.

    >>> in_bins(np.arange(7.0), 3).tolist()
    [0.5, 2.5, 5.0]
    """
    if len(values) <= most:
        return values
    size = len(values) // most
    starts = np.arange(most) * size
    counts = np.diff(np.append(starts, len(values)))
    return np.asarray(np.add.reduceat(values, starts) / counts)
