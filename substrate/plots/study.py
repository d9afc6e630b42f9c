"""Figures of a study: its target against each varied number, as a map of two, yield, and which number matters most."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plots.style import BLUE, CYCLE, GREY, ORANGE, PALE, new_figure
from substrate.studies.analysis import by_value, sensitivity, values_of, yield_of
from substrate.studies.description import Study

Rows = Sequence[Mapping[str, Any]]
PANELS = 3  # beside each other


def place(value: Any) -> float:
    """A varied value as a number for an axis: "0.5 dB" is 0.5; nan for words.

    >>> place("0.5 dB"), place(3), place("tanh")
    (0.5, 3.0, nan)
    """
    try:
        return float(str(value).split()[0])
    except ValueError:
        return float("nan")


def unit_of(values: Sequence[Any]) -> str:
    """The unit that the texts of a varied number have.

    >>> unit_of(["0 dB", "1 dB"])
    'dB'
    """
    parts = str(values[0]).split(maxsplit=1)
    return parts[1] if len(parts) == 2 and place(values[0]) == place(values[0]) else ""


def _label(key: str, values: Sequence[Any]) -> str:
    unit = unit_of(values)
    return f"{key} ({unit})" if unit else key


def target_figure(study: Study, rows: Rows) -> Figure:
    """The target against each varied number: every run a dot, and of a grid the mean with its spread."""
    keys = list(study.vary)
    count = -(-len(keys) // PANELS)
    figure = new_figure(2.3 * count)
    grid = figure.subplots(count, min(PANELS, len(keys)), squeeze=False, sharey=True)
    for key, axes in zip(keys, grid.ravel(), strict=False):
        found = by_value(rows, key, study.target)
        at = np.array([place(value) for value, _ in found])
        words = bool(np.isnan(at).any())
        at = np.arange(len(found), dtype=float) if words else at
        for x, (_, targets) in zip(at, found, strict=True):
            colour = PALE if study.method == "grid" else BLUE
            axes.plot(np.full(len(targets), x), targets, ".", color=colour, markersize=3, zorder=1)
        if study.method == "grid":
            order = np.argsort(at)
            means, spreads = (np.array([f(t) for _, t in found])[order] for f in (np.nanmean, np.nanstd))
            axes.errorbar(at[order], means, spreads, color=BLUE, marker="o", markersize=3, capsize=2, linewidth=1.0)
        if words:
            axes.set_xticks(at, [str(value) for value, _ in found])
        if study.above is not None:
            axes.axhline(study.above, color=GREY, linewidth=0.7, linestyle=(0, (4, 3)))
        axes.set_xlabel(_label(key, [value for value, _ in found]))
    for axes in grid[:, 0]:
        axes.set_ylabel(study.target)
    for axes in grid.ravel()[len(keys) :]:
        axes.set_axis_off()
    return figure


def map_figure(study: Study, rows: Rows) -> Figure | None:
    """Mean target of a grid of two or three numbers: one map per value of the third; None for other studies."""
    keys = sorted(study.vary, key=lambda key: -len(study.vary[key])) if study.method == "grid" else []
    keys = [key for key in keys if len(study.vary[key]) > 1]
    if not 2 <= len(keys) <= 3:
        return None
    x, y, *rest = keys
    frames = study.vary[rest[0]] if rest else [None]
    figure = new_figure(2.4)
    grid = figure.subplots(1, len(frames), squeeze=False, sharey=True)[0]
    means = [_means(study, rows, x, y, dict.fromkeys(rest, frame)) for frame in frames]
    low, high = np.nanmin(means), np.nanmax(means)
    for axes, frame, values in zip(grid, frames, means, strict=True):
        image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        _write_values(axes, values, (low + high) / 2.0)
        axes.set_xticks(range(len(study.vary[x])), [tick(v) for v in study.vary[x]])
        axes.set_yticks(range(len(study.vary[y])), [tick(v) for v in study.vary[y]])
        axes.set_xlabel(_label(x, study.vary[x]))
        axes.spines[:].set_visible(False)
        if rest:
            axes.set_title(f"{rest[0]} = {frame}")
    grid[0].set_ylabel(_label(y, study.vary[y]))
    figure.colorbar(image, ax=list(grid), label=study.target, pad=0.01)
    return figure


def tick(value: Any) -> str:
    """A varied value beside an axis: a number without its unit, a word or a distribution whole.

    >>> tick("0.5 dB"), tick("uniform(0 dB, 6 dB)")
    ('0.5', 'uniform(0 dB,\\n6 dB)')
    """
    text = str(value)
    return text.replace(", ", ",\n") if np.isnan(place(value)) else text.split()[0]


def _means(study: Study, rows: Rows, x: str, y: str, where: Mapping[str, Any]) -> np.ndarray:
    found = np.full((len(study.vary[y]), len(study.vary[x])), np.nan)
    for i, b in enumerate(study.vary[y]):
        for j, a in enumerate(study.vary[x]):
            at = {x: a, y: b, **where}
            here = [row for row in rows if all(str(row[key]) == str(value) for key, value in at.items())]
            targets = values_of(here, study.target)
            found[i, j] = np.nanmean(targets) if len(targets) else np.nan
    return found


def _write_values(axes: Axes, values: np.ndarray, middle: float) -> None:
    for (i, j), value in np.ndenumerate(values):
        text, colour = ("failed", GREY) if np.isnan(value) else (f"{value:.3g}", "white" if value < middle else "black")
        axes.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)


def yield_figure(study: Study, rows: Rows) -> Figure | None:
    """Share of good runs, failed ones counting as bad, for each value of each varied number; None without a mark."""
    if study.above is None:
        return None
    keys = [key for key in study.vary if len({str(row[key]) for row in rows}) <= 24]
    if not keys:
        return None
    figure = new_figure(2.2)
    grid = figure.subplots(1, len(keys), squeeze=False, sharey=True)[0]
    for key, axes in zip(keys, grid, strict=True):
        values = list(dict.fromkeys(row[key] for row in rows))
        for at, value in enumerate(values):
            here = [row for row in rows if row[key] == value]
            good = int((values_of(here, study.target) >= study.above).sum())
            share, low, high = yield_of(good, len(here))
            axes.errorbar(at, share, [[share - low], [high - share]], color=BLUE, marker="o", markersize=3, capsize=3)
        axes.set_xticks(range(len(values)), [tick(value) for value in values])
        axes.set_xlabel(_label(key, values))
        axes.set_ylim(-0.02, 1.02)
    grid[0].set_ylabel(f"share with\n{study.target} ≥ {study.above:g}")
    return figure


def ranking_figure(study: Study, rows: Rows) -> Figure:
    """Shares of the target's variance that each number explains; raises ConfigError as :func:`sensitivity` does."""
    found = sorted(sensitivity(study, rows).items(), key=lambda item: item[1][1])
    figure = new_figure(0.35 * len(found) + 0.9, 5.0)
    axes = figure.subplots()
    at = np.arange(len(found))
    axes.barh(at + 0.18, [total for _, (_, total) in found], 0.34, color=CYCLE[0], label="with its interactions")
    axes.barh(at - 0.18, [first for _, (first, _) in found], 0.34, color=ORANGE, label="alone")
    axes.set_yticks(at, [key for key, _ in found])
    axes.set_xlabel(f"share of the variance of {study.target}")
    axes.legend(loc="lower right")
    return figure
