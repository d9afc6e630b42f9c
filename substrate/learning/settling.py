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


class FieldWatch:
    """How much the waves of a simulation change between two looks, relative to their size."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._before = field_picture(simulation)

    def residual(self) -> float:
        """Length of the change of all cells since the last look over the length of all cells; inf in empty lines."""
        now = field_picture(self._simulation)
        length = float(np.linalg.norm(now))
        change = float(np.linalg.norm(now - self._before)) / length if length > 0.0 else float("inf")
        self._before = now
        return change


def field_picture(simulation: Simulation) -> np.ndarray:
    """All waves now, flat: as each line shows them, since cells swap planes every lap."""
    names = [line.name for line in simulation.plan.lines]
    return np.concatenate([wave.ravel() for name in names for wave in simulation.field(name)])


def settle(simulation: Simulation, tolerance: float, limit: int, while_steps: int) -> Settling:
    """Run until the field changes by less than ``tolerance`` over ``while_steps`` steps, at most ``limit`` steps.

    The residual is that of :class:`FieldWatch`: measured, never assumed.

    >>> from substrate import DataSource, Line, Load, Network, compile_network
    >>> net = Network()
    >>> net.connect(net.add(DataSource(1), "x"), net.add(Load(1, "mse"), "load"), Line(delay=2e-12))
    >>> simulation = Simulation(compile_network(net, dt=1e-12))
    >>> simulation.hold({"x": np.ones((1, 1)), "load": np.zeros((1, 1))})
    >>> settle(simulation, 1e-12, limit=100, while_steps=4)
    Settling(steps=8, residual=0.0, settled=True)
    """
    watch, done, residual = FieldWatch(simulation), 0, float("inf")
    while done < limit:
        simulation.run(while_steps)
        done += while_steps
        residual = watch.residual()
        if residual <= tolerance:
            return Settling(done, residual, True)
    return Settling(done, residual, False)
