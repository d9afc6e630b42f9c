"""What a real memristor costs: the digits with RRAM of soft bounds instead of ideal ports (docs/training.md).

    python examples/rram_asymmetry.py                       # the figure of the docs
    python examples/rram_asymmetry.py --epochs 2 --seeds 1  # a quick look

First the asymmetry alone is turned up, from steps that are equal up and down to soft bounds; then the card's noises and
spreads are added one at a time, and all together. Weights sit on the device, biases on ideal ports.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # examples/dwell.py says why

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from devices import Device, Gradient, SoftBounds, card
from devices.linear_step import LinearStep
from substrate import Line
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import TrainSettings
from substrate.learning.training import Trainer
from substrate.plots.style import BLUE, GREY, ORANGE, RED, new_figure, paper_style, save

DT = 10e-12  # s, one tick
DWELL = 24 * DT  # four round trips of three lines of one tick
SIZES = (64, 48, 32, 10)
DIAL = (0.0, 0.5)  # 1 is the law of soft bounds, trained anyway
VARIANTS = {
    "ideal": "ideal gradient ports",
    "soft bounds": "soft bounds alone",
    "write noise": "soft bounds + write noise",
    "spread": "soft bounds + device-to-device",
    "cycle": "soft bounds + cycle-to-cycle",
    "card": "the card: all of them",
}


def make_device(kind: str, rate: float) -> Device:
    """The device of a variant, or ``dial X``: steps that shrink by a share X towards the bounds; ``rate`` in 1/s."""
    if kind == "ideal":
        return Gradient(rate=rate)
    real = card("rram_soft_bounds", rate=rate)
    assert isinstance(real, SoftBounds)
    spreads = {field.name: getattr(real, field.name) for field in fields(real) if field.name.endswith("_spread")}
    quiet = replace(real, cycle_to_cycle=0.0, write_noise=0.0, **dict.fromkeys(spreads, 0.0))
    if kind.startswith("dial"):
        gamma = float(kind.split()[1])
        bounds = {"b_min": real.b_min, "b_max": real.b_max}
        return LinearStep(rate=rate, dw_min=real.dw_min, gamma_up=gamma, gamma_down=gamma, **bounds)
    return {
        "soft bounds": quiet,
        "write noise": replace(quiet, write_noise=real.write_noise),
        "spread": replace(quiet, **spreads),
        "cycle": replace(quiet, cycle_to_cycle=real.cycle_to_cycle),
        "card": real,
    }[kind]


def one_run(job: dict[str, Any]) -> dict[str, Any]:
    """Train once; ``job`` holds kind, learning rate per batch, epochs, batch and seed."""
    rate = job["rate"] / DWELL
    network = layered(SIZES, line=Line(delay=DT), seed=job["seed"])
    settings = TrainSettings(dt=DT, dwell=DWELL, batch=job["batch"], epochs=job["epochs"], seed=job["seed"])
    ports = {"*.bias": Gradient(rate=rate), "*": make_device(job["kind"], rate)}
    trainer = Trainer(network, load_dataset("digits", seed=job["seed"]), ports, settings)
    summary = trainer.run()
    weights = np.concatenate([v.ravel() for n, v in trainer.bank_values().items() if n.endswith(".matrix")])
    kept = ("accuracy", "test_loss", "ledger_residual")
    return {**job, "weights_rms": float(np.sqrt(np.mean(weights**2))), **{name: summary[name] for name in kept}}


def list_jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every run of the study."""
    kinds = [*VARIANTS, *(f"dial {gamma}" for gamma in options.dial)]
    common = {"epochs": options.epochs, "batch": options.batch}
    return [
        {"kind": kind, "rate": rate, "seed": seed, **common}
        for rate in options.rates
        for kind in kinds
        for seed in range(options.seeds)
    ]


def run_jobs(jobs: list[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """All runs, ``workers`` side by side."""
    if workers == 1:
        return [one_run(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(one_run, jobs))


def table(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, lowest and highest accuracy over the seeds, and what the weights became, per rate and kind."""
    rows = []
    for rate, kind in dict.fromkeys((r["rate"], r["kind"]) for r in results):
        same = [r for r in results if (r["rate"], r["kind"]) == (rate, kind)]
        found = [r["accuracy"] for r in same]
        rows.append(
            {
                "rate": rate,
                "kind": kind,
                "accuracy_mean": float(np.mean(found)),
                "accuracy_min": min(found),
                "accuracy_max": max(found),
                "test_loss": float(np.mean([r["test_loss"] for r in same])),
                "weights_rms": float(np.mean([r["weights_rms"] for r in same])),
            }
        )
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Test loss as the asymmetry is turned up, and accuracy for each effect of the card."""
    with paper_style():
        figure = new_figure(2.6)
        dial, effects = figure.subplots(1, 2, width_ratios=(1, 1.3))
        rates = list(dict.fromkeys(row["rate"] for row in rows))
        for place, (rate, colour) in enumerate(zip(rates, (BLUE, RED, ORANGE), strict=False)):
            some = [row for row in rows if row["rate"] == rate]
            _draw_dial(
                dial, [row for row in some if row["kind"] not in VARIANTS or row["kind"] == "soft bounds"], colour
            )
            _draw_effects(effects, [row for row in some if row["kind"] in VARIANTS], place, rate, colour)
        dial.set_ylim(bottom=0.0)
        dial.set_xlabel("asymmetry (0: equal steps, 1: soft bounds)")
        dial.set_ylabel("mean loss on the test set")
        dial.set_title("a   Asymmetry alone, turned up")
        effects.set_title("b   The effects of the card, one at a time")
        effects.set_yticks(range(len(VARIANTS)), list(VARIANTS.values()))
        effects.invert_yaxis()
        effects.grid(axis="x", color=GREY, alpha=0.2, linewidth=0.5)
        effects.set_xlabel("accuracy on the test set")
        effects.legend(loc="upper left", title="learning rate\nper batch", title_fontsize=7)
        save(figure, path)


def _draw_dial(axes: Axes, rows: list[dict[str, Any]], colour: str) -> None:
    place = {row["kind"]: 1.0 if row["kind"] == "soft bounds" else float(row["kind"].split()[1]) for row in rows}
    rows = sorted(rows, key=lambda row: place[row["kind"]])
    x = [place[row["kind"]] for row in rows]
    axes.plot(x, [row["test_loss"] for row in rows], color=colour, marker="o", markersize=3.5)


def _draw_effects(axes: Axes, rows: list[dict[str, Any]], place: int, rate: float, colour: str) -> None:
    y = [list(VARIANTS).index(row["kind"]) + 0.2 * place - 0.1 for row in rows]
    mean = np.array([row["accuracy_mean"] for row in rows])
    ends = np.array([[row["accuracy_min"] for row in rows], [row["accuracy_max"] for row in rows]])
    looks = {"color": colour, "marker": "o", "markersize": 3.5, "elinewidth": 0.8, "linestyle": "none"}
    axes.errorbar(mean, y, xerr=np.abs(ends - mean), label=f"{rate:g}", **looks)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds: each has its own split, start and noise")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.1, 0.3], help="learning rates per batch")
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--dial", type=float, nargs="*", default=list(DIAL), help="asymmetries from 0 to 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/rram.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/rram.json"))
    return parser.parse_args()


def main() -> None:
    """Run, print, write and draw the study."""
    options = parse()
    started = time.perf_counter()
    results = run_jobs(list_jobs(options), options.jobs)
    rows = table(results)
    print(f"{'rate':>5} {'device':32} {'accuracy (min..max)':>26} {'test loss':>10} {'rms weight':>11}")
    for row in rows:
        spread = f"{row['accuracy_mean']:.4f} ({row['accuracy_min']:.4f}..{row['accuracy_max']:.4f})"
        name = VARIANTS.get(row["kind"], row["kind"])
        print(f"{row['rate']:>5} {name:32} {spread:>26} {row['test_loss']:>10.4f} {row['weights_rms']:>11.4f}")
    wall = time.perf_counter() - started
    worst = max(result["ledger_residual"] for result in results)
    print(f"{len(results)} runs of {options.epochs} epochs in {wall:.0f} s; worst ledger residual {worst:.1e}")
    about = {name: getattr(options, name) for name in ("epochs", "seeds", "rates", "batch")}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": about, "rows": rows}, indent=1) + "\n")
    draw(rows, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
