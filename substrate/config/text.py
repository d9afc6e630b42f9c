"""Input files before they are checked: reading the text, TOML with its faults by line, and overrides from --set."""

import re
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from substrate.config.errors import dotted
from substrate.errors import ConfigError


def read_text(path: str | Path) -> str:
    """The text of an input file; raises ConfigError when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder; give the .toml file in it") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file (UTF-8); an input file ends in .toml") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The tables of a TOML text; raises ConfigError with the line where it is not TOML.

    >>> parse_toml("a = 1", "my.toml")
    {'a': 1}
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also of whole numbers with thousands of digits
        raise ConfigError(_syntax(text, name, str(error))) from None
    except RecursionError:
        raise ConfigError(f"{name}: not valid TOML: nested too deeply") from None


COMMANDS = {
    "train": "substrate train",
    "circuit": "substrate simulate",
    "study": "substrate sweep",
}  # what reads a file of each kind


def refuse_other_kind(content: dict[str, Any], kind: str, name: str) -> None:
    """Refuse a file that another command reads, by name, before its every key is found unknown; raises ConfigError."""
    found = content.get("kind")
    if isinstance(found, str) and found in COMMANDS and found != kind:
        raise ConfigError(f"{name}: kind is {found!r}, not {kind!r}; such a file is for `{COMMANDS[found]} {name}`")


def seed_of(value: Any) -> int:
    """The seed by which numbers are drawn; 0 where it is none, which the schema then says."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _syntax(text: str, name: str, message: str) -> str:
    """A fault of the TOML itself, in the form FILE:LINE."""
    what, _, where = message.rpartition(" (at ")
    if not what:
        return f"{name}: not valid TOML: {message}"
    lines = text.splitlines()
    line = int(where.split()[1].strip(",")) if where.startswith("line ") else len(lines)
    if twice := re.match(r"Cannot declare \((.*)\) twice$", what):
        table = dotted(part.strip().strip("'") for part in twice[1].rstrip(",").split(","))
        return f"{name}:{line}: the table [{table}] is there twice; give one of them another name"
    shown = f": {lines[line - 1].strip()}" if 0 < line <= len(lines) else ""
    return f"{name}:{line}: not valid TOML: {what[:1].lower()}{what[1:]}{shown}"


def apply_overrides(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the tables of an input file with single values replaced.

    An override is "table.key=value"; the value is read as TOML, and as plain text where it is none ("0.3 dB"). With
    several [[line]] tables, "line.loss=..." changes all and "line.2.loss=..." the second. Raises ConfigError.

    >>> apply_overrides({"line": {"loss": 0}}, ["line.loss=0.3 dB", "training.epochs=5"])
    {'line': {'loss': '0.3 dB'}, 'training': {'epochs': 5}}
    """
    content = deepcopy(content)
    for override in overrides:
        *tables, key = override_path(override)
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


def override_path(override: str) -> tuple[str | int, ...]:
    """The keys of an override: "line.2.loss=0.3 dB" leads to line, 2, loss; raises ConfigError.

    >>> override_path("line.2.loss=0.3 dB")
    ('line', 2, 'loss')
    """
    key, equals, _ = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}: expected key=value, such as training.epochs=5 or line.loss='0.3 dB'")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
