"""The catalogue at the command line: lists, cards, figures, fits, and cards that fits write."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from devices import SoftBounds, card, list_cards
from devices.response import pulse_response
from substrate.cli import app
from tests.training_files import TINY


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 2 and "Traceback" not in result.output, result.output
    return result.stderr


def test_unverified_numbers_are_listed() -> None:
    told = run("devices", "--unverified")
    assert "j_c, mobility" in told and "rram_soft_bounds" not in told
    assert set(json.loads(run("devices", "--unverified", "--json"))) < set(list_cards())
    assert "n_g" in run("media", "--unverified")


def test_media_have_their_own_catalogue() -> None:
    assert set(json.loads(run("media", "--json"))) == set(list_cards("medium"))
    assert "2.73e-07" in run("media", "show", "rg58")
    assert "'rg58' describes a medium; see: substrate media show rg58" in fails("devices", "show", "rg58")
    assert "describes a device; see: substrate devices show" in fails("media", "show", "ideal_gradient")


@pytest.mark.parametrize("name", ["rram_soft_bounds", "thermo_optic_tin_strip", "vteam", "ideal_gradient", "pcm_gst"])
def test_every_kind_of_card_has_a_response_figure(name: str, tmp_path: Path) -> None:
    told = run("devices", "show", name, "--figure", tmp_path / "new" / "response.png")
    assert told.rstrip().endswith("response.png")
    assert (tmp_path / "new" / "response.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    """A measured train of a cell of known numbers, in siemens."""
    cell, rng = SoftBounds(dw_min=0.02, b_min=-0.75, b_max=1.25), np.random.default_rng(0)
    rise = pulse_response(cell, 150, -0.5)
    fall = pulse_response(cell, 150, rise[-1], direction=-1)
    pulse = np.repeat([0, 1, -1], [1, 150, 150])
    value = 40.0 + 20.0 * np.concatenate([rise, fall[1:]]) + 0.05 * rng.standard_normal(301)
    lines = [f"{p},{v}" for p, v in zip(pulse, value, strict=True)]
    (tmp_path / "curves.csv").write_text("\n".join(["# in microsiemens", "pulse,value", *lines]) + "\n")
    return tmp_path / "curves.csv"


def test_a_fit_recovers_a_cell_and_writes_a_card_that_loads(curves: Path, tmp_path: Path) -> None:
    out, figure = tmp_path / "mine.toml", tmp_path / "fit.png"
    told = run("fit", curves, "--model", "soft_bounds", "--card", out, "--figure", figure, "--source", "lab book 7")
    assert "dw_min" in told and "one sigma" in told and figure.stat().st_size > 1000
    found = json.loads(run("fit", curves, "--json"))["values"]
    truth = {"dw_min": 0.4, "b_min": -15.0, "b_max": 25.0, "reference": -40.0}
    for name, value in truth.items():
        assert abs(found[name]["value"] - value) < 4 * found[name]["sigma"], name
        assert found[name]["sigma"] < 0.05 * abs(value), name
    device = card(out)
    assert device.dw_min == pytest.approx(found["dw_min"]["value"])
    assert "lab book 7" in run("devices", "show", out)


def test_other_models_fit_too(curves: Path, tmp_path: Path) -> None:
    assert "scatter" in run("fit", curves, "--model", "tabulated_step", "--figure", tmp_path / "t.png")
    assert "scatter" in run("fit", curves, "--noise", "step", "--figure", tmp_path / "s.png")
    time = np.geomspace(20.0, 1e5, 30)
    rows = [f"{t},{5e-6 * (t / 20) ** -0.06}" for t in time]
    (tmp_path / "drift.csv").write_text("\n".join(["time,conductance", *rows]))
    found = json.loads(run("fit", tmp_path / "drift.csv", "--model", "drift", "--json"))["values"]
    assert found["nu"]["value"] == pytest.approx(0.06)
    assert "scatter" in run("fit", tmp_path / "drift.csv", "--model", "drift", "--figure", tmp_path / "d.png")


def test_fits_explain_what_they_need(curves: Path, tmp_path: Path) -> None:
    assert "nothing fits 'soft_bound'; did you mean 'soft_bounds'" in fails("fit", curves, "--model", "soft_bound")
    assert "cannot be read" in fails("fit", tmp_path / "none.csv")
    assert "needs the columns time and conductance, but has pulse, value" in fails("fit", curves, "--model", "drift")
    assert "leave --card out" in fails("fit", curves, "--model", "drift", "--card", tmp_path / "x.toml")


def test_conditions_outside_the_range_of_a_card_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TINY)
    words = [
        "train",
        "tiny.toml",
        "--quiet",
        "--set",
        "device.card=thermo_optic_tin_strip",
        "--set",
        "training.epochs=1",
    ]
    result = CliRunner().invoke(app, [*words, "--set", "device.conditions.wavelength=1.31e-6"])
    assert result.exit_code == 0, result.output
    assert "wavelength 1.31e-06 m is outside 1.5e-06 to 1.6e-06 m" in result.stderr
    assert "says nothing about 'wavelenth'; did you mean 'wavelength'" in fails(
        *words, "--overwrite", "--set", "device.conditions.wavelenth=1.31e-6"
    )
