"""Rings in which nodes keep what passed them until its echo returns."""

from typing import Any

import numpy as np


def recall(ring: Any, step: int, block: Any, out: np.ndarray) -> np.ndarray:
    """Exchange a block with what passed ``ring.shape[1]`` steps earlier.

    ``ring`` is ``[channels, memory, batch]`` with memory at least the block's length; ``block`` is ``[channels, steps
    or 1, batch]``; the earlier block goes into ``out`` ``[channels, steps, batch]``, which is returned.

    >>> ring = np.arange(3.0).reshape(1, 3, 1)
    >>> recall(ring, 2, np.array([[[7.0], [8.0]]]), np.empty((1, 2, 1))).ravel().tolist(), ring.ravel().tolist()
    ([2.0, 0.0], [8.0, 1.0, 7.0])
    """
    memory, steps = ring.shape[1], out.shape[1]
    start = step % memory
    first = min(steps, memory - start)
    block = np.broadcast_to(block, out.shape)
    for cells, part in ((slice(start, start + first), slice(0, first)), (slice(0, steps - first), slice(first, steps))):
        out[:, part] = ring[:, cells]
        ring[:, cells] = block[:, part]
    return out
