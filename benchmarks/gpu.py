"""The gpu backend: bytes each kernel moves and its share of the copy bandwidth of the same run, networks beside the cpu
backend, and a training tick beside a PyTorch step on the same card.

``python benchmarks/gpu.py`` needs a GPU and says so where there is none. It prints the card and the date first. Kernels
are timed over many launches between two synchronisations; everything else as the run that a user would make.
"""

import datetime
import importlib
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import agree, options, report, skipped
from photonic import crow, detected, ours

from devices.cards import card
from substrate import Line, Network, ParallelJunction, Probe, Resistor, Simulation, VoltageSource, compile_network
from substrate.backends import MODULES
from substrate.backends.gpu_laws import Laws
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank

DT, DELAY = 1e-12, 16
SIZES, BATCH, RATE = (784, 1024, 1024, 10), 1024, 0.05


def synchronise(device: Any) -> None:
    """Wait for the device."""
    device.to_host(device.xp.zeros(1))


def seconds_of(device: Any, call: Callable[[], object], repeats: int, rounds: int = 5) -> float:
    """Median seconds of a call among many that follow each other."""
    call()
    taken = []
    for _ in range(rounds):
        synchronise(device)
        start = time.perf_counter()
        with device.working():
            for _ in range(repeats):
                call()
        synchronise(device)
        taken.append((time.perf_counter() - start) / repeats)
    return statistics.median(taken)


def copy_bandwidth(device: Any, numbers: int) -> float:
    """Bytes read and written per second by the array library's own copy."""
    a, b = device.xp.zeros(numbers, dtype=np.float32), device.xp.zeros(numbers, dtype=np.float32)

    def copy() -> None:
        b[...] = a

    return 8.0 * numbers / seconds_of(device, copy, 10)


def kernels(make: Callable[[Any], Any], numbers: int, only: str) -> None:
    """Each kernel of bundles over ``numbers`` float32 waves: bytes it must move, over the copy of the same run."""
    device = make(np.dtype("float32"))
    xp, bandwidth = device.xp, copy_bandwidth(device, numbers)
    print(f"copy: {bandwidth / 1e9:.4g} GB/s of float32, {numbers} numbers", flush=True)
    steps, batch = 16, min(256, numbers // 16)
    channels = numbers // (steps * batch)
    shape = (channels, steps, batch)
    a, b = xp.ones(shape, dtype=np.float32), xp.zeros(shape, dtype=np.float32)
    arena, clock = xp.zeros(2 * numbers, dtype=np.float32), xp.zeros(2, dtype=np.int64)
    ring, held, one = xp.zeros(shape, dtype=np.float32), xp.ones((channels, batch), dtype=np.float32), xp.ones(1)
    end = device.pack("End", start=0, plane=numbers, delay=steps, side=0, channels=channels, batch=batch)
    from substrate.noise import normal_table

    table = device.put(normal_table())
    noise = device.pack("Noise", seed=1, seeds=None, offset=0, table=table)
    sums, n = xp.zeros(2 * device.most_blocks), numbers
    cases: list[tuple[str, float, tuple[Any, ...]]] = [
        ("arrive", 8, (end, arena, clock, steps, b)),
        ("depart", 8, (end, noise, a, 0, 0.9, 0.0, 1, clock, steps, arena, sums)),
        ("depart with noise", 8, (end, noise, a, 0, 0.9, 0.1, 1, clock, steps, arena, sums)),
        ("fill_normals", 4, (noise, 1, 0, channels, steps * batch, b)),
        ("combine", 12, (a, 0, 0.5, ring, 0, 0.5, None, 0.0, *shape, b)),
        ("activate", 8, (a, 0, n, b)),
        ("activate_backward", 16, (a, b, 0, ring, 0, 0, *shape, b)),
        ("cross_entropy", 12, (a, 0, held, *shape, b)),
        ("echo", 16, (a, 0, *shape, steps, clock, ring, b)),
        ("square_sums", 4, (a, n, sums)),
        ("scale_error", 8, (a, 0, 1.0, one, *shape, b)),
        ("move_resistors", 20, (a.ravel(), b.ravel(), 0.0, ring.ravel(), n)),
        ("solve_activation", 16, (0, a, 0, ring, 0, 1.0, 1.0, *shape, held, b, b)),
    ]  # fmt: skip
    for case, each, arguments in cases:
        if only in f"kernel_{case}":
            took = seconds_of(device, device.launch(case.split()[0], n, *arguments), 10)
            moved = each * n
            print(f"{case}: {moved / 1e9:.3g} GB in {took * 1e6:.4g} us, {moved / took / 1e9:.4g} GB/s", flush=True)
            report(f"kernel_{case.replace(' ', '_')}", moved / took / bandwidth, "of the copy bandwidth")


def laws(make: Callable[[Any], Any], cells: int, only: str) -> None:
    """One kernel per law beside the same law as array operations."""
    device = make(np.dtype("float32"))
    for name in ("ideal_momentum", "rram_array_hfo2", "thermo_optic_spiral"):
        if only not in f"law_{name}":
            continue
        law = card(name)
        rng = np.random.default_rng(0)
        normals = (law.initial_normals, cells)
        state = law.create(np.zeros(cells, np.float32), rng.normal(size=normals) if law.initial_normals else None)
        state = {key: device.put(value) for key, value in state.items()}
        drive = device.put(rng.normal(size=cells), np.float32)
        xi = device.put(rng.normal(size=(law.normals, cells)), np.float32) if law.normals else None
        kernel = Laws(device)
        fused = seconds_of(device, lambda: kernel.advance(law, state, drive, 1e-3, xi), 10)  # noqa: B023
        arrays = seconds_of(device, lambda: law.advance(device.xp, state, drive, 1e-3, xi), 10)  # noqa: B023
        print(f"law {name}: {cells / fused:.3g} cells/s in one kernel, {cells / arrays:.3g} as arrays", flush=True)
        report(f"law_{name}", arrays / fused, "array operations over one kernel")


def chain(lines: int, batch: int, backend: str) -> Simulation:
    """Lines of 16 steps in a row between a source and a load."""
    net, last = Network(), "src"
    net.add(VoltageSource(resistance=25.0), "src")
    kinds = [Line(DELAY * DT, z) for z in (50.0, 60.0, 75.0)]
    for index in range(lines):
        here = net.add(Resistor(75.0), "load") if index == lines - 1 else net.add(ParallelJunction(2), f"n{index}")
        net.connect(last, here, kinds[index % 3], f"w{index}")
        last = here
    plan = compile_network(net, DT, reference_power=1.0, probes=[Probe("load", "voltage", reduce="mean_square")])
    return Simulation(plan, batch=batch, dtype="float32", backend=backend)


def networks(backend: str, cases: list[tuple[int, int]], bandwidth: float, only: str) -> None:
    """Long chains of two-ports: bytes of the waves moved, over the copy, and beside the cpu backend."""
    for lines, batch in cases:
        case = f"chain_{lines}_lines_batch_{batch}"
        if only not in case:
            continue
        seconds = []
        for name in (backend, "cpu"):
            simulation = chain(lines, batch, name)
            simulation.run(4 * DELAY)
            start = time.perf_counter()
            simulation.run(64 * DELAY if name != "cpu" else 8 * DELAY)
            seconds.append((time.perf_counter() - start) / (64 if name != "cpu" else 8))
            del simulation
        moved = 2.0 * lines * DELAY * batch * 2 * 4  # each end reads and writes a number a step
        print(f"{case}: {moved / seconds[0] / 1e9:.4g} GB/s, books and probes included", flush=True)
        report(case, moved / seconds[0] / bandwidth, "of the copy bandwidth")
        report(f"{case}_cpu", seconds[1] / seconds[0], "cpu backend over gpu")


def waveguide(backend: str, rings: int, count: int, steps: int, only: str) -> None:
    """The coupled-resonator waveguide of ``crow.py`` beside the cpu backend."""
    case = f"crow_{rings}_rings_{count}_wavelengths"
    if only in case:
        problem, taken, seen = crow(rings, np.linspace(1.548e-6, 1.552e-6, count), steps), [], []
        for name in (backend, "cpu"):
            detected(ours(problem, name), steps)  # compiled, and warm
            simulation = ours(problem, name)
            start = time.perf_counter()
            seen.append(detected(simulation, steps))
            taken.append(time.perf_counter() - start)
        agree(case, seen[0], seen[1], 1e-4)
        report(case, taken[1] / taken[0], "cpu backend over gpu")


def many_circuits(backend: str, sets: int, only: str) -> None:
    """One small circuit with many sets of parameters, a launch for many blocks of all, beside the cpu backend."""
    case = f"sets_{sets}_of_a_ladder"
    if only not in case:
        return
    rng, net = np.random.default_rng(0), Network()
    last = net.add(VoltageSource(resistance=50.0), "src")
    for index in range(8):
        here = net.add(ParallelJunction(3) if index < 7 else Resistor(rng.uniform(20, 90, sets)), f"n{index}")
        first = f"{last}.p2" if index else last
        net.connect(first, f"{here}.p1" if index < 7 else here, Line(4 * DT, 40.0 + 3.0 * index))
        if index < 7:
            net.connect(f"{here}.p3", net.add(Resistor(rng.uniform(200, 900, sets)), f"r{index}"))
        last = here
    plan = compile_network(net, DT, reference_power=1.0)
    taken = []
    for name in (backend, "cpu"):
        simulation = Simulation(plan, batch=sets, backend=name)
        simulation.run(400)
        start = time.perf_counter()
        simulation.run(4000)
        taken.append(time.perf_counter() - start)
    print(f"{case}: {sets * 4000 / taken[0]:.3g} circuit steps/s", flush=True)
    report(case, taken[1] / taken[0], "cpu backend over gpu")


def ticks(backend: str, sizes: tuple[int, ...], batch: int, count: int, only: str) -> None:
    """A training tick, books closed, beside the cpu backend and a PyTorch step on the same card."""
    case = "tick_" + "_".join(map(str, sizes)) + f"_batch_{batch}"
    if only not in case:
        return
    rng, taken = np.random.default_rng(0), []
    x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    y = np.eye(sizes[-1], dtype=np.float32)[rng.integers(0, sizes[-1], batch)]
    for name in (backend, "cpu"):
        plan = compile_network(layered(sizes, line=Line(delay=DT), seed=1), dt=DT)
        simulation = Simulation(plan, batch=batch, dtype="float32", backend=name)
        simulation.hold({"input": x, "load": y})
        bank = PortBank(simulation, card("ideal_gradient", rate=RATE / DT))
        rounds = count if name != "cpu" else max(1, count // 10)
        for turn in range(2):
            start = time.perf_counter()
            for _ in range(rounds):
                simulation.listen(1)
                bank.tick(DT)
            simulation.take_ledger()
            if turn:
                taken.append((time.perf_counter() - start) / rounds)
    print(f"{case}: {taken[0] * 1e3:.4g} ms a tick", flush=True)
    report(f"{case}_cpu", taken[1] / taken[0], "cpu backend over gpu")
    step = torch_step(sizes, x, y)
    if step is None:
        skipped(case, "PyTorch with CUDA")
        return
    step(10)
    start = time.perf_counter()
    step(count)
    report(case, taken[0] / ((time.perf_counter() - start) / count), "our tick over a PyTorch step")


def torch_step(sizes: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> Callable[[int], None] | None:
    """Forward, backward and SGD of the same network on the card, or None."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = False
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1]).cuda()
    optimiser, loss = torch.optim.SGD(model.parameters(), lr=RATE), torch.nn.CrossEntropyLoss()
    inputs, labels = torch.from_numpy(x).cuda(), torch.from_numpy(y.argmax(axis=1)).cuda()

    def run(count: int) -> None:
        for _ in range(count):
            optimiser.zero_grad()
            loss(model(inputs), labels).backward()
            optimiser.step()
        torch.cuda.synchronize()

    return run


def run(backend: str, quick: bool, full: bool, only: str) -> None:
    """All cases on a backend that has a device."""
    make = importlib.import_module(MODULES[backend]).make_device
    numbers = 1 << (12 if quick else 26)
    kernels(make, numbers, only)
    laws(make, 200 if quick else 10_000_000, only)
    bandwidth = copy_bandwidth(make(np.dtype("float32")), numbers)
    sizes = [(20, 1), (10, 3)] if quick else [(1_000_000, 1), (1_000_000 if full else 100_000, 256)]
    networks(backend, sizes, bandwidth, only)
    waveguide(backend, 3 if quick else 63, 4 if quick else 100, 300 if quick else 3000, only)
    many_circuits(backend, 5 if quick else 10_000, only)
    ticks(backend, (12, 8, 4) if quick else SIZES, 6 if quick else BATCH, 4 if quick else 200, only)


def main() -> None:
    chosen = options(__doc__)
    from substrate.backends.gpu_cuda import missing

    why = missing()
    if why:
        print(why)
        skipped("gpu", "CUDA device")
        return
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, {datetime.date.today()}", flush=True)
    run("gpu", chosen.quick, chosen.full, chosen.only)


if __name__ == "__main__":
    main()
