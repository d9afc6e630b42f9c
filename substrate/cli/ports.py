"""The devices a training file asks for: cards or models, their rates and other numbers."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from devices.cards import Card, build, load_card
from devices.device import Device, units
from devices.errors import CardError, DeviceError, UnverifiedCardWarning
from devices.models import model_class, nearest
from substrate.cli.user_devices import user_device
from substrate.config.schema import PortTable
from substrate.errors import ConfigError
from substrate.learning.controllers import Controlled
from substrate.learning.port_laws import LAWS, Behind
from substrate.units import quantity

# unit of a device's number → dimension of the texts it may be written as
DIMENSIONS = {
    "s": "time",
    "Hz": "frequency",
    "1/s": "rate",
    "m": "length",
    "K": "temperature",
    "W": "power",
    "J": "energy",
    "V": "voltage",
    "A": "current",
    "C": "charge",
    "ohm": "resistance",
    "S": "conductance",
    "F": "capacitance",
    "H": "inductance",
    "m/s": "speed",
    "rad": "angle",
    "dB": "loss",
    "dB/m": "loss per length",
}


@dataclass
class Chosen:
    """What a training file puts at its ports, and what has to be said about it."""

    devices: dict[str, Any] = field(default_factory=dict)  # pattern of ports → device
    cards: dict[str, str] = field(default_factory=dict)  # id of a card → SHA-256 of its file
    notes: list[str] = field(default_factory=list)


class Devised(Protocol):
    """A file that says which devices it wants: of kind "train" or "mesh"."""

    @property
    def kind(self) -> str:
        """Which."""

    @property
    def device(self) -> Any:
        """Its table [device]."""

    @property
    def controller(self) -> Any:
        """Its table [controller]."""

    @property
    def clock(self) -> Any:
        """Its table [clock], which has a dwell."""


def choose_devices(config: Devised, base_dir: Path) -> Chosen:
    """Make the devices of a training file; `base_dir` is where relative paths of cards start.

    Raises ConfigError and the errors of `devices`.
    """
    chosen = Chosen()
    if config.device.bias is not None:
        chosen.devices["*.bias"] = _port(config.device.bias, "device.bias", config, base_dir, chosen)
    chosen.devices["*"] = _controlled(config, _port(config.device, "device", config, base_dir, chosen))
    return chosen


def _controlled(config: Devised, device: Any) -> Any:
    """The device behind the converter that the file asks for."""
    about = config.controller
    if about.bits is None and about.dead_zone == 0.0:
        return device
    reach = all(math.isfinite(bound) for bound in device.clip_range())
    if about.bits is not None and about.range is None and not reach and config.kind == "train":
        raise ConfigError(
            "controller.bits: the device has no bounds, so its converter needs a 'range', such as [-2, 2]"
        )
    return Controlled(device, about.bits, about.dead_zone, None if about.range is None else tuple(about.range))


def _port(table: PortTable, where: str, config: Devised, base_dir: Path, chosen: Chosen) -> Any:
    """A device, behind the port law of its table where there is one."""
    device = _device(table, where, config, base_dir, chosen)
    if table.law is None:
        return device
    numbers = table.law.model_dump(exclude={"kind"}, exclude_none=True)
    return Behind(LAWS[table.law.kind](**numbers), device)


def _device(table: PortTable, where: str, config: Devised, base_dir: Path, chosen: Chosen) -> Device:
    card = None if table.card is None else _card(table.card, where, base_dir)
    model = card.model if card is not None else str(table.model)
    own = user_device(model, where, base_dir) if card is None and ".py:" in model else None
    device_class = own.device_class if own is not None else _located(where, model_class, model)
    if own is not None:
        chosen.cards[model] = own.sha256
    who = f"card {card.id!r}" if card is not None else f"model {model!r}"
    numbers = _numbers(table.parameters, f"{where}.parameters", device_class, who)
    numbers |= _rate(table, where, config.clock.dwell, device_class, who, card, chosen)
    if card is not None:
        chosen.cards[card.id] = card.hash
        unread = [name for name in card.unverified if name.removesuffix(".d2d") not in numbers and "facts." not in name]
        if unread:
            chosen.notes.append(f"{who} has numbers nobody has read in a source yet: {', '.join(unread)}")
        chosen.notes += [f"{where}: {who}: {text}" for text in _outside(table, where, card, numbers)]
        device: Device = _located(where, build, card, numbers)
        return device
    try:
        made: Device = _located(where, device_class, **numbers)
    except TypeError as error:
        missing = str(error).partition(": ")[2] or str(error)
        raise ConfigError(f"{where}: model {model!r} needs more parameters: {missing}") from None
    return made


def _located(where: str, make: Any, *arguments: Any, **named: Any) -> Any:
    """Call `make`; its errors begin with the table that caused them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedCardWarning)
        try:
            return make(*arguments, **named)
        except DeviceError as error:
            raise type(error)(f"{where}: {error}") from None


def _card(name: str, where: str, base_dir: Path) -> Card:
    card: Card = _located(where, load_card, base_dir / name if name.endswith(".toml") else name)
    if card.kind != "device":
        raise CardError(f"{where}.card: {name!r} describes a medium, not a device; `substrate devices` lists devices")
    return card


def _outside(table: PortTable, where: str, card: Card, numbers: Mapping[str, Any]) -> list[str]:
    """What leaves the ranges in which the card's numbers were obtained."""
    given = {name: value for name, value in numbers.items() if isinstance(value, int | float)}
    for name, value in table.conditions.items():
        if name not in card.validity:
            known = ", ".join(card.validity) or "nothing"
            raise ConfigError(
                f"{where}.conditions: card {card.id!r} says nothing about {name!r}{nearest(name, card.validity)}; "
                f"it says where it holds for {known}"
            )
        dimension = DIMENSIONS.get(card.validity[name].unit)
        if isinstance(value, str) and dimension is None:
            raise ConfigError(
                f"{where}.conditions.{name}: expected a number in {card.validity[name].unit}, got {value!r}"
            )
        given[name] = (
            quantity(value, dimension or "", where=f"{where}.conditions.{name}") if dimension else float(value)
        )
    return card.outside(**given)


def _numbers(given: Mapping[str, Any], where: str, device_class: Any, who: str) -> dict[str, Any]:
    """The parameters of a table in SI units."""
    known, expected = [f.name for f in fields(device_class)], units(device_class)
    numbers = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"{where}: {who} has no parameter {name!r}{nearest(name, known)}")
        dimension = DIMENSIONS.get(expected.get(name, ""))
        if isinstance(value, str) and name in expected:
            if dimension is None:
                raise ConfigError(f"{where}.{name}: expected a number in {expected[name]}, got {value!r}")
            value = quantity(value, dimension, where=f"{where}.{name}")
        numbers[name] = value
    return numbers


def _rate(
    table: PortTable, where: str, dwell: float, device_class: Any, who: str, card: Card | None, chosen: Chosen
) -> dict[str, float]:
    """The rate in 1/s, where the device has one."""
    has_rate = "rate" in units(device_class)
    if table.rate is not None or table.rate_per_batch is not None:
        if not has_rate:
            raise ConfigError(f"{where}: {who} has no rate; its numbers are {', '.join(units(device_class))}")
        return {"rate": table.rate if table.rate is not None else (table.rate_per_batch or 0.0) / dwell}
    if has_rate and card is None:
        raise ConfigError(f"{where}: {who} needs 'rate_per_batch' (the step per batch) or 'rate' (in 1/s)")
    if has_rate and card is not None and "rate" in card.assumed:
        per_batch = card.number("rate") * dwell
        chosen.notes.append(
            f"{where}: {who} leaves its rate to you and moves by {per_batch:.1e} of the gradient per batch; "
            "set rate_per_batch"
        )
    return {}
