"""The names under which cards find device classes."""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from devices.device import Device
from devices.errors import CardError

# where each model lives; a module is imported only when one of its cards is used
MODELS: dict[str, str | type[Device]] = {
    "ideal_gradient": "devices.ideal:Gradient",
    "ideal_momentum": "devices.ideal:Momentum",
    "langevin": "devices.langevin:Langevin",
    "constant_step": "devices.linear_step:ConstantStep",
    "linear_step": "devices.linear_step:LinearStep",
    "soft_bounds": "devices.pulsed:SoftBounds",
    "exponential_step": "devices.exponential_step:ExponentialStep",
    "power_step": "devices.power_step:PowerStep",
    "tabulated_step": "devices.tabulated_step:TabulatedStep",
    "capacitor": "devices.capacitor:CapacitorCell",
    "ecram": "devices.ecram:Ecram",
    "pcm_pair": "devices.pcm:PcmPair",
    "sonos": "devices.sonos:Sonos",
    "vteam": "devices.vteam:Vteam",
    "write_verify": "devices.write_verify:WriteVerify",
    "ion_drift": "devices.ion_drift:IonDrift",
    "domain_wall": "devices.domain_wall:DomainWall",
    "thermo_optic": "devices.thermo_optic:ThermoOptic",
    "lithium_niobate": "devices.electro_optic:LithiumNiobate",
    "barium_titanate": "devices.electro_optic:BariumTitanate",
    "mems": "devices.mems:Mems",
    "mems_capacitor": "devices.mems_capacitor:MemsCapacitor",
    "photonic_pcm": "devices.photonic_pcm:PhotonicPcm",
    "photorefractive": "devices.photorefractive:Photorefractive",
    "varactor": "devices.varactor:Varactor",
}


def register_model(name: str, device_class: type[Device]) -> None:
    """Let cards with model = `name` make devices of your own class.

    >>> from devices.ideal import Gradient
    >>> register_model("my_gradient", Gradient)
    >>> model_class("my_gradient").__name__
    'Gradient'
    """
    MODELS[name] = device_class


def model_class(name: str) -> Any:
    """The device class registered as `name`. Raises CardError with the nearest known name."""
    if name not in MODELS:
        raise CardError(
            f"no device model is called {name!r}{nearest(name, MODELS)}; known: {', '.join(sorted(MODELS))}"
        )
    entry = MODELS[name]
    if isinstance(entry, str):
        module, _, attribute = entry.partition(":")
        return getattr(import_module(module), attribute)
    return entry


def nearest(name: str, known: Any) -> str:
    """A hint naming the known word closest to `name`, or nothing.

    >>> nearest("dw_mim", ["dw_min", "rate"])
    "; did you mean 'dw_min'?"
    """
    found = get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else ""
