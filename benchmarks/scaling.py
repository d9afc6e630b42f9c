"""Time per line and step against the number of steps and of lines, and memory: flat, but for leaving the cache.

Lines of 16 steps in a row, joined by two-ports. Writes ``docs/figures/scaling.png`` (not with ``--quick``).
"""

import time
import tracemalloc
from pathlib import Path

import numpy as np
from common import best, options, report

from substrate import Line, Network, ParallelJunction, Probe, Resistor, Simulation, VoltageSource, compile_network

DT, DELAY = 1e-12, 16
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "scaling.png"


def chain(lines: int) -> Simulation:
    """A source, two-ports between lines of three impedances, a load with a probe."""
    net, last = Network(), "src"
    net.add(VoltageSource(resistance=25.0), "src")
    kinds = [Line(DELAY * DT, z) for z in (50.0, 60.0, 75.0)]
    for index in range(lines):
        end = index == lines - 1
        here = net.add(Resistor(75.0), "load") if end else net.add(ParallelJunction(2), f"n{index}")
        net.connect(last, here, kinds[index % 3], f"w{index}")
        last = here
    plan = compile_network(net, DT, reference_power=1.0, probes=[Probe("load", "voltage", reduce="mean_square")])
    return Simulation(plan)


def time_per_step(simulation: Simulation, lines: int, steps: int, seconds: float) -> float:
    """Seconds of a line and step, records and books included."""

    def run() -> None:
        simulation.run(steps)
        simulation.take_probes()
        simulation.take_ledger()

    run()
    return best(run, seconds, least=3) / (lines * steps)


def over_lines(counts: list[int], seconds: float) -> list[float]:
    """Time per line and step of ever longer chains, and how long they took to compile."""
    taken = []
    for lines in counts:
        start = time.perf_counter()
        simulation = chain(lines)
        made = time.perf_counter() - start
        steps = DELAY * max(16, min(100, 400_000 // (DELAY * lines)))  # 16 laps: cells are looked at once
        taken.append(time_per_step(simulation, lines, steps, seconds))
        cells = simulation.state.arena.nbytes
        print(
            f"{lines} lines: {taken[-1] * 1e9:.3g} ns per line and step, cells {cells / 2**20:.1f} MiB "
            f"({cells / (lines * DELAY):.0f} bytes a line and step of delay), described and compiled in {made:.3g} s",
            flush=True,
        )
    return taken


def over_steps(counts: list[int], seconds: float) -> list[float]:
    """Time per line and step of ever longer runs of 100 lines."""
    simulation, taken = chain(100), []
    for steps in counts:
        taken.append(time_per_step(simulation, 100, steps, seconds))
        print(f"{steps} steps: {taken[-1] * 1e9:.3g} ns per line and step", flush=True)
    return taken


def memory_of_a_run(steps: int) -> int:
    """Bytes that a run of 100 lines takes beyond what the simulation had, with the record of its probe not yet
    taken."""
    simulation = chain(100)
    simulation.run(DELAY)
    simulation.take_probes()
    tracemalloc.start()
    simulation.run(steps)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken


def draw(lines: list[int], by_lines: list[float], steps: list[int], by_steps: list[float]) -> None:
    """The figure of the documentation."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9.0, 3.4), sharey=True, layout="constrained")
    axes[0].loglog(steps, np.array(by_steps) * 1e9, "o-", color="#1f4e79")
    axes[0].set(xlabel="steps of a run of 100 lines", ylabel="ns per line and step", ylim=(0.05, 10.0))
    axes[1].loglog(lines, np.array(by_lines) * 1e9, "o-", color="#1f4e79")
    axes[1].set(xlabel="lines")
    axes[1].axvline(2 * 2**20 / (2 * DELAY * 8), color="0.6", ls=":", lw=1.0)
    axes[1].annotate(
        "2 MiB of cells", (2 * 2**20 / (2 * DELAY * 8), 6.0), fontsize=8, color="0.4", ha="right", va="top", rotation=90
    )
    for axis in axes:
        axis.grid(alpha=0.3, which="both", lw=0.4)
    figure.savefig(FIGURE, dpi=160)
    print(f"wrote {FIGURE}")


def main() -> None:
    quick = options(__doc__).quick
    lines = [100, 1000] if quick else [100, 1000, 10_000, 100_000, 1_000_000]
    steps = [1000, 3000] if quick else [1000, 10_000, 100_000, 1_000_000]
    by_steps = over_steps(steps, 0.1 if quick else 2.0)
    report("scaling_steps", max(by_steps) / min(by_steps), "slowest over fastest time per line and step, over steps")
    by_lines = over_lines(lines, 0.1 if quick else 2.0)
    report("scaling_lines", max(by_lines) / min(by_lines), "slowest over fastest, over lines; at most 5")
    few, many = memory_of_a_run(steps[0]), memory_of_a_run(steps[1])
    report("scaling_memory", (many - few) / (8.0 * (steps[1] - steps[0])), "bytes a run needs per step over its record")
    if not quick:
        draw(lines, by_lines, steps, by_steps)


if __name__ == "__main__":
    main()
