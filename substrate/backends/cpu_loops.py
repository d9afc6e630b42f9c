"""Compiled inner loops: what a cluster does to numbers that lie side by side.

The loops of ``cpu_clusters`` keep compiled copies of these in their cache: save that file too when these change.
"""

import platform
from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# Sums of squares for the ledger may be added in any order; nothing else is loosened.
FAST = {"reassoc", "contract", "nsz"}
FLUSH = 0x8040  # bits of the x86 control register: treat numbers too small for full precision as zero
X86 = platform.machine() in ("x86_64", "AMD64")


@intrinsic
def control(typing_context, bits, mask):  # type: ignore[no-untyped-def]
    """Set the bits ``mask`` of the floating-point control register to ``bits``; returns what the register was.

    Waves that die away become too small for full precision, and each such number costs 100 cycles: flushed to zero,
    they cost nothing. Elsewhere than on x86 nothing happens.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word = ir.IntType(32)
        place = cgutils.alloca_once(builder, word)
        builder.store(word(0), place)
        if X86:
            pointer = ir.PointerType(ir.IntType(8))
            kind = ir.FunctionType(ir.VoidType(), [pointer])
            for name, new in (("stmxcsr", False), ("ldmxcsr", True)):
                function = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse." + name)
                if new:
                    old = builder.load(place)
                    kept = builder.and_(old, builder.not_(arguments[1]))
                    builder.store(builder.or_(kept, builder.and_(arguments[0], arguments[1])), place)
                builder.call(function, [builder.bitcast(place, pointer)])
            return old
        return builder.load(place)

    return types.uint32(types.uint32, types.uint32), generate


def loop(function: Any) -> Any:
    """An inner loop over contiguous numbers."""
    return njit(cache=True, fastmath=FAST, _nrt=False)(function)


def side_by_side(function: Any, **options: Any) -> Any:
    """The function with its ``prange`` in parallel, under a name of its own.

    Compiled from one and the same name, the serial and the parallel version would be taken for each other by Numba's
    cache.
    """
    twin = FunctionType(function.__code__, function.__globals__, function.__name__ + "_parallel")
    twin.__qualname__, twin.__module__ = twin.__name__, function.__module__
    return njit(cache=True, parallel=True, **options)(twin)


def inlined(function: Any) -> Any:
    """As :func:`borrowing`, put in place of its calls: handing over a whole program costs more than a short block."""
    return njit(cache=True, _nrt=False, inline="always")(function)


def borrowing(function: Any) -> Any:
    """A function that makes no arrays: without counts of who refers to one, which would cost more than the work."""
    return njit(cache=True, _nrt=False)(function)


@inlined
def reach(program, port, k, now, after, room):  # type: ignore[no-untyped-def]
    """Where the wave of step ``k`` of the block lies at a port, and how many steps follow it without a jump."""
    end = program.end[port]
    steps = room[end >> 1] - k
    if steps > 0:
        return program.base[port] + now[end] + k * program.batch, steps
    return program.base[port] + after[end] + k * program.batch, 1 << 40


@loop
def one_port(a, v):  # type: ignore[no-untyped-def]
    """Returns the energy that arrived and that left."""
    energy = a.dtype.type(0.0)
    gamma = v[0]
    for e in range(len(a)):
        x = a[e]
        a[e] = gamma * x
        energy += x * x
    return energy, gamma * gamma * energy


@loop
def two_ports(a, b, v):  # type: ignore[no-untyped-def]
    """Returns the energy that arrived and that left through either port."""
    v00, v01, v10, v11 = v[0], v[1], v[2], v[3]
    arrived = left_0 = left_1 = a.dtype.type(0.0)
    for e in range(len(a)):
        x, y = a[e], b[e]
        p, q = v00 * x + v01 * y, v10 * x + v11 * y
        a[e], b[e] = p, q
        arrived += x * x + y * y
        left_0 += p * p
        left_1 += q * q
    return arrived, left_0, left_1


@loop
def strip(a, b, v00, v01, v10, v11):  # type: ignore[no-untyped-def]
    """Two-ports side by side, each with its own matrix."""
    arrived = left = a.dtype.type(0.0)
    for e in range(len(a)):
        x, y = a[e], b[e]
        p, q = v00[e] * x + v01[e] * y, v10[e] * x + v11[e] * y
        a[e], b[e] = p, q
        arrived += x * x + y * y
        left += p * p + q * q
    return arrived, left


@loop
def three_ports(a, b, c, v):  # type: ignore[no-untyped-def]
    """Returns the energy that arrived and that left through each port."""
    v00, v01, v02, v10, v11, v12, v20, v21, v22 = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8]
    arrived = left_0 = left_1 = left_2 = a.dtype.type(0.0)
    for e in range(len(a)):
        x, y, z = a[e], b[e], c[e]
        p, q, r = v00 * x + v01 * y + v02 * z, v10 * x + v11 * y + v12 * z, v20 * x + v21 * y + v22 * z
        a[e], b[e], c[e] = p, q, r
        arrived += x * x + y * y + z * z
        left_0 += p * p
        left_1 += q * q
        left_2 += r * r
    return arrived, left_0, left_1, left_2


@loop
def complex_one_port(re, im, v, w):  # type: ignore[no-untyped-def]
    """As :func:`one_port`; real and imaginary parts lie in planes of their own."""
    energy = re.dtype.type(0.0)
    c, d = v[0], w[0]
    for e in range(len(re)):
        x, y = re[e], im[e]
        re[e], im[e] = c * x - d * y, c * y + d * x
        energy += x * x + y * y
    return energy, (c * c + d * d) * energy


@loop
def complex_two_ports(a, b, c, d, v, w):  # type: ignore[no-untyped-def]
    """As :func:`two_ports`; ``a + ib`` is the wave at the first port, ``c + id`` that at the second."""
    v00, v01, v10, v11 = v[0], v[1], v[2], v[3]
    w00, w01, w10, w11 = w[0], w[1], w[2], w[3]
    arrived = left_0 = left_1 = a.dtype.type(0.0)
    for e in range(len(a)):
        x, y, s, t = a[e], b[e], c[e], d[e]
        p, q = v00 * x - w00 * y + v01 * s - w01 * t, v00 * y + w00 * x + v01 * t + w01 * s
        m, n = v10 * x - w10 * y + v11 * s - w11 * t, v10 * y + w10 * x + v11 * t + w11 * s
        a[e], b[e], c[e], d[e] = p, q, m, n
        arrived += x * x + y * y + s * s + t * t
        left_0 += p * p + q * q
        left_1 += m * m + n * n
    return arrived, left_0, left_1


@loop
def coupler(arena, re, im, at, i, j, m, n, size):  # type: ignore[no-untyped-def]
    """A four-port whose first two ports feed the last two and the other way round, for ``size`` numbers of few.

    Its matrix lies flat from ``at`` on in ``re + i im``; ``i, j, m, n`` are the (unsigned) places of its waves in
    both planes of ``arena``. Returns the energy that arrived and that left through each. Many numbers, :func:`cross`
    works out several at a time.
    """
    arrived = left_0 = left_1 = left_2 = left_3 = re[at] - re[at]
    v02, v03, v12, v13, v20, v21, v30, v31 = (
        re[at + 2], re[at + 3], re[at + 6], re[at + 7], re[at + 8], re[at + 9], re[at + 12], re[at + 13]
    )  # fmt: skip
    w02, w03, w12, w13, w20, w21, w30, w31 = (
        im[at + 2], im[at + 3], im[at + 6], im[at + 7], im[at + 8], im[at + 9], im[at + 12], im[at + 13]
    )  # fmt: skip
    for e in range(size):
        x0, y0, x1, y1 = arena[0, i + e], arena[1, i + e], arena[0, j + e], arena[1, j + e]
        x2, y2, x3, y3 = arena[0, m + e], arena[1, m + e], arena[0, n + e], arena[1, n + e]
        arrived += x0 * x0 + y0 * y0 + x1 * x1 + y1 * y1 + x2 * x2 + y2 * y2 + x3 * x3 + y3 * y3
        p, q = v02 * x2 - w02 * y2 + v03 * x3 - w03 * y3, v02 * y2 + w02 * x2 + v03 * y3 + w03 * x3
        arena[0, i + e], arena[1, i + e] = p, q
        left_0 += p * p + q * q
        p, q = v12 * x2 - w12 * y2 + v13 * x3 - w13 * y3, v12 * y2 + w12 * x2 + v13 * y3 + w13 * x3
        arena[0, j + e], arena[1, j + e] = p, q
        left_1 += p * p + q * q
        p, q = v20 * x0 - w20 * y0 + v21 * x1 - w21 * y1, v20 * y0 + w20 * x0 + v21 * y1 + w21 * x1
        arena[0, m + e], arena[1, m + e] = p, q
        left_2 += p * p + q * q
        p, q = v30 * x0 - w30 * y0 + v31 * x1 - w31 * y1, v30 * y0 + w30 * x0 + v31 * y1 + w31 * x1
        arena[0, n + e], arena[1, n + e] = p, q
        left_3 += p * p + q * q
    return arrived, left_0, left_1, left_2, left_3


@loop
def cross(a, b, c, d, p, q, r, s, v, w):  # type: ignore[no-untyped-def]
    """Waves ``a + ib``, ``c + id`` become ``v + iw`` (2 x 2, 4 apart) times ``p + iq``, ``r + is``. See coupler."""
    v0, v1, v2, v3 = v[0], v[1], v[4], v[5]
    w0, w1, w2, w3 = w[0], w[1], w[4], w[5]
    arrived = left_0 = left_1 = a.dtype.type(0.0)
    for e in range(len(a)):
        x, y, z, u = p[e], q[e], r[e], s[e]
        arrived += x * x + y * y + z * z + u * u
        m, n = v0 * x - w0 * y + v1 * z - w1 * u, v0 * y + w0 * x + v1 * u + w1 * z
        a[e], b[e] = m, n
        left_0 += m * m + n * n
        m, n = v2 * x - w2 * y + v3 * z - w3 * u, v2 * y + w2 * x + v3 * u + w3 * z
        c[e], d[e] = m, n
        left_1 += m * m + n * n
    return arrived, left_0, left_1


@loop
def pair(out, x, y, v, w, more):  # type: ignore[no-untyped-def]
    """``out = v x + w y``, or ``out +=`` where there is ``more``; ``v`` and ``w`` are numbers. Returns the energy of
    out."""
    energy = out.dtype.type(0.0)
    if more:
        for e in range(len(out)):
            p = out[e] + (v * x[e] + w * y[e])
            out[e] = p
            energy += p * p
    else:
        for e in range(len(out)):
            p = v * x[e] + w * y[e]
            out[e] = p
            energy += p * p
    return energy


@loop
def pair_each(out, x, y, v, w, more):  # type: ignore[no-untyped-def]
    """As :func:`pair`; ``v`` and ``w`` are arrays."""
    energy = out.dtype.type(0.0)
    if more:
        for e in range(len(out)):
            p = out[e] + (v[e] * x[e] + w[e] * y[e])
            out[e] = p
            energy += p * p
    else:
        for e in range(len(out)):
            p = v[e] * x[e] + w[e] * y[e]
            out[e] = p
            energy += p * p
    return energy


@loop
def complex_pair(out, along, x, y, s, t, a, b, c, d, more):  # type: ignore[no-untyped-def]
    """As :func:`pair`, of complex numbers: ``(a + ib) (x + iy) + (c + id) (s + it)``."""
    energy = out.dtype.type(0.0)
    if more:
        for e in range(len(out)):
            p = out[e] + (a * x[e] - b * y[e] + c * s[e] - d * t[e])
            q = along[e] + (a * y[e] + b * x[e] + c * t[e] + d * s[e])
            out[e], along[e] = p, q
            energy += p * p + q * q
    else:
        for e in range(len(out)):
            p, q = a * x[e] - b * y[e] + c * s[e] - d * t[e], a * y[e] + b * x[e] + c * t[e] + d * s[e]
            out[e], along[e] = p, q
            energy += p * p + q * q
    return energy


@loop
def complex_triple(out, along, x, y, s, t, u, v, a, b, c, d, g, h):  # type: ignore[no-untyped-def]
    """As :func:`complex_pair`, and ``(g + ih) (u + iv)``."""
    energy = out.dtype.type(0.0)
    for e in range(len(out)):
        p = a * x[e] - b * y[e] + c * s[e] - d * t[e] + g * u[e] - h * v[e]
        q = a * y[e] + b * x[e] + c * t[e] + d * s[e] + g * v[e] + h * u[e]
        out[e], along[e] = p, q
        energy += p * p + q * q
    return energy


@loop
def quad_each(out, x, y, s, t, a, b, c, d, sign, more):  # type: ignore[no-untyped-def]
    """``out = a x + b y + c s + d t``, as :func:`pair_each`, ``b`` and ``d`` times ``sign``: a part of a complex pair.

    One array is written, for the compiler gives up vectorising where too many could overlap.
    """
    energy = out.dtype.type(0.0)
    if more:
        for e in range(len(out)):
            p = out[e] + (a[e] * x[e] + c[e] * s[e] + sign * (b[e] * y[e] + d[e] * t[e]))
            out[e] = p
            energy += p * p
    else:
        for e in range(len(out)):
            p = a[e] * x[e] + c[e] * s[e] + sign * (b[e] * y[e] + d[e] * t[e])
            out[e] = p
            energy += p * p
    return energy


@loop
def copy(out, source):  # type: ignore[no-untyped-def]
    """Copy, and return the energy of what was copied."""
    energy = out.dtype.type(0.0)
    for e in range(len(out)):
        value = source[e]
        out[e] = value
        energy += value * value
    return energy
