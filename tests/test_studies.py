"""Studies: designs, tables, workers that die, resuming, failures as rows, and a ranking with a known answer."""

import os
import signal
import sys
import time
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from substrate import SubstrateError
from substrate.config import load_config, parse_config
from substrate.datafiles import data_path
from substrate.distributions import distribution, draw_numbers
from substrate.netfile import parse_netfile
from substrate.studies import plan_runs, read_table, run_study
from substrate.studies.analysis import sensitivity, yield_of
from substrate.studies.description import Study, parse_study
from substrate.studies.running import Task

# Workers are processes that cannot import a test file, so its functions travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

NETFILE = """
schema = 1
kind = "circuit"
[simulation]
duration = "2 ns"
dt = "10 ps"
batch = 200
seed = 3
probes = ["load.voltage"]
[nodes.src]
type = "VoltageSource"
resistance = "50 ohm"
waveform = { type = "Step", amplitude = "1 V" }
[nodes.load]
type = "Resistor"
resistance = "normal(50 ohm, 5 ohm)"
[lines.w1]
from = "src"
to = "load"
delay = "100 ps"
"""


def study(**changes):
    content = {"schema": 1, "kind": "study", "base": "x.toml", "vary": {"a": [1.0, 2.0, 3.0]}, "target": "y"}
    return Study.model_validate({**content, **changes})


def tasks(made, folder):
    return [
        Task(run, "", "x.toml", str(folder), (), str(folder / "runs" / f"{run.name}.h5")) for run in plan_runs(made)
    ]


def done(made, folder, worker, jobs=2, **options):
    return run_study(
        tasks(made, folder), worker, folder, about={"study": made.vary}, varied=list(made.vary), jobs=jobs, **options
    )


def twice(task):
    """A run that counts itself and gives twice its number."""
    with open(task.out + ".count", "a") as file:
        file.write("x")
    return {"y": 2.0 * task.run.values["a"], "z": task.run.seed}


def fails_at_two(task):
    if task.run.values["a"] == 2.0:
        raise ValueError("two is too much\nand more that nobody needs")
    return twice(task)


def dies_once(task):
    """Takes its worker down the first time that it does run 4."""
    marker = Path(task.out + ".died")
    if task.run.number == 4 and not marker.exists():
        marker.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return twice(task)


def always_dies(task):
    if task.run.values["a"] == 2.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return twice(task)


def ishigami(task):
    x1, x2, x3 = (float(task.run.values[name]) for name in ("x1", "x2", "x3"))
    return {"y": np.sin(x1) + 7.0 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)}


def test_a_number_may_be_a_distribution():
    values = np.array([float(distribution("normal(50, 2)").draw(seed, "z")) for seed in range(2000)])
    assert abs(values.mean() - 50.0) < 4 * 2.0 / np.sqrt(2000) and values.std() == pytest.approx(2.0, rel=0.08)
    assert distribution("lognormal(1 ns, 0.5)").at(0.5) == "1.0 ns"
    assert distribution("loguniform(1, 100)").at(0.5) == pytest.approx(10.0)
    assert {distribution("choice(tanh, relu)").draw(seed, "f") for seed in range(20)} == {"tanh", "relu"}
    drawn = [
        draw_numbers({"line": [{"z": "normal(50, 2)"}, {"z": "normal(50, 2)"}], "x": 1}, seed=s) for s in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0]["line"][0]["z"] != drawn[0]["line"][1]["z"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("normal(50 ohm, 2 pF)", "same unit"),
        ("uniform(2, 1)", "low < high"),
        ("normal(1)", "expected normal"),
        ("normal(1, -1)", "below 0"),
        ("loguniform(0, 1)", "above 0"),
    ],
)
def test_wrong_distributions_are_refused(text, why):
    with pytest.raises(SubstrateError, match=why):
        distribution(text, "line.impedance")


def test_input_files_draw_their_numbers():
    text = data_path("examples", "digits.toml").read_text()
    made = [parse_config(text, "x.toml", ["line.loss=uniform(0 dB, 1 dB)", f"seed={s}"]).line[0].loss for s in (1, 2)]
    assert 0.0 < made[0] != made[1] < 1.0
    circuit = parse_netfile(NETFILE)
    resistance = np.asarray(circuit.network.nodes["load"].resistance)
    assert resistance.shape == (200,) and abs(resistance.mean() - 50.0) < 1.5
    last = circuit.simulate()["load.voltage"][-1]
    np.testing.assert_allclose(last, resistance / (50.0 + resistance), atol=1e-12)  # Monte Carlo as an array axis


def test_designs_are_what_they_say():
    grid = plan_runs(study(vary={"a": [1, 2], "b": ["x", "y", "z"]}, repeats=2, seed=7))
    assert len(grid) == 12 and [run.seed for run in grid[:3]] == [7, 8, 7]
    assert grid[2].values == {"a": 1, "b": "y"}
    for method in ("random", "latin_hypercube", "sobol"):
        made = study(method=method, samples=64, vary={"a": "uniform(0, 1)", "b": "normal(0, 1)"})
        runs = plan_runs(made)
        assert runs == plan_runs(made) and len(runs) == 64
        shares = np.sort([run.values["a"] for run in runs])
        if method != "random":  # one point in each of the 64 strata
            np.testing.assert_array_equal(np.floor(shares * 64), np.arange(64))


def test_a_study_keeps_every_run_in_one_table(tmp_path):
    rows = done(study(repeats=2), tmp_path, twice)
    assert [row["y"] for row in rows] == [2.0, 2.0, 4.0, 4.0, 6.0, 6.0]
    table = read_table(tmp_path)
    assert [row["a"] for row in table] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert [row["z"] for row in table] == [0.0, 1.0] * 3 and {row["status"] for row in table} == {"ok"}


def test_resume_does_only_what_is_missing(tmp_path):
    failed = [row["status"] for row in done(study(), tmp_path, fails_at_two)]
    assert failed == ["ok", "failed", "ok"]
    assert read_table(tmp_path)[1]["reason"] == "two is too much"
    with pytest.raises(SubstrateError, match="--resume goes on"):
        done(study(), tmp_path, twice)
    with pytest.raises(SubstrateError, match="holds another study"):
        done(study(vary={"a": [1.0]}), tmp_path, twice, resume=True)
    rows = done(study(), tmp_path, twice, resume=True)
    assert [row["y"] for row in rows] == [2.0, 4.0, 6.0]
    counts = [len((tmp_path / "runs" / f"0000{n}.h5.count").read_text()) for n in range(3)]
    assert counts == [1, 1, 1]


def test_a_killed_worker_loses_its_current_run_only(tmp_path):
    made = study(vary={"a": [float(n) for n in range(12)]})
    rows = done(made, tmp_path, dies_once)
    assert [row["status"] for row in rows] == ["ok"] * 12
    assert (tmp_path / "runs" / "00004.h5.died").exists()
    assert [row["y"] for row in rows] == [2.0 * n for n in range(12)]


def dies_at_four(task):
    """Takes its worker down whenever it does run 4."""
    if task.run.number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return twice(task)


def together(part):
    return [dies_at_four(task) for task in part]


def test_a_run_that_kills_a_worker_takes_no_neighbour_with_it(tmp_path):
    """Side by side they die together; one by one only the run that does it."""
    made = study(vary={"a": [float(k) for k in range(16)]})  # two of them side by side
    rows = done(made, tmp_path / "s", dies_at_four, beside=together)
    assert [row["run"] for row in rows if row["status"] != "ok"] == [4]
    assert "died 2 times" in rows[4]["reason"]
    assert [row["y"] for row in rows if row["status"] == "ok"] == [2.0 * k for k in range(16) if k != 4]


def test_a_run_that_kills_every_worker_is_a_row_with_its_reason(tmp_path):
    rows = done(study(), tmp_path, always_dies)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert "its worker process died" in rows[1]["reason"]


def test_the_ranking_finds_the_known_shares_of_ishigami(tmp_path):
    # Ishigami & Homma 1990, a = 7, b = 0.1: first order 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437.
    vary = dict.fromkeys(("x1", "x2", "x3"), f"uniform({-np.pi}, {np.pi})")
    made = study(method="sensitivity", samples=2048, vary=vary)
    rows = [
        {"point": run.point, "status": "ok", **run.values, **ishigami(Task(run, "", "", "", (), ""))}
        for run in plan_runs(made)
    ]
    found = sensitivity(made, rows)
    np.testing.assert_allclose([found[name][0] for name in vary], [0.3139, 0.4424, 0.0], atol=0.03)
    np.testing.assert_allclose([found[name][1] for name in vary], [0.5576, 0.4424, 0.2437], atol=0.03)


def test_yield_has_the_interval_of_wilson():
    share, low, high = yield_of(0, 20)
    assert share == 0.0 and low == 0.0 and high == pytest.approx(0.1611, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('schema = 1\nkind = "study"\nbase = "x.toml"\n[vary]\na = 3', "a grid takes a list"),
        ('schema = 1\nkind = "study"\nbase = "x.toml"\nmethod = "random"\n[vary]\na = [3]', "takes a distribution"),
        (
            'schema = 1\nkind = "study"\nbase = "x.toml"\nmethod = "sobol"\nsamples = 5\n[vary]\na = "uniform(0,1)"',
            "power of",
        ),
        ('schema = 1\nkind = "train"', "substrate train"),
    ],
)
def test_faults_of_a_study_file_are_told(text, why):
    with pytest.raises(SubstrateError, match=why):
        parse_study(text, "study.toml")


def test_the_shipped_studies_fit_their_bases():
    from substrate.cli.sweep import check, make_task

    for path in data_path("examples").glob("*.toml"):
        text = path.read_text()
        if 'kind = "study"' not in text:
            continue
        made = parse_study(text, path.name)
        base = path.parent / made.base
        for run in (plan_runs(made)[0], plan_runs(made)[-1]):
            check(make_task(made, run, base.read_text(), base, Path("nowhere")))
    assert load_config(data_path("examples", "digits.toml")).seed == 0
