"""Fixed point = backpropagation: frozen ports hear the exact gradient after one round trip, and not before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from substrate import Simulation, compile_network
from substrate.learning.backprop import Backprop, relative_error

from .chains import DT, chain_of, samples


def heard(network, x, y, steps, *, backend="cpu", **options):
    """Gradient the frozen ports hear in the step after ``steps`` steps."""
    simulation = Simulation(compile_network(network, dt=DT), batch=len(x), backend=backend, **options)
    simulation.hold({"input": x, "load": y})
    simulation.run(steps)
    simulation.listen(1)
    return {name: -simulation.stepper.to_host(drive) for name, drive in simulation.state.drive.items()}


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "softplus", "identity"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_settled_ports_hear_backprop(backend, activation, loss):
    network = chain_of([5, 4, 3, 2], [2, 1, 3], activation=activation, loss=loss)
    x, y = samples(network, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 2 * 6, backend=backend), exact) < 1e-12


@given(st.integers(1, 20), st.sampled_from([1, 2, 7, 64, 256]), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_depth_delays_and_batch(depth, batch, seed):
    rng = np.random.default_rng(seed)
    delays = rng.integers(1, 9, depth).tolist()
    network = chain_of(rng.integers(1, 12, depth + 1).tolist(), delays, seed=seed, loss="mse", tap=0.1, loss_db=0.3)
    x, y = samples(network, batch, seed)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 2 * sum(delays)), exact) < 1e-12


def test_before_the_round_trip_the_light_cone_shows(backend):
    """Port k hears its own gradient exactly from its own round trip on: up, down and back, not a step earlier."""
    delays = [2, 3, 1]
    network = chain_of([4, 5, 6, 3], delays)
    x, y = samples(network, 2)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    total = sum(delays)
    for steps in range(2 * total + 1):
        now = heard(network, x, y, steps, backend=backend)
        for layer in range(3):
            # Down to the load, and back up to the output side of this layer's mesh.
            arrival = total + sum(delays[layer:])
            error = relative_error({"w": now[f"w{layer + 1}.matrix"]}, {"w": exact[f"w{layer + 1}.matrix"]})
            assert (error < 1e-12) == (steps >= arrival), (steps, layer, error)


def test_before_anything_returns_the_drive_is_zero(backend):
    """Until the load has answered, no error wave exists: a port far from the load hears exactly nothing."""
    network = chain_of([4, 5, 3], [3, 4])
    x, y = samples(network, 2)
    # The load reflects -y from the first step on; that wave needs 4 steps to w2 and 7 to w1.
    assert np.any(heard(network, x, y, 4, backend=backend)["w2.bias"])
    assert not np.any(heard(network, x, y, 3, backend=backend)["w2.bias"])
    assert not np.any(heard(network, x, y, 6, backend=backend)["w1.bias"])


def test_gradient_matches_finite_differences():
    """V38: cosine above 1 - 1e-6 and an error that falls as h^2."""
    network = chain_of([4, 5, 3], [1, 2], loss_db=0.5, tap=0.05)
    x, y = samples(network, 6)
    reference, parameters = Backprop(network), network.parameters()
    gradient = heard(network, x, y, 6)
    rng = np.random.default_rng(1)
    direction = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
    slope = sum(float(np.sum(gradient[name] * direction[name])) for name in parameters)

    def error(h):
        up, down = ({n: v + s * h * direction[n] for n, v in parameters.items()} for s in (1.0, -1.0))
        return (reference.gradient(up, x, y)[0] - reference.gradient(down, x, y)[0]) / (2.0 * h) - slope

    assert abs(error(1e-5)) < 1e-6 * abs(slope)
    assert np.log2(abs(error(2e-2)) / abs(error(1e-2))) == pytest.approx(2.0, abs=0.1)


def test_reciprocal_loss_leaves_the_gradient_exact(backend):
    network = chain_of([4, 5, 3, 2], [1, 2, 1], loss_db=1.0)
    x, y = samples(network, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 8, backend=backend), exact) < 1e-12


def test_unequal_loss_scales_each_layer(backend):
    """V41: layer k of K (counted from 0) hears its gradient times (a_b / a_f)^(K - k) in a linear chain."""
    network = chain_of([4, 5, 3, 2], [1, 1, 1], activation="identity", loss="mse", loss_db=1.0, loss_db_back=3.0)
    x, y = samples(network, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    ratio = 10.0 ** (-(3.0 - 1.0) / 20.0)
    now = heard(network, x, y, 6, backend=backend)
    for layer in range(3):
        expected = exact[f"w{layer + 1}.matrix"] * ratio ** (3 - layer)
        np.testing.assert_allclose(now[f"w{layer + 1}.matrix"], expected, rtol=1e-12, atol=1e-15)


def test_float32_hears_the_gradient_to_its_precision():
    network = chain_of([20, 16, 10], [1, 2])
    x, y = samples(network, 32)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    assert relative_error(heard(network, x, y, 6, dtype="float32"), exact) < 1e-5
