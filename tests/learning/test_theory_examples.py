"""Runs tiny versions of the scripts of docs/theory.md: forms.py, stability_map.py, pendulum.py, two_level.py."""

import json

import pytest
from matplotlib.image import imread

from tests.test_examples import run_example

TINY = {
    "forms.py": ["--layers", "4", "3", "2", "--ticks", "600"],
    "stability_map.py": ["--steps", "300", "--directions", "1", "--thin", "3"],
    "pendulum.py": ["--steps", "20", "--tolerance", "1e-4"],
    "two_level.py": ["--steps", "20", "--limit", "9000", "--starts", "1"],
}


@pytest.mark.parametrize("script", TINY)
def test_it_runs_and_draws(script, tmp_path):
    options = [*TINY[script], "--figure", "out/figure.png", "--results", "out/results.json"]
    assert "wrote" in run_example(script, options, tmp_path)
    assert imread(tmp_path / "out" / "figure.png").std() > 0.01
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    if script == "forms.py":
        assert {row["form"] for row in rows} == {"Matched meshes", "Transformers", "LC ladder"}
        assert rows[0]["error"] < 1e-13
    elif script == "stability_map.py":
        assert all(row["settles"] + row["rings"] + row["runs away"] == pytest.approx(1.0) for row in rows)
    else:
        assert rows[0]["cost"] == pytest.approx(rows[0]["direct"], rel=0.01)  # within 1 % of the reference solver
