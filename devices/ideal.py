"""Ideal ports: gradient descent (a resistor) and momentum (a resistor with inertance)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg.blas import daxpy, saxpy

from devices.blocks import each_block, flat
from devices.device import Array, Device, State, StateVariable, array_parameters, as_cells, parameter, quantity
from devices.errors import DeviceError

AXPY = {"f": saxpy, "d": daxpy}
ONE_THREAD = 8192  # OpenBLAS starts threads above 10000 numbers; waking them costs more than this sum on a busy machine


@dataclass(frozen=True)
class Gradient(Device):
    """A resistor at the port, which reflects nothing: dvalue/dt = rate * drive, gradient descent.

    `rate` in 1/s (one number or one per cell) times `dt` is the learning rate; state "theta" is the value itself.
    Exact for any dt. Raises DeviceError for a negative rate. Source: parameter ports, docs/architecture.md; R
    dtheta/dt = -e.

    >>> port = Gradient(rate=0.1)
    >>> state = port.create(np.array([1.0]))
    >>> port.advance(np, state, np.array([-3.0]), dt=1.0)
    >>> round(float(port.value(np, state)[0]), 12)
    0.7
    """

    rate: Any = quantity("1/s", required=True)

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.rate) >= 0):
            raise DeviceError(f"Gradient.rate must be >= 0, but is {self.rate}; a negative rate climbs the loss")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("theta", "1"),)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        cells = as_cells(self, initial)
        return {"theta": cells, **array_parameters(self, cells, ("rate",))}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        theta = state["theta"]
        if "rate" not in state and add_scaled(xp, theta, drive, float(self.rate) * dt):
            return

        def law(part: State, u: Array, _: Array | None) -> None:
            part["theta"] += u * (parameter(self, part, "rate") * theta.dtype.type(dt))

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        return state["theta"]

    def resistor_rate(self) -> float | None:
        return float(self.rate) if np.ndim(self.rate) == 0 else None


def add_scaled(xp: Any, target: Array, source: Array, factor: float) -> bool:
    """Add factor * source to target in one fused pass (BLAS axpy), and say whether that could be done.

    Needs NumPy arrays [any shape] of one shape and dtype, contiguous; elsewhere nothing is changed and False returned.

    >>> x = np.ones(3)
    >>> add_scaled(np, x, np.ones(3), 2.0), x.tolist()
    (True, [3.0, 3.0, 3.0])
    """
    if xp is not np or target.size == 0 or target.dtype.char not in AXPY or source.dtype != target.dtype:
        return False
    if source.shape != target.shape:
        return False
    into, out_of = flat(target), flat(source)
    if into is None or out_of is None:
        return False
    axpy = AXPY[target.dtype.char]
    for start in range(0, into.size, ONE_THREAD):
        axpy(out_of[start : start + ONE_THREAD], into[start : start + ONE_THREAD], a=factor)
    return True


@dataclass(frozen=True)
class Momentum(Device):
    """A resistor with inertance at the port, the heavy ball: M theta'' + R theta' = drive.

    `rate` = 1/R in 1/s, `time_constant` = M/R in s. States "theta" and "velocity" (per second). Moved by the exact
    solution for a constant drive, so two half steps are one whole step and any dt is stable. Raises DeviceError.
    Source: Polyak 1964 (heavy ball), as a port with inertance; beta = exp(-dt/time_constant).

    >>> port = Momentum(rate=1.0, time_constant=1.0)
    >>> state = port.create(np.array([0.0]))
    >>> port.advance(np, state, np.array([1.0]), dt=1.0)
    >>> round(float(state["theta"][0] - np.exp(-1.0)), 12)  # t - tau (1 - e^{-t/tau})
    0.0
    """

    rate: Any = quantity("1/s", required=True)
    time_constant: Any = quantity("s", required=True)

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.rate) >= 0):
            raise DeviceError(f"Momentum.rate must be >= 0, but is {self.rate}; a negative rate climbs the loss")
        if not np.all(np.asarray(self.time_constant) > 0):
            raise DeviceError(f"Momentum.time_constant must be > 0 s, but is {self.time_constant}; for 0 use Gradient")

    @property
    def states(self) -> tuple[StateVariable, ...]:
        return (StateVariable("theta", "1"), StateVariable("velocity", "1/s"))

    def create(self, initial: Array, xi: Array | None = None) -> State:
        cells = as_cells(self, initial)
        extra = array_parameters(self, cells, ("rate", "time_constant"))
        return {"theta": cells, "velocity": np.zeros_like(cells), **extra}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        def law(part: State, u: Array, _: Array | None) -> None:
            tau = parameter(self, part, "time_constant")
            step = part["theta"].dtype.type(dt)
            forgotten = -xp.expm1(-step / tau)  # share of the velocity that friction takes
            final = u * parameter(self, part, "rate")
            excess = (part["velocity"] - final) * forgotten
            part["theta"] += final * step
            part["theta"] += excess * tau
            part["velocity"] -= excess

        each_block(law, xp, state, drive)

    def value(self, xp: Any, state: State) -> Array:
        return state["theta"]
