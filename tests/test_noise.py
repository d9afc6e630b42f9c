"""The random generator: known answers, the same bits however a run is cut, and standard normals to many digits."""

import hashlib
import itertools
import struct
import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from substrate import noise
from substrate.errors import ConfigError
from substrate.noise import add_normals, cell_normals, fill_normals, normals, philox, uniforms, words_to_normals
from substrate.noise import kernels as noise_kernels

SEEDS = st.integers(0, 2**64 - 1)
SOURCES = st.integers(0, 2**16 - 1)
# Around the carry of the step's low word, and anywhere.
STEPS = st.one_of(st.integers(0, 50), st.integers(2**32 - 20, 2**32 + 20), st.integers(0, 2**48 - 100))


# --- Philox ---------------------------------------------------------------------------------------------------------


def philox_in_integers(counter: list[int], key: list[int], bits: int) -> list[int]:
    """Philox4xN-10 in Python integers, written from the paper for any word width N: 32 here, 64 in NumPy."""
    multipliers, weyl = {
        32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
        64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)),
    }[bits]
    low = 2**bits - 1
    for r in range(10):
        high0, low0 = divmod(multipliers[0] * counter[0], 2**bits)
        high1, low1 = divmod(multipliers[1] * counter[2], 2**bits)
        k0, k1 = ((k + r * w) & low for k, w in zip(key, weyl, strict=True))
        counter = [high1 ^ counter[1] ^ k0, low1, high0 ^ counter[3] ^ k1, low0]
    return counter


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    """Random123, kat_vectors, philox4x32 10."""
    words, keys, expected = ([int(w, 16) for w in text.split()] for text in (counter, key, answer))
    assert philox(words, (keys[0], keys[1])).tolist() == expected
    assert philox_in_integers(words, keys, 32) == expected


def test_the_integer_philox_is_numpys_at_64_bits() -> None:
    """So the plain version above, which checks ours at 32 bits, is itself checked by an independent implementation."""
    counter, key = [5, 6, 7, 8], [0x0123456789ABCDEF, 42]
    generator = np.random.Philox(counter=np.array(counter, np.uint64), key=np.array(key, np.uint64))
    counter[0] += 1  # NumPy counts up before it draws
    assert generator.random_raw(4).tolist() == philox_in_integers(counter, key, 64)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_philox_agrees_with_integer_arithmetic(words: list[int]) -> None:
    assert philox(words[:4], (words[4], words[5])).tolist() == philox_in_integers(words[:4], words[4:], 32)


@given(SEEDS, SOURCES, STEPS, st.integers(0, 2**34 - 1))
def test_the_counter_is_laid_out_as_documented(seed: int, source: int, step: int, batch: int) -> None:
    channel = 2
    counter = [batch // 4, channel, step % 2**32, source | (step >> 32) << 16]
    word = philox_in_integers(counter, [seed % 2**32, seed >> 32], 32)[batch % 4]
    assert noise.random_words(seed, source, step, 3, 1, batch_offset=batch)[channel, 0, 0] == word


# --- the same bits everywhere ---------------------------------------------------------------------------------------


def normal_in_scalars(word: int) -> float:
    """The documented evaluation of one word, with Python floats and `struct`."""
    (bits,) = struct.unpack("<q", struct.pack("<d", float(2 * (word & 0x7FFFFFFF) + 1)))
    (mantissa,) = struct.unpack("<d", struct.pack("<q", bits & (2**48 - 1) | 1023 << 52))
    t = mantissa - 1.03125
    c = noise.normal_table()[(bits >> 48) - (1023 << 4)].tolist()
    x = (((c[4] * t + c[3]) * t + c[2]) * t + c[1]) * t + c[0]
    return -x if word >> 31 else x


@given(st.integers(0, 2**32 - 1))
def test_the_table_evaluation_is_plain_double_arithmetic(word: int) -> None:
    assert float(words_to_normals(np.array([word], np.uint32))[0]) == normal_in_scalars(word)


def test_the_bits_never_change() -> None:
    """A run is repeated years later on another machine: table and numbers are pinned."""
    table = noise.normal_table().astype("<f8").tobytes()
    drawn = normals(20240229, 513, 2**32 - 2, channels=3, batch=37, steps=4, batch_offset=3).astype("<f8").tobytes()
    assert hashlib.sha256(table).hexdigest()[:16] == "18e34c9342c5f39b"
    assert hashlib.sha256(drawn).hexdigest()[:16] == "25609419066499d8"


@given(SEEDS, SOURCES, STEPS, st.integers(0, 2**33), st.sampled_from(["f4", "f8", "c8", "c16"]), st.data())
@settings(max_examples=150, deadline=None)
def test_numba_gives_numpys_bits(
    seed: int, source: int, step: int, offset: int, kind: str, data: st.DataObject
) -> None:
    channels, steps, batch = (data.draw(st.integers(1, n)) for n in (3, 9, 150))
    expected = normals(seed, source, step, channels, batch, steps=steps, batch_offset=offset // 2, dtype=kind)
    filled = fill_normals(np.empty((channels, steps, batch), kind), seed, source, step, offset // 2)
    assert filled.dtype == np.dtype(kind)
    assert filled.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_long_rows_and_many_short_rows_give_numpys_bits(kind: str) -> None:
    """Several chunks of counters, cut inside rows and between them."""
    for channels, steps, batch, offset in [(2, 3, 5000, 7), (2, 3000, 1, 3), (1, 700, 6, 2), (1, 1, 1024, 0)]:
        expected = normals(1, 2, 2**32 - 1000, channels, batch, steps=steps, batch_offset=offset, dtype=kind)
        filled = fill_normals(np.empty((channels, steps, batch), kind), 1, 2, 2**32 - 1000, offset)
        assert filled.tobytes() == expected.tobytes()


def test_threads_do_not_change_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    one = fill_normals(np.empty((7, 5, 33)), 1, 2, 3)
    monkeypatch.setattr(noise_kernels, "PARALLEL_FROM", 100)
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    assert fill_normals(np.empty((7, 5, 33)), 1, 2, 3).tobytes() == one.tobytes()


@given(SEEDS, STEPS, st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 1000), st.booleans())
@settings(deadline=None)
def test_any_batch_split_draws_the_same(seed: int, step: int, parts: list[int], offset: int, compiled: bool) -> None:
    whole = normals(seed, 3, step, 2, sum(parts), steps=3, batch_offset=offset)
    edges = list(itertools.accumulate(parts, initial=0))
    pieces = [np.empty((2, 3, n)) for n in parts]
    for piece, start in zip(pieces, edges[:-1], strict=True):
        if compiled:
            fill_normals(piece, seed, 3, step, offset + start)
        else:
            normals(seed, 3, step, 2, piece.shape[2], steps=3, batch_offset=offset + start, out=piece)
    assert np.concatenate(pieces, axis=2).tobytes() == whole.tobytes()


@given(SEEDS, STEPS, st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 9))
@settings(deadline=None)
def test_any_block_length_draws_the_same(seed: int, step: int, blocks: list[int], batch: int) -> None:
    whole = normals(seed, 3, step, 2, batch, steps=sum(blocks))
    starts = list(itertools.accumulate(blocks, initial=0))
    pieces = [fill_normals(np.empty((2, n, batch)), seed, 3, step + s) for n, s in zip(blocks, starts, strict=False)]
    assert np.concatenate(pieces, axis=1).tobytes() == whole.tobytes()


def test_more_channels_leave_the_first_ones_alone() -> None:
    assert np.array_equal(normals(1, 2, 3, 8, 5)[:3], normals(1, 2, 3, 3, 5))


@pytest.mark.parametrize("kind", ["f4", "f8", "c8", "c16"])
def test_adding_in_place_has_numpys_bits_also_in_a_strided_view(kind: str) -> None:
    real = noise.real_dtype(np.dtype(kind))
    cells = np.random.default_rng(0).standard_normal((2, 20, 30, 14)).astype(kind)
    scale = np.linspace(0.1, 2.0, 6)
    expected = cells.copy()
    xi = normals(9, 3, 77, 6, 14, steps=5, batch_offset=6, dtype=kind)
    part = expected[1, 4:10, 11:16]
    for view in (np.real, np.imag) if "c" in kind else (np.asarray,):
        view(part)[...] += scale.astype(real)[:, None, None] * view(xi)
    add_normals(cells[1, 4:10, 11:16], scale, 9, 3, 77, 6)
    assert cells.tobytes() == expected.tobytes()
    add_normals(cells[:, :, 0], 0.0, 9, 3, 77)
    assert cells.tobytes() == expected.tobytes()


def test_a_complex_array_is_its_interleaved_real_array() -> None:
    pair = normals(1, 2, 3, 2, 10, batch_offset=8)
    assert np.array_equal(normals(1, 2, 3, 2, 5, batch_offset=4, dtype=np.complex128), pair.view(np.complex128))


def test_cells_are_channels_and_batch_by_their_flat_index() -> None:
    xi = cell_normals(5, 6, 7, count=3, shape=(4, 5), dtype=np.float32)
    assert xi.shape == (3, 4, 5)
    assert xi.dtype == np.float32
    assert np.array_equal(xi.reshape(3, 20), normals(5, 6, 7, 3, 20, dtype=np.float32)[:, 0])
    assert cell_normals(5, 6, 7, count=2, shape=()).shape == (2,)


def test_importing_the_generator_is_light() -> None:
    code = "import sys, substrate.noise, substrate.noise.sources; assert not {'numba', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})


def test_nothing_to_fill_is_fine() -> None:
    assert fill_normals(np.empty((0, 3, 4)), 1, 2, 3).size == 0
    assert normals(1, 2, 3, 2, 0).shape == (2, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"seed": 2**64},
        {"source": 2**16},
        {"step": -1},
        {"step": 2**48 - 1, "steps": 2},
        {"batch_offset": 2**34 - 1},
        {"batch_offset": -1},
        {"dtype": np.int64},
        {"out": np.empty((1, 1, 7))},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    draw: dict[str, Any] = {"seed": 1, "source": 2, "step": 3, "channels": 1, "batch": 8, **change}
    with pytest.raises(ConfigError):
        normals(**draw)


def test_layouts_that_cannot_be_filled_in_place_are_refused() -> None:
    frozen = np.empty((2, 3, 4))
    frozen.setflags(write=False)
    for array in (np.empty((2, 3, 8))[:, :, ::2], np.empty((3, 4)), np.empty((2, 3, 4))[::-1], frozen):
        with pytest.raises(ConfigError):
            fill_normals(array, 1, 2, 3)
    with pytest.raises(ConfigError, match="scale"):
        add_normals(np.empty((2, 3, 4)), [1.0, 2.0, 3.0], 1, 2, 3)


# --- standard normals -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return fill_normals(np.empty((8, 512, 1024)), 12345, 1, 0)


def test_the_table_is_right_to_1e_9() -> None:
    """All of the far tail and every 997th magnitude; the tool measured 1.36e-10 over all 2**31."""
    k = np.concatenate([np.arange(1 << 16), np.arange(0, 1 << 31, 997)])
    exact = -ndtri((2 * k + 1) * 2.0**-33)
    assert np.abs(words_to_normals(k.astype(np.uint32)) - exact).max() < 2e-10
    assert np.array_equal(words_to_normals((k | 1 << 31).astype(np.uint32)), -words_to_normals(k.astype(np.uint32)))


def test_the_quantile_never_runs_backwards() -> None:
    """Also across segment borders, to the rounding of the last bit."""
    edges = (np.arange(16, 33)[:, None] + np.log2(1 + np.arange(16) / 16)).ravel()
    k = np.unique((2.0**edges / 2).astype(np.int64)[:, None] + np.arange(-40, 40))
    k = k[(k >= 0) & (k < 1 << 31)]
    x = words_to_normals(k.astype(np.uint32))
    assert np.diff(x).max() < 3e-10


def test_moments(sample: np.ndarray) -> None:
    n = sample.size
    for power, mean, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(np.mean(sample**power) - mean) < 4 * np.sqrt(variance / n)


def test_kolmogorov_smirnov(sample: np.ndarray) -> None:
    assert stats.kstest(sample.ravel()[::4], "norm").pvalue > 1e-3
    assert stats.kstest(1.03 * sample.ravel()[::4], "norm").pvalue < 1e-3  # a sample that is not normal is found


@pytest.mark.parametrize("threshold", [1.0, 2.0, 3.0, 4.0, 4.75])
def test_tails_hold_as_many_as_they_should(sample: np.ndarray, threshold: float) -> None:
    expected = sample.size * stats.norm.sf(threshold)
    for tail in (sample > threshold, sample < -threshold):
        assert abs(np.count_nonzero(tail) - expected) < 4 * np.sqrt(expected)


def test_the_whole_range_is_reached() -> None:
    extremes = words_to_normals(np.array([0, 2**31 - 1, 2**31, 2**32 - 1], np.uint32))
    assert np.allclose(extremes, [6.337958, 0, -6.337958, 0], atol=1e-6)


@pytest.mark.parametrize("axis", ["batch", "batch4", "step", "channel", "source", "seed", "high seed", "high step"])
def test_neighbours_are_uncorrelated(axis: str) -> None:
    """The numbers, their squares and their signs: correlation below 4 / sqrt(n) over half a million pairs."""
    origin: dict[str, Any] = {"seed": 7, "source": 8, "step": 9}
    base = normals(**origin, channels=9, batch=1032, steps=65)
    here = base[:8, :64, :1024]
    there = {
        "batch": base[:8, :64, 1:1025],
        "batch4": base[:8, :64, 4:1028],
        "step": base[:8, 1:, :1024],
        "channel": base[1:, :64, :1024],
    }.get(axis)
    if there is None:
        name, jump = {"source": ("source", 1), "seed": ("seed", 1)}.get(axis, (axis.split()[-1], 2**32))
        there = normals(**{**origin, name: origin[name] + jump}, channels=8, batch=1024, steps=64)
    for f in (np.asarray, np.square, np.sign):
        a, b = f(here) - f(here).mean(), f(there) - f(there).mean()
        assert abs(np.mean(a * b)) / (a.std() * b.std()) < 4 / np.sqrt(a.size)


def test_uniforms() -> None:
    u = uniforms(1, 2, 3, channels=4, batch=1000, steps=50)
    assert u.shape == (4, 50, 1000)
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert np.array_equal(u, (noise.random_words(1, 2, 3, 4, 1000, steps=50) + 0.5) / 2**32)


# --- thermal noise --------------------------------------------------------------------------------------------------


def test_a_lossy_pass_in_equilibrium_stays_there() -> None:
    """g a + sigma xi keeps the variance kT / (2 dt P_ref) for every g, exactly; any other factor does not."""
    g = np.linspace(-1, 1, 9)
    thermal = noise.thermal_variance(300.0, 1e-12, 1e-3)
    sigma = noise.pass_noise_sigma(g, 300.0, 1e-12, 1e-3)
    assert np.allclose(g**2 * thermal + sigma**2, thermal, rtol=1e-14)
    assert thermal == pytest.approx(1.380649e-23 * 300 / (2 * 1e-12 * 1e-3), rel=1e-15)


def test_thermal_helpers_refuse_what_cannot_be() -> None:
    for call in (
        lambda: noise.thermal_variance(-1.0, 1e-12, 1e-3),
        lambda: noise.thermal_variance(300.0, 0.0, 1e-3),
        lambda: noise.thermal_variance(np.nan, 1e-12, 1e-3),
        lambda: noise.pass_noise_sigma(1.1, 300.0, 1e-12, 1e-3),
    ):
        with pytest.raises(ConfigError):
            call()
