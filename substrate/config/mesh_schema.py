"""What a file of kind "mesh" may say: a photonic chip, what it learns, and the devices at its phases."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from substrate.config.schema import (
    ConverterTable,
    Count,
    Decibels,
    DeviceTable,
    Number,
    Power,
    Seed,
    Strict,
    Time,
    reader,
)

Frequency = Annotated[float, BeforeValidator(reader("frequency")), Field(gt=0, examples=["193.4 THz"])]


class ChipTable(Strict):
    """[chip]: the meshes and what stands between and behind them."""

    modes: Annotated[int, Field(ge=2)]
    layers: Count = 2
    columns: Annotated[int, Field(ge=0)] = 0  # of each mesh; 0: as many as modes
    outputs: Count = 10
    delay: Time = 1e-12  # of the waveguide between two columns
    cell_loss: Decibels = 0.0  # of every interferometer
    coupling_spread: Annotated[Number, Field(ge=0, le=0.5)] = 0.0
    power: Power = 1e-2  # of the light that counts as one
    between: Literal["repeater", "electro_optic"] = "repeater"
    between_gain: Annotated[Number, Field(gt=0)] = 6.0
    readout: Literal["quadrature", "intensity"] = "quadrature"
    readout_gain: Annotated[Number, Field(gt=0)] = 16.0
    window: Time | None = None  # over which detectors integrate; brings the noise of light
    carrier: Frequency = 193.4e12


class TaskTable(Strict):
    """[task]: what is learned."""

    kind: Literal["classify", "unitary", "xor"] = "classify"
    pool: Count = 1  # pixels a side that are averaged
    lag: Count = 1  # bits, of the exclusive or
    batches: Count = 40  # of an epoch, where there is no data set to end it


class ImageTable(Strict):
    """[data]: the images of a classification."""

    dataset: str = "digits"
    seed: Seed = 0
    test_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    validation_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.1


class ControllerTable(ConverterTable):
    """[controller]: the converters of the phases, and the heat that goes astray."""

    crosstalk: Annotated[Number, Field(ge=0, lt=1)] = 0.0  # share of a heater's phase that its neighbour gets
    reach: Annotated[Number, Field(gt=0)] = 1.0  # columns or modes over which that falls by e


class MeshClock(Strict):
    """[clock]: how long devices move under what a batch has told them."""

    dwell: Time
    cooling: bool = True


class MeshTraining(Strict):
    """[training]: batches and epochs."""

    batch: Count = 32
    epochs: Count = 40
    backend: str = "cpu"
    device_every: Count = 1


COUNTS: dict[str, dict[str, set[str]]] = {  # what counts for a task, where not all of a table does
    "chip": {
        "unitary": {"modes", "columns", "delay", "cell_loss", "coupling_spread", "power"},
        "xor": {"modes", "delay", "power", "readout_gain"},
    },
    "task": {"classify": {"kind", "pool"}, "unitary": {"kind", "batches"}, "xor": {"kind", "lag", "batches"}},
    "controller": {"xor": {"bits", "dead_zone", "range"}},
    "data": {"unitary": set(), "xor": set()},
}


class MeshConfig(Strict):
    """A whole file of kind "mesh"; numbers are SI once it is read."""

    schema_version: Literal[1] = Field(alias="schema", examples=[1])
    kind: Literal["mesh"] = Field(examples=["mesh"])
    title: str = ""
    seed: Seed = 0
    task: TaskTable = TaskTable()
    chip: ChipTable
    clock: MeshClock
    device: DeviceTable
    controller: ControllerTable = ControllerTable()
    data: ImageTable = ImageTable()
    training: MeshTraining = MeshTraining()

    @model_validator(mode="after")
    def check_task(self) -> "MeshConfig":
        """Every number that is given must count for the task, and the bits that are compared must be there together."""
        kind = self.task.kind
        for table, counts in COUNTS.items():
            extra = sorted(
                getattr(self, table).model_fields_set - counts.get(kind, getattr(self, table).model_fields_set)
            )
            if extra:
                raise ValueError(f"task.kind is {kind!r}, for which {table}.{extra[0]} means nothing: leave it out")
        if kind == "xor" and self.task.lag >= self.chip.modes:
            raise ValueError(
                f"with {self.chip.modes} modes the newest bit meets those up to {self.chip.modes - 1} before it, "
                f"but task.lag is {self.task.lag}: give more modes"
            )
        return self
