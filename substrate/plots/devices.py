"""Figure ``devices``: sample traces, drive and the spread of values of each port, and the energy the ports absorbed."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run
from substrate.plots.style import BLACK, BLUE, CYCLE, GREY, label_ends, new_figure, prefix_of

SAMPLES = 5  # cells shown of each port
MOST_PORTS = 6
BANDS = ((0.0, 1.0), (0.05, 0.95), (0.25, 0.75))  # quantiles, outermost first


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when no device was sampled at least twice."""
    ports = chosen_ports(run.ports())
    if not ports:
        raise MissingData("no device was recorded")
    tables = [f"/devices/{port}/{kind}" for port in ports for kind in ("value", "drive", "absorbed")]
    time, *columns = run.columns("/devices/time", *tables, rows=2)
    factor, unit = prefix_of([time[-1]], "s")
    rows = len(ports)
    figure = new_figure(1.05 * rows + 2.1)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.05 * rows + 0.3, 1.8))[:, 0]
    grid = upper.subplots(rows, 3, sharex=True, squeeze=False)
    for row, port in enumerate(ports):
        value, drive = (part.reshape(len(time), -1) for part in columns[3 * row : 3 * row + 2])
        _draw_port(grid[row], time * factor, value, drive)
        grid[row, 0].set_ylabel(port)
    for axes, title in zip(
        grid[0], ("Value of a few cells", "Their drive, -dJ/dvalue", "Values of all cells"), strict=True
    ):
        axes.set_title(title)
    for axes in grid.ravel():
        axes.set_xlim(0.0, time[-1] * factor)
    for axes in grid[-1]:
        axes.set_xlabel(f"simulated time ({unit})")
    _draw_absorbed(lower.subplots(), time, factor, unit, dict(zip(ports, columns[2::3], strict=True)))
    if run.remark:
        grid[0, 2].set_title(run.remark, color=GREY, loc="right", fontsize=7)
    return figure


def chosen_ports(ports: Sequence[str]) -> list[str]:
    """At most six ports, evenly from source to load.

    >>> chosen_ports([f"w{n}" for n in range(1, 20)])
    ['w1', 'w5', 'w8', 'w12', 'w15', 'w19']
    """
    if len(ports) <= MOST_PORTS:
        return list(ports)
    return [ports[round(place)] for place in np.linspace(0, len(ports) - 1, MOST_PORTS)]


def _draw_port(panels: Sequence[Axes], time: np.ndarray, value: np.ndarray, drive: np.ndarray) -> None:
    """One row: sample traces, their drive, and quantile bands of all cells."""
    cells = np.unique(np.linspace(0, value.shape[1] - 1, SAMPLES).astype(int))
    for cell, colour in zip(cells, CYCLE, strict=False):
        panels[0].plot(time, value[:, cell], color=colour, linewidth=0.9)
        panels[1].plot(time, drive[:, cell], color=colour, linewidth=0.5)
    for band, shade in zip(BANDS, (0.12, 0.25, 0.45), strict=True):
        low, high = np.quantile(value, band, axis=1)
        panels[2].fill_between(time, low, high, color=BLUE, alpha=shade, linewidth=0)
    panels[2].plot(time, np.median(value, axis=1), color=BLACK, linewidth=0.8)
    largest = float(np.abs(drive[:, cells]).max())
    if largest > 0.0:
        panels[1].set_ylim(-1.1 * largest, 1.1 * largest)


def _draw_absorbed(axes: Axes, time: np.ndarray, factor: float, unit: str, absorbed: dict[str, np.ndarray]) -> None:
    totals = {port: table.reshape(len(time), -1).sum(axis=1) for port, table in absorbed.items()}
    scale, joule = prefix_of([np.abs(total).max() for total in totals.values()], "J")
    for (_, total), colour in zip(totals.items(), CYCLE, strict=False):
        axes.plot(time * factor, total * scale, color=colour)
    axes.set_xlim(0.0, time[-1] * factor)
    axes.set_xlabel(f"simulated time ({unit})")
    axes.set_ylabel(f"energy ({joule})")
    axes.set_title("Energy absorbed by all cells of a port (bands above: all, 90 %, half of the cells; line: median)")
    axes.figure.canvas.draw()
    ends = [(float(t[-1]) * scale, port, colour) for (port, t), colour in zip(totals.items(), CYCLE, strict=False)]
    label_ends(axes, float(time[-1]) * factor, ends, apart=0.12)
