"""Tunable materials for parameter ports: what they remember and how a drive moves them; nothing here knows waves."""

from importlib import import_module
from typing import Any

from devices.device import Device, StateVariable, core_law, quantity
from devices.errors import CardError, DeviceError, OutsideValidityWarning, UnverifiedCardWarning
from devices.ideal import Gradient, Momentum
from devices.pulsed import SoftBounds
from devices.variability import Spread

# found on first use: cards need pydantic, which takes longer to import than all the laws together
_LAZY = {
    "devices.arrangements": ("Defects", "DifferentialPair", "ReferenceCell"),
    "devices.capacitor": ("CapacitorCell",),
    "devices.cards": ("Card", "build", "card", "card_directory", "list_cards", "load_card"),
    "devices.domain_wall": ("DomainWall",),
    "devices.ecram": ("Ecram",),
    "devices.electro_optic": ("BariumTitanate", "LithiumNiobate"),
    "devices.exponential_step": ("ExponentialStep",),
    "devices.fit": ("Fit", "fit_drift", "fit_pulses", "fit_table", "fit_threshold", "read_train"),
    "devices.ion_drift": ("IonDrift",),
    "devices.langevin": ("Langevin",),
    "devices.linear_step": ("ConstantStep", "LinearStep"),
    "devices.mems": ("Mems",),
    "devices.mems_capacitor": ("MemsCapacitor",),
    "devices.models": ("register_model",),
    "devices.pcm": ("PcmPair",),
    "devices.photonic_pcm": ("PhotonicPcm",),
    "devices.photorefractive": ("Photorefractive",),
    "devices.power_step": ("PowerStep",),
    "devices.readout": ("NoisyReadout",),
    "devices.response": ("drive_response", "pulse_count", "pulse_response", "symmetry_point"),
    "devices.sonos": ("Sonos",),
    "devices.tabulated_step": ("TabulatedStep",),
    "devices.thermo_optic": ("ThermoOptic", "exponential_crosstalk"),
    "devices.transfer": ("ChoppedTransfer", "Transfer"),
    "devices.varactor": ("Varactor", "charge_conserving_voltage", "tuning_work"),
    "devices.vteam": ("Vteam",),
    "devices.write_verify": ("WriteVerify",),
}
_HOME = {name: module for module, names in _LAZY.items() for name in names}

__all__ = [
    "CardError",
    "Device",
    "DeviceError",
    "Gradient",
    "Momentum",
    "OutsideValidityWarning",
    "SoftBounds",
    "Spread",
    "StateVariable",
    "UnverifiedCardWarning",
    "core_law",
    "quantity",
    *_HOME,
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'devices' has no attribute {name!r}")
