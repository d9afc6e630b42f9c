"""Phase shifters, attenuators, gratings, varactors: exact steps, published numbers, ledgers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from devices import DeviceError
from devices.electro_optic import BariumTitanate, LithiumNiobate
from devices.mems import Mems
from devices.mems_capacitor import MemsCapacitor
from devices.photonic_pcm import PhotonicPcm
from devices.photorefractive import Photorefractive
from devices.thermo_optic import ThermoOptic, exponential_crosstalk
from devices.varactor import Varactor, charge_conserving_voltage, tuning_work

K = exponential_crosstalk(np.arange(4) * 50e-6, 0.05, 50e-6)
CELLS = {
    "thermal": ThermoOptic(power_pi=21.4e-3, tau=5.6e-6, rate=1e5),
    "coupled": ThermoOptic(power_pi=21.4e-3, tau=5.6e-6, rate=1e5, crosstalk=K),
    "niobate": LithiumNiobate(v_pi=4.0, v_max=6.0, drift_share=0.2, drift_time=1e-4, tau=1e-6, rate=1e5),
    "titanate": BariumTitanate(v_pi=1.0, v_max=2.0, v_coercive=0.5, poling_time=1e-4, rate=1e5),
    "comb": Mems(v_max=10.7, travel=1e-7, phase_max=9.1, frequency=1e6, quality=2.0, rate=1e5),
    "plate": Mems(
        v_max=10.7, travel=1e-7, phase_max=9.1, frequency=1e6, quality=0.5, rate=1e5, plates="parallel", gap=4e-7
    ),
    "capacitor": MemsCapacitor(v_max=8.0, gap=1.2e-6, travel=0.2e-6, frequency=1e6, rate=1e5),
    "attenuator": PhotonicPcm(length=10e-6, amorphous_loss=2e3, crystalline_loss=2e5, rate_set=1e5, rate_reset=2e5),
    "grating": Photorefractive(dn_sat=1e-4, tau_0=1e-3),
    "gated": Photorefractive(dn_sat=1e-4, tau_0=1e-3, gated=True, dark_intensity=0.01),
    "varactor": Varactor(c_j0=56e-12, v_j=3.826, m=1.267, v_max=28.0, rate=1e5, tau=1e-6),
}
named = pytest.mark.parametrize("name", sorted(CELLS))


def started(cell, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    lo, hi = cell.clip_range()
    return cell.create((lo + (hi - lo) * rng.uniform(0.1, 0.9, 4)).astype(dtype))


@given(
    name=st.sampled_from(sorted(CELLS)),
    drive=st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4),
    dt=st.sampled_from([0.0, 1e-12, 1e-7, 3e-6, 1e-3, 1e6]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=300, deadline=None)
def test_no_step_leaves_the_bounds(name, drive, dt, dtype):
    cell = CELLS[name]
    state = started(cell, dtype=dtype)
    for push in (np.array(drive, dtype=dtype), -np.array(drive, dtype=dtype)):
        cell.advance(np, state, push, dt)
    for variable in cell.states:
        array = state[variable.name]
        assert array.dtype == dtype
        slack = 1e-5 * max(abs(variable.hi), abs(variable.lo)) if np.isfinite(variable.hi) else 0.0
        assert np.all(array >= variable.lo - slack), variable.name
        assert np.all(array <= variable.hi + slack), variable.name
    assert np.all(np.isfinite(cell.value(np, state)))
    assert cell.value(np, state).dtype == dtype


@named
def test_values_start_where_asked(name):
    cell = CELLS[name]
    lo, hi = cell.clip_range()
    start = np.linspace(lo + 0.2 * (hi - lo), hi - 0.2 * (hi - lo), 4)
    np.testing.assert_allclose(cell.value(np, cell.create(start)), start, rtol=1e-10)


@named
@pytest.mark.parametrize("drive", [1.0, -0.7, 40.0, 0.0])
def test_two_half_steps_equal_a_whole_step(name, drive):
    cell = CELLS[name]
    tolerance = {"plate": 2e-2, "capacitor": 2e-2, "comb": 1e-3 if drive > 1 else 1e-9}.get(
        name, 1e-9
    )  # at 40 the comb hits its stop
    push = drive * np.array([1.0, 0.5, -1.0, 2.0])
    whole, halves = started(cell), started(cell)
    cell.advance(np, whole, push, 6e-6)
    cell.advance(np, halves, push, 2e-6)
    cell.advance(np, halves, push, 4e-6)
    np.testing.assert_allclose(cell.value(np, halves), cell.value(np, whole), rtol=tolerance, atol=tolerance)


def test_thermal_cells_with_crosstalk_solve_their_equation():
    cell = CELLS["coupled"]
    state = started(cell)
    phi, power = state["phi"].copy(), state["power"].copy()
    push = np.array([3.0, -2.0, 20.0, -30.0])
    gain = np.pi / cell.power_pi

    def speed(t, y):
        heat = np.clip(power + push * cell.rate / gain * t, 0, cell.limit)
        return (gain * heat + K @ y - y) / cell.tau

    exact = solve_ivp(speed, (0, 9e-6), phi, rtol=1e-10, atol=1e-12, max_step=1e-8).y[:, -1]
    cell.advance(np, state, push, 9e-6)
    np.testing.assert_allclose(state["phi"], exact, rtol=1e-6)


def test_settled_phase_includes_the_neighbours():
    cell = CELLS["coupled"]
    state = started(cell)
    cell.advance(np, state, np.zeros(4), 1.0)
    np.testing.assert_allclose(state["phi"], cell.settled(state["power"]), rtol=1e-12)


def test_thermal_lag_is_momentum():
    # devices.md 1.3: overshoot exp(-pi zeta/sqrt(1-zeta^2)), zeta = 1/(2 sqrt(rate lam tau)) = 30.5 % at rate lam tau
    # = 2
    tau, lam = 1.0, 2.0
    cell = ThermoOptic(power_pi=1.0, tau=tau, rate=1.0, power_max=2.0)
    state = cell.create(np.array([1.0]))
    goal, dt, lowest = 3.0, 2e-3, -1.0
    for _ in range(4000):
        cell.advance(np, state, -lam * (state["phi"] - goal), dt)
        lowest = max(lowest, state["phi"][0])
    assert (lowest - goal) / 2.0 == pytest.approx(0.3050, abs=2e-3)


def test_the_heater_energy_is_the_integral_of_its_power():
    cell = ThermoOptic(power_pi=20e-3, tau=5e-6, rate=1e5)
    state = cell.create(np.array([1.0]))
    p0, slope = 20e-3 / np.pi, 1e5 * 20e-3 / np.pi
    cell.advance(np, state, np.array([1.0]), 1e-5)
    assert state["energy"][0] == pytest.approx(p0 * 1e-5 + slope * 1e-10 / 2, rel=1e-12)


def test_niobate_drift_solves_its_equations():
    cell = CELLS["niobate"]
    state = started(cell)
    state["drift"][...] = [0.3, -0.2, 0.1, 0.0]
    start = np.concatenate([state["phi"], state["drift"]])
    volts, push = state["voltage"].copy(), np.array([2.0, -3.0, 30.0, -60.0])

    def speed(t, y):
        v = np.clip(volts + push * cell.rate * cell.v_pi / np.pi * t, -cell.limit, cell.limit)
        phi, drift = y[:4], y[4:]
        lag = (np.pi * (v - drift) / cell.v_pi - phi) / cell.tau
        return np.concatenate([lag, (cell.drift_share * v - drift) / cell.drift_time])

    exact = solve_ivp(speed, (0, 5e-6), start, rtol=1e-10, atol=1e-12, max_step=5e-9).y[:, -1]
    cell.advance(np, state, push, 5e-6)
    np.testing.assert_allclose(np.concatenate([state["phi"], state["drift"]]), exact, atol=1e-7)


def test_titanate_is_poled_only_beyond_the_coercive_voltage():
    cell = CELLS["titanate"]
    state = cell.create(np.zeros(4))
    state["voltage"][...] = [0.4, -0.4, 1.0, -1.0]
    r0 = np.array([-0.3, 0.3, -0.5, 0.5])
    state["remanence"][...] = r0
    volts, push = state["voltage"].copy(), np.array([0.0, 0.0, -8.0, 8.0])

    def speed(t, r):
        v = np.clip(volts + push * cell.rate * cell.v_pi / np.pi * t, -cell.limit, cell.limit)
        return (np.sign(v) - r) * np.maximum(np.abs(v) / cell.v_coercive - 1, 0) / cell.poling_time

    exact = solve_ivp(speed, (0, 2e-5), r0, rtol=1e-10, atol=1e-12, max_step=1e-8).y[:, -1]
    cell.advance(np, state, push, 2e-5)
    np.testing.assert_allclose(state["remanence"], exact, atol=1e-6)
    np.testing.assert_array_equal(state["remanence"][:2], r0[:2])


@pytest.mark.parametrize(("name", "tolerance"), [("comb", 1e-6), ("plate", 3e-2)])
def test_the_sprung_mass_solves_its_equation(name, tolerance):
    cell = CELLS[name]
    state = started(cell)
    square, push = state["square"].copy(), np.array([5.0, -5.0, 1.0, 0.0])
    start = np.concatenate([state["x"], state["velocity"]]) / cell.travel
    w0 = 2 * np.pi * cell.frequency

    def speed(t, y):
        v2 = np.clip(square + push * cell.rate * cell.v_max**2 / cell.phase_max * t, 0, cell.v_max**2)
        x, v = y[:4], y[4:]
        rest = cell.pull(np, v2, x * cell.travel) / cell.travel
        return np.concatenate([v, w0**2 * (rest - x) - w0 / cell.quality * v])

    exact = solve_ivp(speed, (0, 1.5e-6), start, rtol=1e-10, atol=1e-12, max_step=1e-9).y[:4, -1]
    cell.advance(np, state, push, 1.5e-6)
    np.testing.assert_allclose(state["x"] / cell.travel, exact, atol=tolerance)


def test_the_attenuator_books_energy_and_wears_out():
    cell = PhotonicPcm(
        length=10e-6,
        amorphous_loss=0.0,
        crystalline_loss=2e5,
        energy_per_db=1e-9,
        endurance=3.0,
        rate_set=1e6,
        rate_reset=1e6,
    )
    state = cell.create(np.array([1.0]))
    for sign in (-1, 1):
        cell.advance(np, state, np.array([sign * 1.0]), 1.0)
    assert state["cycles"][0] == pytest.approx(1.0)
    assert state["energy"][0] == pytest.approx(2 * 2.0 * 1e-9)  # 2 dB there and back at 1 nJ/dB
    for sign in (-1, 1, -1, 1, -1, 1):
        cell.advance(np, state, np.array([sign * 1.0]), 1.0)
    assert state["cycles"][0] == pytest.approx(3.0)
    assert state["crystalline"][0] == pytest.approx(0.0)


def test_the_grating_follows_contrast_and_fades_in_light():
    cell = Photorefractive(dn_sat=2e-4, tau_0=1.0, intensity=2.0)
    state = cell.create(np.array([0.0, 0.0]))
    cell.advance(np, state, np.array([0.3, 5.0]), 0.25)
    np.testing.assert_allclose(state["dn"], 2e-4 * np.array([0.3, 1.0]) * (1 - np.exp(-0.5)), rtol=1e-12)
    cell.advance(np, state, np.zeros(2), 0.5)
    np.testing.assert_allclose(state["dn"], 2e-4 * np.array([0.3, 1.0]) * (1 - np.exp(-0.5)) * np.exp(-1), rtol=1e-12)


def test_varactor_numbers_and_work():
    diode = CELLS["varactor"]
    assert diode.capacitance(np, 1.0) * 1e12 == pytest.approx(41.7, abs=0.05)
    volts = np.linspace(0, 10, 20_001)
    integral = np.trapezoid(diode.capacitance(np, volts) * volts, volts)
    assert diode.stored(np, 10.0) == pytest.approx(integral, rel=1e-6)
    state = diode.create(np.array([0.6]))
    energy = diode.stored(np, state["voltage"])
    for drive in (1.0, -2.0, 0.5):
        diode.advance(np, state, np.array([drive]), 2e-6)
    assert state["work"][0] == pytest.approx((diode.stored(np, state["voltage"]) - energy)[0], rel=1e-9)


@given(st.floats(-10, 10), st.floats(1e-12, 1e-10), st.floats(1e-12, 1e-10))
def test_retuning_conserves_charge_and_books_the_work(voltage, before, after):
    moved = charge_conserving_voltage(voltage, before, after)
    assert moved * after == pytest.approx(voltage * before, rel=1e-12)
    gained = 0.5 * after * moved**2 - 0.5 * before * voltage**2
    assert tuning_work(voltage, before, after) == pytest.approx(gained, rel=1e-9, abs=1e-24)


def test_impossible_shifters_are_refused():
    with pytest.raises(DeviceError, match="zero diagonal"):
        ThermoOptic(power_pi=1.0, tau=1.0, crosstalk=np.eye(2))
    with pytest.raises(DeviceError, match="heats itself"):
        ThermoOptic(power_pi=1.0, tau=1.0, crosstalk=np.ones((3, 3)) - np.eye(3))
    with pytest.raises(DeviceError, match="pulls in"):
        Mems(v_max=1.0, travel=1e-7, phase_max=1.0, frequency=1e6, plates="parallel", gap=2e-7)
    with pytest.raises(DeviceError, match="is for 4 cells"):
        CELLS["coupled"].advance(np, CELLS["thermal"].create(np.zeros(3)), np.zeros(3), 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fast_ramp_beside_a_slow_drift_keeps_its_digits(dtype):
    # a tick of picoseconds beside a drift of minutes: phi must follow the voltage, whatever the number of steps
    shifter = LithiumNiobate(v_pi=4.0, tau=1e-11, drift_share=0.2, drift_time=1000.0, rate=5e10)
    drive = np.array([0.3, -0.7, 0.05], dtype)
    one, many = (shifter.create(np.array([0.5, -0.2, 1.0], dtype)) for _ in range(2))
    shifter.advance(np, one, drive, 2e-11)
    for _ in range(20):
        shifter.advance(np, many, drive, 1e-12)
    exact = LithiumNiobate(v_pi=4.0, tau=1e-11, rate=5e10)
    alone = exact.create(np.array([0.5, -0.2, 1.0]))
    exact.advance(np, alone, drive.astype(float), 2e-11)
    digits = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(one["phi"], many["phi"], rtol=digits)
    np.testing.assert_allclose(one["phi"], alone["phi"], rtol=max(digits, 1e-9))  # nothing has drifted yet
