"""Draws the figures of a run file: learning, waves, reflected power, devices, ledger; of a circuit its traces."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from substrate.plots import chips, devices, learning, ledger, reflected, reflection_map, traces, waves
from substrate.plots.data import MissingData, Run
from substrate.plots.style import paper_style, save
from substrate.record import RunReader

FIGURES: dict[str, Callable[[Run], Figure]] = {
    "learning": learning.draw,
    "waves": waves.draw,
    "reflected": reflected.draw,
    "reflection_map": reflection_map.draw,
    "devices": devices.draw,
    "ledger": ledger.draw,
}
MESH_FIGURES: dict[str, Callable[[Run], Figure]] = {"learning": chips.draw, "phases": chips.draw_phases}
CIRCUIT_FIGURES: dict[str, Callable[[Run], Figure]] = {"traces": traces.draw, "ledger": ledger.draw}


def figures_of(reader: RunReader) -> dict[str, Callable[[Run], Figure]]:
    """The figures of a run file's kind."""
    return {"circuit": CIRCUIT_FIGURES, "mesh": MESH_FIGURES}.get(str(reader.attributes.get("kind", "")), FIGURES)


def plot_run(
    path: str | Path,
    out_dir: str | Path | None = None,
    *,
    pdf: bool = False,
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Draw every figure that a run file, finished or not, has the data for, and return the files written.

    ``out_dir`` is by default a folder beside the file with its name less the ending; ``pdf`` writes each figure as PDF
    too; ``tell`` gets a sentence for each figure left out. Raises RunFileError when the file cannot be read.
    """
    path = Path(path)
    folder = path.with_suffix("") if out_dir is None else Path(out_dir)
    written: list[Path] = []
    with RunReader.open(path) as reader, paper_style():
        run = Run(reader)
        for name, draw in figures_of(reader).items():
            try:
                written += save(draw(run), folder / f"{name}.png", pdf)
            except MissingData as reason:
                tell(f"{path}: no figure {name!r}: {reason}")
    return written
