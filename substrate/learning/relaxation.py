"""Nonlinear optimal control as a ladder: state, costate and control waves relax to the maximum principle."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from substrate.errors import DivergenceError, NetworkError

Array = np.ndarray


@dataclass(frozen=True)
class Plant:
    """Minimise ``sum h running(x, u) + terminal(x_N)`` subject to ``x' = rate(x, u)`` from ``start``, N steps of ``h``.

    All functions act on many times at once: states ``[n, N]``, controls ``[m, N]``. ``rate(x, u)`` is ``[n, N]``;
    ``pull(x, u, k)`` gives ``(d rate/dx)^T k`` and ``(d rate/du)^T k``; ``running(x, u)`` is ``[N]`` and
    ``running_slope(x, u)`` its two gradients; ``terminal(x[n])`` a number and ``terminal_slope(x[n])`` its gradient.
    Controls are constant within a step; a step is one of Runge and Kutta's fourth order.
    """

    start: Array
    controls: int
    steps: int
    h: float
    rate: Callable[[Array, Array], Array]
    pull: Callable[[Array, Array, Array], tuple[Array, Array]]
    running: Callable[[Array, Array], Array]
    running_slope: Callable[[Array, Array], tuple[Array, Array]]
    terminal: Callable[[Array], float]
    terminal_slope: Callable[[Array], Array]

    def stages(self, x: Array, u: Array) -> list[tuple[Array, Array]]:
        """The four states of a Runge-Kutta step and the rate at each."""
        found, k = [], np.zeros_like(x)
        for share in (0.0, 0.5, 0.5, 1.0):
            at = x + (share * self.h) * k
            k = self.rate(at, u)
            found.append((at, k))
        return found

    def advance(self, stages: list[tuple[Array, Array]]) -> Array:
        """The states one step on."""
        (x, k1), (_, k2), (_, k3), (_, k4) = stages
        return x + (self.h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)

    def transpose(self, stages: list[tuple[Array, Array]], u: Array, p: Array) -> tuple[Array, Array]:
        """``(d x_next/dx)^T p`` and ``(d x_next/du)^T p``: the transformers seen from the other side."""
        out, effort, late = p.copy(), np.zeros_like(u), np.zeros_like(p)
        for (at, _), weight, share in zip(reversed(stages), (1, 2, 2, 1), (0.0, 1.0, 0.5, 0.5), strict=True):
            late, of_control = self.pull(at, u, (weight * self.h / 6.0) * p + (share * self.h) * late)
            out += late
            effort += of_control
        return out, effort

    def roll(self, u: Array) -> Array:
        """The states ``[n, N + 1]`` that controls lead to."""
        states = [self.start]
        for k in range(self.steps):
            states.append(self.advance(self.stages(states[-1][:, None], u[:, k : k + 1]))[:, 0])
        return np.stack(states, axis=1)

    def cost(self, u: Array) -> float:
        """What controls ``[m, N]`` cost, with the states they really lead to."""
        x = self.roll(u)
        return self.h * float(self.running(x[:, :-1], u).sum()) + self.terminal(x[:, -1])

    def gradient(self, u: Array) -> Array:
        """``d cost / d u``, ``[m, N]``, by the forward and the backward sweep that the waves do without."""
        x, p = self.roll(u), None
        of_x, of_u = self.running_slope(x[:, :-1], u)
        gradient, p = np.empty_like(u), self.terminal_slope(x[:, -1])[:, None]
        for k in reversed(range(self.steps)):
            here = slice(k, k + 1)
            back, effort = self.transpose(self.stages(x[:, here], u[:, here]), u[:, here], p)
            gradient[:, here] = self.h * of_u[:, here] + effort
            p = self.h * of_x[:, here] + back
        return gradient


@dataclass(frozen=True)
class Relaxed:
    """Where the waves came to rest: states ``[n, N + 1]``, costates ``[n, N]``, controls ``[m, N]``, and how well.

    ``residual`` is the largest violation of any stationarity condition over the largest costate or state; ``cost`` that
    of the controls with the states they really lead to. ``history[looks, 3]`` holds time, residual and stored energy.
    """

    states: Array
    costates: Array
    controls: Array
    cost: float
    steps: int
    residual: float
    settled: bool
    history: Array


def relax(
    plant: Plant,
    *,
    guess: Array | None = None,
    damping: float = 4.0,
    mobility: float = 1.0,
    tolerance: float = 1e-8,
    limit: int = 200_000,
    look_every: int = 200,
) -> Relaxed:
    """Let state voltages, costate currents and control ports move at once until the maximum principle holds.

    ``C x' = I_k - F_x^T I_(k+1) - h dL/dx``, ``L p' = F(x, u) - x_next``, ``u' = -mobility (h dL/du + F_u^T I)`` by
    leapfrog, with ``I = p + damping (F - x_next)``. ``guess`` are controls ``[m, N]`` to start from.
    Settles at strict local minima once ``damping`` is large enough; not at every stationary point.
    Raises DivergenceError when it runs away. Source: ``docs/theory.md``, section "Control".
    """
    if damping < 0.0 or mobility <= 0.0:
        raise NetworkError(
            f"damping must be at least 0 and mobility above 0, but they are {damping!r} and {mobility!r}"
        )
    return _Relaxation(plant, guess, damping, mobility).run(tolerance, limit, look_every)


class _Relaxation:
    """The fields of one relaxation while they move."""

    def __init__(self, plant: Plant, guess: Array | None, damping: float, mobility: float) -> None:
        self.plant, self.damping, self.mobility = plant, damping, mobility
        self.u = np.zeros((plant.controls, plant.steps)) if guess is None else np.array(guess, dtype=float)
        self.x = plant.roll(self.u)
        self.p = np.zeros((len(plant.start), plant.steps))
        self.time, self.done = 0.0, 0

    def slopes(self) -> tuple[Array, Array, Array]:
        """Voltage across every inductor, current into every capacitor, effort at every control port."""
        plant, x, u = self.plant, self.x, self.u
        stages = plant.stages(x[:, :-1], u)
        across = plant.advance(stages) - x[:, 1:]
        branch = self.p + self.damping * across
        back, effort = plant.transpose(stages, u, branch)
        of_x, of_u = plant.running_slope(x[:, :-1], u)
        into = branch.copy()  # the currents at x_1 .. x_N
        into[:, :-1] -= back[:, 1:] + plant.h * of_x[:, 1:]
        into[:, -1] -= plant.terminal_slope(x[:, -1])
        return across, into, effort + plant.h * of_u

    def bound(self) -> float:
        """The Courant bound of the ladder where it stands, by power iteration on its linear part."""
        plant, rng = self.plant, np.random.default_rng(0)
        x, u, tiny = self.x, self.u, 1e-6
        dx, du = rng.normal(size=x.shape), rng.normal(size=u.shape)
        dx[:, 0] = 0.0
        stiff = bend = 1.0
        for _ in range(12):
            length = np.sqrt(np.sum(dx**2) + np.sum(du**2))
            dx, du = dx / length, du / length
            root = np.sqrt(self.mobility)
            moved = plant.stages((x + tiny * dx)[:, :-1], u + tiny * root * du), plant.stages(x[:, :-1], u)
            change = (plant.advance(moved[0]) - plant.advance(moved[1])) / tiny - dx[:, 1:]
            stiff = float(np.sum(change**2))
            back, effort = plant.transpose(moved[1], u, change)
            dx, du = np.zeros_like(x), root * effort
            dx[:, 1:-1] = back[:, 1:] - change[:, :-1]
            dx[:, -1] = -change[:, -1]
        one = np.ones_like(u)
        curved = plant.running_slope(x[:, :-1] + tiny, u + tiny * one), plant.running_slope(x[:, :-1], u)
        bend = (
            plant.h
            * max(
                float(np.abs(curved[0][0] - curved[1][0]).max()),
                self.mobility * float(np.abs(curved[0][1] - curved[1][1]).max()),
            )
            / tiny
        )
        ends = plant.terminal_slope(x[:, -1] + tiny), plant.terminal_slope(x[:, -1])
        bend += float(np.abs(ends[0] - ends[1]).max()) / tiny
        # (K dt)^2 + 2 dt (damping K^2 + bend) < 4, as in the ladder of a layered network.
        b = self.damping * stiff + bend
        return float(4.0 / (b + np.sqrt(b * b + 4.0 * stiff)))

    def run(self, tolerance: float, limit: int, look_every: int) -> Relaxed:
        """Leapfrog until every condition holds."""
        history: list[tuple[float, float, float]] = []
        residual, dt = float("inf"), 0.0
        while self.done < limit and residual > tolerance:
            dt = 0.6 * self.bound()
            for _ in range(look_every):
                across, into, effort = self.slopes()
                self.p += dt * across
                self.x[:, 1:] += dt * into
                self.u -= dt * self.mobility * effort
            self.done += look_every
            self.time += look_every * dt
            across, into, effort = self.slopes()
            scale = max(1.0, float(np.abs(self.p).max()), float(np.abs(self.x).max()))
            residual = max(float(np.abs(w).max()) for w in (across, into, effort)) / scale
            history.append((self.time, residual, 0.5 * float(np.sum(self.x**2) + np.sum(self.p**2))))
            if not np.isfinite(residual):
                before = history[-2][1] if len(history) > 1 else float("nan")
                raise DivergenceError(
                    f"The control ladder ran away at time {self.time:.6g} (step {self.done}), its residual was "
                    f"{before:.3g} before; raise damping, or start from another guess"
                )
        cost = self.plant.cost(self.u)
        return Relaxed(self.x, self.p, self.u, cost, self.done, residual, residual <= tolerance, np.array(history))
