"""Training end to end: accuracy beside backprop, the two clocks, restarts, and data that do not fit."""

from dataclasses import replace

import numpy as np
import pytest

from devices import Gradient, Momentum
from substrate import Line, Simulation, compile_network
from substrate.errors import ConfigError, DataError, DivergenceError
from substrate.learning.datasets import load_dataset
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank
from substrate.learning.presenting import Presenter
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.learning.training import Trainer, train
from substrate.record import RunReader

DT = 1e-12
SETTINGS = TrainSettings(dt=DT, dwell=24 * DT, epochs=1)


def digits_network(**line):
    return layered([64, 48, 32, 10], line=Line(delay=DT, **line), seed=0)


def port(settings, rate_per_batch=0.3):
    return Gradient(rate=rate_per_batch / settings.dwell)


def test_digits_train_as_well_as_by_backprop():
    settings = replace(SETTINGS, epochs=40, batch=25, dtype="float32")
    data = load_dataset("digits", seed=3)
    summary = train(digits_network(), data, port(settings), settings)
    assert summary["accuracy"] >= 0.975
    assert abs(summary["accuracy"] - summary["backprop_accuracy"]) <= 0.01
    assert summary["round_trips_per_batch"] == 4.0
    assert summary["gradient_error"] < 1e-5


def test_every_backend_trains_the_same(backend):
    network = layered([64, 10], line=Line(delay=DT), seed=0)
    settings = replace(SETTINGS, dwell=6 * DT, batch=120)
    data = load_dataset("digits", seed=0)
    data = replace(data, x_train=data.x_train[:240], y_train=data.y_train[:240], x_test=data.x_test[:20])
    data = replace(
        data, y_test=data.y_test[:20], x_validation=data.x_validation[:0], y_validation=data.y_validation[:0]
    )
    runs = [Trainer(network, data, port(settings), replace(settings, backend=name)) for name in (backend, "cpu")]
    summaries = [run.run() for run in runs]
    assert summaries[0]["test_loss"] == pytest.approx(summaries[1]["test_loss"], rel=1e-10)
    assert summaries[0]["energy_per_update_J"] == pytest.approx(summaries[1]["energy_per_update_J"], rel=1e-10)
    for name, value in runs[0].bank_values().items():
        np.testing.assert_allclose(value, runs[1].bank_values()[name], atol=1e-12)


def test_dwell_of_one_tick_learns_nothing():
    """The waves of different batches mix at the ports: physics.md section 5."""
    settings = replace(SETTINGS, dwell=DT, epochs=20)
    assert train(digits_network(), "digits", port(settings, 0.1), settings)["accuracy"] < 0.6


def test_a_long_hold_is_gradient_descent():
    """With a settling window that is short beside the dwell, one batch moves the devices as one backprop step does."""
    network = digits_network()
    settings = TrainSettings(dt=DT, dwell=1e-6, settle=7 * DT, epochs=1)
    trainer = Trainer(network, load_dataset("digits", seed=0), port(settings), settings)
    trainer.run()
    for name, value in trainer.reference.parameters.items():
        np.testing.assert_allclose(trainer.bank_values()[name], value, atol=2e-4)


def test_hold_continues_what_the_waves_would_have_done():
    """A hold after settling differs from simulating the whole dwell only by the square of how far the devices move."""
    differences = []
    for rate in (0.02, 0.01):
        values = []
        for settle in (None, 12 * DT):
            settings = replace(SETTINGS, dwell=60 * DT, settle=settle)
            trainer = Trainer(digits_network(), load_dataset("digits", seed=0), port(settings, rate), settings)
            trainer.presenter.present(trainer.dataset.x_train[:50], trainer._y_train[:50])
            values.append(trainer.bank_values()["w2.matrix"])
        differences.append(np.abs(values[0] - values[1]).max())
    assert np.log2(differences[0] / differences[1]) == pytest.approx(2.0, abs=0.2)


def test_momentum_trains_and_is_compared_with_momentum():
    settings = replace(SETTINGS, epochs=3)
    device = Momentum(rate=0.1 / settings.dwell, time_constant=5 * settings.dwell)
    summary = train(digits_network(), "digits", device, settings)
    assert summary["accuracy"] == pytest.approx(summary["backprop_accuracy"], abs=0.05)
    assert summary["accuracy"] > 0.7


def presented(settle, seed, *, dwell=60):
    """How far one warm network's devices move in one dwell."""
    network = layered([2, 3, 2], line=Line(delay=DT, loss_db=1.0, temperature=300.0), seed=1)
    settings = TrainSettings(dt=DT, dwell=dwell * DT, settle=settle, batch=2, seed=seed, reference_power=1e-6)
    plan = compile_network(network, DT, reference_power=settings.reference_power)
    simulation = Simulation(plan, batch=2, seed=seed)
    bank = PortBank(simulation, Gradient(rate=1e-6 / (dwell * DT)), seed=seed)
    before = np.concatenate([v.ravel() for v in bank.port_values("values").values()])
    Presenter(network, simulation, bank, settings).present(np.array([[1.0, -0.5], [0.3, 0.8]]), np.eye(2))
    return np.concatenate([v.ravel() for v in bank.port_values("values").values()]) - before


def test_hold_has_the_noise_that_the_waves_would_have_had():
    """Mean and variance of one dwell with a hold agree with simulating all of it, over 400 seeds."""
    whole, held = (np.array([presented(settle, seed) for seed in range(400)]) for settle in (None, 20 * DT))
    spread = np.sqrt(whole.var(axis=0) / 400 + held.var(axis=0) / 400)
    assert np.all(np.abs(whole.mean(axis=0) - held.mean(axis=0)) < 4.5 * spread)
    # 17 correlated cells and 400 seeds: the ratio itself is known to about 4 %.
    assert held.var(axis=0).sum() / whole.var(axis=0).sum() == pytest.approx(1.0, abs=0.15)


def test_settle_shorter_than_a_round_trip_is_refused():
    settings = replace(SETTINGS, settle=6 * DT)
    with pytest.raises(ConfigError, match=r"settle=6e-12 s must cover a round trip and one device interval, 7e-12 s"):
        Trainer(digits_network(), load_dataset("digits"), port(settings), settings)


def test_times_that_are_no_whole_steps_are_refused():
    with pytest.raises(ConfigError, match=r"dwell=2.45e-11 s is 24.5 steps of dt=1e-12 s; make it a whole number"):
        replace(SETTINGS, dwell=24.5 * DT)
    with pytest.raises(ConfigError, match=r"settle=3e-11 s cannot outlast dwell=2.4e-11 s"):
        replace(SETTINGS, settle=30 * DT)


def test_data_that_do_not_fit_are_refused():
    small = layered([10, 10], line=Line(delay=DT))
    with pytest.raises(DataError, match=r"'digits' has 64 numbers per sample, but the network's input has 10 channels"):
        train(small, "digits", port(SETTINGS), SETTINGS)
    narrow = layered([64, 9], line=Line(delay=DT))
    with pytest.raises(DataError, match=r"'digits' needs 10 outputs, but the network's load has 9"):
        train(narrow, "digits", port(SETTINGS), SETTINGS)
    with pytest.raises(ConfigError, match=r"batch=5000 is more than the 1258 training samples"):
        train(digits_network(), "digits", port(SETTINGS), replace(SETTINGS, batch=5000))


class Stop(Exception):
    """Stands for whatever ends a run in the middle."""


@pytest.mark.parametrize("dwell", [2, 24], ids=["labels under way", "settled"])
def test_a_stopped_run_resumes_bit_for_bit(tmp_path, dwell):
    settings = replace(SETTINGS, dwell=dwell * DT, epochs=2, record=RecordSettings(checkpoint_seconds=0.0))
    network = digits_network(loss_db=0.2, temperature=300.0)
    whole = train(network, "digits", port(settings, 0.05), settings, out=tmp_path / "whole.h5")

    def stop(state):
        if state["batches"] == 33:
            raise Stop

    with pytest.raises(Stop):
        train(network, "digits", port(settings, 0.05), settings, out=tmp_path / "parts.h5", progress=stop)
    with RunReader.open(tmp_path / "parts.h5") as reader:
        assert reader.status.startswith("failed: Stop")
    resumed = train(network, "digits", port(settings, 0.05), settings, out=tmp_path / "parts.h5", resume=True)
    assert {**resumed, "wall_s": 0.0} == {**whole, "wall_s": 0.0}
    with RunReader.open(tmp_path / "whole.h5") as a, RunReader.open(tmp_path / "parts.h5") as b:
        assert a.tables.keys() == b.tables.keys()
        for name in a.tables:
            np.testing.assert_array_equal(a.read(name), b.read(name), err_msg=name)


def test_a_run_file_holds_what_happened(tmp_path):
    path = tmp_path / "run.h5"
    settings = replace(SETTINGS, record=RecordSettings(device_every=5, field_batches=2))
    summary = train(digits_network(), "digits", port(settings), settings, out=path)
    with RunReader.open(path) as run:
        assert run.complete
        assert run.summary == summary
        assert run.read("/devices/time").tolist() == pytest.approx([n * 5 * 24 * DT for n in range(6)])
        assert run.read("/devices/w1.matrix/value").shape == (6, 48, 64)
        assert run.read("/ledger/residual").max() < 1e-12
        assert run.read("/field/line1/forward").shape == (4 * 24, 1)
        absorbed = run.read("/devices/w1.matrix/absorbed")
        assert np.all(np.diff(absorbed.sum(axis=(1, 2))) > 0)
        assert len(run.read("/metrics/batch/loss")) == 25
    with pytest.raises(Exception, match="exists"):
        train(digits_network(), "digits", port(settings), settings, out=path)


def test_parameters_that_grow_without_end_stop_the_run(tmp_path):
    out = tmp_path / "run.h5"
    network = layered([64, 10], line=Line(1e-12), loss="mse")
    settings = TrainSettings(dt=1e-12, dwell=8e-12, epochs=3, batch=100)
    with pytest.raises(DivergenceError, match=r"The devices ran away: after \d+ batches .* lower the rate"):
        train(network, "digits", Gradient(rate=50.0 / 8e-12), settings, out=out)
    with RunReader.open(out) as run:
        assert run.status.startswith("failed") and run.rows("/metrics/batch/loss") > 0
