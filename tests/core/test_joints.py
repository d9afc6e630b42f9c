"""Imperfect joints: crosstalk keeps gradients exact, a gain error scales them, a reflection has a closed form."""

import numpy as np
import pytest

from substrate import Line, Network, Simulation, compile_network
from substrate.errors import NetworkError
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.layered import layered
from substrate.nodes import DataSource, Joint, Load

from .chains import DT, chain_of, samples
from .test_gradient import heard


def two_lines(joint, backend):
    """2 into the first channel, through 2 steps of line, a joint and 3 steps; the load sends back what it gets."""
    network = Network()
    network.add(DataSource(2), "input")
    network.add(joint, "joint")
    network.add(Load(2, "mse"), "load")
    network.connect("input", "joint", Line(2 * DT), "before")
    network.connect("joint", "load", Line(3 * DT), "behind")
    simulation = Simulation(compile_network(network, dt=DT, reference_power=1.0), batch=1, backend=backend)
    simulation.hold({"input": np.array([[2.0, 0.0]]), "load": np.zeros((1, 2))})
    return simulation


def test_a_joint_is_lossless_and_reciprocal():
    matrix = Joint(5, crosstalk=0.1, reflection=0.3).scattering(1.0, 1.0)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(10), atol=1e-14)
    np.testing.assert_allclose(matrix, matrix.T, atol=0.0)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
def test_crosstalk_is_the_share_of_power_two_channels_exchange(backend, share):
    simulation = two_lines(Joint(2, crosstalk=share), backend)
    simulation.run(5)
    forward, _ = simulation.field("behind")
    np.testing.assert_allclose(forward[:, -1, 0] ** 2, [4.0 * (1.0 - share), 4.0 * share], rtol=1e-13, atol=1e-30)


def test_crosstalk_keeps_the_gradient_exact(backend):
    """The ports hear backprop of the network with its crosstalk; without it in the reference they do not."""
    network = chain_of([4, 5, 3, 2], [1, 2, 1], loss_db=1.0, joints=[{"crosstalk": 0.2}])
    x, y = samples(network, 3)
    found = heard(network, x, y, 2 * 8, backend=backend)
    assert relative_error(found, Backprop(network).gradient(network.parameters(), x, y)[1]) < 1e-12
    clean = chain_of([4, 5, 3, 2], [1, 2, 1], loss_db=1.0)
    assert relative_error(found, Backprop(clean).gradient(network.parameters(), x, y)[1]) > 0.1


def test_backprop_with_crosstalk_is_the_derivative():
    network = chain_of([3, 4, 2], [1, 1], loss="mse", joints=[{"crosstalk": 0.2}, {"crosstalk": 0.4}])
    x, y = samples(network, 3)
    parameters, reference = network.parameters(), Backprop(network)
    gradient, h = reference.gradient(parameters, x, y)[1]["w1.matrix"], 1e-6
    for index in [(0, 0), (3, 2)]:
        sides = []
        for side in (h, -h):
            moved = parameters["w1.matrix"].copy()
            moved[index] += side
            sides.append(reference.gradient({**parameters, "w1.matrix": moved}, x, y)[0])
        assert (sides[0] - sides[1]) / (2.0 * h) == pytest.approx(gradient[index], rel=1e-7, abs=1e-10)


def test_a_gain_error_of_the_returning_wave_scales_each_layer(backend):
    """Layer k of K (counted from 0) hears its gradient times g^(K - k), as with unequal loss."""
    network = chain_of([4, 5, 3, 2], [1, 1, 1], joints=[{"return_gain": 0.9}])
    x, y = samples(network, 3)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    now = heard(network, x, y, 12, backend=backend)
    for layer in range(3):
        expected = exact[f"w{layer + 1}.matrix"] * 0.9 ** (3 - layer)
        np.testing.assert_allclose(now[f"w{layer + 1}.matrix"], expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("r", [0.05, -0.4])
def test_a_reflection_settles_to_its_closed_form(backend, r):
    """One layer, squared error: z = t v - r (z - y), so the port hears r v + t (z - y) with v = W x."""
    network = chain_of([3, 2], [2], loss="mse", bias=False, joints=[{"reflection": r}])
    x, y = samples(network, 1)
    v, t = network.parameters()["w1.matrix"] @ x[0], np.sqrt(1.0 - r * r)
    z = (t * v + r * y[0]) / (1.0 + r)
    expected = np.outer(r * v + t * (z - y[0]), x[0])
    found = heard(network, x, y, 8 + 4 * 60, backend=backend)["w1.matrix"]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    exact = Backprop(network).gradient(network.parameters(), x, y)[1]
    assert relative_error({"w1.matrix": found}, exact) > abs(r) / 4  # it is an error, and no small one


def test_the_ledger_closes(backend):
    """With every flaw at once to rounding; a joint whose returning wave gains 1.5 on 2 injects 9 - 4 at every step."""
    network = chain_of([3, 4, 2], [2, 1], loss="mse", joints=[{"reflection": 0.2, "crosstalk": 0.1}])
    network = network.changed({"joint1.return_gain": 1.5, "joint2.return_gain": 0.7})
    x, y = samples(network, 2)
    simulation = Simulation(compile_network(network, dt=DT), batch=2, backend=backend)
    simulation.hold({"input": x, "load": y})
    for _ in range(4):
        simulation.run(5)
        assert simulation.take_ledger().residual < 1e-12
    simulation = two_lines(Joint(2, return_gain=1.5), backend)
    simulation.run(8)
    simulation.take_ledger()
    simulation.run(10)
    assert simulation.take_ledger()["gain"] == pytest.approx((9.0 - 4.0) * 10 * DT, rel=1e-12)


def test_mistakes_are_told():
    for wrong, words in [
        ({"crosstalk": 1.5}, "share of power from 0 to 1"),
        ({"reflection": 1.0}, "between -1 and 1"),
        ({"return_gain": float("nan")}, "at least 0"),
    ]:
        with pytest.raises(NetworkError, match=words):
            Joint(2, **wrong)
    with pytest.raises(NetworkError, match="leave them out"):
        layered([2, 2], line=Line(DT), weights="transformer", joints=[{}])
    with pytest.raises(NetworkError, match="3 layers need one joint, or 3, but 2"):
        layered([2, 2, 2, 2], line=Line(DT), joints=[{}, {}])
