"""A converter in front of devices: what it sends has so many bits, and it does not answer what is too quiet."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.plan import Array


@dataclass(frozen=True)
class Controlled:
    """A device whose value the waves see in ``2**bits`` levels over its reach, and that ignores drives up to
    ``dead_zone``. The device itself moves finely: its controller counts with more bits than its converter has.

    ``span`` is the converter's own range, beyond which it sends its last level. None: the device's reach; for a device
    without bounds a turn, 0 to 2 pi, and the same levels in every further turn. Raises ConfigError.

    >>> from devices.ideal import Gradient
    >>> port = Controlled(Gradient(1.0), bits=2, span=(0.0, 3.0))
    >>> port.value(np, port.create(np.array([0.4, 1.6]))).tolist()
    [0.0, 2.0]
    """

    device: Any
    bits: int | None = None
    dead_zone: float = 0.0
    span: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.bits is not None and not 1 <= self.bits <= 52:
            raise ConfigError(f"A converter has 1 to 52 bits, but bits={self.bits}")
        if self.span is not None and not self.span[0] < self.span[1]:
            raise ConfigError(f"A converter's range rises, but it is {self.span}")
        if not self.dead_zone >= 0.0:
            raise ConfigError(f"A dead zone is at least 0, but dead_zone={self.dead_zone}")

    @property
    def quiet(self) -> "Controlled":
        """The same without the device's noise."""
        return replace(self, device=getattr(self.device, "quiet", self.device))

    def __getattr__(self, name: str) -> Any:
        # Everything else about cells is the device's business.
        if name in ("device", "resistor_rate"):
            raise AttributeError(name)
        return getattr(self.device, name)

    def create(self, initial: Array, xi: Array | None = None) -> dict[str, Array]:
        """Cells at ``initial``."""
        cells: dict[str, Array] = self.device.create(initial, xi)
        return cells

    def advance(self, xp: Any, state: dict[str, Array], drive: Array, dt: float, xi: Array | None = None) -> None:
        """Let the device move, unless the drive [cells] is in the dead zone."""
        if self.dead_zone > 0.0:
            drive = xp.where(xp.abs(drive) > self.dead_zone, drive, 0.0)
        self.device.advance(xp, state, drive, dt, xi)

    def value(self, xp: Any, state: dict[str, Array]) -> Array:
        """What the converter makes of the device's value."""
        value = self.device.value(xp, state)
        if self.bits is None:
            return value
        low, high = self.device.clip_range() if self.span is None else self.span
        if not (np.isfinite(low) and np.isfinite(high)):
            low, high = 0.0, 2.0 * np.pi
        if self.span is not None:
            value = xp.clip(value, low, high)
        step = (high - low) / (2**self.bits - 1)
        return xp.rint((value - low) / step) * step + low
