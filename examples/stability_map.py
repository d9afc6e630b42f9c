"""Where a tanh transformer network settles, rings for ever, or runs away (docs/theory.md, "Stability").

    python examples/stability_map.py                     # the figure of the docs, some minutes
    python examples/stability_map.py --steps 400 --directions 1   # a quick look

The axes: the size of the error at the load, the strength ``beta`` with which the load nudges, and the damping of the
line ends. Error sizes and their directions run side by side as samples of one batch; each is judged on its own. Beside
the waves, the same map of the LC ladder.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from substrate import Line, Simulation, compile_network
from substrate.errors import DivergenceError
from substrate.learning.backprop import Backprop
from substrate.learning.ladder import Ladder
from substrate.learning.layered import INPUT, OUTPUT, layered
from substrate.network import Network
from substrate.plots.style import BLUE, GREY, RED, new_figure, paper_style, save

TICK = 1e-12  # s, delay of every line
SIZES = (12, 10, 6, 4)
ERRORS = tuple(np.logspace(-1.0, 2.0, 10).tolist())  # length of the error at the load, |z - y|
BETAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
LOWPASS = (0.0, 0.3, 1.0, 3.0)  # time constant of the line ends, in ticks
RESISTORS = (0.0, 0.3, 1.0, 3.0)  # conductance across each inductor of the ladder
SETTLES, RINGS, RUNS = "settles", "rings", "runs away"
SETTLED = 1e-4  # change of the field of a sample over 50 ticks, relative to its deviation from an undisturbed network
GROWN = 3.0  # energy over what it was half as many ticks ago, above which ringing is a runaway


def network(beta: float, lowpass: float) -> Network:
    """The network of the map."""
    line = Line(TICK, lowpass=lowpass * TICK)
    return layered(SIZES, line=line, weights="transformer", activation="tanh", loss="mse", beta=beta, seed=1)


def batch(directions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, targets and error sizes of all samples: each error size in some random directions."""
    rng = np.random.default_rng(0)
    sizes = np.repeat(ERRORS, directions)
    x = rng.uniform(-1.0, 1.0, (len(sizes), SIZES[0]))
    net = network(1.0, 1.0)
    away = rng.normal(size=(len(sizes), SIZES[-1]))
    away *= (sizes / np.linalg.norm(away, axis=1))[:, None]
    return x, Backprop(net).forward(net.parameters(), x) + away, sizes


def judge(pictures: list[np.ndarray], base: np.ndarray) -> list[str]:
    """What became of each sample: fields ``[cells, samples]`` half-way, just before, at the end; ``base`` at rest."""
    half, before, end = pictures
    change = np.linalg.norm(end - before, axis=0) / np.linalg.norm(end - base, axis=0)
    growth = np.sum(end**2, axis=0) / np.sum(half**2, axis=0)
    return [SETTLES if c < SETTLED else RUNS if g > GROWN else RINGS for c, g in zip(change, growth, strict=True)]


def waves(beta: float, lowpass: float, x: np.ndarray, y: np.ndarray, steps: int) -> list[str]:
    """The fate of every sample in the wave form."""
    net = network(beta, lowpass)
    simulation = Simulation(compile_network(net, TICK), batch=len(x))
    simulation.hold({INPUT: x, OUTPUT: y})

    def picture() -> np.ndarray:
        lines = [line.name for line in simulation.plan.lines]
        return np.concatenate([w.reshape(-1, len(x)) for name in lines for w in simulation.field(name)])

    pictures = []
    try:
        for portion in (steps // 2, steps - steps // 2 - 50, 50):
            simulation.run(portion)
            pictures.append(picture())
    except DivergenceError:
        return [RUNS] * len(x)
    return judge(pictures, undisturbed(net, x))


def undisturbed(net: Network, x: np.ndarray) -> np.ndarray:
    """The field at rest without any error: each line carries half its voltage each way."""
    values, h = net.parameters(), x.T
    cells = []
    for layer in range(1, len(SIZES)):
        v = values[f"w{layer}.matrix"] @ h + values[f"w{layer}.bias"][:, None]
        cells += [v / 2.0, v / 2.0]
        if layer < len(SIZES) - 1:
            h = np.tanh(v)
            cells += [h / 2.0, h / 2.0]
    return np.concatenate(cells)


def ladder(beta: float, damping: float, x: np.ndarray, y: np.ndarray, steps: int) -> list[str]:
    """The fate of every sample in the ladder form."""
    fates = []
    ladder = Ladder(network(beta, 1.0), x, y, beta=beta, damping=damping)
    pictures = []
    try:
        for portion in (steps // 2, steps - steps // 2 - 50, 50):
            ladder.step(portion)
            pictures.append(np.concatenate([*ladder.voltages, *ladder.currents]))
    except DivergenceError:
        return [RUNS] * len(x)
    free = Backprop(network(beta, 1.0))
    rest, h = [], x.T
    for layer in ladder.layers:
        h = layer.matrix @ (h if layer.phi is None else np.tanh(h)) + layer.bias[:, None]
        rest.append(h)
    assert np.allclose(rest[-1].T, free.forward(network(beta, 1.0).parameters(), x))
    base = np.concatenate([*rest, *(np.zeros_like(current) for current in ladder.currents)])
    fates = judge(pictures, base)
    return fates


def study(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every point of both maps: the shares of samples that settle, ring and run away."""
    x, y, sizes = batch(options.directions)
    rows = []
    for form, run, dampings in (("waves", waves, LOWPASS), ("ladder", ladder, RESISTORS)):
        for damping in dampings[:: options.thin]:
            for beta in BETAS[:: options.thin]:
                fates = np.array(run(beta, damping, x, y, options.steps))
                for size in ERRORS:
                    here = fates[sizes == size]
                    shares = {fate: float(np.mean(here == fate)) for fate in (SETTLES, RINGS, RUNS)}
                    rows.append({"form": form, "damping": damping, "beta": beta, "error": size, **shares})
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel per form and damping: error size across, beta upwards; the fate of most samples."""
    with paper_style():
        figure = new_figure(4.4)
        forms = ("waves", "ladder")
        dampings = {form: sorted({row["damping"] for row in rows if row["form"] == form}) for form in forms}
        axes = figure.subplots(2, len(dampings["waves"]), sharex=True, sharey=True, squeeze=False)
        colours = ListedColormap([BLUE, "#f2c14e", RED])
        for line, form in zip(axes, forms, strict=True):
            for place, damping in zip(line, dampings[form], strict=True):
                some = [row for row in rows if row["form"] == form and row["damping"] == damping]
                errors, betas = sorted({r["error"] for r in some}), sorted({r["beta"] for r in some})
                grid = np.zeros((len(betas), len(errors)))
                for row in some:
                    shares = [row[fate] for fate in (SETTLES, RINGS, RUNS)]
                    grid[betas.index(row["beta"]), errors.index(row["error"])] = int(np.argmax(shares))
                place.pcolormesh(range(len(errors) + 1), range(len(betas) + 1), grid, cmap=colours, vmin=0, vmax=2)
                decades = [k for k, e in enumerate(errors) if abs(np.log10(e) - round(np.log10(e))) < 1e-9]
                place.set_xticks([k + 0.5 for k in decades], [f"{errors[k]:g}" for k in decades])
                place.set_yticks(np.arange(len(betas)) + 0.5, [f"{b:g}" for b in betas])
                unit = "low-pass {:g} ticks" if form == "waves" else "resistor {:g}"
                place.set_title(f"{form}, {unit.format(damping)}", fontsize=7, color=GREY)
        for place in axes[-1]:
            place.set_xlabel("error |z − y|")
        for place in axes[:, 0]:
            place.set_ylabel("beta")
        looks = [Patch(color=c, label=name) for c, name in zip(colours.colors, (SETTLES, RINGS, RUNS), strict=True)]
        figure.legend(handles=looks, loc="outside lower center", ncols=3)
        save(figure, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=4000, help="ticks (waves) or leapfrog steps (ladder) of each point"
    )
    parser.add_argument("--directions", type=int, default=3, help="random directions of each error size")
    parser.add_argument("--thin", type=int, default=1, help="only every so many-th beta and damping")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/stability.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/stability.json"))
    return parser.parse_args(arguments)


def main() -> None:
    """Run, print, write and draw the map."""
    options = parse()
    started = time.perf_counter()
    rows = study(options)
    for form in ("waves", "ladder"):
        for damping in sorted({row["damping"] for row in rows if row["form"] == form}):
            some = [row for row in rows if row["form"] == form and row["damping"] == damping]
            shares = "  ".join(f"{fate} {np.mean([row[fate] for row in some]):.2f}" for fate in (SETTLES, RINGS, RUNS))
            print(f"{form}, damping {damping:g}: {shares}")
    about = {"steps": options.steps, "directions": options.directions, "sizes": SIZES}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": about, "rows": rows}, indent=1) + "\n")
    draw(rows, options.figure)
    print(f"wrote {options.results} and {options.figure} in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
