"""Figure ``traces``: what the probes of a circuit saw against time, a panel for each unit, and histograms below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run
from substrate.plots.style import CYCLE, GREY, label_ends, new_figure, prefix_of

MOST_ROWS = 40_000  # of a trace that are drawn; more are thinned to their extremes, so no spike is lost
MOST_SAMPLES = 30  # of a batch that are drawn one by one
WAVE = "wave amplitude"


@dataclass(frozen=True)
class Trace:
    """One recorded trace: seconds, values ``[rows, curves]`` (real), its unit and name."""

    label: str
    unit: str
    time: np.ndarray
    values: np.ndarray


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when no probe was recorded at least twice, nor as a histogram."""
    traces = [trace for name in run.names("/probes") if name.endswith("/value") and (trace := _trace(run, name))]
    counts = [name for name in run.names("/reduced") if f"/edges/{name.split('/', 2)[2]}" in run.reader.static]
    counts = [name for name in counts if run.reader.rows(name)]
    if not traces and not counts:
        raise MissingData("no probe was recorded step by step, nor as a histogram")
    units = list(dict.fromkeys(trace.unit for trace in traces))
    panels = len(units) + len(counts)
    figure = new_figure(1.9 * panels + 0.4, 6.0)
    axes = np.atleast_1d(figure.subplots(panels, 1))
    for unit, panel in zip(units, axes, strict=False):
        _draw_unit(panel, [trace for trace in traces if trace.unit == unit], unit)
    for name, panel in zip(counts, axes[len(units) :], strict=True):
        _draw_histogram(panel, run, name)
    for letter, panel in zip("abcdefghijklmnopqrstuvwxyz", axes, strict=False):
        panel.set_title(f"{letter}   {panel.get_title(loc='left')}" if panels > 1 else panel.get_title(loc="left"))
    if run.remark:
        axes[0].set_title(run.remark, color=GREY, loc="right", fontsize=7)
    return figure


def _trace(run: Run, name: str) -> Trace | None:
    """The trace in a table; the modulus where it is complex. None when it has fewer than two rows."""
    label = name.removeprefix("/probes/").removesuffix("/value")
    own = f"/probes/{label}/time"
    found = run.optional(own if own in run.reader.tables else "/probes/time", name, rows=2)
    if found is None:
        return None
    time, values = found
    values = values.reshape(len(values), -1)
    unit = run.reader.tables[name].unit
    return Trace(
        label, "" if unit.startswith("sqrt") else unit, time, np.abs(values) if np.iscomplexobj(values) else values
    )


def thinned(time: np.ndarray, values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most about ``most`` rows: of each stretch the lowest and the highest, in the order in which they came.

    >>> thinned(np.arange(6.0), np.array([0.0, 9.0, 1.0, 2.0, -5.0, 3.0]), 4)
    (array([0., 1., 4., 5.]), array([ 0.,  9., -5.,  3.]))
    """
    if len(values) <= most:
        return time, values
    size = -(-len(values) // (most // 2))
    whole = len(values) // size * size
    blocks = values[:whole].reshape(-1, size)
    picks = np.sort(np.stack([blocks.argmin(axis=1), blocks.argmax(axis=1)], axis=1), axis=1)
    index = (picks + np.arange(len(blocks))[:, None] * size).ravel()
    index = np.concatenate([index, np.arange(whole, len(values))])
    return time[index], values[index]


def _draw_unit(axes: Axes, traces: Sequence[Trace], unit: str) -> None:
    """All traces of one unit: one curve each, or the band of all samples of a batch with a few of them."""
    end = max(float(trace.time[-1]) for trace in traces)
    factor, second = prefix_of([end], "s")
    scale, text = prefix_of([np.abs(trace.values).max() for trace in traces], unit) if unit else (1.0, "")
    ends = []
    for number, trace in enumerate(traces):
        colour = CYCLE[number % len(CYCLE)]
        curves = trace.values.shape[1]
        shown = np.unique(np.linspace(0, curves - 1, min(curves, MOST_SAMPLES)).astype(int))
        for curve in shown:
            time, values = thinned(trace.time, trace.values[:, curve], MOST_ROWS // len(shown))
            axes.plot(time * factor, values * scale, color=colour, linewidth=1.0, alpha=1.0 if curves == 1 else 0.3)
        name = trace.label if curves == 1 else f"{trace.label} ({curves})"
        ends.append((float(trace.values[-1].mean()) * scale, name, colour))
    axes.set_xlim(0.0, end * factor)
    axes.set_xlabel(f"time ({second})")
    words = {"V": "voltage", "A": "current", "W": "power"}
    axes.set_ylabel(f"{words.get(unit, unit)} ({text})" if unit else WAVE)
    axes.set_title(words.get(unit, "waves").capitalize(), loc="left")
    axes.figure.canvas.draw()
    label_ends(axes, end * factor, ends, apart=0.09)


def _draw_histogram(axes: Axes, run: Run, name: str) -> None:
    """Counts of one histogram, all channels and samples together, without what lies outside."""
    label = name.removeprefix("/reduced/")
    edges = run.reader.static[f"/edges/{label}"]
    counts = run.reader.read(name)[-1]
    counts = counts.reshape(len(counts), -1).sum(axis=1)
    scale, text = prefix_of(edges.value, edges.unit) if edges.unit in ("V", "A", "W") else (1.0, WAVE)
    axes.stairs(counts[1:-1], np.asarray(edges.value) * scale, fill=True, color=CYCLE[0])
    axes.set_xlabel(text)
    axes.set_ylabel("steps")
    outside = int(counts[0] + counts[-1])
    axes.set_title(label + (f" ({outside} outside)" if outside else ""), loc="left")
