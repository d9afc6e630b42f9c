"""Swing up a pendulum on waves: state, costate and torque relax at once (docs/theory.md, "Control").

    python examples/pendulum.py              # the figure of the docs, some seconds
    python examples/pendulum.py --steps 24   # a coarse one

The torque ``u`` swings a pendulum from hanging to upright, ``theta'' = sin theta + u``, at the cost ``u^2 / 2`` per
time and ``20 |x|^2 / 2`` at the end. Beside the ladder: direct optimisation of the same discrete problem (L-BFGS-B of
SciPy, with exact gradients), and the maximum principle in continuous time (``scipy.integrate.solve_bvp``).
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.integrate import solve_bvp
from scipy.optimize import minimize

from substrate.learning.relaxation import Plant, Relaxed, relax
from substrate.plots.style import BLUE, GREY, ORANGE, RED, new_figure, paper_style, save

DURATION, WEIGHT = 6.0, 20.0  # in units of sqrt(length / gravity); cost of missing the top


def pendulum(steps: int) -> Plant:
    """The plant: ``x = (angle from upright, rate)``, starting at the bottom."""
    return Plant(
        start=np.array([np.pi, 0.0]),
        controls=1,
        steps=steps,
        h=DURATION / steps,
        rate=lambda x, u: np.stack([x[1], np.sin(x[0]) + u[0]]),
        pull=lambda x, u, k: (np.stack([np.cos(x[0]) * k[1], k[0]]), k[1:2].copy()),
        running=lambda x, u: 0.5 * u[0] ** 2,
        running_slope=lambda x, u: (np.zeros_like(x), u),
        terminal=lambda x: 0.5 * WEIGHT * float(x @ x),
        terminal_slope=lambda x: WEIGHT * x,
    )


def direct(plant: Plant) -> tuple[float, np.ndarray]:
    """Cost and controls of the same problem by L-BFGS-B."""

    def cost(v: np.ndarray) -> tuple[float, np.ndarray]:
        return plant.cost(v[None]), plant.gradient(v[None]).ravel()

    found = minimize(cost, np.zeros(plant.steps), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "maxiter": 5000})
    return float(found.fun), found.x


def boundary_value(guess: Relaxed) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, times and torque of the continuous principle: ``u = -p2``, ``p' = -(df/dx)^T p``, ``p(T) = 20 x(T)``."""
    times = np.linspace(0.0, DURATION, guess.states.shape[1])
    costates = np.concatenate([guess.costates, guess.costates[:, -1:]], axis=1)

    def slope(t: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([y[1], np.sin(y[0]) - y[3], -np.cos(y[0]) * y[3], -y[2]])

    def ends(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([a[0] - np.pi, a[1], b[2] - WEIGHT * b[0], b[3] - WEIGHT * b[1]])

    found = solve_bvp(slope, ends, times, np.concatenate([guess.states, costates]), tol=1e-9, max_nodes=20_000)
    assert found.success, found.message
    fine = np.linspace(0.0, DURATION, 4001)
    y = found.sol(fine)
    cost = float(np.trapezoid(0.5 * y[3] ** 2, fine)) + 0.5 * WEIGHT * float(y[:2, -1] @ y[:2, -1])
    return cost, fine, -y[3]


def draw(plant: Plant, found: Relaxed, bvp: tuple[float, np.ndarray, np.ndarray], reference: float, path: Path) -> None:
    """The path, the torque, and how the waves came to rest."""
    with paper_style():
        figure = new_figure(2.4)
        left, middle, right = figure.subplots(1, 3)
        times = np.linspace(0.0, DURATION, plant.steps + 1)
        left.plot(times, found.states[0], color=BLUE, label="angle (voltage)")
        left.plot(times, found.states[1], color=RED, label="rate (voltage)")
        left.axhline(0.0, color=GREY, linewidth=0.6)
        left.set_title("a   State")
        left.legend()
        middle.step(
            times, np.append(found.controls[0], found.controls[0, -1]), where="post", color=BLUE, label="ladder"
        )
        middle.plot(bvp[1], bvp[2], color=ORANGE, linewidth=1.0, label="solve_bvp")
        middle.set_title("b   Torque")
        middle.legend()
        right.semilogy(found.history[:, 0], found.history[:, 1], color=BLUE)
        right.set_title(f"c   Cost {found.cost:.5f}, direct {reference:.5f}")
        right.set_xlabel("optimisation time (√(LC))")
        right.set_ylabel("largest violation")
        for axes in (left, middle):
            axes.set_xlabel("time (√(length / gravity))")
        save(figure, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="steps of time")
    parser.add_argument(
        "--tolerance", type=float, default=1e-8, help="largest violation at which the waves are at rest"
    )
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/pendulum.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/pendulum.json"))
    return parser.parse_args(arguments)


def main() -> None:
    """Relax, compare, write and draw."""
    options = parse()
    plant = pendulum(options.steps)
    started = time.perf_counter()
    found = relax(plant, damping=3.0, mobility=10.0, tolerance=options.tolerance)
    wall = time.perf_counter() - started
    reference, _ = direct(plant)
    bvp = boundary_value(found)
    print(f"ladder: cost {found.cost:.9f}, settled {found.settled} after {found.steps} steps, {wall:.1f} s")
    print(f"direct optimisation: {reference:.9f} ({found.cost / reference - 1.0:+.1e})")
    print(f"solve_bvp, continuous time: {bvp[0]:.9f} ({found.cost / bvp[0] - 1.0:+.1e})")
    rows = [
        {"cost": found.cost, "direct": reference, "bvp": bvp[0], "residual": found.residual, "settled": found.settled}
    ]
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": {"steps": options.steps}, "rows": rows}, indent=1) + "\n")
    draw(plant, found, bvp, reference, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
