"""`substrate info` and `substrate backends`: what a run file holds, and what can run here."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import typer

from substrate.cli.reporting import print_json, print_table
from substrate.errors import RunFileError
from substrate.record import RunReader
from substrate.record.disk import refuse_if_written
from substrate.units import format_quantity


def version() -> str:
    """The installed version; "unknown" in a checkout that is not installed."""
    try:
        return importlib.metadata.version("wave-substrate")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def run_info(path: Path, as_json: bool) -> None:
    """Print what a run file holds; raises RunFileError."""
    about = describe(path)
    if as_json:
        print_json(about)
        return
    print_table(["", ""], _heading_rows(about), about["title"] or str(path))
    if about["summary"]:
        _print_outcome(about)
    rows = [
        [name, str(table["rows"]), "x".join(map(str, table["shape"])), table["unit"], table["description"]]
        for name, table in about["tables"].items()
    ]
    print_table(["table", "rows", "row shape", "unit", "what"], rows, "Tables")
    if about["resume"]:
        typer.echo(f"To go on: {about['resume']}")


def _print_outcome(about: dict[str, Any]) -> None:
    if about["attributes"].get("kind") == "circuit":
        from substrate.cli.simulate import COLUMNS, probe_rows, summary_rows

        print_table(["probe", *COLUMNS], probe_rows(about["summary"]), "Probes")
    else:
        from substrate.cli.train import summary_rows
    print_table(["", ""], summary_rows(about["summary"]), "Outcome")


def describe(path: Path) -> dict[str, Any]:
    """Everything `substrate info` says, as plain values; raises RunFileError."""
    with RunReader.open(path) as run:
        attributes = run.attributes
        tables = {
            name: {
                "rows": run.rows(name),
                "shape": list(spec.shape),
                "dtype": str(spec.dtype),
                "unit": spec.unit,
                "description": spec.description,
            }
            for name, spec in run.tables.items()
        }
        status, complete, summary = run.status, run.complete, run.summary
        done = _batches_done(run)
    being_written = not complete and _is_being_written(path)
    stopped = status.startswith(("failed: Stopped", "failed: KeyboardInterrupt"))
    if stopped or (status == "running" and not being_written):
        status = "interrupted"
    is_circuit = attributes.get("kind") == "circuit"
    can_resume = not complete and not being_written and "overrides" in attributes and not is_circuit
    return {
        "path": str(path),
        "status": status,
        "title": attributes.get("title", ""),
        "batches_done": done,
        "resume": f"substrate train --resume {path}" if can_resume else None,
        "summary": summary,
        "attributes": attributes,
        "tables": tables,
    }


def _batches_done(run: RunReader) -> int | None:
    """Batches at the newest checkpoint; None where there is none."""
    try:
        _, scalars = run.checkpoint()
    except RunFileError:
        return None
    return scalars.get("batches")


def _is_being_written(path: Path) -> bool:
    try:
        refuse_if_written(path)
    except RunFileError:
        return True
    return False


def _heading_rows(about: dict[str, Any]) -> list[list[str]]:
    attributes = about["attributes"]
    rows = [["file", about["path"]], ["status", about["status"]]]
    if about["batches_done"] is not None and about["status"] != "complete":
        rows.append(["batches done at the last checkpoint", str(about["batches_done"])])
    if "layers" in attributes:
        rows.append(["network", "-".join(map(str, json.loads(attributes["layers"])))])
    if "epochs" in attributes:
        rows.append(["training", f"{attributes['epochs']} epochs of batches of {attributes['batch']}"])
    if "dwell_s" in attributes:
        step = f", step {format_quantity(attributes['dt_s'], 'time')}" if "dt_s" in attributes else ""
        rows.append(["clock", f"dwell {format_quantity(attributes['dwell_s'], 'time')}{step}"])
    if "duration_s" in attributes:
        time, dt = format_quantity(attributes["duration_s"], "time"), format_quantity(attributes["dt_s"], "time")
        numbers = f"{attributes['dtype']}, batch {attributes['batch']}, backend {attributes['backend']}"
        rows += [["circuit", attributes["network"]], ["clock", f"{time}, step {dt}"], ["numbers", numbers]]
    rows += [["device card", f"{card}, SHA-256 {hash_[:12]}…"] for card, hash_ in _cards(attributes).items()]
    if overrides := json.loads(attributes.get("overrides", "[]")):
        rows.append(["changed by --set", ", ".join(overrides)])
    labels = {"input_name": "input file", "dataset": "data set", "seed": "seed", "created": "created"}
    rows += [[label, str(attributes[key])] for key, label in labels.items() if key in attributes]
    if "resumes" in attributes:
        rows.append(["resumed", f"{attributes['resumes']} times, last {attributes['resumed']}"])
    rows.append(["written by", f"wave-substrate {attributes.get('substrate_version', '?')}"])
    return rows


def _cards(attributes: dict[str, Any]) -> dict[str, str]:
    cards: dict[str, str] = json.loads(attributes.get("device_cards", "{}"))
    return cards


def run_backends(as_json: bool) -> None:
    """Print the backends, and why one cannot run here."""
    from substrate.backends import MODULES, available
    from substrate.backends.gpu_cuda import missing

    here, why = available(), missing()
    duties = {
        "reference": "plain loops: slow, obvious, the arbiter",
        "cpu": "NumPy and Numba",
        "gpu": f"CUDA kernels through CuPy. {f'Not here: {why}' if why else 'Ready'}",
    }
    if as_json:
        print_json({"available": here, "missing": {"gpu": why} if why else {}})
    else:
        print_table(["backend", "what"], [[name, duties.get(name, "")] for name in MODULES])
