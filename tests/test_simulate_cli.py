"""`substrate simulate` as a user meets it: run files, tables, figures, exports, long runs, and mistakes explained."""

import csv
import doctest
import json
import re
import shlex
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner, Result

from substrate import Line, Network, Probe, Resistor, VoltageSource
from substrate import circuit_run as circuit_run_module
from substrate.circuit_run import run_circuit
from substrate.cli import app
from substrate.netfile import Circuit, SimulationSettings, load_netfile, parse_netfile
from substrate.record import RunReader
from substrate.waveforms import Sine
from tests.netfiles import GOOD, ROOT


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
    (tmp_path / "two.toml").write_text(GOOD)
    return tmp_path / "two.toml"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of everything a run can hold: batch, decimation, reductions, histogram, a place in a line, a change."""
    folder = tmp_path_factory.mktemp("done")
    probes = """probes = [
  "b.voltage", "w1@0.5.forward",
  { at = "b", quantity = "power", every = 10 },
  { at = "b", quantity = "voltage", reduce_time = "rms" },
  { at = "b", quantity = "voltage", reduce_time = "histogram", bins = 8, span = [-1, 1] },
]"""
    text = "\n".join(probes if line.startswith("probes") else line for line in GOOD.splitlines())
    (folder / "two.toml").write_text(text)
    result = run("simulate", folder / "two.toml", "--out", folder / "two.h5")
    assert result.exit_code == 0, result.output
    return folder / "two.h5"


def test_the_run_file_holds_what_a_simulation_in_memory_gives(done: Path) -> None:
    traces = load_netfile(done.with_suffix(".toml")).simulate()
    with RunReader.open(done) as reader:
        assert reader.complete
        about = reader.attributes
        assert about["kind"] == "circuit" and about["title"] == "Two loads" and about["seed"] == 0
        assert about["input"] == done.with_suffix(".toml").read_text() and about["substrate_version"]
        assert np.array_equal(reader.read("/probes/b.voltage/value"), traces["b.voltage"])
        assert np.array_equal(reader.read("/probes/w1@0.5.forward/value"), traces["w1@0.5.forward"])
        np.testing.assert_allclose(reader.read("/probes/time"), traces.time, rtol=1e-14)
        assert np.array_equal(reader.read("/probes/b.power/value"), traces["b.power"])
        np.testing.assert_allclose(reader.read("/probes/b.power/time"), traces.times("b.power"), rtol=1e-14)
        assert np.array_equal(reader.read("/reduced/b.voltage.rms")[0], traces["b.voltage.rms"])
        assert np.array_equal(reader.read("/reduced/b.voltage.histogram")[0], traces["b.voltage.histogram"])
        assert reader.tables["/probes/b.voltage/value"].unit == "V"
        books = {name: reader.read(f"/ledger/{name}").sum() for name in ("injected", "dissipated_nodes")}
        assert (
            books["injected"] == pytest.approx(traces.ledger["injected"]) and reader.summary["ledger_residual"] < 1e-12
        )


def test_summary_and_json_say_the_same(file: Path) -> None:
    result = run("simulate", file, "--json", "--out", "new/folder/run.h5")
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    assert outcome["steps"] == 2000 and outcome["out"] == "new/folder/run.h5" and outcome["title"] == "Two loads"
    voltage = load_netfile(file).simulate()["b.voltage"]
    about = outcome["probes"]["b.voltage"]
    assert about["unit"] == "V"
    assert about["final"] == pytest.approx(voltage[-1].mean()) and about["mean"] == pytest.approx(voltage.mean())
    assert about["min"] == voltage.min() and about["max"] == voltage.max()
    assert about["rms"] == pytest.approx(np.sqrt(np.mean(voltage**2)))
    assert about["final_spread"] == pytest.approx(voltage[-1].std())
    with RunReader.open("new/folder/run.h5") as reader:
        assert reader.summary["probes"] == outcome["probes"]


def test_the_table_and_info_show_the_probes(done: Path, file: Path) -> None:
    result = run("simulate", file, "--set", "nodes.b.resistance=1 kohm", "--set", "simulation.batch=2")
    assert result.exit_code == 0 and "b.voltage" in result.stdout and "Written to runs/two.h5" in result.stdout
    assert "simulated time" in result.stdout and "2000 steps" in result.stdout
    told = run("info", done).stdout
    assert "Network of 4 nodes, 2 lines" in told and "histogram of 8 bins" in told and "/probes/b.voltage/value" in told
    assert "To go on" not in told
    about = json.loads(run("info", done, "--json").stdout)
    assert about["status"] == "complete" and about["resume"] is None


def test_backend_overwrite_and_quiet(file: Path) -> None:
    words = ["simulate", file, "-o", "r.h5", "-q", "--backend", "reference", "-s", "simulation.duration=300 ps"]
    assert run(*words).stdout == ""
    assert fails(*words) == "error: r.h5: exists already; --overwrite replaces it, --out gives another name\n"
    assert run(*words, "--overwrite").exit_code == 0
    with RunReader.open("r.h5") as reader:
        assert reader.attributes["backend"] == "reference" and reader.rows("/probes/time") == 30


def test_figures_of_a_circuit(done: Path, tmp_path: Path) -> None:
    result = run("plot", done, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert [Path(line).name for line in result.stdout.split()] == ["traces.png", "ledger.png"]
    assert imread(tmp_path / "traces.png").std() > 0.01


def test_exports_of_probes(done: Path, tmp_path: Path) -> None:
    assert "do not all keep the same steps" in fails("export", done, "--probes", "--to", tmp_path / "t.csv")
    result = run("export", done, "--probes", "--to", tmp_path / "t.csv", "--port", "b.voltage", "--port", "w1*")
    assert result.exit_code == 0 and "probes, 2000 samples" in result.stdout, result.output
    rows = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    wave = "sqrt(reference power)"
    assert rows[0] == [
        "time [s]",
        "b.voltage[0] [V]",
        "b.voltage[1] [V]",
        f"w1@0.5.forward[0] [{wave}]",
        f"w1@0.5.forward[1] [{wave}]",
    ]
    with RunReader.open(done) as reader:
        voltage = reader.read("/probes/b.voltage/value")
        power = reader.read("/probes/b.power/value")
    assert np.array_equal(np.array(rows[1:], float)[:, 1:3], voltage)
    assert run("export", done, "--to", tmp_path / "t.npz", "--every", "5").exit_code == 0  # probes are the default
    with np.load(tmp_path / "t.npz") as arrays:
        assert np.array_equal(arrays["b.voltage"], voltage[::5]) and np.array_equal(arrays["b.power"], power[::5])
        assert len(arrays["time"]) == 400 and len(arrays["b.power/time"]) == 40
    assert "no probe fits 'x*'; the probes are b.voltage" in fails(
        "export", done, "--to", tmp_path / "x.csv", "--port", "x*"
    )
    assert run("export", done, "--ledger", "--to", tmp_path / "l.csv").exit_code == 0


def test_complex_traces_export_both_parts(tmp_path: Path) -> None:
    assert run("simulate", ROOT / "examples" / "ring.toml", "-q", "-o", tmp_path / "ring.h5").exit_code == 0
    words = ["export", tmp_path / "ring.h5", "--to", tmp_path / "ring.csv", "--port", "out*"]
    assert run(*words).exit_code == 0
    rows = list(csv.reader((tmp_path / "ring.csv").read_text().splitlines()))
    assert rows[0][1:3] == [f"{part} out.in.arriving[0] [sqrt(reference power)]" for part in ("re", "im")]
    with RunReader.open(tmp_path / "ring.h5") as reader:
        field = reader.read("/probes/out.in.arriving/value")
    values = np.array(rows[1:], float)
    assert np.array_equal(values[:, 1] + 1j * values[:, 2], field[:, 0])


RING = (0.70710678, 0.26148131, -0.01935613, -0.19634257, -0.30788113, -0.37817379)  # V16, per round trip, on resonance
MISMATCHED = {1.5: 0.8888889, 3.5: 0.7901235, 5.5: 0.8010974, 7.5: 0.7998781}  # V1, at ns


def test_the_mismatched_line_is_bergerons(tmp_path: Path) -> None:
    traces = simulated(tmp_path, "mismatched_line")
    for time, voltage in MISMATCHED.items():
        assert traces["load.voltage"][round(time * 100) - 1] == pytest.approx(voltage, abs=1e-7)


def test_the_ring_answers_a_step_as_the_series_says(tmp_path: Path) -> None:
    traces = simulated(tmp_path, "ring")
    field = traces["out.in.arriving"]
    for trip, expected in enumerate(RING):
        assert field[5 * trip + 2, 0] == pytest.approx(expected, abs=1e-8)
    assert np.abs(field[-1]) ** 2 == pytest.approx([0.24797310, 0.96130474], abs=1e-8)


def test_the_charged_line_gives_half_its_voltage_for_twice_its_delay(tmp_path: Path) -> None:
    traces = simulated(tmp_path, "pulse_former")
    np.testing.assert_allclose(traces["load.voltage"], np.where(np.arange(500) < 200, 500.0, 0.0), rtol=0, atol=1e-10)
    with RunReader.open(tmp_path / "pulse_former.h5") as reader:
        energy = reader.summary["probes"]["load.power.mean"]["mean"] * 500e-9
        assert energy == pytest.approx(2e-9 * 1000.0**2 / 2, rel=1e-12)
        assert reader.read("/reduced/load.voltage.histogram")[0].tolist() == [
            0,
            0,
            300,
            0,
            0,
            0,
            0,
            200,
            0,
            0,
            0,
            0,
            0,
            0,
        ]


def test_the_ladder_delays_as_a_line_of_250_ps(tmp_path: Path) -> None:
    traces = simulated(tmp_path, "lc_ladder")
    source, end = traces["src.voltage"], traces["end.voltage"]
    assert end[-1] == pytest.approx(0.5, abs=0.01)
    # The integral of what is missing to the final value is its delay, whatever the ripple: sum(1 - v/v_end) dt.
    delay = (np.sum(0.5 - end) - np.sum(0.5 - source)) * 1e-12 / 0.5
    assert delay == pytest.approx(250e-12, rel=0.05)


def simulated(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The traces in the run file of an example."""
    result = run("simulate", ROOT / "examples" / f"{name}.toml", "-q", "-o", folder / f"{name}.h5")
    assert result.exit_code == 0, result.output
    with RunReader.open(folder / f"{name}.h5") as reader:
        tables = [table for table in reader.tables if table.startswith("/probes/") and table.endswith("/value")]
        return {table.removeprefix("/probes/").removesuffix("/value"): reader.read(table) for table in tables}


def long_circuit(steps: int) -> Circuit:
    net = Network()
    net.connect(
        net.add(VoltageSource(Sine(1.0, 1e9), 25.0), "src"), net.add(Resistor(100.0), "load"), Line(20e-12), "w1"
    )
    probes = (Probe("load", "voltage"), Probe("w1@0.5", "power", reduce_time="mean"))
    return Circuit(net, SimulationSettings(steps * 1e-12, 1e-12, probes))


def test_runs_longer_than_memory_are_written_as_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_run_module, "PORTION_BYTES", 1 << 16)

    def peak(steps: int) -> int:
        tracemalloc.start()
        run_circuit(long_circuit(steps), tmp_path / f"{steps}.h5", attributes={})
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(2000)  # compiled
    short, long = peak(20_000), peak(120_000)  # the traces grow by 1.6 MB
    assert long < short + 400_000
    with RunReader.open(tmp_path / "120000.h5") as reader:
        assert reader.rows("/probes/load.voltage/value") == 120_000
        assert np.array_equal(
            reader.read("/probes/load.voltage/value"), long_circuit(120_000).simulate()["load.voltage"]
        )


def test_an_interrupted_run_keeps_what_it_has(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from substrate.cli.progress import ProgressLine

    def stop(self: ProgressLine, state: dict[str, float]) -> None:
        if state["batches"] >= 1000:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressLine, "update", stop)
    result = run("simulate", file, "-o", "r.h5", "-q")
    assert result.exit_code == 130 and result.stderr == "note: stopped; r.h5 holds what was simulated so far\n"
    about = json.loads(run("info", "r.h5", "--json").stdout)
    assert about["status"] == "interrupted" and about["resume"] is None
    assert about["tables"]["/probes/time"]["rows"] == 1000
    assert run("plot", "r.h5").exit_code == 0 and run("info", "r.h5").exit_code == 0


CASES: list[tuple[list[str], str]] = [
    (
        ["-s", "nodes.b.resistance=3 V"],
        "error: --set nodes.b.resistance=3 V: nodes.b.resistance: expected a resistance",
    ),
    (["-s", "nodes.c.resistance=3"], "error: --set nodes.c.resistance=3: [nodes.c] needs the key 'type'"),
    (["-s", "simulation.batch=3"], "hold 2 numbers, one per sample, but the batch is 3"),
    (["--backend", "cuda"], "error: There is no backend 'cuda'"),
    (["-s", "simulation.duration=1 ps"], "A simulation lasts at least one step"),
    (["-s", "lines.w1.delay=1 ps"], "error: --set lines.w1.delay=1 ps: [lines.w1] a line must last at least one step"),
    (["-s", "lines.w1.delay=1 ms", "-s", "simulation.dt=1 as"], "more than this machine can give"),
]


@pytest.mark.parametrize(("words", "message"), CASES)
def test_mistakes_are_told_in_one_line(file: Path, words: list[str], message: str) -> None:
    told = fails("simulate", file, *words)
    assert message in told and len(told.splitlines()) == 1
    assert not list(file.parent.glob("runs/*"))


def test_other_mistakes(file: Path) -> None:
    assert "there is no such file" in fails("simulate", "none.toml")
    text = GOOD[: GOOD.index("[simulation]")] + GOOD[GOOD.index("[nodes.src]") : GOOD.index("[[changes]]")]
    file.write_text(text)
    assert "two.toml: the table [simulation] is missing" in fails("simulate", file)
    assert "such a file is for `substrate train digits.toml`" in fails("simulate", ROOT / "examples" / "digits.toml")
    assert "such a file is for `substrate simulate two.toml`" in fails("train", file)


def test_a_rounded_delay_is_a_note(file: Path) -> None:
    result: Any = run("simulate", file, "-q", "-o", "r.h5", "-s", "lines.w1.delay=1.003 ns")
    assert result.exit_code == 0 and "note: Line 'w1' lasts 100.3000 steps and is rounded to 100" in result.stderr


# ------------------------------------------------------------------------------------------------- docs/circuits.md

PAGE = ROOT / "docs" / "circuits.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert failed == 0 and tried > 20


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shown = 0
    for block in blocks("console"):
        for part in block.removeprefix("$ ").split("\n$ "):
            command, _, expected = part.partition("\n")
            result = run(*shlex.split(command)[1:])
            printed = "\n".join(line.rstrip() for line in result.output.splitlines())
            assert expected.strip() and expected.strip() in printed, printed
            shown += 1
    assert shown == 3


def test_the_first_file_of_the_page_is_the_example() -> None:
    example = (ROOT / "examples" / "mismatched_line.toml").read_text()
    assert blocks("toml")[0] == example[example.index("schema") :]


def test_the_other_tables_of_the_page_can_be_read() -> None:
    example = (ROOT / "examples" / "mismatched_line.toml").read_text()
    probes, modulation, changes = blocks("toml")[1:]
    text = re.sub(r"^probes = .*$", lambda _: probes.rstrip(), example, flags=re.MULTILINE) + changes
    circuit = parse_netfile(text)
    assert circuit.settings is not None
    assert [probe.label for probe in circuit.settings.probes][1] == "load.power.mean"
    assert circuit.settings.changes == ((1e-8, {"load.resistance": 300.0}),)
    line = parse_netfile(example + modulation).network.connections["w1"].line
    assert line is not None and line.modulation == Sine(0.5, 1e10, offset=0.5)
