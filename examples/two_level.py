"""Drive a two-level quantum system from one pole to the other on waves (docs/theory.md, "Control").

    python examples/two_level.py                 # the figure of the docs, about half a minute
    python examples/two_level.py --limit 2000    # a quick look that has not settled

A qubit with the Hamiltonian ``(sigma_z + u(t) sigma_x) / 2``: its Bloch vector turns about ``(u, 0, 1)``. The ladder
looks for the drive of least energy ``u^2 / 2`` that carries it from north to south, missing at the cost
``4 |r - south|^2 / 2``. The problem is not convex and ``u = 0`` is stationary, so it starts from a weak resonant
drive. Run twice: with the damping (the augmented-Lagrangian term) strong enough to settle, and too weak, where waves
ring for ever.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from substrate.learning.relaxation import Plant, Relaxed, relax
from substrate.plots.style import BLUE, GREEN, ORANGE, RED, new_figure, paper_style, save

DURATION, WEIGHT = 10.0, 4.0  # in units of 1 / splitting; cost of missing the south pole
SOUTH = np.array([0.0, 0.0, -1.0])
STRONG, WEAK = 4.0, 0.3  # damping


def qubit(steps: int) -> Plant:
    """The plant: the Bloch vector of a qubit under one drive; it stays on the sphere."""
    return Plant(
        start=np.array([0.0, 0.0, 1.0]),
        controls=1,
        steps=steps,
        h=DURATION / steps,
        rate=lambda r, u: np.stack([-r[1], r[0] - u[0] * r[2], u[0] * r[1]]),
        pull=lambda r, u, k: (
            np.stack([k[1], -k[0] + u[0] * k[2], -u[0] * k[1]]),
            (r[1] * k[2] - r[2] * k[1])[None],
        ),
        running=lambda r, u: 0.5 * u[0] ** 2,
        running_slope=lambda r, u: (np.zeros_like(r), u),
        terminal=lambda r: 0.5 * WEIGHT * float((r - SOUTH) @ (r - SOUTH)),
        terminal_slope=lambda r: WEIGHT * (r - SOUTH),
    )


def resonant(steps: int) -> np.ndarray:
    """A weak drive at the splitting, from which all start."""
    return 0.3 * np.cos((np.arange(steps) + 0.5) * DURATION / steps)


def direct(plant: Plant, starts: int) -> list[tuple[float, np.ndarray]]:
    """Cost and drive by L-BFGS-B from the resonant drive, and from it with noise; the best first."""

    def cost(v: np.ndarray) -> tuple[float, np.ndarray]:
        return plant.cost(v[None]), plant.gradient(v[None]).ravel()

    rng, found = np.random.default_rng(0), []
    for k in range(starts):
        guess = resonant(plant.steps) + 0.2 * k * rng.normal(size=plant.steps)
        best = minimize(cost, guess, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "maxiter": 5000})
        found.append((float(best.fun), best.x))
    return sorted(found, key=lambda pair: pair[0])


def population(plant: Plant, u: np.ndarray) -> float:
    """Of the upper level's partner at the end: ``(1 - z) / 2``."""
    return float(0.5 * (1.0 - plant.roll(u)[2, -1]))


def draw(plant: Plant, found: Relaxed, weak: Relaxed, reference: tuple[float, np.ndarray], path: Path) -> None:
    """Bloch vector, drive, and how both relaxations went."""
    with paper_style():
        figure = new_figure(2.4)
        left, middle, right = figure.subplots(1, 3)
        times = np.linspace(0.0, DURATION, plant.steps + 1)
        for row, name, colour in zip(found.states, "xyz", (BLUE, GREEN, RED), strict=True):
            left.plot(times, row, color=colour, label=name)
        left.set_title("a   Bloch vector (voltages)")
        left.legend()
        middle.step(
            times, np.append(found.controls[0], found.controls[0, -1]), where="post", color=BLUE, label="ladder"
        )
        middle.plot(times[:-1] + 0.5 * plant.h, reference[1], color=ORANGE, linewidth=1.0, label="direct")
        middle.set_title("b   Drive")
        middle.legend()
        right.semilogy(found.history[:, 0], found.history[:, 1], color=BLUE, label=f"damping {STRONG:g}")
        right.semilogy(weak.history[:, 0], weak.history[:, 1], color=RED, label=f"damping {WEAK:g}")
        right.set_title(f"c   Cost {found.cost:.5f}, direct {reference[0]:.5f}")
        right.set_xlabel("optimisation time (√(LC))")
        right.set_ylabel("largest violation")
        right.legend()
        for axes in (left, middle):
            axes.set_xlabel("time (1 / splitting)")
        save(figure, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="steps of time")
    parser.add_argument("--limit", type=int, default=60_000, help="leapfrog steps at most")
    parser.add_argument("--starts", type=int, default=4, help="starts of the direct optimisation")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/two_level.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/two_level.json"))
    return parser.parse_args(arguments)


def main() -> None:
    """Relax twice, compare, write and draw."""
    options = parse()
    plant, guess = qubit(options.steps), resonant(options.steps)[None]
    started = time.perf_counter()
    found = relax(plant, guess=guess, damping=STRONG, mobility=1.0, tolerance=1e-7, limit=options.limit)
    wall = time.perf_counter() - started
    weak = relax(plant, guess=guess, damping=WEAK, mobility=1.0, tolerance=1e-7, limit=options.limit // 3)
    reference = direct(plant, options.starts)
    best = reference[0]
    print(f"ladder: cost {found.cost:.9f}, settled {found.settled} after {found.steps} steps, {wall:.1f} s")
    print(f"direct optimisation, best of {options.starts}: {best[0]:.9f} ({found.cost / best[0] - 1.0:+.1e})")
    print(f"population at the south pole: {population(plant, found.controls):.6f}")
    print(f"with damping {WEAK:g}: residual {weak.residual:.1e} after {weak.steps} steps, settled {weak.settled}")
    row = {
        "cost": found.cost,
        "direct": best[0],
        "all_direct": [cost for cost, _ in reference],
        "residual": found.residual,
        "settled": found.settled,
        "weak_residual": weak.residual,
        "population": population(plant, found.controls),
    }
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": {"steps": options.steps}, "rows": [row]}, indent=1) + "\n")
    draw(plant, found, weak, best, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
