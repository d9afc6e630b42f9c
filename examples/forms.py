"""One network in three forms: the gradient at every port while the waves settle (docs/theory.md).

    python examples/forms.py                # the figure of the docs
    python examples/forms.py --layers 6 4   # a smaller network

Nothing waits: every line, node and port acts at every tick. The error of what each port hears, beside exact
backpropagation, against time: matched meshes (exact after one round trip, the last layer first), lossless transformers
between lines whose ends damp (geometric), and the LC ladder (the plain discretisation of the wave equation). With
``--damping 0`` the last two ring for ever.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from substrate import Line, Simulation, compile_network
from substrate.learning.backprop import Backprop
from substrate.learning.forms import TICK, in_family
from substrate.learning.ladder import Ladder
from substrate.learning.layered import INPUT, OUTPUT, layered
from substrate.network import Network
from substrate.plots.style import CYCLE, GREY, new_figure, paper_style, save

DELAY = 8  # ticks of every line of the matched form, so that its light cone can be seen


def errors(found: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> list[float]:
    """Relative error at the weights of each layer, first to last."""
    names = sorted(name for name in exact if name.endswith(".matrix"))
    return [float(np.linalg.norm(found[name] - exact[name]) / np.linalg.norm(exact[name])) for name in names]


def waves(network: Network, x: np.ndarray, y: np.ndarray, ticks: int) -> np.ndarray:
    """``[ticks, layers]``: what the ports hear in each tick, from empty lines on."""
    exact = Backprop(network).gradient(network.parameters(), x, y)[1]
    simulation = Simulation(compile_network(network, TICK), batch=len(x))
    simulation.hold({INPUT: x, OUTPUT: y})
    rows = []
    for _ in range(ticks):
        simulation.listen(1)
        rows.append(errors({name: -drive for name, drive in simulation.state.drive.items()}, exact))
    print(f"worst ledger residual {simulation.take_ledger().residual:.1e}, error at the end {max(rows[-1]):.1e}")
    return np.array(rows)


def ladder(network: Network, x: np.ndarray, y: np.ndarray, beta: float, damping: float, steps: int) -> tuple[Any, Any]:
    """Times and errors ``[steps, layers]`` of the ladder."""
    exact = Backprop(network).gradient(network.parameters(), x, y)[1]
    moving = Ladder(network, x, y, beta=beta, damping=damping)
    rows = []
    for _ in range(steps):
        moving.step()
        rows.append(errors(moving.gradient(), exact))
    print(f"ladder: Courant bound {moving.bound:.4f}, ledger {moving.ledger_residual():.1e}, error {max(rows[-1]):.1e}")
    return moving.dt * (1 + np.arange(steps)), np.array(rows)


def draw(panels: list[tuple[str, str, np.ndarray, np.ndarray]], trip: int, path: Path) -> None:
    """Error against time, one panel per form, one curve per layer."""
    with paper_style():
        figure = new_figure(2.5)
        axes = figure.subplots(1, 3)
        for place, (title, unit, times, rows) in zip(axes, panels, strict=True):
            for layer, colour in zip(range(rows.shape[1]), CYCLE, strict=False):
                place.semilogy(times, np.maximum(rows[:, layer], 1e-17), color=colour, label=f"layer {layer + 1}")
            place.set_title(title)
            place.set_xlabel(unit)
            place.set_ylim(1e-17, 1e3)
        axes[0].axvline(trip, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        axes[0].text(trip, 1e-8, " one round trip", color=GREY, rotation=90, fontsize=6, va="center", ha="right")
        axes[0].set_ylabel("error of the port gradient")
        axes[0].legend(loc="lower left")
        save(figure, path)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[16, 12, 8, 4], help="channels, input to output")
    parser.add_argument("--beta", type=float, default=0.05, help="by which the load nudges")
    parser.add_argument("--damping", type=float, default=1.0, help="of line ends and resistors; 1: the usual")
    parser.add_argument(
        "--ticks", type=int, default=3000, help="of the transformer form; half as many steps of the ladder"
    )
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/forms.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/forms.json"))
    return parser.parse_args(arguments)


def main() -> None:
    """Run the three forms, write and draw."""
    options = parse()
    network = layered(options.layers, line=Line(TICK), activation="tanh", loss="mse", seed=2)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (4, options.layers[0]))
    y = np.eye(options.layers[-1])[rng.integers(0, options.layers[-1], 4)]
    trip = 2 * DELAY * (len(options.layers) - 1)
    matched = waves(in_family(network, "matched", line=Line(DELAY * TICK)), x, y, trip + 2 * DELAY)
    lossy_ends = Line(TICK, lowpass=3.0 * options.damping * TICK)
    transformer = waves(in_family(network, "transformer", options.beta, lossy_ends), x, y, options.ticks)
    times, rows = ladder(network, x, y, options.beta, options.damping, options.ticks // 2)
    panels = [
        ("a   Matched meshes", "ticks", np.arange(1.0, len(matched) + 1), matched),
        ("b   Transformers", "ticks", np.arange(1.0, len(transformer) + 1), transformer),
        ("c   LC ladder", "time (√(LC))", times, rows),
    ]
    final = [{"form": title.split("   ")[1], "error": float(found[-1].max())} for title, _, _, found in panels]
    options.results.parent.mkdir(parents=True, exist_ok=True)
    about = {"layers": options.layers, "beta": options.beta, "damping": options.damping}
    options.results.write_text(json.dumps({"study": about, "rows": final}, indent=1) + "\n")
    draw(panels, trip, options.figure)
    print(f"wrote {options.results} and {options.figure}")


if __name__ == "__main__":
    main()
