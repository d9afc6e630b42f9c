"""Reports: one self-contained HTML file that says what was run, what came out, and how to do it again."""

from pathlib import Path

from substrate.errors import ConfigError
from substrate.plots.style import paper_style
from substrate.report.page import Page
from substrate.report.run_sections import run_page
from substrate.report.study_sections import study_page


def write_report(path: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a run file, or of the folder of a study, and return its path.

    ``out`` is by default ``RUN.html`` beside the file, ``report.html`` in the folder. Raises ConfigError and
    RunFileError where there is nothing to report on.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"{path}: there is no such run file or study")
    with paper_style():
        page: Page = study_page(path) if path.is_dir() else run_page(path)
    target = Path(out) if out is not None else path / "report.html" if path.is_dir() else path.with_suffix(".html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page.html(), encoding="utf-8")
    return target
