"""`substrate train` for files of kind "mesh": a chip that learns in place, into a run file."""

import json
from pathlib import Path
from typing import Any

import typer

from substrate.cli.jobs import Job, Request, Stopped, refuse_changes, signals
from substrate.cli.ports import Chosen, choose_devices
from substrate.cli.progress import ProgressLine
from substrate.cli.reporting import note
from substrate.config.mesh import build_task, build_training, parse_mesh
from substrate.config.mesh_schema import MeshConfig
from substrate.learning.chip_training import train_chip


def train_mesh(job: Job, request: Request | None = None) -> tuple[dict[str, Any], MeshConfig, Chosen]:
    """Train as a file of kind "mesh" says; without a request without a word. Raises the errors of its parts."""
    config = parse_mesh(job.text, job.name, job.overrides)
    chosen = choose_devices(config, job.base_dir)
    task, settings = build_task(config, chosen.devices, job.base_dir), build_training(config)
    attributes = _attributes(job, config, chosen)
    refuse_changes(job, attributes | {"dataset_sha256": attributes.get("dataset_sha256", "")})
    job.out.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"out": job.out, "resume": job.resume, "overwrite": job.overwrite}
    if request is None:
        return train_chip(task, settings, attributes=attributes, **options), config, chosen
    for line in chosen.notes:
        note(line)
    try:
        with ProgressLine(hidden=request.quiet) as bar, signals(bar):
            summary = train_chip(task, settings, attributes=attributes, progress=bar.update, **options)
    except KeyboardInterrupt as error:
        note(f"stopped; to go on: substrate train --resume {job.out}")
        raise typer.Exit(error.exit_code if isinstance(error, Stopped) else 130) from None
    return summary, config, chosen


def mesh_job(text: str, name: str, base_dir: Path, overrides: list[str], out: Path) -> dict[str, Any]:
    """Train as the text of a file of kind "mesh" says, without a word, into ``out``, and return the summary."""
    return train_mesh(Job(text, name, base_dir, overrides, out, resume=False, overwrite=True, began_with={}))[0]


def _attributes(job: Job, config: MeshConfig, chosen: Chosen) -> dict[str, Any]:
    """What the run file keeps about its origin."""
    return {
        "kind": "mesh",
        "title": config.title,
        "input": job.text,
        "input_name": job.name,
        "base_dir": str(job.base_dir),
        "overrides": json.dumps(job.overrides),
        "device_cards": json.dumps(chosen.cards),
        "seed": config.seed,
        "dwell_s": config.clock.dwell,
        "batch": config.training.batch,
        "epochs": config.training.epochs,
    }
