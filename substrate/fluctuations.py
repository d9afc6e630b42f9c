"""Noise of the parts of a circuit under the noise settings: what is switched off, and the vacuum of what is cold."""

from dataclasses import replace
from typing import Any

from substrate.nodes.algebra import fluctuating
from substrate.nodes.linear import Drive, LinearNode, Scattering
from substrate.noise.lines import LineNoise
from substrate.noise.switch import NoiseSettings

NATURAL = ("thermal", "amplifier")  # kinds that say themselves what a part emits


def with_noise(node: LinearNode, part: Scattering, settings: NoiseSettings) -> Scattering:
    """``part``, the scattering of ``node``, with the noise that runs under ``settings``.

    Where the vacuum is simulated, a part that says nothing of its temperature emits ``hf/2`` of what it absorbs, and as
    much of what it adds to a wave: the least noise an amplifier can have (Caves 1982, eq. 3.34).
    """
    silent = not any(drive.kind in NATURAL and drive.waveform is None for drive in part.drives)
    switched = replace(part, drives=tuple(_switched(drive, settings) for drive in part.drives))
    if not (settings.vacuum and silent and node.law == "linear") or getattr(node, "hidden", False):
        return switched
    return fluctuating(switched, settings.level(0.0), kind="vacuum")


def _switched(drive: Drive, settings: NoiseSettings) -> Drive:
    if isinstance(drive.waveform, LineNoise):
        return replace(drive, waveform=drive.waveform.at(settings.level(drive.waveform.temperature)))
    if drive.waveform is not None:
        return drive
    if drive.kind == "thermal":
        return replace(drive, temperature=settings.level(drive.temperature))
    kelvin: Any = drive.temperature - (drive.spontaneous if settings.vacuum else 0.0)
    return replace(drive, temperature=kelvin if drive.kind in settings.kinds else 0.0)
