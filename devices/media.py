"""Which numbers a medium card must give for each line model (the lines themselves live with the waves)."""

from devices.card_schema import CardFile
from devices.errors import CardError
from devices.models import nearest

# model -> name -> (unit, required)
MEDIUM_MODELS: dict[str, dict[str, tuple[str, bool]]] = {
    "ideal": {"velocity": ("m/s", True), "impedance": ("ohm", True), "loss": ("dB/m", False)},
    "rlgc": {
        "R": ("ohm/m", True),
        "L": ("H/m", True),
        "G": ("S/m", True),
        "C": ("F/m", True),
        "skin_loss": ("dB/m/sqrt(Hz)", False),
        "loss_tangent": ("1", False),
        "quality_factor": ("1", False),
    },
    "rc": {"R": ("ohm/m", True), "C": ("F/m", True), "L": ("H/m", False)},
    "envelope": {
        "n_eff": ("1", True),
        "n_g": ("1", True),
        "loss": ("dB/m", True),
        "dispersion": ("s/m^2", False),
        "wavelength": ("m", True),
    },
}


def check_medium(content: CardFile) -> None:
    """Refuse a medium card whose numbers do not fit its line model. Raises CardError."""
    if content.model not in MEDIUM_MODELS:
        raise CardError(
            f"medium card {content.id!r}: no line model {content.model!r}{nearest(content.model, MEDIUM_MODELS)}"
        )
    known = MEDIUM_MODELS[content.model]
    for name, quantity in content.params.items():
        if name not in known:
            raise CardError(f"medium card {content.id!r}: {content.model} has no number {name!r}{nearest(name, known)}")
        if quantity.unit != known[name][0]:
            raise CardError(f"medium card {content.id!r}: {name} is in {quantity.unit!r}, not {known[name][0]!r}")
    missing = [name for name, (_, required) in known.items() if required and name not in content.params]
    if missing:
        raise CardError(f"medium card {content.id!r}: {content.model} needs {', '.join(missing)} too")
