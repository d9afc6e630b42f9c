"""Cut arrays of cells into blocks that stay in the processor's cache while a law makes several passes over them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from devices.device import Array, State

BLOCK = 8192  # cells; temporaries stay in the second-level cache and below the size at which malloc maps fresh pages


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
