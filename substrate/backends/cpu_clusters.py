"""Compiled loops that step clusters: a small matrix between line ends, in place, over blocks of steps."""

import numpy as np
from numba import njit, prange

# Sums of squares for the ledger may be added in any order; nothing else is loosened.
FAST = {"reassoc", "contract", "nsz"}
CHUNK = 256  # clusters per unit of parallel work


@njit(cache=True, inline="always")
def _address(port, k, base, stride, side, delay_class, cell, parity, first, batch):  # type: ignore[no-untyped-def]
    """Where the wave of step ``k`` of the block lies at a port, and how many steps follow it without a jump."""
    group = delay_class[port]
    plane = side[port] ^ parity[group]
    if k < first[group]:
        return base[port] + plane * stride[port] + (cell[group] + k) * batch, first[group] - k
    return base[port] + (plane ^ 1) * stride[port] + (k - first[group]) * batch, 1 << 40


@njit(cache=True, fastmath=FAST)
def _two_ports(arena, matrix, i, j, count, sums):  # type: ignore[no-untyped-def]
    """A memoryless two-port over ``count`` numbers at ``i`` and ``j``."""
    m00, m01, m10, m11 = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    zero = arena[i] - arena[i]
    arrived, left_a, left_b = zero, zero, zero
    for e in range(count):
        x, y = arena[i + e], arena[j + e]
        u, v = m00 * x + m01 * y, m10 * x + m11 * y
        arena[i + e], arena[j + e] = u, v
        arrived += x * x + y * y
        left_a += u * u
        left_b += v * v
    sums[0] += arrived
    sums[1] += left_a
    sums[2] += left_b


@njit(cache=True, fastmath=FAST)
def _many_ports(arena, matrix, at, count, x, sums):  # type: ignore[no-untyped-def]
    """A memoryless n-port over ``count`` numbers at each address ``at``; ``x`` is scratch ``[ports, tile]``."""
    ports, tile = x.shape
    for start in range(0, count, tile):
        width = min(tile, count - start)
        for j in range(ports):
            square = x[0, 0] - x[0, 0]
            for e in range(width):
                value = arena[at[j] + start + e]
                x[j, e] = value
                square += value * value
            sums[0] += square
        for i in range(ports):
            where = at[i] + start
            m = matrix[i, 0]
            for e in range(width):
                arena[where + e] = m * x[0, e]
            for j in range(1, ports):
                m = matrix[i, j]
                for e in range(width):
                    arena[where + e] += m * x[j, e]
            square = x[0, 0] - x[0, 0]
            for e in range(width):
                square += arena[where + e] * arena[where + e]
            sums[1 + i] += square


@njit(cache=True, inline="always")
def _settle(sums, weight, total):  # type: ignore[no-untyped-def]
    """Add one cluster's sums to its chunk's: what arrived, what left into cells, what its lines took, and start anew."""
    total[0] += sums[0]
    sums[0] = 0.0
    for j in range(len(weight)):
        total[1] += sums[1 + j]
        total[2] += weight[j] * sums[1 + j]
        sums[1 + j] = 0.0


def _scatter_real(  # type: ignore[no-untyped-def]
    arena, matrices, which, base, stride, side, delay_class, weight, cell, parity, first, steps, batch, totals
):
    """Step memoryless real clusters; ``base`` etc. are ``[clusters, ports]``, ``totals`` is ``[chunks, 4]``."""
    clusters, ports = base.shape
    for chunk in prange(totals.shape[0]):
        at = np.empty(ports, np.int64)
        sums = np.zeros(1 + ports)
        scratch = np.zeros((ports, 64), arena.dtype)
        for c in range(chunk * CHUNK, min(clusters, (chunk + 1) * CHUNK)):
            matrix = matrices[which[c]]
            k = 0
            while k < steps:
                run = steps - k
                for j in range(ports):
                    at[j], room = _address(
                        j, k, base[c], stride[c], side[c], delay_class[c], cell, parity, first, batch
                    )
                    run = min(run, room)
                if ports == 2:
                    _two_ports(arena, matrix, at[0], at[1], run * batch, sums)
                else:
                    _many_ports(arena, matrix, at, run * batch, scratch, sums)
                k += run
            _settle(sums, weight[c], totals[chunk])


scatter_real = njit(cache=True)(_scatter_real)
scatter_real_parallel = njit(cache=True, parallel=True)(_scatter_real)


@njit(cache=True, fastmath=FAST)
def _complex_ports(re, im, mre, mim, at, count, x, y, sums):  # type: ignore[no-untyped-def]
    """A memoryless complex n-port; real and imaginary parts lie in planes of their own."""
    ports, tile = x.shape
    for start in range(0, count, tile):
        width = min(tile, count - start)
        for j in range(ports):
            square = x[0, 0] - x[0, 0]
            for e in range(width):
                a, b = re[at[j] + start + e], im[at[j] + start + e]
                x[j, e], y[j, e] = a, b
                square += a * a + b * b
            sums[0] += square
        for i in range(ports):
            where = at[i] + start
            for e in range(width):
                re[where + e] = mre[i, 0] * x[0, e] - mim[i, 0] * y[0, e]
                im[where + e] = mre[i, 0] * y[0, e] + mim[i, 0] * x[0, e]
            for j in range(1, ports):
                c, d = mre[i, j], mim[i, j]
                if c == 0.0 and d == 0.0:
                    continue
                for e in range(width):
                    re[where + e] += c * x[j, e] - d * y[j, e]
                    im[where + e] += c * y[j, e] + d * x[j, e]
            square = x[0, 0] - x[0, 0]
            for e in range(width):
                square += re[where + e] * re[where + e] + im[where + e] * im[where + e]
            sums[1 + i] += square


def _scatter_complex(  # type: ignore[no-untyped-def]
    re, im, mre, mim, which, base, stride, side, delay_class, weight, cell, parity, first, steps, batch, totals
):
    """Step memoryless complex clusters; see :func:`_scatter_real`."""
    clusters, ports = base.shape
    for chunk in prange(totals.shape[0]):
        at = np.empty(ports, np.int64)
        sums = np.zeros(1 + ports)
        x, y = np.zeros((ports, 64), re.dtype), np.zeros((ports, 64), re.dtype)
        for c in range(chunk * CHUNK, min(clusters, (chunk + 1) * CHUNK)):
            k = 0
            while k < steps:
                run = steps - k
                for j in range(ports):
                    at[j], room = _address(
                        j, k, base[c], stride[c], side[c], delay_class[c], cell, parity, first, batch
                    )
                    run = min(run, room)
                _complex_ports(re, im, mre[which[c]], mim[which[c]], at, run * batch, x, y, sums)
                k += run
            _settle(sums, weight[c], totals[chunk])


scatter_complex = njit(cache=True)(_scatter_complex)
scatter_complex_parallel = njit(cache=True, parallel=True)(_scatter_complex)


@njit(cache=True, fastmath=FAST)
def _one_step(parts, x, y, matrix, samples):  # type: ignore[no-untyped-def]
    """``y = matrix x`` for every sample; ``matrix`` is ``[parts, samples or 1, rows, columns]``."""
    rows, columns = matrix.shape[2], matrix.shape[3]
    shared = matrix.shape[1] == 1
    for i in range(rows):
        for b in range(samples):
            y[0, i, b] = 0.0
            if parts == 2:
                y[1, i, b] = 0.0
        for j in range(columns):
            if shared:
                m = matrix[0, 0, i, j]
                n = matrix[1, 0, i, j] if parts == 2 else m - m
                if m == 0.0 and n == 0.0:
                    continue
                for b in range(samples):
                    y[0, i, b] += m * x[0, j, b]
                if parts == 2:
                    for b in range(samples):
                        y[0, i, b] -= n * x[1, j, b]
                        y[1, i, b] += m * x[1, j, b] + n * x[0, j, b]
            elif parts == 1:
                for b in range(samples):
                    y[0, i, b] += matrix[0, b, i, j] * x[0, j, b]
            else:
                for b in range(samples):
                    m, n = matrix[0, b, i, j], matrix[1, b, i, j]
                    y[0, i, b] += m * x[0, j, b] - n * x[1, j, b]
                    y[1, i, b] += m * x[1, j, b] + n * x[0, j, b]


def _scatter_general(  # type: ignore[no-untyped-def]
    arena, matrices, which, base, stride, side, delay_class, weight, cell, parity, first, steps, batch, totals,
    states, inputs, input_row, seen, seen_row, energy,
):  # fmt: skip
    """Step clusters with states, sources, probes or a matrix per sample, one step after the other.

    ``arena`` is ``[parts, cells]`` (real, or real and imaginary), ``matrices`` ``[unique, parts, samples or 1, rows,
    columns]``, ``states`` ``[parts, clusters, states, batch]``, ``inputs`` ``[parts, sources, steps, batch]``, ``seen``
    ``[parts, observed, steps, batch]``; the last of ``totals`` is the change of the energy in the states.
    """
    parts, clusters, ports = arena.shape[0], base.shape[0], base.shape[1]
    count, sources, watched = states.shape[2], input_row.shape[1], seen_row.shape[1]
    for chunk in prange(totals.shape[0]):
        x = np.zeros((parts, ports + count + sources, batch), arena.dtype)
        y = np.zeros((parts, ports + count + watched, batch), arena.dtype)
        at, sums = np.empty(ports, np.int64), np.zeros(1 + ports)
        for c in range(chunk * CHUNK, min(clusters, (chunk + 1) * CHUNK)):
            matrix = matrices[which[c]]
            for p in range(parts):
                for s in range(count):
                    x[p, ports + s] = states[p, c, s]
                    totals[chunk, 3] -= energy[c, s] * np.sum(states[p, c, s] ** 2)
            for k in range(steps):
                for j in range(ports):
                    at[j], _ = _address(j, k, base[c], stride[c], side[c], delay_class[c], cell, parity, first, batch)
                    for p in range(parts):
                        for b in range(batch):
                            value = arena[p, at[j] + b]
                            x[p, j, b] = value
                            sums[0] += value * value
                for p in range(parts):
                    for u in range(sources):
                        for b in range(batch):
                            x[p, ports + count + u, b] = inputs[p, input_row[c, u], k, b]
                _one_step(parts, x, y, matrix, batch)
                for p in range(parts):
                    for j in range(ports):
                        for b in range(batch):
                            arena[p, at[j] + b] = y[p, j, b]
                            sums[1 + j] += y[p, j, b] * y[p, j, b]
                    for s in range(count):
                        for b in range(batch):
                            x[p, ports + s, b] = y[p, ports + s, b]
                    for o in range(watched):
                        for b in range(batch):
                            seen[p, seen_row[c, o], k, b] = y[p, ports + count + o, b]
            for p in range(parts):
                for s in range(count):
                    states[p, c, s] = x[p, ports + s]
                    totals[chunk, 3] += energy[c, s] * np.sum(x[p, ports + s] ** 2)
            _settle(sums, weight[c], totals[chunk])


scatter_general = njit(cache=True)(_scatter_general)
scatter_general_parallel = njit(cache=True, parallel=True)(_scatter_general)
