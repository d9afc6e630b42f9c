"""Figures of single devices: what pulses or a drive do to a cell, and how well a fit describes a measurement."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from substrate.plots.style import BLACK, BLUE, GREY, RED, new_figure, paper_style, prefix_of, save


def draw_pulses(path: Path, title: str, rise: np.ndarray, fall: np.ndarray) -> None:
    """Value [n] after each pulse of an up train and then of a down train, and the size of a pulse against the value."""
    with paper_style():
        figure = new_figure(2.4)
        walk, sizes = figure.subplots(1, 2)
        walk.plot(np.arange(len(rise)), rise, color=BLUE)
        walk.plot(len(rise) - 1 + np.arange(len(fall)), fall, color=RED)
        walk.set_xlabel("pulses")
        walk.set_ylabel("state")
        walk.set_title(f"a   {title}: pulses up, then down")
        sizes.plot(rise[:-1], np.diff(rise), color=BLUE, label="up")
        sizes.plot(fall[:-1], np.abs(np.diff(fall)), color=RED, label="down")
        sizes.set_ylim(bottom=0.0)
        sizes.set_xlabel("state")
        sizes.set_title("b   Size of a pulse")
        sizes.legend()
        save(figure, path)


def draw_drives(path: Path, title: str, time: np.ndarray, up: np.ndarray, down: np.ndarray, unit: str) -> None:
    """Value [n] against `time` [n] (s) under a constant drive up and down, from the middle of the range."""
    factor, second = prefix_of([time[-1]], "s")
    with paper_style():
        figure = new_figure(2.4, 4.2)
        axes = figure.subplots()
        axes.plot(time * factor, up, color=BLUE, label="drive +1")
        axes.plot(time * factor, down, color=RED, label="drive -1")
        axes.set_xlabel(f"time ({second})")
        axes.set_ylabel(unit)
        axes.set_title(title)
        axes.legend()
        save(figure, path)


def draw_fit(
    path: Path, title: str, x: np.ndarray, data: np.ndarray, curve: np.ndarray, labels: tuple[str, str], log: bool
) -> None:
    """Measured points [n], what the fit says there, and the residuals; `labels` are those of the axes."""
    with paper_style():
        figure = new_figure(3.0, 4.6)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot(x, data, ".", color=GREY, markersize=2.5, label="measured")
        upper.plot(x, curve, color=BLUE, label="fit")
        upper.set_title(title)
        upper.set_ylabel(labels[1])
        upper.legend()
        lower.plot(x, data - curve, ".", color=GREY, markersize=2.5)
        lower.axhline(0.0, color=BLACK, linewidth=0.6)
        lower.set_xlabel(labels[0])
        lower.set_ylabel("residual")
        if log:
            upper.set_xscale("log")
            upper.set_yscale("log")
        save(figure, path)


def draw_table(path: Path, title: str, knots: np.ndarray, tables: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Mean size of a step and its uncertainty at the knots of a tabulated device, per direction."""
    with paper_style():
        figure = new_figure(2.6, 4.6)
        axes = figure.subplots()
        for (name, (sizes, sigmas)), colour in zip(tables.items(), (BLUE, RED), strict=True):
            axes.errorbar(knots, sizes, sigmas, color=colour, marker="o", markersize=3.0, label=name)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("value")
        axes.set_ylabel("size of a step")
        axes.set_title(title)
        axes.legend()
        save(figure, path)
