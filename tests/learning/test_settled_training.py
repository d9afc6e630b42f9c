"""Devices that wait for the waves: training on networks that ring follows exact backpropagation."""

import numpy as np
import pytest

from devices.ideal import Gradient
from substrate import Line, Simulation, SubstrateError, compile_network
from substrate.cli import app
from substrate.datafiles import data_path
from substrate.learning.backprop import Backprop
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank
from substrate.learning.presenting import Presenter
from substrate.learning.settings import TrainSettings
from substrate.learning.training import train

DT = 1e-11


def ringing(beta=0.05):
    return layered(
        [5, 4, 3],
        line=Line(DT, lowpass=DT),
        weights="transformer",
        loss="mse",
        beta=beta,
        seed=1,
        impedance=[50.0, 60.0],
    )


def presenter(network, backend, **settings):
    about = TrainSettings(dt=DT, dwell=20000 * DT, batch=4, backend=backend, **settings)
    simulation = Simulation(compile_network(network, DT), batch=4, backend=backend)
    bank = PortBank(simulation, Gradient(0.4 / about.dwell))
    return Presenter(network, simulation, bank, about)


def test_each_batch_moves_the_devices_by_the_exact_gradient(backend):
    network, rng = ringing(), np.random.default_rng(0)
    shown = presenter(network, backend, settle=8000 * DT, tolerance=1e-12)
    for _ in range(3):
        x, y = rng.normal(size=(4, 5)), rng.normal(size=(4, 3))
        host = shown.simulation.stepper.to_host
        before = {name: host(value) for name, value in shown.simulation.state.parameters.items()}
        books = shown.present(x, y)
        share = 0.4 * (1.0 - shown.gate_opened / shown.timing.dwell)
        exact = Backprop(network).gradient(before, x, y)[1]
        for name, value in shown.simulation.state.parameters.items():
            np.testing.assert_allclose(host(value) - before[name], -share * exact[name], rtol=0, atol=1e-9)
        assert shown.residual <= 1e-12 and 100 < shown.gate_opened < 8000
        assert books.residual < 1e-9


def test_devices_that_do_not_wait_hear_what_rings():
    network, rng = ringing(), np.random.default_rng(0)
    x, y = rng.normal(size=(4, 5)), rng.normal(size=(4, 3))
    hasty = presenter(network, "cpu", settle=200 * DT)
    before = {name: np.array(value) for name, value in hasty.simulation.state.parameters.items()}
    hasty.present(x, y)
    exact = Backprop(network).gradient(before, x, y)[1]
    moved = {name: value - before[name] for name, value in hasty.simulation.state.parameters.items()}
    worst = max(np.abs(moved[name] + 0.4 * exact[name]).max() for name in exact)
    assert worst > 1e-3  # a negative control of the test above


def test_a_gate_that_opens_too_early_is_reported():
    network = ringing()
    shown = presenter(network, "cpu", settle=40 * DT, tolerance=1e-12)
    shown.present(np.ones((4, 5)), np.ones((4, 3)))
    assert shown.residual > 1e-12
    assert shown.gate_opened <= 40


def test_too_short_a_settle_is_refused():
    with pytest.raises(SubstrateError, match="too short to see whether the waves have settled"):
        presenter(ringing(), "cpu", settle=10 * DT, tolerance=1e-3)
    with pytest.raises(SubstrateError, match="tolerance must be above 0"):
        TrainSettings(dt=DT, dwell=DT, tolerance=0.0)


def small_settings(tmp_path):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(45, 5))
    np.savez(tmp_path / "small.npz", x=x, y=(x[:, 0] > 0.0).astype(int) + (x[:, 1] > 0.0))
    return str(tmp_path / "small.npz")


def test_the_run_file_says_when_the_gate_opened(tmp_path):
    from substrate.record import RunReader

    out = tmp_path / "run.h5"
    settings = TrainSettings(dt=DT, dwell=20000 * DT, settle=2000 * DT, tolerance=1e-4, batch=10, epochs=1)
    network = layered([5, 4, 3], line=Line(DT, lowpass=DT), weights="transformer", beta=0.1, seed=1)
    from substrate.learning.datasets import load_dataset

    data = load_dataset(small_settings(tmp_path))
    summary = train(network, data, Gradient(0.5 / settings.dwell), settings, out=out)
    with RunReader.open(out) as reader:
        opened = reader.read("/metrics/batch/gate_opened")
        residual = reader.read("/metrics/batch/settle_residual")
        loss, digital = reader.read("/metrics/batch/loss"), reader.read("/metrics/batch/backprop_loss")
    assert np.all(residual <= 1e-4) and np.all(opened > 0.0)
    assert summary["unsettled_batches"] == 0
    assert summary["gate_opened_s"] == pytest.approx(opened.mean())
    np.testing.assert_allclose(loss, digital, atol=0.02)


@pytest.mark.long
def test_digits_learn_on_transformers(tmp_path):
    from typer.testing import CliRunner

    out = tmp_path / "digits.h5"
    done = CliRunner().invoke(app, ["train", str(data_path("examples", "digits_transformer.toml")), "--out", str(out)])
    assert done.exit_code == 0, done.output
    from substrate.record import RunReader

    with RunReader.open(out) as reader:
        assert reader.summary["accuracy"] >= 0.96
        assert reader.summary["unsettled_batches"] == 0
