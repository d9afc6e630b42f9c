"""`substrate sweep`: from a study file to a folder with a run file per run and one table."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from substrate.cli.reporting import note, print_json, print_table
from substrate.config.text import parse_toml, read_text
from substrate.errors import ConfigError, SubstrateError
from substrate.studies import load_study, plan_runs, run_study
from substrate.studies.analysis import summarise
from substrate.studies.description import Study
from substrate.studies.design import Run
from substrate.studies.running import Task, fingerprint
from substrate.studies.table import TABLE


@dataclass(frozen=True)
class Request:
    """What was typed after `substrate sweep`."""

    file: Path
    out: Path | None
    jobs: int
    scheduler: str
    resume: bool
    beside: bool
    overrides: list[str]
    json: bool
    quiet: bool


def run_sweep(request: Request) -> None:
    """Do the study and print where its best and worst runs are; raises the errors of study, base file and folder."""
    study = load_study(request.file, request.overrides)
    folder = request.out or Path("runs") / request.file.stem
    base = request.file.parent / study.base
    text = read_text(base)
    tasks = [make_task(study, run, text, base, folder) for run in plan_runs(study)]
    check(tasks[0])  # a fault of the base is told before any worker starts
    about = {"study": study.model_dump(by_alias=True), "base_sha256": fingerprint(text)}
    jobs = request.jobs or max(1, os.cpu_count() or 1)
    with _Bar(request.quiet) as bar:
        rows = run_study(
            tasks,
            do_run,
            folder,
            about=about,
            varied=list(study.vary),
            jobs=jobs,
            scheduler=request.scheduler,
            resume=request.resume,
            beside=do_runs if request.beside and _may_share(study, tasks[0]) else None,
            progress=bar.update,
        )
    failures = [row for row in rows if row["status"] != "ok"]
    for row in failures[:3]:
        note(f"run {row['run']} failed: {row['reason']}")
    if request.json:
        print_json({"runs": len(rows), "failed": len(failures), "table": str(folder / TABLE), "out": str(folder)})
    elif not request.quiet:
        columns, lines = summarise(study, rows)
        print_table(columns, lines, study.title or request.file.name)
        typer.echo(
            f"{len(rows)} runs, {len(failures)} failed. Table: {folder / TABLE}. Report: substrate report {folder}"
        )
    if failures:
        raise typer.Exit(1)


def make_task(study: Study, run: Run, text: str, base: Path, folder: Path) -> Task:
    """What a worker needs for a run of a study of ``base``, whose ``text`` was read; its file goes below ``folder``."""
    kind = parse_toml(text, base.name).get("kind")
    seed = "simulation.seed" if kind == "circuit" else "seed"
    values = {**study.fixed, **run.values, seed: run.seed}
    overrides = tuple(f"{key}={_text(value)}" for key, value in values.items())
    out = (folder / "runs" / f"{run.name}.h5").resolve()
    return Task(run, text, base.name, str(base.resolve().parent), overrides, str(out))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def check(task: Task) -> None:
    """Read the input of a run as its worker will; raises the errors it would."""
    from substrate.config import parse_config
    from substrate.config.mesh import parse_mesh
    from substrate.netfile import parse_netfile

    kind = parse_toml(task.text, task.name).get("kind")
    if kind == "mesh":
        parse_mesh(task.text, task.name, task.overrides)
    elif kind == "circuit":
        if parse_netfile(task.text, task.name, task.overrides, Path(task.base_dir)).settings is None:
            raise ConfigError(f"{task.name}: the table [simulation] is missing")
    else:
        parse_config(task.text, task.name, task.overrides)


def do_run(task: Task) -> dict[str, Any]:
    """Do one run into its file and return the numbers of its summary; this is what workers call."""
    from substrate.studies.table import flat

    Path(task.out).parent.mkdir(parents=True, exist_ok=True)
    circuit = parse_toml(task.text, task.name).get("kind") == "circuit"
    return flat(_circuit(task) if circuit else _training(task))


def _may_share(study: Study, task: Task) -> bool:
    """Whether runs may be samples of one simulation: circuits, where nobody asks for the energy of a run alone."""
    alone = study.target.startswith(("ledger_J", "stored_J"))
    return parse_toml(task.text, task.name).get("kind") == "circuit" and not alone


def do_runs(tasks: list[Task]) -> list[Any]:
    """Do runs of circuits side by side; the numbers of each, or the error it raised. Runs of one simulation share its
    file: ``file`` says which, ``sample`` where in it."""
    import warnings

    from substrate.circuit_run import run_beside
    from substrate.studies.table import flat

    Path(tasks[0].out).parent.mkdir(parents=True, exist_ok=True)
    found: list[Any] = []
    circuits = []
    for task in tasks:
        try:
            circuits.append((task, _parsed(task)))
        except SubstrateError as error:
            found.append((task, error))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # as in _circuit
        done = run_beside(
            [circuit for _, circuit in circuits],
            [task.out for task, _ in circuits],
            attributes=[_attributes(task) for task, _ in circuits],
        )
    for (task, _), outcome in zip(circuits, done, strict=True):
        if isinstance(outcome, Exception):
            found.append((task, outcome))
            continue
        shared = {"file": f"runs/{Path(outcome['file']).name}"} if "file" in outcome else {}
        found.append((task, {**flat(outcome), **shared}))
    return [outcome for _, outcome in sorted(found, key=lambda pair: pair[0].run.number)]


def _attributes(task: Task) -> dict[str, str]:
    import json

    return {"input": task.text, "input_name": task.name, "overrides": json.dumps(task.overrides)}


def _parsed(task: Task) -> Any:
    from substrate.netfile import parse_netfile

    return parse_netfile(task.text, task.name, task.overrides, Path(task.base_dir))


def _circuit(task: Task) -> dict[str, Any]:
    import warnings

    from substrate.circuit_run import run_circuit

    circuit, attributes = _parsed(task), _attributes(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # rounded delays: the file of the base says them once
        return run_circuit(circuit, task.out, attributes=attributes, overwrite=True)


def _training(task: Task) -> dict[str, Any]:
    from substrate.cli.train import train_job

    return train_job(task.text, task.name, Path(task.base_dir), list(task.overrides), Path(task.out))


class _Bar:
    """The progress of a study: runs done, and how many of them failed."""

    def __init__(self, hidden: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=hidden or not console.is_terminal,
        )
        self.task = self.progress.add_task("starting workers", total=None)

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, done: int, failed: int, total: int) -> None:
        """Show the counts."""
        text = f"runs, {failed} failed" if failed else "runs"
        self.progress.update(self.task, completed=done, total=total, description=text)
