"""Training files: TOML text and overrides -> a checked TrainConfig, and from it network, settings and data."""

import tomllib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from substrate.config_errors import Origin, complaint, dotted, key_lines
from substrate.config_schema import DeviceTable, LineTable, PortTable, TrainConfig
from substrate.errors import ConfigError
from substrate.learning.datasets import Dataset, load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.network import Line, Network

__all__ = [
    "DeviceTable",
    "PortTable",
    "TrainConfig",
    "apply_overrides",
    "build_network",
    "build_settings",
    "load_config",
    "load_data",
    "parse_config",
]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check a training file; `overrides` are "key=value" texts that replace single values.

    Raises ConfigError that lists every fault of the file with its line.

    >>> from substrate.datafiles import data_path
    >>> load_config(data_path("examples", "digits.toml"), ["training.epochs=5"]).training.epochs
    5
    """
    return parse_config(read_text(path), Path(path).name, overrides)


def read_text(path: str | Path) -> str:
    """The text of a training file; raises ConfigError when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder; give the .toml file in it") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file (UTF-8); a training file ends in .toml") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


def parse_config(text: str, name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Check the text of a training file; `name` stands in messages. Raises ConfigError listing every fault.

    >>> parse_config("schema = 1\\nkind = 'trian'", "my.toml")
    Traceback (most recent call last):
    ...
    substrate.errors.ConfigError: my.toml: the table [network] is missing
    my.toml: the table [line] is missing
    my.toml: the table [clock] is missing
    my.toml: the table [device] is missing
    my.toml:2: kind: must be 'train', got 'trian'
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax(text, name, str(error))) from None
    content = apply_overrides(raw, overrides)
    typed = {_path(override): override for override in overrides}
    one_line = isinstance(content.get("line"), dict)
    origin = Origin(name, key_lines(text), typed, one_line)
    if one_line:
        content["line"] = [content["line"]]
    try:
        config = TrainConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(complaint(error, TrainConfig, origin)) from None
    try:
        build_settings(config)
    except ConfigError as error:
        key = str(error).partition("=")[0].split()[0]
        raise ConfigError(f"{origin.place(('clock', key))}: clock: {error}") from None
    return config


def _syntax(text: str, name: str, message: str) -> str:
    """A fault of the TOML itself, in the form FILE:LINE."""
    what, _, where = message.rpartition(" (at ")
    if not what:
        return f"{name}: not valid TOML: {message}"
    lines = text.splitlines()
    line = int(where.split()[1].strip(",")) if where.startswith("line ") else len(lines)
    shown = f": {lines[line - 1].strip()}" if 0 < line <= len(lines) else ""
    return f"{name}:{line}: not valid TOML: {what[:1].lower()}{what[1:]}{shown}"


def apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the tables of a training file with single values replaced.

    An override is "table.key=value"; the value is read as TOML, and as plain text where it is none ("0.3 dB"). With
    several [[line]] tables, "line.loss=..." changes all and "line.2.loss=..." the second. Raises ConfigError.

    >>> apply_overrides({"line": {"loss": 0}}, ["line.loss=0.3 dB", "training.epochs=5"])
    {'line': {'loss': '0.3 dB'}, 'training': {'epochs': 5}}
    """
    content = deepcopy(content)
    for override in overrides:
        *tables, key = _path(override)
        places: list[Any] = [content]
        for table in tables:
            places = [inner for place in places for inner in _inside(place, table, override)]
        for place in places:
            for target in place if isinstance(place, list) else [place]:
                if not isinstance(target, dict):
                    raise ConfigError(f"--set {override}: {dotted(tables)} is no table, so it has no key {key!r}")
                target[str(key)] = _value(override.partition("=")[2].strip())
    return content


def _inside(place: Any, table: str | int, override: str) -> list[Any]:
    """The table (or tables) of that name inside one place; made where it is not there yet."""
    if isinstance(place, list) and isinstance(table, int):
        if not 1 <= table <= len(place):
            raise ConfigError(f"--set {override}: there are tables 1 to {len(place)}, but no {table}")
        return [place[table - 1]]
    found = []
    for target in place if isinstance(place, list) else [place]:
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: {table!r} lies in something that is no table")
        found.append(target.setdefault(str(table), {}))
    return found


def _path(override: str) -> tuple[str | int, ...]:
    key, equals, _ = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}: expected key=value, such as training.epochs=5 or line.loss='0.3 dB'")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def build_network(config: TrainConfig) -> Network:
    """The network a training file describes, with the initial weights of its seed; raises NetworkError."""
    about = config.network
    lines = [_line(table) for table in config.line]
    return layered(
        about.layers,
        line=lines[0] if len(lines) == 1 else lines,
        activation=about.activation,
        weights=about.weights,
        loss=about.loss,
        bias=about.bias,
        scale=about.scale,
        tap=about.tap,
        source_temperature=about.source_temperature,
        load_temperature=about.load_temperature,
        seed=config.seed,
    )


def _line(table: LineTable) -> Line:
    return Line(
        delay=table.delay,
        impedance=table.impedance,
        loss_db=table.loss,
        loss_db_back=table.loss_back,
        temperature=table.temperature,
    )


def build_settings(config: TrainConfig) -> TrainSettings:
    """The settings of the training run a file describes; raises ConfigError where its times do not fit."""
    clock, training = config.clock, config.training
    return TrainSettings(
        dt=clock.dt,
        dwell=clock.dwell,
        settle=clock.settle,
        device_interval=clock.device_interval,
        batch=training.batch,
        epochs=training.epochs,
        seed=config.seed,
        dtype=training.precision,
        backend=training.backend,
        reference_power=clock.reference_power,
        record=RecordSettings(**config.record.model_dump()),
    )


def load_data(config: TrainConfig, base_dir: str | Path = ".") -> Dataset:
    """The data set a training file names; relative paths start at `base_dir`, the folder of the file.

    Raises DataError.
    """
    about, base = config.data, Path(base_dir)
    is_path = about.dataset.endswith(".npz")
    return load_dataset(
        base / about.dataset if is_path else about.dataset,
        seed=about.seed,
        test_fraction=about.test_fraction,
        validation_fraction=about.validation_fraction,
        scale=about.scale,
        images=None if about.images is None else base / about.images,
        labels=None if about.labels is None else base / about.labels,
    )
