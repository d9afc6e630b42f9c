"""Seconds per training tick of a matched 784-128-10 network beside one PyTorch (CPU) training step of the same network.

A tick moves every wave one line further, both ways, through every layer; every port hears its gradient, every device
moves, the ledger closes. The PyTorch step is forward, backward and SGD. Both use float32 and both cores; they take
turns of many calls, and medians are compared. Run alone: ``python benchmarks/train_tick.py``.
"""

import os
import statistics
import sys
import time

import numpy as np

from devices.ideal import Gradient
from substrate import Line, Simulation, compile_network
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank

SIZES = (784, 128, 10)
RATE = 0.05
TURNS, UNCOUNTED, CALLS = 8, 10, 40
PAUSE = 0.4  # s
THREADS = int(os.environ.get("OPENBLAS_NUM_THREADS", os.cpu_count() or 1))  # the same number for both sides


def substrate_tick(batch, x, y):
    network = layered(SIZES, line=Line(delay=1e-12), seed=1)
    simulation = Simulation(compile_network(network, dt=1e-12), batch=batch, dtype="float32")
    simulation.hold({"input": x, "load": y})
    # Same function first: after a round trip the frozen ports hear the gradient that backprop computes.
    simulation.run(4)
    simulation.listen(1)
    _, exact = Backprop(network).gradient(network.parameters(), x.astype(float), y.astype(float))
    error = relative_error({name: -drive for name, drive in simulation.state.drive.items()}, exact)
    assert error < 1e-5, error
    bank = PortBank(simulation, Gradient(rate=RATE / 1e-12))

    def tick():
        simulation.listen(1)
        bank.tick(1e-12)
        simulation.take_ledger()

    return tick


def torch_step(batch, x, y):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.Tanh(), torch.nn.Linear(128, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    loss_function = torch.nn.CrossEntropyLoss()
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y.argmax(axis=1))

    def step():
        optimiser.zero_grad()
        loss_function(model(inputs), labels).backward()
        optimiser.step()

    return step


def medians(functions, turns):
    """Median seconds of each function. They take turns of many calls, with a pause before each turn: the idle threads
    of one library go on spinning for a while after its last call (up to 0.2 s) and would take a core from the other."""
    times = [[] for _ in functions]
    for _ in range(turns):
        for function, record in zip(functions, times, strict=True):
            time.sleep(PAUSE)
            for call in range(UNCOUNTED + CALLS):
                start = time.perf_counter()
                function()
                if call >= UNCOUNTED:
                    record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


def main() -> None:
    rng = np.random.default_rng(0)
    for batch in (64, 256, 512):
        x = rng.random((batch, SIZES[0]), dtype=np.float32)
        y = np.eye(SIZES[-1], dtype=np.float32)[rng.integers(0, SIZES[-1], batch)]
        ours = substrate_tick(batch, x, y)
        try:
            theirs = torch_step(batch, x, y)
        except ImportError:
            print(f"SKIPPED train_tick_batch{batch} torch not installed")
            continue
        tick, step = medians([ours, theirs], TURNS)
        print(f"batch {batch}: tick {tick * 1e3:.3f} ms, PyTorch step {step * 1e3:.3f} ms")
        print(f"RATIO train_tick_batch{batch} {tick / step:.3f} (substrate tick over PyTorch CPU training step)")


if __name__ == "__main__":
    sys.exit(main())
