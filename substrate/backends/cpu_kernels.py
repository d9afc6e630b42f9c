"""Compiled loops of the CPU backend; imported only when one is first needed."""

import numpy as np
from numba import njit


@njit(cache=True, fastmath=False)
def settle_ports(new: np.ndarray, values: np.ndarray, drive: np.ndarray, absorbed: np.ndarray) -> None:
    """Take over the devices' new values and add drive * change to what each cell has absorbed, in one pass."""
    for i in range(values.size):
        absorbed[i] += drive[i] * (new[i] - values[i])
        values[i] = new[i]
