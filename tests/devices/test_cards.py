"""Cards: the schema is strict, hints are useful, and every golden number is reproduced."""

import hashlib
import warnings
from dataclasses import replace

import numpy as np
import pytest

from devices import (
    CardError,
    Gradient,
    UnverifiedCardWarning,
    build,
    card,
    card_directory,
    cards,
    list_cards,
    load_card,
)
from devices.response import drive_response, pulse_count, pulse_response, symmetry_point
from devices.variability import as_spread

TEXT = (card_directory() / "rram_soft_bounds.toml").read_text()


def scalar_descent(device):
    state, steps = device.create(np.array([1.0])), 20_000
    for _ in range(steps):
        device.advance(np, state, -2.0 * (2.0 * state["theta"] - 0.5), 1.0 / steps)
    return state["theta"][0]


def velocity_after_tau(device):
    state = device.create(np.array([0.0]))
    device.advance(np, state, np.array([1.0 / device.rate]), device.time_constant)
    return state["velocity"][0]


def first_pulse(pair):
    return pulse_response(pair.law, 1, 0.0)[1]


def drift_kept(seconds):
    def kept(pair):
        quiet = replace(pair, programming_noise=False, read_noise=False, dw_min_spread=0.0)
        state = quiet.create(np.array([pair.b_max]), np.zeros((2, 1)))
        quiet.advance(np, state, np.zeros(1), seconds, np.zeros((quiet.normals, 1)))
        return quiet.value(np, state)[0] / pair.b_max

    return kept


def hp_resistance(device):
    free = replace(device, threshold=0.0, window="none")
    state = {"w": np.array([0.1])}
    free.advance(np, state, np.array([1.0 / free.volts]), 1 / np.pi)
    return free.resistance(np, state)[0]


def wall_speed(device):
    state = device.create(np.zeros(1))
    before = state["x"].copy()
    device.advance(np, state, np.ones(1), 1e-9)
    return (state["x"] - before)[0] / 1e-9


def settled_at(control, number, duration=1e12):
    """Value after a long time with a control held at `number`."""

    def settle(device):
        state = device.create(np.zeros(1))
        state[control][...] = getattr(device, number) if isinstance(number, str) else number
        device.advance(np, state, np.zeros(1), duration)
        return device.value(np, state)[0]

    return settle


def settled_share(device):
    return settled_at("power", "power_pi", device.tau)(device) / np.pi


def lag_overshoot(device):
    curvature = 1.0
    quick = replace(device, rate=2.0 / (device.tau * curvature))
    state, goal, top = quick.create(np.array([1.0])), 2.0, 0.0
    for _ in range(3000):
        quick.advance(np, state, -curvature * (state["phi"] - goal), device.tau / 500)
        top = max(top, state["phi"][0])
    return top - goal


def drift_left(device):
    state = device.create(np.array([1.0]))
    device.advance(np, state, np.zeros(1), 1e9)
    return device.value(np, state)[0]


def depoled(device):
    state = device.create(np.zeros(1))
    state["voltage"][...] = -2 * device.v_coercive
    device.advance(np, state, np.zeros(1), device.poling_time)
    return state["remanence"][0]


def full_swing_energy(device):
    state = device.create(np.ones(1))
    device.advance(np, state, -np.ones(1), 1e9)
    return state["energy"][0]


def grating_share(device):
    state = device.create(np.zeros(1))
    device.advance(np, state, np.ones(1), device.tau_0 * device.intensity_0 / device.intensity)
    return device.value(np, state)[0]


def well_variance(device):
    rng, cells = np.random.default_rng(0), 2000
    state = device.create(np.sqrt(device.temperature) * rng.standard_normal(cells))
    for _ in range(200):
        device.advance(np, state, -state["theta"], 0.05 / device.rate, rng.standard_normal((1, cells)))
    return np.mean(state["theta"] ** 2)


GOLDEN = {
    "first_pulse": first_pulse,
    "programming_sigma_full": lambda device: device.programming_sigma(np.array(1.0)),
    "programming_sigma_half": lambda device: device.programming_sigma(np.array(0.5)),
    "drift_exponent_full": lambda device: device.drift_exponent(np, np.array(1.0)),
    "drift_exponent_tenth": lambda device: device.drift_exponent(np, np.array(0.1)),
    "drift_kept_one_hour": drift_kept(3600.0),
    "drift_kept_one_year": drift_kept(31536000.0),
    "read_sigma_one_hour": lambda device: device.read_sigma(np, np.array(1.0), 3600.0),
    "error_sigma_fresh": lambda device: device.error_sigma(np, np.array(1600e-9), np.array(0.0)),
    "error_sigma_one_day": lambda device: device.error_sigma(np, np.array(1600e-9), np.array(86400.0)),
    "error_sigma_five_days": lambda device: device.error_sigma(np, np.array(1600e-9), np.array(432000.0)),
    "speed_at_0_1_V": lambda device: device.speed(np, np.array(0.1)),
    "speed_at_minus_0_4_V": lambda device: device.speed(np, np.array(-0.4)),
    "hp_resistance_half_period": hp_resistance,
    "speed_at_unit_drive": wall_speed,
    "phase_at_power_pi": settled_at("power", "power_pi"),
    "settled_share_after_tau": settled_share,
    "overshoot_at_rate_lam_tau_2": lag_overshoot,
    "phase_at_v_pi": lambda device: settled_at("voltage", "v_pi", 1e-9)(replace(device, drift_share=0.0)),
    "phase_at_v_pi_poled": settled_at("voltage", "v_pi", 0.0),
    "share_left_after_drift": drift_left,
    "remanence_after_poling": depoled,
    "phase_at_10_7_V": settled_at("square", 10.7**2, 1.0),
    "capacitance_ratio_8_V": settled_at("square", 64.0, 1.0),
    "extinction_db": lambda device: device.contrast,
    "energy_full_swing": full_swing_energy,
    "share_after_tau": grating_share,
    "capacitance_1_V": lambda device: device.capacitance(np, 1.0),
    "capacitance_15_V": lambda device: device.capacitance(np, 15.0),
    "sigma_full": lambda device: device.sigma(np, np.array(device.g_max)),
    "sigma_half": lambda device: device.sigma(np, np.array(device.g_max / 2)),
    "variance_of_a_quadratic_well": well_variance,
    "scalar_descent_v36": scalar_descent,
    "velocity_after_tau": velocity_after_tau,
    "pulses_up": lambda device: pulse_count(getattr(device, "law", device), +1),
    "pulses_down": lambda device: pulse_count(device, -1),
    "symmetry_point": symmetry_point,
}


@pytest.mark.parametrize("name", list_cards())
def test_every_golden_number_of_a_card_is_reproduced(name):
    found = load_card(name)
    device = build(found)
    assert found.tests, f"card {name} promises nothing; give it a [tests] table"
    for quantity, golden in found.tests.items():
        tolerance = {"abs": 1e-3} if golden.value == 0 else {"rel": golden.rel}
        assert float(GOLDEN[quantity](device)) == pytest.approx(golden.value, **tolerance), quantity


@pytest.mark.parametrize("name", list_cards())
def test_a_steady_drive_up_never_lowers_the_value(name):
    device = build(load_card(name))
    values = drive_response(device, 1.0, np.linspace(0, 5, 30))
    assert np.all(np.isfinite(values))
    assert np.all(np.diff(values) >= -1e-9), np.diff(values).min()
    assert values[-1] > values[0]


@pytest.mark.parametrize("name", list_cards())
def test_every_card_makes_a_device_that_runs(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedCardWarning)
        device = card(name)
    rng = np.random.default_rng(0)
    lo, hi = (max(-1.0, device.clip_range()[0]), min(1.0, device.clip_range()[1]))
    for dtype in (np.float32, np.float64):
        start = np.linspace(lo, hi, 12, dtype=dtype).reshape(3, 4)
        state = device.create(start, rng.standard_normal((device.initial_normals, 3, 4)))
        for dt in (1e-9, 1e-3, 1e3):
            device.advance(np, state, start * 0 + dtype(0.3), dt, rng.standard_normal((device.normals, 3, 4)))
        value = device.value(np, state)
        assert value.shape == (3, 4)
        assert value.dtype == dtype
        assert np.all(np.isfinite(value))
        assert all(array.dtype == dtype and array.shape == (3, 4) for array in state.values())
        assert {variable.name for variable in device.states} <= set(state)
        for variable in device.states:
            spread = any(as_spread(getattr(device, n, 0.0)) for n in ("b_max_spread", "b_min_spread"))
            if not spread:
                tiny = 1e-6 * max(1.0, abs(variable.hi)) if np.isfinite(variable.hi) else 0.0
                assert np.all(state[variable.name] >= variable.lo - tiny), variable.name
                assert np.all(state[variable.name] <= variable.hi + tiny), variable.name


def test_a_card_knows_its_hash_and_its_gaps():
    found = load_card("rram_soft_bounds")
    assert found.hash == hashlib.sha256(found.path.read_bytes()).hexdigest()
    assert found.unverified == []
    assert found.assumed == ["rate"]
    assert load_card("domain_wall").unverified == ["j_c", "mobility"]
    assert found.number("dw_min") == 0.002


def test_overrides_replace_numbers():
    device = card("rram_soft_bounds", rate=2.0, mode="pulsed", dw_min_spread=0.0)
    assert (device.rate, device.mode, device.dw_min_spread) == (2.0, "pulsed", 0.0)
    assert isinstance(card("ideal_gradient", rate=1.0), Gradient)


def write(tmp_path, text, name="rram_soft_bounds"):
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tag = "seen"', 'tags = "seen"', r"params.dw_min.tags: unknown key; did you mean 'tag'\?"),
        ("[params.b_max]", "[params.b_mx]", r"has no number 'b_mx'; did you mean 'b_max'\?"),
        ('unit = "1/s"', 'unit = "1/sec"', r"unit '1/sec' is not in the table of units; did you mean '1/s'\?"),
        ('unit = "1/s"', 'unit = "Hz"', r"rate is in 'Hz', but soft_bounds wants '1/s'"),
        ('source = "user"', 'source = "usr"', r"names the source 'usr'.*did you mean 'user'\?"),
        ('model = "soft_bounds"', 'model = "soft_bound"', r"no device model .*did you mean 'soft_bounds'\?"),
        ("version =", "versoin =", r"versoin: unknown key; did you mean 'version'\?"),
        ("additive_noise = true", "aditive = true", r"has no field 'aditive'; did you mean 'additive_noise'\?"),
        ("value = 0.1\n", "", r"params.rate.value: Field required"),
        ("schema = 1", "schema = 2", r"schema: Input should be 1"),
        ('id = "rram_soft_bounds"', 'id = "other"', r"rename the file"),
    ],
)
def test_faults_are_named_with_a_way_out(tmp_path, old, new, message):
    assert old in TEXT
    with pytest.raises(CardError, match=message):
        load_card(write(tmp_path, TEXT.replace(old, new, 1)))


def test_unverified_numbers_warn(tmp_path):
    path = write(tmp_path, TEXT.replace('tag = "seen"', 'tag = "memory"', 1))
    with pytest.warns(UnverifiedCardWarning, match="dw_min"):
        card(path)
    assert load_card(path).unverified == ["dw_min"]


def test_an_installed_wheel_finds_its_cards(tmp_path, monkeypatch):
    (tmp_path / "site" / "devices" / "_data" / "devices").mkdir(parents=True)
    monkeypatch.setattr(cards, "__file__", str(tmp_path / "site" / "devices" / "cards.py"))
    assert card_directory() == tmp_path / "site" / "devices" / "_data" / "devices"
    with pytest.raises(CardError, match="reinstall the package"):
        card_directory("medium")


def test_missing_cards_name_the_nearest():
    with pytest.raises(CardError, match="did you mean 'ideal_gradient'"):
        card("ideal_gradent")
    with pytest.raises(CardError, match="there is no card file"):
        card("nowhere.toml")
    with pytest.raises(CardError, match="has no field 'rte'; did you mean 'rate'"):
        card("ideal_gradient", rte=1.0)


class Elsewhere:
    """NumPy under another name: laws then get all cells in one block, as on a graphics processor."""

    def __getattr__(self, name):
        return getattr(np, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list_cards())
def test_blocks_do_not_change_a_bit(name, dtype):
    device, cells = build(load_card(name)), 20_003
    rng = np.random.default_rng(1)
    lo, hi = (max(-1.0, device.clip_range()[0]), min(1.0, device.clip_range()[1]))
    start = rng.uniform(lo, hi, cells).astype(dtype)
    born = rng.standard_normal((device.initial_normals, cells))
    drive = (0.02 * rng.standard_normal(cells)).astype(dtype)
    noise = rng.standard_normal((device.normals, cells)).astype(dtype)
    states = []
    for module in (np, Elsewhere()):
        state = device.create(start, born)
        device.advance(module, state, drive, 0.1, noise)
        states.append(state)
    for key, array in states[0].items():
        if name == "ideal_gradient":  # fused multiply-add rounds once, two passes twice
            np.testing.assert_allclose(array, states[1][key], rtol=4 * np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(array, states[1][key], err_msg=key)
