"""What a training file may say: the strict schema of `substrate train FILE.toml`."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from substrate.errors import ConfigError
from substrate.units import quantity


def reader(dimension: str) -> Callable[[Any], float]:
    """A validator that reads a number or a text with a unit as SI; a wrong unit becomes pydantic's ValueError."""

    def read(value: Any) -> float:
        try:
            return quantity(value, dimension)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    return read


Time = Annotated[float, BeforeValidator(reader("time")), Field(gt=0, examples=["10 ps"])]
Impedance = Annotated[float, BeforeValidator(reader("resistance")), Field(gt=0, examples=["50 ohm"])]
Decibels = Annotated[float, BeforeValidator(reader("loss")), Field(ge=0, examples=["0.2 dB"])]
Temperature = Annotated[float, BeforeValidator(reader("temperature")), Field(ge=0, examples=["300 K"])]
Power = Annotated[float, BeforeValidator(reader("power")), Field(gt=0, examples=["1 mW"])]
Rate = Annotated[float, BeforeValidator(reader("rate")), Field(ge=0, examples=["2e9 1/s"])]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1)]


def _number(value: Any) -> Any:
    """A whole number is a number too."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Number = Annotated[float, BeforeValidator(_number)]


class Strict(BaseModel):
    """A table in which unknown keys are errors and texts are no numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Family = Literal["matched", "transformer"]


def _impedances(value: Any) -> Any:
    """A rule, or a resistance per layer."""
    if value in ("equal", "matched"):
        return value
    if not isinstance(value, list):
        raise ValueError("must be equal, matched or a list of one resistance per layer, such as [100, 280, 2400]")
    found = [reader("resistance")(entry) for entry in value]
    if not all(entry > 0 for entry in found):
        raise ValueError("resistances must be above 0")
    return found


Impedances = Annotated[Any, BeforeValidator(_impedances)]


class NetworkTable(Strict):
    """[network]: the layers, and what stands at both ends."""

    layers: Annotated[list[Count], Field(min_length=2, examples=[[64, 48, 32, 10]])]
    activation: Literal["tanh", "relu", "sigmoid", "softplus", "identity"] = "tanh"
    weights: Family | list[Family] = "matched"
    memory: bool = False  # ports that keep the forward wave until its echo is back: one batch per tick trains
    beta: Annotated[Number, Field(gt=0)] = 1.0  # by which the load of transformer weights nudges
    impedance: Impedances = "equal"  # of the lines behind transformer weights
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"
    bias: bool = True
    scale: Annotated[Number, Field(ge=0)] = 1.0  # of the initial weights: standard deviation times sqrt(inputs)
    tap: Annotated[Number, Field(ge=0)] = 0.0
    source_temperature: Temperature = 0.0
    load_temperature: Temperature = 0.0
    noise_temperature: Temperature = 0.0  # of the amplifiers at the outputs of matched weights, 290 K (F - 1)


class LineTable(Strict):
    """[line]: every line of the network, or [[line]]: one table per layer."""

    delay: Time
    delay_spread: Time | None = None  # each channel lags by a share of it, drawn uniformly by the seed
    impedance: Impedance = 50.0
    loss: Decibels = 0.0
    loss_back: Decibels | None = None
    temperature: Temperature = 0.0
    lowpass: Time | None = None  # time constant of the low-pass at its ends, which damps what rings and lets DC through


class JointTable(Strict):
    """[joint]: what is wrong within every line of a matched network, or [[joint]]: one table per layer."""

    crosstalk: Annotated[Number, Field(ge=0, le=1)] = 0.0  # share of the power two neighbours exchange
    reflection: Annotated[Number, Field(gt=-1, lt=1)] = 0.0  # amplitude sent back, both ways with opposite sign
    return_gain: Annotated[Number, Field(ge=0)] = 1.0  # of the wave that returns over the one that goes


class ClockTable(Strict):
    """[clock]: the wave step, how long a batch is held, and what unit amplitude means."""

    dt: Time
    dwell: Time
    settle: Time | None = None
    device_interval: Time | None = None
    tolerance: Annotated[Number, Field(gt=0)] | None = None  # devices wait until the field changes less per round trip
    reference_power: Power = 1e-3


class DataTable(Strict):
    """[data]: a shipped data set, a path to an .npz, or a pair of IDX files; paths start at the training file."""

    dataset: str = "digits"
    images: str | None = None
    labels: str | None = None
    seed: Seed = 0
    test_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.2
    validation_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.1
    scale: Literal["range", "centred", "standard", "none"] = "range"

    @model_validator(mode="after")
    def check_pair(self) -> "DataTable":
        """IDX files come in pairs."""
        if (self.images is None) != (self.labels is None):
            missing, there = ("labels", "images") if self.labels is None else ("images", "labels")
            raise ValueError(f"IDX files come in pairs, but there is only {there!r}: give {missing!r} as well")
        if self.images is not None and "dataset" in self.model_fields_set:
            raise ValueError("give either 'dataset' or the pair 'images' and 'labels', not both")
        return self


class LawTable(Strict):
    """[device.law]: what stands between the waves and the device (substrate/learning/port_laws.py)."""

    kind: Literal["resistor", "inertance", "matched"]
    time_constant: Time | None = None  # of an inertance: M / R
    match: Annotated[Number, Field(gt=0)] | None = None  # of a matched port: its resistance over that of the match
    softest: Annotated[Number, Field(gt=0)] | None = None  # stiffness below which a matched port takes none for real

    @model_validator(mode="after")
    def check_numbers(self) -> "LawTable":
        """Each law has its own numbers."""
        own = {"resistor": (), "inertance": ("time_constant",), "matched": ("match", "softest")}[self.kind]
        for name in ("time_constant", "match", "softest"):
            if getattr(self, name) is not None and name not in own:
                raise ValueError(f"a port law of kind {self.kind!r} has no {name!r}")
        if self.kind == "inertance" and self.time_constant is None:
            raise ValueError("an inertance needs its 'time_constant', such as \"1 us\"")
        return self


class PortTable(Strict):
    """[device.bias]: the device at some of the ports: a card (name or path) or a model, and its numbers."""

    card: str | None = None
    model: str | None = None
    rate_per_batch: Annotated[Number, Field(ge=0)] | None = None  # rate times dwell
    rate: Rate | None = None
    parameters: dict[str, float | int | str | bool] = {}
    law: LawTable | None = None
    conditions: dict[str, float | int | str] = {}  # where it works (temperature ...), checked against a card's validity

    @model_validator(mode="after")
    def check_choices(self) -> "PortTable":
        """One device, one rate."""
        if (self.card is None) == (self.model is None):
            found = "neither" if self.card is None else "both"
            raise ValueError(f"give either 'card' (such as \"ideal_gradient\") or 'model', but there are {found}")
        if self.rate is not None and self.rate_per_batch is not None:
            raise ValueError(
                "give either 'rate_per_batch' (the step per batch, without unit) or 'rate' (in 1/s), but there are both"
            )
        if "rate" in self.parameters:
            raise ValueError("the rate belongs into [device] itself, as 'rate_per_batch' or 'rate', not in parameters")
        return self


class DeviceTable(PortTable):
    """[device]: the device at every port; with [device.bias], at all but the biases."""

    bias: PortTable | None = None


class ConverterTable(Strict):
    """[controller]: the converter in front of every device but the biases (substrate/learning/controllers.py)."""

    bits: Annotated[int, Field(ge=1, le=52)] | None = None
    dead_zone: Annotated[Number, Field(ge=0)] = 0.0  # drives that are ignored
    range: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None  # of the converter

    @model_validator(mode="after")
    def check_range(self) -> "ConverterTable":
        """From low to high, and of something that has levels."""
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"the range of a converter goes from low to high, but it is {self.range}")
        if self.range is not None and self.bits is None:
            raise ValueError("a converter with a range needs its 'bits' too")
        return self


class TrainingTable(Strict):
    """[training]: batches, epochs, and how the numbers are crunched."""

    batch: Count = 50
    epochs: Count = 30
    backend: str = "cpu"
    precision: Literal["float64", "float32"] = "float64"


class RecordTable(Strict):
    """[record]: what goes into the run file, and how often."""

    device_every: Count = 10
    device_columns: list[str] = ["value", "drive", "absorbed"]
    ledger_every_tick: bool = False
    field_batches: Annotated[int, Field(ge=0)] = 3
    checkpoint_seconds: Annotated[Number, Field(ge=0)] = 10.0
    compression: Literal["lzf", "gzip"] | None = None


class TrainConfig(Strict):
    """A whole training file; numbers are SI once it is read."""

    schema_version: Literal[1] = Field(alias="schema", examples=[1])
    kind: Literal["train"] = Field(examples=["train"])
    title: str = ""
    seed: Seed = 0
    network: NetworkTable
    line: list[LineTable]
    joint: list[JointTable] = []
    clock: ClockTable
    data: DataTable = DataTable()
    device: DeviceTable
    controller: ConverterTable = ConverterTable()
    training: TrainingTable = TrainingTable()
    record: RecordTable = RecordTable()

    @model_validator(mode="after")
    def check_lines(self) -> "TrainConfig":
        """As many lines as layers, or one for all."""
        layers = len(self.network.layers) - 1
        if len(self.line) not in (1, layers):
            raise ValueError(
                f"{layers} layers of weights (network.layers has {layers + 1} sizes) need one table [line] for all "
                f"or {layers} tables [[line]], but there are {len(self.line)}"
            )
        if len(self.joint) not in (0, 1, layers):
            raise ValueError(
                f"{layers} layers need one table [joint] for all or {layers} tables [[joint]], "
                f"but there are {len(self.joint)}"
            )
        if self.device.bias is not None and not self.network.bias:
            raise ValueError("[device.bias] has no ports to sit at, since network.bias is false: drop one of the two")
        return self
