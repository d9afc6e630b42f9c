"""Bandwidth of the scattering kernels against the copy bandwidth of the machine, measured in the same run.

Every line lasts one block, so a block reads and writes each cell once, as a copy reads and writes each number once.
"""

import threading
from itertools import pairwise

import numpy as np
from common import agree, best, options, report

from substrate import Line, Network, ParallelJunction, Resistor, Simulation, compile_network

DT = 1e-12
IMPEDANCES = (50.0, 60.0, 75.0)


def chain(lines: int, steps: int) -> Network:
    """Two-ports in a row."""
    net = Network()
    names = [net.add(Resistor(25.0), "left")]
    names += [net.add(ParallelJunction(2), f"n{i}") for i in range(lines - 1)]
    names.append(net.add(Resistor(75.0), "right"))
    line = Line(steps * DT, 50.0)
    for here, there in pairwise(names):
        net.connect(here, there, line)
    return net


def tangle(lines: int, steps: int) -> Network:
    """Three-ports joined at random."""
    net, rng = Network(), np.random.default_rng(0)
    nodes = 2 * (lines // 3)
    for i in range(nodes):
        net.add(ParallelJunction(3), f"n{i}")
    ports = rng.permutation(3 * nodes)
    wires = [Line(steps * DT, z) for z in IMPEDANCES]
    for i, (a, b) in enumerate(ports.reshape(-1, 2).tolist()):
        if a // 3 == b // 3 and a % 3 == b % 3:
            continue
        net.connect(f"n{a // 3}.p{a % 3 + 1}", f"n{b // 3}.p{b % 3 + 1}", wires[i % 3], f"w{i}")
    return net


def simulation(net: Network, dtype: str, backend: str = "cpu") -> Simulation:
    """With random waves in every line."""
    made = Simulation(compile_network(net, DT), dtype=dtype, backend=backend)
    arrays = made.checkpoint()
    cells = np.random.default_rng(1).normal(size=min(arrays["cells"].size, 1 << 20))
    arrays["cells"] = np.resize(cells, arrays["cells"].shape)
    made.restore(arrays)
    return made


def same(case: str, build: object, dtype: str) -> None:
    """The kernel and the plain loops of the reference leave the same waves, on a small copy of the network."""
    net = build(30, 8)
    waves = []
    for backend in ("cpu", "reference"):
        made = simulation(net, dtype, backend)
        made.run(40)
        waves.append(np.asarray(made.state.arena, float))
    agree(case, *waves, 1e-13 if dtype.endswith(("64", "128")) and dtype != "complex64" else 1e-5)


def copy_seconds(nbytes: int, threads: int, seconds: float) -> float:
    """Of copying ``nbytes``, in halves where there are two threads."""
    source, target = np.ones(nbytes // 8), np.zeros(nbytes // 8)
    pieces = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))

    def copy() -> None:
        workers = [threading.Thread(target=np.copyto, args=piece) for piece in pieces[1:]]
        for worker in workers:
            worker.start()
        np.copyto(*pieces[0])
        for worker in workers:
            worker.join()

    return best(copy, seconds)


def measure(case: str, build: object, dtype: str, nbytes: int, steps: int, seconds: float) -> None:
    """Report the bandwidth over that of a copy, on one thread and on two."""
    same(case, build, dtype)
    size = {"float64": 8, "float32": 4, "complex64": 8}[dtype]
    made = simulation(build(nbytes // (2 * steps * size), steps), dtype)
    circuit, nbytes = made.stepper.circuit, made.state.arena.nbytes
    made.run(steps)
    for threads in (1, 2):
        circuit.use_threads(threads > 1)
        made.stepper.step(steps)
        ours = best(lambda: made.stepper.step(steps), seconds)
        copied = copy_seconds(nbytes, threads, seconds)
        gigabytes = 2 * nbytes / ours / 1e9
        report(f"{case}_{threads}_thread{'s' * (threads > 1)}", copied / ours, f"{gigabytes:.1f} GB/s over a copy")


def main() -> None:
    quick = options(__doc__).quick
    nbytes, seconds = (1 << 21, 0.05) if quick else (1 << 30, 4.0)
    for dtype in ("float64", "float32", "complex64"):
        measure(f"scatter_chain_{dtype}", chain, dtype, nbytes, 64 if quick else 1024, seconds)
        measure(f"scatter_random_{dtype}", tangle, dtype, nbytes, 64 if quick else 1024, seconds)


if __name__ == "__main__":
    main()
