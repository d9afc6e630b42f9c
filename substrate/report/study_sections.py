"""The report of a study: its target against everything that varied, yield, ranking, failures, how to do it again."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.plots.study import map_figure, ranking_figure, target_figure, yield_figure
from substrate.report.page import Page
from substrate.report.run_sections import shown
from substrate.studies.analysis import summarise, values_of, yield_of
from substrate.studies.description import Study
from substrate.studies.running import ABOUT
from substrate.studies.table import read_table

MOST_FAILURES = 20
# Columns that say why a target is what it is, drawn beside it where the runs have them.
ALSO = {
    "gradient_cosine": "Cosine between what ports hear of a batch over a dwell and minus the exact gradient.",
    "settling_s": "Seconds until the waves of a new batch are within 1 % of where they come to rest.",
    "energy_per_update_J": "Joules that sources and gain supply to the waves for one update.",
}


def study_page(folder: Path) -> Page:
    """The page of the folder of a study; raises ConfigError where there is none."""
    if not (folder / ABOUT).exists():
        raise ConfigError(
            f"{folder}: holds no study ({ABOUT}); run one with: substrate sweep STUDY.toml --out {folder}"
        )
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    study, rows = Study.model_validate(about["study"]), read_table(folder)
    targets = values_of(rows, study.target)
    title = study.title or f"Study of {study.base}"
    seeds = "1 seed" if study.repeats == 1 else f"{study.repeats} seeds"
    page = Page(title, f"{len(rows)} runs of {study.base}, method {study.method}, {seeds} for each point.")
    _outcome(page, study, rows, targets)
    page.heading("Figures")
    page.figure(target_figure(study, rows), f"{study.target} against each varied number; every dot is a run.")
    drawn = map_figure(study, rows)
    if drawn is not None:
        page.figure(drawn, f"Mean {study.target} of each point.")
    drawn = yield_figure(study, rows)
    if drawn is not None:
        page.figure(drawn, "Yield with its 95 % interval (Wilson); failed runs count as bad.")
    for column, words in ALSO.items():
        if column != study.target and any(isinstance(row.get(column), float) for row in rows):
            page.figure(target_figure(study.model_copy(update={"target": column, "above": None}), rows), words)
    if study.method == "sensitivity":
        try:
            page.figure(ranking_figure(study, rows), "Which number matters most: Sobol indices of the target.")
        except ConfigError as reason:
            page.warning(str(reason))
    page.heading("Points")
    page.table(*summarise(study, rows))
    _again(page, study, folder, about)
    return page


def _outcome(page: Page, study: Study, rows: list[dict[str, Any]], targets: np.ndarray) -> None:
    failures = [row for row in rows if row["status"] != "ok"]
    numbers = [(str(len(rows)), "runs"), (str(len(failures)), "failed")]
    if len(targets):
        numbers += [
            (f"{np.nanmean(targets):.4g}", f"mean {study.target}"),
            (f"{np.nanmax(targets):.4g}", f"best {study.target}"),
        ]
    if study.above is not None:
        share, low, high = yield_of(int((targets >= study.above).sum()), len(rows))
        numbers.append((f"{share:.0%}", f"{study.target} ≥ {study.above:g} (95 %: {low:.0%} to {high:.0%})"))
    page.numbers(numbers)
    residuals = [row.get("ledger_residual", 0.0) for row in rows if row["status"] == "ok"]
    worst = max((value for value in residuals if isinstance(value, float)), default=0.0)
    page.paragraph(f"The energy books of every run closed to {shown('residual', float(worst))} or better.")
    for row in failures[:MOST_FAILURES]:
        page.warning(f"Run {row['run']:.0f} failed: {row['reason']}")
    if len(failures) > MOST_FAILURES:
        page.warning(f"... and {len(failures) - MOST_FAILURES} more; table.csv has them all.")


def _again(page: Page, study: Study, folder: Path, about: dict[str, Any]) -> None:
    page.heading("How to reproduce")
    page.code(f"substrate sweep STUDY.toml --out {folder.name}\nsubstrate report {folder.name}")
    page.paragraph(f"with this study, and {study.base} of SHA-256 {about['base_sha256']}:")
    page.code(json.dumps(about["study"], indent=1))
    page.paragraph("Every run has its own file in runs/; each repeats alone with the command its own report gives.")
