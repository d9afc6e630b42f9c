"""Digital training beside the substrate: same start, same batches, exact gradients, once per batch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from substrate.learning.backprop import Backprop
from substrate.learning.ports import PortBank
from substrate.network import Network

RATE_WITHOUT = 0.3  # learning rate per batch beside devices that name none


class DigitalTraining:
    """Gradient descent (or momentum) by exact backpropagation, with the step that the devices' nominal rate means.

    A device with rate mu (1/s) held for a dwell moves by ``mu * dwell * drive``: that is the learning rate here.
    A device with a ``time_constant`` is followed as momentum, by the exact motion over one dwell. A device whose law
    has no rate (a threshold, a heater) is compared with gradient descent at ``RATE_WITHOUT`` per batch.
    """

    def __init__(self, network: Network, bank: PortBank, dwell: float) -> None:
        self.backprop = Backprop(network)
        self.dwell = dwell
        # The substrate's own start: what its devices could hold of the described values.
        self.parameters = {
            name: np.asarray(value, dtype=np.float64) for name, value in bank.port_values("values").items()
        }
        for name, value in network.parameters().items():
            self.parameters.setdefault(name, np.asarray(value, dtype=np.float64))
        self.devices: dict[str, Any] = {name: group.device for group in bank.groups for name in group.names}
        self.velocity = {name: np.zeros_like(self.parameters[name]) for name in self.devices}

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch and return its mean loss."""
        loss, gradient = self.backprop.gradient(self.parameters, x, y)
        for name, device in self.devices.items():
            rate = float(np.mean(getattr(device, "rate", RATE_WITHOUT / self.dwell)))
            tau = float(np.mean(getattr(device, "time_constant", 0.0)))
            final = -rate * gradient[name]
            if tau > 0.0:
                excess = (self.velocity[name] - final) * -np.expm1(-self.dwell / tau)
                self.parameters[name] += final * self.dwell + excess * tau
                self.velocity[name] -= excess
            else:
                self.parameters[name] += final * self.dwell
        return loss

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything needed to continue, as named arrays."""
        arrays = {f"parameters/{name}": value.copy() for name, value in self.parameters.items()}
        return arrays | {f"velocity/{name}": value.copy() for name, value in self.velocity.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        for name, value in self.parameters.items():
            value[...] = arrays[f"parameters/{name}"]
        for name, value in self.velocity.items():
            value[...] = arrays[f"velocity/{name}"]
