"""`substrate train` for files of kind "mesh": a chip that learns in place, into a run file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from devices.thermo_optic import ThermoOptic, exponential_crosstalk
from substrate.cli.jobs import Job, Request, Stopped, origin, refuse_changes, signals
from substrate.cli.ports import Chosen, choose_devices
from substrate.cli.progress import ProgressLine
from substrate.cli.reporting import note
from substrate.config.mesh import build_task, build_training, parse_mesh
from substrate.config.mesh_schema import MeshConfig
from substrate.errors import ConfigError
from substrate.learning.chip import places_of
from substrate.learning.chip_tasks import Classify
from substrate.learning.chip_training import train_chip
from substrate.meshes.mesh import random_mesh, rectangle


def train_mesh(job: Job, request: Request | None = None) -> tuple[dict[str, Any], MeshConfig, Chosen]:
    """Train as a file of kind "mesh" says; without a request without a word. Raises the errors of its parts."""
    config = parse_mesh(job.text, job.name, job.overrides)
    chosen = choose_devices(config, job.base_dir)
    chosen.devices["*"] = _warmed(config, chosen.devices["*"])
    task, settings = build_task(config, chosen.devices, job.base_dir), build_training(config)
    attributes = _attributes(job, config, chosen)
    attributes["dataset_sha256"] = task.dataset.sha256 if isinstance(task, Classify) else ""
    refuse_changes(job, attributes)
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


def _warmed(config: MeshConfig, device: Any) -> Any:
    """The phases' device with the heat that reaches its neighbours; raises ConfigError for devices without heaters."""
    about, inner = config.controller, getattr(device, "device", device)
    if not about.crosstalk:
        return device
    if not isinstance(inner, ThermoOptic):
        raise ConfigError(f"crosstalk is heat between heaters, but {type(inner).__name__} has none")
    drawn = random_mesh(config.chip.modes, 0, rectangle(config.chip.modes, config.chip.columns))
    warm = replace(inner, crosstalk=exponential_crosstalk(places_of(drawn), about.crosstalk, about.reach))
    return warm if inner is device else replace(device, device=warm)


def _attributes(job: Job, config: MeshConfig, chosen: Chosen) -> dict[str, Any]:
    """What the run file keeps about its origin."""
    return {
        **origin(job, config.title, chosen.cards),
        "kind": "mesh",
        "seed": config.seed,
        "dwell_s": config.clock.dwell,
        "batch": config.training.batch,
        "epochs": config.training.epochs,
    }
