"""Linear-quadratic optimal control as a line of control cells: its input admittance solves the Riccati equation."""

from dataclasses import dataclass

import numpy as np

from substrate.compile import compile_network
from substrate.errors import NetworkError
from substrate.learning.settling import Settling, settle
from substrate.network import Line, Network
from substrate.nodes.control import ControlCell, ShuntAdmittance
from substrate.nodes.reciprocal import NOMINAL_IMPEDANCE, IdealSource, ReciprocalLoad, Transformer
from substrate.simulation import Simulation


@dataclass(frozen=True)
class LinearQuadratic:
    """Minimise ``sum_k x_k^T Q x_k + u_k^T R u_k`` plus ``x_N^T P x_N``, subject to ``x_(k+1) = A x_k + B u_k``.

    ``dynamics`` A is ``[n, n]``, ``inputs`` B is ``[n, m]``, ``cost`` Q ``[n, n]``, ``effort`` R ``[m, m]``,
    ``terminal`` P ``[n, n]`` (None: none). Raises NetworkError.

    >>> LinearQuadratic(np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1)).control_impedance
    array([[1., 1.],
           [1., 1.]])
    """

    dynamics: np.ndarray
    inputs: np.ndarray
    cost: np.ndarray
    effort: np.ndarray
    terminal: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, m = np.shape(self.inputs)
        for name, shape in (("dynamics", (n, n)), ("cost", (n, n)), ("effort", (m, m)), ("terminal", (n, n))):
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise NetworkError(
                    f"With inputs of shape {(n, m)}, {name} must be {shape}, but it is {np.shape(value)}"
                )
        if np.linalg.eigvalsh(self.effort)[0] <= 0.0:
            raise NetworkError("Every control needs a cost: effort must have positive eigenvalues only")

    @property
    def control_impedance(self) -> np.ndarray:
        """``B R^-1 B^T``, the impedance in series with every cell."""
        s = self.inputs @ np.linalg.solve(self.effort, self.inputs.T)
        return 0.5 * (s + s.T)


@dataclass(frozen=True)
class OptimalPath:
    """What a settled line of cells says: one path per starting point.

    ``states[N + 1, n, starts]`` (voltages), ``costates[N + 1, n, starts]`` (currents), ``controls[N, m, starts]`` and
    how well it had settled. The cost of a path is ``x_0 . costates[0]``.
    """

    states: np.ndarray
    costates: np.ndarray
    controls: np.ndarray
    settling: Settling


def control_line(problem: LinearQuadratic, steps: int, line: Line) -> Network:
    """A source of the starting state, ``steps`` control cells and the terminal cost, with ``line`` between all of them.

    The line between cell k and cell k + 1 is ``line<k+1>``; ``line0`` leads to the first. Raises NetworkError.

    >>> problem = LinearQuadratic(np.eye(2), np.ones((2, 1)), np.eye(2), np.eye(1))
    >>> print(control_line(problem, 3, Line(delay=1e-12)))
    Network of 7 nodes, 5 lines
    """
    if steps < 1:
        raise NetworkError(f"A control problem has at least one step, but steps={steps}")
    n = len(problem.cost)
    net = Network()
    net.add(IdealSource(n), "start")
    net.add(Transformer(np.eye(n)), "feed")
    net.connect("start", "feed")
    cell, before = ControlCell(problem.dynamics, problem.cost, problem.control_impedance), "feed"
    for k in range(steps):
        here = net.add(cell, f"cell{k}")
        net.connect(before, here, line, f"line{k}")
        before = here
    last = net.add(ShuntAdmittance(np.zeros((n, n)) if problem.terminal is None else problem.terminal), "terminal")
    net.connect(before, last, line, f"line{steps}")
    net.connect(last, net.add(ReciprocalLoad(n, "mse", beta=0.0), "open"), line, "end")
    return net


def solve_on_waves(
    problem: LinearQuadratic,
    steps: int,
    starts: np.ndarray,
    *,
    line: Line | None = None,
    tolerance: float = 1e-13,
    limit: int = 200_000,
    backend: str = "cpu",
) -> OptimalPath:
    """Let the waves of a :func:`control_line` settle and read the optimal paths from ``starts[samples, n]``.

    ``line`` (None: one step of 1 ps with a low-pass of 1 ps) joins the cells. ``settling.settled`` says whether the
    field came to rest within ``limit`` steps, to ``tolerance`` over a round trip of the whole line. Raises
    NetworkError.

    >>> problem = LinearQuadratic(np.eye(1), np.eye(1), np.eye(1), np.eye(1))
    >>> path = solve_on_waves(problem, 24, np.ones((1, 1)))
    >>> round(float(path.costates[0, 0, 0]), 9)  # the Riccati solution, (1 + sqrt(5)) / 2
    1.618033989
    """
    line = line or Line(1e-12, lowpass=1e-12)
    network = control_line(problem, steps, line)
    plan = compile_network(network, line.delay)
    starts = np.atleast_2d(starts)
    simulation = Simulation(plan, batch=len(starts), backend=backend)
    simulation.hold({"start": starts})
    settling = settle(simulation, tolerance, limit, 2 * (steps + 2))
    z = line.impedance / NOMINAL_IMPEDANCE
    fields = [simulation.field(f"line{k}") for k in range(steps + 1)]
    # The state enters cell k at the far end of line k; the costate is the current there.
    states = np.stack([np.sqrt(z) * (a[:, -1] + b[:, -1]) for a, b in fields])
    costates = np.stack([(a[:, -1] - b[:, -1]) / np.sqrt(z) for a, b in fields])
    gain = np.linalg.solve(problem.effort, problem.inputs.T)
    controls = -np.einsum("mn,knb->kmb", gain, costates[1:])
    return OptimalPath(states, costates, controls, settling)


def input_admittance(problem: LinearQuadratic, steps: int, **options: object) -> np.ndarray:
    """``[n, n]``: current into a line of ``steps`` cells per volt; for a long line the Riccati solution.

    ``options`` as in :func:`solve_on_waves`.

    >>> problem = LinearQuadratic(np.eye(1), np.eye(1), np.eye(1), np.eye(1))
    >>> input_admittance(problem, 1).round(12)  # one step without terminal cost: Q alone
    array([[1.]])
    """
    n = len(problem.cost)
    return solve_on_waves(problem, steps, np.eye(n), **options).costates[0]  # type: ignore[arg-type]
