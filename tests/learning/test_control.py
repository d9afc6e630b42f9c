"""Optimal control on waves: Riccati as input admittance, paths as voltages, the nonlinear ladder beside solvers."""

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are
from scipy.optimize import minimize

from substrate import Line, Simulation, compile_network
from substrate.errors import NetworkError
from substrate.learning.control import LinearQuadratic, control_line, input_admittance, solve_on_waves
from substrate.learning.relaxation import Plant, relax
from substrate.nodes import ControlCell, SeriesImpedance, ShuntAdmittance

H = 0.2
DOUBLE_INTEGRATOR = LinearQuadratic(
    dynamics=np.array([[1.0, H], [0.0, 1.0]]),
    inputs=np.array([[H * H / 2], [H]]),
    cost=np.diag([1.0, 0.1]),
    effort=np.array([[0.1]]),
)


def random_problem(seed=0, n=4, m=2):
    """Unstable plant, dense costs."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    return LinearQuadratic(
        rng.normal(size=(n, n)) * 0.7, rng.normal(size=(n, m)), root @ root.T / n, np.diag([1.0, 2.0])
    )


def riccati(p: LinearQuadratic) -> np.ndarray:
    return solve_discrete_are(p.dynamics, p.inputs, p.cost, p.effort)


def optimal_path(
    p: LinearQuadratic, terminal: np.ndarray, steps: int, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States and controls by the backward Riccati recursion."""
    gains, y = [], terminal
    for _ in range(steps):
        k = np.linalg.solve(p.effort + p.inputs.T @ y @ p.inputs, p.inputs.T @ y @ p.dynamics)
        y = p.cost + p.dynamics.T @ y @ (p.dynamics - p.inputs @ k)
        gains.append(k)
    states, controls = [start], []
    for k in reversed(gains):
        controls.append(-k @ states[-1])
        states.append(p.dynamics @ states[-1] + p.inputs @ controls[-1])
    return np.array(states), np.array(controls)


@pytest.mark.parametrize("problem", [DOUBLE_INTEGRATOR, random_problem()], ids=["double integrator", "random"])
def test_input_admittance_is_the_riccati_solution(problem):
    admittance = input_admittance(problem, 60 if problem is DOUBLE_INTEGRATOR else 45)
    np.testing.assert_allclose(admittance, riccati(problem), rtol=0.0, atol=1e-10)


def test_voltages_are_the_optimal_path():
    p = random_problem(1)
    terminal = 3.0 * np.eye(4)
    start = np.array([1.0, -2.0, 0.5, 3.0])
    problem = LinearQuadratic(p.dynamics, p.inputs, p.cost, p.effort, terminal)
    path = solve_on_waves(problem, 12, start, line=Line(2e-12, impedance=30.0, lowpass=1e-12))
    states, controls = optimal_path(p, terminal, 12, start)
    assert path.settling.settled
    np.testing.assert_allclose(path.states[:, :, 0], states, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(path.controls[:, :, 0], controls, rtol=0.0, atol=1e-10)
    cost = sum(x @ p.cost @ x for x in states[:-1]) + sum(u @ p.effort @ u for u in controls)
    cost += states[-1] @ terminal @ states[-1]
    assert start @ path.costates[0, :, 0] == pytest.approx(cost, rel=1e-10)


def test_cells_backends_agree_and_books_close():
    """The reference solves each cell's own equations by elimination; the fast backend multiplies by its scattering."""
    net = control_line(random_problem(2), 3, Line(2e-12, impedance=80.0, lowpass=1e-12))
    fields = {}
    for name in ("cpu", "reference"):
        simulation = Simulation(compile_network(net, 1e-12), batch=2, backend=name)
        simulation.hold({"start": np.arange(8.0).reshape(2, 4)})
        simulation.run(40)
        fields[name] = np.concatenate([w.ravel() for line in net.connections for w in _field(simulation, line)])
        assert simulation.take_ledger().residual < 1e-12
    np.testing.assert_allclose(fields["cpu"], fields["reference"], rtol=0.0, atol=1e-12)


def _field(simulation, line):
    known = {rows.name for rows in simulation.plan.lines}
    return simulation.field(line) if line in known else ()


@pytest.mark.parametrize("z", [(1.0, 1.0), (0.3, 2.0)])
def test_scattering_is_reciprocal_and_passive(z):
    p = random_problem(3)
    cell = ControlCell(p.dynamics, p.cost, p.control_impedance)
    for node in (cell, ShuntAdmittance(p.cost), SeriesImpedance(p.control_impedance)):
        matrix = node.scattering(*z)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        assert np.linalg.norm(matrix, 2) <= 1.0 + 1e-12
    transformer = ControlCell(p.dynamics, 0.0 * p.cost, 0.0 * p.cost).scattering(*z)
    np.testing.assert_allclose(transformer @ transformer.T, np.eye(8), atol=1e-12)  # lossless


def test_refusals():
    with pytest.raises(NetworkError, match="must be symmetric"):
        ShuntAdmittance(np.array([[1.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(NetworkError, match="no negative eigenvalue"):
        SeriesImpedance(np.array([[-1.0]]))
    with pytest.raises(NetworkError, match="three square matrices of one size"):
        ControlCell(np.eye(3), np.eye(2), np.eye(2))
    with pytest.raises(NetworkError, match="effort must have positive eigenvalues"):
        LinearQuadratic(np.eye(2), np.ones((2, 1)), np.eye(2), np.zeros((1, 1)))


def pendulum(steps=24, duration=6.0, weight=20.0) -> Plant:
    """Swing up: torque from hanging (pi) to upright (0)."""
    return Plant(
        start=np.array([np.pi, 0.0]),
        controls=1,
        steps=steps,
        h=duration / steps,
        rate=lambda x, u: np.stack([x[1], np.sin(x[0]) + u[0]]),
        pull=lambda x, u, k: (np.stack([np.cos(x[0]) * k[1], k[0]]), k[1:2].copy()),
        running=lambda x, u: 0.5 * u[0] ** 2,
        running_slope=lambda x, u: (np.zeros_like(x), u),
        terminal=lambda x: 0.5 * weight * float(x @ x),
        terminal_slope=lambda x: weight * x,
    )


def test_gradient_of_a_plant():
    plant, rng = pendulum(), np.random.default_rng(0)
    u, d = rng.normal(size=(2, 1, 24))
    difference = (plant.cost(u + 1e-5 * d) - plant.cost(u - 1e-5 * d)) / 2e-5
    assert float(np.sum(plant.gradient(u) * d)) == pytest.approx(difference, rel=1e-7)


def test_pendulum_relaxes_to_the_optimum():
    plant = pendulum()
    found = relax(plant, damping=3.0, mobility=10.0, tolerance=1e-7)
    assert found.settled

    def cost(v):
        return plant.cost(v[None]), plant.gradient(v[None]).ravel()

    reference = minimize(cost, np.zeros(24), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-8})
    assert found.cost == pytest.approx(reference.fun, rel=1e-6)
    np.testing.assert_allclose(found.controls[0], reference.x, atol=1e-4)
    np.testing.assert_allclose(found.states, plant.roll(found.controls), atol=1e-5)  # the waves' states are real states
