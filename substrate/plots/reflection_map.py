"""Figure ``reflection_map``: what every node and every port sends back, against time, as a map."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run
from substrate.plots.style import GREY, new_figure, prefix_of

DECADES = 6  # of the colour scale, at most


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when the port waves were not recorded."""
    lines = [name.split("/")[2] for name in run.names("/reflections")]
    ports = [name.split("/")[2] for name in run.names("/devices") if name.endswith("/reflected")]
    if not (lines and ports):
        raise MissingData('port waves were not recorded; put "reflected" into record.device_columns')
    tables = [f"/reflections/{line}" for line in lines] + [f"/devices/{port}/reflected" for port in ports]
    time, *columns = run.columns("/devices/time", *tables, rows=2)
    nodes = np.array(columns[: len(lines)])
    waves = [column.reshape(len(time), -1) for column in columns[len(lines) :]]
    sent_back = np.array([(wave**2).sum(axis=1) for wave in waves])
    factor, unit = prefix_of([time[-1]], "s")
    figure = new_figure(0.26 * (len(lines) + len(ports)) + 1.7)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(len(lines), len(ports)))
    _map(upper, time * factor, nodes, lines, "W per sample")
    _map(lower, time * factor, sent_back, ports, "loss per second (1/s)")
    upper.set_title("Power that the node at the far end of each line sends back")
    lower.set_title("Power that the ports of each parameter reflect")
    lower.set_xlabel(f"simulated time ({unit})")
    if run.remark:
        upper.set_title(run.remark, color=GREY, loc="right", fontsize=7)
    return figure


def _map(axes: Axes, time: np.ndarray, power: np.ndarray, names: list[str], unit: str) -> None:
    """One row of colour per name."""
    if not (power > 0.0).any():
        axes.text(0.5, 0.5, "nothing: every port is its device's own resistance", transform=axes.transAxes, ha="center")
        axes.set_yticks([])
        return
    high = float(power.max())
    low = max(float(power[power > 0.0].min()), high * 10.0**-DECADES)
    rows = np.arange(len(names) + 1) - 0.5
    edges = np.concatenate([[time[0]], (time[1:] + time[:-1]) / 2.0, [time[-1]]])
    shown = np.clip(power, low, None)
    mesh = axes.pcolormesh(edges, rows, shown, norm=LogNorm(low, max(high, low * 1.01)), cmap="magma", rasterized=True)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.figure.colorbar(mesh, ax=axes, label=unit, pad=0.01)
