"""Compiled steps of a cluster with states for a single real sample: sums over the entries of each row, nothing else."""

import numpy as np

from substrate.backends.cpu_loops import borrowing, loop


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
def _few_sums(factors, place, rank, width, count, ports, states, x, sums, y):  # type: ignore[no-untyped-def]
    """``y = (diag(own) + left right) x``: a few sums over all columns, and what each row takes of them."""
    for r in range(rank):
        total = x[0] - x[0]
        for j in range(width):
            total += factors[place + r * width + j] * x[j]
        sums[r] = total
    place += rank * width
    for i in range(count):
        total = x[0] - x[0]
        for r in range(rank):
            total += factors[place + i * rank + r] * sums[r]
        y[i] = total
    place += count * rank
    for s in range(states):
        y[ports + s] += factors[place + s] * x[ports + s]


@borrowing
def step_sample(program, c, arena, memory, inputs, seen, span, scratch, at, now, after, room, done, steps, total):  # type: ignore[no-untyped-def]
    """Step a cluster with states by ``steps``, one after the other; arrays are taken out of the program once."""
    port, states, place = program.port[c], program.states[c], program.memory[c]
    ports, sources, watched = program.port[c + 1] - port, program.sources[c], program.observed[c]
    values, columns, rows, energy = program.re, program.column, program.row, program.energy
    base, end, weight = program.base, program.end, program.weight
    source_row, seen_row, source, sight = program.source_row, program.seen_row, program.source[c], program.seen[c]
    first = program.first_row[program.pattern[c]]
    start, count = program.value[c] - rows[first], ports + states + watched
    longest = len(scratch) // 3
    x, y, sums = scratch[:longest], scratch[longest : 2 * longest], scratch[2 * longest :]
    factors, factor, rank, width = program.factors, program.factor[c], program.rank[c], ports + states + sources
    net = lost = stored = 0.0
    for s in range(states):
        x[ports + s] = memory[0, place + s]
        stored -= energy[place + s] * np.float64(x[ports + s]) ** 2
    for k in range(steps):
        for j in range(ports):
            side = end[port + j]
            at[j] = base[port + j] + (now[side] if k < room[side >> 1] else after[side]) + k
            x[j] = arena[0, at[j]]
            net += np.float64(x[j]) ** 2
        for j in range(sources):
            x[ports + states + j] = inputs[0, source_row[source + j] * span + done + k]
        if rank > 0:
            _few_sums(factors, factor, rank, width, count, ports, states, x, sums, y)
        else:
            for i in range(count):
                y[i] = _row(values, columns, x, rows[first + i], rows[first + i + 1], start)
        for j in range(ports):
            arena[0, at[j]] = y[j]
            left = np.float64(y[j]) ** 2
            net -= left
            lost += weight[port + j] * left
        for s in range(states):
            x[ports + s] = y[ports + s]
        for o in range(watched):
            seen[0, seen_row[sight + o] * span + done + k] = y[ports + states + o]
    for s in range(states):
        memory[0, place + s] = x[ports + s]
        stored += energy[place + s] * np.float64(x[ports + s]) ** 2
    total[0] += net - lost
    total[1] += lost
    total[2] += stored
