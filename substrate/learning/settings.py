"""The numbers of a training run that are neither network, data nor device, and what they mean in steps."""

from dataclasses import dataclass

import numpy as np

from substrate.errors import ConfigError
from substrate.learning.device_columns import PLAIN


@dataclass(frozen=True)
class RecordSettings:
    """What a run writes, and how often.

    ``device_every``: batches between samples of the device traces; ``device_columns``: what they hold of every cell
    (substrate/learning/device_columns.py lists what there is; ``value`` is always there); ``ledger_every_tick``: a
    ledger row per device tick rather than per batch; ``field_batches``: at the start and the end of the run, how many
    batches have the wave field along every line recorded at every tick; ``checkpoint_seconds``: wall time between
    checkpoints (0: every batch).
    """

    device_every: int = 10
    device_columns: tuple[str, ...] = PLAIN
    ledger_every_tick: bool = False
    field_batches: int = 3
    checkpoint_seconds: float = 10.0
    compression: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "device_columns", tuple(dict.fromkeys(["value", *self.device_columns])))
        if self.device_every < 1:
            raise ConfigError(f"device_every counts batches and must be at least 1, but it is {self.device_every}")
        if self.field_batches < 0:
            raise ConfigError(f"field_batches must be at least 0, but it is {self.field_batches}")


@dataclass(frozen=True)
class TrainSettings:
    """How a substrate is trained.

    ``dt`` (s) is the wave step; each batch is held for ``dwell`` (s), of which the first ``settle`` (s; None: all) are
    simulated with waves and the rest is taken by the devices in one step; devices move every ``device_interval`` (s;
    None: the shortest line delay). With ``tolerance`` the devices' gate stays shut until the waves have settled: until
    their change over a round trip, relative to their size, is below it, or until ``settle`` runs out; the devices then
    take the rest of the dwell in one step. ``reference_power`` (W) is that of unit amplitude. Raises ConfigError.

    >>> TrainSettings(dt=1e-12, dwell=24e-12).steps(24e-12, "dwell")
    24
    """

    dt: float
    dwell: float
    settle: float | None = None
    device_interval: float | None = None
    tolerance: float | None = None
    batch: int = 50
    epochs: int = 30
    seed: int = 0
    dtype: str = "float64"
    backend: str = "cpu"
    reference_power: float = 1e-3
    record: RecordSettings = RecordSettings()

    def __post_init__(self) -> None:
        for name in ("batch", "epochs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, but it is {getattr(self, name)}")
        for name in ("dwell", "settle", "device_interval"):
            if getattr(self, name) is not None:
                self.steps(getattr(self, name), name)
        if self.settle is not None and self.settle > self.dwell * (1.0 + 1e-9):
            raise ConfigError(
                f"settle={self.settle:.6g} s cannot outlast dwell={self.dwell:.6g} s; lower it or leave it out"
            )

        if self.tolerance is not None and not self.tolerance > 0.0:
            raise ConfigError(f"tolerance must be above 0, but it is {self.tolerance}; leave it out to open the gate")

    def steps(self, seconds: float, name: str) -> int:
        """A time of this run in whole steps of ``dt``; raises ConfigError when it is not a whole number of them."""
        steps = seconds / self.dt
        whole = round(steps)
        if whole < 1 or not np.isfinite(steps):
            raise ConfigError(f"{name} must last at least one step, but {name}={seconds:.6g} s < dt={self.dt:.6g} s")
        if abs(steps - whole) > 1e-6 * whole:
            raise ConfigError(
                f"{name}={seconds:.6g} s is {steps:.6g} steps of dt={self.dt:.6g} s; make it a whole number, "
                f"such as {whole * self.dt:.6g} s"
            )
        return whole
