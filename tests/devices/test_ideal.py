"""Ideal ports against their closed forms."""

import numpy as np
import pytest

from devices import DeviceError, Gradient, Momentum

DTYPES = [np.float32, np.float64]


def test_scalar_descent_reaches_v36():
    # L = (x w - y)^2/2 driven by its own gradient: w = y/x + (w0 - y/x) exp(-rate x^2 t)
    x, y, steps = 2.0, 0.5, 200_000
    port = Gradient(rate=0.1)
    state = port.create(np.array([1.0]))
    for _ in range(steps):
        port.advance(np, state, -(x * state["theta"] - y) * x, 1.0 / steps)
    assert state["theta"][0] == pytest.approx(0.7527400, abs=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4), (20_001,), ()])
def test_gradient_adds_rate_times_drive(dtype, shape):
    rng = np.random.default_rng(0)
    start, drive = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)
    start, drive = np.asarray(start), np.asarray(drive)
    port = Gradient(rate=0.3)
    state = port.create(start)
    port.advance(np, state, drive, 0.5)
    assert state["theta"].dtype == dtype
    assert port.value(np, state) is state["theta"]
    np.testing.assert_allclose(state["theta"], start + dtype(0.15) * drive, rtol=4 * np.finfo(dtype).eps, atol=1e-7)


def test_gradient_takes_other_layouts_and_dtypes():
    port = Gradient(rate=1.0)
    state = port.create(np.zeros((4, 3)))
    port.advance(np, state, np.ones((3, 4), dtype=np.float32).T, 1.0)
    port.advance(np, state, np.ones(()), 1.0)
    np.testing.assert_array_equal(state["theta"], np.full((4, 3), 2.0))


def test_gradient_with_a_rate_per_cell():
    port = Gradient(rate=np.array([1.0, 2.0]))
    state = port.create(np.zeros((3, 2), dtype=np.float32))
    port.advance(np, state, np.ones((3, 2), dtype=np.float32), 1.0)
    assert set(state) == {"theta", "rate"}
    assert state["theta"].dtype == np.float32
    np.testing.assert_array_equal(state["theta"], [[1.0, 2.0]] * 3)


def test_momentum_free_motion_is_the_closed_form():
    port = Momentum(rate=2.0, time_constant=0.5)
    state = port.create(np.array([1.0]))
    port.advance(np, state, np.array([3.0]), 0.7)
    final, tau = 6.0, 0.5
    assert state["theta"][0] == pytest.approx(1 + final * (0.7 - tau * (1 - np.exp(-0.7 / tau))), rel=1e-14)
    assert state["velocity"][0] == pytest.approx(final * (1 - np.exp(-0.7 / tau)), rel=1e-14)


def test_momentum_half_steps_equal_a_whole_step():
    rng = np.random.default_rng(1)
    port = Momentum(rate=0.7, time_constant=0.2)
    whole = port.create(rng.standard_normal(50))
    halves = {name: array.copy() for name, array in whole.items()}
    drive = rng.standard_normal(50)
    port.advance(np, whole, drive, 10.0)
    port.advance(np, halves, drive, 5.0)
    port.advance(np, halves, drive, 5.0)
    for name in whole:
        np.testing.assert_allclose(halves[name], whole[name], rtol=1e-14)


def test_momentum_on_a_quadratic_is_a_damped_oscillator():
    # M theta'' + R theta' + k theta = 0 with R = 1, M = 1, k = 4: w = sqrt(4 - 1/4), decay 1/2
    port = Momentum(rate=1.0, time_constant=1.0)
    state = port.create(np.array([1.0]))
    steps, duration = 100_000, 2.0
    for _ in range(steps):
        port.advance(np, state, -4.0 * state["theta"], duration / steps)
    w = np.sqrt(4 - 0.25)
    exact = np.exp(-0.5 * duration) * (np.cos(w * duration) + 0.5 / w * np.sin(w * duration))
    assert state["theta"][0] == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_momentum_is_stable_at_any_step(dtype):
    port = Momentum(rate=1.0, time_constant=1e-3)
    state = port.create(np.ones(3, dtype=dtype))
    port.advance(np, state, np.full(3, -1.0, dtype=dtype), 1e3)
    np.testing.assert_allclose(state["theta"], 1 - 1e3 + 1e-3, rtol=1e-6)
    assert state["velocity"].dtype == dtype


def test_impossible_ports_are_refused():
    with pytest.raises(DeviceError, match="rate must be >= 0"):
        Gradient(rate=-1.0)
    with pytest.raises(DeviceError, match="use Gradient"):
        Momentum(rate=1.0, time_constant=0.0)
    with pytest.raises(DeviceError, match="does not broadcast"):
        Gradient(rate=np.ones(3)).create(np.zeros(2))
