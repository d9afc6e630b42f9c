"""docs/adding-a-device.md keeps its word: the device there is short and trains as the page says, untouched project."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from substrate.cli import app
from substrate.record import RunReader

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "adding-a-device.md").read_text(encoding="utf-8")
CODE, TRAINING = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.S)[1] for kind in ("python", "toml"))  # type: ignore[index]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mydevices.py").write_text(CODE)
    (tmp_path / "my.toml").write_text(TRAINING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.output


def test_the_device_is_short() -> None:
    assert len(CODE.splitlines()) < 40


def test_the_device_of_the_page_trains(folder: Path) -> None:
    code, told = run("train", "my.toml", "--json", "--out", "run.h5")
    assert code == 0, told
    outcome = json.loads(told)
    assert outcome["accuracy"] > 0.8 and outcome["ledger_residual"] < 1e-12
    assert len(outcome["device_cards"]["mydevices.py:LeakyThreshold"]) == 64
    with RunReader.open("run.h5") as reader:
        theta, value = (reader.read(f"/devices/w1.matrix/{name}") for name in ("theta", "value"))
        np.testing.assert_array_equal(theta, value)
        assert reader.read("/devices/w1.matrix/leaked")[-1].any()


def test_a_run_does_not_go_on_with_another_program(folder: Path) -> None:
    from substrate.cli.progress import ProgressLine

    def stop(self: ProgressLine, state: dict[str, float]) -> None:
        if state["batches"] == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressLine, "update", stop)
        assert run("train", "my.toml", "--quiet", "--out", "run.h5", "--set", "record.checkpoint_seconds=0")[0] == 130
    (folder / "mydevices.py").write_text(CODE + "# changed\n")
    code, told = run("train", "--resume", "run.h5")
    assert code == 2 and "a device card has changed since the run began" in told
    (folder / "mydevices.py").write_text(CODE)
    assert run("train", "--resume", "run.h5", "--quiet")[0] == 0


@pytest.mark.parametrize(
    ("model", "program", "told"),
    [
        ("other.py:LeakyThreshold", CODE, "other.py cannot be read (No such file"),
        ("mydevices.py:Leaky", CODE, "has no device 'Leaky'; did you mean 'LeakyThreshold'?; devices there: Leaky"),
        ("mydevices.py:LeakyThreshold", "import nothing_of_this_name", "fails: ModuleNotFoundError"),
        ("mydevices.py:LeakyThreshold", CODE.replace("@dataclass(frozen=True)\n", ""), "must be a dataclass"),
    ],
)
def test_mistakes_are_explained(folder: Path, model: str, program: str, told: str) -> None:
    (folder / "mydevices.py").write_text(program)
    code, output = run("train", "my.toml", "--set", f"device.model={model}")
    assert code == 2 and told in output.replace("\n", " "), output
