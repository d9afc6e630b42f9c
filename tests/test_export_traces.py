"""Traces in the formats of others: NetCDF that its readers open, PWL files that a circuit simulator replays."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file
from typer.testing import CliRunner

from devices import SoftBounds
from substrate import Line
from substrate.cli import app
from substrate.errors import RunFileError
from substrate.export import export_run
from substrate.export.netcdf import write_netcdf
from substrate.export.pwl import export_pwl, find_cells
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import train
from substrate.record import RunReader, TableSpec

DT = 1e-12
COLUMNS = ("value", "absorbed", "saturated", "pulses_up")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with columns of several types."""
    path = tmp_path_factory.mktemp("done") / "run.h5"
    record = RecordSettings(device_every=3, device_columns=COLUMNS)
    settings = TrainSettings(dt=DT, dwell=6 * DT, epochs=1, batch=100, dtype="float32", record=record)
    network = layered([64, 10], line=Line(delay=DT), seed=0)
    cells = SoftBounds(rate=3e9, dw_min=0.01, mode="pulsed")
    train(network, load_dataset("digits", seed=0), cells, settings, out=path, attributes={"title": "A run"})
    return path


def test_netcdf_holds_every_table_with_unit_and_type(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("substrate.export.BLOCK_BYTES", 2 * 640 * 4)  # two samples at a time
    assert export_run(done, tmp_path / "t.nc", every=2) == 3
    with netcdf_file(tmp_path / "t.nc", mmap=False) as file, RunReader.open(done) as reader:
        assert file.dimensions == {
            "time": 3,
            "w1.matrix.row": 10,
            "w1.matrix.column": 64,
            "w1.bias.row": 10,
        }
        assert file.title == b"A run"
        for table, spec in reader.tables.items():
            if table.startswith("/devices/"):
                variable = file.variables[table.removeprefix("/devices/").replace("/", ".")]
                expected = reader.read(table)[::2]
                assert variable.units.decode() == spec.unit and variable.long_name.decode() == spec.description
                np.testing.assert_array_equal(variable.data, expected)
                assert variable.data.dtype.newbyteorder("=") == (np.int8 if spec.dtype == np.uint8 else spec.dtype)


def test_netcdf_opens_in_xarray(done: Path, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is not among the dependencies")
    export_run(done, tmp_path / "t.nc", ports=["w1.matrix"])
    with xarray.open_dataset(tmp_path / "t.nc") as data:
        assert data["w1.matrix.value"].dims == ("time", "w1.matrix.row", "w1.matrix.column")
        assert float(data["time"][-1]) == pytest.approx(12 * 6 * DT)


def test_netcdf_of_wide_tables_and_too_large_ones(done: Path, tmp_path: Path) -> None:
    export_run(done, tmp_path / "m.nc", "batches")
    with netcdf_file(tmp_path / "m.nc", mmap=False) as file, RunReader.open(done) as reader:
        np.testing.assert_array_equal(file.variables["loss"].data, reader.read("/metrics/batch/loss"))
    large = {"time": TableSpec((), "f8", "s", "time"), "w/value": TableSpec((1000, 1000), "f8", "1", "value")}
    with pytest.raises(RunFileError, match="4 GB per variable; thin it out with --every"):
        write_netcdf(tmp_path / "x.nc", large, 1000, lambda name: iter(()), {})
    assert not (tmp_path / "x.nc").exists()


def test_pwl_files_read_back_as_the_cells_traces(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("substrate.export.pwl.BLOCK_BYTES", 1)  # one sample at a time
    words = ["export", str(done), "--to", str(tmp_path / "pwl"), "--cells", "w1.matrix[0,3]", "--cells", "w1.bias[*]"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    paths = result.stdout.split()
    assert len(paths) == 11 and Path(paths[0]).name == "w1.matrix_0_3.value.pwl"
    with RunReader.open(done) as reader:
        time, value = reader.read("/devices/time"), reader.read("/devices/w1.matrix/value")
        bias = reader.read("/devices/w1.bias/value")
    replay = np.loadtxt(paths[0])
    np.testing.assert_array_equal(replay[:, 0], time)
    np.testing.assert_array_equal(replay[:, 1].astype(np.float32), value[:, 0, 3])
    assert np.all(np.diff(replay[:, 0]) > 0)  # what a simulator asks of a PWL source
    np.testing.assert_array_equal(np.loadtxt(paths[5])[:, 1].astype(np.float32), bias[:, 4])
    (pulses,) = export_pwl(done, tmp_path / "more.pwl", ["w1.matrix[9,63]"], "pulses_up")
    assert pulses.name == "w1.matrix_9_63.pulses_up.pwl"
    assert np.all(np.diff(np.loadtxt(pulses)[:, 1]) >= 0)


def test_pwl_reads_no_more_than_a_block_at_a_time(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    read = RunReader.read
    monkeypatch.setattr("substrate.export.pwl.BLOCK_BYTES", 2 * 640 * 4)
    monkeypatch.setattr(RunReader, "read", lambda *args: (sizes.append(len(rows := read(*args))), rows)[1])
    export_pwl(done, tmp_path / "pwl", ["w1.matrix[*,0]"])
    assert max(sizes) == 2 and len(sizes) == 6


def test_cells_that_are_not_there_are_named(done: Path, tmp_path: Path) -> None:
    shapes = {"w1.matrix": (10, 64), "w1.bias": (10,)}
    with pytest.raises(RunFileError, match=r"no cell is called 'w2\[0\]'.*w1.matrix\[10,64\], w1.bias\[10\]"):
        find_cells(["w2[0]"], shapes)
    with pytest.raises(RunFileError, match="needs 2 numbers"):
        find_cells(["w1.matrix[3]"], shapes)
    with pytest.raises(RunFileError, match="the port has 10 there, counted from 0"):
        find_cells(["w1.bias[10]"], shapes)
    with pytest.raises(RunFileError, match="6400 cells would be 6400 files"):
        find_cells(["w"], {"w": (80, 80)})
    with pytest.raises(RunFileError, match="no device recorded a column 'drive'; columns: absorbed, pulses_up"):
        export_pwl(done, tmp_path, ["w1.bias[0]"], "drive")


def test_csv_has_the_columns_that_were_recorded(done: Path, tmp_path: Path) -> None:
    export_run(done, tmp_path / "t.csv", every=4)
    head, first, *_ = (tmp_path / "t.csv").read_text().splitlines()
    assert head.split(",")[:4] == ["time", "port", "row", "column"]
    assert set(head.split(",")[4:]) == set(COLUMNS) and first.startswith("0.0,w1.matrix,0,0,")
