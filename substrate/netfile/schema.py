"""What a netfile may say around its nodes and lines: the strict schema of `substrate simulate FILE.toml`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from substrate.config.schema import Count, Power, Seed, Strict, Time, reader
from substrate.simulation import DTYPES

Moment = Annotated[float, BeforeValidator(reader("time")), Field(ge=0, examples=["5 ns"])]
Frequency = Annotated[float, BeforeValidator(reader("frequency")), Field(gt=0, examples=["193.4 THz"])]
Dtype = Literal["float64", "float32", "complex128", "complex64"]
assert set(Dtype.__args__) == set(DTYPES)  # type: ignore[attr-defined]


class SimulationTable(Strict):
    """[simulation]: how long, in which steps, what is recorded; each probe is a text or a table."""

    duration: Time = Field(examples=["20 ns"])
    dt: Time
    dtype: Dtype = "float64"
    batch: Count = 1
    seed: Seed = 0
    backend: str = "cpu"
    reference_power: Power = 1.0
    noise: list[str] | None = None
    carrier: Frequency | None = None
    probes: list[Any] = Field(default_factory=list)


class ProbeTable(Strict):
    """One probe written as a table; see :class:`substrate.Probe`."""

    at: str = Field(examples=["load.in"])
    quantity: str = "arriving"
    reduce: str = "none"
    reduce_time: str = "none"
    every: Count = 1
    bins: Count = 64
    span: list[float] | None = None
    name: str = ""


class JointTable(Strict):
    """[[joints]]: two ports joined without delay."""

    first: str = Field(alias="from", examples=["a.p3"])
    second: str = Field(alias="to", examples=["c"])
    name: str | None = None


class ChangeTable(Strict):
    """[[changes]]: numbers that change while the simulation runs."""

    time: Moment
    set: dict[str, Any] = Field(examples=[{"load.resistance": "75 ohm"}])


class NetfileTables(Strict):
    """A whole netfile; nodes and lines are read by their classes."""

    schema_version: Literal[1] = Field(alias="schema", examples=[1])
    kind: Literal["circuit"] = Field(examples=["circuit"])
    title: str = ""
    simulation: SimulationTable | None = None
    nodes: dict[str, dict[str, Any]]
    lines: dict[str, dict[str, Any]] = Field(default_factory=dict)
    joints: list[JointTable] = Field(default_factory=list)
    changes: list[ChangeTable] = Field(default_factory=list)
