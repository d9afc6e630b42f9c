"""Port laws: what stands between the waves' effort at a parameter port and the device behind it.

At a port the effort ``e = dJ/dvalue`` arrives and the flow ``f = -dvalue/dt`` answers. A law turns the drive ``u = -e``
that the port hears into the drive its device gets. Behind an ideal device (``dvalue/dt = rate u``, a resistance
``R = 1 / rate``) the three laws are gradient descent, the heavy ball and Newton's method.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from substrate.errors import ConfigError
from substrate.plan import Array

State = dict[str, Array]


class PortLaw(Protocol):
    """What a port does with what it hears."""

    memory: tuple[tuple[str, str], ...]  # name and unit of what the law remembers

    def create(self, xp: Any, values: Array) -> State:
        """What the law remembers of each cell ``[cells]``, at rest."""

    def drive(self, xp: Any, state: State, u: Array, values: Array, rate: float, dt: float) -> Array:
        """The device's drive [cells] for the next ``dt`` s, from what the port hears; may change ``state``.

        ``values`` are what the waves see now, ``rate`` (1/s) is that of the device behind.
        """


@dataclass(frozen=True)
class ResistorPort:
    """A resistor: the device gets what the port hears, and reflects nothing; gradient descent behind an ideal device.

    >>> ResistorPort().drive(np, {}, np.array([2.0]), np.zeros(1), 1.0, 1.0).tolist()
    [2.0]
    """

    memory: ClassVar[tuple[tuple[str, str], ...]] = ()

    def create(self, xp: Any, values: Array) -> State:
        """Nothing to remember."""
        return {}

    def drive(self, xp: Any, state: State, u: Array, values: Array, rate: float, dt: float) -> Array:
        """What the port hears."""
        return u


@dataclass(frozen=True)
class InertancePort:
    """A resistor with an inertance behind it, ``M f' + R f = e`` with ``M / R = time_constant`` (s): momentum.

    The device gets the mean over the step of what friction has left of earlier drives, exactly for a drive constant in
    the step. Raises ConfigError. Source: heavy ball, Polyak 1964; its factor is ``exp(-dt / time_constant)``.

    >>> law = InertancePort(time_constant=1.0)
    >>> round(float(law.drive(np, law.create(np, np.zeros(1)), np.array([1.0]), np.zeros(1), 1.0, 1.0)[0]), 6)  # 1/e
    0.367879
    """

    time_constant: float
    memory: ClassVar[tuple[tuple[str, str], ...]] = (("moving", "1"),)

    def __post_init__(self) -> None:
        if not self.time_constant > 0.0:
            raise ConfigError(
                f"An inertance port needs time_constant > 0 s, got {self.time_constant}; for 0 use ResistorPort"
            )

    def create(self, xp: Any, values: Array) -> State:
        """The flow, as the drive that would keep it up."""
        return {"moving": xp.zeros_like(values)}

    def drive(self, xp: Any, state: State, u: Array, values: Array, rate: float, dt: float) -> Array:
        """Mean of the flow over the step, in units of drive."""
        forgotten = -np.expm1(-dt / self.time_constant)
        excess = (state["moving"] - u) * forgotten
        state["moving"] -= excess
        return u + excess * (self.time_constant / dt)


@dataclass(frozen=True)
class MatchedPort:
    """A port matched to the stiffness it feels: Newton's method, ``R = match k dt / 2`` with ``k`` the stiffness.

    A trapezoidal step of a resistance R against a stiffness ``k = d2J/dvalue2`` leaves of the effort the share
    ``rho = (R - k dt/2) / (R + k dt/2) = (match - 1) / (match + 1)``: 0 at the match, stable for every R > 0.
    Each port measures its own ``k`` from what its last step sent back, ``k = (e1 - e0) / (v1 - v0)``; where that is not
    above ``softest`` it keeps ``softest``, so the first step is the one against that stiffness. ``stiffness`` [cells]
    fixes k instead. With several ports this is the diagonal alone; :func:`stiffness_matrix` measures all. Raises
    ConfigError. Source: ``docs/theory.md``, section "Ports".

    >>> law = MatchedPort(stiffness=4.0)
    >>> law.drive(np, law.create(np, np.zeros(1)), np.array([8.0]), np.zeros(1), rate=1.0, dt=1.0).tolist()  # 8 / 4
    [2.0]
    """

    match: float = 1.0
    softest: float = 1.0
    stiffness: Any = None
    memory: ClassVar[tuple[tuple[str, str], ...]] = (("stiffness", "1"), ("heard", "1"), ("place", "1"))

    def __post_init__(self) -> None:
        if not (self.match > 0.0 and self.softest > 0.0):
            raise ConfigError(
                f"A matched port needs match, softest > 0, got match={self.match}, softest={self.softest}"
            )
        if self.stiffness is not None and not np.all(np.asarray(self.stiffness) > 0.0):
            raise ConfigError("A matched port's stiffness must be above 0: Newton's step from a hill leads uphill")

    def create(self, xp: Any, values: Array) -> State:
        """What was heard and where the cell was before its last step, and the stiffness found."""
        first = self.softest if self.stiffness is None else self.stiffness
        k = xp.zeros_like(values) + xp.asarray(first, dtype=values.dtype)
        return {"stiffness": k, "heard": xp.full_like(values, np.nan), "place": values.copy()}

    def drive(self, xp: Any, state: State, u: Array, values: Array, rate: float, dt: float) -> Array:
        """The drive under which an ideal device makes the matched step in ``dt``."""
        if self.stiffness is None:
            moved = values - state["place"]
            known = (moved != 0.0) & xp.isfinite(state["heard"])
            k = (state["heard"] - u) / xp.where(known, moved, 1.0)
            state["stiffness"][...] = xp.where(known, xp.maximum(k, self.softest), state["stiffness"])
            state["heard"][...], state["place"][...] = u, values
        return u * (2.0 / ((1.0 + self.match) * rate * dt)) / state["stiffness"]


@dataclass(frozen=True)
class FullyMatchedPort:
    """The matched port of all cells together: ``R = match K dt / 2`` with the stiffness matrix ``K`` [cells, cells].

    For small problems; :func:`stiffness_matrix` measures K. Raises ConfigError where K is not positive definite.

    >>> law = FullyMatchedPort(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> law.drive(np, {}, np.array([3.0, 3.0]), np.zeros(2), rate=1.0, dt=1.0).round(12).tolist()
    [1.0, 1.0]
    """

    stiffness: np.ndarray
    match: float = 1.0
    memory: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __post_init__(self) -> None:
        k = np.asarray(self.stiffness)
        if k.ndim != 2 or k.shape[0] != k.shape[1] or not np.all(np.linalg.eigvalsh((k + k.T) / 2.0) > 0.0):
            raise ConfigError("A fully matched port needs a positive definite stiffness matrix [cells, cells]")
        if not self.match > 0.0:
            raise ConfigError(f"A matched port needs match > 0, got {self.match}")

    def create(self, xp: Any, values: Array) -> State:
        """Nothing to remember."""
        if len(values) != len(self.stiffness):
            raise ConfigError(f"The stiffness matrix is for {len(self.stiffness)} cells, but there are {len(values)}")
        return {}

    def drive(self, xp: Any, state: State, u: Array, values: Array, rate: float, dt: float) -> Array:
        """The drive under which ideal devices make the matched step in ``dt``."""
        step = xp.linalg.solve(xp.asarray(self.stiffness, dtype=u.dtype), u)
        return step * (2.0 / ((1.0 + self.match) * rate * dt))


LAWS: dict[str, type[Any]] = {"resistor": ResistorPort, "inertance": InertancePort, "matched": MatchedPort}


class Remembered(NamedTuple):
    """A state variable that a law adds to those of its device."""

    name: str
    unit: str
    lo: float = -np.inf
    hi: float = np.inf


@dataclass(frozen=True)
class Behind:
    """A device behind a port law, again a device: put it wherever a device goes.

    States are the device's, then what the law remembers as ``port.*``. Source: ``docs/theory.md``, section "Ports".

    >>> from devices.ideal import Gradient
    >>> port = Behind(MatchedPort(match=3.0, stiffness=4.0), Gradient(rate=0.5))
    >>> state = port.create(np.array([3.0]))  # J = 2 value^2 hears u = -4 value
    >>> port.advance(np, state, np.array([-12.0]), dt=0.1)
    >>> round(float(port.value(np, state)[0]), 12)  # (match - 1) / (match + 1) of it is left
    1.5
    """

    law: Any  # a PortLaw
    device: Any  # a Device

    @property
    def states(self) -> tuple[Any, ...]:
        """Those of the device first, since a drive moves them."""
        return (*self.device.states, *(Remembered(f"port.{name}", unit) for name, unit in self.law.memory))

    @property
    def rate(self) -> Any:
        """Of the device, 1/s: one over the resistance of an ideal port; 1 where the device names none."""
        return getattr(self.device, "rate", 1.0)

    @property
    def time_constant(self) -> float:
        """Of the inertance, s; 0 without one."""
        return float(getattr(self.law, "time_constant", 0.0))

    @property
    def quiet(self) -> "Behind":
        """The same without the device's noise."""
        return replace(self, device=getattr(self.device, "quiet", self.device))

    def __getattr__(self, name: str) -> Any:
        # Everything else about cells (counters, normals, endurance, bounds ...) is the device's business.
        if name in ("law", "device", "resistor_rate"):
            raise AttributeError(name)
        return getattr(self.device, name)

    def create(self, initial: Array, xi: Array | None = None) -> State:
        """Cells at ``initial``, the port at rest."""
        cells = self.device.create(initial, xi)
        kept = self.law.create(np, np.asarray(self.device.value(np, cells)))
        return {**cells, **{f"port.{name}": array for name, array in kept.items()}}

    def advance(self, xp: Any, state: State, drive: Array, dt: float, xi: Array | None = None) -> None:
        """Let the law turn the drive [cells] into the device's, and the device move for ``dt`` s."""
        kept = {name.removeprefix("port."): array for name, array in state.items() if name.startswith("port.")}
        values = self.device.value(xp, state)
        u = self.law.drive(xp, kept, drive, values, self.rate, dt)
        self.device.advance(xp, state, u, dt, xi)

    def value(self, xp: Any, state: State) -> Array:
        """What the waves see."""
        return self.device.value(xp, state)


def stiffness_matrix(hear: Callable[[Array], Array], values: Array, step: float = 1e-3) -> np.ndarray:
    """Stiffness ``K[i, j] = d2J / dvalue_i dvalue_j`` as the ports themselves measure it, [cells, cells].

    ``hear(values)`` is the settled drive [cells] when the ports hold ``values`` [cells]; each port in turn is moved by
    ``step`` either way while all listen. Exact where J is quadratic.

    >>> stiffness_matrix(lambda w: -np.array([[2.0, 1.0], [1.0, 3.0]]) @ w, np.zeros(2)).round(9).tolist()
    [[2.0, 1.0], [1.0, 3.0]]
    """
    columns = []
    for cell in range(len(values)):
        moved = np.zeros(len(values))
        moved[cell] = step
        columns.append((np.asarray(hear(values - moved)) - np.asarray(hear(values + moved))) / (2.0 * step))
    matrix = np.array(columns).T
    return np.asarray((matrix + matrix.T) / 2.0)
