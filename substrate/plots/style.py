"""The one style of all figures: sizes, colours, axes with units and engineering prefixes, saving."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH = 7.0  # inches, the text width of a page
DPI = 200

# Okabe & Ito 2008: told apart by readers with any colour vision.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GREY, PALE = "#7F7F7F", "#D0D0D0"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW)
SUBSTRATE, DIGITAL = BLUE, ORANGE  # what the substrate does, and digital training beside it

PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}


@contextmanager
def paper_style() -> Iterator[None]:
    """Within, Matplotlib draws in the house style; the caller's own settings come back afterwards."""
    settings: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "axes.titlesize": 8.0,
        "axes.titlelocation": "left",
        "axes.labelsize": 8.0,
        "xtick.labelsize": 7.0,
        "ytick.labelsize": 7.0,
        "legend.fontsize": 7.0,
        "legend.frameon": False,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.direction": "out",
        "ytick.direction": "out",
        "lines.linewidth": 1.2,
        "axes.prop_cycle": cycler(color=CYCLE),
        "savefig.dpi": DPI,
        "figure.dpi": DPI,
        "pdf.fonttype": 42,  # text stays text
    }
    with mpl.rc_context(settings):
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches, that belongs to no window and to no global list."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path, pdf: bool = False) -> list[Path]:
    """Write ``path`` (PNG), and the same beside it as PDF; return what was written."""
    paths = [path, *([path.with_suffix(".pdf")] if pdf else [])]
    path.parent.mkdir(parents=True, exist_ok=True)
    for target in paths:
        figure.savefig(target)
    return paths


def prefix_of(values: Any, unit: str) -> tuple[float, str]:
    """The factor and the unit text with which the largest of ``values`` (SI) reads as 1 to 1000.

    >>> prefix_of([2e-10, 5e-8], "s")
    (1000000000.0, 'ns')
    """
    finite = np.abs(np.asarray(values, dtype=float).ravel())
    finite = finite[np.isfinite(finite)]
    largest = float(finite.max(initial=0.0))
    if largest == 0.0:
        return 1.0, unit
    power = 3 * int(np.floor(np.log10(largest) / 3.0 + 1e-9))
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return 10.0**-power, PREFIXES[power] + unit


def engineering(value: float, unit: str) -> str:
    """A number with three digits and its prefixed unit.

    >>> engineering(1.332e-9, "J")
    '1.33 nJ'
    """
    factor, text = prefix_of([value], unit)
    return f"{value * factor:.3g} {text}"


def panel_title(axes: Axes, letter: str, text: str) -> None:
    """Letter and title of a panel, at its upper left."""
    axes.set_title(f"{letter}   {text}")


def label_ends(axes: Axes, x: float, labels: Sequence[tuple[float, str, str]], apart: float = 0.07) -> None:
    """Write texts beside curve ends: ``(y, text, colour)``, moved apart by a share of the axis where they meet."""
    to_axes = axes.transData + axes.transAxes.inverted()
    places = [float(to_axes.transform((x, y))[1]) for y, _, _ in labels]
    order = np.argsort(places)
    height = -np.inf
    heights = {}
    for index in order:
        height = max(places[index], height + apart)
        heights[int(index)] = height
    over = max(heights.values(), default=0.0) - 1.0
    shift = max(0.0, over)
    for index, (_, text, colour) in enumerate(labels):
        axes.annotate(
            text,
            (1.0, heights[index] - shift),
            xycoords="axes fraction",
            xytext=(4, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=7.0,
            annotation_clip=False,
        )
