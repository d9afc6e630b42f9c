"""Training by waves: gradients heard at ports, what loss does to them, the books that must close."""

import numpy as np

from substrate.compile import compile_network
from substrate.learning.audit import port_gradient
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.forms import in_family, nudged, with_series_resistance
from substrate.learning.layered import layered
from substrate.network import Line, Network
from substrate.simulation import Simulation
from substrate.validation.case import case

DT = 1e-12


def chain(sizes: list[int], **options: object) -> tuple[Network, np.ndarray, np.ndarray]:
    """A layered network of random weights with lines of 1, 2, ... steps; three inputs and targets."""
    line = {key: options.pop(key) for key in ("loss_db", "loss_db_back", "temperature") if key in options}
    lines = [Line(delay=(1 + k % 3) * DT, **line) for k in range(len(sizes) - 1)]  # type: ignore[arg-type]
    net = layered(sizes, line=lines, **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    return net, rng.normal(size=(3, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], 3)]


def heard(net: Network, x: np.ndarray, y: np.ndarray, steps: int, backend: str) -> dict[str, np.ndarray]:
    """Gradient that the ports hear in the step after ``steps`` steps."""
    simulation = Simulation(compile_network(net, DT), batch=len(x), backend=backend)
    simulation.hold({"input": x, "load": y})
    simulation.run(steps)
    simulation.listen(1)
    return {name: -simulation.stepper.to_host(drive) for name, drive in simulation.state.drive.items()}


@case("V37", "chain of 4 layers, settled port gradient against backpropagation", 0.0, 1e-12)
def settled_gradient(backend: str) -> float:
    """After one round trip of reciprocal lossless lines the ports hear the exact gradient (docs/theory.md)."""
    net, x, y = chain([6, 5, 4, 3, 2], activation="tanh", loss="cross_entropy")
    exact = Backprop(net).gradient(net.parameters(), x, y)[1]
    return relative_error(heard(net, x, y, 2 * 7, backend), exact)


@case("V38", "port gradient against central differences: slope of the error in h", 2.0, 0.1)
def finite_differences(backend: str) -> float:
    """A central difference errs by h^2 f''' / 6: halving h quarters the difference to the gradient the ports hear."""
    net, x, y = chain([4, 5, 3], loss_db=0.5)
    reference, parameters = Backprop(net), net.parameters()
    gradient = heard(net, x, y, 8, backend)
    rng = np.random.default_rng(1)
    direction = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
    slope = sum(float(np.sum(gradient[name] * direction[name])) for name in parameters)

    def error(h: float) -> float:
        up, down = ({n: v + s * h * direction[n] for n, v in parameters.items()} for s in (1.0, -1.0))
        return abs((reference.gradient(up, x, y)[0] - reference.gradient(down, x, y)[0]) / (2.0 * h) - slope)

    return float(np.log2(error(2e-2) / error(1e-2)))


def nudged_gradient(backend: str, form: Network, beta: float, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """What the ports of a settled transformer network hear when its load nudges by ``beta``."""
    return dict(port_gradient(nudged(form, beta), x, y, backend=backend).gradient)


@case("V39", "series resistance in the lines: slopes of the nudging errors in beta", [1.0, 2.0], 0.05)
def nudging_slopes(backend: str) -> np.ndarray:
    """Voltages feel the currents: the one-sided estimate errs as beta, the centred one as beta squared."""
    net, x, y = chain([3, 2, 2], activation="tanh", loss="mse")
    exact = Backprop(net).gradient(net.parameters(), x, y)[1]
    form, errors = with_series_resistance(in_family(net, "transformer"), 0.05), []
    for beta in (0.04, 0.02):
        up, down = (nudged_gradient(backend, form, b, x, y) for b in (beta, -beta))
        both = {name: 0.5 * (up[name] + down[name]) for name in up}
        errors.append([relative_error(up, exact), relative_error(both, exact)])
    return np.asarray(np.log2(np.array(errors[0]) / np.array(errors[1])))


@case("V39", "lossless transformers, ideal source: largest error of estimates at beta = 0.1, 1 and 3", 0.0, 1e-9)
def nudging_exact(backend: str) -> float:
    """Voltages do not feel currents, so every beta is exact."""
    net, x, y = chain([3, 2, 2], activation="identity", loss="mse")
    exact, form = Backprop(net).gradient(net.parameters(), x, y)[1], in_family(net, "transformer")
    return max(relative_error(nudged_gradient(backend, form, beta, x, y), exact) for beta in (0.1, 1.0, 3.0))


@case("V41", "equal loss both ways: gradient against that of the lossy network", 0.0, 1e-12)
def reciprocal_loss(backend: str) -> float:
    """A wave that returns through the same loss keeps the direction of the gradient exact."""
    net, x, y = chain([4, 5, 3, 2], loss_db=1.0)
    exact = Backprop(net).gradient(net.parameters(), x, y)[1]
    return relative_error(heard(net, x, y, 12, backend), exact)


RATIO = 10.0 ** (-(3.0 - 1.0) / 20.0)


@case(
    "V41",
    "1 dB forward, 3 dB back: gradient of layers 0, 1, 2 over backpropagation",
    [RATIO**3, RATIO**2, RATIO],
    1e-12,
)
def unequal_loss(backend: str) -> np.ndarray:
    """Layer k of K hears (a_b / a_f)^(K - k) of its gradient in a linear chain, by algebra."""
    options = {"activation": "identity", "loss": "mse", "loss_db": 1.0, "loss_db_back": 3.0}
    net, x, y = chain([4, 5, 3, 2], **options)
    exact = Backprop(net).gradient(net.parameters(), x, y)[1]
    now = heard(net, x, y, 12, backend)
    names = [f"w{layer}.matrix" for layer in (1, 2, 3)]
    return np.array([float(np.sum(now[n] * exact[n]) / np.sum(exact[n] ** 2)) for n in names])


@case("V42", "energy books of a noisy lossy chain, largest mismatch of a step over the energy that moved", 0.0, 1e-12)
def ledger(backend: str) -> float:
    """E(0) + int P_in = E(t) + int P_out + int P_diss, at every step and to rounding."""
    net, x, y = chain([6, 5, 4, 3], loss_db=0.7, temperature=300.0, tap=0.05)
    simulation = Simulation(compile_network(net, DT, reference_power=1e-9), batch=3, backend=backend, block=1)
    simulation.hold({"input": x, "load": y})
    simulation.run(60)
    return simulation.take_ledger().residual


@case("V42", "undriven lossy network: largest rise of its stored energy in a step, over what it began with", 0.0, 1e-14)
def decay(backend: str) -> float:
    """Nothing drives it, so the stored energy can only fall."""
    net, x, y = chain([6, 5, 4, 3], loss_db=0.7, activation="identity", loss="mse", bias=False, scale=0.4)
    simulation = Simulation(compile_network(net, DT), batch=3, backend=backend, block=1)
    simulation.hold({"input": x, "load": 0.0 * y})
    simulation.run(20)
    simulation.hold({"input": 0.0 * x})
    simulation.run(1)
    stored = [simulation.take_ledger().stored]
    for _ in range(40):
        simulation.run(1)
        stored.append(simulation.take_ledger().stored)
    return max(0.0, float(np.max(np.diff(stored)))) / stored[0]
