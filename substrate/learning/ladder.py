"""The LC ladder of a layered network: the wave equation by plain leapfrog, with its Courant bound beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from substrate.activations import ActivationFunction, activation_named
from substrate.errors import DivergenceError, NetworkError
from substrate.learning.layered import OUTPUT, chain
from substrate.losses import loss_named
from substrate.network import Network
from substrate.noise import normals

STEEPEST = {"sigmoid": 0.25}  # largest slope of an activation, where it is not 1
BENDS = {"mse": 1.0, "cross_entropy": 0.5}  # largest curvature of a loss
COLUMNS = ("injected", "load", "dissipated", "activations", "noise")
RUNAWAY = 1e12  # stored energy over what the source supplied, above which a run is stopped
LOOK_EVERY = 64  # steps between two looks at the stored energy


@dataclass(frozen=True)
class LadderLayer:
    """One layer: ``F(v) = W phi(v) + bias`` (``phi`` None at the first, which is fed by the source)."""

    name: str
    matrix: np.ndarray
    bias: np.ndarray
    phi: ActivationFunction | None
    steepest: float


class Ladder:
    """Voltages on capacitors, currents in inductors: ``C v' = I_l - J^T I_(l+1)``, ``L i' = F(v) - v_next``.

    Made from a layered network of any family; its lines are not used. Time is in units of ``sqrt(L C)``, impedances in
    units of ``sqrt(L / C)``. A resistor of conductance ``damping`` across each inductor carries ``damping (F(v) -
    v_next)``
    more, which vanishes at rest: it damps and moves no fixed point (the augmented-Lagrangian term). ``temperature`` is
    that of these resistors, as kT in the units of the energy; ``seed`` keys their noise. The load draws
    ``beta dPhi/dv``. ``dt`` None is 0.9 of the Courant bound; above the bound it is refused (NetworkError).
    Source: ``docs/theory.md``, section "Ladder".

    >>> from substrate import Line
    >>> from substrate.learning.layered import layered
    >>> net = layered([4, 3, 2], line=Line(1e-12), loss="mse")
    >>> ladder = Ladder(net, np.ones((5, 4)), np.zeros((5, 2)), beta=0.01)
    >>> ladder.settle(1e-12).settled
    True
    """

    def __init__(
        self,
        network: Network,
        x: np.ndarray,
        y: np.ndarray,
        *,
        beta: float = 1.0,
        damping: float = 1.0,
        dt: float | None = None,
        parameters: Mapping[str, np.ndarray] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> None:
        if temperature < 0.0:
            raise NetworkError(f"A ladder's temperature is at least 0, but temperature={temperature!r}")
        if damping < 0.0:
            raise NetworkError(f"A resistor across an inductor takes energy: damping={damping!r} must be at least 0")
        self.layers = _layers(network, network.parameters() if parameters is None else parameters)
        self.loss = loss_named(getattr(network.nodes[OUTPUT], "loss", "mse"))
        self.beta, self.damping, self.temperature, self.seed = beta, damping, temperature, seed
        self.x, self.y = np.asarray(x, dtype=float).T, np.asarray(y, dtype=float).T
        # A negative beta feeds energy in; it does not tighten the bound.
        bend = max(0.0, beta) * BENDS[self.loss.name]
        self.bound = courant_bound(self.layers, damping, bend)
        self.dt = 0.9 * self.bound if dt is None else dt
        if not 0.0 < self.dt < self.bound:
            raise NetworkError(
                f"The ladder's step dt={self.dt!r} must be above 0 and below its Courant bound {self.bound:.6g} (unit "
                "sqrt(L C)); lower dt, the damping or the norm of the largest weights"
            )
        self.steps = 0
        batch = self.x.shape[1]
        self.voltages = [np.zeros((len(layer.matrix), batch)) for layer in self.layers]
        self.currents = [np.zeros_like(v) for v in self.voltages]  # in the inductors, half a step behind
        self.ledger = dict.fromkeys(COLUMNS, 0.0)  # energy since the start; injected + noise - the rest
        self._look()
        self._start = self.stored_energy()

    def _look(self) -> None:
        """The voltage across every inductor now, and what activations make of the voltages."""
        self.hidden, self.across = [self.x], []
        for layer, before, after in zip(self.layers, [self.x, *self.voltages], self.voltages, strict=False):
            if layer.phi is not None:
                self.hidden.append(layer.phi.value(np, before, np.empty_like(before)))
            self.across.append(layer.matrix @ self.hidden[-1] + layer.bias[:, None] - after)

    def step(self, steps: int = 1) -> None:
        """Advance by ``steps`` leapfrog steps and keep the energy ledger; raises DivergenceError when it runs away."""
        for _ in range(steps):
            for current, voltage in zip(self.currents, self.across, strict=True):
                current += self.dt * voltage
            noise = self._noise()
            branches = [i + self.damping * u + xi for i, u, xi in zip(self.currents, self.across, noise, strict=True)]
            pulls = [layer.matrix.T @ branch for layer, branch in zip(self.layers, branches, strict=True)]
            drawn = [
                layer.phi.slope(np, v, h) * pull if layer.phi is not None else pull
                for layer, v, h, pull in zip(self.layers, [self.x, *self.voltages], self.hidden, pulls, strict=False)
            ]
            drawn.append(self.beta * self.loss.gradient(np, self.voltages[-1], self.y))
            before = self.voltages, self.hidden, self.across
            self.voltages = [
                v + self.dt * (branch - out) for v, branch, out in zip(self.voltages, branches, drawn[1:], strict=True)
            ]
            self._look()
            self._book(before, branches, noise, pulls, drawn)
            self.steps += 1
            if self.steps % LOOK_EVERY == 0:
                self._watch()

    def _noise(self) -> list[np.ndarray]:
        """Current of every resistor's noise in this step: variance ``2 kT G / dt`` (Nyquist 1928)."""
        sigma = float(np.sqrt(2.0 * self.temperature * self.damping / self.dt))
        if sigma == 0.0:
            return [np.zeros_like(current) for current in self.currents]
        draws = ((place, *current.shape) for place, current in enumerate(self.currents))
        return [sigma * normals(self.seed, place, self.steps, rows, batch)[:, 0] for place, rows, batch in draws]

    def _book(
        self,
        before: tuple[list[np.ndarray], ...],
        branches: list[np.ndarray],
        noise: list[np.ndarray],
        pulls: list[np.ndarray],
        drawn: list[np.ndarray],
    ) -> None:
        """Work done in this step, each where it is done, at the mean of the voltages before and after."""
        voltages, hidden, across = before
        middle = [0.5 * (a + b) for a, b in zip(voltages, self.voltages, strict=True)]
        for place, layer in enumerate(self.layers):
            # What the branch carries, from what it draws through the transformer: the source and the bias supply it.
            between = 0.5 * (across[place] + self.across[place])
            branch = branches[place]
            self.ledger["noise"] -= self.dt * float(np.vdot(noise[place], between))
            self.ledger["injected"] += self.dt * float(
                np.vdot(branch, np.broadcast_to(layer.bias[:, None], branch.shape))
            )
            self.ledger["dissipated"] += self.dt * self.damping * float(np.vdot(across[place], between))
            held = 0.5 * (hidden[place] + self.hidden[place])
            handed = float(np.vdot(pulls[place], held))
            if place == 0:
                self.ledger["injected"] += self.dt * handed
            else:
                taken = float(np.vdot(drawn[place], middle[place - 1]))
                self.ledger["activations"] += self.dt * (taken - handed)
        self.ledger["load"] += self.dt * float(np.vdot(drawn[-1], middle[-1]))

    def stored_energy(self) -> float:
        """``sum v^2 / 2 + i_before . i_after / 2``: the energy a leapfrog conserves, in units of the capacitor's."""
        energy = 0.0
        for v, i, u in zip(self.voltages, self.currents, self.across, strict=True):
            energy += 0.5 * float(np.vdot(v, v)) + 0.5 * float(np.vdot(i, i + self.dt * u))
        return energy

    def ledger_residual(self) -> float:
        """How far the books are from the stored energy, over the energy that moved."""
        books = self.ledger
        gained = books["injected"] + books["noise"] - books["load"] - books["dissipated"] - books["activations"]
        moved = sum(abs(value) for value in books.values()) + self.stored_energy() + self._start
        return abs(self.stored_energy() - self._start - gained) / moved if moved > 0.0 else 0.0

    def _watch(self) -> None:
        stored = self.stored_energy()
        supplied = (
            self._start
            + abs(self.ledger["noise"])
            + sum(float(np.vdot(a, a)) for a in (self.x, self.y))
            + float(sum(np.vdot(layer.bias, layer.bias) for layer in self.layers) * self.x.shape[1])
        )
        gain = float(np.prod([max(1.0, float(np.linalg.norm(layer.matrix, 2)) ** 2) for layer in self.layers]))
        if not np.isfinite(stored) or stored > RUNAWAY * supplied * gain:
            grown = min(("activations", "load"), key=lambda name: self.ledger[name])
            raise DivergenceError(
                f"The ladder ran away at time {self.steps * self.dt:.6g} (unit sqrt(L C), step {self.steps}): the "
                f"ledger column that grew most is {grown!r}; lower beta, raise the damping, or lower dt"
            )

    def settle(self, tolerance: float = 1e-13, limit: int = 200_000, look_every: int = 50) -> "LadderRest":
        """Step until all voltages and currents change by less than ``tolerance`` of themselves over ``look_every``."""
        residual, start = float("inf"), self.steps
        while self.steps - start < limit:
            before = np.concatenate([w.ravel() for w in (*self.voltages, *self.currents)])
            self.step(look_every)
            now = np.concatenate([w.ravel() for w in (*self.voltages, *self.currents)])
            parts = np.split(now - before, 2), np.split(now, 2)  # currents may be far smaller than voltages
            residual = max(
                float(np.linalg.norm(d) / np.linalg.norm(w)) if np.any(w) else float(np.linalg.norm(d))
                for d, w in zip(*parts, strict=True)
            )
            if residual <= tolerance:
                break
        return LadderRest(self.steps - start, residual, residual <= tolerance)

    def gradient(self) -> dict[str, np.ndarray]:
        """``dJ/dW = i v^T / beta`` and ``dJ/dbias = i / beta`` of the batch-mean loss, by parameter, as of now."""
        found, scale = {}, 1.0 / (self.beta * self.x.shape[1])
        for layer, current, hidden in zip(self.layers, self.currents, self.hidden, strict=True):
            found[f"{layer.name}.matrix"] = scale * current @ hidden.T
            found[f"{layer.name}.bias"] = scale * current.sum(axis=1)
        return found


@dataclass(frozen=True)
class LadderRest:
    """How a ladder came to rest: steps taken and the relative change over the last look."""

    steps: int
    residual: float
    settled: bool


def courant_bound(layers: list[LadderLayer], damping: float, bend: float = 0.0) -> float:
    """The largest stable step, in units of ``sqrt(L C)``: ``(K dt)^2 + 2 dt (damping K^2 + bend) < 4``.

    ``K = 1 + max ||W||`` bounds every singular value of the map from voltages to inductor voltages (steepest activation
    included); ``bend`` is the load's largest conductance. Without damping and load it is ``2 / K``.

    >>> layer = LadderLayer("w1", np.eye(2), np.zeros(2), None, 1.0)
    >>> courant_bound([layer], damping=0.0)
    1.0
    """
    k = 1.0 + max(float(np.linalg.norm(layer.matrix, 2)) * layer.steepest for layer in layers)
    b = damping * k * k + bend
    # The positive root, written so that nothing cancels.
    return float(4.0 / (b + np.sqrt(b * b + 4.0 * k * k)))


def _layers(network: Network, parameters: Mapping[str, np.ndarray]) -> list[LadderLayer]:
    """The weight layers of a chain with the activation in front of each."""
    layers: list[LadderLayer] = []
    function: str | None = None
    for stage in chain(network):
        if stage.kind == "activation":
            function = str(getattr(network.nodes[stage.name], "function", ""))
        elif stage.kind == "weights":
            matrix = np.asarray(parameters[f"{stage.name}.matrix"], dtype=float)
            bias = np.asarray(parameters.get(f"{stage.name}.bias", np.zeros(len(matrix))), dtype=float)
            phi = None if function is None else activation_named(function)
            layers.append(LadderLayer(stage.name, matrix, bias, phi, STEEPEST.get(function or "", 1.0)))
            function = None
    if any(layer.phi is None for layer in layers[1:]):
        layers[1:] = [_with_identity(layer) for layer in layers[1:]]
    return layers


def _with_identity(layer: LadderLayer) -> LadderLayer:
    phi = layer.phi or activation_named("identity")
    return LadderLayer(layer.name, layer.matrix, layer.bias, phi, layer.steepest)
