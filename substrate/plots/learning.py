"""Figure ``learning``: accuracy and loss of the substrate against simulated time, beside digital backpropagation."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run, median_window, running_median
from substrate.plots.style import DIGITAL, GREY, SUBSTRATE, label_ends, new_figure, prefix_of


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when neither batches nor epochs were recorded."""
    batches = run.optional("/metrics/batch/time", "/metrics/batch/loss", "/metrics/batch/backprop_loss", rows=2)
    epochs = run.optional("/metrics/epoch/time")
    if batches is None and epochs is None:
        raise MissingData("no batch and no epoch was recorded")
    accuracy = _accuracy(run)
    figure = new_figure(2.7, 7.0 if accuracy is not None else 3.8)
    panels = list(figure.subplots(1, 2 if accuracy is not None else 1, squeeze=False)[0])
    ends = [part[0][-1] for part in (batches, epochs) if part is not None]
    factor, unit = prefix_of(ends, "s")
    if accuracy is not None:
        _draw_accuracy(panels[0], accuracy, factor)
    _draw_loss(panels[-1], run, batches, factor)
    for axes in panels:
        _time_axes(axes, run, max(ends) * factor, factor, unit)
    if run.remark:
        figure.suptitle(run.remark, fontsize=7.0, color=GREY, x=0.99, ha="right")
    return figure


def _accuracy(run: Run) -> list[np.ndarray] | None:
    tables = ("/metrics/epoch/time", "/metrics/epoch/test_accuracy", "/metrics/epoch/backprop_test_accuracy")
    found = run.optional(*tables)
    return None if found is None or not np.isfinite(found[1]).any() else found


def _draw_accuracy(axes: Axes, accuracy: list[np.ndarray], factor: float) -> None:
    time, substrate, digital = accuracy
    marker = "o" if len(time) < 4 else ""
    axes.plot(time * factor, digital, color=DIGITAL, marker=marker, markersize=3)
    axes.plot(time * factor, substrate, color=SUBSTRATE, marker=marker, markersize=3)
    low = float(np.nanmin(np.concatenate([substrate, digital])))
    axes.set_ylim(max(0.0, low - 0.05 * (1.0 - low)), 1.0)
    axes.set_title("a   On the test set")
    axes.set_ylabel("accuracy")
    ends = [
        (substrate[-1], f"substrate {substrate[-1]:.3f}", SUBSTRATE),
        (digital[-1], f"backprop {digital[-1]:.3f}", DIGITAL),
    ]
    for height, (_, text, colour) in zip((0.62, 0.52), ends, strict=True):
        axes.text(0.97, height, text, transform=axes.transAxes, color=colour, ha="right", fontsize=7.5)


def _draw_loss(axes: Axes, run: Run, batches: list[np.ndarray] | None, factor: float) -> None:
    labels = []
    if batches is not None:
        time, substrate, digital = batches
        window = median_window(len(time))
        axes.plot(time * factor, substrate, color=SUBSTRATE, alpha=0.2, linewidth=0.4)
        for values, colour, who in ((digital, DIGITAL, "backprop"), (substrate, SUBSTRATE, "substrate")):
            median = running_median(values, window)
            axes.plot(time * factor, median, color=colour)
            labels.append((median[-1], f"{who}, batch", colour))
        note = "batches: substrate at the end of the dwell,\nbackprop before its step"
        axes.text(0.98, 0.97, note, transform=axes.transAxes, color=GREY, fontsize=6, ha="right", va="top")
    epochs = run.optional(
        "/metrics/epoch/time", "/metrics/epoch/test_loss", "/metrics/epoch/backprop_test_loss", rows=2
    )
    if epochs is not None:
        time = epochs[0]
        for values, colour, who in ((epochs[2], DIGITAL, "backprop"), (epochs[1], SUBSTRATE, "substrate")):
            axes.plot(time * factor, values, color=colour, linestyle=(0, (3, 1.5)))
            labels.append((values[-1], f"{who}, test", colour))
    axes.set_yscale("log")
    axes.set_title("b   Batches (solid: running median), test set (dashed)")
    axes.set_ylabel("mean loss per sample")
    axes.figure.canvas.draw()
    label_ends(axes, float(time[-1]) * factor, [label for label in labels if label[0] > 0.0], apart=0.075)


def _time_axes(axes: Axes, run: Run, end: float, factor: float, unit: str) -> None:
    axes.set_xlim(0.0, end)
    axes.set_xlabel(f"simulated time ({unit})")
    epoch = run.epoch_seconds()
    if epoch is not None:
        length = epoch * factor
        top = axes.secondary_xaxis("top", functions=(lambda t: np.divide(t, length), lambda n: np.multiply(n, length)))
        top.set_xlabel("epoch")
