"""`substrate train`: from a training file, or an unfinished run file, to a finished run file and its outcome."""

import json
from pathlib import Path
from typing import Any

import typer

from substrate.cli.jobs import Job, Request, Stopped, new_job, origin, refuse_changes, resumed_job, signals
from substrate.cli.mesh import mesh_job, train_mesh
from substrate.cli.ports import Chosen, choose_devices
from substrate.cli.progress import ProgressLine
from substrate.cli.reporting import note, print_json, print_table
from substrate.config import build_network, build_settings, load_data, parse_config
from substrate.config.schema import TrainConfig
from substrate.config.text import parse_toml
from substrate.learning.training import train
from substrate.units import format_quantity


def run_train(request: Request) -> None:
    """Do what was asked for and print the outcome; raises the errors of configuration, data, devices and run file."""
    job = resumed_job(request) if request.resume is not None else new_job(request)
    summary, config, chosen = train_mesh(job, request) if _is_mesh(job.text, job.name) else _train(job, request)
    if request.json:
        print_json({**summary, "title": config.title, "out": str(job.out), "device_cards": chosen.cards})
    elif not request.quiet:
        print_table(["", ""], summary_rows(summary), config.title or job.name)
        typer.echo(f"Written to {job.out}. Figures: substrate plot {job.out}")


def _train(job: Job, request: Request) -> tuple[dict[str, Any], Any, Chosen]:
    """Train layers, as a file of kind "train" says."""
    config = parse_config(job.text, job.name, job.overrides)
    chosen = choose_devices(config, job.base_dir)
    for line in chosen.notes:
        note(line)
    return _run(job, config, chosen, request), config, chosen


def _is_mesh(text: str, name: str) -> bool:
    return parse_toml(text, name).get("kind") == "mesh"


def train_job(text: str, name: str, base_dir: Path, overrides: list[str], out: Path) -> dict[str, Any]:
    """Train as the text of a training file says, without a word, into ``out``, and return the summary."""
    if _is_mesh(text, name):
        return mesh_job(text, name, base_dir, overrides, out)
    config = parse_config(text, name, overrides)
    chosen = choose_devices(config, base_dir)
    job = Job(text, name, base_dir, overrides, out, resume=False, overwrite=True, began_with={})
    return train(
        build_network(config),
        load_data(config, base_dir),
        chosen.devices,
        build_settings(config),
        out=out,
        overwrite=True,
        attributes=_attributes(job, config, chosen),
    )


def _run(job: Job, config: TrainConfig, chosen: Chosen, request: Request) -> dict[str, Any]:
    """Train, with a progress bar, and stop between two batches when a signal asks for it."""
    dataset = load_data(config, job.base_dir)
    network, settings = build_network(config), build_settings(config)
    attributes = _attributes(job, config, chosen)
    refuse_changes(job, {**attributes, "dataset_sha256": dataset.sha256})
    job.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ProgressLine(hidden=request.quiet) as line, signals(line):
            return train(
                network,
                dataset,
                chosen.devices,
                settings,
                out=job.out,
                resume=job.resume,
                overwrite=job.overwrite,
                attributes=attributes,
                progress=line.update,
            )
    except KeyboardInterrupt as error:
        if job.out.exists():
            note(f"stopped; to go on: substrate train --resume {job.out}")
        raise typer.Exit(error.exit_code if isinstance(error, Stopped) else 130) from None


def _attributes(job: Job, config: TrainConfig, chosen: Chosen) -> dict[str, Any]:
    """What the run file keeps about its origin, beside what every run file keeps."""
    return {
        **origin(job, config.title, chosen.cards),
        "layers": json.dumps(config.network.layers),
        "dt_s": config.clock.dt,
        "dwell_s": config.clock.dwell,
        "reference_power_W": config.clock.reference_power,
        "batch": config.training.batch,
        "epochs": config.training.epochs,
    }


def summary_rows(summary: dict[str, Any]) -> list[list[str]]:
    """The outcome of a run in words and units.

    >>> summary_rows({"accuracy": 0.975, "wall_s": 12.0})
    [['test accuracy', '97.50 %'], ['wall time', '12.0 s']]
    """
    shares = {
        "accuracy": "test accuracy",
        "backprop_accuracy": "the same by exact backpropagation",
        "validation_accuracy": "validation accuracy",
    }
    energies = {
        "energy_per_update_J": "energy of the waves per update",
        "device_energy_per_update_J": "energy in the devices per update",
        "energy_per_inference_J": "energy per inference",
    }
    rows = [[label, f"{100 * summary[key]:.2f} %"] for key, label in shares.items() if _known(summary, key)]
    if _known(summary, "distance"):
        rows.append(["distance from the target", f"{summary['distance']:.3g}"])
    if _known(summary, "test_loss"):
        rows.append(["test loss", f"{summary['test_loss']:.4g}"])
    if "gradient_error" in summary:
        when = "after one round trip" if "gate_opened_s" not in summary else "of settled waves"
        rows.append([f"gradient error {when}", f"{summary['gradient_error']:.2g}"])
    if _known(summary, "gradient_cosine"):
        rows.append(["cosine of the gradient over a dwell", f"{summary['gradient_cosine']:.4f}"])
    if "ledger_residual" in summary:
        rows.append(["worst ledger residual", f"{summary['ledger_residual']:.2g}"])
    if "dwell_s" in summary:
        dwell, trips = format_quantity(summary["dwell_s"], "time"), summary["round_trips_per_batch"]
        rows.append(["dwell", f"{dwell} = {trips:.4g} round trip{'' if trips == 1 else 's'}"])
    if _known(summary, "settling_s"):
        rows.append(["waves within 1 % of rest after", format_quantity(summary["settling_s"], "time")])
    if "gate_opened_s" in summary:
        opened, never = format_quantity(summary["gate_opened_s"], "time"), summary["unsettled_batches"]
        rows.append(["waves settled after", f"{opened} on average; not at all in {never} batches"])
    rows += [
        [label, format_quantity(summary[key], "energy")] for key, label in energies.items() if _known(summary, key)
    ]
    if "simulated_s" in summary:
        if summary.get("heater_energy_J"):
            rows.append(["energy of the heaters", format_quantity(summary["heater_energy_J"], "energy")])
        time = format_quantity(summary["simulated_s"], "time")
        rows.append(["simulated time", f"{time}, {summary['batches']} batches"])
    if "wall_s" in summary:
        rows.append(["wall time", f"{summary['wall_s']:.1f} s"])
    return rows


def _known(summary: dict[str, Any], key: str) -> bool:
    return summary.get(key) is not None and summary[key] == summary[key]
