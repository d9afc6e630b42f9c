"""Read noise: spectra, occupations and step-size independence; the stored state stays clean."""

import numpy as np
import pytest
from scipy.signal import welch

from devices import DeviceError, Gradient, SoftBounds
from devices.readout import NoisyReadout


def record(port, steps, dt, cells=200, seed=0):
    rng = np.random.default_rng(seed)
    state = port.create(np.zeros(cells), rng.standard_normal((port.initial_normals, cells)))
    seen = np.empty((steps, cells))
    for step in range(steps):
        port.advance(np, state, np.zeros(cells), dt, rng.standard_normal((port.normals, cells)))
        seen[step] = port.value(np, state)
    assert not np.any(state["cell.theta"])
    return seen


def test_telegraph_noise_is_the_exact_two_state_process():
    # devices.md 3.1: occupation k0/(k0 + k1), lag-1 correlation exp(-(k0 + k1) dt)
    port = NoisyReadout(Gradient(1.0), telegraph=0.5, trap_time=2.5, free_time=1.0)
    seen = record(port, 1500, 0.05)
    trapped = seen == -0.5
    assert trapped.mean() == pytest.approx(2.5 / 3.5, abs=0.01)
    centred = trapped - trapped.mean()
    lag = (centred[1:] * centred[:-1]).mean() / (centred**2).mean()
    assert lag == pytest.approx(np.exp(-0.05 * (1 / 2.5 + 1)), abs=0.005)


@pytest.mark.parametrize("dt", [1e-4, 5e-5])
def test_flicker_noise_has_a_one_over_f_spectrum(dt):
    port = NoisyReadout(Gradient(1.0), flicker=1e-3, f_low=1.0, f_high=1e4)
    steps = round(0.4 / dt)
    f, density = welch(record(port, steps, dt, cells=64), fs=1 / dt, nperseg=steps // 4, axis=0)
    band = (f > 30) & (f < 1000)
    slope, level = np.polyfit(np.log10(f[band]), np.log10(density.mean(1)[band]), 1)
    assert slope == pytest.approx(-1.0, abs=0.1)
    assert 10 ** (level + slope * 2) == pytest.approx(1e-3 / 100, rel=0.15)


def test_the_variance_of_flicker_noise_does_not_depend_on_the_step():
    port = NoisyReadout(Gradient(1.0), flicker=1e-2, f_low=1.0, f_high=1e3)
    total = 1e-2 * np.log(1e3)
    for dt in (1e-5, 1e-2, 1e3):
        assert record(port, 5, dt, cells=20_000)[-1].var() == pytest.approx(total, rel=0.05)


def test_relative_white_noise_and_stable_names():
    port = NoisyReadout(SoftBounds(dw_min=0.01, b_max_spread=0.1), white=0.1, relative=True)
    rng = np.random.default_rng(1)
    state = port.create(np.full(50_000, 0.5), rng.standard_normal((2, 50_000)))
    assert port.value(np, state).std() == pytest.approx(0.05, rel=0.03)
    assert {variable.name for variable in port.states} <= set(state)
    with pytest.raises(DeviceError, match="f_low < f_high"):
        NoisyReadout(Gradient(1.0), f_low=2.0, f_high=1.0)
