"""Voltage-driven memristors and the domain wall against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from devices import DeviceError
from devices.domain_wall import DomainWall
from devices.ion_drift import IonDrift
from devices.vteam import Vteam

CELLS = {
    "vteam": Vteam(),
    "drift": IonDrift(window="none"),
    "joglekar": IonDrift(),
    "wall": DomainWall(notches=8),
    "noisy_wall": DomainWall(jitter=1e-3),
}


@given(
    name=st.sampled_from(sorted(CELLS)),
    drive=st.floats(-1e4, 1e4, width=32),
    dt=st.floats(0, 1e3),
    start=st.floats(-1, 1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=200, deadline=None)
def test_bounds_hold_and_up_is_up(name, drive, dt, start, dtype):
    cell = CELLS[name]
    state = cell.create(np.array([start], dtype=dtype))
    before = cell.value(np, state).copy()
    cell.advance(np, state, np.array([drive], dtype=dtype), dt, np.zeros((cell.normals, 1)))
    after, (variable,) = cell.value(np, state), cell.states
    assert after.dtype == dtype
    assert variable.lo <= state[variable.name][0] <= variable.hi * (1 + 1e-6)
    assert abs(after[0]) <= 1 + 1e-5
    assert name == "wall" or drive * float(after[0] - before[0]) >= -abs(drive) * 1e-5


def test_hp_memristor_follows_its_flux():
    # V23: R_on 100, R_off 16k, D 10 nm, mu 1e-14, v = sin(2 pi t), w0 = 0.1
    cell = IonDrift(threshold=0.0, window="none")
    state = {"w": np.array([0.1])}
    assert cell.resistance(np, state)[0] == pytest.approx(14410)
    steps = 2000
    times = (np.arange(steps) + 0.5) * 0.5 / steps
    for t in times:
        cell.advance(np, state, np.array([np.sin(2 * np.pi * t)]), 0.5 / steps)
    assert cell.resistance(np, state)[0] == pytest.approx(10316.276276, rel=1e-6)


def test_the_window_is_solved_exactly():
    cell = IonDrift(threshold=0.0)
    start = np.array([0.02, 0.5, 0.9])
    for volts in (1.3, -1.3):

        def speed(_, w, volts=volts):
            resistance = cell.r_off - (cell.r_off - cell.r_on) * w
            return cell.mobility * cell.r_on / cell.length**2 * volts / resistance * 4 * w * (1 - w)

        exact = solve_ivp(speed, (0, 0.4), start, rtol=1e-10, atol=1e-12, method="Radau").y[:, -1]
        state = {"w": start.copy()}
        cell.advance(np, state, np.full(3, volts), 0.4)
        np.testing.assert_allclose(state["w"], exact, rtol=1e-5)
        halves = {"w": start.copy()}
        cell.advance(np, halves, np.full(3, volts), 0.2)
        cell.advance(np, halves, np.full(3, volts), 0.2)
        np.testing.assert_allclose(halves["w"], state["w"], rtol=1e-12)


@pytest.mark.parametrize("cell", [Vteam(), IonDrift(), DomainWall()], ids=["vteam", "drift", "wall"])
def test_below_threshold_nothing_trains(cell):
    state = cell.create(np.linspace(-0.9, 0.9, 7))
    before = {name: array.copy() for name, array in state.items()}
    cell.advance(np, state, np.full(7, 0.015), 1e6)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("cell", [Vteam(), IonDrift(window="none"), DomainWall()], ids=["vteam", "drift", "wall"])
def test_values_start_where_asked(cell):
    for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-12)):
        start = np.linspace(-1, 1, 9, dtype=dtype)
        np.testing.assert_allclose(cell.value(np, cell.create(start)), start, atol=tolerance)


def test_the_wall_rests_in_notches():
    cell = DomainWall(notches=5, length=1e-6, current=2e11, j_c=1e11, mobility=1e-10)
    state = cell.create(np.array([0.1]))
    assert cell.value(np, state)[0] == pytest.approx(0.0)
    cell.advance(np, state, np.array([1.0]), 20e-9)
    assert state["x"][0] == pytest.approx(0.7e-6)
    cell.advance(np, state, np.array([0.0]), 1e-9)
    assert cell.value(np, state)[0] == pytest.approx(0.5)


def test_impossible_memristors_are_refused():
    with pytest.raises(DeviceError, match="0 < r_on < r_off"):
        Vteam(r_on=2000.0)
    with pytest.raises(DeviceError, match="window must be"):
        IonDrift(window="biolek")
    with pytest.raises(DeviceError, match="notches must be"):
        DomainWall(notches=1)
