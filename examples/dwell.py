"""The dwell-to-transit study: how long must a batch be held for a substrate to learn? (docs/training.md)

    python examples/dwell.py                                # the figure of the docs
    python examples/dwell.py --epochs 2 --seeds 1 --dwells 1 4   # a quick look

Trains 64-48-32-10 on the digits with ideal gradient ports on lossless lines of one and of four ticks, from a dwell of
one tick to ten round trips, with the same learning rate per batch throughout, and digital backpropagation beside it.
"""

import os

# Many small matrix products: a second thread inside each costs more than it gives, and two runs side by side use both
# cores. `python examples/dwell.py --threads` measures it: 1.4 s with one thread each, 7.5 s with two, on two cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from devices import Gradient
from substrate import Line
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import TrainSettings
from substrate.learning.training import Trainer
from substrate.plots.style import BLUE, GREY, ORANGE, RED, new_figure, paper_style, save

DT = 10e-12  # s, one tick
SIZES = (64, 48, 32, 10)
ROUND_TRIPS = (1 / 24, 1 / 12, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
CHANCE = 0.1
COMMON = ("rate", "epochs", "batch", "per_line", "labels_at_once")  # options that all runs share
LOOKS = {1: (BLUE, "o"), 4: (RED, "s")}


def one_run(job: dict[str, Any]) -> dict[str, Any]:
    """Train once; ``job`` holds delay and dwell in ticks, the learning rate per batch, epochs, batch and seed."""
    dwell = job["dwell"] * DT
    network = layered(SIZES, line=Line(delay=job["delay"] * DT), seed=job["seed"])
    interval = None if job["per_line"] else DT  # None: once per line delay
    settings = TrainSettings(
        dt=DT, dwell=dwell, device_interval=interval, batch=job["batch"], epochs=job["epochs"], seed=job["seed"]
    )
    data = load_dataset("digits", seed=job["seed"])
    trainer = Trainer(network, data, Gradient(rate=job["rate"] / dwell), settings)
    if job["labels_at_once"]:
        trainer.presenter.transit = 0
    summary = trainer.run()
    kept = ("accuracy", "backprop_accuracy", "round_trips_per_batch", "ledger_residual", "wall_s")
    return {**job, **{name: summary[name] for name in kept}}


def list_jobs(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every run of the study, the longest first so that no worker is left with it at the end."""
    jobs = []
    for delay in options.delays:
        round_trip = 2 * (len(SIZES) - 1) * delay
        dwells = sorted({round(share * round_trip) for share in options.dwells if _whole(share * round_trip)})
        for dwell in dwells:
            for seed in range(options.seeds):
                common = {name: getattr(options, name) for name in COMMON}
                jobs.append({"delay": delay, "dwell": dwell, "seed": seed, **common})
    return sorted(jobs, key=lambda job: -job["dwell"])


def _whole(ticks: float) -> bool:
    return round(ticks) >= 1 and abs(ticks - round(ticks)) < 1e-9


def run_jobs(jobs: list[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    """All runs, ``workers`` side by side."""
    if workers == 1:
        return [one_run(job) for job in jobs]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(one_run, jobs))


def table(results: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Mean, lowest and highest accuracy over the seeds, per delay and dwell."""
    rows = []
    for delay, dwell in sorted({(r["delay"], r["dwell"]) for r in results}):
        same = [r for r in results if (r["delay"], r["dwell"]) == (delay, dwell)]
        found = [r["accuracy"] for r in same]
        rows.append(
            {
                "ticks_per_line": delay,
                "dwell_ticks": dwell,
                "round_trips": same[0]["round_trips_per_batch"],
                "accuracy_mean": float(np.mean(found)),
                "accuracy_min": min(found),
                "accuracy_max": max(found),
                "backprop_mean": float(np.mean([r["backprop_accuracy"] for r in same])),
                "backprop_min": min(r["backprop_accuracy"] for r in same),
                "backprop_max": max(r["backprop_accuracy"] for r in same),
            }
        )
    return rows


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Test accuracy against dwell: the whole range, and the top of it enlarged."""
    with paper_style():
        figure = new_figure(2.9)
        whole, top = figure.subplots(1, 2)
        for axes in (whole, top):
            _draw_curves(axes, rows)
        whole.axhline(CHANCE, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        whole.text(0.99, CHANCE + 0.01, "chance", transform=whole.get_yaxis_transform(), color=GREY, ha="right")
        whole.set_ylim(0.0, 1.02)
        top.set_ylim(0.88, 1.0)
        top.set_xlim(0.85, 12.0)
        whole.set_title("a   From one tick to ten round trips")
        top.set_title("b   From one round trip on")
        whole.set_ylabel("accuracy on the test set")
        whole.legend(loc="lower right", bbox_to_anchor=(1.0, 0.14))
        save(figure, path)


def _draw_curves(axes: Axes, rows: list[dict[str, float]]) -> None:
    for delay in sorted({row["ticks_per_line"] for row in rows}):
        some = [row for row in rows if row["ticks_per_line"] == delay]
        colour, marker = LOOKS.get(int(delay), (GREY, "D"))
        x = [row["round_trips"] for row in some]
        mean = np.array([row["accuracy_mean"] for row in some])
        ends = np.array([[row["accuracy_min"] for row in some], [row["accuracy_max"] for row in some]])
        name = f"{int(delay)} tick{'s' if delay > 1 else ''} per line"
        axes.errorbar(
            x, mean, np.abs(ends - mean), color=colour, marker=marker, markersize=3.5, elinewidth=0.8, label=name
        )
    low, high = min(row["backprop_min"] for row in rows), max(row["backprop_max"] for row in rows)
    axes.axhspan(low, high, color=ORANGE, alpha=0.25, linewidth=0)
    axes.axhline(float(np.mean([row["backprop_mean"] for row in rows])), color=ORANGE, label="digital backprop")
    axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), label="one round trip")
    axes.set_xscale("log")
    axes.set_xticks([1 / 24, 1 / 6, 1 / 2, 1, 2, 4, 10], ["1/24", "1/6", "1/2", "1", "2", "4", "10"])
    axes.minorticks_off()
    axes.set_xlabel("dwell (round trips)")


def measure_threads(options: argparse.Namespace) -> None:
    """Print how long two runs side by side take with one and with two threads each for matrix products."""
    job = {name: getattr(options, name) for name in COMMON} | {"delay": 1, "dwell": 24, "seed": 0, "epochs": 5}
    for threads in ("1", "2"):
        os.environ["OPENBLAS_NUM_THREADS"] = threads
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            list(pool.map(one_run, [{**job, "epochs": 1}] * 2))  # start and compile
            started = time.perf_counter()
            list(pool.map(one_run, [job] * 2))
        print(f"two runs side by side, {threads} thread(s) each: {time.perf_counter() - started:.2f} s")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds: each has its own split, start and order")
    parser.add_argument("--rate", type=float, default=0.3, help="learning rate per batch, the same at every dwell")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--dwells", type=float, nargs="+", default=list(ROUND_TRIPS), help="in round trips")
    parser.add_argument("--delays", type=int, nargs="+", default=[1, 4], help="ticks per line")
    parser.add_argument("--per-line", action="store_true", help="devices move once per line delay, not at every tick")
    parser.add_argument("--labels-at-once", action="store_true", help="targets change with the input, no transit later")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/dwell.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/dwell.json"))
    parser.add_argument("--threads", action="store_true", help="measure threads instead, and stop")
    return parser.parse_args(arguments)


def main() -> None:
    """Run, print, write and draw the study."""
    options = parse()
    if options.threads:
        measure_threads(options)
        return
    started = time.perf_counter()
    results = run_jobs(list_jobs(options), options.jobs)
    rows = table(results)
    print(f"{'ticks/line':>10} {'dwell':>6} {'round trips':>12} {'accuracy (min..max)':>24} {'backprop':>9}")
    for row in rows:
        spread = f"{row['accuracy_mean']:.4f} ({row['accuracy_min']:.4f}..{row['accuracy_max']:.4f})"
        times = f"{row['ticks_per_line']:>10} {row['dwell_ticks']:>6} {row['round_trips']:>12.4g}"
        print(f"{times} {spread:>24} {row['backprop_mean']:>9.4f}")
    wall = time.perf_counter() - started
    worst = max(result["ledger_residual"] for result in results)
    print(f"{len(results)} runs of {options.epochs} epochs in {wall:.0f} s; worst ledger residual {worst:.1e}")
    about = {name: getattr(options, name) for name in ("seeds", *COMMON)}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": about, "rows": rows}, indent=1) + "\n")
    draw(rows, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
