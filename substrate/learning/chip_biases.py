"""Electronic biases of a chip's detectors as ports of their own, and the devices of its parts in a checkpoint."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from substrate.backends.host_ports import HostPorts
from substrate.learning.ports import PortBank


class Biases:
    """The biases of ``detectors`` by name, with ``devices`` (patterns that end in ``.bias``); without any they rest.

    A detector has ``bias`` and, after an error, ``heard``: its gradient summed over the batch.
    """

    def __init__(self, detectors: Mapping[str, Any], devices: Mapping[str, Any], seed: int) -> None:
        own = {pattern: device for pattern, device in devices.items() if pattern.endswith(".bias")}
        self.detectors, self.stepper = (detectors if own else {}), HostPorts()
        numbers = {name: detector.bias for name, detector in self.detectors.items()}
        drive = {name: np.zeros_like(value) for name, value in numbers.items()}
        self.state = SimpleNamespace(parameters=numbers, drive=drive, version=0, inputs={})
        self.bank = PortBank(self, own, seed=seed) if own else None
        self.apply()

    @property
    def banks(self) -> dict[str, PortBank]:
        """Their devices, where there are any."""
        return {} if self.bank is None else {"bias": self.bank}

    def listen(self, batch: int) -> None:
        """Take what the detectors have heard of ``batch`` samples as the drives."""
        for name, detector in self.detectors.items():
            self.state.drive[name][...] = -detector.heard / batch

    def tick(self, seconds: float) -> None:
        """Let the devices move."""
        if self.bank is not None:
            self.bank.tick(seconds)
            self.apply()

    def apply(self) -> None:
        """Give every detector the bias of its port."""
        for name, detector in self.detectors.items():
            detector.bias = self.state.parameters[name]


def phase_devices(devices: Mapping[str, Any]) -> dict[str, Any]:
    """The devices that are not for biases."""
    return {pattern: device for pattern, device in devices.items() if not pattern.endswith(".bias")}


def kept(banks: Mapping[str, PortBank]) -> dict[str, np.ndarray]:
    """The cells of several banks as named host arrays."""
    return {f"{name}/{key}": a for name, bank in banks.items() for key, a in bank.checkpoint().items()}


def under(name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of one part of a checkpoint, by their names there.

    >>> under("a", {"a/x": np.zeros(1), "b/x": np.ones(1)})
    {'x': array([0.])}
    """
    return {key.removeprefix(f"{name}/"): a for key, a in arrays.items() if key.startswith(f"{name}/")}
