"""Compiled steps of a cluster with states for a single real sample: sums over rows or blocks, nothing else."""

import numpy as np

from substrate.backends.cpu_loops import borrowing, inlined, loop, reach


@loop
def _row(values, columns, x, a, b, start):  # type: ignore[no-untyped-def]
    """Sum over entries ``a`` to ``b`` of a row, in any order; ``start + n`` is where the value of entry ``n`` lies."""
    total = x[0] - x[0]
    first = columns[a]
    # No gaps, and no padding, which repeats the last column: a plain product of two runs of numbers.
    if columns[b - 1] - first == b - a - 1 and (b - a == 1 or columns[b - 2] < columns[b - 1]):
        for n in range(b - a):
            total += values[start + a + n] * x[first + n]
    else:
        for n in range(a, b):
            total += values[start + n] * x[columns[n]]
    return total


@loop
def _in_blocks(factors, place, layout, at, ports, states, x, sums, y):  # type: ignore[no-untyped-def]
    """``y`` = the matrix times ``x``, by the factors of ``cpu_factors``: sums over runs of columns, a small matrix, and
    what each row takes of its results. The states go straight to ``x``.

    Places are unsigned, so that Numba does not ask whether they count from the end.
    """
    p, q, of_columns, of_rows = layout[at], layout[at + 1], layout[at + 2], layout[at + 3]
    at, zero = at + 4, x[0] - x[0]
    for n in range(q):
        sums[n] = zero
    for n in range(at, at + 3 * of_columns, 3):
        total, first, size = zero, np.uint64(layout[n]), np.uint64(layout[n + 1] - layout[n])
        factor = np.uint64(place) + first
        if size == np.uint64(1):
            total = factors[factor] * x[first]
        else:
            for j in range(size):
                total += factors[factor + j] * x[first + j]
        sums[layout[n + 2]] += total
    at += 3 * of_columns
    place += layout[at - 2]
    for n in range(p):
        total = zero
        for j in range(q):
            total += factors[place + j] * sums[j]
        sums[q + n] = total
        place += q
    for n in range(at, at + 3 * of_rows, 3):
        first, size, value = np.uint64(layout[n]), np.uint64(layout[n + 1] - layout[n]), sums[q + layout[n + 2]]
        factor = np.uint64(place) + first
        if size == np.uint64(1):
            y[first] = factors[factor] * value
        else:
            for i in range(size):
                y[first + i] = factors[factor + i] * value
    place, first = place + layout[at + 3 * of_rows - 2], np.uint64(ports)
    factor = np.uint64(place)
    for s in range(np.uint64(states)):
        x[first + s] = y[first + s] + factors[factor + s] * x[first + s]


@inlined
def _in_rows(values, columns, rows, first, start, count, ports, states, x, y):  # type: ignore[no-untyped-def]
    """As :func:`_in_blocks`, by all entries of each row."""
    first_state = np.uint64(ports)
    for i in range(count):
        y[i] = _row(values, columns, x, rows[first + i], rows[first + i + 1], start)
    for s in range(np.uint64(states)):
        x[first_state + s] = y[first_state + s]


@borrowing
def step_sample(program, c, arena, memory, inputs, seen, span, scratch, at, now, after, room, done, steps, total):  # type: ignore[no-untyped-def]
    """Step a cluster with states by ``steps``, one after the other; arrays are taken out of the program once."""
    port, states, place = program.port[c], program.states[c], program.memory[c]
    ports, sources, watched = program.port[c + 1] - port, program.sources[c], program.observed[c]
    values, columns, rows, energy = program.re, program.column, program.row, program.energy
    weight, source_row, seen_row = program.weight, program.source_row, program.seen_row
    source, sight = program.source[c], program.seen[c]
    first = program.first_row[program.pattern[c]]
    start, count = program.value[c] - rows[first], ports + states + watched
    longest, k = len(scratch) // 3, 0
    x, y, sums = scratch[:longest], scratch[longest : 2 * longest], scratch[2 * longest :]
    factors, factor, layout, blocks = program.factors, program.factor[c], program.layout, program.blocks[c]
    net = lost = stored = 0.0
    for s in range(states):
        x[ports + s] = memory[0, place + s]
        stored -= energy[place + s] * np.float64(x[ports + s]) ** 2
    while k < steps:
        run = steps - k
        for j in range(ports):
            at[j], other = reach(program, port + j, k, now, after, room)
            run = min(run, other)
        for e in range(run):
            for j in range(ports):
                x[j] = arena[0, np.uint64(at[j] + e)]
                net += np.float64(x[j]) ** 2
            for j in range(sources):
                x[ports + states + j] = inputs[0, source_row[source + j] * span + done + k + e]
            if blocks >= 0:
                _in_blocks(factors, factor, layout, blocks, ports, states, x, sums, y)
            else:
                _in_rows(values, columns, rows, first, start, count, ports, states, x, y)
            for j in range(ports):
                arena[0, np.uint64(at[j] + e)] = y[j]
                left = np.float64(y[j]) ** 2
                net -= left
                lost += weight[port + j] * left
            for o in range(watched):
                seen[0, np.uint64(seen_row[sight + o] * span + done + k + e)] = y[ports + states + o]
        k += run
    for s in range(states):
        memory[0, place + s] = x[ports + s]
        stored += energy[place + s] * np.float64(x[ports + s]) ** 2
    total[0] += net - lost
    total[1] += lost
    total[2] += stored
