"""What a training run writes into its file: the tables, and the rows as they come."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from substrate.learning.layered import chain
from substrate.learning.ports import PortBank
from substrate.learning.presenting import ledger_row
from substrate.learning.settings import RecordSettings
from substrate.network import Network
from substrate.plan import LEDGER
from substrate.record import RunWriter, TableSpec
from substrate.simulation import Ledger, Simulation

EPOCH_METRICS = {
    "time": ("s", "simulated time at the end of the epoch"),
    "train_loss": ("1", "mean loss of the batches of the epoch, as each was learned"),
    "validation_accuracy": ("1", "share of right answers of the substrate on the validation set"),
    "test_accuracy": ("1", "share of right answers of the substrate on the test set"),
    "test_loss": ("1", "mean loss of the substrate on the test set"),
    "backprop_test_accuracy": ("1", "the same, trained digitally on the same batches"),
    "backprop_test_loss": ("1", "the same, trained digitally on the same batches"),
    "energy_per_inference": ("J", "energy sent into the substrate per sample of the test set"),
}
BATCH_METRICS = {
    "time": ("s", "simulated time at the end of the batch"),
    "loss": ("1", "mean loss of the batch at the end of its dwell"),
    "accuracy": ("1", "share of the batch answered right at the end of its dwell"),
    "reflected_power": ("W", "power the load reflects at the end of the dwell, mean per sample"),
    "backprop_loss": ("1", "loss of the same batch in digital training"),
}
GATE_METRICS = {  # where devices wait for the waves to settle
    "gate_opened": ("s", "from the arrival of the batch until the waves had settled and the devices moved"),
    "settle_residual": ("1", "change of the wave field over the last round trip before that, relative to the field"),
}


def tables(network: Network, bank: PortBank, simulation: Simulation, waits: bool = False) -> dict[str, TableSpec]:
    """Every table of a training run."""
    value = simulation.state.parameters[next(iter(simulation.state.parameters))].dtype.str[1:]
    specs = {f"/metrics/epoch/{name}": TableSpec((), "f8", *about) for name, about in EPOCH_METRICS.items()}
    specs |= {f"/metrics/batch/{name}": TableSpec((), "f8", *about) for name, about in BATCH_METRICS.items()}
    if waits:
        specs |= {f"/metrics/batch/{name}": TableSpec((), "f8", *about) for name, about in GATE_METRICS.items()}
    specs["/devices/time"] = TableSpec((), "f8", "s", "simulated time of the sample")
    for column, arrays in bank.trace(1.0):
        for name, array in arrays.items():
            about = (column.unit, column.description)
            specs[f"/devices/{name}/{column.name}"] = TableSpec(array.shape, column.dtype or value, *about)
    if any(name.endswith("/reflected") for name in specs):
        about = ("W", "power that the node at the line's second end sends back, mean per sample of the batch")
        specs |= {f"/reflections/{line}": TableSpec((), "f8", *about) for line in _lines(network)}
    specs["/ledger/time"] = TableSpec((), "f8", "s", "simulated time at the end of the row")
    for name in LEDGER:
        specs[f"/ledger/{name}"] = TableSpec((), "f8", "J", "energy since the row before, all samples of the batch")
    specs["/ledger/stored"] = TableSpec((), "f8", "J", "energy in the lines")
    specs["/ledger/residual"] = TableSpec(
        (), "f8", "1", "largest mismatch of any block, relative to the energy that moved"
    )
    specs["/field/time"] = TableSpec((), "f8", "s", "simulated time of the sample")
    for line in _lines(network):
        steps = next(rows.steps for rows in simulation.plan.lines if rows.name == line)
        for way in ("forward", "backward"):
            specs[f"/field/{line}/{way}"] = TableSpec((steps,), "f8", "1", "rms amplitude from first end to second")
    return specs


def _lines(network: Network) -> list[str]:
    return [stage.name for stage in chain(network) if stage.kind == "line"]


class RunRecorder:
    """Writes the rows of one training run; without a file it does nothing."""

    def __init__(
        self,
        network: Network,
        simulation: Simulation,
        bank: PortBank,
        settings: RecordSettings,
        waits: bool = False,
    ) -> None:
        self.simulation, self.bank, self.settings = simulation, bank, settings
        self.lines = _lines(network)
        self.tables = tables(network, bank, simulation, waits)
        self.writer: RunWriter | None = None
        self.joule = 0.0  # J per unit of loss taken away

    def create(
        self, path: str | Path, state: Mapping[str, np.ndarray], attributes: dict[str, Any], overwrite: bool
    ) -> None:
        """Start the file; ``state`` is the template of its checkpoints."""
        self.writer = RunWriter.create(
            path,
            tables=self.tables,
            checkpoint=dict(state),
            attributes=attributes,
            overwrite=overwrite,
            compression=self.settings.compression,
        )

    def devices(self, time: float) -> None:
        """One sample of every device."""
        if self.writer is None:
            return
        self.writer.append("/devices/time", time)
        for column, arrays in self.bank.trace(self.joule):
            for name, array in arrays.items():
                self.writer.append(f"/devices/{name}/{column.name}", array)
        for line in self.lines:
            if f"/reflections/{line}" in self.tables:
                _, back = self.simulation.field(line)
                power = float((back[:, -1].astype(float) ** 2).sum(axis=0).mean())
                self.writer.append(f"/reflections/{line}", power * self.simulation.plan.reference_power)

    def ledger(self, time: float, ledger: Ledger) -> None:
        """One row of the energy books."""
        self._row("/ledger", {"time": time, **ledger_row(ledger)})

    def batch(self, metrics: Mapping[str, float]) -> None:
        """One row of batch metrics."""
        self._row("/metrics/batch", metrics)

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """One row of epoch metrics."""
        self._row("/metrics/epoch", metrics)

    def field(self, time: float) -> None:
        """The rms wave field along every line now."""
        if self.writer is None:
            return
        self.writer.append("/field/time", time)
        for line in self.lines:
            for way, wave in zip(("forward", "backward"), self.simulation.field(line), strict=True):
                self.writer.append(f"/field/{line}/{way}", np.sqrt(np.mean(wave.astype(float) ** 2, axis=(0, 2))))

    def _row(self, group: str, values: Mapping[str, float]) -> None:
        if self.writer is not None:
            for name, value in values.items():
                self.writer.append(f"{group}/{name}", float(value))
