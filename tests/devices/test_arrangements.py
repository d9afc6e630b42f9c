"""Wrappers around devices, and what transfer does against the bias of asymmetric cells."""

import numpy as np
import pytest

from devices import DeviceError, Gradient, SoftBounds
from devices.arrangements import Defects, DifferentialPair, ReferenceCell
from devices.langevin import Langevin
from devices.photonic_pcm import PhotonicPcm
from devices.transfer import ChoppedTransfer, Transfer

SOFT = SoftBounds(rate=1.0, dw_min=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "device",
    [
        DifferentialPair(SoftBounds(dw_min=0.01, mode="pulsed", cycle_to_cycle=0.3, write_noise=0.1, b_max_spread=0.1)),
        ReferenceCell(SoftBounds(dw_min=0.01, dw_min_spread=0.3), error=0.05),
        Defects(SOFT, dead=0.1, stuck=0.1),
        Transfer(SOFT, SOFT, gain=0.3, reference_error=0.05, fast_share=0.2),
        ChoppedTransfer(SOFT, SoftBounds(dw_min=0.01, mode="pulsed"), period=0.02),
        DifferentialPair(PhotonicPcm(length=1e-5, amorphous_loss=0.0, crystalline_loss=2e5)),
    ],
    ids=lambda device: type(device).__name__,
)
def test_wrappers_keep_the_contract(device, dtype):
    rng = np.random.default_rng(0)
    start = np.full((5, 7), 0.05, dtype=dtype)
    state = device.create(start, rng.standard_normal((device.initial_normals, 5, 7)))
    names = {variable.name for variable in device.states}
    assert names <= set(state)
    for _ in range(5):
        device.advance(np, state, np.ones_like(start), 0.01, rng.standard_normal((device.normals, 5, 7)))
    assert all(array.dtype == dtype and array.shape == (5, 7) for array in state.values())
    assert device.value(np, state).dtype == dtype
    for variable in device.states:
        if "b_max" not in " ".join(state):
            assert np.all(state[variable.name] >= variable.lo - 1e-6)
            assert np.all(state[variable.name] <= variable.hi + 1e-6)


def test_a_pair_cancels_the_asymmetry_of_its_cells():
    pair, single = DifferentialPair(SOFT), SOFT
    theta = np.linspace(-0.8, 0.8, 9)
    moved = []
    for drive in (1.0, -1.0):
        state = pair.create(theta)
        pair.advance(np, state, np.full(9, drive), 1e-6)
        moved.append(pair.value(np, state) - theta)
    np.testing.assert_allclose(moved[0] + moved[1], -2e-6 * theta, atol=1e-10)
    lo, hi = pair.clip_range()
    assert (lo, hi) == single.clip_range()
    # from one common start both cells are symmetric
    balanced = {name: np.zeros(1) for name in pair.create(np.zeros(1))}
    pair.advance(np, balanced, np.array([0.3]), 1.0)
    assert pair.value(np, balanced)[0] == pytest.approx(1 - np.exp(-0.3))


def test_defects_have_the_stated_shares_and_never_move():
    rng = np.random.default_rng(1)
    cell = Defects(Gradient(1.0), dead=0.1, stuck=0.05, stuck_range=(-2.0, -1.0))
    state = cell.create(np.full(40_000, 0.5), rng.standard_normal((2, 40_000)))
    cell.advance(np, state, np.ones(40_000), 1.0)
    value = cell.value(np, state)
    assert np.mean(value == 0.0) == pytest.approx(0.1, abs=0.01)
    assert np.mean(value < -0.99) == pytest.approx(0.05, abs=0.01)
    assert np.all(value[state["stuck"] == 0] == 1.5)
    with pytest.raises(DeviceError, match="sum to 1"):
        Defects(Gradient(1.0), dead=0.7, stuck=0.7)


def mean_weight(device, sigma, steps, skip, dt, cells=2000, seed=3, goal=0.6):
    rng = np.random.default_rng(seed)
    state = device.create(np.full(cells, goal), rng.standard_normal((device.initial_normals, cells)))
    total = np.zeros(cells)
    for step in range(steps):
        gradient = device.value(np, state) - goal + sigma * rng.standard_normal(cells)
        device.advance(np, state, -gradient, dt, np.zeros((0, cells)))
        if step >= skip:
            total += device.value(np, state)
    return total / (steps - skip)


def test_transfer_removes_most_of_the_bias():
    # devices.md 1.3: plain 0.3284, transfer about 0.585 at sigma = 1 for an optimum of 0.6
    plain = mean_weight(SOFT, 1.0, 1500, 500, 0.005).mean()
    moved = mean_weight(Transfer(SOFT, SOFT, gain=0.2), 1.0, 6000, 3000, 0.005, cells=500).mean()
    assert plain == pytest.approx(0.3284, rel=0.01)
    # what is left is the bias of W under its own noisy drive A: E|g| W E|A| with var A = dt sigma^2/(2 E|g|)
    rate = np.sqrt(2 / np.pi)
    left = rate * moved * np.sqrt(2 / np.pi) * np.sqrt(0.005 / (2 * rate))
    assert 0.6 - moved == pytest.approx(left, rel=0.2)
    assert 0.6 - moved < (0.6 - plain) / 10


def test_a_chopper_removes_the_bias_of_a_wrong_reference():
    options = {"gain": 0.05, "reference_error": 0.1}
    runs = {"sigma": 1.0, "steps": 12_000, "skip": 4000, "dt": 0.02, "cells": 300}
    plain = mean_weight(Transfer(SOFT, SOFT, **options), **runs)
    chopped = mean_weight(ChoppedTransfer(SOFT, SOFT, period=10.0, **options), **runs)
    assert plain.std() > 0.05
    assert chopped.std() < plain.std() / 3


def test_ito_drift_keeps_the_distribution_of_a_quadratic_well():
    # devices.md 1.0: kT 0.2, mu = 1 + 0.8 sin 3 theta: the mean stays at 0 (without the drift it goes to -0.245)
    port = Langevin(rate=1.0, temperature=0.2, depth=0.8, wavenumber=3.0)
    rng = np.random.default_rng(4)
    state = port.create(np.zeros(4000))
    means, squares = [], []
    for step in range(2000):
        port.advance(np, state, -state["theta"], 0.01, rng.standard_normal((1, 4000)))
        if step > 500:
            means.append(state["theta"].mean())
            squares.append((state["theta"] ** 2).mean())
    assert np.mean(means) == pytest.approx(0.0, abs=0.02)
    assert np.mean(squares) == pytest.approx(0.2, rel=0.03)
