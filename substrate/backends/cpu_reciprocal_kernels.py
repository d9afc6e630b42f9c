"""Compiled Newton solves of the reciprocal family: one channel at a time, always inside a bracket."""

import math

import numpy as np
from numba import njit

FUNCTIONS = {"tanh": 0, "sigmoid": 1, "softplus": 2, "identity": 3, "relu": 4}
MOST_STEPS = 200


@njit(cache=True, inline="always")
def _curve(kind, v):  # type: ignore[no-untyped-def]
    """Value, slope and curvature of an activation at ``v``."""
    if kind == 0:
        h = math.tanh(v)
        slope = 1.0 - h * h
        return h, slope, -2.0 * h * slope
    if kind == 1:
        h = 0.5 * (1.0 + math.tanh(0.5 * v))
        slope = h * (1.0 - h)
        return h, slope, slope * (1.0 - 2.0 * h)
    if kind == 2:
        s = 0.5 * (1.0 + math.tanh(0.5 * v))
        return max(v, 0.0) + math.log1p(math.exp(-abs(v))), s, s * (1.0 - s)
    if kind == 3:
        return v, 1.0, 0.0
    return max(v, 0.0), (1.0 if v > 0.0 else 0.0), 0.0


@njit(cache=True)
def _solve(kind, a1, a2, ratio, start):  # type: ignore[no-untyped-def]
    """Root of ``f(v) = v + ratio phi'(v) (phi(v) - a2) - a1`` by Newton's method from ``start``."""
    if kind == 4:  # two straight pieces: the conducting one where both have a solution, the kink where neither has
        on = (a1 + ratio * a2) / (1.0 + ratio)
        return on if on > 0.0 else min(a1, 0.0)
    tolerance = 4e-16 * (abs(a1) + ratio * (1.0 + abs(a2)) + 1e-300)
    # From a warm start plain Newton nearly always lands in two or three steps; the bracket is for when it does not.
    v, before = start, 1e300
    for _ in range(12):
        h, slope, bend = _curve(kind, v)
        f = v + ratio * slope * (h - a2) - a1
        if abs(f) <= tolerance:
            return v
        df = 1.0 + ratio * (slope * slope + bend * (h - a2))
        if df <= 0.1 or abs(f) > 0.5 * before:
            break
        before = abs(f)
        v -= f / df
    return _bracketed(kind, a1, a2, ratio, v, tolerance)


@njit(cache=True)
def _bracketed(kind, a1, a2, ratio, start, tolerance):  # type: ignore[no-untyped-def]
    """The same root by a widened bracket: Newton inside it, bisection where that would leave it."""
    width, low, high = 1.0, start, start
    for side in (-1.0, 1.0):
        v, width = start, 1.0 + abs(start - a1)
        for _ in range(MOST_STEPS):
            h, slope, _ = _curve(kind, v)
            if side * (v + ratio * slope * (h - a2) - a1) >= 0.0:
                break
            v += side * width
            width *= 2.0
        if side < 0.0:
            low = v
        else:
            high = v
    v = start
    for _ in range(MOST_STEPS):
        h, slope, bend = _curve(kind, v)
        f = v + ratio * slope * (h - a2) - a1
        if f > 0.0:
            high = min(high, v)
        else:
            low = max(low, v)
        if abs(f) <= tolerance or high - low <= 2e-16 * (abs(low) + abs(high)):
            return v
        df = 1.0 + ratio * (slope * slope + bend * (h - a2))
        step = v - f / df if df > 0.0 else low - 1.0
        v = step if low < step < high else 0.5 * (low + high)
    return v


@njit(cache=True)
def solve_activation(kind, a1, a2, ratio, warm, v):  # type: ignore[no-untyped-def]
    """Voltages ``v[channels, steps, batch]``; ``warm[channels, batch]`` is the last solution, updated."""
    channels, steps, batch = v.shape
    for c in range(channels):
        for k in range(steps):
            for b in range(batch):
                warm[c, b] = _solve(kind, a1[c, k, b], a2[c, k, b], ratio, warm[c, b])
                v[c, k, b] = warm[c, b]


@njit(cache=True)
def _residual(v, a, y, strength, share, f):  # type: ignore[no-untyped-def]
    """``f = v + strength (softmax(v) - y) - a`` of one sample; returns its largest entry."""
    peak, total, worst = np.max(v), 0.0, 0.0
    for c in range(len(v)):
        share[c] = math.exp(v[c] - peak)
        total += share[c]
    for c in range(len(v)):
        share[c] /= total
        f[c] = v[c] + strength * (share[c] - y[c]) - a[c]
        worst = max(worst, abs(f[c]))
    return worst


@njit(cache=True)
def solve_cross_entropy(a, y, beta, warm, out):  # type: ignore[no-untyped-def]
    """Voltages of a cross-entropy load: damped Newton, the softmax Jacobian inverted in closed form.

    ``a`` and ``out`` are ``[channels, steps, batch]``, ``y`` and ``warm`` ``[channels, batch]``; ``strength`` is z
    beta.
    """
    channels, steps, batch = out.shape
    v, trial, share, f, step = np.empty((5, channels))
    for k in range(steps):
        for b in range(batch):
            v[:] = warm[:, b]
            weight_of_target = np.sum(y[:, b])
            strength, arriving = beta * weight_of_target, a[:, k, b]
            target = y[:, b] / (weight_of_target if weight_of_target != 0.0 else 1.0)
            worst = _residual(v, arriving, target, strength, share, f)
            for _ in range(MOST_STEPS):
                if worst <= 1e-15 * (1.0 + np.max(np.abs(arriving))):
                    break
                # (D - strength s s^T)^-1 f with D = 1 + strength s: Sherman and Morrison.
                dot, weight = 0.0, 1.0
                for c in range(channels):
                    d = 1.0 + strength * share[c]
                    step[c] = f[c] / d
                    dot += share[c] * step[c]
                    weight -= strength * share[c] * share[c] / d
                for c in range(channels):
                    step[c] += strength * dot / weight * share[c] / (1.0 + strength * share[c])
                size, before = 1.0, worst
                for _ in range(40):
                    trial[:] = v - size * step
                    worst = _residual(trial, arriving, target, strength, share, f)
                    if worst < before:
                        break
                    size *= 0.5
                if worst >= before:  # rounding is all that is left
                    break
                v[:] = trial
            warm[:, b] = v
            out[:, k, b] = v
