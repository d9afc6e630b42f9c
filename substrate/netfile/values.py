"""Values of a netfile: TOML to numbers, arrays and objects, and back, exactly."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

import numpy as np

from substrate.config.errors import Origin, Path, dotted, hint
from substrate.errors import ConfigError, SubstrateError
from substrate.netfile.parts import SOURCE_DIMENSIONS, Field, fields_of, part_types, parts_for
from substrate.units import DIMENSIONS, quantity

EXPECTED = {
    "number": "a number",
    "whole": "a whole number",
    "flag": "true or false",
    "text": "a text in quotes",
    "array": "a list of numbers",
    "list": "a list",
    "table": "a table",
    "part": 'a table such as { type = "Step", amplitude = 1.0 }',
}


class Reader:
    """Turns tables of a netfile into objects; its errors name the line of the file."""

    def __init__(self, origin: Origin, folder: FilePath | None = None) -> None:
        self.origin, self.folder = origin, folder  # relative paths in the file start at the folder

    def fault(self, path: Path, message: str) -> ConfigError:
        """An error at a place of the file."""
        return ConfigError(f"{self.origin.place(path)}: {message}")

    def named(self, path: Path) -> str:
        """A place of the file as the user would write it after --set."""
        return dotted(self.origin.shown(path))

    def made(
        self, table: Mapping[str, Any], known: Mapping[str, type], path: Path, *, what: str, other: Iterable[str] = (),
        usual: str = "", values: str = "",
    ) -> Any:  # fmt: skip
        """The object a table with a ``type`` describes; ``other`` are keys that are not its fields."""
        name = table.get("type", usual)
        if not isinstance(name, str) or name not in known:
            near = hint(str(name), known) if name else f"; known are {', '.join(known)}"
            if not name:
                raise self.fault(path, f"[{self.named(path)}] needs the key 'type'{near}")
            raise self.fault((*path, "type"), f"[{self.named(path)}] unknown {what} type {name!r}{near}")
        owner = known[name]
        slots = fields_of(owner, SOURCE_DIMENSIONS.get(name, values))
        arguments: dict[str, Any] = {}
        for key, value in table.items():
            if key in slots:
                arguments[key] = self.value(value, slots[key], (*path, key), SOURCE_DIMENSIONS.get(name, values))
            elif key != "type" and key not in other:
                keys = [*other, "type", *slots]
                raise self.fault((*path, key), f"[{self.named(path)}] unknown key {key!r}{hint(key, keys)}")
        for slot in slots.values():
            if slot.required and slot.name not in arguments:
                raise self.fault(path, f"[{self.named(path)}] needs the key {slot.name!r}{_example(slot)}")
        return self.guarded(path, lambda: owner(**arguments))

    def guarded(self, path: Path, make: Callable[[], Any]) -> Any:
        """The result of ``make``; what goes wrong in it is told with its place in the file."""
        try:
            with np.errstate(all="ignore"):
                return make()
        except SubstrateError as error:
            raise self.fault(path, f"{self.named(path)}: {error}") from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            message = f"{self.named(path)}: these values do not fit together ({error})"
            raise self.fault(path, message) from None

    def value(self, value: Any, slot: Field, path: Path, values: str = "") -> Any:
        """One value of a field; ``values`` is the dimension of a waveform's values there. Raises ConfigError."""
        kinds = slot.kinds
        if isinstance(value, bool):
            if "flag" in kinds:
                return value
        elif isinstance(value, int | float):
            if "number" in kinds or ("whole" in kinds and isinstance(value, int)):
                return value
        elif isinstance(value, str):
            if "number" in kinds and (number := self._text(value, slot, path)) is not None:
                return number
            if "text" in kinds:
                return self._choice(value, slot, path)
        elif isinstance(value, list):
            if "array" in kinds:
                return self._array(value, slot, path)
            if "list" in kinds:
                return self._list(value, slot.hint, slot, path, values)
        elif isinstance(value, dict):
            if "part" in kinds:
                return self.made(value, parts_for(slot.hint), path, what="part", values=values)
            if "table" in kinds:
                return value
        raise self.fault(path, f"{self.named(path)}: expected {_expected(slot)}, got {value!r}")

    def _choice(self, value: str, slot: Field, path: Path) -> str:
        words = [part for part in get_args(slot.hint) if isinstance(part, str)]
        if words and value not in words:
            raise self.fault(path, f"{self.named(path)}: must be one of {', '.join(words)}, got {value!r}")
        return str(self.folder / value) if slot.name == "path" and self.folder is not None else value

    def _text(self, value: str, slot: Field, path: Path, place: int = 0) -> complex | float | None:
        """A complex number or a quantity; None where a plain text may stand and this is one."""
        if value.endswith("j"):
            try:
                return complex(value.replace(" ", ""))
            except ValueError:
                pass
        dimension = _at(slot.dimension, place)
        if not dimension:
            if "text" in slot.kinds:
                return None
            raise self.fault(
                path,
                f"{self.named(path)}: expected a plain number in SI units, or a complex one, '1+2j', got {value!r}",
            )
        try:
            return quantity(value, dimension)
        except ConfigError as error:
            if "text" in slot.kinds:
                return None
            raise self.fault(path, f"{self.named(path)}: {error}") from None

    def _leaf(self, value: Any, slot: Field, path: Path, place: int) -> Any:
        if isinstance(value, str):
            number = self._text(value, slot, path, place)
            return value if number is None else number
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        raise self.fault(path, f"{self.named(path)}: expected a list of numbers, but it holds {value!r}")

    def _array(self, value: list[Any], slot: Field, path: Path) -> np.ndarray:
        def numbers(entry: Any, place: int) -> Any:
            if isinstance(entry, list):
                return [numbers(inner, index) for index, inner in enumerate(entry)]
            return self._leaf(entry, slot, path, place)

        try:
            array = np.array(numbers(value, 0))
        except (ValueError, OverflowError, RecursionError):
            raise self.fault(path, f"{self.named(path)}: the rows of a matrix must be of one length") from None
        if array.dtype.kind not in "iufc":
            raise self.fault(path, f"{self.named(path)}: expected a list of numbers, got {value!r}")
        return array

    def _list(self, value: list[Any], shape: Any, slot: Field, path: Path, values: str) -> Any:
        """A list or tuple, entry by entry, as the type hint says."""
        parts, origin = get_args(shape), get_origin(shape)
        made = []
        for index, entry in enumerate(value):
            inner = parts[index % len(parts)] if parts and parts[-1] is not Ellipsis else (parts[0] if parts else Any)
            if isinstance(entry, list) and get_origin(inner) is not None:
                made.append(self._list(entry, inner, slot, path, values))
            elif isinstance(entry, list):
                made.append(self._array(entry, slot, path))
            elif isinstance(entry, dict):
                made.append(self.made(entry, parts_for(inner), (*path, index), what="part", values=values))
            elif inner is str and isinstance(entry, str):
                made.append(entry)
            else:
                made.append(self._leaf(entry, slot, path, index))
        return tuple(made) if origin is tuple else made


def _at(dimension: str | tuple[str, ...], place: int) -> str:
    return dimension if isinstance(dimension, str) else dimension[place] if place < len(dimension) else ""


def _expected(slot: Field) -> str:
    dimension = slot.dimension if isinstance(slot.dimension, str) else ""
    words = [EXPECTED[kind] for kind in EXPECTED if kind in slot.kinds]
    if dimension and "number" in slot.kinds:
        words[0] = f"{DIMENSIONS[dimension].phrase} such as {DIMENSIONS[dimension].example!r}"
    return " or ".join(words) or "nothing (a netfile cannot hold it)"


def _example(slot: Field) -> str:
    if isinstance(slot.dimension, str) and slot.dimension and "number" in slot.kinds:
        return f', such as {slot.name} = "{DIMENSIONS[slot.dimension].example}"'
    return ""


def written(value: Any, where: str) -> str:
    """A value as TOML that :class:`Reader` reads back as the same numbers. Raises ConfigError for what has no text.

    >>> written([0.1, 1 + 2j], "x"), written(float("inf"), "x")
    ('[0.1, "1+2j"]', 'inf')
    """
    if isinstance(value, np.ndarray):
        return written(value.tolist(), where)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    if isinstance(value, complex | np.complexfloating):
        return f'"{repr(complex(value)).strip("()")}"'
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(entry, where) for entry in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key_text(str(k))} = {written(v, where)}" for k, v in value.items()) + " }"
    if is_dataclass(value) and part_types().get(type(value).__name__) is type(value):
        pairs = [f'type = "{type(value).__name__}"']
        pairs += [f"{key} = {entry}" for key, entry in written_fields(value, where).items()]
        return "{ " + ", ".join(pairs) + " }"
    raise ConfigError(
        f"{where} holds a {type(value).__name__}, which a netfile cannot; it can hold numbers, arrays, texts and "
        f"{', '.join(part_types())}"
    )


def written_fields(value: Any, where: str) -> dict[str, str]:
    """The fields of an object as TOML, without those that have their default."""
    kind: type = type(value)
    slots = fields_of(kind)
    found = {}
    for field in fields(value):
        entry = getattr(value, field.name)
        if field.name not in slots or (not slots[field.name].required and same(entry, slots[field.name].default)):
            continue
        if entry is None:
            raise ConfigError(f"{where}.{field.name} is None, which a netfile cannot say; give it a value")
        found[field.name] = written(entry, f"{where}.{field.name}")
    return found


def same(first: Any, second: Any) -> bool:
    """Whether two values of a field are the same: type for type, bit for bit, arrays and objects through and through.

    >>> same(1.0, 1), same([np.array([1.0])], [np.array([1.0])]), same(0.0, -0.0)
    (False, True, False)
    """
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.shape == second.shape and first.dtype == second.dtype and first.tobytes() == second.tobytes()
    if type(first) is not type(second):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    if isinstance(first, float | complex):
        return repr(first) == repr(second)
    return bool(first == second)


def text(value: str) -> str:
    """A text as a TOML string."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_text(name: str) -> str:
    """A name as a TOML key, in quotes where it needs them.

    >>> key_text("w1"), key_text("load.in")
    ('w1', '"load.in"')
    """
    bare = name and all(character.isascii() and (character.isalnum() or character in "-_") for character in name)
    return name if bare else text(name)
