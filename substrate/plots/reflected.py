"""Figure ``reflected``: the power that the load sends back, falling as the substrate learns."""

from matplotlib.figure import Figure

from substrate.plots.data import MissingData, Run, median_window, running_median
from substrate.plots.style import GREY, SUBSTRATE, engineering, new_figure, prefix_of


def draw(run: Run) -> Figure:
    """The figure; raises MissingData when no batch was recorded or nothing was ever reflected."""
    time, power = run.columns("/metrics/batch/time", "/metrics/batch/reflected_power", rows=2)
    if not (power > 0.0).any():
        raise MissingData("the load never reflected any power")
    window = median_window(len(power))
    factor, unit = prefix_of([time[-1]], "s")
    figure = new_figure(2.6, 4.6)
    axes = figure.subplots()
    axes.plot(time * factor, power, color=SUBSTRATE, alpha=0.25, linewidth=0.4)
    median = running_median(power, window)
    axes.plot(time * factor, median, color=SUBSTRATE)
    axes.set_yscale("log")
    axes.set_xlim(0.0, time[-1] * factor)
    axes.set_xlabel(f"simulated time ({unit})")
    axes.set_ylabel("reflected power per sample (W)")
    for at, ha, offset in ((0, "left", (4, 4)), (-1, "right", (-2, 8))):
        text = engineering(float(median[at]), "W")
        axes.annotate(text, (time[at] * factor, median[at]), offset, textcoords="offset points", ha=ha, fontsize=7)
    note = f"one thin line per batch; thick: running median of {window}"
    axes.text(0.98, 0.95, note, transform=axes.transAxes, ha="right", va="top", color=GREY, fontsize=7)
    if run.remark:
        axes.set_title(run.remark, color=GREY, loc="right", fontsize=7)
    return figure
