"""Counter-based random numbers: the same bits on every backend, for any batch split, block length and probe set.

Every number is a pure function of (seed, source, step, channel, batch index). Philox4x32-10 (Salmon, Moraes, Dror,
Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11, 2011, doi 10.1145/2063384.2063405) turns a 128-bit counter
and a 64-bit key into four 32-bit words:

    key      seed, low word first                       seed    < 2**64
    word 0   batch index // 4                           batch   < 2**34
    word 1   channel                                    channel < 2**32
    word 2   step, low 32 bits                          step    < 2**48
    word 3   source | (step, high 16 bits) << 16        source  < 2**16

and batch index b takes word b % 4 of the result. So a batch of 1 pays for four words; wide batches waste none.

A word becomes a normal through a table of the inverse normal CDF, not through Box-Muller: log and cos of a maths
library differ in the last bit between platforms, whereas integer operations and IEEE double multiply and add, in a
fixed order, do not. Bit 31 is the sign, the other 31 bits k are the tail probability p = (k + 0.5) / 2**32. Exact
as a double, u = 2 k + 1 carries in its exponent and top mantissa bits the number of its table segment (32 octaves of 16
segments: the leading zeros of the tail probability and the next four bits). A quartic in the rest of the mantissa gives
the quantile to 1.4e-10 (the largest error over all 2**31 magnitudes, measured by `tests/tools/make_normal_table.py`);
values reach 6.34 standard deviations.
A multiply and an add must stay two roundings: CUDA needs `-fmad=false` (NVRTC `--fmad=false`) or `__dmul_rn` /
`__dadd_rn`, and Numba must not be given `fastmath`. float32 is the float64 value rounded once.

A seed may be a tuple, one seed for each sample of the whole batch: then sample b draws what the only sample of a run of
its own with seed b would draw.

Complex waves: a complex array is the real array of twice the batch, (re, im) interleaved as in memory, so complex index
b holds the real indices 2 b and 2 b + 1. Both parts have unit variance, E|xi|^2 = 2.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from substrate.errors import ConfigError

Array = npt.NDArray[Any]
Seed = int | tuple[int, ...]  # of all samples, or one of each

BOLTZMANN = 1.380649e-23  # J/K, exact (SI 2019)
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # of Philox4x32 (SC11)
WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and sqrt(3) - 1
LOW = 0xFFFFFFFF
SUB_BITS = 4  # each octave of the tail probability has 2**SUB_BITS table segments
SEGMENT_SHIFT = 52 - SUB_BITS  # a double's bits above this number its segment
SEGMENT_BASE = 1023 << SUB_BITS  # the segment number of u = 1
REST_MASK = (1 << SEGMENT_SHIFT) - 1
ONE_BITS = 1023 << 52  # the double 1.0
SEGMENT_CENTRE = 1.0 + 2.0 ** -(SUB_BITS + 1)


@cache
def normal_table() -> Array:
    """The quantile table, float64[512, 5], constant coefficient first; read once, read only."""
    table = np.load(Path(__file__).with_name("noise_table.npy")).astype(np.float64)
    table.setflags(write=False)
    return table


def philox(counter: npt.ArrayLike, key: tuple[int, int]) -> Array:
    """Philox4x32-10 of `counter` uint32[..., 4] under two 32-bit key words, uint32[..., 4] (Salmon et al., SC11).

    >>> [hex(w) for w in philox([0, 0, 0, 0], (0, 0)).tolist()]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, dtype=np.uint64), -1, 0)
    low, half = np.uint64(LOW), np.uint64(32)
    m0, m1 = (np.uint64(m) for m in MULTIPLIERS)
    for r in range(ROUNDS):
        k0, k1 = (np.uint64((k + r * w) & LOW) for k, w in zip(key, WEYL, strict=True))
        p0, p1 = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def words_to_normals(words: Array) -> Array:
    """Standard normals, float64[...], of random words uint32[...]; the arithmetic is told in the head of this file.

    >>> bool(abs(words_to_normals(np.uint32([0x40000000 - 1]))[0] - 0.6744897501960817) < 1e-9)
    True
    """
    words = np.asarray(words, dtype=np.uint32)
    u = ((words & np.uint32(0x7FFFFFFF)).astype(np.int64) * 2 + 1).astype(np.float64)
    bits = u.view(np.int64)
    segment = (bits >> SEGMENT_SHIFT) - SEGMENT_BASE
    t = ((bits & REST_MASK) | ONE_BITS).view(np.float64) - SEGMENT_CENTRE  # exact: 32 significant bits
    c = normal_table()
    x = c[segment, 4]
    for power in (3, 2, 1, 0):
        x = x * t + c[segment, power]
    return np.where(words >> np.uint32(31), -x, x)


def random_words(
    seed: int, source: int, step: int, channels: int, batch: int, *, steps: int = 1, batch_offset: int = 0
) -> Array:
    """Random words uint32[channels, steps, batch] of (seed, source) for steps `step ... step + steps - 1`.

    >>> random_words(0, 0, 0, 1, 4).tolist() == [[philox([0, 0, 0, 0], (0, 0)).tolist()]]
    True
    """
    check_counter(seed, source, step, channels, steps, batch, batch_offset)
    first, skip = divmod(batch_offset, 4)
    groups = (skip + batch + 3) // 4
    times = np.arange(step, step + steps, dtype=np.uint64)[:, None]
    counter = np.empty((channels, steps, groups, 4), dtype=np.uint32)
    counter[..., 0] = np.arange(first, first + groups, dtype=np.uint64)
    counter[..., 1] = np.arange(channels, dtype=np.uint64)[:, None, None]
    counter[..., 2] = times & np.uint64(LOW)
    counter[..., 3] = np.uint64(source) | (times >> np.uint64(32)) << np.uint64(16)
    words = philox(counter, (seed & LOW, seed >> 32))
    return words.reshape(channels, steps, 4 * groups)[:, :, skip : skip + batch]


def normals(
    seed: Seed,
    source: int,
    step: int,
    channels: int,
    batch: int,
    *,
    steps: int = 1,
    batch_offset: int = 0,
    dtype: npt.DTypeLike = np.float64,
    out: Array | None = None,
) -> Array:
    """Independent standard normals [channels, steps, batch], the NumPy arbiter of every backend.

    The number at (channel, s, b) depends on `seed`, `source`, `step + s`, the channel and `batch_offset + b` alone.
    `dtype` is float32, float64 or their complex partners; `out`, when given, is filled and returned and its dtype
    counts. Raises ConfigError when a counter is out of its range or `out` has another shape.

    >>> whole = normals(7, 1, 100, channels=2, batch=10)
    >>> part = normals(7, 1, 100, channels=2, batch=4, batch_offset=6)
    >>> bool(np.array_equal(whole[:, :, 6:], part))
    True
    """
    kind = np.dtype(dtype if out is None else out.dtype)
    if isinstance(seed, tuple):
        made = np.empty((channels, steps, batch), kind) if out is None else out
        for b, own in enumerate(own_seeds(seed, batch, batch_offset)):
            normals(own, source, step, channels, 1, steps=steps, out=made[:, :, b : b + 1])
        return made
    if kind.kind == "c":
        batch, batch_offset = 2 * batch, 2 * batch_offset
    words = random_words(seed, source, step, channels, batch, steps=steps, batch_offset=batch_offset)
    made = words_to_normals(words).astype(real_dtype(kind), copy=False)
    if kind.kind == "c":
        made = made.view(kind)
    if out is None:
        return made
    if out.shape != made.shape:
        raise ConfigError(f"normals: out must have shape {made.shape}, but it has {out.shape}")
    out[...] = made
    return out


def uniforms(
    seed: Seed, source: int, step: int, channels: int, batch: int, *, steps: int = 1, batch_offset: int = 0
) -> Array:
    """Independent uniforms in the open interval (0, 1), float64[channels, steps, batch].

    They are (word + 0.5) / 2**32 of the words of `normals`. Uniforms and normals of one (seed, source) are the same
    draw seen twice: give each use its own source.

    >>> u = uniforms(7, 1, 0, channels=1, batch=5)
    >>> u.shape, bool(((u > 0) & (u < 1)).all())
    ((1, 1, 5), True)
    """
    if isinstance(seed, tuple):
        own = [uniforms(s, source, step, channels, 1, steps=steps) for s in own_seeds(seed, batch, batch_offset)]
        return np.concatenate(own, axis=2)
    words = random_words(seed, source, step, channels, batch, steps=steps, batch_offset=batch_offset)
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def fill_normals(out: Array, seed: Seed, source: int, step: int, batch_offset: int = 0) -> Array:
    """Fill `out` [channels, steps, batch], contiguous along batch, with the bits of `normals`, by a compiled kernel.

    Raises ConfigError when a counter is out of range or the layout of `out` cannot be filled in place.

    >>> out = np.empty((2, 3, 5), dtype=np.float32)
    >>> same = normals(7, 1, 100, 2, 5, steps=3, dtype=np.float32)
    >>> bool(np.array_equal(fill_normals(out, 7, 1, 100), same))
    True
    """
    from substrate.noise.kernels import fill

    if isinstance(seed, tuple):
        for b, own in enumerate(own_seeds(seed, out.shape[2], batch_offset)):
            fill_normals(out[:, :, b : b + 1], own, source, step)
        return out
    real, offset = _as_real(out, batch_offset)
    channels, steps, batch = real.shape
    check_counter(seed, source, step, channels, steps, batch, offset)
    fill(real, seed, source, step, offset)
    return out


def add_normals(cells: Array, scale: npt.ArrayLike, seed: Seed, source: int, step: int, batch_offset: int = 0) -> Array:
    """`cells += scale * xi` in one pass; `cells` [channels, steps, batch], `scale` a number or [channels].

    `cells` may be any view contiguous along batch. The bits are those of NumPy's `cells += scale[:, None, None] *
    normals(...)` with `scale` and xi rounded to the real dtype of `cells` first. A complex cell gets independent real
    and imaginary parts of standard deviation `scale` each. Raises ConfigError when a counter is out of range, or the
    layout of `cells` or the shape of `scale` does not fit.

    >>> cells = np.zeros((2, 1, 4))
    >>> _ = add_normals(cells, [1.0, 0.0], seed=7, source=1, step=100)
    >>> bool(np.array_equal(cells[0], normals(7, 1, 100, 2, 4)[0])), float(abs(cells[1]).max())
    (True, 0.0)
    """
    from substrate.noise.kernels import add

    if isinstance(seed, tuple):
        for b, own in enumerate(own_seeds(seed, cells.shape[2], batch_offset)):
            add_normals(cells[:, :, b : b + 1], scale, own, source, step)
        return cells
    real, offset = _as_real(cells, batch_offset)
    channels, steps, batch = real.shape
    check_counter(seed, source, step, channels, steps, batch, offset)
    factor = np.asarray(scale, dtype=real.dtype)
    if factor.shape not in ((), (1,), (channels,)):
        raise ConfigError(f"add_normals: scale must be a number or have shape ({channels},), but it has {factor.shape}")
    add(real, np.ascontiguousarray(np.broadcast_to(factor, (channels,))), seed, source, step, offset)
    return cells


def own_seeds(seeds: tuple[int, ...], batch: int, batch_offset: int = 0) -> tuple[int, ...]:
    """The seeds of the samples ``batch_offset ...`` of a batch; raises ConfigError where there are fewer."""
    if batch_offset + batch > len(seeds):
        raise ConfigError(
            f"noise: {len(seeds)} seeds are too few for the {batch_offset + batch} samples of the batch; give one seed "
            "for each sample, or a single one for all"
        )
    return seeds[batch_offset : batch_offset + batch]


def cell_normals(
    seed: int,
    source: int,
    step: int,
    count: int,
    shape: tuple[int, ...],
    *,
    cell_offset: int = 0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Standard normals [count, *shape] for an array of device cells: `count` numbers per cell and tick `step`.

    Number i of the cell with flat (C order) index f is `normals` at channel i, batch index `cell_offset + f`; an array
    split over its first axis therefore draws the same numbers in parts. This is the `xi` of a device's `create` and
    `advance`.

    >>> xi = cell_normals(7, 2, 0, count=2, shape=(3, 4))
    >>> xi.shape, bool(np.array_equal(xi[:, 1:], cell_normals(7, 2, 0, 2, (2, 4), cell_offset=4)))
    ((2, 3, 4), True)
    """
    out = np.empty((count, 1, int(np.prod(shape))), dtype=dtype)
    return fill_normals(out, seed, source, step, cell_offset).reshape((count, *shape))


def thermal_variance(temperature: npt.ArrayLike, dt: float, reference_power: float) -> Array:
    """Variance kT / (2 dt P_ref) per sample of the wave a matched termination emits, in units of amplitude squared.

    `temperature` in K (any shape), `dt` in s, `reference_power` in W per unit amplitude squared. The one-sided PSD of
    emitted power is kT (Johnson 1928, Nyquist 1928) and the band of samples dt apart is 1 / (2 dt).

    >>> float(thermal_variance(300.0, 1e-12, 1e-3).round(12))  # 2.07 nW against 1 mW
    2.070973e-06
    """
    if not (dt > 0 and reference_power > 0):
        raise ConfigError(
            f"thermal noise: dt and reference_power must be positive, but are {dt} s and {reference_power} W"
        )
    kelvin = np.asarray(temperature, dtype=np.float64)
    if not np.all(kelvin >= 0):
        raise ConfigError(f"thermal noise: temperature must be >= 0 K, but is {kelvin}")
    return np.asarray(BOLTZMANN * kelvin / (2 * dt * reference_power))


def pass_noise_sigma(g: npt.ArrayLike, temperature: npt.ArrayLike, dt: float, reference_power: float) -> Array:
    """Standard deviation sqrt((1 - g^2) kT / (2 dt P_ref)) a pass of amplitude factor `g` adds: `a <- g a + sigma xi`.

    |g| <= 1, `temperature` in K, `dt` in s, `reference_power` in W; shapes broadcast. The one-port case of Bosma's
    theorem, covariance kT (I - S S^H) / (2 dt) (H. Bosma, Philips Res. Repts Suppl. 10, 1967): a line in equilibrium
    stays at kT.

    >>> float(pass_noise_sigma(1.0, 300.0, 1e-12, 1e-3))
    0.0
    """
    factor = np.asarray(g, dtype=np.float64)
    lost = 1.0 - factor**2
    if not np.all(lost >= 0):
        raise ConfigError(
            f"pass noise: |g| must be at most 1, but g is {factor}; a pass with gain needs an amplifier's noise"
        )
    return np.sqrt(lost * thermal_variance(temperature, dt, reference_power))


def real_dtype(kind: np.dtype[Any]) -> np.dtype[Any]:
    """float32 or float64, the dtype of the parts of `kind`; raises ConfigError for any other kind of number."""
    if kind.char not in "fdFD":
        raise ConfigError(f"noise: numbers must be float32, float64, complex64 or complex128, but are {kind}")
    return np.dtype(np.float32 if kind.char in "fF" else np.float64)


def check_counter(seed: int, source: int, step: int, channels: int, steps: int, batch: int, batch_offset: int) -> None:
    """Raise ConfigError unless every part of the counter of a draw fits the bits it has."""
    limits = (
        ("seed", seed, 1 << 64),
        ("source", source, 1 << 16),
        ("step + steps", step + steps, (1 << 48) + 1),
        ("step", step, 1 << 48),
        ("channels", channels, (1 << 32) + 1),
        ("steps", steps, (1 << 48) + 1),
        ("batch", batch, (1 << 34) + 1),
        ("batch_offset + batch", batch_offset + batch, (1 << 34) + 1),
        ("batch_offset", batch_offset, 1 << 34),
    )
    for name, value, limit in limits:
        if not 0 <= value < limit:
            raise ConfigError(f"noise: {name} must be in [0, {limit}), but is {value}")


def _as_real(array: Array, batch_offset: int) -> tuple[Array, int]:
    """The real view [channels, steps, batch] of an array to fill in place, and its batch offset."""
    real = real_dtype(array.dtype)
    if array.ndim != 3 or (array.size > 0 and array.shape[2] > 1 and array.strides[2] != array.itemsize):
        raise ConfigError(
            f"noise: the array must be [channels, steps, batch] with contiguous batch, but has shape {array.shape} and "
            f"strides {array.strides}"
        )
    if not array.flags.writeable or not array.dtype.isnative:
        raise ConfigError("noise: the array must be writeable and in the byte order of this machine, but is not")
    if array.dtype.kind != "c":
        return array, batch_offset
    return array.view(real), 2 * batch_offset
