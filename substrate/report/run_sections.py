"""The report of one run file: outcome, figures, energy books, how it was made and how to make it again."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from substrate.plan import LEDGER
from substrate.plot import figures_of
from substrate.plots.data import MissingData, Run
from substrate.record import RunReader
from substrate.report.page import Page
from substrate.units import format_quantity

CAPTIONS = {
    "learning": "Loss and accuracy while the substrate learns, beside exact backpropagation on the same batches.",
    "waves": "The wave field over depth and time: activations run down, errors run back.",
    "reflected": "Power that the load sends back.",
    "reflection_map": "What every node and every port sends back.",
    "devices": "Values, drives and energy of the devices at the ports.",
    "ledger": "Where the energy went.",
    "traces": "What the probes saw.",
    "phases": "What the light saw at every phase, and the electronic biases.",
}
MESH_LEARNING = "What the chip has learned, epoch by epoch."
JOULES, SECONDS = "_J", "_s"
TOO_LARGE = 1e-9  # a residual of the books above this is a mistake of the simulator


def shown(name: str, value: Any) -> str:
    """A number of a summary with its unit, told by the end of its name.

    >>> shown("energy_per_update_J", 2.5e-12), shown("accuracy", 0.97531), shown("batches", 30)
    ('2.5 pJ', '0.9753', '30')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.endswith(JOULES):
        return format_quantity(value, "energy")
    if name.endswith(SECONDS):
        return format_quantity(value, "time")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def spoken(name: str) -> str:
    """The name of a number of a summary, without its unit.

    >>> spoken("energy_per_update_J")
    'energy per update'
    """
    return name.removesuffix(JOULES).removesuffix(SECONDS).replace("_", " ")


def run_page(path: Path) -> Page:
    """The page of a run file, finished or not; raises RunFileError when it cannot be read."""
    with RunReader.open(path) as reader:
        about, summary = reader.attributes, reader.summary
        circuit = about.get("kind") == "circuit"
        page = Page(str(about.get("title") or path.stem), _lead(path, about), _footer(about))
        if not reader.complete:
            page.warning(f"This run did not come to its end ({reader.status}); what follows is what it had recorded.")
        _outcome(page, summary)
        page.heading("Figures")
        run = Run(reader)
        mesh = about.get("kind") == "mesh"
        for name, draw in figures_of(reader).items():
            try:
                page.figure(draw(run), MESH_LEARNING if mesh and name == "learning" else CAPTIONS[name])
            except MissingData as reason:
                page.paragraph(f"No figure {name!r}: {reason}.")
        _books(page, reader)
        _again(page, path, about, "simulate" if circuit else "train")
    return page


def _lead(path: Path, about: dict[str, Any]) -> str:
    return f"{path.name}, made {about.get('created', 'at an unknown time')} with seed {about.get('seed', '?')}."


def _footer(about: dict[str, Any]) -> str:
    versions = [f"{name.removesuffix('_version')} {about[name]}" for name in about if name.endswith("_version")]
    return " · ".join([*(v for v in versions if not v.startswith("schema")), str(about.get("platform", ""))])


def _outcome(page: Page, summary: dict[str, Any]) -> None:
    """The large numbers, then all of them."""
    large = {"accuracy": "test accuracy", "backprop_accuracy": "exact backpropagation, same batches"}
    numbers = [(f"{100 * summary[key]:.2f} %", what) for key, what in large.items() if summary.get(key) is not None]
    for key, what in {
        "energy_per_update_J": "energy of the waves per update",
        "energy_per_inference_J": "energy per inference",
    }.items():
        if summary.get(key) is not None:
            numbers.append((shown(key, summary[key]), what))
    if "ledger_residual" in summary:
        numbers.append((f"{summary['ledger_residual']:.1e}", "worst residual of the energy books"))
    if numbers:
        page.numbers(numbers)
    if float(summary.get("ledger_residual") or 0.0) > TOO_LARGE:
        page.warning("The energy books do not close: do not trust this run.")
    if summary.get("unsettled_batches"):
        page.warning(f"In {summary['unsettled_batches']} batches the waves had not settled when the devices moved.")
    page.heading("Outcome")
    rows = [[spoken(name), shown(name, value)] for name, value in summary.items() if not _nested(value)]
    page.table(["", ""], rows)
    probes = summary.get("probes", {})
    if probes:
        columns = ("final", "mean", "rms", "min", "max")
        lines = [[name, *(f"{p[c]:.6g} {p['unit']}" if c in p else "" for c in columns)] for name, p in probes.items()]
        page.heading("Probes")
        page.table(["probe", *columns], lines)


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _books(page: Page, reader: RunReader) -> None:
    """Energy by column of the ledger, summed over the run."""
    totals = [(name, f"/ledger/{name}") for name in LEDGER if f"/ledger/{name}" in reader.tables]
    if not totals:
        return
    page.heading("Energy books")
    page.paragraph("Summed over the run and all samples; what comes in, goes out and stays behind closes to rounding.")
    sums = [(name, float(np.sum(reader.read(table)))) for name, table in totals if reader.rows(table)]
    page.table(
        ["column", "energy"], [[name.replace("_", " "), format_quantity(total, "energy")] for name, total in sums]
    )


def _again(page: Page, path: Path, about: dict[str, Any], command: str) -> None:
    """The commands and the file that make the same run."""
    page.heading("How to reproduce")
    if "input" not in about:
        page.paragraph("This run was made from Python; its file does not say how.")
        return
    name = str(about.get("input_name", "input.toml"))
    options = "".join(f" --set {json.dumps(text)}" for text in json.loads(str(about.get("overrides", "[]"))))
    page.code(f"substrate {command} {name}{options} --out {path.name}")
    page.paragraph(f"with {name}:")
    page.code(str(about["input"]))
