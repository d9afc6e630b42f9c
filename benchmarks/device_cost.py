"""Cells per second of a million soft-bounds cells, and what every card costs per training tick beside the ideal port.

First part: `SoftBounds.advance` without spread and noise, beside a copy of the state (the least any update must move).
Second part: a tick of the 784-128-10 network with a batch of 256 in float32, all ports holding one card, over the same
tick with ideal gradient ports; once with devices moving at every tick, once (where that costs more than twice) with the
devices on their own clock, once per round trip of four ticks. Times are the fastest of many calls taken in turns, which
a busy machine disturbs least; run alone all the same: `python benchmarks/device_cost.py`.
"""

import sys
import time
import warnings

import numpy as np

from devices import Gradient, SoftBounds, list_cards, load_card
from devices.cards import build
from devices.device import units
from devices.models import model_class
from substrate import Line, Simulation, compile_network
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank

CELLS = 1_000_000
TICK = 1e-12  # s
BATCH = 256
ROUNDS = 40
ROUND_TRIP = 4  # ticks


def fastest(functions, rounds):
    """Fewest seconds of each function, called in turns."""
    times = [[] for _ in functions]
    for _ in range(rounds):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    return [min(record) for record in times]


def million(dtype):
    """Seconds of a step of a million cells and of a copy of their state."""
    rng = np.random.default_rng(0)
    cell = SoftBounds(rate=1.0, dw_min=0.002)
    state = cell.create(rng.uniform(-0.9, 0.9, CELLS).astype(dtype))
    drive, target = rng.standard_normal(CELLS).astype(dtype), np.empty(CELLS, dtype)
    return fastest([lambda: cell.advance(np, state, drive, 1e-3), lambda: np.copyto(target, state["theta"])], 60)


def device_of(name):
    """A card's device, fast enough to move visibly in a tick."""
    card = load_card(name)
    return build(card, {"rate": 0.05 / TICK} if "rate" in units(model_class(card.model)) else {})


def main() -> None:
    warnings.simplefilter("ignore")
    for dtype in (np.float32, np.float64):
        step, copy = million(dtype)
        name = np.dtype(dtype).name
        print(f"{name}: {CELLS / step:.3g} cells/s, step {step * 1e3:.2f} ms, copy of the state {copy * 1e3:.2f} ms")
        print(f"RATIO soft_bounds_cells_{name} {CELLS / step / 1e8:.2f} (cells per second over the floor of 1e8)")
    rng = np.random.default_rng(0)
    simulation = Simulation(
        compile_network(layered((784, 128, 10), line=Line(delay=TICK), seed=1), dt=TICK), batch=BATCH, dtype="float32"
    )
    x, y = rng.random((BATCH, 784), dtype=np.float32), np.eye(10, dtype=np.float32)[rng.integers(0, 10, BATCH)]
    simulation.hold({"input": x, "load": y})
    ideal = PortBank(simulation, Gradient(rate=0.05 / TICK))

    def waves(steps):
        simulation.listen(steps)
        simulation.take_ledger()

    worst = 0.0
    start = {key: value.copy() for key, value in simulation.state.parameters.items()}
    for name in list_cards():
        device = device_of(name)
        low, high = device.clip_range()
        middle = 0.5 * (low + high) if np.isfinite(high - low) else 0.0
        for key, value in start.items():  # in the middle of the range, where cells work, not at its end
            simulation.state.parameters[key] = middle + value
        bank = PortBank(simulation, device)
        one, four, plain, own = fastest(
            [lambda: waves(1), lambda: waves(ROUND_TRIP), lambda: ideal.tick(TICK), lambda bank=bank: bank.tick(TICK)],
            ROUNDS,
        )
        ratio = (one + own) / (one + plain)
        slow = (four + own) / (four + plain)
        own_clock = "" if ratio <= 2 else f"; devices once per round trip: {slow:.2f}"
        print(f"{name:32} waves {one * 1e3:6.2f} ms, ideal {plain * 1e3:5.2f} ms, card {own * 1e3:6.2f} ms{own_clock}")
        print(f"RATIO card_tick_{name} {ratio:.2f} (training tick over that with ideal ports)")
        worst = max(worst, ratio if ratio <= 2 else slow)
    print(f"RATIO card_tick_worst_own_clock {worst:.2f} (worst card, slow ones once per round trip)")


if __name__ == "__main__":
    sys.exit(main())
