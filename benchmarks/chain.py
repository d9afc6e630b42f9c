"""A chain in which every cell is a node, 1e5 cells in double precision on one core, against one-dimensional meep.

A cell is a two-port and the step of line behind it, as a cell of meep is one E and one H. Two media: the same impedance
everywhere, and another one in every cell. A pulse must travel at one cell a step without changing its shape.
"""

import importlib.util
import time

import numpy as np
from common import best, options, report, skipped

from substrate import Line, Network, ParallelJunction, Resistor, Simulation, compile_network

DT = 1e-15


def chain(impedances: np.ndarray) -> Simulation:
    """Lines of one step each between matched ends."""
    net, last = Network(), "left"
    net.add(Resistor(float(impedances[0])), "left")
    for index, z in enumerate(impedances.tolist()):
        end = index == len(impedances) - 1
        here = net.add(Resistor(z), "right") if end else net.add(ParallelJunction(2), f"n{index}")
        net.connect(last, here, Line(DT, z))
        last = here
    return Simulation(compile_network(net, DT))


def pulse_keeps_its_shape(cells: int) -> None:
    """In one medium a Gaussian moves by one cell a step, to rounding."""
    simulation = chain(np.full(cells, 50.0))
    arrays, shape = simulation.checkpoint(), np.exp(-(((np.arange(cells) - cells / 4) / 12.0) ** 2))
    arrays["cells"] = np.concatenate([np.zeros(cells), shape])[None]
    simulation.restore(arrays)
    simulation.run(cells // 2)
    waves = simulation.state.arena[0].reshape(2, cells)[(cells // 2 + 1) % 2]
    moved = np.roll(shape, cells // 2)
    assert np.abs(waves - moved).max() < 1e-12, "the pulse has changed"
    assert np.abs(waves - np.roll(moved, 1)).max() > 1e-2, "a pulse one cell away would pass"


def meep_seconds(cells: int, steps: int) -> float:
    """Seconds of a cell and step of meep in one dimension."""
    import meep

    meep.verbosity(0)
    source = meep.Source(meep.GaussianSource(0.1), component=meep.Ex, center=meep.Vector3())
    run = meep.Simulation(cell_size=meep.Vector3(z=cells), resolution=1, dimensions=1, sources=[source], Courant=0.5)
    run.init_sim()
    run.fields.step()
    start = time.perf_counter()
    for _ in range(steps):
        run.fields.step()
    return (time.perf_counter() - start) / (cells * steps)


def main() -> None:
    quick = options(__doc__).quick
    cells, steps = (1000, 20) if quick else (100_000, 40)
    pulse_keeps_its_shape(600)
    different = np.random.default_rng(0).uniform(30.0, 80.0, cells)
    speed = {}
    for name, impedances in (("equal", np.full(cells, 50.0)), ("different", different)):
        simulation = chain(impedances)
        simulation.stepper.circuit.use_threads(False)
        simulation.run(steps)
        seconds = best(lambda made=simulation: made.run(steps), 0.1 if quick else 3.0) / (cells * steps)
        speed[name] = seconds
        print(f"chain_{name}: {1e-9 / seconds:.3g} G cells per s on one core (target 0.9)", flush=True)
    for name, seconds in speed.items():
        if importlib.util.find_spec("meep") is None:
            skipped(f"chain_{name}", "meep")
        else:
            report(f"chain_{name}", meep_seconds(cells, 10 * steps) / seconds, "meep seconds per cell over ours")


if __name__ == "__main__":
    main()
