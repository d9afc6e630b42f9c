"""Every step law: exact long steps, agreement with its own speed, bounds, pulses, published counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from devices import SoftBounds
from devices.capacitor import CapacitorCell
from devices.ecram import Ecram
from devices.exponential_step import ExponentialStep
from devices.linear_step import ConstantStep, LinearStep
from devices.power_step import PowerStep
from devices.response import pulse_count, pulse_response, symmetry_point
from devices.tabulated_step import TabulatedStep

KNOTS = np.array([-1.0, -0.4, 0.1, 0.7, 1.0])
RERAM_ES = {
    "dw_min": 0.00135,
    "a_up": -1.18445,
    "a_down": -0.081404,
    "gamma_up": 5.0,
    "gamma_down": 5.0,
    "slope": -0.5,
    "offset": -0.5,
    "up_down": 0.259359,
}
LAWS = {
    "constant": ConstantStep(dw_min=0.01),
    "linear": LinearStep(dw_min=0.01, b_min=-0.8, b_max=1.2, gamma_up=0.1, gamma_down=0.5),
    "soft": SoftBounds(dw_min=0.01, b_min=-0.8, b_max=1.2),
    "exponential": ExponentialStep(**RERAM_ES),
    "exponential_stopping": ExponentialStep(
        dw_min=0.01, a_up=0.3, a_down=0.3, gamma_up=3.0, gamma_down=3.0, slope=0.5, offset=0.1
    ),
    "power": PowerStep(dw_min=0.01, gamma_up=1.7, gamma_down=0.6),
    "power_one": PowerStep(dw_min=0.01, gamma_up=1.0, gamma_down=0.0),
    "table": TabulatedStep(
        dw_min=0.01, knots=KNOTS, up_table=[1.5, 1.5, 1.0, 0.3, 0.0], down_table=[0.0, 0.5, 0.9, 0.9, 2.0]
    ),
}
named = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def move(law, start, drive, dt, dtype=np.float64):
    state = law.create(np.asarray(start, dtype=dtype))
    law.advance(np, state, np.full(state["theta"].shape, drive, dtype=dtype), dt)
    return state["theta"]


@named
@pytest.mark.parametrize("drive", [0.8, -0.8])
def test_a_long_step_solves_the_law(law, drive):
    start = np.array([-0.6, 0.0, 0.55])

    def speed(_, theta):
        cells = {"theta": theta}
        size_up, size_down = law.pulse_sizes(np, cells)
        quick = law.up(np, theta, cells) * size_up if drive > 0 else -law.down(np, theta, cells) * size_down
        return abs(drive) / law.dw_min * quick

    exact = solve_ivp(speed, (0, 0.3), start, rtol=1e-10, atol=1e-12, method="Radau").y[:, -1]
    np.testing.assert_allclose(move(law, start, drive, 0.3), law.confine(np, exact, {"theta": start}), atol=1e-7)


@named
@pytest.mark.parametrize("drive", [0.5, -0.5])
def test_two_half_steps_equal_a_whole_step(law, drive):
    start = np.linspace(-0.75, 0.95, 40)
    np.testing.assert_allclose(
        move(law, move(law, start, drive, 0.2), drive, 0.2), move(law, start, drive, 0.4), atol=2e-14
    )


@named
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_drive_changes_no_bit_and_float32_stays(law, dtype):
    start = np.linspace(-0.75, 0.95, 40, dtype=dtype)
    after = move(law, start, 0.0, 1e3, dtype)
    assert after.dtype == dtype
    np.testing.assert_array_equal(after, start)


@given(
    name=st.sampled_from(sorted(LAWS)),
    drive=st.floats(-1e5, 1e5, width=32),
    dt=st.floats(0, 1e5),
    start=st.floats(-1.5, 1.5),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=300, deadline=None)
def test_bounds_hold_and_the_port_absorbs(name, drive, dt, start, dtype):
    law = LAWS[name]
    state = law.create(np.array([start], dtype=dtype))
    before = state["theta"].copy()
    law.advance(np, state, np.array([drive], dtype=dtype), dt)
    assert dtype(law.b_min) <= state["theta"][0] <= dtype(law.b_max)
    assert drive * (float(state["theta"][0]) - float(before[0])) >= -abs(drive) * 4 * np.finfo(dtype).eps


@named
def test_a_train_of_pulses_is_pulses_made_singly(law):
    quiet = type(law)(**{**{f: getattr(law, f) for f in law.__dataclass_fields__}, "mode": "pulsed"})
    deterministic = type(law)(
        **{**{f: getattr(quiet, f) for f in law.__dataclass_fields__}, "rounding": "deterministic"}
    )
    for direction in (1, -1):
        path = pulse_response(law, 60, 0.1, direction)
        state = deterministic.create(np.array([0.1]))
        deterministic.advance(np, state, np.array([direction * law.dw_min * 20.0001]), 1.0)
        assert state["theta"][0] == pytest.approx(path[20], abs=1e-12)
        deterministic.advance(np, state, np.array([direction * law.dw_min * 40.0001]), 1.0)
        # beyond 32 pulses in one train some laws go on continuously
        assert state["theta"][0] == pytest.approx(path[60], abs=3 * law.dw_min)


@pytest.mark.parametrize(
    ("law", "up", "down", "symmetry"),
    [
        (ExponentialStep(**RERAM_ES), 1143, 902, -0.217),
        (LinearStep(dw_min=0.005, gamma_up=0.05, gamma_down=0.05), 361, 361, 0.0),
        (LinearStep(dw_min=0.002, b_min=-0.8276, b_max=1.1724, gamma_up=0.1153, gamma_down=0.5085), 918, 894, 0.0),
        (LinearStep(dw_min=2.8214e-4, b_min=-0.8286, b_max=1.1714, gamma_up=0.4152, gamma_down=0.7342), 7074, 6819, 0),
        (ConstantStep(dw_min=2e-4), 9001, 9001, None),
        (ConstantStep(dw_min=0.0016), 1125, 1125, None),
    ],
)
def test_published_presets(law, up, down, symmetry):
    assert pulse_count(law, +1) == pytest.approx(up, rel=0.01)
    assert pulse_count(law, -1) == pytest.approx(down, rel=0.01)
    if symmetry is None:
        assert np.isnan(symmetry_point(law))
    else:
        assert symmetry_point(law) == pytest.approx(symmetry, abs=5e-4)


def test_one_pcm_pulse_is_28_steps_at_zero():
    law = ExponentialStep(dw_min=0.01, b_min=0.0, b_max=2.0, a_up=-27.235, gamma_up=2.5, slope=-1.0)
    assert pulse_count(law, +1) == pytest.approx(63, abs=1)
    assert pulse_response(law, 1, 0.0)[1] == pytest.approx(0.28, abs=0.003)
    assert law.up(np, np.array(2.0), {"theta": np.zeros(1)}) == pytest.approx(1.2, abs=0.02)


def test_the_capacitor_solves_drive_and_leak_together():
    cell = CapacitorCell(rate=1.0, dw_min=0.005, gamma_up=0.3, gamma_down=0.3, leak_time=0.7, rest=0.1)
    start = np.array([-0.9, 0.2, 0.95])
    for drive in (0.9, -0.4, 0.0):

        def speed(_, theta, drive=drive):
            cells = {"theta": theta}
            quick = drive * (cell.up(np, theta, cells) if drive > 0 else cell.down(np, theta, cells))
            return quick - (theta - 0.1) / 0.7

        exact = solve_ivp(speed, (0, 0.5), start, rtol=1e-10, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(move(cell, start, drive, 0.5), exact, atol=1e-8)
    assert move(cell, start, 0.0, 1e6)[0] == pytest.approx(0.1)
    np.testing.assert_allclose(
        move(cell, move(cell, start, 0.6, 0.2), 0.6, 0.3), move(cell, start, 0.6, 0.5), atol=1e-14
    )


@pytest.mark.parametrize("gamma", [0.0, 0.4])
@pytest.mark.parametrize("drive", [1.0, -1.0, 0.0, 2.5])
def test_the_ecram_channel_follows_the_gate(gamma, drive):
    cell = Ecram(rate=1.0, dw_min=0.002, gamma_up=gamma, gamma_down=gamma, lag=0.3)
    state = cell.create(np.array([-0.2, 0.4]))
    state["channel"][...] = [0.1, -0.3]

    def speed(_, y):
        gate, channel = y[:2], y[2:]
        cells = {"theta": gate}
        quick = drive * (cell.up(np, gate, cells) if drive > 0 else cell.down(np, gate, cells))
        quick = np.where((gate >= 1) & (quick > 0) | (gate <= -1) & (quick < 0), 0.0, quick)
        return np.concatenate([quick, (np.clip(gate, -1, 1) - channel) / 0.3])

    exact = solve_ivp(speed, (0, 0.8), [-0.2, 0.4, 0.1, -0.3], rtol=1e-9, atol=1e-11, max_step=1e-3).y[:, -1]
    cell.advance(np, state, np.full(2, drive), 0.8)
    np.testing.assert_allclose(cell.value(np, state), exact[2:], atol=2e-3)


def test_a_table_reads_back_its_knots_exactly():
    law = LAWS["table"]
    np.testing.assert_array_equal(law.up(np, KNOTS, {}), law.up_table)
    np.testing.assert_array_equal(law.down(np, KNOTS, {}), law.down_table)
