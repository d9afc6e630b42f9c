"""Runs side by side: samples of one simulation are what each would be alone, noise included."""

import json

import numpy as np
import pytest

from substrate import Line, Network, Simulation, SubstrateError, compile_network
from substrate.circuit_run import run_beside, run_circuit
from substrate.cli.sweep import do_runs
from substrate.netfile import parse_netfile
from substrate.nodes import Resistor
from substrate.record import RunReader
from substrate.studies import plan_runs
from substrate.studies.description import parse_study
from substrate.studies.running import Task

NET = """
schema = 1
kind = "circuit"
[simulation]
duration = "2 ns"
dt = "10 ps"
reference_power = "1 nW"
backend = "{backend}"
probes = ["load.voltage", {{ at = "w1@0.5", quantity = "current" }}, {{ at = "load", reduce_time = "rms", name = "r" }}]
[nodes.src]
type = "VoltageSource"
resistance = "normal(50 ohm, 5 ohm)"
[nodes.src.waveform]
type = "Noisy"
rin_db = -100.0
[nodes.src.waveform.waveform]
type = "Step"
amplitude = "1 mV"
[nodes.tee]
type = "ParallelJunction"
count = 3
[nodes.c]
type = "Capacitor"
capacitance = "1 pF"
[nodes.load]
type = "Resistor"
resistance = "100 ohm"
temperature = "300 K"
[lines.w1]
from = "src"
to = "tee.p1"
delay = "100 ps"
[lines.w2]
from = "tee.p2"
to = "load"
delay = "50 ps"
loss_db = 1.0
temperature = 77.0
[[joints]]
from = "tee.p3"
to = "c"
"""
SETS = [
    [],
    ["nodes.load.resistance=20 ohm", "lines.w1.impedance=70 ohm"],
    ["nodes.load.temperature=400", "lines.w2.loss_db=3", "simulation.seed=5"],
    ["lines.w1.loss_db=2", "nodes.src.waveform.waveform.amplitude=3 mV", "simulation.seed=6"],
    ["lines.w2.temperature=4", "nodes.c.capacitance=2 pF", "nodes.src.waveform.rin_db=-90"],
]


def traces(path):
    with RunReader.open(path) as run:
        return {name: run.read(name) for name in run.tables if name.startswith("/probes/") and name.endswith("value")}


def circuits(backend="cpu", sets=SETS):
    return [parse_netfile(NET.format(backend=backend), overrides=options) for options in sets]


def test_samples_are_what_each_run_is_alone(tmp_path, backend) -> None:
    """Every number that may differ differs somewhere: matrices, sources, temperatures, seeds, impedances at probes."""
    made = circuits(backend)
    alone = [run_circuit(c, tmp_path / f"a{n}.h5", attributes={}) for n, c in enumerate(made)]
    outs = [tmp_path / f"b{n}.h5" for n in range(len(made))]
    beside = run_beside(made, outs, attributes=[{"overrides": json.dumps(options)} for options in SETS])
    assert [row["batch"] for row in beside] == [len(made)] * len(made)
    assert [path.exists() for path in outs] == [True] + [False] * (len(made) - 1)
    shared = traces(outs[0])
    for n, (mine, row) in enumerate(zip(alone, beside, strict=True)):
        for name, values in traces(tmp_path / f"a{n}.h5").items():
            assert np.abs(values).max() > 0.0
            assert np.allclose(shared[name][..., n], values, rtol=1e-11, atol=1e-13 * np.abs(values).max())
        for label, numbers in mine["probes"].items():
            for name in numbers.keys() - {"unit"}:
                assert row["probes"][label][name] == pytest.approx(numbers[name], rel=1e-10)
        assert row["ledger_residual"] < 1e-11
    # Seeds matter: the same numbers with another seed are another run.
    other = run_beside(circuits(backend, [[], ["simulation.seed=1"]]), outs[:2], attributes=[{}, {}])
    assert other[0]["probes"]["r"]["rms"] != other[1]["probes"]["r"]["rms"]


def test_warm_lines_that_disperse_hear_themselves_alone(tmp_path) -> None:
    """Each sample has the noise of its own line at its own temperature, drawn as in a run of its own."""
    loss = "\n".join(["type = 'RlgcLine'", "length = '20 mm'", "resistance = '200 ohm/m'", "inductance = '250 nH/m'",
                      "conductance = 0.2", "capacitance = '100 pF/m'", "temperature = 300.0"])  # fmt: skip
    text = (
        NET.format(backend="cpu")
        .replace('delay = "100 ps"', loss)
        .replace(', { at = "w1@0.5", quantity = "current" }', "")
    )
    sets = [[], ["lines.w1.temperature=30"], ["lines.w1.temperature=600", "simulation.seed=5"]]
    made = [parse_netfile(text, overrides=options) for options in sets]
    alone = [run_circuit(c, tmp_path / f"a{n}.h5", attributes={}) for n, c in enumerate(made)]
    beside = run_beside(made, [tmp_path / f"b{n}.h5" for n in range(3)], attributes=[{}, {}, {}])
    for mine, row in zip(alone, beside, strict=True):
        assert row["batch"] == 3
        assert row["probes"]["r"]["rms"] == pytest.approx(mine["probes"]["r"]["rms"], rel=1e-10)
    assert len({row["probes"]["r"]["rms"] for row in beside}) == 3


def test_what_differs_in_structure_runs_apart(tmp_path) -> None:
    """Another delay, another duration and a circuit that cannot be compiled do not disturb the others."""
    sets = [[], ["lines.w1.delay=200 ps"], ["nodes.load.resistance=20 ohm"], ["simulation.duration=1 ns"]]
    rows = run_beside(circuits(sets=sets), [tmp_path / f"{n}.h5" for n in range(4)], attributes=[{}] * 4)
    assert [row.get("batch") for row in rows] == [2, None, 2, None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.h5", "1.h5", "3.h5"]


def test_a_study_names_file_and_sample_of_each_run(tmp_path) -> None:
    """Rows as workers make them: those that share a file, a run that fails, and what the file says of its samples."""
    study = parse_study(
        'schema = 1\nkind = "study"\nbase = "x.toml"\n[vary]\n"nodes.load.resistance" = [10, 20, -5, 40]', "s.toml"
    )
    tasks = [
        Task(
            run, NET.format(backend="cpu"), "x.toml", str(tmp_path),
            (f"nodes.load.resistance={run.values['nodes.load.resistance']}",), str(tmp_path / f"{run.name}.h5"),
        )
        for run in plan_runs(study)
    ]  # fmt: skip
    rows = do_runs(tasks)
    assert isinstance(rows[2], Exception)
    good = [rows[0], rows[1], rows[3]]
    assert [(row["file"], row["sample"], row["batch"]) for row in good] == [("runs/00000.h5", b, 3) for b in range(3)]
    with RunReader.open(tmp_path / "00000.h5") as run:
        samples = json.loads(run.attributes["samples"])
    assert [json.loads(sample["overrides"])[0] for sample in samples] == [
        t.overrides[0] for t in tasks if "-5" not in t.overrides[0]
    ]


def test_too_few_seeds_are_told_before_the_run() -> None:
    """A seed for each sample of the batch, or one for all."""
    net = Network()
    net.connect(net.add(Resistor(50.0), "a"), net.add(Resistor(50.0), "b"), Line(1e-12))
    with pytest.raises(SubstrateError, match="1 seeds are too few for the 2 samples.*give one seed for each sample"):
        Simulation(compile_network(net, 1e-12), batch=2, seed=(1,))
