"""What a card file may say: the strict schema of data/devices/*.toml and data/media/*.toml."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from devices.errors import CardError
from devices.models import nearest

UNITS = frozenset(
    unit
    for group in (
        "1 s 1/s Hz 1/sqrt(Hz) m 1/m m/s m^2 m^3 s/m^2 s/sqrt(m) rad rad/m rad/s",  # time, length, angle
        "kg N N/m kg/s J J/m^3 J/s W W/s W/m^2 K 1/K K/W J/(m^3*K)",  # mechanics and heat
        "V V/s A A/m^2 C m^3/(A*s) m/sqrt(s) ohm ohm/m ohm*m S S/m F F/m H H/m",  # electricity
        "m/V V*m m^2/(V*s) dB dB/m dB/m/sqrt(Hz) J/dB",  # electro-optics, ions, loss
    )
    for unit in group.split()
)
Tag = Literal["seen", "memory", "computed", "assumed"]
Number = float | list[float] | list[list[float]]


class Strict(BaseModel):
    """A table in which unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SpreadTable(Strict):
    """Device-to-device spread of a number: [params.X] d2d = { dist, std, relative, tag }."""

    dist: Literal["normal", "lognormal", "uniform"] = "normal"
    std: float = Field(ge=0)
    relative: bool = True
    tag: Tag
    source: str | None = None


class Quantity(Strict):
    """A number (or table of numbers) with its unit, where it comes from, and how far it is to be trusted."""

    value: Number
    unit: str
    source: str
    tag: Tag
    d2d: SpreadTable | None = None
    range: tuple[float, float] | None = None
    note: str | None = None
    csv: str | None = None  # where a curve came from; `read_curves` has put its numbers into `value`
    column: str | None = None

    @model_validator(mode="after")
    def check_unit(self) -> "Quantity":
        if self.unit not in UNITS:
            raise ValueError(f"unit {self.unit!r} is not in the table of units{nearest(self.unit, UNITS)}")
        return self


class Validity(Strict):
    """Range inside which a card's numbers were obtained."""

    lo: float
    hi: float
    unit: str


class Golden(Strict):
    """A number that the device made from the card must reproduce, within the share `rel`."""

    value: float
    rel: float = 0.01
    source: str


class Wave(Strict):
    """How the state enters the wave equations."""

    role: Literal["weight", "phase", "loss", "load_conductance", "capacitance", "index"]
    note: str | None = None


class Provenance(Strict):
    """Where numbers come from."""

    title: str
    authors: str | None = None
    year: int | None = None
    doi: str | None = None
    arxiv: str | None = None
    url: str | None = None
    accessed: str | None = None
    where: str | None = None
    note: str | None = None


class CardFile(Strict):
    """A whole card. Numbers the model uses stand in [params], other published numbers in [facts]."""

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["device", "medium"]
    id: str
    title: str
    model: str
    technology: str
    status: Literal["measured", "fitted", "typical", "assumed", "ideal"]
    version: str
    wave: Wave | None = None
    params: dict[str, Quantity]
    options: dict[str, str | bool | int] = {}
    facts: dict[str, Quantity] = {}
    validity: dict[str, Validity] = {}
    tests: dict[str, Golden] = {}
    provenance: dict[str, Provenance]

    @model_validator(mode="after")
    def check_sources(self) -> "CardFile":
        quantities = {**self.params, **{f"facts.{k}": v for k, v in self.facts.items()}}
        used = [(name, q.source) for name, q in quantities.items()]
        used += [(f"{name}.d2d", q.d2d.source) for name, q in quantities.items() if q.d2d and q.d2d.source]
        used += [(f"tests.{name}", golden.source) for name, golden in self.tests.items()]
        for name, source in used:
            if source not in self.provenance:
                hint = nearest(source, self.provenance)
                raise ValueError(f"{name} names the source {source!r}, which [provenance] does not describe{hint}")
        return self


# the keys allowed one level down in each section, for hints
SECTIONS: dict[str, type[Strict]] = {
    "params": Quantity,
    "facts": Quantity,
    "validity": Validity,
    "tests": Golden,
    "provenance": Provenance,
}


def parse_card(content: dict[str, Any], where: str) -> CardFile:
    """A checked card from the tables of a TOML file. Raises CardError that lists every fault, with hints.

    >>> parse_card({"schema": 1, "kid": "device"}, "my.toml")
    Traceback (most recent call last):
    ...
    devices.errors.CardError: my.toml is not a card:
      kid: unknown key; did you mean 'kind'?
    """
    try:
        return CardFile.model_validate(content)
    except ValidationError as error:
        faults = error.errors()
        # a misspelt key also shows up as a missing one; the spelling is the news
        shown = [f for f in faults if f["type"] == "extra_forbidden"] or faults
        lines = "\n".join(f"  {describe(fault)}" for fault in shown)
        raise CardError(f"{where} is not a card:\n{lines}") from None


def describe(fault: Any) -> str:
    """One line about one fault that pydantic found."""
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return f"{path or 'card'}: {fault['msg'].removeprefix('Value error, ')}"
    location = fault["loc"]
    if len(location) == 1:
        known = [field.alias or name for name, field in CardFile.model_fields.items()]
    elif location[0] == "wave":
        known = list(Wave.model_fields)
    else:
        schema = SpreadTable if "d2d" in location else SECTIONS.get(str(location[0]), Quantity)
        known = list(schema.model_fields)
    return f"{path}: unknown key{nearest(str(location[-1]), known)}"
