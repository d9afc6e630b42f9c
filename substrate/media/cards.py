"""Cards of media: sourced numbers in data/media/*.toml, and the lines they make."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from substrate.datafiles import data_path
from substrate.errors import DataError
from substrate.laying import Medium
from substrate.media.optical import OpticalLine
from substrate.media.rc import RcLine
from substrate.media.rlgc import RlgcLine
from substrate.network import Line

# model -> numbers it reads, with their units; those that a card may leave out end in "?"
MODELS: Mapping[str, Mapping[str, str]] = {
    "ideal": {"velocity": "m/s", "impedance": "ohm", "loss?": "dB/m"},
    "rlgc": {
        "R": "ohm/m", "L": "H/m", "G": "S/m", "C": "F/m",
        "skin_loss?": "dB/m/sqrt(Hz)", "loss_tangent?": "1", "quality_factor?": "1",
    },
    "rc": {"R": "ohm/m", "C": "F/m", "L?": "H/m"},
    "envelope": {"n_eff": "1", "n_g": "1", "loss": "dB/m", "dispersion?": "s/m^2", "wavelength": "m"},
}  # fmt: skip
NEPER = 20.0 / np.log(10.0)  # dB


@dataclass(frozen=True)
class MediumCard:
    """A medium by its sourced ``numbers`` (SI, dB/m for losses), by name, for the line ``model``; it makes lines."""

    name: str
    title: str
    model: str
    numbers: Mapping[str, float]

    def line(self, length: float, **options: Any) -> Line:
        """``length`` (m) of it; ``options`` are fields of the line made (``poles``, ``fractional``, ``wavelength``).

        Raises NetworkError.

        >>> round(medium("rg58").line(2.0).impedance, 3)
        54.035
        >>> type(medium("sky130_met5").line(1e-3)).__name__
        'RcLine'
        """
        n = self.numbers
        if self.model == "ideal":
            return Line(length / n["velocity"], n["impedance"], n.get("loss", 0.0) * length, **options)
        made: Medium
        if self.model == "rc":
            made = RcLine(length, n["R"], n["C"], **options)
        elif self.model == "rlgc":
            made = self._transmission(length, options)
        else:
            given = {"wavelength": n["wavelength"], "reference_wavelength": n["wavelength"], **options}
            numbers = {"loss_db_per_m": n["loss"], "dispersion": n.get("dispersion", 0.0), **given}
            made = OpticalLine(length, n["n_eff"], n["n_g"], **numbers)
        return made

    def _transmission(self, length: float, options: Mapping[str, Any]) -> RlgcLine:
        n = self.numbers
        impedance = np.sqrt(n["L"] / n["C"])
        # A loss of alpha nepers per metre is a resistance of 2 Z alpha; a quality factor is that of the dielectric.
        skin = 2.0 * impedance * n.get("skin_loss", 0.0) / NEPER
        tangent = n.get("loss_tangent", 0.0) + (1.0 / n["quality_factor"] if "quality_factor" in n else 0.0)
        given = {"skin": float(skin), "loss_tangent": tangent, **options}
        return RlgcLine(length, n["R"], n["L"], n["G"], n["C"], **given)


def medium(name: str | Path) -> MediumCard:
    """The card called ``name`` in the catalogue, or a .toml file by its path. Raises DataError.

    >>> medium("si_strip_500x220_1550").line(100e-6, wavelength=1.55e-6).delay
    1.3979...e-12
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in media():
            raise DataError(
                f"There is no medium {str(name)!r}; the media are {', '.join(media())}, or a path of a .toml file"
            )
        path = data_path("media", f"{name}.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"Medium card {str(path)!r} cannot be read: {error}") from error
    return _checked(path, content)


def media() -> tuple[str, ...]:
    """Names of the catalogue's media.

    >>> "smf28" in media()
    True
    """
    return tuple(sorted(path.stem for path in data_path("media").glob("*.toml")))


def _checked(path: Path, content: Mapping[str, Any]) -> MediumCard:
    """Read what the line model needs; cards of the catalogue are checked in full by `devices`."""
    if content.get("kind") != "medium" or content.get("model") not in MODELS:
        raise DataError(
            f"{path} describes no medium of a known model: kind={content.get('kind')!r}, "
            f"model={content.get('model')!r}; the models are {', '.join(MODELS)}"
        )
    known = {key.rstrip("?"): (unit, not key.endswith("?")) for key, unit in MODELS[content["model"]].items()}
    given = content.get("params", {})
    numbers = {}
    for key, entry in given.items():
        value = entry.get("value") if isinstance(entry, Mapping) else None
        fits = key in known and isinstance(value, int | float) and entry.get("unit") == known[key][0]
        if not fits:
            units = ", ".join(f"{name} in {unit}" for name, (unit, _) in known.items())
            raise DataError(f"{path}: params.{key} is not a number that a {content['model']} medium has: {units}")
        numbers[key] = float(value)  # type: ignore[arg-type]
    missing = [key for key, (_, required) in known.items() if required and key not in numbers]
    if missing:
        raise DataError(f"{path}: a {content['model']} medium needs {', '.join(missing)} too")
    return MediumCard(str(content.get("id", path.stem)), str(content.get("title", "")), content["model"], numbers)
