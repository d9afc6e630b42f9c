"""What `substrate train` was asked to do: a file to begin with or a run to go on with, and how a signal stops it."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from substrate.cli.progress import ProgressLine
from substrate.config import read_text
from substrate.errors import ConfigError, RunFileError
from substrate.record import RunReader


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


def origin(job: Job, title: str, cards: dict[str, str]) -> dict[str, Any]:
    """What the run file of a job keeps, so that it can be made again or gone on with."""
    return {
        "title": title,
        "input": job.text,
        "input_name": job.name,
        "base_dir": str(job.base_dir),
        "overrides": json.dumps(job.overrides),
        "device_cards": json.dumps(cards),
    }


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop, and a batch has just ended."""

    def __init__(self, number: int) -> None:
        super().__init__(f"by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def new_job(request: Request) -> Job:
    """The job of a file; raises ConfigError, RunFileError where its run file is there already."""
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


def resumed_job(request: Request) -> Job:
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


def refuse_changes(job: Job, now: dict[str, Any]) -> None:
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
def signals(line: ProgressLine) -> Iterator[None]:
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
