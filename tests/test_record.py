"""Run files: what goes in comes out, bit for bit; and every refusal says the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from substrate.errors import RunFileError
from substrate.record import RunReader, RunWriter, Static, TableSpec
from substrate.record.reading import consistency_flags

TABLES = {
    "/devices/w1/value": TableSpec((6, 8), "f8", "S", "conductance of every cell"),
    "/ledger/injected": TableSpec((), "f8", "J", "energy put in"),
    "/probes/flags": TableSpec((2,), "?", "1", "a pair of flags"),
    "/probes/field": TableSpec((3,), "c8", "sqrt(W)", "complex field"),
    "/metrics/never": TableSpec((), "f4", "1", "a table that stays empty"),
}
STATE = {"theta": np.zeros((6, 8)), "tick": np.zeros((), np.int64), "nothing": np.zeros((0, 3), np.float32)}


# -------------------------------------------------------------------------------------------------- writing, reading


def make(path: Path, **options: Any) -> RunWriter:
    options = {"tables": TABLES, "checkpoint": STATE, "attributes": {"seed": 3}, **options}
    return RunWriter.create(path, **options)


@pytest.mark.parametrize("compression", [None, "lzf", "gzip"])
@pytest.mark.parametrize("buffer_bytes", [0, 1 << 14, 1 << 24])
def test_rows_come_back_in_any_mixture_of_appends(tmp_path: Path, compression: str | None, buffer_bytes: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 6, 8))
    rows[rng.random(rows.shape) < 0.01] = np.nan
    path, at = tmp_path / "run.h5", 0
    with make(path, compression=compression, buffer_bytes=buffer_bytes) as run:
        while at < len(rows):
            take = int(rng.choice([1, 1, 7, 300, 900]))
            if take == 1:
                run.append("devices/w1/value", rows[at])
            else:
                run.extend("/devices/w1/value", rows[at : at + take])
            at += take
            assert run.rows("/devices/w1/value") == min(at, len(rows))
            if rng.random() < 0.1:
                run.checkpoint(STATE, {})
        run.finish("complete", {"nan": float("nan"), "big": 2**70, "small": np.float32(0.1)})
    with RunReader.open(path) as reader:
        assert reader.read("/devices/w1/value").tobytes() == rows.tobytes()
        assert reader.read("/devices/w1/value", 10, 20).tobytes() == rows[10:20].tobytes()
        assert reader.read("/devices/w1/value", -5).tobytes() == rows[-5:].tobytes()
        assert reader.read("/devices/w1/value", 20, 10).shape == (0, 6, 8)
        assert reader.read("/metrics/never").shape == (0,)
        assert reader.read("/metrics/never").dtype == np.float32
        assert np.isnan(reader.summary["nan"])
        assert (reader.summary["big"], reader.summary["small"]) == (2**70, float(np.float32(0.1)))
        assert reader.tables == TABLES


def test_a_finished_file_is_plain_hdf5(tmp_path: Path) -> None:
    path, text = tmp_path / "run.h5", "# µ\n" * 50_000  # longer than the 64 KiB of an ordinary attribute
    static = {
        "/devices/w1/initial": Static(np.eye(3), "S", "start"),
        "/probes/depth": Static(np.float64(2), "m", "where"),
    }
    with make(path, attributes={"input": text, "seed": 2**63, "rate": 0.5}, static=static) as run:
        run.append("/ledger/injected", 1.5)
        run.checkpoint(STATE, {})
        run.finish("complete", {"accuracy": 0.5})
    assert consistency_flags(path) == 0
    with h5py.File(path, "r") as file:
        assert file["/ledger/injected"][:] == [1.5]
        assert dict(file["/ledger/injected"].attrs) == {"unit": "J", "description": "energy put in"}
        assert file["/status"][()] == b"complete"
        assert json.loads(file["/summary"][()]) == {"accuracy": 0.5}
        assert file.attrs["input"] == text
    with RunReader.open(path) as reader:
        assert reader.attributes.items() >= {"seed": 2**63, "rate": 0.5, "schema_version": 1, "units": "SI"}.items()
        assert {"created", "command_line", "numpy_version", "hdf5_version"} <= reader.attributes.keys()
        np.testing.assert_array_equal(reader.static["/devices/w1/initial"].value, np.eye(3))
        assert reader.static["/probes/depth"].unit == "m"


def test_size_of_files(tmp_path: Path) -> None:
    with make(tmp_path / "empty.h5") as run:
        run.finish("complete", {})
    assert (tmp_path / "empty.h5").stat().st_size < 300_000  # mostly the three reserved JSON texts
    tables = {f"/ledger/{n}": TableSpec((), "f8", "J", "") for n in range(10)}
    with make(tmp_path / "run.h5", tables=tables) as run:
        for n in range(10):
            run.extend(f"/ledger/{n}", np.arange(20_000.0))
        for _ in range(100):
            run.checkpoint(STATE, {})  # overwrites, does not grow
    assert (tmp_path / "run.h5").stat().st_size < 1.1 * 10 * 20_000 * 8 + 300_000
    with make(tmp_path / "packed.h5", compression="gzip") as run:
        for n in range(100):
            run.append("/ledger/injected", n)
            run.checkpoint(STATE, {})
        run.finish("complete", {})
    assert (tmp_path / "packed.h5").stat().st_size < 300_000
    with RunReader.open(tmp_path / "packed.h5") as reader:
        assert (reader.status, reader.rows("/ledger/injected")) == ("complete", 100)


# ----------------------------------------------------------------------------------------------------------- errors


def test_errors_of_creating(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    make(path).close()
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "exists already.*overwrite"),
        ({"overwrite": True, "compression": "zip"}, "compression must be"),
        ({"overwrite": True, "tables": {"/status": TABLES["/ledger/injected"]}}, "reserved"),
        (
            {"overwrite": True, "tables": dict.fromkeys(("/a", "/a/b"), TABLES["/ledger/injected"])},
            "twice, or also as a group",
        ),
        ({"overwrite": True, "attributes": {"format": "x"}}, "'format' is written by"),
        ({"overwrite": True, "attributes": {"input": "a\0b"}}, "'input' must be"),
        ({"overwrite": True, "checkpoint": {"x": np.array(["a"])}}, "'x' must hold numbers"),
    ]
    for options, message in cases:
        with pytest.raises(RunFileError, match=message):
            make(path, **options)
    with pytest.raises(RunFileError, match=r"folder .* does not exist"):
        make(tmp_path / "no" / "run.h5")
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]  # failures leave nothing behind
    for shape, dtype in (((0,), "f8"), ((), "O"), ((), "S0")):
        with pytest.raises(RunFileError, match="table"):
            TableSpec(shape, dtype, "1", "")


def test_errors_of_writing(tmp_path: Path) -> None:
    with make(tmp_path / "run.h5") as run:
        cases: list[tuple[Callable[[], None], str]] = [
            (lambda: run.append("/ledger/injectd", 1.0), "no table.*did you mean '/ledger/injected'"),
            (lambda: run.append("/devices/w1/value", np.zeros((8, 6))), r"takes shape \(6, 8\), but got \(8, 6\)"),
            (lambda: run.extend("/devices/w1/value", np.zeros((6, 8))), "takes shape"),
            (lambda: run.append("/ledger/injected", 1j), "holds float64, but got complex128"),
            (lambda: run.checkpoint({}, {}), "missing .*'theta'"),
            (
                lambda: run.checkpoint({**STATE, "theta": np.zeros((6, 8), "f4")}, {}),
                r"float64\[6, 8\], but is float32",
            ),
            (lambda: run.checkpoint(STATE, {"x": "y" * 70_000}), "reserved"),
            (lambda: run.checkpoint(STATE, {"x": {1, 2}}), "must be JSON"),
            (lambda: run.finish("done", {}), "status must be"),
        ]
        for action, message in cases:
            with pytest.raises(RunFileError, match=message):
                action()
        run.extend("/ledger/injected", [])
        run.append("/ledger/injected", 1)  # none of the refusals has harmed the writer
        run.finish("complete", {})
        with pytest.raises(RunFileError, match="finished"):
            run.append("/ledger/injected", 1.0)
    run.close()
    with pytest.raises(RunFileError, match="complete, nothing is left to resume"):
        RunWriter.resume(tmp_path / "run.h5")


def test_errors_of_reading(tmp_path: Path) -> None:
    path, other = tmp_path / "run.h5", tmp_path / "other.h5"
    with make(path) as run:
        run.extend("/devices/w1/value", np.zeros((3000, 6, 8)))
        run.finish("complete", {})
    with RunReader.open(path) as reader, pytest.raises(RunFileError, match="did you mean '/metrics/never'"):
        reader.read("/metrics/nevr")
    with pytest.raises(RunFileError, match="no such file"):
        RunReader.open(tmp_path / "missing.h5")
    other.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RunFileError, match="truncated"):
        RunReader.open(other)
    for text in (b"", b"hello"):
        other.write_bytes(text)
        with pytest.raises(RunFileError, match="not a run file"):
            RunReader.open(other)
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(RunFileError, match="not a run file"):
        RunReader.open(other)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(RunFileError, match="schema 99 is newer.*upgrade"):
        RunReader.open(path)


def test_an_exception_marks_the_run_failed_and_it_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run = make(path)
    run.checkpoint(STATE, {"at": 1})
    with pytest.raises(ZeroDivisionError), run:
        run.append("/ledger/injected", 1 / 0)
    with RunReader.open(path) as reader:
        assert reader.status == "failed: ZeroDivisionError: division by zero"
    run, _, scalars = RunWriter.resume(path)
    with run:
        assert scalars == {"at": 1}


# --------------------------------------------------------------------------------------------------------- resuming


def test_resume_twice_keeps_counting_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    make(path).close()
    with pytest.raises(RunFileError, match="no valid checkpoint"):
        RunWriter.resume(path)
    with make(path, overwrite=True) as run:
        run.checkpoint(STATE, {"at": 1})
    for at in (2, 3, 4):
        run, _, scalars = RunWriter.resume(path)
        with run:
            assert scalars == {"at": at - 1}
            run.append("/ledger/injected", at)
            run.checkpoint(STATE, {"at": at})
            run.append("/ledger/injected", -1.0)
    with RunReader.open(path) as reader:
        np.testing.assert_array_equal(reader.read("/ledger/injected"), [2, 3, 4, -1])
        assert reader.attributes["resumes"] == 3
        assert reader.newest_checkpoint().sequence == 4


@pytest.mark.parametrize("damaged", ["newer", "older", "both"])
def test_a_damaged_slot_falls_back_to_the_other(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "run.h5"
    with make(path) as run:
        for at in (1, 2):
            run.append("/ledger/injected", at)
            run.checkpoint({**STATE, "tick": np.asarray(at)}, {"at": at})
    with h5py.File(path, "r+") as file:
        for slot in {"newer": "0", "older": "1", "both": "01"}[damaged]:
            file[f"/checkpoint/{slot}/arrays/theta"][2, 3] = np.nextafter(0, 1)  # one bit
    if damaged == "both":
        with pytest.raises(RunFileError, match="no valid checkpoint"):
            RunWriter.resume(path)
        return
    run, state, scalars = RunWriter.resume(path)
    with run:
        expected = 1 if damaged == "newer" else 2
        assert (int(state["tick"]), scalars["at"], run.rows("/ledger/injected")) == (expected, expected, expected)
