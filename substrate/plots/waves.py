"""Figure ``waves``: the rms wave over depth and time, forward and returning, before and after training.

Nothing is smoothed or interpolated. A wave moves one cell per step and keeps its amplitude inside a line (loss and
noise act where it enters), so the rows recorded at device ticks fix the field at the steps between them exactly.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from substrate.plots.data import MissingData, Run
from substrate.plots.style import GREY, new_figure, prefix_of

DECADES = 3.0  # of the returning wave that are shown
MOST_BATCHES = 2  # in a column


@dataclass(frozen=True)
class Stretch:
    """The field while a few batches follow each other, one column per step of the wave clock."""

    forward: np.ndarray  # [depth, steps], rms amplitude; nan where it was not recorded
    backward: np.ndarray  # [depth, steps]
    starts: list[int]  # column at which each batch begins
    first_batch: int  # its number since the start of the run, from 1


@dataclass(frozen=True)
class Clock:
    """How the rows of a run lie in time: seconds per step, cells of each line, batch and time of each row."""

    dt: float
    cells: list[int]
    batch: np.ndarray  # int[rows]
    time: np.ndarray  # float[rows], s since the batch began


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when the field of no batch was recorded."""
    lines = run.lines()
    if not lines:
        raise MissingData("no wave field was recorded")
    tables = [f"/field/{line}/{way}" for way in ("forward", "backward") for line in lines]
    time, *fields = run.columns("/field/time", *tables, rows=2)
    clock = _clock(run, time, fields[: len(lines)])
    stretches = [_stretch(clock, batches, fields) for batches in _groups(clock.batch)]
    figure = new_figure(4.0, 7.0 if len(stretches) > 1 else 4.2)
    panels = figure.subplots(2, len(stretches), sharex="col", sharey=True, squeeze=False)
    _draw_way(figure, panels[0], stretches, clock, "forward")
    _draw_way(figure, panels[1], stretches, clock, "backward")
    _label_depth(panels, clock, lines)
    _label_columns(panels, stretches, clock)
    if run.remark:
        figure.suptitle(run.remark, fontsize=7.0, color=GREY, x=0.99, ha="right")
    return figure


def _clock(run: Run, time: np.ndarray, fields: list[np.ndarray]) -> Clock:
    cells = [field.shape[1] for field in fields]
    ends = run.columns("/metrics/batch/time")[0]
    dwell = float(ends[0])
    batch = np.ceil(time / dwell - 1e-6).astype(int) - 1
    return Clock(_step(run, np.diff(time), cells), cells, batch, time - batch * dwell)


def _step(run: Run, between: np.ndarray, cells: list[int]) -> float:
    """Seconds per step: from the file where it says so; else device ticks are taken to be the shortest line apart."""
    summary, attributes = run.reader.summary, run.reader.attributes
    if summary.get("round_trip_s"):
        return float(summary["round_trip_s"]) / (2 * sum(cells))
    if "dt" in attributes:
        return float(attributes["dt"])
    return float(np.median(between)) / min(cells)


def _groups(batch: np.ndarray) -> list[list[int]]:
    """The numbers of the batches in each column: those recorded at the start, and those at the end."""
    numbers = np.unique(batch)
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    first = parts[0][:MOST_BATCHES].tolist()
    last = parts[-1][-MOST_BATCHES:].tolist()
    return [first, last] if last[0] > first[-1] else [first]


def _stretch(clock: Clock, batches: list[int], fields: list[np.ndarray]) -> Stretch:
    steps = np.rint(clock.time / clock.dt).astype(int)
    chosen = np.isin(clock.batch, batches)
    length = int(steps[chosen].max())
    ends = (clock.batch[chosen] - batches[0]) * length + steps[chosen]
    before = 0.0 if batches[0] == 0 else np.nan  # lines are empty when a run starts
    half, forward, backward = len(fields) // 2, [], []
    for there, back in zip(fields[:half], fields[half:], strict=True):
        forward.append(_paths(there[chosen], ends, length * len(batches), before))
        # A returning wave is followed the same way, seen from the far end.
        backward.append(_paths(back[chosen][:, ::-1], ends, length * len(batches), before)[::-1])
    starts = [place * length for place in range(len(batches))]
    return Stretch(np.concatenate(forward), np.concatenate(backward), starts, batches[0] + 1)


def _paths(rows: np.ndarray, ends: np.ndarray, steps: int, before: float) -> np.ndarray:
    """The field ``[cells, steps]`` of one line and direction, from rows recorded at the ends of some steps.

    A row tells what entered the line in each of the last ``cells`` steps: what entered ``k`` steps ago is in cell k.
    """
    cells = rows.shape[1]
    entered = np.full(cells + steps, np.nan)  # by step, from `cells` steps before the first
    entered[:cells] = before
    for end, row in zip(ends, rows, strict=True):
        entered[end : end + cells] = row[::-1]
    return entered[cells + np.arange(steps) - np.arange(cells)[:, None]]


def _draw_way(figure: Figure, panels: np.ndarray, stretches: list[Stretch], clock: Clock, way: str) -> None:
    images = [getattr(stretch, way) for stretch in stretches]
    top = max(float(np.nanmax(image)) for image in images)
    top = top if top > 0.0 else 1.0
    floor = 0.0 if way == "forward" else top / 10**DECADES
    norm = PowerNorm(0.5, 0.0, top) if way == "forward" else LogNorm(floor, top)
    factor, _ = prefix_of([clock.dt * image.shape[1] for image in images], "s")
    mesh: QuadMesh | None = None
    for axes, image in zip(panels, images, strict=True):
        x = np.arange(image.shape[1] + 1) * clock.dt * factor
        y = np.arange(image.shape[0] + 1) * clock.dt * factor
        shown = np.maximum(image, floor)
        mesh = axes.pcolormesh(x, y, shown, norm=norm, cmap="viridis", shading="flat", rasterized=True)
    assert mesh is not None
    label = "forward, rms amplitude" if way == "forward" else "returning, rms amplitude"
    figure.colorbar(mesh, ax=list(panels), label=label, pad=0.02, aspect=18)


def _label_depth(panels: np.ndarray, clock: Clock, lines: list[str]) -> None:
    depth = np.concatenate([[0], np.cumsum(clock.cells)])
    factor, unit = prefix_of([depth[-1] * clock.dt], "s")
    for axes in panels.ravel():
        for edge in depth[1:-1]:
            axes.axhline(edge * clock.dt * factor, color="white", linewidth=0.7)
        axes.set_ylim(depth[-1] * clock.dt * factor, 0.0)
    for axes in panels[:, 0]:
        axes.set_ylabel(f"depth ({unit})")
        for line, top in zip(lines, depth[:-1], strict=True):
            height = top * clock.dt * factor
            text = axes.annotate(
                line,
                (1.0, height),
                (-3, -3),
                ("axes fraction", "data"),
                "offset points",
                ha="right",
                va="top",
                fontsize=6,
            )
            text.set_path_effects([withStroke(linewidth=1.5, foreground="white")])


def _label_columns(panels: np.ndarray, stretches: list[Stretch], clock: Clock) -> None:
    factor, unit = prefix_of([clock.dt * stretch.forward.shape[1] for stretch in stretches], "s")
    for column, stretch in enumerate(stretches):
        for axes in panels[:, column]:
            for start in stretch.starts[1:]:
                axes.axvline(start * clock.dt * factor, color="white", linewidth=0.7, linestyle=(0, (4, 3)))
        last = stretch.first_batch + len(stretch.starts) - 1
        panels[0, column].set_title(f"{'ab'[column]}   Batches {stretch.first_batch} to {last}")
        panels[1, column].set_xlabel(f"time under waves ({unit})")
