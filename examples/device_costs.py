"""What real memories cost: the digits on every electronic card, and asymmetry with its cure (docs/devices.md).

    python examples/device_costs.py                                # the figures of the docs
    python examples/device_costs.py --epochs 2 --seeds 1 --cards rram_wan --rates 0.1 --cells 50   # a quick look

Every card of data/devices/ that enters the waves as a weight holds the matched weights of 64-48-32-10; the biases stay
ideal. A batch is held for a microsecond: 120 ps are simulated with waves, the rest is one step of the devices. Of the
learning rates, each card takes the one that serves the validation set best. The second study drives single cells with a
noisy gradient of a quadratic loss and compares where they come to rest with the closed form.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # examples/dwell.py says why
os.environ.setdefault("DEVICES_THREADS", "1")

import argparse
import json
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from devices import ChoppedTransfer, Device, Gradient, SoftBounds, Transfer, list_cards, load_card
from devices.cards import build
from devices.device import units
from devices.models import model_class
from substrate import Line
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import Trainer
from substrate.plots.style import BLUE, GREEN, GREY, ORANGE, RED, new_figure, paper_style, save

DT, DWELL = 10e-12, 1e-6  # s
DWELLS = {"domain_wall": 0.5e-9}  # a wall crosses its track in nanoseconds
SETTLE, INTERVAL = 12 * DT, 6 * DT  # two round trips of three lines of one tick; devices move once per round trip
SIZES = (64, 48, 32, 10)
# cards without a rate: the field that turns a drive into a voltage, a current or light, at rate 1 per batch
GAINS = {"vteam": ("volts", 1.0), "linear_ion_drift": ("volts", 1e3), "domain_wall": ("current", 1e13)}
GAINS["photorefractive_crystal"] = ("contrast", 1e3)
SIGMAS = (0.1, 0.25, 0.5, 1.0, 2.0)
GOAL = 0.6


def weight_cards() -> list[str]:
    """Cards whose state is a weight."""
    found = [(name, load_card(name).content.wave) for name in list_cards()]
    return [name for name, wave in found if wave is not None and wave.role == "weight"]


def make_device(name: str, per_batch: float) -> Device:
    """The device of a card, at a learning rate per batch."""
    card, dwell = load_card(name), DWELLS.get(name, DWELL)
    if "rate" in units(model_class(card.model)):
        more: dict[str, float] = {"rate": per_batch / dwell}
        if name == "ideal_momentum":
            more["time_constant"] = 3 * DWELL
        return build(card, more)
    field, size = GAINS[name]
    return build(card, {field: size * per_batch})


def one_run(job: dict[str, Any]) -> dict[str, Any]:
    """Train once; ``job`` holds card, learning rate per batch, epochs, batch and seed."""
    network = layered(SIZES, line=Line(delay=DT), seed=job["seed"], scale=2.0)
    device = make_device(job["card"], job["rate"])
    bounded = np.isfinite(device.states[0].hi - device.states[0].lo)
    record = RecordSettings(device_columns=("cycles",) if bounded else ())
    dwell = DWELLS.get(job["card"], DWELL)
    clock = {"dt": DT, "dwell": dwell, "settle": SETTLE, "device_interval": INTERVAL}
    settings = TrainSettings(**clock, batch=job["batch"], epochs=job["epochs"], seed=job["seed"], record=record)
    ports = {"*.bias": Gradient(rate=job["rate"] / dwell), "*": device}
    data = load_dataset("digits", seed=job["seed"], scale="centred")
    trainer = Trainer(network, data, ports, settings)
    summary = trainer.run()
    cells = sum(value.size for name, value in trainer.bank_values().items() if name.endswith(".matrix"))
    kept = ("accuracy", "validation_accuracy", "backprop_accuracy", "energy_per_update_J", "device_energy_per_update_J")
    return {
        **job,
        **{name: summary[name] for name in kept},
        "saturated": summary.get("devices_saturated", 0.0),
        "cycles_per_cell": summary.get("devices_cycles", 0.0) / cells,
        "ledger_residual": summary["ledger_residual"],
    }


def run_jobs(jobs: list[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """All runs, ``workers`` side by side."""
    if workers == 1:
        return [one_run(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(one_run, jobs))


def table(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per card, at its best rate by the validation set: means over the seeds, and the ends of the accuracy."""
    rows = []
    for name in dict.fromkeys(result["card"] for result in results):
        own = [result for result in results if result["card"] == name]
        by_rate = {rate: [r for r in own if r["rate"] == rate] for rate in {r["rate"] for r in own}}
        best = max(by_rate, key=lambda rate: float(np.mean([r["validation_accuracy"] for r in by_rate[rate]])))
        same = by_rate[best]
        mean = {
            key: float(np.mean([r[key] for r in same]))
            for key in (
                "accuracy",
                "backprop_accuracy",
                "energy_per_update_J",
                "device_energy_per_update_J",
                "saturated",
                "cycles_per_cell",
            )
        }
        ends = {"accuracy_min": min(r["accuracy"] for r in same), "accuracy_max": max(r["accuracy"] for r in same)}
        rows.append({"card": name, "rate": best, **mean, **ends})
    return sorted(rows, key=lambda row: -row["accuracy"])


# --- asymmetry --------------------------------------------------------------------------------------------------------


def fixed_point(sigma: float) -> float:
    """Where a soft-bounds cell of bounds +-1 comes to rest: theta - goal + theta E|g| = 0, g ~ N(theta - goal, sigma).

    >>> round(fixed_point(1.0), 4)
    0.3284
    """
    from math import erf, exp, pi, sqrt

    def excess(theta: float) -> float:
        mean = theta - GOAL
        size = sigma * sqrt(2 / pi) * exp(-(mean**2) / (2 * sigma**2)) + mean * erf(mean / (sigma * sqrt(2)))
        return mean + theta * size

    return float(brentq(excess, 0.0, GOAL))


def resting_place(device: Device, sigma: float, cells: int, steps: int, dt: float) -> dict[str, float]:
    """Mean over time and cells, and spread between cells, of values driven by a noisy gradient of a quadratic loss."""
    rng = np.random.default_rng(3)
    state = device.create(np.full(cells, GOAL), rng.standard_normal((device.initial_normals, cells)))
    total, none = np.zeros(cells), np.zeros((0, cells))
    for step in range(steps):
        gradient = device.value(np, state) - GOAL + sigma * rng.standard_normal(cells)
        device.advance(np, state, -gradient, dt, none)
        if step >= steps // 2:
            total += device.value(np, state)
    mean = total / (steps - steps // 2)
    return {"mean": float(mean.mean()), "spread": float(mean.std())}


def bias_study(cells: int, steps: int) -> list[dict[str, Any]]:
    """Resting places of plain cells, transfer, transfer with a wrong reference, and chopped transfer, per noise."""
    soft = SoftBounds(rate=1.0, dw_min=0.002)
    wrong = {"gain": 0.05, "reference_error": 0.1}
    rows = []
    for sigma in SIGMAS:
        runs = {
            "plain": resting_place(soft, sigma, cells, steps // 3, 0.005),
            "transfer": resting_place(Transfer(soft, soft, gain=0.2), sigma, cells, 2 * steps // 3, 0.005),
            "wrong": resting_place(Transfer(soft, soft, **wrong), sigma, cells, steps, 0.02),
            "chopped": resting_place(ChoppedTransfer(soft, soft, period=10.0, **wrong), sigma, cells, steps, 0.02),
        }
        rows.append({"sigma": sigma, "formula": fixed_point(sigma), **runs})
    return rows


# --- figures ----------------------------------------------------------------------------------------------------------


def draw_costs(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy, energy per update, wear and saturation of every card."""
    panels = {
        "accuracy": ("a   Test accuracy", BLUE),
        "device_energy_per_update_J": ("b   Energy/update (J)", ORANGE),
        "cycles_per_cell": ("c   Cycles per cell", RED),
        "saturated": ("d   Share at a bound", GREEN),
    }
    with paper_style():
        figure = new_figure(0.18 * len(rows) + 0.9)
        places = np.arange(len(rows))[::-1]
        for axes, (key, (title, colour)) in zip(figure.subplots(1, 4, sharey=True), panels.items(), strict=True):
            values = np.array([max(row[key], 0.0) for row in rows])
            axes.set_title(title)
            if key == "accuracy":
                axes.plot(values, places, "o", color=colour, markersize=3.5)
                ends = np.array([[r["accuracy"] - r["accuracy_min"], r["accuracy_max"] - r["accuracy"]] for r in rows])
                axes.errorbar(values, places, xerr=ends.T, color=GREY, fmt="none", elinewidth=0.8)
                axes.axvline(float(np.mean([row["backprop_accuracy"] for row in rows])), color=GREY, linewidth=0.8)
                axes.set_yticks(places, [row["card"] for row in rows])
                continue
            axes.barh(places, values, color=colour, height=0.65)
            if key != "saturated" and np.any(values > 0):
                axes.set_xscale("log")
        save(figure, path)


def draw_bias(rows: list[dict[str, Any]], path: Path) -> None:
    """Resting places against the noise of the gradient, and what a wrong reference does to transfer."""
    x = [row["sigma"] for row in rows]
    fine = np.geomspace(SIGMAS[0], SIGMAS[-1], 60)
    with paper_style():
        figure = new_figure(2.6)
        left, right = figure.subplots(1, 2)
        left.plot(fine, [fixed_point(sigma) for sigma in fine], color=BLUE, linewidth=0.9, label="closed form")
        left.axhline(GOAL, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), label="optimum")
        means = {"plain": ("soft bounds", BLUE, "o"), "transfer": ("transfer, fast and slow cell", GREEN, "s")}
        for key, (name, colour, marker) in means.items():
            found = [row[key]["mean"] for row in rows]
            left.plot(x, found, color=colour, marker=marker, markersize=3.5, linestyle="none", label=name)
        left.set_ylabel("where cells rest")
        left.set_title("a   The bias of asymmetry, and transfer")
        spreads = {
            "wrong": ("transfer, references off by 0.1", RED, "v"),
            "chopped": ("the same, chopped", ORANGE, "D"),
        }
        for key, (name, colour, marker) in spreads.items():
            found = [row[key]["spread"] for row in rows]
            right.plot(x, found, color=colour, marker=marker, markersize=3.5, label=name)
        right.set_ylabel("spread between cells")
        right.set_title("b   Wrong references, and the chopper")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.set_xticks(x, [f"{sigma:g}" for sigma in x])
            axes.minorticks_off()
            axes.set_ylim(bottom=0.0)
            axes.set_xlabel("noise of the gradient (standard deviation)")
            axes.legend(loc="lower left" if axes is left else "upper left")
        save(figure, path)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cards", nargs="+", default=None, help="default: every card whose state is a weight")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds: each has its own split, start and noise")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.5, 2.0], help="learning rates per batch")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--cells", type=int, default=400, help="cells of the study of asymmetry")
    parser.add_argument("--steps", type=int, default=12_000, help="steps of its longest runs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    return parser.parse_args()


def main() -> None:
    """Run, print, write and draw both studies."""
    options = parse()
    warnings.simplefilter("ignore", UserWarning)  # unverified numbers are listed by `substrate devices --unverified`
    started = time.perf_counter()
    common = {"epochs": options.epochs, "batch": options.batch}
    jobs = [
        {"card": name, "rate": rate, "seed": seed, **common}
        for name in options.cards or weight_cards()
        for rate in options.rates
        for seed in range(options.seeds)
    ]
    results = run_jobs(jobs, options.jobs)
    rows = table(results)
    print(f"{'card':26} {'rate':>5} {'accuracy (min..max)':>24} {'J/update':>10} {'cycles':>8} {'saturated':>9}")
    for row in rows:
        spread = f"{row['accuracy']:.4f} ({row['accuracy_min']:.4f}..{row['accuracy_max']:.4f})"
        costs = f"{row['device_energy_per_update_J']:>10.2e} {row['cycles_per_cell']:>8.2f} {row['saturated']:>9.3f}"
        print(f"{row['card']:26} {row['rate']:>5} {spread:>24} {costs}")
    worst = max(result["ledger_residual"] for result in results)
    print(f"{len(results)} runs in {time.perf_counter() - started:.0f} s; worst ledger residual {worst:.1e}")
    biases = bias_study(options.cells, options.steps)
    for row in biases:
        found = ", ".join(f"{key} {row[key]['mean']:.4f}" for key in ("plain", "transfer", "wrong", "chopped"))
        print(f"noise {row['sigma']:g}: closed form {row['formula']:.4f}, {found}")
    options.out.mkdir(parents=True, exist_ok=True)
    about = {name: getattr(options, name) for name in ("epochs", "seeds", "rates", "batch", "cells", "steps")}
    content = {"study": about, "cards": rows, "asymmetry": biases, "runs": results}
    (options.out / "devices.json").write_text(json.dumps(content, indent=1) + "\n")
    draw_costs(rows, options.out / "devices_costs.png")
    draw_bias(biases, options.out / "devices_bias.png")
    print(f"wrote {options.out}/devices.json, devices_costs.png and devices_bias.png")


if __name__ == "__main__":
    main()
