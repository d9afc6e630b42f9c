"""Figures of a run file: complete, killed, empty; and the wave field between device ticks is exact."""

import contextlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from devices import Momentum
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import train
from substrate.network import Line
from substrate.plot import FIGURES, plot_run
from substrate.plots import waves
from substrate.plots.data import MissingData, Run
from substrate.plots.style import DPI
from substrate.record import RunReader, RunWriter, TableSpec

COLUMNS = ("value", "drive", "absorbed", "reflected")
ROOT = Path(__file__).resolve().parent.parent
DT = 1e-12
INCHES = {
    "learning": (7.0, 2.7),
    "waves": (7.0, 4.0),
    "reflected": (4.6, 2.6),
    "reflection_map": (7.0, 3.26),
    "devices": (7.0, 6.3),
    "ledger": (6.0, 4.2),
}

LOSSES = [
    ("learning", "/metrics/epoch/time"),
    ("learning", "/metrics/epoch/test_accuracy"),
    ("learning", "/metrics/epoch/test_loss"),
    ("learning", "/metrics/batch/loss"),
    ("waves", "/field/time"),
    ("waves", "/field/line2/backward"),
    ("waves", "/metrics/batch/time"),
    ("reflected", "/metrics/batch/reflected_power"),
    ("reflection_map", "/reflections/line1"),
    ("reflection_map", "/devices/w1.matrix/reflected"),
    ("devices", "/devices/w1.matrix/drive"),
    ("devices", "/devices/time"),
    ("ledger", "/ledger/residual"),
    ("ledger", "/metrics/batch/time"),
]

KILLED = """
import os, signal, sys
from devices import Gradient
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import train
from substrate.network import Line

def kill(now):
    if now["batches"] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

record = RecordSettings(device_every=2, checkpoint_seconds=0.0)
settings = TrainSettings(dt=1e-12, dwell=24e-12, epochs=2, batch=50, record=record)
device = Gradient(rate=0.3 / 24e-12)
train(layered([64, 10], line=Line(2e-12)), "digits", device, settings, out=sys.argv[1], progress=kill)
"""


def small_run(path: Path, rate: float = 0.3, **settings: float) -> None:
    """Two epochs of 64-8-10 on lines of two and three ticks."""
    dwell = 24 * DT
    network = layered([64, 8, 10], line=[Line(2 * DT, loss_db=0.5, temperature=300.0), Line(3 * DT)])
    record = RecordSettings(device_every=5, device_columns=COLUMNS)
    made = TrainSettings(dt=DT, dwell=dwell, epochs=2, batch=50, record=record, **settings)
    train(network, "digits", Momentum(rate=rate / dwell, time_constant=dwell), made, out=path)


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("complete") / "run.h5"
    small_run(path)
    return path


def killed_run(path: Path, batches: int) -> None:
    command = [sys.executable, "-c", KILLED, str(path), str(batches)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr


def pixels(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def check_picture(path: Path) -> None:
    """Of the size it should have, and with something drawn in more than one colour."""
    shape = np.array(pixels(path)) / DPI
    if path.stem in ("learning", "ledger", "reflected"):
        np.testing.assert_allclose(shape, INCHES[path.stem], atol=0.01)
    picture = imread(path)[..., :3]
    inked = (picture < 0.99).any(axis=2)
    assert inked.mean() > 0.01
    assert len(np.unique(picture[inked].round(1), axis=0)) > 5


def test_a_complete_run_has_every_figure(complete: Path, tmp_path: Path) -> None:
    said: list[str] = []
    written = plot_run(complete, tmp_path / "figures", pdf=True, tell=said.append)
    assert said == []
    assert [path.name for path in written] == [f"{name}.{end}" for name in FIGURES for end in ("png", "pdf")]
    for path in written:
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")
        else:
            check_picture(path)
            np.testing.assert_allclose(np.array(pixels(path)) / DPI, INCHES[path.stem], atol=0.01)


def test_figures_lie_beside_the_file_by_default(complete: Path) -> None:
    written = plot_run(complete)
    assert {path.parent for path in written} == {complete.with_suffix("")}


def test_a_killed_run_has_every_figure(tmp_path: Path) -> None:
    """Killed in its second epoch, so that every table has rows, and none is finished."""
    killed_run(tmp_path / "run.h5", 33)
    said: list[str] = []
    written = plot_run(tmp_path / "run.h5", tell=said.append)
    assert len(said) == 1 and "port waves were not recorded" in said[0]
    assert [path.stem for path in written] == [name for name in FIGURES if name != "reflection_map"]
    for path in written:
        check_picture(path)


def test_a_run_killed_at_once_leaves_out_what_it_lacks(tmp_path: Path) -> None:
    killed_run(tmp_path / "run.h5", 1)
    said: list[str] = []
    written = plot_run(tmp_path / "run.h5", tell=said.append)
    assert len(written) + len(said) == len(FIGURES)
    assert said
    assert all("no figure" in sentence for sentence in said)


@pytest.mark.parametrize("tables", [{}, {"/metrics/loss": TableSpec((), "f8", "1", "of another kind of run")}])
def test_an_empty_file_has_no_figure_and_says_why(tmp_path: Path, tables: dict[str, TableSpec]) -> None:
    path = tmp_path / "run.h5"
    with RunWriter.create(path, tables=tables, checkpoint={}, attributes={"seed": 0}) as run:
        run.finish("complete", {})
    said: list[str] = []
    assert plot_run(path, tell=said.append) == []
    assert [sentence.split("'")[1] for sentence in said] == list(FIGURES)


def test_every_figure_survives_the_loss_of_any_table(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is missing, or has no rows: the figure is drawn or left out with a reason, and nothing crashes."""
    with RunReader.open(complete) as reader:
        specs = reader.tables
    rows = RunReader.rows
    for figure, lost in LOSSES:
        assert lost in specs
        with monkeypatch.context() as patch:
            patch.setattr(RunReader, "tables", {name: spec for name, spec in specs.items() if name != lost})
            _draw(figure, complete)
        with monkeypatch.context() as patch:
            patch.setattr(RunReader, "rows", lambda self, name, lost=lost: 0 if name == lost else rows(self, name))
            _draw(figure, complete)


def _draw(figure: str, path: Path) -> None:
    with RunReader.open(path) as reader, contextlib.suppress(MissingData):
        FIGURES[figure](Run(reader))


def test_the_field_between_device_ticks_is_exact(tmp_path: Path) -> None:
    """Frozen ports: rows recorded every second step give the very field that is recorded at every step."""
    small_run(tmp_path / "sparse.h5", rate=0.0)
    small_run(tmp_path / "dense.h5", rate=0.0, device_interval=DT)
    found = []
    for name in ("sparse", "dense"):
        with RunReader.open(tmp_path / f"{name}.h5") as reader:
            run = Run(reader)
            lines = run.lines()
            tables = [f"/field/{line}/{way}" for way in ("forward", "backward") for line in lines]
            time, *fields = run.columns("/field/time", *tables)
            clock = waves._clock(run, time, fields[: len(lines)])
            found.append([waves._stretch(clock, batches, fields) for batches in waves._groups(clock.batch)])
            assert clock.dt == pytest.approx(DT)
    for sparse, dense in zip(*found, strict=True):
        assert sparse.forward.shape == dense.forward.shape == (5, 48)
        for way in ("forward", "backward"):
            known = np.isfinite(getattr(sparse, way))
            assert known[:, 1:].all()  # all but what the step before the first row of a stretch would have told
            np.testing.assert_array_equal(getattr(sparse, way)[known], getattr(dense, way)[known])
    first = found[0][0]
    depth, step = np.indices(first.forward.shape)
    assert not first.forward[depth > step].any()  # the light cone: no wave is deeper than it could have come
    assert (first.forward[depth <= step] > 0.0).all()
