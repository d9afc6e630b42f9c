"""The compiled random normals: bit for bit those of `substrate.noise`, at memory speed on the CPU (Numba).

Imported by `substrate.noise` on first use. Rows are worked off in chunks of counters: Philox writes a chunk of words,
the table turns them into normals on the way to their cells; both loops vectorise, whether rows are long (wide batch) or
short (many steps).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from substrate import noise
from substrate.errors import ConfigError

Array = npt.NDArray[Any]

CHUNK = 256  # counters at a time: 4 KiB of words beside the 20 KiB table stay in the first-level cache
PARALLEL_FROM = 1 << 18  # numbers per thread; with fewer, starting threads costs more than it saves

_M0, _M1 = (np.uint64(m) for m in noise.MULTIPLIERS)
_W0, _W1 = (np.uint64(w) for w in noise.WEYL)
_LOW = np.uint64(noise.LOW)
_HALF = np.uint64(32)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_SIGN = np.uint32(31)
_SHIFT, _BASE = np.int64(noise.SEGMENT_SHIFT), np.int64(noise.SEGMENT_BASE)
_REST, _ONE = np.int64(noise.REST_MASK), np.int64(noise.ONE_BITS)
_CENTRE = noise.SEGMENT_CENTRE


@nb.njit(nogil=True, cache=True)
def normal(word: Any, table: Any) -> Any:
    """The standard normal of one uint32 word; mirrors `noise.words_to_normals` operation for operation."""
    u = np.float64(np.int64(word & _MAGNITUDE) * 2 + 1)
    bits = u.view(np.int64)
    c = ((bits >> _SHIFT) - _BASE) * 5
    t = np.int64((bits & _REST) | _ONE).view(np.float64) - _CENTRE
    x = (((table[c + 4] * t + table[c + 3]) * t + table[c + 2]) * t + table[c + 1]) * t + table[c]
    return -x if word >> _SIGN else x


@nb.njit(nogil=True, cache=True)
def philox_words(words: Any, group: Any, time: Any, channel: Any, source: Any, seed: Any, count: Any) -> None:
    """words[4 i ... 4 i + 3] of the counters (group[i], channel, time[i], source), for i < count."""
    c1_all = np.uint64(channel)
    key0, key1 = seed & _LOW, seed >> _HALF
    for i in range(count):
        c0, c1 = np.uint64(group[i]), c1_all
        c2 = time[i] & _LOW
        c3 = source | ((time[i] >> _HALF) << np.uint64(16))
        k0, k1 = key0, key1
        for _ in range(10):
            p0, p1 = _M0 * c0, _M1 * c2
            c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
            k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
        words[4 * i] = c0
        words[4 * i + 1] = c1
        words[4 * i + 2] = c2
        words[4 * i + 3] = c3


@nb.njit(nogil=True, cache=True)
def list_counters(group: Any, time: Any, first: Any, step: Any, groups: Any, s: Any, g: Any, n: Any) -> None:
    """The next n counters of a channel from (step + s, group first + g) on, row after row."""
    i = 0
    while i < n:
        m = min(groups - g, n - i)
        for j in range(m):
            group[i + j] = first + np.uint64(g + j)
            time[i + j] = step + np.uint64(s)
        i, g, s = i + m, 0, s + 1


@nb.njit(nogil=True, cache=True)
def emit(row: Any, words: Any, adding: Any, scale: Any, table: Any) -> None:
    """Write the normals of `words` into `row`, or add them times `scale`; float32 rows round each normal once, then
    each step."""
    if adding:
        for j in range(len(row)):
            row[j] += scale * row.dtype.type(normal(words[j], table))
    else:
        for j in range(len(row)):
            row[j] = normal(words[j], table)


@nb.njit(nogil=True, cache=True)
def channels_kernel(
    flat: Any, strides: Any, shape: Any, channels: Any, adding: Any, scale: Any, table: Any, counter: Any
) -> None:
    """Emit the normals of channels[0] ... channels[1] - 1.

    `flat` [span] holds element (c, s, b) at c * strides[0] + s * strides[1] + b; `shape` is (steps, batch); `counter`
    is uint64 (seed, source, step, batch offset).
    """
    steps, batch = shape
    seed, source, step, offset = counter
    skip = np.int64(offset % np.uint64(4))
    groups = (skip + batch + 3) // 4
    words = np.empty(4 * CHUNK, np.uint32)
    group, time = np.empty(CHUNK, np.uint64), np.empty(CHUNK, np.uint64)
    for channel in range(channels[0], channels[1]):
        for q in range(0, steps * groups, CHUNK):
            n = min(CHUNK, steps * groups - q)
            s, g = q // groups, q % groups
            list_counters(group, time, offset // np.uint64(4), step, groups, s, g, n)
            philox_words(words, group, time, channel, source, seed, n)
            i = 0
            while i < n:
                m = min(groups - g, n - i)
                at = 4 * g - skip  # batch position of the first word of this run
                b0, b1 = max(0, at), min(batch, at + 4 * m)
                base = channel * strides[0] + s * strides[1]
                emit(flat[base + b0 : base + b1], words[4 * i + b0 - at :], adding, scale[channel], table)
                i, g, s = i + m, 0, s + 1


def fill(out: Array, seed: int, source: int, step: int, batch_offset: int) -> None:
    """Fill `out` [channels, steps, batch] (real, contiguous along batch) with normals."""
    _launch(out, False, np.empty(out.shape[0], out.dtype), (seed, source, step, batch_offset))


def add(cells: Array, scale: Array, seed: int, source: int, step: int, batch_offset: int) -> None:
    """`cells += scale[:, None, None] * normals`, `cells` [channels, steps, batch] (real, contiguous along batch)."""
    _launch(cells, True, scale, (seed, source, step, batch_offset))


def _launch(array: Array, adding: bool, scale: Array, counter: tuple[int, int, int, int]) -> None:
    """Run the kernel over all channels, in threads when there is enough to do."""
    channels, steps, batch = array.shape
    if array.size == 0:
        return
    flat, strides = _flat(array)
    numbers = tuple(np.uint64(n) for n in counter)
    table = noise.normal_table().ravel()

    def part(lo: int, hi: int) -> None:
        channels_kernel(flat, strides, (steps, batch), (lo, hi), adding, scale, table, numbers)

    threads = min(nb.get_num_threads(), channels, array.size // PARALLEL_FROM)
    if threads <= 1:
        part(0, channels)
        return
    edges = [channels * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:  # the kernel releases the GIL
        list(pool.map(part, edges[:-1], edges[1:]))


def _flat(array: Array) -> tuple[Array, tuple[int, int]]:
    """The memory `array` [channels, steps, batch] lives in as one contiguous line, and its strides in numbers.

    Numba knows nothing about the strides of a general view and would not vectorise along its rows.
    """
    channels, steps, batch = array.shape
    if array.flags.c_contiguous:
        return array.reshape(-1), (steps * batch, batch)
    strides = (array.strides[0] // array.itemsize, array.strides[1] // array.itemsize)
    if min(strides) < 0:
        raise ConfigError(f"noise: the array must not run backwards in memory, but has strides {array.strides}")
    span = (channels - 1) * strides[0] + (steps - 1) * strides[1] + batch
    return np.lib.stride_tricks.as_strided(array, (span,), (array.itemsize,)), strides
