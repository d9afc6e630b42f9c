"""Compiled steps of real two-ports whose cells do not follow each other: short runs, with little around each."""

import numpy as np

from substrate.backends.cpu_loops import loop, reach


@loop
def _lossless(program, first, count, waves, near, far, size):  # type: ignore[no-untyped-def]
    """Scatter ``size`` numbers at each of ``count`` two-ports; returns the energy they took."""
    base, values, v, zero = program.base[program.port[first] :], program.value[first:], program.re, waves[0] - waves[0]
    total = 0.0
    for c in range(count):
        i, j, at, net = np.uint64(base[2 * c] + near), np.uint64(base[2 * c + 1] + far), values[c], zero
        v00, v01, v10, v11 = v[at], v[at + 1], v[at + 2], v[at + 3]
        for n in range(np.uint64(size)):
            x, y = waves[i + n], waves[j + n]
            p, q = v00 * x + v01 * y, v10 * x + v11 * y
            waves[i + n], waves[j + n] = p, q
            net += (x * x + y * y) - (p * p + q * q)
        total += np.float64(net)
    return total


@loop
def _lossy(program, first, count, waves, near, far, size, total):  # type: ignore[no-untyped-def]
    """As :func:`_lossless`, with lines that take a share of what enters them; both are added to ``total``."""
    port, values, v, zero = program.port[first], program.value[first:], program.re, waves[0] - waves[0]
    base, weight = program.base[port:], program.weight[port:]
    for c in range(count):
        i, j, at = np.uint64(base[2 * c] + near), np.uint64(base[2 * c + 1] + far), values[c]
        v00, v01, v10, v11 = v[at], v[at + 1], v[at + 2], v[at + 3]
        arrived = left_0 = left_1 = zero
        for n in range(np.uint64(size)):
            x, y = waves[i + n], waves[j + n]
            p, q = v00 * x + v01 * y, v10 * x + v11 * y
            waves[i + n], waves[j + n] = p, q
            arrived += x * x + y * y
            left_0 += p * p
            left_1 += q * q
        lost = weight[2 * c] * left_0 + weight[2 * c + 1] * left_1
        total[0] += np.float64(arrived) - np.float64(left_0) - np.float64(left_1) - lost
        total[1] += lost


@loop
def step_apart(program, first, count, waves, now, after, room, steps, total):  # type: ignore[no-untyped-def]
    """Step ``count`` two-ports from ``first`` on in place, whose lines are of the same delays, and lossless or not.

    Ten numbers take as long as calling a function with slices of arrays: where they lie is worked out once for all, and
    places are unsigned, so that Numba does not ask whether they count from the end.
    """
    port, batch, k = program.port[first], program.batch, 0
    lossless = program.weight[port] == 0.0 and program.weight[port + 1] == 0.0
    while k < steps:
        near, run = reach(program, port, k, now, after, room)
        far, other = reach(program, port + 1, k, now, after, room)
        run = min(run, other, steps - k)
        near, far = near - program.base[port], far - program.base[port + 1]
        if lossless:
            total[0] += _lossless(program, first, count, waves, near, far, run * batch)
        else:
            _lossy(program, first, count, waves, near, far, run * batch, total)
        k += run
