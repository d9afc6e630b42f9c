"""Figure ``ledger``: the energy of each batch by column, in above zero and out below, and its error."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plan import LEDGER, LEDGER_SIGNS
from substrate.plots.data import Run, in_bins
from substrate.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    engineering,
    label_ends,
    new_figure,
    prefix_of,
)

COLOURS = dict(zip(LEDGER, (BLUE, ORANGE, BLACK, GREEN, RED, PURPLE, SKY), strict=True))
WORDS = {
    "injected": "injected",
    "gain": "gain",
    "noise": "noise",
    "radiated": "radiated",
    "dissipated_lines": "lost in lines",
    "dissipated_nodes": "lost in nodes",
    "absorbed_ports": "sensed by ports",
}
BINS = 300
LIMIT = 1e-12  # the residual a float64 run must stay below
SMALLEST = 1e-18  # a residual of exactly zero is drawn here


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when the ledger has fewer than two rows."""
    time, residual, *columns = run.columns(
        "/ledger/time", "/ledger/residual", *(f"/ledger/{name}" for name in LEDGER), rows=2
    )
    factor, unit = prefix_of([time[-1]], "s")
    figure = new_figure(4.2, 6.0)
    energy, error = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    batches = run.optional("/metrics/batch/time")
    per = "batch" if batches is not None and abs(len(batches[0]) - len(time)) <= 0.01 * len(time) else "recorded row"
    _draw_energy(energy, time * factor, dict(zip(LEDGER, columns, strict=True)), per)
    _draw_residual(error, time * factor, residual)
    error.set_xlabel(f"simulated time ({unit})")
    error.set_xlim(0.0, time[-1] * factor)
    _label_limit(error)
    if run.remark:
        energy.set_title(run.remark, color=GREY, loc="right", fontsize=7)
    return figure


def _draw_energy(axes: Axes, time: np.ndarray, columns: dict[str, np.ndarray], per: str) -> None:
    edges = np.concatenate([[0.0], _ends(time)])
    scale, joule = prefix_of([max(np.abs(values).max() for values in columns.values())], "J")
    labels = []
    for sign in (1.0, -1.0):
        base = np.zeros(len(edges) - 1)
        chosen = [n for n, s in zip(LEDGER, LEDGER_SIGNS, strict=True) if s == sign and columns[n].any()]
        for name in sorted(chosen, key=lambda n: -abs(columns[n].sum())):
            height = in_bins(columns[name], BINS) * scale * sign
            axes.stairs(base + height, edges, baseline=base, fill=True, color=COLOURS[name], linewidth=0)
            text = f"{WORDS[name]}  {engineering(float(columns[name].mean()), 'J')}"
            labels.append((float(base[-1] + height[-1] / 2), text, COLOURS[name]))
            base = base + height
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_title("a   Energy into the waves (above zero) and out of them (below); means of the run beside")
    axes.set_ylabel(f"energy per {per} ({joule})")
    axes.figure.canvas.draw()
    label_ends(axes, float(edges[-1]), labels)


def _draw_residual(axes: Axes, time: np.ndarray, residual: np.ndarray) -> None:
    ends = _ends(time)
    size = max(1, len(residual) // len(ends))
    worst = np.maximum.reduceat(residual, np.arange(len(ends)) * size)
    axes.stairs(np.maximum(worst, SMALLEST), np.concatenate([[0.0], ends]), color="black", linewidth=0.8, baseline=None)
    axes.axhline(LIMIT, color=RED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yscale("log")
    axes.set_ylim(
        min(SMALLEST * 10, float(worst[worst > 0].min(initial=1e-16)) / 3), max(1e-11, float(worst.max()) * 3)
    )
    axes.set_title(f"b   What the books do not explain; worst of all blocks {residual.max():.1e}")
    axes.set_ylabel("relative residual")


def _label_limit(axes: Axes) -> None:
    axes.annotate(
        "1e-12", (1.0, LIMIT), (4, 0), ("axes fraction", "data"), "offset points", color=RED, va="center", fontsize=7
    )


def _ends(time: np.ndarray) -> np.ndarray:
    """Where the bins of :func:`in_bins` end in time."""
    if len(time) <= BINS:
        return time
    size = len(time) // BINS
    return np.append(time[np.arange(1, BINS) * size - 1], time[-1])
