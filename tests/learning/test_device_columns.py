"""Device traces: every column means what it says, the books add up, and what nobody asks for is not kept."""

from dataclasses import replace

import numpy as np
import pytest

from devices import CapacitorCell, DifferentialPair, Gradient, PcmPair, SoftBounds, ThermoOptic, Transfer
from substrate import Line, Simulation, compile_network
from substrate.errors import ConfigError
from substrate.learning.datasets import load_dataset
from substrate.learning.device_columns import all_columns
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import Trainer, train
from substrate.record import RunReader, RunWriter

DT = 1e-12
SETTINGS = TrainSettings(dt=DT, dwell=6 * DT, epochs=1, batch=100)


def bank_with(device, columns, seed=0):
    network = layered([6, 4], line=Line(delay=DT), bias=False, seed=1)
    simulation = Simulation(compile_network(network, dt=DT), batch=3)
    return PortBank(simulation, device, seed=seed, columns=columns)


def ticked(bank, drives, seconds=0.01):
    (group,) = bank.groups
    values = [group.values.copy()]
    for drive in drives:
        group.drive[...] = drive
        bank.tick(seconds)
        values.append(group.values.copy())
    return group, np.array(values)


DRIVES = np.random.default_rng(0).standard_normal((20, 24))


def column(bank, name, joule=1.0):
    return next(arrays["w1.matrix"].ravel() for found, arrays in bank.trace(joule) if found.name == name)


def test_pulses_flow_cycles_and_age_are_what_happened():
    cell = SoftBounds(dw_min=0.01, mode="pulsed", rounding="deterministic", endurance=100.0)
    bank = bank_with(cell, ["state", "flow", "pulses_up", "pulses_down", "age", "cycles", "wear", "saturated"])
    group, values = ticked(bank, DRIVES)
    made = np.trunc(np.cumsum(DRIVES, axis=0) * 0.01 / 0.01)  # carried remainders: whole pulses of the running sum
    assert np.all(np.abs(column(bank, "pulses_up") - column(bank, "pulses_down") - made[-1]) <= 1)
    assert column(bank, "pulses_up").max() > 1 and np.all(column(bank, "pulses_up") % 1 == 0)
    np.testing.assert_allclose(column(bank, "flow"), (values[-1] - values[-2]) / 0.01)
    np.testing.assert_allclose(column(bank, "cycles"), np.abs(np.diff(values, axis=0)).sum(0) / 4, rtol=1e-12)
    np.testing.assert_allclose(column(bank, "wear"), column(bank, "cycles") / 100)
    moved = np.diff(values, axis=0) != 0
    ticks_since = np.argmax(moved[::-1], axis=0)
    np.testing.assert_allclose(column(bank, "age"), 0.01 * ticks_since, atol=1e-15)
    np.testing.assert_array_equal(column(bank, "theta"), group.state["theta"])
    assert column(bank, "saturated").sum() == 0
    group.state["theta"][:3] = 1.0
    assert column(bank, "saturated").tolist()[:4] == [1, 1, 1, 0]


def test_leak_of_a_capacitor_is_the_work_of_its_leak():
    bank = bank_with(CapacitorCell(dw_min=0.01, leak_time=2.0), ["leaked", "noise"])
    group, values = ticked(bank, DRIVES, seconds=1e-4)
    expected = (DRIVES * (values[:-1] * np.expm1(-1e-4 / 2.0))).sum(0)
    np.testing.assert_allclose(column(bank, "leaked"), expected, rtol=1e-10)
    np.testing.assert_allclose(column(bank, "noise"), 0.0, atol=1e-15)
    assert np.all(group.absorbed - column(bank, "leaked") >= 0)


def test_noise_of_cells_is_the_work_of_chance_and_the_rest_is_dissipated():
    quiet = SoftBounds(dw_min=0.01)
    noisy = replace(quiet, cycle_to_cycle=0.3, write_noise=0.05, mode="pulsed", rounding="poisson")
    bank = bank_with(noisy, ["leaked", "noise"])
    group, values = ticked(bank, DRIVES)
    total = (DRIVES * np.diff(values, axis=0)).sum(0)
    np.testing.assert_allclose(group.absorbed, total, rtol=1e-12)
    np.testing.assert_allclose(column(bank, "leaked"), 0.0, atol=1e-15)
    dissipated = group.absorbed - column(bank, "noise")
    assert np.all(dissipated > 0)  # although write noise makes some cells give loss back
    assert group.absorbed.min() < 0
    ticked(still := bank_with(quiet, ["noise"]), DRIVES)
    np.testing.assert_allclose(column(still, "noise"), 0.0, atol=1e-13)


def test_books_of_arrangements_use_the_drive_of_the_port():
    pair = bank_with(DifferentialPair(CapacitorCell(dw_min=0.01, leak_time=2.0)), ["leaked", "pulses_up"])
    _, values = ticked(pair, DRIVES, seconds=1e-4)
    expected = (DRIVES * (values[:-1] * np.expm1(-1e-4 / 2.0))).sum(0)
    np.testing.assert_allclose(column(pair, "leaked"), expected, rtol=1e-9)
    pulses = (np.abs(DRIVES) * 1e-4 / 0.01).sum(0)
    np.testing.assert_allclose(column(pair, "pulses_up"), pulses, rtol=1e-12)  # one of the two cells rises at each tick
    fast = SoftBounds(dw_min=0.01)
    assert {"pulses_up", "fast.theta", "slow.theta"} <= {c.name for c in all_columns(Transfer(fast, fast))}


def test_phase_change_pairs_count_pulses_on_each_side():
    pair = PcmPair(mode="pulsed", programming_noise=False, read_noise=False)
    bank = bank_with(pair, ["pulses_up", "pulses_down", "age_plus", "plus"])
    ticked(bank, np.full((5, 24), 3.0))
    assert column(bank, "pulses_up").sum() == pytest.approx(5 * 24 * 3, rel=0.1)
    assert column(bank, "pulses_down").sum() == 0
    np.testing.assert_array_equal(column(bank, "age_plus"), 20.0)


def test_unknown_columns_are_refused_with_what_there_is():
    with pytest.raises(
        ConfigError, match="a column 'voltage'; there are state, value, drive, absorbed, flow, incident, "
    ):
        bank_with(Gradient(1.0), ["voltage"])
    with pytest.raises(ConfigError, match="a column 'saturated'"):
        bank_with(Gradient(1.0), ["saturated"])


def test_nothing_is_kept_that_nobody_asks_for():
    bank = bank_with(SoftBounds(dw_min=0.01), ["value", "drive", "absorbed", "theta", "saturated"])
    (group,) = bank.groups
    assert group.books is None and list(group.state) == ["theta"]
    assert {column.name for column, _ in bank.trace(1.0)} == {"value", "drive", "absorbed", "theta", "saturated"}


RICH = (
    "value",
    "drive",
    "absorbed",
    "leaked",
    "noise",
    "flow",
    "cycles",
    "pulses_up",
    "pulses_down",
    "age",
    "saturated",
)


def rich_settings(**more):
    record = RecordSettings(device_every=1, device_columns=RICH, checkpoint_seconds=0.0)
    return replace(SETTINGS, record=record, **more)


def small_data():
    data = load_dataset("digits", seed=0)
    return replace(data, x_train=data.x_train[:400], y_train=data.y_train[:400])


def cells(rate=1e9):
    return SoftBounds(rate=rate, dw_min=0.01, mode="pulsed", cycle_to_cycle=0.3, write_noise=0.05)


def test_a_run_with_every_column_resumes_bit_for_bit(tmp_path):
    network = layered([64, 10], line=Line(delay=DT), seed=0)
    whole = train(network, small_data(), cells(), rich_settings(epochs=2), out=tmp_path / "whole.h5")

    class Cut(Exception):
        pass

    def cut(state):
        if state["batches"] == 5:
            raise Cut

    with pytest.raises(Cut):
        train(network, small_data(), cells(), rich_settings(epochs=2), out=tmp_path / "cut.h5", progress=cut)
    resumed = train(network, small_data(), cells(), rich_settings(epochs=2), out=tmp_path / "cut.h5", resume=True)
    without_wall = [{k: v for k, v in summary.items() if k != "wall_s"} for summary in (whole, resumed)]
    assert without_wall[0] == without_wall[1]
    with RunReader.open(tmp_path / "whole.h5") as a, RunReader.open(tmp_path / "cut.h5") as b:
        assert {f"/devices/w1.matrix/{name}" for name in RICH} <= set(a.tables)
        assert a.tables["/devices/w1.matrix/saturated"].dtype == np.uint8
        for name in a.tables:
            np.testing.assert_array_equal(a.read(name), b.read(name), err_msg=name)
        up = a.read("/devices/w1.matrix/pulses_up")
        assert np.all(np.diff(up, axis=0) >= 0) and up[-1].sum() > 0
        kept = a.read("/devices/w1.matrix/noise")[-1].sum() + a.read("/devices/w1.bias/noise")[-1].sum()
        assert whole["devices_noise_J"] == pytest.approx(kept, rel=1e-9)
    assert RunWriter is not None


def test_the_summary_sums_the_books():
    network = layered([64, 10], line=Line(delay=DT), seed=0)
    summary = Trainer(network, small_data(), cells(), rich_settings()).run()
    per_update = summary["device_energy_per_update_J"] * summary["batches"]
    assert summary["devices_absorbed_J"] == pytest.approx(per_update)
    dissipated = summary["devices_absorbed_J"] - summary["devices_leaked_J"] - summary["devices_noise_J"]
    assert dissipated > 0 and summary["devices_pulses_up"] > 0 and 0 <= summary["devices_saturated"] <= 1
    heater = ThermoOptic(power_pi=20e-3, tau=1e-12, rate=1e9)
    warm = Trainer(network, small_data(), {"*.bias": Gradient(1e9), "*": heater}, SETTINGS).run()
    assert warm["devices_tuning_J"] > 0 and "devices_noise_J" not in warm
