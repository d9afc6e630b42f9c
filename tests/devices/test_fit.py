"""Fits recover the parameters of devices that made the data, within the uncertainty they state."""

import numpy as np
import pytest

from devices import DeviceError, SoftBounds, card
from devices.exponential_step import ExponentialStep
from devices.fit import fit_drift, fit_pulses, fit_table, fit_threshold, read_train
from devices.linear_step import LinearStep
from devices.power_step import PowerStep

DIRECTION = np.concatenate([np.ones(150), -np.ones(150), np.ones(60), -np.ones(60)])
TRUTH = {
    "soft_bounds": SoftBounds(dw_min=0.02, b_min=-0.75, b_max=1.25),
    "linear_step": LinearStep(dw_min=0.02, b_min=-0.8, b_max=1.2, gamma_up=0.2, gamma_down=0.6),
    "power_step": PowerStep(dw_min=0.03, gamma_up=1.5, gamma_down=0.7),
    "exponential_step": ExponentialStep(
        dw_min=0.02, a_up=0.4, a_down=0.3, gamma_up=1.5, gamma_down=2.0, slope=0.5, b_min=-1, b_max=1
    ),
}


def train(device, start, step_noise=0.0, rng=None):
    path, cells = [start], {"theta": np.array([start])}
    for sign in DIRECTION:
        here = np.array([path[-1]])
        q = device.up(np, here, cells) if sign > 0 else device.down(np, here, cells)
        kick = step_noise * rng.standard_normal() if rng is not None else 0.0
        path.append(float(device.confine(np, here + sign * device.dw_min * q + device.dw_min * kick, cells)[0]))
    return np.array(path)


def pull(fit, truth):
    return {name: (fit.values[name] - getattr(truth, name)) / max(fit.sigmas[name], 1e-300) for name in fit.values}


@pytest.mark.parametrize("model", sorted(TRUTH))
def test_the_path_is_recovered_within_its_uncertainty(model):
    rng, truth = np.random.default_rng(0), TRUTH[model]
    clean = train(truth, -0.5)
    fit = fit_pulses(clean + 0.005 * rng.standard_normal(clean.size), DIRECTION, model)
    assert fit.scatter == pytest.approx(0.005, rel=0.15)
    np.testing.assert_allclose(fit.curve, clean, atol=0.01)
    if model == "soft_bounds":
        assert all(abs(z) < 4 for z in pull(fit, truth).values())
        assert fit.sigmas["dw_min"] < 0.02 * truth.dw_min
    assert "dw_min" in fit.table()


def test_soft_bounds_are_recovered_from_conductances():
    rng, truth = np.random.default_rng(1), TRUTH["soft_bounds"]
    siemens = 40e-6 + 20e-6 * train(truth, -0.5)
    fit = fit_pulses(siemens + 1e-8 * rng.standard_normal(siemens.size), DIRECTION)
    assert fit.values["dw_min"] == pytest.approx(20e-6 * 0.02, rel=0.02)
    assert fit.values["reference"] == pytest.approx(-40e-6, rel=0.01)
    device = fit.device(rate=1.0)
    state = device.create(np.array([45e-6]))
    assert device.value(np, state)[0] == pytest.approx(45e-6)


def test_stated_uncertainties_are_honest():
    truth, clean = TRUTH["soft_bounds"], train(TRUTH["soft_bounds"], -0.5)
    scores = []
    for seed in range(12):
        noisy = clean + 0.01 * np.random.default_rng(seed).standard_normal(clean.size)
        scores += list(pull(fit_pulses(noisy, DIRECTION), truth).values())
    assert np.sqrt(np.mean(np.square(scores))) == pytest.approx(1.0, abs=0.4)


def test_noisy_steps_give_cycle_to_cycle():
    truth = TRUTH["soft_bounds"]
    fit = fit_pulses(train(truth, -0.5, 0.3, np.random.default_rng(2)), DIRECTION, noise="step")
    assert fit.fixed["cycle_to_cycle"] == pytest.approx(0.3, rel=0.15)
    assert all(abs(z) < 4 for z in pull(fit, truth).values())


def test_a_table_is_recovered():
    truth = TRUTH["power_step"]
    path = train(truth, -0.5)
    fit = fit_table(path, DIRECTION, knots=15)
    device = fit.device()
    inside = np.linspace(path.min() + 0.15, path.max() - 0.15, 9)
    for name in ("up", "down"):
        mine = device.dw_min * getattr(device, name)(np, inside, {})
        theirs = truth.dw_min * getattr(truth, name)(np, inside, {"theta": inside})
        np.testing.assert_allclose(mine, theirs, rtol=0.05, atol=2e-4)


def test_drift_and_thresholds_are_recovered_with_noise():
    rng = np.random.default_rng(3)
    time = np.geomspace(20, 1e6, 60)
    fit = fit_drift(time, 10e-6 * (time / 20) ** -0.06 * np.exp(0.02 * rng.standard_normal(60)))
    assert abs(fit.values["nu"] - 0.06) < 4 * fit.sigmas["nu"] < 0.02
    volts = -np.linspace(0.25, 2.0, 40)
    fit = fit_threshold(volts, -10 * (volts / -0.2 - 1) ** 3 * np.exp(0.02 * rng.standard_normal(40)))
    assert abs(fit.values["v_threshold"] + 0.2) < 4 * fit.sigmas["v_threshold"]
    assert abs(fit.values["k"] + 10) < 4 * fit.sigmas["k"]


def test_a_fit_becomes_a_card(tmp_path):
    fit = fit_pulses(train(TRUTH["soft_bounds"], -0.5), DIRECTION)
    path = tmp_path / "my_cell.toml"
    path.write_text(fit.card_text("my_cell", "My cell", "my probe station, 2026"))
    device = card(path)
    assert device.b_max == pytest.approx(1.25, rel=1e-3)
    table = fit_table(train(TRUTH["power_step"], -0.5), DIRECTION, knots=5)
    path.write_text(table.card_text("my_cell", "My cell", "my probe station, 2026"))
    assert card(path).dw_min == pytest.approx(table.device().dw_min)


def test_trains_are_read_from_csv(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("# my cell\npulse,value\n0,0.1\n1,0.2\n-1,0.15\n")
    value, direction = read_train(path)
    assert value.tolist() == [0.1, 0.2, 0.15]
    assert direction.tolist() == [1, -1]
    path.write_text("n,value\n0,0.1\n")
    with pytest.raises(DeviceError, match="columns pulse and value"):
        read_train(path)
    path.write_text("pulse,value\n1,0.1\n")
    with pytest.raises(DeviceError, match="first row's pulse must be 0"):
        read_train(path)


def test_hopeless_fits_are_refused():
    with pytest.raises(DeviceError, match="did you mean 'soft_bounds'"):
        fit_pulses(np.zeros(11), np.ones(10), "soft_bound")
    with pytest.raises(DeviceError, match="one more reading than pulses"):
        fit_pulses(np.zeros(10), np.ones(10))
    with pytest.raises(DeviceError, match="at least 3 positive"):
        fit_drift([1.0], [1.0])
