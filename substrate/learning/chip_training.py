"""Trains a chip on a task: epochs, metrics, traces of its devices, checkpoints, and a run file that can be resumed."""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from substrate.errors import ConfigError, DivergenceError
from substrate.learning.chip_tasks import METRICS, Task
from substrate.learning.ports import PortBank
from substrate.record import RunWriter, TableSpec

Progress = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class ChipTraining:
    """How long and how fast a chip learns: ``dwell`` (s) is how long devices move under what one batch has told them.

    ``cooling``: the dwell falls linearly to nothing over the epochs, so that the last batches do not shake what the
    first have found. Raises ConfigError.
    """

    epochs: int
    dwell: float
    cooling: bool = True
    device_every: int = 1  # epochs between samples of the devices

    def __post_init__(self) -> None:
        if self.epochs < 1 or not self.dwell > 0.0 or self.device_every < 1:
            raise ConfigError(f"Training needs epochs, dwell and device_every above 0, but they are {self}")

    def seconds(self, epoch: int) -> float:
        """How long devices move per batch of an epoch."""
        return self.dwell * (1.0 - epoch / self.epochs if self.cooling else 1.0)


def tables(banks: Mapping[str, PortBank], metrics: Mapping[str, float]) -> dict[str, TableSpec]:
    """Every table of a run: one row per epoch, and the devices of each bank in the order of its ports."""
    specs = {
        "/metrics/epoch/time": TableSpec((), "f8", "s", "time the devices have moved by the end of the epoch"),
        "/metrics/epoch/train_loss": TableSpec((), "f8", "1", "mean loss of the batches, as each was learned"),
        "/devices/time": TableSpec((), "f8", "s", "time the devices have moved"),
    }
    specs |= {f"/metrics/epoch/{name}": TableSpec((), "f8", *METRICS[name]) for name in metrics}
    for name, bank in banks.items():
        cells = sum(group.values.size for group in bank.groups)
        for column, about in (("value", "what the light sees"), ("drive", "minus the gradient heard last")):
            specs[f"/devices/{name}/{column}"] = TableSpec((cells,), "f8", "1", about)
    return specs


class ChipRun:
    """One training of a task; :func:`train_chip` makes and runs it."""

    def __init__(self, task: Task, settings: ChipTraining) -> None:
        self.task, self.settings = task, settings
        self.epoch, self.time, self.wall = 0, 0.0, 0.0
        self.metrics = task.metrics()
        self.writer: RunWriter | None = None

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds."""
        return self.task.checkpoint()

    @property
    def scalars(self) -> dict[str, Any]:
        """And what else; asking for the metrics again would draw noise."""
        known = {name: value for name, value in self.metrics.items() if np.isfinite(value)}
        return {"epoch": self.epoch, "time": self.time, "wall": self.wall, "metrics": known}

    def run(self, progress: Progress | None) -> dict[str, Any]:
        """Train to the end; returns the summary."""
        begun, total = time.monotonic() - self.wall, self.settings.epochs * self.task.batches
        if self.epoch == 0:
            self._devices()
        while self.epoch < self.settings.epochs:
            seconds, losses = self.settings.seconds(self.epoch), []
            for batch in range(self.task.batches):
                losses.append(self.task.learn(self.epoch, batch, seconds))
                if progress is not None:
                    done = self.epoch * self.task.batches + batch + 1
                    progress({"batches": done, "total": total, "accuracy": self.metrics.get("test_accuracy", np.nan)})
            if not np.all(np.isfinite(losses)):
                raise DivergenceError(f"The loss is no number any more in epoch {self.epoch + 1}; lower the rate")
            self.time += seconds * self.task.batches
            self.epoch += 1
            self._end_epoch(float(np.mean(losses)))
            self.wall = time.monotonic() - begun
            if self.writer is not None:
                self.writer.checkpoint(self.state, self.scalars)
        summary = self.summary()
        if self.writer is not None:
            self.writer.finish("complete", summary)
        return summary

    def summary(self) -> dict[str, Any]:
        """The outcome as plain numbers."""
        found = {("accuracy" if name == "test_accuracy" else name): value for name, value in self.metrics.items()}
        energy = sum(bank.totals(1.0).get("tuning_J", 0.0) for bank in self.task.banks.values())
        return {
            **{name: value for name, value in found.items() if np.isfinite(value)},
            "batches": self.epoch * self.task.batches,
            "simulated_s": self.time,
            "heater_energy_J": energy,
            "wall_s": self.wall,
        }

    def _end_epoch(self, loss: float) -> None:
        self.metrics = self.task.metrics()
        if self.writer is not None:
            for name, value in {"time": self.time, "train_loss": loss, **self.metrics}.items():
                self.writer.append(f"/metrics/epoch/{name}", value)
        if self.epoch % self.settings.device_every == 0:
            self._devices()

    def _devices(self) -> None:
        if self.writer is None:
            return
        self.writer.append("/devices/time", self.time)
        for name, bank in self.task.banks.items():
            for column, kind in (("value", "values"), ("drive", "drive")):
                parts = [array.ravel() for array in bank.port_values(kind).values()]
                self.writer.append(f"/devices/{name}/{column}", np.concatenate(parts))


def train_chip(
    task: Task,
    settings: ChipTraining,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a task and return its summary; with ``out`` everything goes into a run file, which ``resume`` continues.

    Raises RunFileError, DivergenceError.
    """
    run = ChipRun(task, settings)
    if out is not None and resume:
        run.writer, arrays, scalars = RunWriter.resume(out)
        task.restore(arrays)
        run.epoch, run.time, run.wall = int(scalars["epoch"]), float(scalars["time"]), float(scalars["wall"])
        run.metrics |= scalars["metrics"]
    elif out is not None:
        run.writer = RunWriter.create(
            out,
            tables=tables(task.banks, run.metrics),
            checkpoint=run.state,
            attributes=dict(attributes or {}),
            overwrite=overwrite,
        )
        run.writer.checkpoint(run.state, run.scalars)  # so that a run stopped in its first epoch goes on, too
    with run.writer or nullcontext():
        return run.run(progress)
