"""Figures of chips that learn in place: what they have learned, epoch by epoch, and how their phases moved."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run
from substrate.plots.style import DIGITAL, GREY, SUBSTRATE, new_figure, panel_title, prefix_of

MOST_CURVES = 64  # phases drawn of each mesh


def draw(run: Run) -> Figure:
    """Accuracy or distance, and loss, against epochs; raises MissingData before the first epoch has ended."""
    loss = run.columns("/metrics/epoch/train_loss")[0]
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(loss) + 1)
    distance = run.optional("/metrics/epoch/distance")
    if distance is not None:
        left.semilogy(epochs, distance[0], color=SUBSTRATE)
        panel_title(left, "a", "Distance from the target")
        left.set_ylabel("relative distance")
    else:
        _draw_accuracy(left, run, epochs)
    right.semilogy(epochs, loss, color=SUBSTRATE, label="batches, as learned")
    test = run.optional("/metrics/epoch/test_loss")
    if test is not None:
        right.semilogy(epochs[: len(test[0])], test[0], color=SUBSTRATE, linestyle=(0, (3, 1.5)), label="test set")
        right.legend(frameon=False)
    panel_title(right, "b", "Mean loss per sample")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.set_xlim(0, len(loss))
    if run.remark:
        figure.suptitle(run.remark, fontsize=7.0, color=GREY, x=0.99, ha="right")
    return figure


def _draw_accuracy(axes: Axes, run: Run, epochs: np.ndarray) -> None:
    for name, colour in (("validation_accuracy", GREY), ("test_accuracy", SUBSTRATE)):
        found = run.optional(f"/metrics/epoch/{name}")
        if found is not None and np.isfinite(found[0]).any():
            what = name.partition("_")[0]
            axes.plot(
                epochs[: len(found[0])], found[0], color=colour, label=f"{what} set, {found[0][-1]:.3f} in the end"
            )
    axes.set_ylim(top=1.0)
    axes.legend(frameon=False, loc="lower right")
    panel_title(axes, "a", "Accuracy")


def draw_phases(run: Run) -> Figure:
    """What the light saw at every phase over time, a panel for each mesh, and the biases; raises MissingData."""
    ports = run.ports()
    if not ports:
        raise MissingData("no device was recorded")
    figure = new_figure(2.4)
    panels = figure.subplots(1, len(ports), squeeze=False)[0]
    for letter, axes, name in zip("abcdefgh", panels, ports, strict=False):
        time, value = run.columns("/devices/time", f"/devices/{name}/value", rows=2)
        factor, unit = prefix_of(time, "s")
        every = -(-value.shape[1] // MOST_CURVES)
        colour = DIGITAL if name == "bias" else SUBSTRATE
        axes.plot(time * factor, value[:, ::every], color=colour, alpha=0.4, linewidth=0.5)
        some = "" if every == 1 else f", every {every}th"
        panel_title(axes, letter, f"{name}: {value.shape[1]} ports{some}")
        axes.set_xlabel(f"time of the devices ({unit})")
    panels[0].set_ylabel("phase (rad)")
    return figure
