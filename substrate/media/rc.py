"""A wire that diffuses: resistance and capacitance per metre, no inductance, so no finite speed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.laying import Laid, LineAccuracy, Medium, require_positive
from substrate.nodes.rc_line import DiffusiveWire

GRID = 400


@dataclass(frozen=True)
class RcLine(Medium):
    """``length`` (m) of a wire with ``resistance`` (ohm/m) and ``capacitance`` (F/m); L and G are zero.

    It joins its ends at once, as a two-port with ``2 modes`` states (half of even, half of odd modes). Exact below the
    highest mode, ``(modes pi)^2 / RC l^2``; beyond it, the modes left out are resistances. ``delay`` is the time to
    half of a step, 0.38 R C l^2.
    At ``temperature`` (K) all its resistances are noisy. Raises NetworkError.
    Source: Sakurai 1983, IEEE J. Solid-State Circuits 18, eq. 3.

    >>> round(RcLine(1e-3, 17810.0, 154e-12).delay * 1e12, 3)
    1.039
    """

    length: float
    resistance: float
    capacitance: float
    modes: int = 8
    fractional: str = field(init=False, repr=False, default="none")
    order: int = field(init=False, repr=False, default=1)

    def __post_init__(self) -> None:
        require_positive(
            "A diffusive line",
            length=self.length,
            resistance=self.resistance,
            capacitance=self.capacitance,
            modes=self.modes,
        )
        whole = self.resistance * self.length
        self._settle(delay=0.379 * whole * self.capacitance * self.length, impedance=whole)

    @property
    def wire(self) -> DiffusiveWire:
        """The node it is."""
        return DiffusiveWire(
            self.resistance * self.length,
            self.capacitance * self.length,
            int(self.modes),
            self.voltage,
            self.temperature,
        )

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`Medium`."""
        return self.wire.response(z, frequencies)

    def lay(self, name: str, dt: float) -> Laid:
        """See :class:`Medium`."""
        return Laid((self.wire,), self._accuracy(dt))

    def _accuracy(self, dt: float) -> LineAccuracy:
        wire, z = self.wire, (self.impedance, self.impedance)
        f = np.append(np.concatenate([np.geomspace(1e-8, 0.499, GRID), np.linspace(1e-3, 0.499, GRID)]), 0.1) / dt
        node = wire.scattering(z, dt)
        shift = np.exp(2j * np.pi * f * dt)
        inner = shift[:, None, None] * np.eye(node.states) - node.matrix[2:, 2 : 2 + node.states]
        into = np.broadcast_to(node.matrix[2:, :2], (len(f), node.states, 2))
        found = node.matrix[:2, :2] + node.matrix[:2, 2 : 2 + node.states] @ np.linalg.solve(inner, into)
        exact = wire.response(z, f)
        error = np.abs(found - exact).max(axis=(1, 2))
        gain = np.abs(found[:, 0, 0, None] + found[:, 0, 1, None] * np.array([1.0, -1.0])).max() - 1.0
        passed, through = float(abs(exact[-1, 1, 0])), found[-1, 1, 0]
        lag = float(-np.angle(through / exact[-1, 1, 0]) / (0.2 * np.pi)) if passed > 1e-3 else 0.0
        return LineAccuracy(
            medium="diffusive line", steps=0, delay=self.delay, states=node.states, frequency=0.1 / dt,
            magnitude_error=float(abs(through) - passed), phase_delay_error=lag,
            error_below=float(error[f <= 0.1 / dt].max()), band_error=float(error.max()), gain=float(gain),
        )  # fmt: skip
