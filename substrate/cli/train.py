"""`substrate train`: from a training file, or an unfinished run file, to a finished run file and its outcome."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from substrate.cli.ports import Chosen, choose_devices
from substrate.cli.progress import ProgressLine
from substrate.cli.reporting import note, print_json, print_table
from substrate.config import build_network, build_settings, load_data, parse_config, read_text
from substrate.config.schema import TrainConfig
from substrate.errors import ConfigError, RunFileError
from substrate.learning.training import train
from substrate.record import RunReader
from substrate.units import format_quantity


@dataclass(frozen=True)
class Request:
    """What was typed after `substrate train`."""

    file: Path | None
    out: Path | None
    resume: Path | None
    overwrite: bool
    overrides: list[str]
    json: bool
    quiet: bool


@dataclass(frozen=True)
class Job:
    """A run to do: its text and where it came from, its run file, and whether it goes on."""

    text: str
    name: str
    base_dir: Path
    overrides: list[str]
    out: Path
    resume: bool
    overwrite: bool
    began_with: dict[str, Any]  # attributes of the run file that goes on


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop, and a batch has just ended."""

    def __init__(self, number: int) -> None:
        super().__init__(f"by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def run_train(request: Request) -> None:
    """Do what was asked for and print the outcome; raises the errors of configuration, data, devices and run file."""
    job = _resumed_job(request) if request.resume is not None else _new_job(request)
    config = parse_config(job.text, job.name, job.overrides)
    chosen = choose_devices(config, job.base_dir)
    for line in chosen.notes:
        note(line)
    summary = _run(job, config, chosen, request)
    if request.json:
        print_json({**summary, "title": config.title, "out": str(job.out), "device_cards": chosen.cards})
    elif not request.quiet:
        print_table(["", ""], summary_rows(summary), config.title or job.name)
        typer.echo(f"Written to {job.out}. Figures: substrate plot {job.out}")


def train_job(text: str, name: str, base_dir: Path, overrides: list[str], out: Path) -> dict[str, Any]:
    """Train as the text of a training file says, without a word, into ``out``, and return the summary."""
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


def _new_job(request: Request) -> Job:
    if request.file is None:
        raise ConfigError("name a training file (substrate train FILE.toml), or a run to go on with (--resume RUN.h5)")
    text = read_text(request.file)
    out = request.out or Path("runs") / f"{request.file.stem}.h5"
    if out.exists() and not request.overwrite:
        way_on = "" if _is_complete(out) else f"; to go on with it: substrate train --resume {out}"
        raise RunFileError(f"{out}: exists already; --overwrite replaces it, --out gives another name{way_on}")
    base_dir = request.file.resolve().parent
    return Job(text, request.file.name, base_dir, request.overrides, out, False, request.overwrite, {})


def _is_complete(path: Path) -> bool:
    try:
        with RunReader.open(path) as run:
            return run.complete
    except RunFileError:
        return True  # nothing to go on with


def _resumed_job(request: Request) -> Job:
    """The job of an unfinished run file; it takes everything from there."""
    path = request.resume
    assert path is not None
    typed = {
        "FILE.toml": request.file,
        "--out": request.out,
        "--overwrite": request.overwrite,
        "--set or --backend": request.overrides,
    }
    if extra := [name for name, value in typed.items() if value]:
        raise ConfigError(f"--resume takes everything from {path}; leave out {', '.join(extra)}")
    with RunReader.open(path) as run:
        about = run.attributes
        if run.complete:
            raise RunFileError(f"{path}: the run is complete, nothing is left to resume; see: substrate info {path}")
        started = _has_checkpoint(run)
    if "input" not in about or "overrides" not in about:
        raise RunFileError(f"{path}: not written by `substrate train`, so it does not say how to go on; use Python")
    overrides = json.loads(str(about["overrides"]))
    base_dir = Path(str(about["base_dir"]))
    return Job(str(about["input"]), str(about["input_name"]), base_dir, overrides, path, started, not started, about)


def _has_checkpoint(run: RunReader) -> bool:
    """False where the run was killed before its first checkpoint: it can only start again, which loses nothing."""
    try:
        run.newest_checkpoint()
    except RunFileError:
        if any(run.rows(name) for name in run.tables):
            raise
        return False
    return True


def _run(job: Job, config: TrainConfig, chosen: Chosen, request: Request) -> dict[str, Any]:
    """Train, with a progress bar, and stop between two batches when a signal asks for it."""
    dataset = load_data(config, job.base_dir)
    network, settings = build_network(config), build_settings(config)
    attributes = _attributes(job, config, chosen)
    _refuse_changes(job, {**attributes, "dataset_sha256": dataset.sha256})
    job.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ProgressLine(hidden=request.quiet) as line, _signals(line):
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
        "title": config.title,
        "input": job.text,
        "input_name": job.name,
        "base_dir": str(job.base_dir),
        "overrides": json.dumps(job.overrides),
        "device_cards": json.dumps(chosen.cards),
        "layers": json.dumps(config.network.layers),
        "dt_s": config.clock.dt,
        "dwell_s": config.clock.dwell,
        "reference_power_W": config.clock.reference_power,
        "batch": config.training.batch,
        "epochs": config.training.epochs,
    }


def _refuse_changes(job: Job, now: dict[str, Any]) -> None:
    """A run goes on bit for bit only with the data and the cards it began with."""
    if not job.began_with:
        return
    names = {"dataset_sha256": "the data set has", "device_cards": "a device card has"}
    for key, what in names.items():
        if job.began_with.get(key, now[key]) != now[key]:
            raise RunFileError(
                f"{job.out}: {what} changed since the run began, so it cannot go on bit for bit; "
                "bring back the old one, or start a new run"
            )


@contextmanager
def _signals(line: ProgressLine) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run when its batch has ended; a second one stops it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        line.stop = Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    if _known(summary, "test_loss"):
        rows.append(["test loss", f"{summary['test_loss']:.4g}"])
    if "gradient_error" in summary:
        when = "after one round trip" if "gate_opened_s" not in summary else "of settled waves"
        rows.append([f"gradient error {when}", f"{summary['gradient_error']:.2g}"])
    if "ledger_residual" in summary:
        rows.append(["worst ledger residual", f"{summary['ledger_residual']:.2g}"])
    if "dwell_s" in summary:
        dwell, trips = format_quantity(summary["dwell_s"], "time"), summary["round_trips_per_batch"]
        rows.append(["dwell", f"{dwell} = {trips:.4g} round trip{'' if trips == 1 else 's'}"])
    if "gate_opened_s" in summary:
        opened, never = format_quantity(summary["gate_opened_s"], "time"), summary["unsettled_batches"]
        rows.append(["waves settled after", f"{opened} on average; not at all in {never} batches"])
    rows += [
        [label, format_quantity(summary[key], "energy")] for key, label in energies.items() if _known(summary, key)
    ]
    if "simulated_s" in summary:
        time = format_quantity(summary["simulated_s"], "time")
        rows.append(["simulated time", f"{time}, {summary['batches']} batches"])
    if "wall_s" in summary:
        rows.append(["wall time", f"{summary['wall_s']:.1f} s"])
    return rows


def _known(summary: dict[str, Any], key: str) -> bool:
    return summary.get(key) is not None and summary[key] == summary[key]
