"""Faults of an input file as sentences: which file and line, which key, what is wrong, and the way out."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]  # keys from the top of the file; tables of an array are counted from 1

_HEADER = re.compile(r"\s*\[(\[)?\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


def key_lines(text: str) -> dict[Path, int]:
    """Line number (from 1) of every table header and key of a TOML text.

    >>> key_lines('[line]\\ndelay = 1\\n')
    {('line',): 1, ('line', 'delay'): 2}
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    quote = ""  # of the multi-line text we are in
    for number, line in enumerate(text.splitlines(), 1):
        if quote:
            quote = "" if line.count(quote) % 2 else quote
            continue
        if header := _HEADER.match(line):
            table = _keys(header[2])
            if header[1]:
                lines.setdefault(table, number)
                counts[table] = counts.get(table, 0) + 1
                table = (*table, counts[table])
            lines[table] = number
        elif key := _KEY.match(line):
            lines[(*table, *_keys(key[1]))] = number
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return lines


def _keys(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(r""""[^"]*"|'[^']*'|[^\s.]+""", dotted))


@dataclass(frozen=True)
class Origin:
    """Where the values of a configuration came from: a file's text, and overrides by their path."""

    name: str
    lines: Mapping[Path, int]
    overrides: Mapping[Path, str]  # path → as it was typed
    single: frozenset[str] = frozenset()  # tables that are read as arrays, but written down as one: [line]

    def place(self, path: Path) -> str:
        """ "digits.toml:12" or "--set line.loss=3": the nearest thing that was written down."""
        shown = self.shown(path)
        for length in range(len(shown), 0, -1):
            if (typed := self.overrides.get(shown[:length])) is not None:
                return f"--set {typed}"
            if (line := self.lines.get(shown[:length])) is not None:
                return f"{self.name}:{line}"
        below = [line for path, line in self.lines.items() if shown and path[: len(shown)] == shown]
        if below:  # [lines.w1] writes down the table lines too
            return f"{self.name}:{min(below)}"
        inside = (typed for path, typed in self.overrides.items() if shown and path[: len(shown)] == shown)
        return next((f"--set {typed}" for typed in inside), self.name)

    def shown(self, path: Path) -> Path:
        """The path as the user writes it: no index where there is one [line], else counted from 1."""
        if len(path) > 1 and isinstance(path[1], int):  # an array of tables
            return (path[0], *path[2:]) if path[0] in self.single else (path[0], path[1] + 1, *path[2:])
        return path


def complaint(error: ValidationError, schema: type[BaseModel], origin: Origin) -> str:
    """All faults that pydantic found, one sentence each, in the order of the file."""
    faults = error.errors()
    unknown = [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"]
    sentences = []
    for fault in faults:
        path: Path = tuple(fault["loc"])
        # A misspelt key also shows up as a missing one; the spelling is the news.
        if fault["type"] == "missing" and any(_is_misspelt(path, other) for other in unknown):
            continue
        place = origin.place(path)
        order = int(place.rpartition(":")[2]) if place.startswith(origin.name + ":") else 0
        sentences.append((order, f"{place}: {_sentence(fault, path, schema, origin)}"))
    return "\n".join(sentence for _, sentence in sorted(sentences, key=lambda item: item[0]))


def _is_misspelt(missing: Path, unknown: Path) -> bool:
    return missing[:-1] == unknown[:-1] and bool(get_close_matches(str(unknown[-1]), [str(missing[-1])], 1, 0.6))


def _sentence(fault: Any, path: Path, schema: type[BaseModel], origin: Origin) -> str:
    shown = origin.shown(path)
    if fault["type"] == "extra_forbidden":
        return _unknown(shown, table_schema(schema, path[:-1]), fault["input"])
    if fault["type"] == "missing":
        return _missing(shown, table_schema(schema, path[:-1]))
    where = f"{dotted(shown)}: " if shown else ""
    if fault["type"] == "value_error":
        return f"{where}{fault['ctx']['error']}"
    return where + _expectation(fault, shown)


def _unknown(shown: Path, schema: type[BaseModel] | None, value: Any) -> str:
    *above, key = shown
    known = _names(schema) if schema else []
    if not above and isinstance(value, dict | list):
        return f"unknown table [{key}]{hint(str(key), known)}"
    where = f"[{dotted(above)}] " if above else ""
    return f"{where}unknown key {str(key)!r}{hint(str(key), known)}"


def _missing(shown: Path, schema: type[BaseModel] | None) -> str:
    *above, key = shown
    field = next((f for n, f in schema.model_fields.items() if key in (n, f.alias)), None) if schema else None
    if field is not None and _table_of(field.annotation) is not None:
        return f"the table [{dotted(shown)}] is missing"
    examples = (field.examples if field else None) or next((m.examples for m in _metadata(field)), None)
    example = f", such as {key} = {json.dumps(examples[0])}" if examples else ""
    return f"{f'[{dotted(above)}] ' if above else ''}needs the key {str(key)!r}{example}"


def _metadata(field: Any) -> Iterable[Any]:
    return [m for m in (field.metadata if field else []) if getattr(m, "examples", None)]


def _expectation(fault: Any, shown: Path) -> str:
    """What a value must be, for the kinds of fault that a wrong type, range or choice gives."""
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        if len(words) < 2:
            return f"must be {context['expected']}, got {value!r}"
        return f"must be one of {', '.join(words)}, got {value!r}{nearest(str(value), words)}"
    limits = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if kind in limits:
        phrase = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}[limits[kind]]
        return f"must be {phrase} {context[limits[kind]]:g}, got {value!r}"
    expected = {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "float_type": "a number without a unit",
        "bool_type": "true or false",
        "string_type": 'a text in quotes, such as "cpu"',
        "list_type": "a list in brackets, such as [64, 32, 10]",
        "finite_number": "a finite number",
        "too_short": f"a list of at least {context.get('min_length', 1)} numbers",
    }
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"expected a table [{dotted(shown)}], got {value!r}"
    return f"expected {expected.get(kind, fault['msg'])}, got {value!r}"


def dotted(path: Iterable[str | int]) -> str:
    """A path as it is typed after --set: "line.2.loss"."""
    return ".".join(str(part) for part in path)


def hint(name: str, known: Iterable[str]) -> str:
    """Advice naming the nearest known word, or listing all where none is near; empty when none is known.

    >>> hint("dealy", ["delay", "impedance"])
    "; did you mean 'delay'?"
    >>> hint("x", ["delay", "impedance"])
    '; known are delay, impedance'
    """
    words = list(known)
    return nearest(name, words) or (f"; known are {', '.join(words)}" if words else "")


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice naming the nearest known word; empty where none is near."""
    close = get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def table_schema(schema: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The schema of the table at a path, None where there is no table."""
    found: type[BaseModel] | None = schema
    for key in path:
        if isinstance(key, int) or found is None:
            continue
        field = next((f for n, f in found.model_fields.items() if key in (n, f.alias)), None)
        found = _table_of(field.annotation) if field is not None else None
    return found


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, (_table_of(part) for part in get_args(annotation))), None)


def _names(schema: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in schema.model_fields.items()]
