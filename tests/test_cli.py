"""The command line as a user meets it: a small run from training file to exports, and mistakes that are explained."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from substrate.cli import app
from substrate.cli.progress import ProgressLine
from substrate.record import RunReader
from tests.training_files import TINY

ROOT = Path(__file__).resolve().parent.parent


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def fails(*words: str | Path, code: int = 2) -> str:
    result = run(*words)
    assert result.exit_code == code and result.stdout == "", result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished small run."""
    folder = tmp_path_factory.mktemp("done")
    (folder / "tiny.toml").write_text(TINY)
    assert run("train", folder / "tiny.toml", "--out", folder / "tiny.h5", "--quiet").exit_code == 0
    return folder / "tiny.h5"


def contents(path: Path) -> dict[str, Any]:
    """Everything in a finished run file that must not depend on how often it was interrupted."""
    with RunReader.open(path) as reader:
        assert reader.complete
        summary = {key: value for key, value in reader.summary.items() if key != "wall_s"}
        arrays, scalars = reader.checkpoint()
        scalars.pop("wall")
        tables = {name: reader.read(name).tobytes() for name in reader.tables}
    return {"summary": summary, "state": {k: v.tobytes() for k, v in arrays.items()}, "at": scalars, **tables}


def test_json_is_all_there_is_on_stdout(file: Path) -> None:
    result = run("train", file, "--json", "--out", "new/folder/run.h5")
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    wanted = (
        "accuracy backprop_accuracy gradient_error ledger_residual round_trips_per_batch energy_per_update_J wall_s"
    )
    assert all(isinstance(outcome[key], float) for key in wanted.split())
    assert outcome["round_trips_per_batch"] == 2.0 and outcome["ledger_residual"] < 1e-12
    assert outcome["out"] == "new/folder/run.h5" and len(outcome["device_cards"]["ideal_gradient"]) == 64


def test_without_out_the_run_goes_to_the_folder_runs(file: Path) -> None:
    result = run("train", file, "--set", "training.epochs=1")
    assert result.exit_code == 0 and "test accuracy" in result.stdout and "2 round trips" in result.stdout
    told = fails("train", file)
    assert told == "error: runs/tiny.h5: exists already; --overwrite replaces it, --out gives another name\n"
    assert run("train", file, "--overwrite", "--quiet").stdout == ""
    with RunReader.open("runs/tiny.h5") as reader:
        about = reader.attributes
        assert about["input"] == TINY and about["title"] == "tiny" and json.loads(str(about["overrides"])) == []
        assert reader.rows("/metrics/epoch/time") == 2


def test_overrides_and_backend_reach_the_run(file: Path) -> None:
    words = ["-s", "training.epochs=1", "-s", "line.loss=0.3 dB", "--backend", "reference", "-s", "training.batch=600"]
    assert run("train", file, "-o", "run.h5", "-q", *words).exit_code == 0
    about = json.loads(run("info", "run.h5", "--json").stdout)
    assert "training.backend=reference" in about["attributes"]["overrides"]
    assert about["tables"]["/ledger/dissipated_lines"]["rows"] == 2
    with RunReader.open("run.h5") as reader:
        assert reader.read("/ledger/dissipated_lines").min() > 0.0


def test_an_interrupted_run_goes_on_bit_for_bit(file: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = ProgressLine.update

    def stop_at_7(self: ProgressLine, state: dict[str, float]) -> None:
        update(self, state)
        if state["batches"] == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressLine, "update", stop_at_7)
        result = run("train", file, "--out", "run.h5", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "note: stopped; to go on: substrate train --resume run.h5\n"
    about = json.loads(run("info", "run.h5", "--json").stdout)
    assert about["status"] == "interrupted" and about["batches_done"] == 6
    assert about["resume"] == "substrate train --resume run.h5"
    assert "To go on: substrate train --resume run.h5" in run("info", "run.h5").stdout
    assert "to go on with it: substrate train --resume run.h5" in fails("train", file, "--out", "run.h5")
    file.unlink()  # a run file needs no other
    assert run("train", "--resume", "run.h5", "--quiet").exit_code == 0
    assert contents(Path("run.h5")) == contents(done)


def test_resuming_takes_everything_from_the_file(file: Path, done: Path) -> None:
    assert "the run is complete, nothing is left to resume" in fails("train", "--resume", done)
    assert fails("train", "--resume", done, "-s", "seed=1") == (
        f"error: --resume takes everything from {done}; leave out --set or --backend\n"
    )


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "my.npz", x=rng.normal(size=(600, 64)), y=np.arange(600) % 10)

    def stop(self: ProgressLine, state: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressLine, "update", stop)
        run("train", file, "--out", "run.h5", "-s", "data.dataset=my.npz")
    np.savez(tmp_path / "my.npz", x=rng.normal(size=(600, 64)), y=np.arange(600) % 10)
    assert "the data set has changed since the run began" in fails("train", "--resume", "run.h5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_that_goes_on(file: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "substrate", "train", str(file), "--out", "run.h5", "-s", "training.epochs=500"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as child:
        while not Path("run.h5").exists():
            assert child.poll() is None, child.communicate()
            time.sleep(0.02)
        time.sleep(0.3)
        child.send_signal(number)
        _, told = child.communicate(timeout=60)
    assert (child.returncode, told) == (128 + number, "note: stopped; to go on: substrate train --resume run.h5\n")
    assert json.loads(run("info", "run.h5", "--json").stdout)["status"] == "interrupted"


def test_a_run_killed_before_its_first_checkpoint_starts_again(file: Path, done: Path) -> None:
    script = (
        "import os, sys; from substrate.record import RunWriter; RunWriter.checkpoint = lambda *_: os._exit(9); "
        "from substrate.cli import main; sys.argv = ['substrate', 'train', 'tiny.toml', '--out', 'run.h5']; main()"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", script], env=environment).returncode == 9
    assert json.loads(run("info", "run.h5", "--json").stdout)["batches_done"] is None
    assert run("train", "--resume", "run.h5", "-q").exit_code == 0
    assert contents(Path("run.h5")) == contents(done)


def test_the_unforeseen_shows_its_place_only_when_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ProgressLine, state: dict[str, float]) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(ProgressLine, "update", broken)
    told = fails("train", file, code=1)
    assert told.startswith("error: unexpected ZeroDivisionError: by zero. This is a bug")
    assert isinstance(run("--debug", "train", file, "--overwrite").exception, ZeroDivisionError)


def test_info_tells_what_was_run(done: Path) -> None:
    told = run("info", done).stdout
    for words in ("tiny", "complete", "64-10", "/devices/w1.matrix/value", "10x64", "test accuracy", "ideal_gradient"):
        assert words in told
    about = json.loads(run("info", done, "--json").stdout)
    assert about["resume"] is None and about["tables"]["/devices/time"] == {
        "rows": 7,
        "shape": [],
        "dtype": "float64",
        "unit": "s",
        "description": "simulated time of the sample",
    }


def test_csv_holds_the_numbers_of_the_run(done: Path, tmp_path: Path) -> None:
    told = run("export", done, "--devices", "--to", tmp_path / "traces.csv").stdout
    assert told == f"{tmp_path / 'traces.csv'}: devices, 7 samples\n"
    with open(tmp_path / "traces.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    with RunReader.open(done) as reader:
        for port, cells in (("w1.matrix", 640), ("w1.bias", 10)):
            mine = [line for line in lines if line["port"] == port]
            for kind in ("value", "drive", "absorbed"):
                numbers = np.array([float(line[kind]) for line in mine]).reshape(7, cells)
                assert np.array_equal(numbers, reader.read(f"/devices/{port}/{kind}").reshape(7, cells))
            times = np.array([float(line["time"]) for line in mine]).reshape(7, cells)
            assert np.array_equal(times[:, 0], reader.read("/devices/time"))
        one = next(line for line in lines if (line["port"], line["row"], line["column"]) == ("w1.matrix", "3", "5"))
        assert float(one["value"]) == reader.read("/devices/w1.matrix/value")[0, 3, 5]
    assert {line["column"] for line in lines if line["port"] == "w1.bias"} == {""}


def test_npz_holds_the_arrays_of_the_run(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("substrate.export.BLOCK_BYTES", 2 * 640 * 8)  # two samples at a time
    words = ["--port", "w1.m*", "--every", "3", "--to", tmp_path / "traces.npz"]
    assert run("export", done, *words).exit_code == 0
    with np.load(tmp_path / "traces.npz") as archive, RunReader.open(done) as reader:
        assert sorted(archive.files) == ["time", "w1.matrix/absorbed", "w1.matrix/drive", "w1.matrix/value"]
        assert np.array_equal(archive["time"], reader.read("/devices/time")[::3])
        assert np.array_equal(archive["w1.matrix/value"], reader.read("/devices/w1.matrix/value")[::3])


@pytest.mark.parametrize(
    ("what", "group"), [("metrics", "/metrics/epoch"), ("batches", "/metrics/batch"), ("ledger", "/ledger")]
)
def test_wide_tables_name_their_units(done: Path, tmp_path: Path, what: str, group: str) -> None:
    assert run("export", done, f"--{what}", "--to", tmp_path / "t.csv").exit_code == 0
    with open(tmp_path / "t.csv", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header[0] == "time [s]"
    with RunReader.open(done) as reader:
        for index, title in enumerate(header):
            name, _, unit = title.removesuffix("]").partition(" [")
            assert unit == reader.tables[f"{group}/{name}"].unit
            column = np.array([float(row[index]) for row in rows])
            assert np.array_equal(column, reader.read(f"{group}/{name}"), equal_nan=True)


def test_export_explains_itself(done: Path, tmp_path: Path) -> None:
    to = tmp_path / "t.csv"
    assert "no port fits 'w2.*'; the ports are w1.matrix, w1.bias" in fails(
        "export", done, "--to", to, "--port", "w2.*"
    )
    assert "must end in .csv, .npz or .nc" in fails("export", done, "--to", tmp_path / "t.txt")
    assert "--metrics, --ledger: one file holds one kind of table" in fails(
        "export", done, "--to", to, "--metrics", "--ledger"
    )
    assert "ports belong to devices and probes; ledger has none" in fails(
        "export", done, "--to", to, "--ledger", "--port", "w1*"
    )
    assert not list(tmp_path.iterdir())


def test_mistakes_are_told_in_one_line(file: Path) -> None:
    cases = {
        "error: name a training file": [],
        "error: nope.toml: there is no such file": ["nope.toml"],
        "error: There is no backend 'cuda'; the backends are": [file, "--backend", "cuda"],
        "error: device: no card is called 'ideal_gradent'; did you mean 'ideal_gradient'?": [
            file,
            "-s",
            "device.card=ideal_gradent",
        ],
        "error: device.parameters: card 'rram_soft_bounds' has no parameter 'dwmin'; did you mean 'dw_min'?": [
            file,
            *("-s", "device.card=rram_soft_bounds", "-s", "device.parameters.dwmin=3"),
        ],
        "error: Line 'line1' must last at least one step": [file, "-s", "line.delay=0.1 ps"],
        "error: Data set 'digits' has 64 numbers per sample": [file, "-s", "network.layers=[32, 10]"],
        "error: --set line.lss=1: [line] unknown key 'lss'; did you mean 'loss'?": [file, "-s", "line.lss=1"],
    }
    for message, words in cases.items():
        told = fails("train", *words)
        assert told.startswith(message) and told.count("\n") == 1, told
    assert not Path("runs/tiny.h5").exists()
    assert fails("info", file).startswith(f"error: {file}: not a run file")


def test_devices_are_chosen_by_card_or_model(file: Path) -> None:
    words = ["-s", "training.epochs=1", "-q", "--overwrite", "-o", "run.h5"]
    momentum = ["-s", "device.parameters.time_constant=10 ps"]
    assert run("train", file, *words, "-s", "device.card=ideal_momentum", *momentum).exit_code == 0
    bias = ["-s", "device.bias.model=ideal_gradient", "-s", "device.bias.rate=5e10 1/s"]
    assert run("train", file, *words, "-s", "device.card=rram_soft_bounds", *bias).exit_code == 0
    wrong = fails(
        "train", file, *words, "-s", "device.card=ideal_momentum", "-s", "device.parameters.time_constant=3 dB"
    )
    assert wrong.startswith("error: device.parameters.time_constant: expected a time such as")


def test_unread_numbers_are_noted_beside_the_answer(file: Path) -> None:
    from devices.cards import list_cards, load_card

    cards = [load_card(name) for name in list_cards()]
    unread = [card.id for card in cards if [n for n in card.unverified if not n.startswith("facts.")]]
    rated = [name for name in unread if "rate" in load_card(name).params]
    if not rated:
        pytest.skip("every card with a rate has been read")
    result = run("train", file, "-s", f"device.card={rated[0]}", "-s", "training.epochs=1", "--json", "-o", "run.h5")
    assert json.loads(result.stdout)["device_cards"]
    assert result.stderr.startswith(f"note: card {rated[0]!r} has numbers nobody has read in a source yet: ")
    assert result.stderr.count("\n") == 1


def test_the_catalogue_is_listed() -> None:
    assert "rram_soft_bounds" in run("devices").stdout
    cards = json.loads(run("devices", "--json").stdout)
    assert cards["ideal_gradient"]["verified"] is True
    unverified = json.loads(run("devices", "--unverified", "--json").stdout)
    assert all(card["unverified"] for card in unverified.values())
    shown = run("devices", "show", "rram_soft_bounds").stdout
    assert all(word in shown for word in ("dw_min", "0.002", "aihwkit", "seen", "30 %, normal"))
    assert "did you mean 'rram_soft_bounds'?" in fails("devices", "show", "rram_soft_bound")


def test_the_rest_of_the_commands() -> None:
    assert run("--version").stdout.startswith("wave-substrate ")
    assert "cpu" in json.loads(run("backends", "--json").stdout)["available"]
    assert "train" in run("--help").stdout


def test_help_is_quick() -> None:
    script = (
        "import sys, time; start = time.perf_counter(); import substrate.cli; seconds = time.perf_counter() - start; "
        "print(seconds, *sorted({'rich', 'h5py', 'pydantic', 'numba', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = [
        subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert all(loaded == [] for _, *loaded in done)
    assert min(float(seconds) for seconds, *_ in done) < 0.5
