"""Reports: one file that stands alone, says what was run and how to do it again, and shows in a browser."""

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from substrate.cli import app
from substrate.report import write_report
from substrate.report.page import Page
from substrate.studies.description import Study
from substrate.studies.design import plan_runs
from substrate.studies.table import write_table

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Links(HTMLParser):
    """Everything a page would fetch, and its open tags."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open, self.images = [], [], 0

    def handle_starttag(self, tag, attributes):
        self.images += tag == "img"
        self.fetched += [v for k, v in attributes if k in ("src", "href") and not v.startswith("data:")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(path):
    text = path.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.open == [] and links.fetched == []
    return text, links


def study_folder(folder, **changes):
    content = {
        "schema": 1,
        "kind": "study",
        "base": "digits.toml",
        "title": "A <small> study",
        "repeats": 3,
        "target": "accuracy",
        "above": 0.9,
        "vary": {"line.loss": ["0 dB", "1 dB", "2 dB"], "clock.dwell": ["60 ps", "120 ps"]},
    }
    study = Study.model_validate({**content, **changes})
    (folder / "study.json").write_text(json.dumps({"study": study.model_dump(by_alias=True), "base_sha256": "abc"}))
    rows = []
    for run in plan_runs(study):
        row = {"run": run.number, "point": run.point, "repeat": run.repeat, "seed": run.seed, "status": "ok"}
        row |= {"reason": "", "file": f"runs/{run.name}.h5", **run.values, "ledger_residual": 3e-16}
        rows.append({**row, "accuracy": 0.99 - 0.04 * (run.point % 3) - 0.001 * run.seed})
    rows[-1] |= {"status": "failed", "reason": "too <hot>"}
    del rows[-1]["accuracy"]
    write_table(folder, rows, list(study.vary))
    return folder


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "run.h5"
    small = ["network.layers=[64, 10]", "training.epochs=2", "training.batch=100"]
    options = [part for text in small for part in ("--set", text)]
    done = CliRunner().invoke(app, ["train", str(ROOT / "examples" / "digits.toml"), "--out", str(path), *options])
    assert done.exit_code == 0, done.output
    return path


def test_the_report_of_a_training_run(training):
    done = CliRunner().invoke(app, ["report", str(training)])
    assert done.exit_code == 0 and done.output.strip() == str(training.with_suffix(".html"))
    text, links = read(training.with_suffix(".html"))
    assert links.images >= 5
    assert "test accuracy" in text and "exact backpropagation" in text and "Energy books" in text
    assert "--set &quot;training.epochs=2&quot;" in text  # how to reproduce
    assert "kind = &quot;train&quot;" in text and "No figure" in text


def test_the_report_of_a_circuit(tmp_path):
    out = tmp_path / "line.h5"
    made = CliRunner().invoke(app, ["simulate", str(ROOT / "examples" / "mismatched_line.toml"), "--out", str(out)])
    assert made.exit_code == 0, made.output
    text, links = read(write_report(out))
    assert links.images == 2 and "load.voltage" in text and "substrate simulate mismatched_line.toml" in text


def test_the_report_of_a_study(tmp_path):
    text, links = read(write_report(study_folder(tmp_path)))
    assert links.images == 3  # against each number, map, yield
    assert "A &lt;small&gt; study" in text and "Run 17 failed: too &lt;hot&gt;" in text
    assert "substrate sweep STUDY.toml" in text and "95 %" in text


def test_a_page_is_safe_and_complete():
    page = Page("T", "lead")
    page.warning("<script>")
    page.table(["a"], [["<b>"]])
    text = page.html()
    assert "<script>" not in text and "<b>" not in text


def test_nothing_to_report_on_is_told(tmp_path):
    for path, why in ((tmp_path / "no.h5", "no such run file"), (tmp_path, "holds no study")):
        told = CliRunner().invoke(app, ["report", str(path)])
        assert told.exit_code == 2 and why in told.output


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_the_report(tmp_path):
    page, picture = write_report(study_folder(tmp_path)), tmp_path / "page.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-sync", "--disable-component-update", f"--user-data-dir={tmp_path / 'browser'}"]
    command = [CHROMIUM, *options, "--window-size=1000,2000", f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    seen = imread(picture)[..., :3]
    assert seen.shape[0] >= 1000 and 0.02 < (seen < 0.9).any(axis=2).mean() < 0.7
    assert len(np.unique(seen[::4, ::4].reshape(-1, 3).round(1), axis=0)) > 20  # text, tables and coloured figures
