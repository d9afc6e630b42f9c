"""Times one-dimensional meep (in its own Python): prints the fewest seconds of a cell and step of several runs.

Called as ``python run_meep.py CELLS STEPS``. Vacuum with a pulsed source in the middle, double precision, one core.
"""

import sys
import time

import meep


def main() -> None:
    cells, steps = int(sys.argv[1]), int(sys.argv[2])
    meep.verbosity(0)
    source = meep.Source(meep.GaussianSource(0.1), component=meep.Ex, center=meep.Vector3())
    run = meep.Simulation(cell_size=meep.Vector3(z=cells), resolution=1, dimensions=1, sources=[source], Courant=0.5)
    run.init_sim()
    run.fields.step()
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(steps):
            run.fields.step()
        taken.append(time.perf_counter() - start)
    print("seconds", min(taken) / (cells * steps))


if __name__ == "__main__":
    main()
