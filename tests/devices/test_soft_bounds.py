"""Soft-bounds memory: closed forms, bounds, passivity, noise statistics, published biases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import DeviceError, SoftBounds, Spread, core_law
from devices.response import pulse_count, symmetry_point

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def run(device, start, drive, dt, seed=0):
    rng = np.random.default_rng(seed)
    start = np.asarray(start)
    state = device.create(start, rng.standard_normal((device.initial_normals, *start.shape)))
    xi = rng.standard_normal((device.normals, *start.shape)).astype(start.dtype)
    device.advance(np, state, np.broadcast_to(np.asarray(drive, dtype=start.dtype), start.shape), dt, xi)
    return state


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("drive", "bound"), [(0.5, 1.25), (-0.5, -0.75)])
def test_constant_drive_relaxes_exponentially_to_the_bound(dtype, drive, bound):
    cell = SoftBounds(rate=2.0, dw_min=0.01, b_max=1.25, b_min=-0.75)
    state = run(cell, np.array([0.3], dtype=dtype), drive, 0.8)
    exact = bound + (0.3 - bound) * np.exp(-2.0 * 0.5 * 0.8 / abs(bound))
    assert state["theta"].dtype == dtype
    assert state["theta"][0] == pytest.approx(exact, rel=1e-14 if dtype is np.float64 else 1e-6)


def test_the_continuous_law_solves_the_core_law():
    cell = SoftBounds(rate=1.5, dw_min=0.01, b_max=1.25, b_min=-0.75)
    rng = np.random.default_rng(2)
    theta, drive = rng.uniform(-0.7, 1.2, 100), rng.standard_normal(100)
    state, dt = cell.create(theta), 1e-6
    cell.advance(np, state, drive, dt)
    speed = core_law(np, drive, cell.up(np, theta, {"theta": theta}), cell.down(np, theta, {"theta": theta}), 1.5)
    np.testing.assert_allclose((state["theta"] - theta) / dt, speed, atol=1e-4)


def test_pulses_multiply_the_distance_to_the_bound():
    cell = SoftBounds(rate=1.0, dw_min=0.1, mode="pulsed", rounding="deterministic")
    state = run(cell, np.array([0.2]), 1.0, 0.7000001)
    assert state["theta"][0] == pytest.approx(1 - 0.8 * 0.9**7, rel=1e-12)


def test_a_zero_drive_changes_no_bit():
    for mode in ("continuous", "pulsed"):
        cell = SoftBounds(dw_min=0.01, mode=mode, cycle_to_cycle=0.5, write_noise=0.1)
        start = np.random.default_rng(3).uniform(-1, 1, 1000)
        state = run(cell, start, 0.0, 1.0)
        np.testing.assert_array_equal(state["theta"], start)
        seen = cell.create(start, np.random.default_rng(0).standard_normal((1, 1000)))["apparent"]
        np.testing.assert_allclose(state["apparent"], seen, atol=1e-15)


@given(
    drive=st.lists(finite, min_size=4, max_size=4),
    dt=st.floats(0, 1e6),
    start=st.floats(-1, 1),
    mode=st.sampled_from(["continuous", "pulsed"]),
    rounding=st.sampled_from(["stochastic", "poisson", "deterministic"]),
    additive=st.booleans(),
    dw_min=st.sampled_from([1e-4, 0.1, 3.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=200, deadline=None)
def test_bounds_cannot_be_crossed(drive, dt, start, mode, rounding, additive, dw_min, dtype):
    cell = SoftBounds(
        dw_min=dw_min,
        b_max=1.25,
        b_min=-0.75,
        mode=mode,
        rounding=rounding,
        cycle_to_cycle=2.0,
        additive_noise=additive,
        b_max_spread=0.3,
        b_min_spread=0.4,
        dw_min_spread=0.3,
    )
    state = run(cell, np.full(4, start, dtype=dtype), np.array(drive), dt)
    assert np.all(np.isfinite(state["theta"]))
    assert np.all((state["theta"] <= state["b_max"]) & (state["theta"] >= state["b_min"]))


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 1e3))
def test_any_response_absorbs_power(drive, up, down, mobility):
    assert drive * core_law(np, np.float64(drive), up, down, mobility) >= -1e-6


@pytest.mark.parametrize(
    ("dw_min", "b_min", "b_max", "up", "down"),
    [(0.002, -0.75, 1.25, 1839, 1103), (0.0949, -1, 1, 30, 30), (0.4622, -1, 1, 5, 5)],
)
def test_pulse_counts_of_the_published_presets(dw_min, b_min, b_max, up, down):
    cell = SoftBounds(dw_min=dw_min, b_min=b_min, b_max=b_max)
    assert (pulse_count(cell, +1), pulse_count(cell, -1)) == (up, down)
    assert symmetry_point(cell) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("sigma", "biased"), [(0.1, 0.5508), (0.5, 0.4213), (1.0, 0.3284), (2.0, 0.2287)])
def test_noisy_gradients_bias_the_weight_towards_the_symmetry_point(sigma, biased):
    # fixed point of theta - theta0 + theta E|g| = 0, g ~ N(theta - theta0, sigma^2), theta0 = 0.6 (devices.md 1.3)
    rng = np.random.default_rng(4)
    cell = SoftBounds(rate=1.0, dw_min=1e-3)
    state = cell.create(np.full(4000, biased))
    total, steps, skip = 0.0, 1500, 500
    for step in range(steps):
        gradient = state["theta"] - 0.6 + sigma * rng.standard_normal(4000)
        cell.advance(np, state, -gradient, 0.005)
        total += state["theta"].mean() if step >= skip else 0.0
    assert total / (steps - skip) == pytest.approx(biased, rel=0.01)


@pytest.mark.parametrize("rounding", ["stochastic", "poisson", "deterministic"])
def test_the_mean_number_of_pulses_is_the_drive_times_time(rounding):
    cell = SoftBounds(rate=1.0, dw_min=1e-6, mode="pulsed", rounding=rounding)
    state = cell.create(np.zeros(20_000))
    rng, drive = np.random.default_rng(5), 0.37e-6
    for _ in range(20):
        xi = rng.standard_normal((cell.normals, 20_000))
        cell.advance(np, state, np.full(20_000, drive), 1.0, xi)
    pulses = state["theta"] / 1e-6
    variance = {"stochastic": 20 * 0.37 * 0.63, "poisson": 20 * 0.37, "deterministic": 0.0}[rounding]
    wanted = 7.0 if rounding == "deterministic" else 7.4
    assert pulses.mean() == pytest.approx(wanted, abs=4 * np.sqrt(variance / 20_000) + 1e-3)
    assert pulses.var() == pytest.approx(variance, rel=0.05, abs=1e-6)


@pytest.mark.parametrize(("drive", "count"), [(1e-4, 1), (0.1, 1000)])
def test_cycle_to_cycle_noise_grows_as_the_root_of_the_pulses(drive, count):
    quiet = SoftBounds(dw_min=1e-4, mode="pulsed", rounding="deterministic")
    noisy = SoftBounds(dw_min=1e-4, mode="pulsed", rounding="deterministic", cycle_to_cycle=0.3)
    start = np.zeros(20_000)
    shift = run(noisy, start, drive * 1.00001, 1.0)["theta"] - run(quiet, start, drive * 1.00001, 1.0)["theta"]
    kept = (1 - 1e-4) ** count
    assert shift.std() == pytest.approx(0.3 * 1e-4 * np.sqrt(count) * kept, rel=0.03)


def test_one_normal_per_train_has_the_variance_of_single_noisy_pulses():
    # 200 pulses made singly, with additive noise, against one train of 200
    rng, cells = np.random.default_rng(6), 20_000
    one = SoftBounds(dw_min=0.01, mode="pulsed", rounding="deterministic", cycle_to_cycle=2.0, additive_noise=True)
    singly, train = one.create(np.full(cells, -0.3)), one.create(np.full(cells, -0.3))
    drive = np.full(cells, 0.010001)
    for _ in range(200):
        one.advance(np, singly, drive, 1.0, rng.standard_normal((1, cells)))
    one.advance(np, train, drive, 200.0, rng.standard_normal((1, cells)))
    assert train["theta"].mean() == pytest.approx(singly["theta"].mean(), abs=0.01)
    # the bound clips both; the spreads agree to the size of that clip
    assert train["theta"].std() == pytest.approx(singly["theta"].std(), rel=0.1)


def test_write_noise_is_drawn_once_per_write_and_never_reaches_the_hidden_state():
    cell = SoftBounds(rate=1.0, dw_min=0.01, write_noise=0.1)
    state = cell.create(np.zeros(10_000), np.random.default_rng(7).standard_normal((1, 10_000)))
    first = state["apparent"].copy()
    assert first.std() == pytest.approx(0.1, rel=0.05)
    drive = np.where(np.arange(10_000) % 2 == 0, 0.01, 0.0)
    cell.advance(np, state, drive, 1.0, np.random.default_rng(8).standard_normal((1, 10_000)))
    np.testing.assert_array_equal(state["apparent"][1::2], first[1::2])
    assert np.all(state["apparent"][::2] != first[::2])
    assert state["theta"].std() < 0.006


def test_spread_has_the_stated_size_and_keeps_the_sign():
    cell = SoftBounds(
        dw_min=0.002,
        b_min=-0.75,
        b_max=1.25,
        dw_min_spread=Spread(0.5, "lognormal"),
        b_max_spread=0.24,
        b_min_spread=2.0,
    )
    state = cell.create(np.zeros(50_000), np.random.default_rng(9).standard_normal((3, 50_000)))
    assert state["dw_min"].std() == pytest.approx(0.001, rel=0.03)
    assert np.median(state["dw_min"]) == pytest.approx(0.002, rel=0.02)
    assert state["b_max"].std() == pytest.approx(0.3, rel=0.03)
    assert state["b_min"].max() <= -0.0075
    assert state["dw_min"].min() > 0


def test_dead_cells_never_move():
    cell = SoftBounds(dw_min=0.01, dead_fraction=0.2, dead_value=0.4, cycle_to_cycle=1.0)
    state = run(cell, np.zeros(10_000), 1.0, 0.5)
    stuck = state["theta"] == 0.4
    assert stuck.mean() == pytest.approx(0.2, abs=0.02)
    assert np.all(stuck == (state["dw_min"] == 0))


def test_a_reference_shifts_the_value_and_the_symmetry_point():
    cell = SoftBounds(dw_min=0.01, reference=0.05, weight_scale=2.0)
    state = cell.create(np.array([0.5]))
    assert cell.value(np, state)[0] == pytest.approx(0.5)
    assert cell.clip_range() == pytest.approx((-2.1, 1.9))


def test_one_cell_at_a_time_equals_all_cells_at_once():
    cell = SoftBounds(dw_min=0.01, mode="pulsed", cycle_to_cycle=0.3, write_noise=0.05, b_max_spread=0.2)
    rng, n = np.random.default_rng(10), 20_000
    start, drive = rng.uniform(-0.5, 0.5, n), rng.standard_normal(n)
    born, xi = rng.standard_normal((cell.initial_normals, n)), rng.standard_normal((cell.normals, n))
    state = cell.create(start, born)
    cell.advance(np, state, drive, 0.1, xi)
    for i in range(0, n, 997):
        part = cell.create(start[i : i + 1], born[:, i : i + 1])
        cell.advance(np, part, drive[i : i + 1], 0.1, xi[:, i : i + 1])
        for name in state:
            assert part[name][0] == state[name][i]


def test_wrong_use_says_who_and_what():
    with pytest.raises(DeviceError, match="b_min < 0 < b_max"):
        SoftBounds(dw_min=0.1, b_min=0.1)
    with pytest.raises(DeviceError, match="mode must be"):
        SoftBounds(dw_min=0.1, mode="pulse")
    cell = SoftBounds(dw_min=0.1, mode="pulsed")
    with pytest.raises(DeviceError, match=r"needs standard normals xi of shape \(1, 2\)"):
        cell.advance(np, cell.create(np.zeros(2)), np.zeros(2), 1.0)


def test_saturated_cells_and_mean_pulses_are_reported():
    cell = SoftBounds(rate=2.0, dw_min=0.01, b_max_spread=0.2)
    state = cell.create(np.zeros(1000), np.random.default_rng(11).standard_normal((1, 1000)))
    assert not cell.saturated(np, state).any()
    drive = np.where(np.arange(1000) < 300, 1e3, 0.0)
    np.testing.assert_allclose(cell.mean_pulses(np, state, drive, 0.5), drive * 100)
    cell.advance(np, state, drive, 1.0)
    assert cell.saturated(np, state).sum() == 300
