"""Compiled loops of the CPU backend; imported only when one is first needed."""

import numpy as np
from numba import njit


@njit(cache=True, fastmath=False)
def settle_ports(new: np.ndarray, values: np.ndarray, drive: np.ndarray, absorbed: np.ndarray) -> None:
    """Take over the devices' new values and add drive * change to what each cell has absorbed, in one pass."""
    for i in range(values.size):
        absorbed[i] += drive[i] * (new[i] - values[i])
        values[i] = new[i]


@njit(cache=True, fastmath=False)
def smooth(block: np.ndarray, memory: np.ndarray, share: float, out: np.ndarray) -> None:
    """One-pole low-pass ``y += share (x - y)`` over ``[channels, steps, batch]``; ``memory`` is y, ``[channels,
    batch]``."""
    channels, steps, batch = out.shape
    for c in range(channels):
        for k in range(steps):
            for b in range(batch):
                memory[c, b] += share * (block[c, k, b] - memory[c, b])
                out[c, k, b] = memory[c, b]


@njit(cache=True, fastmath=False)
def move_resistors(values: np.ndarray, drive: np.ndarray, factor: float, absorbed: np.ndarray) -> None:
    """Ports that are plain resistors: move by factor * drive and book drive * move, in one pass."""
    for i in range(values.size):
        move = factor * drive[i]
        values[i] += move
        absorbed[i] += drive[i] * move


@njit(cache=True, fastmath=False)
def envelope_power(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, scale: float, out: np.ndarray) -> None:
    """``out = scale (|a + ib|^2 - |c + id|^2)``."""
    for e in range(out.size):
        out[e] = scale * (a[e] * a[e] + b[e] * b[e] - (c[e] * c[e] + d[e] * d[e]))
