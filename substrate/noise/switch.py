"""Which kinds of noise run, and at what level thermal noise stands where photons count."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from substrate.errors import NetworkError
from substrate.noise import BOLTZMANN
from substrate.noise.sources import quantum_power_density

KINDS = (
    "thermal",  # of lossy lines, lossy nodes and resistances: kT (I - S S^H)
    "vacuum",  # hf/2 of every part that loses or amplifies an envelope; needs a carrier
    "amplifier",  # noise figure of an amplifier
    "spontaneous",  # emission of an optical amplifier
    "shot",  # of a current
    "rin",  # relative intensity noise
    "linewidth",  # phase walk of a laser
    "flicker",  # 1/f, of size or phase
    "telegraph",
    "wander",  # thermo-refractive phase: an Ornstein-Uhlenbeck process
    "jitter",  # of the moments at which a waveform is sampled
    "quantisation",  # rounding and clipping by a converter
)


@dataclass(frozen=True)
class NoiseSettings:
    """The kinds of noise that run and the optical ``carrier`` (Hz; None: waves are voltages, without a vacuum).

    Raises NetworkError. Source: Callen and Welton 1951 (``hf (1/2 + 1 / (exp(hf / kT) - 1))`` in place of kT).

    >>> NoiseSettings.of(["thermal"]).level(300.0), NoiseSettings.of([]).level(300.0)
    (300.0, 0.0)
    >>> round(NoiseSettings.of(None, carrier=193.4e12).level(0.0), 1)  # hf / 2k
    4640.9
    """

    kinds: frozenset[str] = frozenset(KINDS)
    carrier: float | None = None

    @classmethod
    def of(cls, kinds: Iterable[str] | None, carrier: float | None = None) -> "NoiseSettings":
        """Settings from what a user says; None means all kinds that are described."""
        asked = KINDS if kinds is None else (kinds,) if isinstance(kinds, str) else tuple(kinds)
        for kind in asked:
            if kind not in KINDS:
                raise NetworkError(f"noise names kinds of noise, {', '.join(KINDS)}; there is no {kind!r}")
        if carrier is not None and not (np.isfinite(carrier) and carrier > 0.0):
            raise NetworkError(f"carrier is an optical frequency above 0 Hz, or None, but it is {carrier!r}")
        return cls(frozenset(asked), carrier)

    @property
    def vacuum(self) -> bool:
        """Whether the vacuum is simulated."""
        return self.carrier is not None and "vacuum" in self.kinds

    def level(self, kelvin: float) -> float:
        """Power density over k, in K, of what is at ``kelvin``: k times it is in W/Hz, one-sided."""
        kelvin = kelvin if "thermal" in self.kinds else 0.0
        if self.carrier is None or "vacuum" not in self.kinds:
            return kelvin
        return float(quantum_power_density(self.carrier, kelvin)) / BOLTZMANN
