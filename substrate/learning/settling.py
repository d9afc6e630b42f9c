"""Measures whether waves have settled: how much the field still changes over a while."""

from dataclasses import dataclass

import numpy as np

from substrate.simulation import Simulation


@dataclass(frozen=True)
class Settling:
    """How a network came to rest: steps taken, and the change of the field over the last while, relative to the
    field."""

    steps: int
    residual: float
    settled: bool


def settle(simulation: Simulation, tolerance: float, limit: int, while_steps: int) -> Settling:
    """Run until the field changes by less than ``tolerance`` over ``while_steps`` steps, at most ``limit`` steps.

    The residual is the length of the change of all cells over the length of all cells: measured, never assumed.

    >>> from substrate import DataSource, Line, Load, Network, compile_network
    >>> net = Network()
    >>> net.connect(net.add(DataSource(1), "x"), net.add(Load(1, "mse"), "load"), Line(delay=2e-12))
    >>> simulation = Simulation(compile_network(net, dt=1e-12))
    >>> simulation.hold({"x": np.ones((1, 1)), "load": np.zeros((1, 1))})
    >>> settle(simulation, 1e-12, limit=100, while_steps=4)
    Settling(steps=8, residual=0.0, settled=True)
    """
    done, residual = 0, float("inf")
    # Cells swap planes every lap, so the field is compared as each line shows it.
    names = [line.name for line in simulation.plan.lines]

    def picture() -> np.ndarray:
        return np.concatenate([wave.ravel() for name in names for wave in simulation.field(name)])

    before = picture()
    while done < limit:
        simulation.run(while_steps)
        done += while_steps
        now = picture()
        length = float(np.linalg.norm(now))
        residual = float(np.linalg.norm(now - before)) / length if length > 0.0 else 0.0
        if residual <= tolerance and length > 0.0:
            return Settling(done, residual, True)
        before = now
    return Settling(done, residual, False)
