"""Trains a layered substrate on a data set: epochs, batches, metrics, checkpoints, and digital training beside it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import ConfigError, DataError, DivergenceError
from substrate.learning.datasets import Dataset, load_dataset, shuffled
from substrate.learning.evaluating import Evaluator, gradient_error, score
from substrate.learning.hearing import Presentation
from substrate.learning.layered import INPUT, OUTPUT, chain
from substrate.learning.ports import Devices, PortBank
from substrate.learning.presenting import Presenter
from substrate.learning.recording import RunRecorder
from substrate.learning.reference import DigitalTraining
from substrate.learning.settings import TrainSettings
from substrate.network import Network
from substrate.record import RunWriter
from substrate.simulation import Ledger, Simulation

RUNAWAY = 1e6  # times its start (or 1) that a parameter may grow to; beyond, training has diverged

Progress = Callable[[dict[str, float]], None]


@dataclass
class Tally:
    """Sums over a run that its summary needs; checkpointed with it."""

    epoch: int = 0
    batch: int = 0  # within the epoch
    batches: int = 0  # since the start
    supplied: float = 0.0  # J sent into the waves
    residual: float = 0.0  # worst of the run
    waited: float = 0.0  # s until the devices' gate opened, where they wait
    unsettled: int = 0  # batches whose gate opened before the waves had settled
    epoch_loss: float = 0.0  # sum over the batches of this epoch
    wall: float = 0.0  # s of earlier sessions
    validation_accuracy: float = float("nan")
    test_accuracy: float = float("nan")
    test_loss: float = float("nan")
    backprop_accuracy: float = float("nan")
    energy_per_inference: float = float("nan")


def targets(y: np.ndarray, classes: int) -> np.ndarray:
    """What the load holds for labels or targets ``y``: one-hot rows for labels.

    >>> targets(np.array([1, 0]), 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(classes)[y] if classes else np.asarray(y, dtype=float)


class Trainer:
    """One training run; :func:`train` makes and runs it.

    Raises ConfigError or DataError before any work when network, data and settings do not fit together.
    """

    def __init__(self, network: Network, dataset: Dataset, device: Devices, settings: TrainSettings) -> None:
        chain(network)
        _check_sizes(network, dataset, settings)
        self.network, self.dataset, self.settings = network, dataset, settings
        plan = compile_network(network, settings.dt, reference_power=settings.reference_power)
        self.simulation = Simulation(
            plan, batch=settings.batch, backend=settings.backend, dtype=settings.dtype, seed=settings.seed
        )
        self.bank = PortBank(self.simulation, device, seed=settings.seed, columns=settings.record.device_columns)
        self.presenter = Presenter(network, self.simulation, self.bank, settings)
        self.reference = DigitalTraining(network, self.bank, settings.dwell)
        self.evaluator = Evaluator(network, settings, labels=dataset.classes > 0)
        self.waits = settings.tolerance is not None
        self.recorder = RunRecorder(network, self.simulation, self.bank, settings.record, self.waits)
        self.recorder.joule = settings.reference_power * settings.dwell
        self.tally = Tally()
        self.batches_per_epoch = len(dataset.x_train) // settings.batch
        self._y_train = targets(dataset.y_train, dataset.classes)
        self._saved_at = time.monotonic()

    @property
    def time(self) -> float:
        """Simulated seconds, holds included."""
        return self.tally.batches * self.settings.dwell

    def run(self, progress: Progress | None = None) -> dict[str, Any]:
        """Train to the end and return the summary."""
        started = time.monotonic() - self.tally.wall
        record, tally = self.settings.record, self.tally
        total = self.settings.epochs * self.batches_per_epoch
        if tally.batches == 0:
            self.recorder.devices(self.time)
        while tally.epoch < self.settings.epochs:
            order = self._order(tally.epoch)
            while tally.batch < self.batches_per_epoch:
                start = tally.batch * self.settings.batch
                edge = min(tally.batches, total - 1 - tally.batches) < record.field_batches
                self._train_batch(order[start : start + self.settings.batch], edge)
                if progress is not None:
                    progress({"batches": tally.batches, "total": total, "accuracy": tally.test_accuracy})
                if tally.batch < self.batches_per_epoch:
                    self._maybe_save(started)
            self._end_epoch()
            self._maybe_save(started, force=tally.epoch == self.settings.epochs)
        summary = self.summary(time.monotonic() - started)
        if self.recorder.writer is not None:
            self.recorder.writer.finish("complete", summary)
            self.recorder.writer.close()
        return summary

    def _order(self, epoch: int) -> np.ndarray:
        return shuffled(self.settings.seed, epoch, len(self.dataset.x_train))

    def _train_batch(self, rows: np.ndarray, record_field: bool) -> None:
        x, y = self.dataset.x_train[rows], self._y_train[rows]
        start, ticks = self.time, 0
        timing, dt = self.presenter.timing, self.settings.dt
        interval, settle = timing.interval * dt, timing.settle * dt

        def on_tick() -> None:
            nonlocal ticks
            ticks += 1
            if record_field:
                self.recorder.field(start + min(ticks * interval, settle))

        self.presenter.on_tick = on_tick if record_field else None
        books = self.presenter.present(x, y)
        backprop_loss = self.reference.step(x, y)
        self.tally.batch += 1
        self.tally.batches += 1
        self._book(books, backprop_loss)

    def _book(self, books: Ledger, backprop_loss: float) -> None:
        """Count and record what the batch has done."""
        tally = self.tally
        tally.supplied += books["injected"] + books["gain"] + books["noise"]
        tally.residual = max(tally.residual, books.residual)
        z = self.evaluator.read(self.simulation)
        # What the load compares with now: with a dwell shorter than the transit, that is an earlier batch's target.
        y = self.simulation.stepper.to_host(self.simulation.state.inputs[OUTPUT]).T.astype(float)
        accuracy, loss = score(z, y, self.evaluator.loss, self.dataset.classes > 0)
        reflected = self.evaluator.loss.gradient(np, z.T, y.T)
        tally.epoch_loss += loss
        self.recorder.ledger(self.time, books)
        metrics = {
            "time": self.time,
            "loss": loss,
            "accuracy": accuracy,
            "reflected_power": float((reflected**2).sum(axis=0).mean()) * self.settings.reference_power,
            "backprop_loss": backprop_loss,
        }
        if self.waits:
            metrics["gate_opened"] = self.presenter.gate_opened * self.settings.dt
            metrics["settle_residual"] = self.presenter.residual
            tally.waited += metrics["gate_opened"]
            tally.unsettled += not self.presenter.residual <= (self.settings.tolerance or 0.0)
        self.recorder.batch(metrics)
        if tally.batches % self.settings.record.device_every == 0:
            self.recorder.devices(self.time)

    def _end_epoch(self) -> None:
        data, tally = self.dataset, self.tally
        parameters = self.bank_values()
        self._refuse_runaway(parameters)
        answer = self.evaluator.answer(parameters, data.x_test, targets(data.y_test, data.classes))
        held_out = self.evaluator.answer(parameters, data.x_validation, targets(data.y_validation, data.classes))
        z = self.reference.backprop.forward(self.reference.parameters, data.x_test)
        labels = data.classes > 0
        digital, digital_loss = score(z, targets(data.y_test, data.classes), self.evaluator.loss, labels)
        tally.test_accuracy, tally.test_loss, tally.energy_per_inference = answer.accuracy, answer.loss, answer.energy
        tally.validation_accuracy, tally.backprop_accuracy = held_out.accuracy, digital
        self.recorder.epoch(
            {
                "time": self.time,
                "train_loss": tally.epoch_loss / self.batches_per_epoch,
                "validation_accuracy": held_out.accuracy,
                "test_accuracy": answer.accuracy,
                "test_loss": answer.loss,
                "backprop_test_accuracy": digital,
                "backprop_test_loss": digital_loss,
                "energy_per_inference": answer.energy,
            }
        )
        tally.epoch, tally.batch, tally.epoch_loss = tally.epoch + 1, 0, 0.0

    def _refuse_runaway(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Stop a run whose parameters grow without end; raises DivergenceError."""
        for name, value in parameters.items():
            largest = float(np.abs(value).max(initial=0.0))
            if not largest <= RUNAWAY * max(1.0, float(np.abs(self.network.parameters()[name]).max(initial=0.0))):
                raise DivergenceError(
                    f"The devices ran away: after {self.tally.batches} batches the largest value of {name} is "
                    f"{largest:.3g}. The ports hear more than the error; lower the rate, hold batches for longer, or "
                    "look for what feeds waves back (a negative reflection, waves that have not settled)"
                )

    def bank_values(self) -> dict[str, np.ndarray]:
        """The parameters the waves see now, on the host."""
        return {
            name: self.simulation.stepper.to_host(value) for name, value in self.simulation.state.parameters.items()
        }

    def summary(self, wall: float) -> dict[str, Any]:
        """The outcome of the run as plain numbers, SI units in the names."""
        data, tally, timing = self.dataset, self.tally, self.presenter.timing
        count = min(256, len(data.x_train))
        error = gradient_error(
            self.network, self.settings, self.bank_values(), data.x_train[:count], self._y_train[:count]
        )
        joule = self.settings.reference_power * self.settings.dwell
        shown = self._second_batch()
        return {
            "accuracy": tally.test_accuracy,
            "backprop_accuracy": tally.backprop_accuracy,
            "validation_accuracy": tally.validation_accuracy,
            "test_loss": tally.test_loss,
            "gradient_error": error,
            "gradient_cosine": shown.cosine(),
            "settling_s": shown.settling(),
            "ledger_residual": tally.residual,
            "round_trips_per_batch": timing.dwell / timing.round_trip,
            "dwell_s": self.settings.dwell,
            "round_trip_s": timing.round_trip * self.settings.dt,
            "batches": tally.batches,
            "simulated_s": self.time,
            **(
                {"gate_opened_s": tally.waited / tally.batches, "unsettled_batches": tally.unsettled}
                if self.waits
                else {}
            ),
            "energy_per_update_J": tally.supplied / tally.batches,
            "device_energy_per_update_J": self.bank.absorbed * joule / tally.batches,
            "energy_per_inference_J": tally.energy_per_inference,
            **{f"devices_{name}": number for name, number in self.bank.totals(joule).items()},
            "wall_s": wall,
        }

    def _second_batch(self) -> Presentation:
        """The second batch of the training set, shown to the present parameters after the first."""
        count, x, y = self.settings.batch, self.dataset.x_train, self._y_train
        first, second = (np.arange(place * count, (place + 1) * count) % len(x) for place in (0, 1))
        shown, timing = ((x[first], y[first]), (x[second], y[second])), self.presenter.timing
        return Presentation(self.network, self.settings, timing, self.bank_values(), *shown)

    def _gate(self) -> dict[str, float]:
        """How long devices waited for the waves to settle, in the mean, and how often in vain."""
        return {"gate_opened_s": self.tally.waited / self.tally.batches, "unsettled_batches": self.tally.unsettled}

    def _maybe_save(self, started: float, force: bool = False) -> None:
        writer = self.recorder.writer
        now = time.monotonic()
        if writer is None or not (force or now - self._saved_at >= self.settings.record.checkpoint_seconds):
            return
        self.tally.wall = now - started
        writer.checkpoint(self.checkpoint(), asdict(self.tally))
        self._saved_at = time.monotonic()

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The complete state of the run as named arrays; its counters are in ``tally``."""
        owners = self._owners().items()
        return {f"{part}/{name}": array for part, owner in owners for name, array in owner.checkpoint().items()}

    def _owners(self) -> dict[str, Any]:
        """Who holds state that changes during a run, by the name its checkpoint is kept under."""
        return {"waves": self.simulation, "ports": self.bank, "labels": self.presenter, "reference": self.reference}

    def restore(self, arrays: Mapping[str, np.ndarray], scalars: Mapping[str, Any]) -> None:
        """Continue from a checkpoint of the same run."""
        for part, owner in self._owners().items():
            prefix = f"{part}/"
            owner.restore({name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)})
        self.tally = Tally(**scalars)
        self.presenter.presented = self.tally.batches


def _check_sizes(network: Network, dataset: Dataset, settings: TrainSettings) -> None:
    """Refuse data that do not fit the network or the batch."""
    source, load = network.nodes[INPUT], network.nodes[OUTPUT]
    if source.ports[0].channels != dataset.channels:
        raise DataError(
            f"Data set {dataset.name!r} has {dataset.channels} numbers per sample, but the network's input has "
            f"{source.ports[0].channels} channels; make them agree"
        )
    if load.ports[0].channels != dataset.outputs:
        raise DataError(
            f"Data set {dataset.name!r} needs {dataset.outputs} outputs, "
            f"but the network's load has {load.ports[0].channels} channels"
        )
    if getattr(load, "loss", "") == "cross_entropy" and not dataset.classes:
        raise DataError(
            f"Data set {dataset.name!r} has targets, not labels, so the load cannot be cross_entropy; use mse"
        )
    if settings.batch > len(dataset.x_train):
        raise ConfigError(f"batch={settings.batch} is more than the {len(dataset.x_train)} training samples; lower it")


def train(
    network: Network,
    dataset: Dataset | str,
    device: Devices,
    settings: TrainSettings,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    attributes: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a substrate and return its summary; with ``out``, write everything to a run file as it goes.

    ``resume`` continues the unfinished file ``out`` of the same network, data, device and settings, bit for bit.
    ``attributes`` go into the file. Raises the SubstrateError that says what does not fit.

    >>> from devices.ideal import Gradient
    >>> from substrate import Line
    >>> from substrate.learning.layered import layered
    >>> net = layered([64, 10], line=Line(delay=1e-12))
    >>> settings = TrainSettings(dt=1e-12, dwell=8e-12, epochs=1)
    >>> summary = train(net, "digits", Gradient(rate=0.3 / 8e-12), settings)
    >>> summary["gradient_error"] < 1e-12, summary["ledger_residual"] < 1e-12
    (True, True)
    """
    data = load_dataset(dataset, seed=settings.seed) if isinstance(dataset, str) else dataset
    trainer = Trainer(network, data, device, settings)
    if out is not None and resume:
        trainer.recorder.writer, arrays, scalars = RunWriter.resume(out)
        trainer.restore(arrays, scalars)
    elif out is not None:
        about = {"seed": settings.seed, "dataset": data.name, "dataset_sha256": data.sha256, **(attributes or {})}
        trainer.recorder.create(out, trainer.checkpoint(), about, overwrite)
        assert trainer.recorder.writer is not None
        trainer.recorder.writer.checkpoint(trainer.checkpoint(), asdict(trainer.tally))
    try:
        return trainer.run(progress)
    except BaseException as error:
        if trainer.recorder.writer is not None:
            trainer.recorder.writer.__exit__(type(error), error, error.__traceback__)
        raise
