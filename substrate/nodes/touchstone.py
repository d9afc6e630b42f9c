"""Nodes measured elsewhere: reads a Touchstone file and makes of it a causal, stable, passive rational model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from substrate.errors import DataError, NetworkError
from substrate.nodes.base import Port, require_temperature
from substrate.nodes.linear import LinearNode, Scattering
from substrate.nodes.rational import vector_fit
from substrate.nodes.scattering import ROUNDING, StateSpaceNode, not_passive

UNITS = {"HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
NYQUIST = 0.9  # of the band a step can carry, up to which a file is used


def read_touchstone(path: str | Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Frequencies ``[n]`` (Hz), ``S[n, ports, ports]`` and reference resistance (ohm) of a Touchstone 1 file.

    RI, MA and DB, Hz to GHz. Raises DataError. Source: Touchstone File Format Specification 1.1.
    """
    path = Path(path)
    kind = re.fullmatch(r"\.s(\d+)p", path.suffix.lower())
    if kind is None or not path.is_file():
        raise DataError(f"{path}: there is no such Touchstone file; its name ends in .s1p, .s2p, ...")
    ports, unit, form, resistance = int(kind[1]), 1e9, "MA", 50.0
    numbers: list[float] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.split("!")[0].strip().upper()
        if text.startswith("["):
            raise DataError(
                f"{path}: Touchstone 2 keywords such as {text.split()[0]} are not read; save it as version 1"
            )
        if text.startswith("#"):
            unit, form, resistance = _options(path, text[1:].split())
        elif text:
            numbers += [float(word) for word in text.split()]
    width = 1 + 2 * ports**2
    records = np.array(numbers[: len(numbers) // width * width]).reshape(-1, width)
    rising = np.concatenate([[True], np.cumprod(np.diff(records[:, 0]) > 0.0).astype(bool)])  # noise data may follow
    records = records[rising]
    if len(records) < 2:
        raise DataError(f"{path}: holds fewer than two frequencies of {ports} ports")
    first, second = records[:, 1::2], records[:, 2::2]
    if form == "RI":
        values = first + 1j * second
    else:
        values = (first if form == "MA" else 10.0 ** (first / 20.0)) * np.exp(1j * np.deg2rad(second))
    matrices = values.reshape(-1, ports, ports)
    # Of two-ports, and only of those, the file gives S11, S21, S12, S22.
    return unit * records[:, 0], matrices.swapaxes(1, 2) if ports == 2 else matrices, resistance


def _options(path: Path, words: list[str]) -> tuple[float, str, float]:
    """Frequency unit, number format and reference resistance of an option line."""
    unit = next((UNITS[word] for word in words if word in UNITS), 1e9)
    form = next((word for word in words if word in ("RI", "MA", "DB")), "MA")
    resistance = float(words[words.index("R") + 1]) if "R" in words else 50.0
    other = {"Z", "Y", "H", "G"} & set(words)
    if other:
        raise DataError(f"{path}: holds {other.pop()} parameters; save it as S parameters")
    return unit, form, resistance


@dataclass(frozen=True)
class FittedModel:
    """A rational model of a file: the node, its largest error at the samples, its largest singular value."""

    node: StateSpaceNode
    error: float
    gain: float


@lru_cache(maxsize=64)
def fitted(path: str, order: int, active: bool, dt: float) -> FittedModel:
    """Fit the file at ``path`` with ``order`` common poles, for steps of ``dt`` (s; 0 for continuous time).

    For a step the samples are fitted where the trapezoidal rule will put them, so that the run shows the file's
    response at the file's frequencies; where that model is no better, or amplifies out of band, the continuous one is
    stepped. A model over 1 by no more than the error of the fit is scaled down to be passive.
    Raises DataError and NetworkError.
    """
    frequencies, samples, resistance = read_touchstone(path)
    if dt > 0.0:
        kept = frequencies < NYQUIST * 0.5 / dt
        if np.count_nonzero(kept) < 2:
            raise NetworkError(f"{path}: a step of {dt:.6g} s carries none of its frequencies; lower dt")
        frequencies, samples = frequencies[kept], samples[kept]
    if dt == 0.0:
        return _fit(2.0 * np.pi * frequencies, samples, resistance, order, active)
    omega = 2.0 * np.tan(np.pi * frequencies * dt) / dt
    warped, plain = _fit(omega, samples, resistance, order, active), fitted(path, order, active, 0.0)
    unwarped = float(
        np.max(np.abs(plain.node.response([resistance] * samples.shape[-1], omega / (2.0 * np.pi)) - samples))
    )
    # Out of the file's band nothing holds the warped model below 1; then the plain one is stepped as it is.
    if warped.error <= unwarped and (active or warped.gain <= 1.0 + ROUNDING):
        return warped
    return FittedModel(plain.node, unwarped, plain.gain)


def _fit(omega: np.ndarray, samples: np.ndarray, resistance: float, order: int, active: bool) -> FittedModel:
    """Fit ``samples[n, ports, ports]`` at ``omega`` (rad/s), made passive where the fit's own error made it active."""
    ports = samples.shape[-1]
    fit = vector_fit(omega, samples.reshape(len(omega), -1).T, order)
    a, b = np.kron(np.eye(ports), fit.a), np.kron(np.eye(ports), fit.b[:, None])
    c, d = fit.c.reshape(ports, ports * len(fit.a)), fit.d.reshape(ports, ports)
    node = StateSpaceNode(a, b, c, d, resistance, active)
    gain, _ = node.largest_gain()
    if active or gain <= 1.0 or gain > 1.0 + 10.0 * fit.error + ROUNDING:
        return FittedModel(node, fit.error, gain)
    scale = (1.0 - 1e-12) / gain
    return FittedModel(StateSpaceNode(a, b, scale * c, scale * d, resistance, active), fit.error + gain - 1.0, 1.0)


@dataclass(frozen=True)
class Touchstone(LinearNode):
    """An n-port from a Touchstone file ``path`` (.sNp), fitted with ``order`` poles; ports ``p1 .. pN``.

    ``model()`` says how well (largest error, largest singular value). At ``temperature`` (K) a passive model has the
    noise of what it absorbs, ``kT (I - S S^H)``. Raises DataError when the file cannot be read,
    and NetworkError, unless ``active``, when the model amplifies. Source: vector fitting, see
    :mod:`substrate.nodes.rational`; Bosma 1967.
    """

    path: str
    order: int = 16
    active: bool = False
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.order < 1:
            raise NetworkError(f"A rational model has an order of at least 1, but order={self.order!r}")
        require_temperature("A Touchstone model", self.temperature)
        if self.active and self.temperature > 0.0:
            raise NetworkError(
                f"{self.path}: what an active part adds does not follow from its temperature; leave that at 0 and put "
                "an Amplifier with a noise figure beside it"
            )

    def model(self, dt: float = 0.0) -> FittedModel:
        """The model in continuous time, or the one that steps of ``dt`` (s) use."""
        return fitted(str(self.path), int(self.order), self.active, dt)

    @property
    def ports(self) -> tuple[Port, ...]:
        """``p1 .. pN``."""
        return self.model().node.ports

    def refuse(self, name: str) -> None:
        """See :class:`LinearNode`."""
        gain = self.model().gain
        if gain > 1.0 + ROUNDING and not self.active:
            raise not_passive(name, gain, f" of the model fitted to {self.path}")

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`LinearNode`."""
        return replace(self.model(dt).node, temperature=self.temperature).scattering(z, dt)

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`LinearNode`."""
        return self.model().node.response(z, frequencies)
