"""Phase-change pairs and charge-trap cells: published fits, drift, refresh, noise."""

import numpy as np
import pytest

from devices import DeviceError
from devices.pcm import PcmPair
from devices.sonos import Sonos

QUIET = {"programming_noise": False, "read_noise": False}
G = np.array([1.0, 0.5, 0.1])


def test_pcm_fits_give_the_published_numbers():
    pair = PcmPair()
    np.testing.assert_allclose(pair.programming_sigma(G) * 1e6, [1.05538, 0.952705, 0.448249], rtol=1e-5)
    np.testing.assert_allclose(pair.drift_exponent(np, G), [0.049, 0.049, 0.0600901], rtol=1e-5)
    np.testing.assert_allclose(pair.read_sigma(np, G, 3600.0) * 100, [4.193, 6.579, 18.73], rtol=1e-3)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(3600, [0.7751, 0.7751, 0.7317]), (86400, [0.6635, 0.6635, 0.6047]), (31536000, [0.4969, 0.4969, 0.4242])],
)
def test_pcm_drift_keeps_the_published_share(seconds, kept):
    pair = PcmPair(**QUIET)
    state = pair.create(2 * G, np.zeros((2, 3)))
    pair.advance(np, state, np.zeros(3), seconds)
    np.testing.assert_allclose(pair.value(np, state) / (2 * G), kept, rtol=1e-3)


def test_pcm_drift_is_a_semigroup():
    pair = PcmPair(**QUIET)
    rng = np.random.default_rng(0)
    start, born = rng.uniform(-2, 2, 100), rng.standard_normal((2, 100))
    whole, halves = pair.create(start, born), pair.create(start, born)
    pair.advance(np, whole, np.zeros(100), 1e4)
    pair.advance(np, halves, np.zeros(100), 3e3)
    pair.advance(np, halves, np.zeros(100), 7e3)
    np.testing.assert_allclose(pair.value(np, halves), pair.value(np, whole), rtol=1e-14)


def test_pcm_pulses_only_add_and_reset_the_age():
    pair = PcmPair(drift=False, rate=1.0, **QUIET)
    state = pair.create(np.array([0.0, 0.0]))
    pair.advance(np, state, np.zeros(2), 100.0)
    pair.advance(np, state, np.array([0.01, -0.01]), 1.0)
    assert state["plus"][0] == state["minus"][1] > 0.1
    assert state["plus"][1] == state["minus"][0] == 0.0
    assert (state["age_plus"][0], state["age_plus"][1]) == (20.0, 121.0)
    np.testing.assert_allclose(pair.value(np, state), [state["plus"][0], -state["plus"][0]])


def test_pcm_refresh_keeps_the_weight_and_empties_one_cell():
    pair = PcmPair(drift=False, **QUIET)
    state = pair.create(np.array([0.5]))
    for step in range(400):
        pair.advance(np, state, np.array([0.02 if step % 2 else -0.02]), 1.0)
        assert min(state["plus"][0], state["minus"][0]) <= 1.8
    before = {name: array.copy() for name, array in state.items()}
    before["plus"][...], before["minus"][...] = 1.9, 1.2
    pair.refresh(np, before, None)
    assert before["plus"][0] == pytest.approx(0.7)
    assert before["minus"][0] == 0.0


def test_pcm_noise_has_the_published_size():
    pair = PcmPair(drift=False)
    rng = np.random.default_rng(1)
    cells = 50_000
    state = pair.create(np.full(cells, 1.0), rng.standard_normal((2, cells)))
    assert state["plus"].std() == pytest.approx(0.952705 / 25 * 2, rel=0.02)
    quiet = PcmPair(drift=False, programming_noise=False)
    state = quiet.create(np.full(cells, 1.0), rng.standard_normal((1, cells)))
    quiet.advance(np, state, np.zeros(cells), 3600.0, rng.standard_normal((1, cells)))
    assert quiet.value(np, state).std() == pytest.approx(0.06579, rel=0.02)


def test_sonos_errors_grow_with_age_and_keep_their_sign():
    cell = Sonos(read_a=0.0)
    current = np.array([1600e-9, 100e-9])
    np.testing.assert_allclose(
        cell.error_sigma(np, current, np.zeros(2)), 19.89e-9 * (1 - np.exp(-current / 176.3e-9)), rtol=1e-12
    )
    assert cell.error_sigma(np, current, np.full(2, 432000.0))[0] == pytest.approx(34.6e-9, rel=1e-3)
    rng = np.random.default_rng(2)
    state = cell.create(np.zeros(20_000), rng.standard_normal((2, 20_000)))
    fresh = cell.value(np, state).copy()
    cell.advance(np, state, np.zeros(20_000), 86400.0, rng.standard_normal((2, 20_000)))
    old = cell.value(np, state)
    assert fresh.std() == pytest.approx(2 * 19.89 / 3200, rel=0.03)
    assert old.std() == pytest.approx(2 * 25.6 / 3200, rel=0.03)
    assert np.all(fresh * old >= 0)


def test_sonos_moves_with_the_drive_and_stays_inside():
    cell = Sonos(rate=0.5)
    noise = np.zeros((2, 3))
    state = cell.create(np.array([0.0, 0.9, -0.9]), noise)
    cell.advance(np, state, np.array([0.4, 10.0, -10.0]), 1.0, noise)
    np.testing.assert_allclose(state["weight"], [0.2, 1.0, -1.0])


def test_impossible_cells_are_refused():
    with pytest.raises(DeviceError, match="one number for each age"):
        Sonos(ages=(0.0, 1.0))
    with pytest.raises(DeviceError, match="not deterministic"):
        PcmPair(mode="pulsed", rounding="deterministic")
    with pytest.raises(DeviceError, match="needs standard normals"):
        PcmPair().create(np.zeros(2))
