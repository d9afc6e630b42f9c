"""The gradient audit: what ports hear in every form of a network, beside exact backprop and finite differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from substrate.compile import compile_network
from substrate.errors import DivergenceError
from substrate.learning.backprop import Backprop
from substrate.learning.forms import TICK, cold, in_family, nudged, with_series_resistance
from substrate.learning.ladder import Ladder
from substrate.learning.layered import INPUT, OUTPUT, chain, forward_steps, is_reciprocal, without_load
from substrate.learning.settling import settle
from substrate.network import Network
from substrate.nodes.reciprocal import NOMINAL_IMPEDANCE
from substrate.simulation import Simulation

Gradient = dict[str, np.ndarray]
TOLERANCE, TRIPS = 1e-13, 5000  # settled: relative change of the field over a round trip; round trips waited at most
DIFFERENCE = 1e-4  # step of the finite difference of single entries
ROUNDING = 1e-9  # relative error below which an estimate counts as exact
BETAS = (0.02, 0.01, 0.005)  # of the slope test in beta
STEPS = (0.4, 0.2, 0.1)  # of the slope test in h, along a random direction of unit length


@dataclass(frozen=True)
class Row:
    """One form at one port: one minus the cosine with exact backprop, length over its length, relative error."""

    form: str
    port: str
    one_minus_cosine: float
    norm_ratio: float
    error: float
    steps: int  # until settled
    residual: float  # of the field, over the last round trip
    settled: bool

    @property
    def cosine(self) -> float:
        """Of the angle between the two gradients."""
        return 1.0 - self.one_minus_cosine


@dataclass(frozen=True)
class Slope:
    """An error against what it depends on, and the slope fitted on double logarithmic axes (nan: exact throughout)."""

    name: str
    variable: str
    values: tuple[float, ...]
    errors: tuple[float, ...]
    expected: float  # nan where the error should be rounding only

    @property
    def slope(self) -> float:
        """Fitted slope; nan where some error is rounding only."""
        if min(self.errors) < ROUNDING:
            return float("nan")
        return float(np.polyfit(np.log(self.values), np.log(self.errors), 1)[0])


@dataclass(frozen=True)
class Audit:
    """Everything an audit found; ``failures`` are forms that ran away, with what the error said."""

    loss: float
    rows: tuple[Row, ...]
    slopes: tuple[Slope, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def worst_cosine(self) -> float:
        """Smallest cosine of all rows of exact gradients: nudged ones with resistance are left out."""
        return min(row.cosine for row in self.rows if not row.form.startswith("resistive"))

    @property
    def passed(self) -> bool:
        """Whether all settled, every exact gradient has a cosine above 1 - 1e-6, and the slopes are within 0.05."""
        slopes = [
            max(s.errors) < ROUNDING if np.isnan(s.expected) else np.isnan(s.slope) or abs(s.slope - s.expected) <= 0.05
            for s in self.slopes
        ]
        settled = all(row.settled for row in self.rows)
        return settled and not self.failures and self.worst_cosine > 1.0 - 1e-6 and all(slopes)


@dataclass(frozen=True)
class Heard:
    """A gradient and how the waves that told it came to rest."""

    gradient: Gradient
    steps: int
    residual: float
    settled: bool


def port_gradient(network: Network, x: np.ndarray, y: np.ndarray, dt: float = TICK, backend: str = "cpu") -> Heard:
    """What the frozen ports of ``network`` hear of a batch once its waves have settled.

    ``x[samples, inputs]``, ``y[samples, outputs]``. Raises DivergenceError when the waves run away.

    >>> from substrate import Line
    >>> from substrate.learning.layered import layered
    >>> net = layered([2, 2], line=Line(1e-12), loss="mse")
    >>> heard = port_gradient(net, np.ones((1, 2)), np.zeros((1, 2)))
    >>> sorted(heard.gradient), heard.settled
    (['w1.bias', 'w1.matrix'], True)
    """
    simulation = Simulation(compile_network(network, dt), batch=len(x), backend=backend)
    simulation.hold({INPUT: x, OUTPUT: y})
    trip = max(2, 2 * forward_steps(network, dt))
    rest = settle(simulation, TOLERANCE, TRIPS * trip, trip)
    simulation.listen(1)
    drives = {name: -simulation.stepper.to_host(drive).astype(float) for name, drive in simulation.state.drive.items()}
    return Heard(drives, rest.steps, rest.residual, rest.settled)


def ladder_gradient(network: Network, x: np.ndarray, y: np.ndarray, beta: float) -> Heard:
    """The same from the LC ladder; raises DivergenceError when it runs away."""
    ladder = Ladder(network, x, y, beta=beta)
    rest = ladder.settle(TOLERANCE)
    names = network.parameters()
    return Heard({k: v for k, v in ladder.gradient().items() if k in names}, rest.steps, rest.residual, rest.settled)


class _Differences:
    """Central finite differences of the loss that the waves of a network show when nothing corrects them."""

    def __init__(self, network: Network, x: np.ndarray, y: np.ndarray, dt: float, backend: str) -> None:
        self.loss, self.y, self.reflects = Backprop(network).loss, y, is_reciprocal(network)
        quiet = without_load(network)
        self.simulation = Simulation(compile_network(quiet, dt), batch=len(x), backend=backend)
        self.simulation.hold({INPUT: x})
        self.trip = max(2, 2 * forward_steps(network, dt))
        self.line = [stage.name for stage in chain(network) if stage.kind == "line"][-1]
        impedance = next(line.impedance for line in self.simulation.plan.lines if line.name == self.line)
        self.scale = (
            2.0 * np.sqrt(impedance / NOMINAL_IMPEDANCE) if quiet.nodes[OUTPUT].law == "reciprocal_load" else 1.0
        )

    def value(self, changes: Mapping[str, np.ndarray]) -> float:
        """Mean loss with some parameters changed."""
        state, xp = self.simulation.state, self.simulation.stepper.xp
        kept = {name: state.parameters[name].copy() for name in changes}
        for name, value in changes.items():
            state.parameters[name][...] = xp.asarray(value)
        state.version += 1
        if self.reflects:
            settle(self.simulation, TOLERANCE, TRIPS * self.trip, self.trip)
        else:
            self.simulation.run(self.trip)
        arriving, _ = self.simulation.field(self.line)
        for name, value in kept.items():
            state.parameters[name][...] = value
        return float(self.loss.value(np, self.scale * arriving[:, -1].astype(float), self.y.T).mean())

    def entry(self, name: str, value: np.ndarray, index: tuple[int, ...], h: float) -> float:
        """d(loss)/d(entry)."""
        found = []
        for side in (h, -h):
            moved = value.copy()
            moved[index] += side
            found.append(self.value({name: moved}))
        return (found[0] - found[1]) / (2.0 * h)

    def along(self, values: Mapping[str, np.ndarray], direction: Mapping[str, np.ndarray], h: float) -> float:
        """Derivative of the loss along a direction."""
        sides = [self.value({k: values[k] + side * direction[k] for k in values}) for side in (h, -h)]
        return (sides[0] - sides[1]) / (2.0 * h)


def compare(form: str, heard: Heard, exact: Gradient) -> list[Row]:
    """A row per port of one form."""
    rows = []
    for name, value in exact.items():
        a, b = heard.gradient[name].ravel(), value.ravel()
        length, true = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        if length == 0.0 or true == 0.0:
            angle, ratio, error = (0.0, 1.0, 0.0) if length == true else (1.0, float("inf"), float("inf"))
        else:
            angle = 0.5 * float(np.sum((a / length - b / true) ** 2))
            ratio, error = length / true, float(np.linalg.norm(a - b)) / true
        rows.append(Row(form, name, angle, ratio, error, heard.steps, heard.residual, heard.settled))
    return rows


def audit(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    *,
    dt: float = TICK,
    beta: float = 0.01,
    resistance: float = 0.05,
    entries: int = 4,
    seed: int = 0,
    backend: str = "cpu",
) -> Audit:
    """Compare the port gradients of every form of a layered network on one batch, ``x[samples, inputs]``, ``y``.

    The network as given (steps of ``dt``), matched, transformer nudged by ``beta`` (one-sided, centred), ladder, and
    central differences of ``entries`` entries per port; then the slopes of the errors in h, and in beta with and
    without ``resistance`` in the lines. All at absolute zero, in float64. Raises NetworkError when it is no chain.

    >>> from substrate import Line
    >>> from substrate.learning.layered import layered
    >>> net = layered([3, 3, 2], line=Line(1e-12), loss="mse")
    >>> found = audit(net, np.ones((1, 3)), np.zeros((1, 2)), entries=1)
    >>> found.worst_cosine > 1.0 - 1e-6
    True
    """
    return _Auditor(cold(network), np.asarray(x, float), np.asarray(y, float), dt, backend).run(
        beta, resistance, entries, np.random.default_rng(seed)
    )


class _Auditor:
    """What the parts of one audit share."""

    def __init__(self, network: Network, x: np.ndarray, y: np.ndarray, dt: float, backend: str) -> None:
        self.network, self.x, self.y, self.dt, self.backend = network, x, y, dt, backend
        self.values = {name: np.asarray(value, dtype=float) for name, value in network.parameters().items()}
        self.loss, self.exact = Backprop(network).gradient(self.values, x, y)
        self.rows: list[Row] = []
        self.failures: dict[str, str] = {}

    def run(self, beta: float, resistance: float, entries: int, rng: np.random.Generator) -> Audit:
        """All rows and slopes."""
        self._hear("as given", self.network, self.exact)
        matched = in_family(self.network, "matched")
        self._hear("matched", matched, self._ideal(matched))
        transformer = in_family(self.network, "transformer", beta)
        exact = self._ideal(transformer)
        self._hear("transformer", transformer, exact)
        self._centred("centred", transformer, beta, exact)
        self._attempt("ladder", lambda: ladder_gradient(matched, self.x, self.y, beta), exact)
        resistive = with_series_resistance(transformer, resistance)
        self._hear("resistive", resistive, exact)
        self._centred("resistive centred", resistive, beta, exact)
        differences = _Differences(self.network, self.x, self.y, self.dt, self.backend)
        self._entries(differences, entries, rng)
        slopes = [self._slope_in_h(differences, rng)]
        for name, net in (("lossless", transformer), ("resistive", resistive)):
            slopes += self._slopes_in_beta(name, net, exact)
        return Audit(self.loss, tuple(self.rows), tuple(slopes), self.failures)

    def _ideal(self, form: Network) -> Gradient:
        """Backprop of a derived form: lossless, whatever the lines of the network given."""
        return Backprop(form).gradient(form.parameters(), self.x, self.y)[1]

    def _hear(self, form: str, network: Network, exact: Gradient) -> None:
        dt = self.dt if network is self.network else TICK
        self._attempt(form, lambda: port_gradient(network, self.x, self.y, dt, self.backend), exact)

    def _centred(self, form: str, network: Network, beta: float, exact: Gradient) -> None:
        self._attempt(form, lambda: self._mean(network, beta), exact)

    def _attempt(self, form: str, hear, exact: Gradient) -> None:  # type: ignore[no-untyped-def]
        try:
            self.rows += compare(form, hear(), exact)
        except DivergenceError as error:
            self.failures[form] = str(error)

    def _mean(self, network: Network, beta: float) -> Heard:
        """Nudged up and down: the mean of the two estimates, each divided by its own beta."""
        up, down = (port_gradient(nudged(network, b), self.x, self.y, TICK, self.backend) for b in (beta, -beta))
        gradient = {name: 0.5 * (up.gradient[name] + down.gradient[name]) for name in up.gradient}
        steps, residual = max(up.steps, down.steps), max(up.residual, down.residual)
        return Heard(gradient, steps, residual, up.settled and down.settled)

    def _entries(self, differences: _Differences, count: int, rng: np.random.Generator) -> None:
        """Central differences at a few entries of every port, compared with backprop at the same entries."""
        found, exact = {}, {}
        for name, value in self.values.items():
            chosen = rng.choice(value.size, min(count, value.size), replace=False)
            places = [tuple(int(i) for i in np.unravel_index(k, value.shape)) for k in chosen]
            found[name] = np.array([differences.entry(name, value, place, DIFFERENCE) for place in places])
            exact[name] = np.array([self.exact[name][place] for place in places])
        self.rows += compare("finite difference", Heard(found, 0, 0.0, True), exact)

    def _slope_in_h(self, differences: _Differences, rng: np.random.Generator) -> Slope:
        direction = {name: rng.normal(size=value.shape) for name, value in self.values.items()}
        length = np.sqrt(sum(float(np.sum(d**2)) for d in direction.values()))
        direction = {name: d / length for name, d in direction.items()}
        exact = sum(float(np.sum(self.exact[name] * d)) for name, d in direction.items())
        errors = [abs(differences.along(self.values, direction, h) / exact - 1.0) for h in STEPS]
        return Slope("finite difference", "h", STEPS, tuple(errors), 2.0)

    def _slopes_in_beta(self, name: str, network: Network, exact: Gradient) -> list[Slope]:
        """Errors of the one-sided and the centred estimate."""
        one, two = [], []
        try:
            for beta in BETAS:
                up, down = (
                    port_gradient(nudged(network, b), self.x, self.y, TICK, self.backend) for b in (beta, -beta)
                )
                one.append(_error(up.gradient, exact))
                two.append(_error({k: 0.5 * (up.gradient[k] + down.gradient[k]) for k in exact}, exact))
        except DivergenceError as error:
            self.failures[f"{name}, slopes in beta"] = str(error)
            return []
        expected = (float("nan"),) * 2 if name == "lossless" else (1.0, 2.0)
        pairs: Sequence[tuple[str, list[float], float]] = (
            ("one-sided", one, expected[0]),
            ("centred", two, expected[1]),
        )
        return [Slope(f"{name}, {kind}", "beta", BETAS, tuple(errors), slope) for kind, errors, slope in pairs]


def _error(found: Gradient, exact: Gradient) -> float:
    """Relative length of the difference, all ports together."""
    difference = sum(float(np.sum((found[name] - value) ** 2)) for name, value in exact.items())
    return float(np.sqrt(difference / sum(float(np.sum(value**2)) for value in exact.values())))
