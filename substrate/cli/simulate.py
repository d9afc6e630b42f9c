"""`substrate simulate`: from a netfile to a run file and a table of what its probes saw."""

import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from substrate.circuit_run import run_circuit
from substrate.cli.progress import ProgressLine
from substrate.cli.reporting import note, print_json, print_table
from substrate.config.text import read_text
from substrate.errors import ConfigError, RunFileError
from substrate.netfile import Circuit, parse_netfile
from substrate.units import format_quantity

DIMENSIONS = {"V": "voltage", "A": "current", "W": "power", "J": "energy"}
COLUMNS = ("final", "mean", "rms", "min", "max")


@dataclass(frozen=True)
class Request:
    """What was typed after `substrate simulate`."""

    file: Path
    out: Path | None
    overwrite: bool
    overrides: list[str]
    json: bool
    quiet: bool


def run_simulate(request: Request) -> None:
    """Simulate and print the outcome; raises the errors of the netfile, the network and the run file."""
    text = read_text(request.file)
    circuit = parse_netfile(text, request.file.name, request.overrides, request.file.parent)
    if circuit.settings is None:
        raise ConfigError(
            f'{request.file.name}: the table [simulation] is missing; it needs duration = "20 ns" and dt = "10 ps", say'
        )
    out = request.out or Path("runs") / f"{request.file.stem}.h5"
    if out.exists() and not request.overwrite:
        raise RunFileError(f"{out}: exists already; --overwrite replaces it, --out gives another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    attributes = {"input": text, "input_name": request.file.name, "overrides": json.dumps(request.overrides)}
    began = time.perf_counter()
    summary = _run(circuit, out, attributes, request)
    seconds = time.perf_counter() - began
    if request.json:
        print_json({**summary, "title": circuit.title, "out": str(out), "wall_s": seconds})
    elif not request.quiet:
        print_table(["probe", *COLUMNS], probe_rows(summary), circuit.title or request.file.name)
        print_table(["", ""], summary_rows(summary))
        typer.echo(f"Written to {out} in {seconds:.1f} s. Figures: substrate plot {out}")


def _run(circuit: Circuit, out: Path, attributes: dict[str, Any], request: Request) -> dict[str, Any]:
    """Simulate with a progress bar; what the compiler warns of becomes a note."""
    try:
        with warnings.catch_warnings(record=True) as caught, ProgressLine(request.quiet, "simulating") as line:
            warnings.simplefilter("always", UserWarning)

            def progress(done: int, total: int) -> None:
                line.update({"batches": done, "total": total, "accuracy": float("nan")})

            summary = run_circuit(circuit, out, attributes=attributes, overwrite=request.overwrite, progress=progress)
    except KeyboardInterrupt:
        note(f"stopped; {out} holds what was simulated so far")
        raise typer.Exit(130) from None
    for warning in caught:
        note(str(warning.message))
    return summary


def probe_rows(summary: dict[str, Any]) -> list[list[str]]:
    """A row of the table for each probe.

    >>> probe_rows({"probes": {"load.voltage": {"unit": "V", "final": 0.8, "rms": 0.79}}})
    [['load.voltage', '800 mV', '', '790 mV', '', '']]
    """
    rows = []
    for label, about in summary.get("probes", {}).items():
        cells = [_shown(about.get(name), about["unit"]) for name in COLUMNS]
        if "final_spread" in about:
            cells[0] += f" ± {_shown(about['final_spread'], about['unit'])}"
        if "histogram" in about:
            cells[0] = f"histogram of {about['histogram']} bins"
        rows.append([label, *cells])
    return rows


def _shown(value: Any, unit: str) -> str:
    if value is None:
        return ""
    if unit in DIMENSIONS:
        return format_quantity(value, DIMENSIONS[unit], digits=6)
    return f"{value:.6g}"


def summary_rows(summary: dict[str, Any]) -> list[list[str]]:
    """The outcome of a run beside its probes: time, and energy by column of the ledger.

    >>> summary_rows({"steps": 10, "simulated_s": 1e-9, "ledger_J": {"injected": 2e-12, "gain": 0.0}})
    [['simulated time', '1 ns, 10 steps'], ['injected', '2 pJ']]
    """
    rows = []
    if "steps" in summary:
        rows.append(["simulated time", f"{format_quantity(summary['simulated_s'], 'time')}, {summary['steps']} steps"])
    columns = summary.get("ledger_J", {})
    rows += [[name.replace("_", " "), _shown(value, "J")] for name, value in columns.items() if value != 0.0]
    if "stored_J" in summary:
        rows.append(["stored at the end", _shown(summary["stored_J"], "J")])
    if "ledger_residual" in summary:
        rows.append(["worst ledger residual", f"{summary['ledger_residual']:.2g}"])
    return rows
