"""Cut arrays of cells into blocks that stay in the processor's cache, and run a law over them on all cores."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from devices.device import Array, State

BLOCK = 8192  # cells; temporaries stay in the second-level cache and below the size at which malloc maps fresh pages
THREADED = 6 * BLOCK  # cells from which a second thread saves more than waking it costs

Block = tuple[State, Array, Array | None]
Law = Callable[[State, Array, Array | None], None]


def flat(array: Array) -> Array | None:
    """A one-dimensional view of `array`, or None where a view would need a copy."""
    return array.reshape(-1) if array.flags.c_contiguous else None


def cell_blocks(
    xp: Any, state: State, drive: Array, xi: Array | None, size: int = BLOCK
) -> Iterator[tuple[State, Array, Array | None]]:
    """Views (state, drive [n], xi [normals, n]) of successive blocks of cells; a law writes through the state views.

    Graphics processors get one block, since they have no cache to keep warm and pay per launch.

    >>> state = {"theta": np.zeros((3, 2))}
    >>> for part, u, _ in cell_blocks(np, state, np.ones((3, 2)), None, size=4):
    ...     part["theta"] += u
    >>> float(state["theta"].sum())
    6.0
    """
    first = next(iter(state.values()))
    cells = first.shape
    if tuple(drive.shape) != tuple(cells):
        drive = xp.broadcast_to(drive, cells)
    views = {name: flat(array) for name, array in state.items()}
    if xp is not np or first.size <= size or any(view is None for view in views.values()):
        yield state, drive, xi
        return
    drive = np.ascontiguousarray(drive).reshape(-1)
    noise = None if xi is None else xi.reshape(xi.shape[0], -1)
    for start in range(0, first.size, size):
        cut = slice(start, start + size)
        part = {name: view[cut] for name, view in views.items() if view is not None}
        yield part, drive[cut], None if noise is None else noise[:, cut]


def each_block(law: Law, xp: Any, state: State, drive: Array, xi: Array | None = None) -> None:
    """Apply `law(cells, drive, xi)`, which writes through its views, to every block of cells; many cells use all cores.

    A cell's result depends on that cell alone, so neither blocks nor threads change a bit. Threads help because NumPy
    lets go of the interpreter inside its loops.

    >>> state = {"theta": np.zeros(100_000)}
    >>> def step(cells, u, xi):
    ...     cells["theta"] += u
    >>> each_block(step, np, state, np.ones(100_000))
    >>> float(state["theta"].min())
    1.0
    """
    blocks = cell_blocks(xp, state, drive, xi)
    cores = available_cores()
    if xp is not np or cores == 1 or next(iter(state.values())).size < THREADED:
        for block in blocks:
            law(*block)
        return
    parts = list(blocks)
    waiting = [thread_pool().submit(run_all, law, parts[k::cores]) for k in range(1, cores)]
    try:
        run_all(law, parts[::cores])
    finally:
        for one in waiting:
            one.result()


def run_all(law: Law, blocks: list[Block]) -> None:
    """Apply a law to some blocks, one after the other."""
    for block in blocks:
        law(*block)


@cache
def available_cores() -> int:
    """Cores this process may use, 8 at most: blocks are small, so that more would only wait for the interpreter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, int(os.environ.get("DEVICES_THREADS", "8")))


@cache
def thread_pool() -> ThreadPoolExecutor:
    """The threads of this process, started at the first large array."""
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="devices")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=thread_pool.cache_clear)
