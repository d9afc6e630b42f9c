"""Runs a study on Dask workers, one run at a time each: local processes, or a cluster that is already there."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from substrate.errors import ConfigError
from substrate.studies.design import Run
from substrate.studies.table import keep_row, kept_rows, write_table

ABOUT = "study.json"
LOST = 2  # times a run may take its worker down, with nothing else at work, before it counts as failed


@dataclass(frozen=True)
class Task:
    """What a worker needs for one run."""

    run: Run
    text: str  # of the base file
    name: str
    base_dir: str
    overrides: tuple[str, ...]
    out: str


Worker = Callable[[Task], dict[str, Any]]  # does a run; what it raises becomes the reason in its row
Batch = Callable[[list[Task]], list[Any]]  # does several; a row, or what was raised, for each
MOST_BESIDE = 64  # runs in one simulation
LEAST_BATCHES = 8  # of a study, so that as many workers have something to do


def run_study(
    tasks: list[Task],
    worker: Worker,
    folder: Path,
    *,
    about: dict[str, Any],
    varied: list[str],
    jobs: int = 1,
    scheduler: str = "",
    resume: bool = False,
    beside: Batch | None = None,
    progress: Callable[[int, int, int], None] = lambda done, failed, total: None,
) -> list[dict[str, Any]]:
    """Do every task that has no good row in ``folder`` yet, and return all rows; ``table.csv`` holds them too.

    ``worker`` runs in ``jobs`` local processes or on the Dask cluster at ``scheduler``, which must see the same files.
    A worker that is killed loses its current run only, which another does again; a run that takes its worker down again
    and again, at last with nothing else at work, or raises, becomes a row with its reason. ``beside`` does several runs
    at once, side by side, which a killed worker loses together; which ones depends on the study alone, so that the
    table does not depend on the workers.
    ``about`` names what must not change between a study and its ``resume``. Raises ConfigError.
    """
    rows = _begin(folder, about, resume)
    todo = [task for task in tasks if rows.get(task.run.number, {}).get("status") != "ok"]
    progress(len(tasks) - len(todo), 0, len(tasks))
    if todo:
        with _client(jobs, scheduler) as client:
            failed = 0
            for task, outcome in _finished(client, todo, worker, beside, batch_size(len(tasks))):
                row = _row(task, outcome)
                failed += row["status"] != "ok"
                keep_row(folder, row)
                rows[task.run.number] = row
                done = sum(row["status"] == "ok" for row in rows.values())
                progress(done + failed, failed, len(tasks))
    write_table(folder, rows.values(), varied)
    return [rows[number] for number in sorted(rows)]


def _begin(folder: Path, about: dict[str, Any], resume: bool) -> dict[int, dict[str, Any]]:
    """Make the folder of a new study, or check that a resumed one is the same; the rows it has."""
    path = folder / ABOUT
    text = json.dumps(about, indent=1, default=str)
    if path.exists():
        if not resume:
            raise ConfigError(f"{folder}: holds a study already; --resume goes on with it, --out takes another folder")
        if json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise ConfigError(f"{folder}: holds another study, or its files have changed; take another folder")
        return kept_rows(folder)
    if resume and not folder.exists():
        raise ConfigError(f"{folder}: there is no study to go on with")
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return {}


def fingerprint(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _client(jobs: int, scheduler: str) -> Iterator[Any]:
    """A Dask client of a cluster there is, or of local processes with one thread each."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("a study runs on Dask, which is not installed: pip install 'wave-substrate[sweep]'") from None
    if scheduler:
        try:
            client = Client(scheduler, timeout="5s")
        except (OSError, ValueError) as error:
            raise ConfigError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from None
        with client:
            yield client
        return
    # Nannies bring killed workers back; each worker counts with one thread, or they would fight for the cores.
    settings = {"distributed.scheduler.allowed-failures": LOST - 1, "distributed.worker.daemon": False}
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def batch_size(runs: int) -> int:
    """How many runs of a study of so many may share a simulation.

    >>> batch_size(4), batch_size(200), batch_size(5000)
    (1, 25, 64)
    """
    return max(1, min(MOST_BESIDE, -(-runs // LEAST_BATCHES)))


def _finished(
    client: Any, tasks: list[Task], worker: Worker, beside: Batch | None, size: int
) -> Iterator[tuple[Task, Any]]:
    """Each task with its result or its exception, as they end.

    No more is handed out than there are threads, for Dask suspects everything that a worker holds when it dies. What
    was suspected twice is done again when all else is over, one run at a time: then nobody is suspected for another.
    """
    from distributed import as_completed

    parts: dict[int, list[Task]] = {}
    for task in tasks:
        parts.setdefault(task.run.number if beside is None else task.run.number // size, []).append(task)
    waiting, suspects, running = list(parts.values())[::-1], list[Task](), dict[Any, tuple[list[Task], bool]]()
    ending = as_completed([])
    while waiting or suspects or running:
        while waiting and len(running) < max(1, sum(client.nthreads().values())):
            part = waiting.pop()
            work = (worker, part[0]) if beside is None else (beside, part)
            future = client.submit(*work, key=f"run-{part[0].run.name}-{id(tasks)}", pure=False)
            running[future] = part, False
            ending.add(future)
        if not running:
            task = suspects.pop(0)
            future = client.submit(worker, task, key=f"alone-{task.run.name}-{id(tasks)}", pure=False)
            running[future] = [task], True
            ending.add(future)
        future = next(ending)
        part, alone = running.pop(future)
        error = future.exception() if future.status == "error" else None
        if error is not None and _killed(error) and not alone:
            suspects += part
        else:
            found = [error] * len(part) if error is not None else future.result()
            yield from zip(part, found if isinstance(found, list) else [found], strict=True)
        future.release()


def _row(task: Task, outcome: Any) -> dict[str, Any]:
    run = task.run
    row: dict[str, Any] = {"run": run.number, "point": run.point, "repeat": run.repeat, "seed": run.seed}
    failed = isinstance(outcome, BaseException)
    row |= {"status": "failed" if failed else "ok", "reason": _reason(outcome) if failed else ""}
    row |= {"file": f"runs/{run.name}.h5", **run.values}
    return row if failed else {**row, **outcome}  # runs side by side share a file, which the outcome names


def _killed(error: BaseException) -> bool:
    return type(error).__name__ == "KilledWorker"  # of a package that is not imported for its name


def _reason(error: BaseException) -> str:
    if _killed(error):
        return f"its worker process died {LOST} times (killed, or out of memory)"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
