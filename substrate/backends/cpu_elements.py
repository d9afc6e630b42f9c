"""Compiled laws of nonlinear elements: `p v + q i = r` solved at a port, and what becomes of a wave."""

import math

from numba import njit

from substrate.nodes.nonlinear import ABSORBER, DIODE, KERR

NEWTON = 100  # iterations, each of which at least halves the bracket
THIN = 0.05  # charge steps, in units of C0 V_J, below which an average over the step is taken by quadrature


@njit(cache=True)
def diode(p, q, r, saturation, thermal):  # type: ignore[no-untyped-def]
    """Voltage, current, dv, di, converged: `i = I (exp(v/U) - 1)` on a line `p v + q i = r`.

    The law is convex, so that Newton from a voltage above the answer comes down to it without ever passing it.
    """
    if q == 0.0:
        v = r / p
    elif p == 0.0:
        if r <= -q * saturation:
            return 0.0, 0.0, 1.0, 0.0, False
        v = thermal * math.log1p(r / (q * saturation))
    elif r > 0.0:
        v = min(r / p, thermal * math.log1p(r / (q * saturation)))
    else:
        v = min(0.0, (r + q * saturation) / p)
    done = p == 0.0 or q == 0.0
    for _ in range(NEWTON):
        if done:
            break
        excess = p * v + q * saturation * math.expm1(v / thermal) - r
        step = excess / (p + q * saturation * math.exp(v / thermal) / thermal)
        v -= step
        done = abs(step) <= 4e-16 * abs(v) or excess <= 0.0
    if v / thermal > 709.0:
        return v, 0.0, 1.0, 0.0, False
    i = saturation * math.expm1(v / thermal)
    slope = (i + saturation) / thermal
    return v, i, 1.0 / (1.0 + slope), slope / (1.0 + slope), done and math.isfinite(v)


@njit(cache=True)
def varactor_voltage(charge, law):  # type: ignore[no-untyped-def]
    """Volts at a charge; `law` is (V_J, M, C0 V_J, and at the tangent's start v, q, C, slope, energy)."""
    vj, m, qs, edge, q_edge, c_edge, slope, _ = law
    if charge < q_edge:
        missing = q_edge - charge
        return edge - 2.0 * missing / (c_edge + math.sqrt(c_edge * c_edge + 2.0 * slope * missing))
    k = 1.0 - m
    if k == 0.0:
        return vj * math.expm1(min(charge / qs, 700.0))
    inside = k * charge / qs
    if inside <= -1.0:
        return math.inf
    return vj * math.expm1(min(math.log1p(inside) / k, 700.0))


@njit(cache=True)
def varactor_elastance(charge, law):  # type: ignore[no-untyped-def]
    """dv/dq = 1/C at a charge."""
    vj, m, qs, _, q_edge, c_edge, slope, _ = law
    if charge < q_edge:
        return 1.0 / math.sqrt(c_edge * c_edge + 2.0 * slope * (q_edge - charge))
    return vj / qs * (1.0 + varactor_voltage(charge, law) / vj) ** m


@njit(cache=True)
def varactor_energy(charge, law):  # type: ignore[no-untyped-def]
    """Joules stored at a charge."""
    vj, m, qs, edge, q_edge, c_edge, slope, w_edge = law
    v = varactor_voltage(charge, law)
    if charge < q_edge:
        below, missing = edge - v, q_edge - charge
        return w_edge - edge * missing + 0.5 * c_edge * below * below + slope * below**3 / 3.0
    k, log = 2.0 - m, math.log1p(v / vj)
    return vj * (qs * (log if k == 0.0 else math.expm1(k * log) / k) - charge)


@njit(cache=True)
def varactor_mean(before, after, law):  # type: ignore[no-untyped-def]
    """Difference of stored energy over that of charge: the mean voltage on the way."""
    step, qs, q_edge = after - before, law[2], law[4]
    # The law is a power of 1 + (1 - M) q / qs: it bends over charges of that times qs.
    bend = (1.0 - law[1]) / qs
    room = max(0.0, min(1.0 + bend * max(before, q_edge), 1.0 + bend * max(after, q_edge)))
    same = (before < q_edge) == (after < q_edge)
    if abs(step) > THIN * room * qs or (not same and abs(step) > 1e-5 * qs):
        return (varactor_energy(after, law) - varactor_energy(before, law)) / step
    middle, half = 0.5 * (before + after), 0.5 * step
    total = 128.0 / 225.0 * varactor_voltage(middle, law)  # Gauss-Legendre, 5 points
    a, b = 0.5384693101056831 * half, 0.9061798459386640 * half
    total += 0.47862867049936647 * (varactor_voltage(middle - a, law) + varactor_voltage(middle + a, law))
    total += 0.23692688505618908 * (varactor_voltage(middle - b, law) + varactor_voltage(middle + b, law))
    return 0.5 * total


@njit(cache=True)
def varactor_slope(before, after, mean, law):  # type: ignore[no-untyped-def]
    """Derivative of the mean voltage by the charge after the step."""
    step = after - before
    if abs(step) > THIN * law[2]:
        return (varactor_voltage(after, law) - mean) / step
    return 0.5 * varactor_elastance(before + 2.0 / 3.0 * step, law)


@njit(cache=True)
def varactor(p, q, r, before, dt, law):  # type: ignore[no-untyped-def]
    """Voltage, current, dv, di, converged, charge: `p v + q (charge - before) / dt = r` with `v` the step's mean."""
    low, high, x, last = -math.inf, math.inf, before, math.inf
    scale = max(abs(before), 1e-3 * law[2])
    v = varactor_voltage(before, law)
    for _ in range(2 * NEWTON):
        excess = p * v + q / dt * (x - before) - r
        if excess > 0.0:
            high = min(high, x)
        else:
            low = max(low, x)
        slope = p * varactor_slope(before, x, v, law) + q / dt
        target = x - excess / slope if slope > 0.0 else math.nan
        bracketed = math.isfinite(low) and math.isfinite(high)
        if bracketed and not (low < target < high and abs(excess) <= 0.5 * last):
            target = low + 0.5 * (high - low)
        elif not math.isfinite(target):
            target = 2.0 * x + scale if excess < 0.0 else 2.0 * x - scale
        last, step = abs(excess), target - x
        x = target
        v = varactor_mean(before, x, law)
        if abs(step) <= 4e-16 * max(abs(x), scale):
            tension = varactor_slope(before, x, v, law) * dt
            return v, (x - before) / dt, tension / (1.0 + tension), 1.0 / (1.0 + tension), math.isfinite(v), x
    return v, (x - before) / dt, 1.0, 0.0, False, x


@njit(cache=True)
def answer(kind, par, b, p, q, r, before, dt):  # type: ignore[no-untyped-def]
    """Voltage, current, dv, di, converged, charge of an element on `p v + q i = r`; `par` is [PARAMETERS, batch]."""
    sign = par[0, b]
    if kind == DIODE:
        v, i, dv, di, good = diode(p, q, sign * r, par[1, b], par[2, b])
        return sign * v, sign * i, dv, di, good, 0.0
    law = (par[1, b], par[2, b], par[3, b], par[4, b], par[5, b], par[6, b], par[7, b], par[8, b])
    v, i, dv, di, good, charge = varactor(p, q, sign * r, before, dt, law)
    return sign * v, sign * i, dv, di, good, charge


@njit(cache=True)
def absorbed(power, absorbance):  # type: ignore[no-untyped-def]
    """Amplitude factor of a saturable absorber at a power in units of its saturation power."""
    if power <= 0.0:
        return math.exp(-0.5 * absorbance)
    # With y = log(P2): y + exp(y) = log(P1) + P1 - A, between the saturated and the unsaturated answer; convex in y.
    log = math.log(power)
    right = log + power - absorbance
    y = min(log, right) if right < 1.0 else min(log, math.log(right))
    for _ in range(NEWTON):
        growth = math.exp(y)
        step = (y + growth - right) / (1.0 + growth)
        y -= step
        if abs(step) <= 1e-15 * max(1.0, abs(y)):
            break
    return math.exp(0.5 * (y - log))


@njit(cache=True)
def transfer(kind, par, b, re, im):  # type: ignore[no-untyped-def]
    """What leaves a wave element when `re + i im` enters."""
    power = re * re + im * im
    if kind == ABSORBER:
        factor = absorbed(power / par[1, b], par[0, b]) * par[2, b]
    elif kind == KERR:
        c, s = math.cos(par[0, b] * power), math.sin(par[0, b] * power)
        return c * re + s * im, c * im - s * re
    else:
        size = math.sqrt(power)
        factor = par[1, b] * math.tanh(par[0, b] * size / par[1, b]) / size if size > 0.0 else par[0, b]
    return factor * re, factor * im
