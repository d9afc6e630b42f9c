"""Compiled loop that steps clusters with nonlinear elements: matrix, elements, matrix, one step after the other.

Numba keeps compiled copies of `cpu_elements` and `cpu_small` in the cache of this file: save it too when these change.
"""

import math
from collections import namedtuple

import numpy as np
from numba import njit

from substrate.backends.cpu_elements import answer, transfer, varactor_energy
from substrate.backends.cpu_loops import borrowing
from substrate.backends.cpu_small import rows, solve_dense
from substrate.nodes.nonlinear import VARACTOR

ROUNDS = 30  # of the coupled iteration, each seen from other impedances
VIEWS = 12  # of those
FADING = 16  # steps of ten of conductances that help
OHMS = 1e13  # the most such an impedance is
FAR = 1e4  # times the waves at first: larger ones must fit the better for it
ENOUGH = (
    1e-9  # of the largest wave: what is taken where currents below rounding decide (diodes in series, all blocking)
)
CLOSE = 2e-15  # of the largest wave: when a coupled iteration is done

Layout = namedtuple(
    "Layout",
    "matrices which base stride side delay_class weight inputs observed energy "
    "kinds waves parameters impedances roots power dt",
)


@borrowing
def _reflect(layout, c, k, b, z, wave, before, out):  # type: ignore[no-untyped-def]
    """What element ``k`` does when ``wave`` (sqrt(W)) arrives from ``z``: see :func:`_together` for ``out``."""
    par, root = layout.parameters[c, k], math.sqrt(z)
    v, i, dv, di, good, charge = answer(
        layout.kinds[k], par, b % par.shape[1], 1.0, z, 2.0 * root * wave, before, layout.dt
    )
    out[0], out[1], out[2] = 0.5 * (v - z * i) / root, (dv - z * di) / (dv + z * di), charge
    out[3], out[4], out[5] = v, i, dv / di if di > 0.0 else math.inf
    return good


@borrowing
def _alone(layout, c, k, b, e, g, before):  # type: ignore[no-untyped-def]
    """One element on a linear rest that answers ``e + g b`` to a wave ``b``: wave sent back, charge, converged."""
    samples = layout.impedances.shape[2]
    z, root = layout.impedances[c, k, b % samples], layout.roots[c, k, b % samples]
    p, q = 1.0 - g, (1.0 + g) * z
    if p < -1e-12 or q < -1e-12 * z:  # the rest is active here: there may be no answer, or several
        return 0.0, before, False
    v, i, _, _, good, charge = answer(
        layout.kinds[k], layout.parameters[c, k], b % layout.parameters.shape[3], max(p, 0.0), max(q, 0.0),
        2.0 * root * e, before, layout.dt,
    )  # fmt: skip
    return 0.5 * (v - z * i) / root, charge, good


@njit(cache=True)
def _mismatch(layout, c, b, rest, waves, charges, w, out, miss):  # type: ignore[no-untyped-def]
    """``miss = w - e - g reflected(w)`` with the reflections in ``out``; returns its largest entry, or inf."""
    e, g, z = rest
    n, largest, good = len(e), 0.0, True
    for k in range(n):
        good &= _reflect(layout, c, waves + k, b, z[k], w[k], charges[c, waves + k, b], out[k])
    for k in range(n):
        miss[k] = w[k] - e[k]
        for j in range(n):
            miss[k] -= g[k, j] * out[j, 0]
        good &= math.isfinite(miss[k])
        largest = max(largest, abs(miss[k]))
    return largest if good else math.inf


@njit(cache=True)
def _newton(layout, c, b, rest, waves, charges, w, out):  # type: ignore[no-untyped-def]
    """Damped Newton in the waves ``w`` that reach the elements of a linear ``rest``; returns whether it converged.

    Passive elements reflect less change than they get, so that averaged substitution (Krasnoselskij 1955) converges
    too; it takes a step wherever Newton does not get closer.
    """
    e, g, _ = rest
    n = len(e)
    trial, miss, tried = np.empty(n), np.empty(n), np.empty(n)
    jacobian, other = np.empty((n, n)), np.zeros((n, 6))
    size = _mismatch(layout, c, b, rest, waves, charges, w, out, miss)
    for _ in range(ROUNDS):
        scale = 1e-300
        for k in range(n):
            scale = max(scale, abs(e[k]), abs(w[k]), abs(out[k, 0]))
        if not math.isfinite(size + scale):
            return False
        if size <= CLOSE * n * scale:
            return True
        for k in range(n):
            for j in range(n):
                jacobian[k, j] = (1.0 if j == k else 0.0) - g[k, j] * out[j, 1]
            trial[k] = miss[k]
        better = solve_dense(jacobian, trial)
        length = 1.0
        while better and length > 0.1:
            tried[:] = w - length * trial
            if _mismatch(layout, c, b, rest, waves, charges, tried, other, jacobian[0]) < (1.0 - 0.3 * length) * size:
                break
            length *= 0.5
        if not (better and length > 0.1):
            if size <= 3e2 * CLOSE * n * scale:  # as close as rounding lets it
                return True
            tried[:] = w - 0.5 * miss
        w[:] = tried
        size = _mismatch(layout, c, b, rest, waves, charges, w, out, miss)
    return False


@njit(cache=True)
def _seen_from(rest, z, shunt, w, out):  # type: ignore[no-untyped-def]
    """The same rest and waves at other impedances ``z`` (ohm), from the voltages and currents in ``out``.

    A conductance beside each element, ``shunt`` times that of its old impedance, is counted to the rest.
    """
    e, g, old = rest
    n = len(e)
    left, feed, back = np.empty((n, n)), 2.0 * e, np.empty((n, n))
    for k in range(n):
        for j in range(n):
            own = 1.0 if j == k else 0.0
            ampere = (own + g[k, j]) * math.sqrt(old[j])
            volt = (own - g[k, j]) / math.sqrt(old[j]) + shunt / old[j] * ampere
            left[k, j] = volt * math.sqrt(z[j]) + ampere / math.sqrt(z[j])
            back[k, j] = ampere / math.sqrt(z[j]) - volt * math.sqrt(z[j])
        w[k] = 0.5 * (out[k, 3] + z[k] * out[k, 4]) / math.sqrt(z[k])
    good = solve_dense(left.copy(), feed)
    for j in range(n):
        column = back[:, j].copy()
        good &= solve_dense(left.copy(), column)
        back[:, j] = column
    return (feed, back, z), good


@njit(cache=True)
def _gap(e, g, out):  # type: ignore[no-untyped-def]
    """By how much waves ``out[:, 1]`` to and ``out[:, 0]`` from elements miss the rest, beside the largest; and it."""
    largest, scale = 0.0, 1e-300
    for k in range(len(e)):
        miss = out[k, 1] - e[k]
        for j in range(len(e)):
            miss -= g[k, j] * out[j, 0]
        if not math.isfinite(miss):
            return math.inf, math.inf
        largest = max(largest, abs(miss))
        scale = max(scale, abs(e[k]), abs(out[k, 0]), abs(out[k, 1]))
    return largest / scale, scale


@njit(cache=True)
def _size(e, out, z):  # type: ignore[no-untyped-def]
    """The largest wave there is at the elements."""
    scale = 1e-300
    for k in range(len(e)):
        wave = 0.5 * (abs(out[k, 3]) + z[k] * abs(out[k, 4])) / math.sqrt(z[k])
        scale = max(scale, abs(e[k]), wave if math.isfinite(wave) else 0.0)
    return scale


@njit(cache=True)
def _closer(rest, w, out, best, closest, bound):  # type: ignore[no-untyped-def]
    """Keep in ``best`` the voltages and currents that fit the rest best; returns by how much they miss it."""
    e, g, z = rest
    # They lie on the elements' laws whatever they were computed from; what counts is how well they fit the rest.
    for k in range(len(e)):
        out[k, 1] = 0.5 * (out[k, 3] + z[k] * out[k, 4]) / math.sqrt(z[k])
        out[k, 0] = 0.5 * (out[k, 3] - z[k] * out[k, 4]) / math.sqrt(z[k])
    gap, size = _gap(e, g, out)
    gap *= max(1.0, size / bound)
    if gap < closest:
        best[:] = out
        return gap
    return closest


@njit(cache=True)
def _together(layout, c, b, e, g, waves, charges, out):  # type: ignore[no-untyped-def]
    """Several elements on one linear rest ``e + g b``; returns whether it converged.

    ``out`` has a row per element: wave back, its slope, charge, volts, amperes, ohms of the tangent. Where elements are
    far from the impedances they were asked at (diodes in series, all blocking), they are asked at those of their
    tangents; if that does not help, conductances beside them are taken away in steps of ten.
    """
    n, samples = len(e), layout.impedances.shape[2]
    z, unit, best, closest = np.empty(n), math.sqrt(layout.power), np.zeros((n, 6)), math.inf
    for k in range(n):
        z[k] = layout.impedances[c, waves + k, b % samples]
    base, w = (e * unit, g.copy(), z), e * unit
    rest, bound, good = base, math.inf, True
    for view in range(VIEWS + FADING):
        _newton(layout, c, b, rest, waves, charges, w, out)
        if view == 0:
            bound = FAR * _size(base[0], out, z)
        closest = _closer(base, w, out, best, closest, bound)
        if closest <= 3e2 * CLOSE * n:
            break
        if view < VIEWS - 1:
            other = np.empty(n)
            for k in range(n):
                other[k] = rest[2][k] * min(max(out[k, 5] / rest[2][k], 1e-4), 1e4)
                other[k] = min(max(other[k], 1e-9), OHMS)
            rest, good = _seen_from(rest, other, 0.0, w, out)
        else:
            rest, good = _seen_from(base, z, 10.0 ** (VIEWS - 1 - view), w, out)
            if view == VIEWS - 1:
                w[:] = rest[0]
        if not good:
            break
    out[:] = best
    for k in range(n):
        out[k, 0] /= unit
    return closest <= ENOUGH and math.isfinite(np.sum(out[:, :5]))


@njit(cache=True)
def _elements(layout, c, b, matrix, ports, x, y, charges, out):  # type: ignore[no-untyped-def]
    """Answers of the voltage-current elements of a cluster, from waves ``y`` into ``x``; -1, or which failed."""
    waves, inner = layout.waves, len(layout.kinds)
    n, s = inner - waves, b if matrix.shape[1] > 1 else 0
    first = ports + waves
    if n == 1:
        g = matrix[0, s, first, first]
        x[0, first, b], charges[c, waves, b], good = _alone(
            layout, c, waves, b, y[0, first, b], g, charges[c, waves, b]
        )
        return -1 if good else waves
    e, g = y[0, first : first + n, b].copy(), matrix[0, s, first : first + n, first : first + n]
    if not _together(layout, c, b, e, g, waves, charges, out):
        return waves
    for k in range(n):
        x[0, first + k, b], charges[c, waves + k, b] = out[k, 0], out[k, 2]
    return -1


@njit(cache=True)
def _scatter(layout, c, matrix, ports, parts, x, y, charges, out):  # type: ignore[no-untyped-def]
    """One step of one cluster for all samples, from ``x`` to ``y``; returns -1, or which element failed."""
    batch, waves, inner, failed = x.shape[2], layout.waves, len(layout.kinds), -1
    for k in range(inner):
        for p in range(parts):
            for b in range(batch):
                x[p, ports + k, b] = 0.0
    rows(x, y, matrix, ports, ports + waves, parts, batch)
    for k in range(waves):
        for b in range(batch):
            im = y[1, ports + k, b] if parts == 2 else 0.0
            sample = b % layout.parameters.shape[3]
            re, im = transfer(layout.kinds[k], layout.parameters[c, k], sample, y[0, ports + k, b], im)
            x[0, ports + k, b] = re
            if parts == 2:
                x[1, ports + k, b] = im
    if inner > waves:
        rows(x, y, matrix, ports + waves, ports + inner, parts, batch)
        for b in range(batch):
            wrong = _elements(layout, c, b, matrix, ports, x, y, charges, out)
            failed = wrong if failed < 0 else failed
    rows(x, y, matrix, 0, ports, parts, batch)
    rows(x, y, matrix, ports + inner, matrix.shape[2], parts, batch)
    return failed


@borrowing
def _address(layout, c, j, k, cell, parity, first, batch):  # type: ignore[no-untyped-def]
    """Where the wave of step ``k`` of the block lies at port ``j``."""
    group = layout.delay_class[c, j]
    plane = layout.side[c, j] ^ parity[group]
    if k < first[group]:
        return layout.base[c, j] + plane * layout.stride[c, j] + (cell[group] + k) * batch
    return layout.base[c, j] + (plane ^ 1) * layout.stride[c, j] + (k - first[group]) * batch


@borrowing
def _charged(layout, c, charges):  # type: ignore[no-untyped-def]
    """Joules in the charges of one cluster."""
    total = 0.0
    for k in range(len(layout.kinds)):
        if layout.kinds[k] == VARACTOR:
            for b in range(charges.shape[2]):
                par, s = layout.parameters[c, k], b % layout.parameters.shape[3]
                law = (par[1, s], par[2, s], par[3, s], par[4, s], par[5, s], par[6, s], par[7, s], par[8, s])
                total += varactor_energy(charges[c, k, b], law)
    return total


@borrowing
def _gather(layout, c, k, ports, start, arena, inputs, at, where, x):  # type: ignore[no-untyped-def]
    """Collect what arrives and what sources feed in step ``k`` into ``x``; returns the power that arrives."""
    parts, batch, power = x.shape[0], x.shape[2], 0.0
    cell, parity, first = where
    for j in range(ports):
        at[j] = _address(layout, c, j, k, cell, parity, first, batch)
        for p in range(parts):
            for b in range(batch):
                value = arena[p, at[j] + b]
                x[p, j, b] = value
                power += value * value
    for p in range(parts):
        for u in range(layout.inputs.shape[1]):
            for b in range(batch):
                x[p, start + u, b] = inputs[p, layout.inputs[c, u], k, b]
    return power


@borrowing
def _spread(layout, c, k, ports, start, arena, seen, at, x, y, total):  # type: ignore[no-untyped-def]
    """Write what leaves in step ``k``, keep the states, show probes what they see."""
    parts, batch, count = x.shape[0], x.shape[2], layout.energy.shape[1]
    for p in range(parts):
        for j in range(ports):
            square = 0.0
            for b in range(batch):
                arena[p, at[j] + b] = y[p, j, b]
                square += arena[p, at[j] + b] * arena[p, at[j] + b]
            total[1] += square
            total[2] += layout.weight[c, j] * square
        for s in range(count):
            for b in range(batch):
                x[p, start + s, b] = y[p, start + s, b]
        for o in range(layout.observed.shape[1]):
            for b in range(batch):
                seen[p, layout.observed[c, o], k, b] = y[p, start + count + o, b]


@njit(cache=True)
def step_nonlinear(  # type: ignore[no-untyped-def]
    layout, arena, where, steps, inputs, seen, memory, charges, total, failed
):
    """Advance all clusters by one block.

    ``memory`` is ``[parts, clusters, states, batch]``, ``charges`` ``[clusters, inner, batch]``. ``total[5]``: arrived,
    left, lost in lines, into states (amplitude^2), into charges (J). ``failed[3]``: cluster, element, step, or -1.
    """
    clusters, ports = layout.base.shape
    parts, batch, count = len(arena), charges.shape[2], layout.energy.shape[1]
    inner, width = len(layout.kinds), layout.matrices.shape[4]
    x, y = np.zeros((parts, width, batch)), np.zeros((parts, layout.matrices.shape[3], batch))
    at, out, start = np.empty(ports, np.int64), np.zeros((inner, 6)), ports + inner
    for c in range(clusters):
        matrix = layout.matrices[layout.which[c]]
        total[4] -= _charged(layout, c, charges)
        for s in range(count):
            x[:, start + s] = memory[:, c, s]
            total[3] -= layout.energy[c, s] * np.sum(memory[:, c, s] ** 2)
        for k in range(steps):
            total[0] += _gather(layout, c, k, ports, start + count, arena, inputs, at, where, x)
            wrong = _scatter(layout, c, matrix, ports, parts, x, y, charges, out)
            if wrong >= 0 and failed[0] < 0:
                failed[0], failed[1], failed[2] = c, wrong, k
            _spread(layout, c, k, ports, start, arena, seen, at, x, y, total)
        for s in range(count):
            memory[:, c, s] = x[:, start + s]
            total[3] += layout.energy[c, s] * np.sum(memory[:, c, s] ** 2)
        total[4] += _charged(layout, c, charges)
