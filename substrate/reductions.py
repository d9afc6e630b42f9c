"""Reductions of a probe over time that need no more memory for a longer run: mean, rms, extremes, histogram, a fold."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.probe import Fold, Probe


class Reduction(ABC):
    """Takes portions ``[steps, ...]`` one after the other and has a value at any time."""

    @abstractmethod
    def add(self, rows: np.ndarray) -> None:
        """Take a portion of at least one step."""

    @abstractmethod
    def value(self) -> Any:
        """The reduction of all rows so far; nan when there was none."""


class Mean(Reduction):
    """The mean over time, or with ``power`` 2 the root of the mean square of the modulus.

    >>> rms = Mean(2); rms.add(np.array([[3.0], [4.0]])); rms.value().tolist()
    [3.5355339059327378]
    """

    def __init__(self, power: int = 1) -> None:
        self.power, self.total, self.count = power, np.zeros(()), 0

    def add(self, rows: np.ndarray) -> None:
        """See :class:`Reduction`."""
        values = np.abs(rows.astype(np.result_type(rows, np.float64))) ** 2 if self.power == 2 else rows
        self.total = self.total + values.sum(axis=0, dtype=np.result_type(values, np.float64))
        self.count += len(rows)

    def value(self) -> np.ndarray:
        """See :class:`Reduction`."""
        mean = self.total / self.count if self.count else np.full((), np.nan)
        return np.asarray(np.sqrt(mean) if self.power == 2 else mean)


class Final(Reduction):
    """The last row."""

    def __init__(self) -> None:
        self.last = np.full((), np.nan)

    def add(self, rows: np.ndarray) -> None:
        """See :class:`Reduction`."""
        self.last = rows[-1].copy()

    def value(self) -> np.ndarray:
        """See :class:`Reduction`."""
        return self.last


class Extreme(Reduction):
    """The largest (``sign`` 1) or smallest (-1) value, of the modulus where values are complex.

    >>> low = Extreme(-1); low.add(np.array([[3.0], [-4.0]])); low.value().tolist()
    [-4.0]
    """

    def __init__(self, sign: int) -> None:
        self.pick, self.best = (np.maximum if sign > 0 else np.minimum), np.full((), np.nan)
        self.begun = False

    def add(self, rows: np.ndarray) -> None:
        """See :class:`Reduction`."""
        values = self.pick.reduce(np.abs(rows) if np.iscomplexobj(rows) else rows, axis=0)
        self.best = self.pick(self.best, values) if self.begun else np.asarray(values)
        self.begun = True

    def value(self) -> np.ndarray:
        """See :class:`Reduction`."""
        return self.best


class Histogram(Reduction):
    """Counts ``[bins + 2, ...]``: of equal bins over ``span``, before them what lies below, after them what lies above.

    The upper end of the span belongs to the last bin, as in ``numpy.histogram``. Raises NetworkError for complex
    values.

    >>> counts = Histogram(2, (0.0, 1.0)); counts.add(np.array([-1.0, 0.0, 0.7, 1.0, 2.0])); counts.value().tolist()
    [1, 1, 2, 1]
    """

    def __init__(self, bins: int, span: tuple[float, float], label: str = "") -> None:
        self.edges, self.label = histogram_edges(bins, span), label
        self.counts: np.ndarray | None = None  # int64[bins + 2, columns]
        self.shape: tuple[int, ...] = ()

    def add(self, rows: np.ndarray) -> None:
        """See :class:`Reduction`."""
        if np.iscomplexobj(rows):
            raise NetworkError(
                f"Probe {self.label!r}: a histogram counts real numbers, but the waves are complex; "
                "probe the power, or give function=np.abs"
            )
        if self.counts is None:
            self.shape = rows.shape[1:]
            self.counts = np.zeros((len(self.edges) + 1, int(np.prod(self.shape))), np.int64)
        values = rows.reshape(len(rows), -1)
        place = np.searchsorted(self.edges, values, side="right")
        place[values == self.edges[-1]] = len(self.edges) - 1
        columns = self.counts.shape[1]
        flat = (place * columns + np.arange(columns)).ravel()
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)

    def value(self) -> np.ndarray:
        """See :class:`Reduction`."""
        if self.counts is None:
            return np.zeros(len(self.edges) + 1, np.int64)
        return self.counts.reshape(len(self.edges) + 1, *self.shape)


class Folded(Reduction):
    """A user's function ``fold(state, rows)``."""

    def __init__(self, fold: Fold) -> None:
        self.fold, self.state = fold, None

    def add(self, rows: np.ndarray) -> None:
        """See :class:`Reduction`."""
        self.state = self.fold(self.state, rows)

    def value(self) -> Any:
        """See :class:`Reduction`."""
        return self.state


def histogram_edges(bins: int, span: tuple[float, float]) -> np.ndarray:
    """The ``bins + 1`` edges of equal bins.

    >>> histogram_edges(2, (0.0, 1.0)).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.linspace(span[0], span[1], bins + 1)


def reduction_of(probe: Probe) -> Reduction:
    """The reduction a probe asks for, which must not be ``none``."""
    kind = probe.reduce_time
    if callable(kind):
        return Folded(kind)
    if kind == "histogram":
        assert probe.span is not None
        return Histogram(probe.bins, probe.span, probe.label)
    plain = {"mean": Mean(), "rms": Mean(2), "final": Final(), "min": Extreme(-1), "max": Extreme(1)}
    return plain[kind]
