"""Write and verify: cells land beside their target with the published error, once per write."""

import numpy as np
import pytest

from devices import DeviceError, WriteVerify, card

MANY = 40_000


@pytest.mark.parametrize(("name", "microsiemens", "sigma"), [("rram_wan", 10.0, 2.4136), ("rram_milo", 150.0, 3.4155)])
def test_cells_scatter_as_published(name, microsiemens, sigma):
    cell = card(name)
    span = cell.g_max - cell.g_min
    weight = 2 * (microsiemens * 1e-6 - cell.g_min) / span - 1
    state = cell.create(np.full(MANY, weight), np.random.default_rng(0).standard_normal((1, MANY)))
    landed = (cell.value(np, state) + 1) / 2 * span + cell.g_min
    assert landed.mean() == pytest.approx(microsiemens * 1e-6, rel=0.005)
    assert landed.std() == pytest.approx(sigma * 1e-6, rel=0.02)


def test_the_error_is_drawn_at_a_write_and_kept_without_one():
    cell = WriteVerify(g_min=0.0, g_max=40e-6, programming=(1e-6,))
    state = cell.create(np.zeros(2), np.zeros((1, 2)))
    cell.advance(np, state, np.array([0.1, 0.0]), 1.0, np.ones((1, 2)))
    assert state["error"].tolist() == [1.0, 0.0]
    np.testing.assert_allclose(cell.value(np, state), [0.1 + 2 / 40, 0.0], atol=1e-15)
    cell.advance(np, state, np.zeros(2), 1.0, np.full((1, 2), 5.0))
    assert state["error"].tolist() == [1.0, 0.0]
    quiet = cell.quiet
    np.testing.assert_allclose(quiet.value(np, state), [0.1, 0.0], atol=1e-15)


def test_conductances_stay_positive_and_faults_are_named():
    cell = WriteVerify(g_min=0.0, g_max=40e-6, programming=(1e-6,))
    low = cell.create(np.full(3, -1.0), np.full((1, 3), -9.0))
    np.testing.assert_array_equal(cell.value(np, low), -1.0)
    with pytest.raises(DeviceError, match="g_min < g_max"):
        WriteVerify(g_min=1e-6, g_max=1e-6, programming=(0.0,))
    with pytest.raises(DeviceError, match="list of polynomial"):
        WriteVerify(g_min=0.0, g_max=1e-6, programming=1e-6)
