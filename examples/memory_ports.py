"""Ports with memory: train on a new batch at every tick, and see where time of flight bounds the learning rate.

    python examples/memory_ports.py                                   # the map of the docs
    python examples/memory_ports.py --epochs 1 --delays 1 --rates 0.1     # a quick look

A port that keeps the forward wave until its echo is back multiplies each returning error with the wave it belongs to,
so nothing has to be held: one batch per tick trains. What a port hears is one round trip old, and a delayed feedback
``theta' = -mu lam theta(t - T)`` is stable only for ``mu lam T < pi/2``: the map of delay x rate shows it, with and
without memory, and the bound drawn with the largest curvature of the loss at the start.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small matrix products: see examples/dwell.py

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from devices import Gradient
from substrate import Line
from substrate.errors import DivergenceError
from substrate.learning.backprop import Backprop
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import TrainSettings
from substrate.learning.training import Trainer, targets
from substrate.plots.style import new_figure, panel_title, paper_style, save

DT = 10e-12  # s, one tick
SIZES = (64, 48, 32, 10)
SPLIT = 3  # seed of the split, as in examples/digits.toml


def one_run(job: dict[str, Any]) -> dict[str, Any]:
    """Train with a new batch at every tick; a run whose waves or parameters blow up has accuracy nan."""
    network = layered(SIZES, line=Line(delay=job["delay"] * DT), memory=job["memory"], seed=job["seed"])
    settings = TrainSettings(
        dt=DT, dwell=DT, batch=job["batch"], epochs=job["epochs"], seed=job["seed"], dtype="float32"
    )
    data = load_dataset("digits", seed=SPLIT)
    try:
        with np.errstate(all="ignore"):
            summary = Trainer(network, data, Gradient(rate=job["rate"] / DT), settings).run()
    except DivergenceError:
        return {**job, "accuracy": float("nan"), "backprop_accuracy": float("nan")}
    return {**job, "accuracy": summary["accuracy"], "backprop_accuracy": summary["backprop_accuracy"]}


def largest_curvature(seed: int, steps: int = 30) -> float:
    """Largest eigenvalue of the Hessian of the mean loss at the start, by power iteration on differences of
    gradients."""
    network, data = layered(SIZES, line=Line(delay=DT), seed=seed), load_dataset("digits", seed=SPLIT)
    reference, parameters = Backprop(network), network.parameters()
    y = targets(data.y_train, data.classes)
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=value.shape) for name, value in parameters.items()}
    size, step = 0.0, 1e-4
    for _ in range(steps):
        length = np.sqrt(sum(float(np.sum(v**2)) for v in direction.values()))
        direction = {name: v / length for name, v in direction.items()}
        sides = [{n: p + s * step * direction[n] for n, p in parameters.items()} for s in (1.0, -1.0)]
        up, down = (reference.gradient(side, data.x_train, y)[1] for side in sides)
        direction = {name: (up[name] - down[name]) / (2.0 * step) for name in parameters}
        size = float(np.sqrt(sum(float(np.sum(v**2)) for v in direction.values())))
    return size


def draw(rows: list[dict[str, Any]], curvature: float, path: Path) -> None:
    """Two maps of accuracy over delay and rate, without and with memory, and the bound."""
    delays, rates = (sorted({row[key] for row in rows}) for key in ("delay", "rate"))
    with paper_style():
        figure = new_figure(2.8)
        panels = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
        for letter, axes, memory in zip("ab", panels, (False, True), strict=True):
            grid = np.full((len(rates), len(delays)), np.nan)
            for row in rows:
                if row["memory"] == memory:
                    grid[rates.index(row["rate"]), delays.index(row["delay"])] = np.nan_to_num(row["accuracy"], nan=0.1)
            image = axes.imshow(grid, origin="lower", aspect="auto", cmap="cividis", vmin=0.1, vmax=1.0)
            for i, j in np.ndindex(grid.shape):
                if np.isfinite(grid[i, j]):
                    colour = "black" if grid[i, j] > 0.6 else "white"
                    axes.text(j, i, f"{grid[i, j]:.3f}", ha="center", va="center", color=colour, fontsize=6)
            _draw_bound(axes, delays, rates, curvature)
            panel_title(axes, letter, "ports with memory" if memory else "ports without memory")
            axes.set_xticks(range(len(delays)), [f"{6 * delay}" for delay in delays])
            axes.set_xlabel("round trip (ticks)")
        panels[0].set_yticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        panels[0].set_ylabel("learning rate per tick")
        figure.colorbar(image, ax=panels, label="accuracy on the test set")
        save(figure, path)


def _draw_bound(axes: Any, delays: list[int], rates: list[float], curvature: float) -> None:
    if len(delays) < 2 or len(rates) < 2:
        return
    x = np.linspace(-0.5, len(delays) - 0.5, 100)
    delay = np.exp(np.interp(x, range(len(delays)), np.log(delays)))
    bound = np.pi / 2.0 / (curvature * 6.0 * delay)
    spacing = (np.log(rates[-1]) - np.log(rates[0])) / (len(rates) - 1)
    axes.plot(x, (np.log(bound) - np.log(rates[0])) / spacing, color="white", linestyle="--")
    axes.set_ylim(-0.5, len(rates) - 0.5)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delays", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="ticks per line")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3, 1.0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/memory.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/memory.json"))
    return parser.parse_args(arguments)


def main() -> None:
    """Run, print, write and draw the map."""
    options = parse()
    common = {"epochs": options.epochs, "batch": options.batch, "seed": options.seed}
    grid = [(delay, rate, memory) for delay in options.delays for rate in options.rates for memory in (False, True)]
    jobs = [{"delay": delay, "rate": rate, "memory": memory, **common} for delay, rate, memory in grid]
    if options.jobs == 1:
        rows = [one_run(job) for job in jobs]
    else:
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            rows = list(pool.map(one_run, jobs))
    curvature = largest_curvature(options.seed)
    for row in rows:
        kind = "memory" if row["memory"] else "none"
        print(f"{row['delay']:>3} ticks per line, rate {row['rate']:<5g} {kind:>6}: {row['accuracy']:.4f}")
    bound = np.pi / 2.0 / curvature
    print(f"largest curvature at the start {curvature:.3g}: bound at rate x round trip = {bound:.3g} ticks")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": common | {"curvature": curvature}, "rows": rows}, indent=1) + "\n")
    draw(rows, curvature, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
