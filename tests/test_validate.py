"""`substrate validate`: every case passes, the page lists each one, a failing case fails the command."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from substrate.backends import available
from substrate.cli import app
from substrate.cli.device_cases import device_cases
from substrate.cli.validate import page
from substrate.errors import ConfigError
from substrate.validation import FAILED, PASSED, SKIPPED, Case, Measured, Skipped, all_cases, run_case, run_cases

ROOT = Path(__file__).resolve().parent.parent
CASES = [*all_cases(), *device_cases()]
# Every problem of the sections on lines, resonators, nonlinear elements and noise.
PROMISED = {f"V{n}" for n in range(1, 36)} - {f"V{n}" for n in (5, 6, 9, 12, 13, 17, 21, 22, 33)}


@pytest.mark.parametrize("item", CASES, ids=lambda item: f"{item.name}-{item.quantity[:40]}")
def test_case(item):
    result = run_case(item, "cpu")
    assert result.status in (PASSED, SKIPPED), result
    if result.status == SKIPPED:
        assert "not installed" in result.reason
        pytest.skip(result.reason)


@pytest.mark.parametrize("name", [name for name in available() if name != "cpu"])
def test_cases_on_other_backends(name):
    """The cheap cases that run the engine, on every backend there is."""
    chosen = ["V1", "V2", "V4", "V7", "V11", "V14", "V16", "V24", "V32", "V37", "V41", "V42"]
    results = [run_case(item, name) for item in CASES if item.name in chosen and "sax" not in item.quantity]
    assert len(results) > len(chosen)
    assert [result for result in results if result.status != PASSED] == []


def test_every_promised_case_is_there():
    assert {item.name for item in CASES} >= PROMISED
    assert all(len(item.theory) > 10 for item in CASES), "a case without its derivation or source"
    keys = [(item.name, item.quantity) for item in CASES]
    assert len(set(keys)) == len(keys)


def test_a_wrong_answer_fails():
    right = next(item for item in CASES if item.name == "V1")
    wrong = dataclasses.replace(right, compute=lambda backend: np.asarray(right.compute(backend)) * 1.02)
    assert run_case(wrong, "cpu").status == FAILED
    nothing = dataclasses.replace(right, compute=lambda backend: np.full(4, np.nan))
    assert run_case(nothing, "cpu").status == FAILED


def test_what_a_case_may_do():
    def skipping(backend):
        raise Skipped("not installed: nothing")

    def refusing(backend):
        raise ConfigError("no such thing")

    assert run_case(Case("X", "x", 1.0, 0.0, skipping), "cpu").status == SKIPPED
    assert run_case(Case("X", "x", 1.0, 0.0, refusing), "cpu").reason == "no such thing"
    assert run_case(Case("X", "x", 1.0, 0.0, lambda backend: Measured(1.4, 0.5)), "cpu").status == PASSED
    assert run_case(Case("X", "x", lambda: 2.0, 0.01, lambda backend: 2.01, relative=True), "cpu").status == PASSED
    with pytest.raises(ConfigError, match="no validation case 'V999'; the cases are V1"):
        run_cases(only="V999")


def test_command_prints_json_and_a_table():
    runner = CliRunner()
    done = runner.invoke(app, ["validate", "--only", "V3", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["counts"] == {"passed": 3, "failed": 0, "skipped": 0}
    assert {"case", "expected", "got", "error", "tolerance", "seconds"} <= set(found["cases"][0])
    done = runner.invoke(app, ["validate", "--only", "V3"])
    assert done.exit_code == 0
    assert "3 passed, 0 failed, 0 skipped" in done.stdout
    assert "three equal lines" in done.stdout
    assert runner.invoke(app, ["validate", "--only", "V999"]).exit_code == 2


def test_a_failing_case_is_exit_code_1(monkeypatch):
    from substrate.cli import validate

    bad = Case("bad", "one is two", 2.0, 0.0, lambda backend: 1.0, theory="There is none.")
    monkeypatch.setattr(validate, "run_cases", lambda backend, only, extra: [run_case(bad, backend)])
    done = CliRunner().invoke(app, ["validate"])
    assert done.exit_code == 1
    assert "outside the tolerance" in done.stdout


def test_the_page_of_the_docs_lists_every_case():
    text = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    missing = [f"{item.name} {item.quantity}" for item in CASES if item.quantity.replace("|", "\\|") not in text]
    assert not missing, "make it again: substrate validate --markdown docs/validation.md"
    assert "| failed |" not in text


def test_the_page_is_stable():
    """Two runs write the same page: no times, no digits of rounding."""
    first, second = (page(run_cases(only="V3")) for _ in range(2))
    assert first == second


def test_ngspice_is_used_where_it_is():
    spice = [item for item in CASES if "ngspice" in item.quantity]
    assert len(spice) == 3
    statuses = {run_case(item, "cpu").status for item in spice}
    assert statuses == ({PASSED} if shutil.which("ngspice") else {SKIPPED})
