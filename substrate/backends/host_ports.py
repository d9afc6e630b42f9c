"""Arithmetic of ports whose numbers are NumPy arrays: of the CPU's steppers, and of fields of a circuit's nodes."""

from typing import Any

import numpy as np

from substrate.noise import cell_normals


class HostPorts:
    """What a :class:`substrate.learning.ports.PortBank` asks of a stepper, for a handful of numbers in NumPy arrays.

    >>> values, drive, absorbed = np.array([1.0]), np.array([2.0]), np.zeros(1)
    >>> HostPorts().move_resistors(values, drive, 0.5, absorbed); values.tolist(), absorbed.tolist()
    ([2.0], [2.0])
    """

    xp = np

    def move_resistors(self, values: np.ndarray, drive: np.ndarray, factor: float, absorbed: np.ndarray) -> None:
        """Ports that are plain resistors."""
        values += factor * drive
        absorbed += factor * drive**2

    def settle_ports(self, new: np.ndarray, values: np.ndarray, drive: np.ndarray, absorbed: np.ndarray) -> None:
        """Take over the devices' new values and book what they absorbed."""
        absorbed += drive * (new - values)
        values[...] = new

    def advance(self, device: Any, state: dict[str, np.ndarray], drive: np.ndarray, seconds: float, xi: Any) -> Any:
        """Move device cells by their own law; returns their new values."""
        device.advance(np, state, drive, seconds, xi)
        return device.value(np, state)

    def cell_normals(self, seed: int, source: int, step: int, count: int, like: Any) -> np.ndarray:
        """Standard normals of device cells."""
        return cell_normals(seed, source, step, count, like.shape, dtype=like.dtype.type)

    def to_host(self, array: Any) -> np.ndarray:
        """A copy."""
        return np.array(array)
