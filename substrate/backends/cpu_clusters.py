"""Compiled loops that step clusters: a small matrix between line ends, in place, over blocks of steps."""

import numpy as np
from numba import njit, prange

from substrate.backends.cpu_loops import (
    FLUSH,
    borrowing,
    complex_one_port,
    complex_pair,
    complex_triple,
    complex_two_ports,
    control,
    copy,
    coupler,
    cross,
    inlined,
    one_port,
    pair,
    pair_each,
    quad_each,
    reach,
    strip,
    three_ports,
    two_ports,
)
from substrate.backends.cpu_pairs import step_apart
from substrate.backends.cpu_program import APART, COUPLER, STEPWISE, STREAM, STRIP, TILE
from substrate.backends.cpu_states import step_sample

PIECE = 1024  # numbers whose squares are added up in the precision of the waves
SHORT = 16  # numbers below which a coupler is worked out one number after the other


@inlined
def _stream(program, c, count, arena, now, after, room, steps, total):  # type: ignore[no-untyped-def]
    """Step ``count`` memoryless clusters of few ports, whose cells follow each other, in place."""
    port, value = program.port[c], program.value[c]
    ports = program.port[c + 1] - port
    v, w, weight = program.re[value:], program.im[value:], program.weight
    k = j = n = 0
    left_1 = left_2 = arena[0, 0] - arena[0, 0]
    while k < steps:
        i, run = reach(program, port, k, now, after, room)
        if ports > 1:
            j, other = reach(program, port + 1, k, now, after, room)
            run = min(run, other)
        if ports > 2:
            n, other = reach(program, port + 2, k, now, after, room)
            run = min(run, other)
        run = min(run, steps - k)
        numbers = run * program.batch * count
        for e in range(0, numbers, PIECE):
            size = min(PIECE, numbers - e)
            a = arena[0, i + e : i + e + size]
            if len(arena) == 2 and ports == 1:
                arrived, left_0 = complex_one_port(a, arena[1, i + e : i + e + size], v, w)
            elif len(arena) == 2:
                b, c, d = arena[1, i + e : i + e + size], arena[0, j + e : j + e + size], arena[1, j + e : j + e + size]
                arrived, left_0, left_1 = complex_two_ports(a, b, c, d, v, w)
            elif ports == 1:
                arrived, left_0 = one_port(a, v)
            elif ports == 2:
                arrived, left_0, left_1 = two_ports(a, arena[0, j + e : j + e + size], v)
            else:
                b, c = arena[0, j + e : j + e + size], arena[0, n + e : n + e + size]
                arrived, left_0, left_1, left_2 = three_ports(a, b, c, v)
            lost = weight[port] * left_0
            left = np.float64(left_0)
            if ports > 1:
                lost += weight[port + 1] * left_1
                left += left_1
            if ports > 2:
                lost += weight[port + 2] * left_2
                left += left_2
            total[0] += np.float64(arrived) - left - lost
            total[1] += lost
        k += run


@inlined
def _couple(program, c, arena, x, now, after, room, steps, total):  # type: ignore[no-untyped-def]
    """Step a four-port without reflection (see :func:`coupler`) in place."""
    port, value, weight = program.port[c], program.value[c], program.weight
    k = 0
    while k < steps:
        i, run = reach(program, port, k, now, after, room)
        j, other = reach(program, port + 1, k, now, after, room)
        m, another = reach(program, port + 2, k, now, after, room)
        n, last = reach(program, port + 3, k, now, after, room)
        run = min(run, other, another, last, steps - k)
        for e in range(0, run * program.batch, TILE):
            size = min(TILE, run * program.batch - e)
            if size < SHORT:
                arrived, left_0, left_1, left_2, left_3 = coupler(
                    arena, program.re, program.im, value,
                    np.uint64(i + e), np.uint64(j + e), np.uint64(m + e), np.uint64(n + e), np.uint64(size),
                )  # fmt: skip
            else:
                a, b = arena[0, i + e : i + e + size], arena[1, i + e : i + e + size]
                s, d = arena[0, j + e : j + e + size], arena[1, j + e : j + e + size]
                p, q = arena[0, m + e : m + e + size], arena[1, m + e : m + e + size]
                r, t = arena[0, n + e : n + e + size], arena[1, n + e : n + e + size]
                copy(x[0, 0, :size], a)
                copy(x[1, 0, :size], b)
                copy(x[0, 1, :size], s)
                copy(x[1, 1, :size], d)
                v, w = program.re[value : value + 16], program.im[value : value + 16]
                back, left_0, left_1 = cross(a, b, s, d, p, q, r, t, v[2:], w[2:])
                y, z = x[0], x[1]
                along, left_2, left_3 = cross(
                    p, q, r, t, y[0, :size], z[0, :size], y[1, :size], z[1, :size], v[8:], w[8:]
                )
                arrived = back + along
            lost = weight[port] * left_0 + weight[port + 1] * left_1
            lost += weight[port + 2] * left_2 + weight[port + 3] * left_3
            left = np.float64(left_0) + np.float64(left_1) + np.float64(left_2) + np.float64(left_3)
            total[0] += np.float64(arrived) - left - lost
            total[1] += lost
        k += run


@inlined
def _strips(program, c, count, arena, now, after, room, total):  # type: ignore[no-untyped-def]
    """Step ``count`` two-ports side by side by one step."""
    i, _ = reach(program, program.port[c], 0, now, after, room)
    j, _ = reach(program, program.port[c] + 1, 0, now, after, room)
    v, at = program.re, program.value[c]
    arrived, left = strip(
        arena[0, i : i + count],
        arena[0, j : j + count],
        v[at : at + count],
        v[at + count : at + 2 * count],
        v[at + 2 * count : at + 3 * count],
        v[at + 3 * count : at + 4 * count],
    )
    total[0] += np.float64(arrived) - np.float64(left)


@inlined
def _apply_complex(program, out, o, x, i, j, p, q, width, count, more):  # type: ignore[no-untyped-def]
    """Columns ``i`` and ``j``, times the entries at ``p`` and ``q``, to a row of complex numbers."""
    to, along = out[0, o : o + count], out[1, o : o + count]
    u, s, v, t = x[0, i, :count], x[1, i, :count], x[0, j, :count], x[1, j, :count]
    re, im = program.re, program.im
    if width == 1:
        return complex_pair(to, along, u, s, v, t, re[p], im[p], re[q], im[q], more)
    a, b, c, d = re[p : p + count], im[p : p + count], re[q : q + count], im[q : q + count]
    one = re.dtype.type(1.0)
    energy = quad_each(to, u, s, v, t, a, b, c, d, -one, more)
    return energy + quad_each(along, s, u, t, v, a, b, c, d, one, more)


@inlined
def _apply_three(program, out, o, x, a, p, count):  # type: ignore[no-untyped-def]
    """A row of three complex entries, padded to four; they begin at ``a`` in the columns and at ``p`` in the values."""
    i, j, k, re, im = program.column[a], program.column[a + 1], program.column[a + 2], program.re, program.im
    to, along = out[0, o : o + count], out[1, o : o + count]
    u, s, v, t, y, z = (
        x[0, i, :count],
        x[1, i, :count],
        x[0, j, :count],
        x[1, j, :count],
        x[0, k, :count],
        x[1, k, :count],
    )
    return complex_triple(
        to, along, u, s, v, t, y, z, re[p], im[p], re[p + 1], im[p + 1], re[p + 2], im[p + 2]
    )  # fmt: skip


@inlined
def _apply(program, c, i, out, o, x, tile, count):  # type: ignore[no-untyped-def]
    """One row of a cluster's matrix over ``count`` numbers, from ``tile`` on in its samples; returns its energy."""
    first = program.first_row[program.pattern[c]]
    a, b, width = program.row[first + i], program.row[first + i + 1], program.width[c]
    start = program.value[c] + (a - program.row[first]) * width + tile
    if count > 1:
        energy = x[0, 0, 0] - x[0, 0, 0]
        if len(out) == 2 and width == 1 and b - a == 4 and program.column[a + 2] == program.column[a + 3]:
            return _apply_three(program, out, o, x, a, start, count)
        for n in range(0, b - a, 2):
            i, j, p, q = program.column[a + n], program.column[a + n + 1], start + n * width, start + (n + 1) * width
            if len(out) == 2:
                energy = _apply_complex(program, out, o, x, i, j, p, q, width, count, n > 0)
                continue
            to, u, v, re = out[0, o : o + count], x[0, i, :count], x[0, j, :count], program.re
            if width == 1:
                energy = pair(to, u, v, re[p], re[q], n > 0)
            else:
                energy = pair_each(to, u, v, re[p : p + count], re[q : q + count], n > 0)
        return energy
    re = im = x[0, 0, 0] - x[0, 0, 0]
    for n in range(b - a):
        j, p = program.column[a + n], program.re[start + n * width]
        re += p * x[0, j, 0]
        if len(out) == 2:
            q = program.im[start + n * width]
            re -= q * x[1, j, 0]
            im += p * x[1, j, 0] + q * x[0, j, 0]
    out[0, o] = re
    if len(out) == 2:
        out[1, o] = im
    return re * re + im * im


@inlined
def _gather(x, j, source, at, count):  # type: ignore[no-untyped-def]
    """Copy ``count`` numbers to column ``j``; returns their energy."""
    energy = 0.0
    for part in range(len(x)):
        energy += copy(x[part, j, :count], source[part, at : at + count])
    return energy


@inlined
def _arrive(program, c, arena, inputs, span, step, x, at, offset, count):  # type: ignore[no-untyped-def]
    """Gather ``count`` numbers that arrive at a cluster and are fed into it; returns the energy that arrived."""
    port, first = program.port[c], program.source[c]
    ports, energy = program.port[c + 1] - port, 0.0
    for j in range(ports):
        energy += _gather(x, j, arena, at[j] + offset, count)
    for j in range(program.sources[c]):
        place = program.source_row[first + j] * span + step * program.batch + offset
        _gather(x, ports + program.states[c] + j, inputs, place, count)
    return energy


@inlined
def _depart(program, c, arrived, arena, seen, span, step, x, at, offset, tile, count, total):  # type: ignore[no-untyped-def]
    """Write what leaves a cluster and what probes see of it, and book its energy."""
    port, first = program.port[c], program.seen[c]
    ports, lost = program.port[c + 1] - port, 0.0
    for i in range(ports):
        left = np.float64(_apply(program, c, i, arena, at[i] + offset, x, tile, count))
        arrived -= left
        lost += program.weight[port + i] * left
    for i in range(program.observed[c]):
        place = program.seen_row[first + i] * span + step * program.batch + offset
        _apply(program, c, ports + program.states[c] + i, seen, place, x, tile, count)
    total[0] += arrived - lost
    total[1] += lost


@inlined
def _tiled(program, c, arena, inputs, seen, span, x, at, now, after, room, done, steps, total):  # type: ignore[no-untyped-def]
    """Step a cluster without states, as many steps at once as lie side by side."""
    port, batch, width = program.port[c], program.batch, program.width[c]
    k = 0
    while k < steps:
        run = steps - k
        for j in range(program.port[c + 1] - port):
            at[j], other = reach(program, port + j, k, now, after, room)
            run = min(run, other)
        numbers = run * batch
        period = numbers if width == 1 else width  # after which a matrix per sample starts anew
        for start in range(0, numbers, period):
            size = min(period, numbers - start)
            for tile in range(0, size, TILE):
                count, offset = min(TILE, size - tile), start + tile
                arrived = _arrive(program, c, arena, inputs, span, done + k, x, at, offset, count)
                shift = tile if width > 1 else 0
                _depart(program, c, arrived, arena, seen, span, done + k, x, at, offset, shift, count, total)
        k += run


@borrowing
def _stepwise(program, c, arena, memory, inputs, seen, span, x, y, at, now, after, room, done, steps, total):  # type: ignore[no-untyped-def]
    """Step a cluster with states, one step after the other."""
    if len(arena) == 1 and program.batch == 1:
        step_sample(program, c, arena, memory, inputs, seen, span, y[0], at, now, after, room, done, steps, total)
        return
    port, batch, states = program.port[c], program.batch, program.states[c]
    ports, place = program.port[c + 1] - port, program.memory[c]
    for s in range(states):
        total[2] -= program.energy[place + s] * _gather(x, ports + s, memory, (place + s) * batch, batch)
    for k in range(steps):
        for j in range(ports):
            at[j], _ = reach(program, port + j, k, now, after, room)
        arrived = _arrive(program, c, arena, inputs, span, done + k, x, at, 0, batch)
        _depart(program, c, arrived, arena, seen, span, done + k, x, at, 0, 0, batch, total)
        for s in range(states):
            _apply(program, c, ports + s, y, s * batch, x, 0, batch)
        for s in range(states):
            _gather(x, ports + s, y, s * batch, batch)
    for s in range(states):
        for part in range(len(x)):
            for b in range(batch):
                memory[part, (place + s) * batch + b] = x[part, ports + s, b]
        total[2] += program.energy[place + s] * _gather(x, ports + s, memory, (place + s) * batch, batch)


@borrowing
def _chunk(program, chunk, arena, memory, inputs, seen, span, x, y, at, now, after, room, aligned, done, steps, total):  # type: ignore[no-untyped-def]
    """Step all runs of one chunk of work by one block."""
    before = control(np.uint32(FLUSH), np.uint32(FLUSH))
    for run in range(program.chunk[chunk], program.chunk[chunk + 1]):
        first, count, kind = program.cluster[run], program.counts[run], program.kind[run]
        if kind == STRIP:
            _strips(program, first, count, arena, now, after, room, total)
        elif kind == STREAM and (aligned or count == 1):
            _stream(program, first, count, arena, now, after, room, steps, total)
        elif kind == APART:
            step_apart(program, first, count, arena[0], now, after, room, steps, total)
        else:
            for c in range(first, first + count):
                if kind == STREAM:
                    _stream(program, c, 1, arena, now, after, room, steps, total)
                elif kind == COUPLER:
                    _couple(program, c, arena, x, now, after, room, steps, total)
                elif kind == STEPWISE:
                    _stepwise(
                        program, c, arena, memory, inputs, seen, span, x, y, at, now, after, room, done, steps, total
                    )
                else:
                    _tiled(program, c, arena, inputs, seen, span, x, at, now, after, room, done, steps, total)
    control(before, np.uint32(FLUSH))


@borrowing
def _locate(program, step, steps, now, after, room):  # type: ignore[no-untyped-def]
    """Where the block that begins at ``step`` lies in the cells of every delay class, at both ends of its lines.

    Returns whether lines that last one block are met at the start of a lap.
    """
    for i in range(len(program.delay)):
        lap, cell = step // program.delay[i], step % program.delay[i]
        room[i] = min(steps, program.delay[i] - cell)
        for side in range(2):
            plane = side ^ (lap & 1)
            now[2 * i + side] = plane * program.stride[i] + cell * program.batch
            after[2 * i + side] = (plane ^ 1) * program.stride[i] - room[i] * program.batch
    return steps == program.block and step % program.block == 0


@borrowing
def step_clusters(program, arena, memory, inputs, seen, span, x, y, at, now, after, room, step, begin, steps, totals):  # type: ignore[no-untyped-def]
    """Advance every cluster from ``begin`` to ``steps`` steps after ``step``, block by block.

    ``arena`` is ``[parts, cells]`` and ``memory`` ``[parts, states * batch]`` (real, or real and imaginary parts);
    ``inputs`` and ``seen`` are ``[parts, rows * span]``, a row for each source and observed wave. ``x`` ``[slots,
    parts,
    columns, tile]``, ``y`` ``[slots, parts, columns * batch]`` and ``at`` ``[slots, columns]`` are scratch, with a
    slot for
    each chunk where chunks run side by side; ``now``, ``after`` ``[2 * classes]`` and ``room`` ``[classes]`` too.
    ``totals`` ``[chunks, 3]`` gathers what clusters and their lines took, and what went into states, in amplitude^2.
    """
    for done in range(begin, steps, program.block):
        count = min(program.block, steps - done)
        aligned = _locate(program, step + done, count, now, after, room)
        for chunk in range(len(totals)):
            _chunk(
                program, chunk, arena, memory, inputs, seen, span, x[0], y[0], at[0],
                now, after, room, aligned, done, count, totals[chunk],
            )  # fmt: skip


# Not the same function compiled twice, for only the serial one can do without counts of references.
@njit(cache=True, parallel=True)
def step_clusters_parallel(  # type: ignore[no-untyped-def]
    program, arena, memory, inputs, seen, span, x, y, at, now, after, room, step, begin, steps, totals
):
    """As :func:`step_clusters`, with chunks side by side in every block."""
    for done in range(begin, steps, program.block):
        count = min(program.block, steps - done)
        aligned = _locate(program, step + done, count, now, after, room)
        for chunk in prange(len(totals)):
            _chunk(
                program, chunk, arena, memory, inputs, seen, span, x[chunk], y[chunk], at[chunk],
                now, after, room, aligned, done, count, totals[chunk],
            )  # fmt: skip
