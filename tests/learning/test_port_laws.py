"""Port laws: momentum is the heavy ball, a matched port is Newton's method, and time of flight bounds the rate."""

import numpy as np
import pytest

from devices.ideal import Gradient, Momentum
from substrate import Line, Simulation, SubstrateError, compile_network
from substrate.learning.layered import INPUT, OUTPUT, layered
from substrate.learning.port_laws import Behind, FullyMatchedPort, InertancePort, MatchedPort, stiffness_matrix
from substrate.learning.ports import PortBank

DT = 1e-12


def quadratic(x, y, *, delay=1, seed=0, backend="cpu"):
    """A running substrate of one linear layer: J = |W x - y|^2 / 2, quadratic in W with stiffness x x^T."""
    network = layered(
        (x.shape[1], y.shape[1]), line=Line(delay * DT), activation="identity", loss="mse", bias=False, seed=seed
    )
    simulation = Simulation(compile_network(network, DT), batch=len(x), backend=backend)
    simulation.hold({INPUT: x, OUTPUT: y})
    return simulation


def settled(simulation):
    """What the ports hear of their present values, after the waves of the last ones have gone."""
    simulation.run(4)
    simulation.listen(1)


def efforts(bank, simulation, ticks):
    """-drive of every tick, each after the waves have settled."""
    heard = []
    for _ in range(ticks):
        settled(simulation)
        heard.append(-simulation.stepper.to_host(bank.groups[0].drive))
        bank.tick(DT)
    return np.array(heard)


def test_an_inertance_is_momentum_and_the_heavy_ball():
    rate, tau, dt = 0.4, 2.5, 0.3
    port, ball = Behind(InertancePort(tau), Gradient(rate)), Momentum(rate, tau)
    a, b = port.create(np.array([1.0, -2.0])), ball.create(np.array([1.0, -2.0]))
    value, velocity, forget = np.array([1.0, -2.0]), np.zeros(2), np.exp(-dt / tau)
    for _ in range(200):
        for device, state in ((port, a), (ball, b)):
            device.advance(np, state, -3.0 * device.value(np, state), dt)
        final = -3.0 * rate * value  # exact motion of M v' + R v = u for a drive held for dt
        value, velocity = (
            value + final * dt + (velocity - final) * tau * (1.0 - forget),
            final + (velocity - final) * forget,
        )
    np.testing.assert_allclose(port.value(np, a), ball.value(np, b), rtol=0, atol=1e-12)
    np.testing.assert_allclose(port.value(np, a), value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("match", [0.1, 0.5, 1.0, 3.0, 50.0])
def test_a_matched_port_leaves_rho_of_the_effort(match, backend):
    x, y = np.array([[2.0]]), np.array([[0.5]])
    simulation = quadratic(x, y, backend=backend)
    bank = PortBank(simulation, Behind(MatchedPort(match, stiffness=4.0), Gradient(0.7 / DT)))
    heard = efforts(bank, simulation, 6)[:, 0]
    rho = (match - 1.0) / (match + 1.0)
    np.testing.assert_allclose(heard[1:], rho * heard[:-1], rtol=0, atol=1e-12 * abs(heard[0]))


def test_a_port_measures_its_stiffness_from_its_own_reflection():
    for x in (0.1, 2.0, 30.0):
        simulation = quadratic(np.array([[x]]), np.array([[0.5]]))
        bank = PortBank(simulation, Behind(MatchedPort(softest=1e-3 * x * x), Gradient(1.0 / DT)))
        heard = np.abs(efforts(bank, simulation, 3))[:, 0]
        assert bank.groups[0].state["port.stiffness"] == pytest.approx(x * x, rel=1e-6)
        assert heard[1] > 100.0 * heard[0]  # the first step took the port for a thousand times softer than it is
        assert heard[2] < 1e-9 * heard[1]  # the second is Newton's, whatever x is


def test_the_fully_matched_port_is_newtons_method():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    simulation = quadratic(x, y)
    name = next(iter(simulation.state.parameters))

    def hear(values):
        simulation.state.parameters[name][...] = values.reshape(2, 3)
        simulation.state.version += 1
        settled(simulation)
        return simulation.state.drive[name].ravel().copy()

    start = simulation.state.parameters[name].copy()
    stiffness = stiffness_matrix(hear, start.ravel())
    np.testing.assert_allclose(stiffness, np.kron(np.eye(2), x.T @ x / 7.0), atol=1e-10)
    simulation.state.parameters[name][...] = start
    simulation.state.version += 1
    bank = PortBank(simulation, Behind(FullyMatchedPort(stiffness), Gradient(0.3 / DT)))
    heard = efforts(bank, simulation, 2)
    assert np.abs(heard[1]).max() < 1e-12 * np.abs(heard[0]).max()
    np.testing.assert_allclose(bank.groups[0].values.reshape(2, 3), np.linalg.lstsq(x, y, rcond=None)[0].T, atol=1e-12)


@pytest.mark.parametrize(("gain", "grows"), [(1.55, False), (1.58, True)])
def test_time_of_flight_bounds_the_rate_at_half_pi(gain, grows):
    # theta'(t) = -mu lam theta(t - T) with the true delay of a line there and back, T = 200 steps.
    delay, trips = 100, 160
    simulation = quadratic(np.array([[1.0]]), np.array([[0.0]]), delay=delay)
    bank = PortBank(simulation, Gradient(gain / (2 * delay * DT)))
    size = []
    for _ in range(trips):
        far = 0.0
        for _ in range(2 * delay):
            simulation.listen(1)
            bank.tick(DT)
            far = max(far, abs(bank.groups[0].values.item()))
        size.append(far)
    early, late = max(size[20:28]), max(size[-8:])
    # Near the bound the rate is re(z) T with z e^z = -gain: 0.453 (gain - pi / 2) per trip.
    expected = np.exp(0.453 * (gain * (1 + 0.5 / (2 * delay)) - np.pi / 2) * (trips - 28))
    assert (late > early) == grows
    assert late / early == pytest.approx(expected, rel=0.1)


def test_port_waves_split_effort_and_flow():
    x, y = np.array([[1.0, -0.5]]), np.array([[0.3]])
    columns = ("value", "incident", "reflected", "reflection", "power", "absorbed")
    for law, reflection in ((None, 0.0), (MatchedPort(match=1.0, stiffness=4.0), None)):
        simulation = quadratic(x, y)
        device = Gradient(0.2 / DT) if law is None else Behind(law, Gradient(0.2 / DT))
        bank = PortBank(simulation, device, columns=columns)
        settled(simulation)
        before = bank.absorbed
        effort = -bank.groups[0].drive.copy()
        bank.tick(DT)
        found = {column.name: next(iter(arrays.values())).ravel() for column, arrays in bank.trace(1.0)}
        root = np.sqrt(DT / 0.2)
        np.testing.assert_allclose(found["incident"] + found["reflected"], effort / root, rtol=1e-12)
        np.testing.assert_allclose(found["incident"] ** 2 - found["reflected"] ** 2, found["power"], rtol=1e-9)
        assert found["power"].sum() * DT == pytest.approx(bank.absorbed - before, rel=1e-9)
        if reflection is not None:
            np.testing.assert_allclose(found["reflection"], reflection, atol=1e-9)
        else:  # step u / k instead of rate u dt: the conductance is (1 / k) / (rate dt) = 1.25 of the reference
            np.testing.assert_allclose(found["reflection"], (1 - 1.25) / (1 + 1.25), rtol=1e-9)


def test_laws_refuse_what_cannot_be():
    for wrong in (lambda: InertancePort(0.0), lambda: MatchedPort(match=-1.0), lambda: MatchedPort(stiffness=0.0)):
        with pytest.raises(SubstrateError, match="port"):
            wrong()
    with pytest.raises(SubstrateError, match="positive definite"):
        FullyMatchedPort(np.array([[1.0, 2.0], [2.0, 1.0]]))
