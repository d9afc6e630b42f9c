"""Cards: files of sourced numbers that make devices (data/devices/*.toml) and media (data/media/*.toml)."""

import csv
import hashlib
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from devices.card_schema import CardFile, Golden, Provenance, Quantity, Validity, parse_card
from devices.device import Device, units
from devices.errors import CardError, OutsideValidityWarning, UnverifiedCardWarning
from devices.media import check_medium
from devices.models import model_class, nearest
from devices.variability import Spread

Kind = Literal["device", "medium"]
FOLDERS: dict[str, str] = {"device": "devices", "medium": "media"}


@dataclass(frozen=True)
class Card:
    """A checked card: its tables, the file it came from and the SHA-256 of that file and of the curves it names."""

    content: CardFile
    path: Path
    hash: str

    @property
    def id(self) -> str:
        return self.content.id

    @property
    def title(self) -> str:
        return self.content.title

    @property
    def kind(self) -> str:
        return self.content.kind

    @property
    def model(self) -> str:
        return self.content.model

    @property
    def status(self) -> str:
        return self.content.status

    @property
    def params(self) -> Mapping[str, Quantity]:
        return self.content.params

    @property
    def facts(self) -> Mapping[str, Quantity]:
        return self.content.facts

    @property
    def validity(self) -> Mapping[str, Validity]:
        return self.content.validity

    @property
    def tests(self) -> Mapping[str, Golden]:
        return self.content.tests

    @property
    def provenance(self) -> Mapping[str, Provenance]:
        return self.content.provenance

    @property
    def unverified(self) -> list[str]:
        """Names of numbers that nobody has read in a source yet (tag "memory")."""
        return self.tagged("memory")

    @property
    def assumed(self) -> list[str]:
        """Names of numbers that are somebody's choice (tag "assumed")."""
        return self.tagged("assumed")

    def outside(self, **conditions: float) -> list[str]:
        """What leaves the ranges inside which the card's numbers were obtained: conditions by name, in SI units.

        Names are those of [validity] (temperature, wavelength ...) and of numbers with a range; others say nothing.

        >>> load_card("thermo_optic_tin_strip").outside(wavelength=1.31e-6)
        ['wavelength 1.31e-06 m is outside 1.5e-06 to 1.6e-06 m']
        """
        ranges = {name: (v.lo, v.hi, v.unit) for name, v in self.validity.items()}
        ranges |= {name: (*q.range, q.unit) for name, q in self.params.items() if q.range is not None}
        return [
            f"{name} {value:g} {unit} is outside {lo:g} to {hi:g} {unit}".replace(" 1 is", " is").removesuffix(" 1")
            for name, value in conditions.items()
            for lo, hi, unit in [ranges.get(name, (-np.inf, np.inf, ""))]
            if not lo <= value <= hi
        ]

    def tagged(self, tag: str) -> list[str]:
        """Names of the numbers with this tag; spreads as "name.d2d", facts as "facts.name"."""
        named = {**self.params, **{f"facts.{name}": q for name, q in self.facts.items()}}
        found = [name for name, q in named.items() if q.tag == tag]
        return found + [f"{name}.d2d" for name, q in named.items() if q.d2d is not None and q.d2d.tag == tag]

    def number(self, name: str) -> float:
        """The single number `name` of [params] or [facts], in its SI unit. Raises CardError."""
        known = {**self.facts, **self.params}
        if name not in known:
            raise CardError(f"card {self.id!r} has no number {name!r}{nearest(name, known)}")
        value = known[name].value
        if isinstance(value, list):
            raise CardError(f"{name!r} of card {self.id!r} is a table; read it from params[{name!r}].value")
        return float(value)


def card(name_or_path: str | Path, *, conditions: Mapping[str, float] | None = None, **overrides: Any) -> Device:
    """A device made from a card of the catalogue or from a card file, with some of its numbers replaced.

    `overrides` are fields of the device class, in SI units; `conditions` say where it works ({"temperature": 300.0}).
    Raises CardError; warns where the card holds numbers that nobody has read in a source (UnverifiedCardWarning), and
    where conditions or overrides leave the ranges in which its numbers were obtained (OutsideValidityWarning).

    >>> card("ideal_gradient", rate=0.5).rate
    0.5
    """
    found = load_card(name_or_path)
    if found.kind != "device":
        raise CardError(f"card {found.id!r} describes a medium, not a device; devices are: {', '.join(list_cards())}")
    used = [name for name in found.unverified if name.removesuffix(".d2d") not in overrides and "facts." not in name]
    if used:
        numbers = ", ".join(used)
        warnings.warn(f"card {found.id!r} has unverified numbers: {numbers}", UnverifiedCardWarning, stacklevel=2)
    given = {name: value for name, value in overrides.items() if isinstance(value, int | float)}
    if outside := found.outside(**{**given, **(conditions or {})}):
        warnings.warn(f"card {found.id!r}: {'; '.join(outside)}", OutsideValidityWarning, stacklevel=2)
    return build(found, overrides)


def build(source: Card, overrides: Mapping[str, Any] | None = None) -> Device:
    """The device a loaded card describes. Raises CardError for unknown names and wrong units."""
    device_class = model_class(source.model)
    known = {f.name for f in fields(device_class)}
    expected = units(device_class)
    arguments: dict[str, Any] = {}
    for name, quantity in source.params.items():
        if name not in expected:
            raise CardError(f"card {source.id!r}: {source.model} has no number {name!r}{nearest(name, expected)}")
        if quantity.unit != expected[name]:
            raise CardError(
                f"card {source.id!r}: {name} is in {quantity.unit!r}, but {source.model} wants {expected[name]!r}"
            )
        arguments[name] = np.asarray(quantity.value) if isinstance(quantity.value, list) else quantity.value
        if quantity.d2d is not None:
            if name + "_spread" not in known:
                raise CardError(f"card {source.id!r}: {source.model} takes no spread (d2d) of {name}")
            arguments[name + "_spread"] = Spread(quantity.d2d.std, quantity.d2d.dist, quantity.d2d.relative)
    for name, value in {**source.content.options, **(overrides or {})}.items():
        if name not in known:
            raise CardError(f"{source.model} (card {source.id!r}) has no field {name!r}{nearest(name, known)}")
        arguments[name] = value
    try:
        made: Device = device_class(**arguments)
    except TypeError as error:
        raise CardError(f"card {source.id!r} does not make a {device_class.__name__}: {error}") from None
    return made


def load_card(name_or_path: str | Path) -> Card:
    """A card of the catalogue by its id, or a card file by its path, checked against the schema.

    Raises CardError, naming the nearest card or key.

    >>> load_card("rram_soft_bounds").model
    'soft_bounds'
    """
    path = find_card(name_or_path)
    raw = path.read_bytes()
    try:
        tables = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CardError(f"{path} is not a TOML file: {error}") from None
    raw += read_curves(tables, path)
    content = parse_card(tables, str(path))
    if content.id != path.stem:
        raise CardError(
            f"{path}: the card's id is {content.id!r}; rename the file to {content.id}.toml or change the id"
        )
    loaded = Card(content, path, hashlib.sha256(raw).hexdigest())
    if content.kind == "medium":
        check_medium(content)
    else:
        build(loaded)
    return loaded


def read_curves(tables: dict[str, Any], path: Path) -> bytes:
    """Put the curves that [params] take from CSV files beside the card into its tables; return the files' bytes.

    A number `{ csv = "curve.csv", column = "up", unit = ... }` becomes the list of that column. Raises CardError.
    """
    read: dict[str, bytes] = {}
    for name, number in tables.get("params", {}).items() if isinstance(tables.get("params"), dict) else ():
        if not isinstance(number, dict) or "csv" not in number:
            continue
        if "value" in number or "column" not in number:
            raise CardError(f"{path}: params.{name} needs either a value, or csv and column")
        source = Path(str(number["csv"]))
        if source.is_absolute() or ".." in source.parts:
            raise CardError(f"{path}: params.{name}: {source} must lie beside the card or below it")
        try:
            read[str(source)] = (path.parent / source).read_bytes()
        except OSError as error:
            raise CardError(f"{path}: params.{name}: {source} cannot be read ({error.strerror or error})") from None
        number["value"] = csv_column(read[str(source)], str(number["column"]), f"{path}: params.{name}: {source}")
    return b"".join(read[name] for name in sorted(read))


def csv_column(raw: bytes, column: str, where: str) -> list[float]:
    """A column of a CSV file by its name; lines that begin with # are skipped. Raises CardError.

    >>> csv_column(b"theta,up\\n-1,0.5\\n1,0.25\\n", "up", "my.csv")
    [0.5, 0.25]
    """
    lines = raw.decode("utf-8", "replace").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    if not rows or column not in rows[0]:
        raise CardError(f"{where} has no column {column!r}{nearest(column, rows[0] if rows else [])}")
    try:
        return [float(row[column]) for row in rows]
    except (TypeError, ValueError) as error:
        raise CardError(f"{where}, column {column!r}: {error}") from None


def find_card(name_or_path: str | Path) -> Path:
    """The file of a card. Raises CardError."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise CardError(f"there is no card file {path}")
        return path
    for kind in FOLDERS:
        candidate = card_directory(kind) / f"{name_or_path}.toml"
        if candidate.is_file():
            return candidate
    known = [*list_cards("device"), *list_cards("medium")]
    hint = nearest(str(name_or_path), known)
    raise CardError(f"no card is called {str(name_or_path)!r}{hint}; give a card's name or the path of a .toml file")


def card_directory(kind: str = "device") -> Path:
    """The folder of the catalogue: data/devices (or media) of a checkout, devices/_data of an installed wheel.

    Raises CardError.

    >>> card_directory().name
    'devices'
    """
    if kind not in FOLDERS:
        raise CardError(f"kind of card must be device or medium, but is {kind!r}")
    package = Path(__file__).resolve().parent
    for root in (package.parent / "data", package / "_data"):
        if (root / FOLDERS[kind]).is_dir():
            return root / FOLDERS[kind]
    raise CardError(f"no folder of {kind} cards beside {package}; reinstall the package")


def list_cards(kind: str = "device") -> tuple[str, ...]:
    """Ids of the catalogue's cards of one kind, sorted.

    >>> "ideal_gradient" in list_cards()
    True
    """
    return tuple(sorted(path.stem for path in card_directory(kind).glob("*.toml")))
