"""Seconds per wave tick of a 64-48-32-10 transformer network beside one PyTorch (CPU) training step of the same.

A tick moves every wave one line further, solves every transformer and activation, and closes the ledger; the ports
listen. A batch needs some hundred ticks until the waves have settled (docs/theory.md, "Training with transformers"):
the second ratio counts them, to a change of the field of 1e-4 per round trip. float64, one core, both sides. Run alone:
``python benchmarks/reciprocal_tick.py``.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # small matrices: threads only get in the way

import itertools
import statistics
import time

import numpy as np
from common import options

from substrate import Line, Simulation, compile_network
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.layered import layered
from substrate.learning.settling import settle

SIZES, DT, BETA = (64, 48, 32, 10), 1e-12, 0.05
TURNS, CALLS = 9, 60


def waves(x, y):
    """A simulation that has settled, its check against backprop, and the ticks that took."""
    line = Line(delay=DT, lowpass=2 * DT)
    network = layered(SIZES, line=line, weights="transformer", beta=BETA, impedance="matched", seed=1)
    simulation = Simulation(compile_network(network, DT), batch=len(x))
    simulation.hold({"input": x, "load": y})
    ticks = settle(simulation, 1e-4, 20_000, 10).steps
    settle(simulation, 1e-13, 20_000, 10)
    simulation.listen(1)
    _, exact = Backprop(network).gradient(network.parameters(), x, y)
    error = relative_error({name: -drive for name, drive in simulation.state.drive.items()}, exact)
    wrong = relative_error({name: -1.02 * drive for name, drive in simulation.state.drive.items()}, exact)
    assert error < 1e-6 < 1e-2 < wrong, (error, wrong)
    return simulation, ticks


def torch_step(x, y):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = []
    for inputs, outputs in itertools.pairwise(SIZES):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1]).double()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y.argmax(axis=1))

    def step():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()

    return step


def median(function):
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    quick = options(__doc__).quick
    rng = np.random.default_rng(0)
    for batch in (25,) if quick else (25, 50, 200):
        x = rng.random((batch, SIZES[0]))
        y = np.eye(SIZES[-1])[rng.integers(0, SIZES[-1], batch)]
        simulation, ticks = waves(x, y)

        def tick(simulation=simulation):
            simulation.listen(1)
            simulation.take_ledger()

        try:
            step = torch_step(x, y)
        except ImportError:
            print(f"SKIPPED reciprocal_tick_batch{batch} torch not installed")
            continue
        pairs = [(median(tick), median(step)) for _ in range(2 if quick else TURNS)]
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"batch {batch}: tick {ours * 1e3:.3f} ms, PyTorch step {theirs * 1e3:.3f} ms, settled after {ticks} ticks"
        )
        print(f"RATIO reciprocal_tick_batch{batch} {ours / theirs:.2f} (wave tick over PyTorch CPU training step)")
        print(f"RATIO reciprocal_update_batch{batch} {ticks * ours / theirs:.0f} (settled update over PyTorch step)")


if __name__ == "__main__":
    main()
