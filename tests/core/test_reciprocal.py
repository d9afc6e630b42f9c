"""The reciprocal family: settles to backprop, keeps energy, and is the same on every backend."""

import numpy as np
import pytest

from substrate import Line, Simulation, compile_network
from substrate.errors import CompileError, NetworkError
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.layered import layered
from substrate.learning.settling import settle
from substrate.nodes import ReciprocalLoad

DT = 1e-12
MIXED = ["transformer", ["matched", "transformer", "matched"], ["transformer", "matched", "transformer"]]


def network_of(sizes, lowpass=3.0, **options):
    return layered(sizes, line=Line(delay=DT, lowpass=lowpass * DT), **{"weights": "transformer", **options})


def samples(sizes, batch, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], batch)]


def heard(network, x, y, steps, **options):
    simulation = Simulation(compile_network(network, dt=DT), batch=len(x), **options)
    simulation.hold({"input": x, "load": y})
    simulation.run(steps)
    simulation.listen(1)
    assert simulation.take_ledger().residual < 1e-12
    return {name: -simulation.stepper.to_host(drive) for name, drive in simulation.state.drive.items()}


def test_linear_network_settles_to_backprop():
    """The floor of the theory: 64-48-32-10, gradient error below 1e-12."""
    sizes = [64, 48, 32, 10]
    network = network_of(sizes, activation="identity", loss="mse")
    x, y = samples(sizes, 5)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 3500), exact) < 1e-12


@pytest.mark.parametrize("weights", MIXED, ids=["transformer", "matched at the ends", "matched inside"])
@pytest.mark.parametrize("impedance", ["equal", "matched"])
def test_small_errors_settle_to_backprop(weights, impedance):
    sizes = [6, 5, 4, 3]
    network = network_of(sizes, weights=weights, impedance=impedance, beta=0.01, tap=0.0)
    x, y = samples(sizes, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 3000), exact) < 1e-6


@pytest.mark.parametrize("beta", [1e-3, 0.3, 3.0])
def test_an_ideal_source_makes_every_beta_exact(beta):
    """Without series resistance voltages do not feel currents: i v^T / beta is the gradient for every beta."""
    sizes = [6, 4]
    network = network_of(sizes, loss="mse", beta=beta)
    x, y = samples(sizes, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 2000), exact) < 1e-9


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "softplus", "identity"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_every_backend_gives_the_reference_answer(backend, activation, loss):
    sizes = [4, 5, 3, 2]
    weights = ["transformer", "matched", "transformer"]
    network = network_of(sizes, weights=weights, activation=activation, loss=loss, beta=0.2, impedance="matched")
    x, y = samples(sizes, 2)
    runs = [heard(network, x, y, 60, backend=name) for name in (backend, "reference")]
    for name, drive in runs[1].items():
        np.testing.assert_allclose(runs[0][name], drive, rtol=0, atol=1e-11)


@pytest.mark.parametrize("delay", [1, 3])
def test_lossless_undamped_network_keeps_its_energy(delay):
    network = layered(
        [16, 12, 8], line=Line(delay=delay * DT), weights="transformer", activation="identity", beta=0.0, bias=False
    )
    simulation = Simulation(compile_network(network, dt=DT), batch=2)
    rng = np.random.default_rng(0)
    simulation.state.arena[...] = rng.normal(size=simulation.state.arena.shape)
    before = simulation.stepper.stored_energy()
    for _ in range(10_000):
        simulation.stepper.step(delay)
    assert simulation.stepper.stored_energy() == pytest.approx(before, rel=1e-12)


def test_checkpoint_holds_filters_and_warm_starts():
    sizes = [5, 4, 3]
    network = network_of(sizes, beta=0.1)
    x, y = samples(sizes, 2)
    one, other = (Simulation(compile_network(network, dt=DT), batch=2) for _ in range(2))
    one.hold({"input": x, "load": y})
    one.run(37)
    other.restore(one.checkpoint())
    for simulation in (one, other):
        simulation.run(25)
    for name, array in one.checkpoint().items():
        np.testing.assert_array_equal(array, other.checkpoint()[name])


def test_settling_is_measured():
    sizes = [6, 5, 4]
    simulation = Simulation(compile_network(network_of(sizes, beta=0.1), dt=DT), batch=2)
    x, y = samples(sizes, 2)
    simulation.hold({"input": x, "load": y})
    assert not settle(simulation, 1e-12, limit=16, while_steps=8).settled
    report = settle(simulation, 1e-12, limit=20_000, while_steps=8)
    assert report.settled
    assert report.residual <= 1e-12
    undamped = Simulation(compile_network(network_of(sizes, lowpass=0.0, beta=0.1), dt=DT), batch=2)
    undamped.hold({"input": x, "load": y})
    assert not settle(undamped, 1e-6, limit=1000, while_steps=8).settled  # rings for ever


def test_matrix_wider_or_taller_is_the_same_law():
    """Either side of W may be factored: a tall and a wide transformer both obey v2 = W v1, i1 = W^T i2."""
    for sizes in ([3, 9, 3], [9, 3, 9]):
        network = network_of(sizes, activation="identity", loss="mse")
        x, y = samples(sizes, 2)
        _, exact = Backprop(network).gradient(network.parameters(), x, y)
        assert relative_error(heard(network, x, y, 2000), exact) < 1e-9


def test_refusals():
    with pytest.raises(NetworkError, match=r"beta must be a finite number"):
        ReciprocalLoad(3, beta=float("nan"))
    with pytest.raises(NetworkError, match=r"Weights must be one of"):
        network_of([3, 2], weights="magic")
    with pytest.raises(NetworkError, match=r"impedance must be equal, matched or one number per layer"):
        network_of([3, 2], impedance="wide")
    network = network_of([3, 2, 2], beta=0.5)
    network.nodes["extra"] = ReciprocalLoad(2, beta=0.1)
    with pytest.raises(CompileError):
        compile_network(network, dt=DT)
