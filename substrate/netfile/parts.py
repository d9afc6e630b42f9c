"""What a netfile can be made of: the classes of nodes, lines and waveforms, and kind and dimension of their fields."""

import dataclasses
import importlib
import importlib.util
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from substrate.network import Line
from substrate.nodes.base import Node
from substrate.waveforms import Waveform

# What a text with a unit means in a field of this name. A field that is not here takes plain SI numbers.
FIELD_DIMENSIONS = {
    **dict.fromkeys(("delay", "start", "rise", "fall", "width", "dt", "lowpass", "jitter", "wander_time"), "time"),
    **dict.fromkeys(("resistance", "impedance", "guide_impedance", "shot_resistance"), "resistance"),
    **dict.fromkeys(("temperature", "noise_temperature"), "temperature"),
    **dict.fromkeys(("phase", "theta", "phi"), "angle"),
    **dict.fromkeys(("frequency", "reference_frequency", "linewidth", "bandwidth"), "frequency"),
    **dict.fromkeys(("length", "wavelength", "reference_wavelength"), "length"),
    "capacitance": "capacitance",
    "inductance": "inductance",
    "conductance": "conductance",
    **dict.fromkeys(("current", "saturation_current", "dark_current"), "current"),
    "saturation_power": "power",
    **dict.fromkeys(("voltage", "v_pi"), "voltage"),
    "loss_db_per_m": "loss per length",
    "Carrier.offset": "frequency",
    "Varactor.potential": "voltage",
    "Modulator.bias": "angle",
    **{
        f"{owner}.{name}": f"{name} per length"
        for owner in ("RlgcLine", "RcLine")
        for name in ("resistance", "inductance", "conductance", "capacitance")
    },
}
# What the values of a waveform are, by the source they drive; in sqrt(W) at the others, which has no units text.
SOURCE_DIMENSIONS = {"VoltageSource": "voltage", "CurrentSource": "current"}
WAVEFORM_VALUES = {"amplitude", "Sine.offset", "values"}


@dataclass(frozen=True)
class Field:
    """One field of a class: what kinds of value it takes, and which dimension a text with a unit must have.

    ``kinds`` are ``number``, ``whole``, ``flag``, ``text``, ``array``, ``list``, ``table`` and ``part``; ``dimension``
    is a key of :data:`substrate.units.DIMENSIONS`, "" where there is none, or one per entry of the innermost list.
    """

    name: str
    hint: Any
    kinds: frozenset[str]
    dimension: str | tuple[str, ...]
    required: bool
    default: Any = None


@cache
def node_types() -> Mapping[str, type]:
    """Every concrete node class that ``substrate.nodes`` exports, by name."""
    return _exported("substrate.nodes", lambda member: issubclass(member, Node))


@cache
def line_types() -> Mapping[str, type]:
    """The line classes, by name: ``Line`` and every kind of line or medium that ``substrate.media`` exports."""
    found: dict[str, type] = {"Line": Line}
    if importlib.util.find_spec("substrate.media") is not None:
        found |= _exported("substrate.media", lambda member: issubclass(member, Line))
    return found


@cache
def part_types() -> Mapping[str, type]:
    """Everything that can stand in a field as a table with a ``type``: waveforms, nodes, and what their fields name."""
    waveforms = _exported("substrate.waveforms", _is_waveform)
    found = {**node_types(), **line_types(), **waveforms}
    frontier = list(found.values())
    while frontier:
        owner = frontier.pop()
        for hint in _hints(owner).values():
            for inner in _classes(hint):
                if dataclasses.is_dataclass(inner) and inner.__name__ not in found and not inspect.isabstract(inner):
                    found[inner.__name__] = inner
                    frontier.append(inner)
    return found


@cache
def parts_for(hint: Any) -> Mapping[str, type]:
    """The parts that fit a type hint, by name.

    >>> sorted(parts_for(Waveform))
    ['Carrier', 'Noisy', 'PiecewiseLinear', 'Pulse', 'Samples', 'Sine', 'Step']
    """
    wanted = tuple(found for found in _classes(hint) if found is not type(None))

    def fits(part: type) -> bool:
        if Waveform in wanted and _is_waveform(part):
            return True
        return issubclass(part, tuple(found for found in wanted if found is not Waveform))

    return {name: part for name, part in part_types().items() if fits(part)}


def _is_waveform(part: type) -> bool:
    return hasattr(part, "sample") and not issubclass(part, Node)


def _exported(module: str, wanted: Callable[[type], bool]) -> dict[str, type]:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", None) or [name for name in vars(loaded) if not name.startswith("_")]
    members = {name: getattr(loaded, name) for name in names}
    return {
        name: member
        for name, member in members.items()
        if inspect.isclass(member)
        and dataclasses.is_dataclass(member)
        and not inspect.isabstract(member)
        and wanted(member)
    }


@cache
def fields_of(owner: type, values: str = "") -> Mapping[str, Field]:
    """The fields of a class, by name; ``values`` is the dimension of a waveform's values.

    >>> from substrate.nodes import Resistor
    >>> fields_of(Resistor)["resistance"].dimension
    'resistance'
    """
    hints = _hints(owner)
    found = {}
    for field in dataclasses.fields(owner):
        if field.init:
            missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
            hint = hints.get(field.name, Any)
            dimension = _dimension(owner, field.name, values)
            found[field.name] = Field(field.name, hint, _kinds(hint), dimension, missing, default)
    return found


def _dimension(owner: type, name: str, values: str) -> str | tuple[str, ...]:
    keys = (f"{owner.__name__}.{name}", name)
    if any(key in WAVEFORM_VALUES for key in keys) and _is_waveform(owner):
        return values
    if keys[0] == "PiecewiseLinear.points":
        return ("time", values)
    if name == "db" or name.endswith("_db") or name.endswith("_db_back"):
        return "loss"
    return next((FIELD_DIMENSIONS[key] for key in keys if key in FIELD_DIMENSIONS), "")


def _hints(owner: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(owner)
    except (NameError, TypeError):  # names that only a type checker knows: anything goes
        return {}


def _classes(hint: Any) -> list[type]:
    """All classes a type hint names."""
    inner = [found for part in get_args(hint) for found in _classes(part)]
    return [hint, *inner] if inspect.isclass(hint) else inner


def _kinds(hint: Any) -> frozenset[str]:
    """Kinds of value that fit a type hint."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return frozenset().union(*(_kinds(part) for part in get_args(hint)))
    if origin is Literal:
        return frozenset({"text"})
    if hint is Any:
        return frozenset({"number", "array"})
    if hint is Waveform or (inspect.isclass(hint) and origin is None and issubclass(hint, Node)):
        return frozenset({"part"})
    simple = {float: "number", complex: "number", int: "whole", bool: "flag", str: "text", np.ndarray: "array"}
    kind = simple.get(origin if origin is np.ndarray else hint)
    if kind is not None:
        return frozenset({kind})
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return frozenset({"list"})
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return frozenset({"table"})
    return frozenset({"part"}) if dataclasses.is_dataclass(hint) else frozenset()
