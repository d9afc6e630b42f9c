"""Transfer training (Tiki-Taka): a fast cell collects gradients and drives a slow cell that holds the weight."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from devices.arrangements import inner, outer, renamed, share
from devices.device import Array, Device, State, StateVariable, as_cells, need_normals, quantity
from devices.errors import DeviceError


@dataclass(frozen=True)
class Transfer(Device):
    """A fast cell A driven by the loss and a slow cell W driven by what A shows.

    dA follows u, dW follows gain (A - reference). A settles where its own asymmetry balances the gradient, near 0
    only if its symmetry point is 0 or known; W integrates A and so goes on until the mean gradient is 0, not until
    the asymmetry of W balances it. `gain` is dimensionless, the rates are the devices' own. `reference_error` is the
    standard deviation of the reference that A is read against; it biases W. The value is W plus `fast_share` A.
    Within one call A moves first and W is then driven by the mean of A before and after: second order in dt, stable
    at any dt, and no state crosses its bounds. States: "fast.*", "slow.*", "reference". Raises DeviceError. Source:
    Gokmen & Haensch 2020 (10.3389/fnins.2020.00103).

    >>> from devices.ideal import Gradient
    >>> port = Transfer(Gradient(1.0), Gradient(1.0), gain=0.5)
    >>> state = port.create(np.array([0.0]))
    >>> port.advance(np, state, np.array([1.0]), dt=1.0)
    >>> float(port.value(np, state)[0])  # gain t^2/2
    0.25
    """

    fast: Device
    slow: Device
    gain: float = quantity("1", 1.0)
    fast_share: float = quantity("1", 0.0)
    reference_error: float = quantity("1", 0.0)

    def __post_init__(self) -> None:
        if not (self.gain > 0 and self.reference_error >= 0):
            raise DeviceError("Transfer needs gain > 0 and reference_error >= 0")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        cells = renamed(self.fast.states, "fast.") + renamed(self.slow.states, "slow.")
        return (*cells, StateVariable("reference", "1"))

    @property
    def counters(self) -> tuple[StateVariable, ...]:
        return renamed(self.fast.counters, "fast.") + renamed(self.slow.counters, "slow.")

    @property
    def quiet(self) -> Device:
        return replace(self, fast=self.fast.quiet, slow=self.slow.quiet)

    @property
    def normals(self) -> int:
        return self.fast.normals + self.slow.normals

    @property
    def initial_normals(self) -> int:
        return self.fast.initial_normals + self.slow.initial_normals + int(self.reference_error > 0)

    def clip_range(self) -> tuple[float, float]:
        return self.slow.clip_range()

    def create(self, initial: Array, xi: Array | None = None) -> State:
        value = as_cells(self, initial)
        need_normals(self, xi, self.initial_normals, value.shape, "create")
        counts = (self.fast.initial_normals, self.slow.initial_normals, int(self.reference_error > 0))
        for_fast, for_slow, for_reference = share(xi, *counts)
        reference = np.zeros_like(value)
        if self.reference_error > 0:
            assert for_reference is not None
            reference += (self.reference_error * for_reference[0]).astype(value.dtype)
        fast = self.fast.create(np.zeros_like(value), for_fast)
        slow = self.slow.create(value, for_slow)
        return {**outer(fast, "fast."), **outer(slow, "slow."), "reference": reference}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        self.transfer(xp, state, drive, self.gain, dt, xi)

    def transfer(self, xp: Any, state: State, drive: Array, gain: Any, dt: float, xi: Array | None) -> None:
        """Move both cells; `gain` may be an array [cells] (a chopper flips its sign)."""
        for_fast, for_slow = share(xi, self.fast.normals, self.slow.normals)
        fast = inner(state, "fast.")
        before = self.fast.value(xp, fast).copy()
        self.fast.advance(xp, fast, drive, dt, for_fast)
        shown = (before + self.fast.value(xp, fast)) * before.dtype.type(0.5) - state["reference"]
        self.slow.advance(xp, inner(state, "slow."), shown * gain, dt, for_slow)

    def value(self, xp: Any, state: State) -> Array:
        slow = self.slow.value(xp, inner(state, "slow."))
        if self.fast_share == 0:
            return slow
        return slow + self.fast_share * self.fast.value(xp, inner(state, "fast."))


@dataclass(frozen=True)
class ChoppedTransfer(Transfer):
    """`Transfer` whose fast cell sees the gradient, and is read, with a sign that flips every `period` seconds.

    What is constant on the fast cell (an offset of its symmetry point or reference) then averages out in the slow
    cell. The sign flips at the end of a call once `period` (s) has passed; calls longer than that flip once. States
    also "chopper" (-1 or 1) and "since" (s). Raises DeviceError. Source: Rasch et al. 2024
    (10.1038/s41467-024-51221-z), chopped transfer.

    >>> from devices.ideal import Gradient
    >>> port = ChoppedTransfer(Gradient(1.0), Gradient(1.0), gain=0.5, period=1.0)
    >>> state = port.create(np.array([0.0]))
    >>> port.advance(np, state, np.array([1.0]), dt=1.0)
    >>> float(state["chopper"][0])
    -1.0
    """

    period: float = quantity("s", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.period > 0:
            raise DeviceError(f"ChoppedTransfer.period must be > 0 s, but is {self.period}")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        chopper = (StateVariable("chopper", "1", -1.0, 1.0), StateVariable("since", "s", 0.0, self.period))
        return (*super().states, *chopper)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        state = super().create(initial, xi)
        reference = state["reference"]
        return {**state, "chopper": np.ones_like(reference), "since": np.zeros_like(reference)}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        chopper, since = state["chopper"], state["since"]
        self.transfer(xp, state, drive * chopper, chopper * chopper.dtype.type(self.gain), dt, xi)
        since += dt
        over = since >= self.period * (1 - 1e-6)
        chopper[...] = xp.where(over, -chopper, chopper)
        since[...] = xp.where(over, 0, since)
