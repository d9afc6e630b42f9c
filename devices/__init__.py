"""Tunable materials for parameter ports: what they remember and how a drive moves them; nothing here knows waves."""

from importlib import import_module
from typing import Any

from devices.device import Device, StateVariable, core_law, quantity
from devices.errors import CardError, DeviceError, UnverifiedCardWarning
from devices.ideal import Gradient, Momentum
from devices.pulsed import SoftBounds
from devices.variability import Spread

# found on first use: cards need pydantic, which takes longer to import than everything else together
_LAZY = {
    **dict.fromkeys(("Card", "build", "card", "card_directory", "list_cards", "load_card"), "devices.cards"),
    **dict.fromkeys(("register_model",), "devices.models"),
}

__all__ = [
    "Card",
    "CardError",
    "Device",
    "DeviceError",
    "Gradient",
    "Momentum",
    "SoftBounds",
    "Spread",
    "StateVariable",
    "UnverifiedCardWarning",
    "build",
    "card",
    "card_directory",
    "core_law",
    "list_cards",
    "load_card",
    "quantity",
    "register_model",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'devices' has no attribute {name!r}")
