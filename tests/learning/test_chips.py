"""Chips that learn in place: what elements send back, gradients of whole chips against differences, tasks, devices."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from devices import card
from devices.ideal import Gradient
from devices.thermo_optic import ThermoOptic, exponential_crosstalk
from substrate.cli import app
from substrate.errors import ConfigError, DataError
from substrate.learning.chip import Chip, ChipSettings, places_of
from substrate.learning.chip_tasks import Classify, LearnUnitary, TemporalXor, pooled
from substrate.learning.chip_training import ChipTraining, train_chip
from substrate.learning.controllers import Controlled
from substrate.learning.datasets import load_dataset
from substrate.learning.delay_chip import DelayChip
from substrate.learning.elements import PLANCK, Absorber, ElectroOptic, Intensity, LightNoise, Quadrature, Repeater
from substrate.learning.insitu import InSitu
from substrate.meshes.mesh import random_mesh
from substrate.network import Line, Network
from substrate.nodes import PhaseShifter, SaturableAbsorber, TransmissionPad
from substrate.record import RunReader

EXAMPLES = Path(__file__).parents[2] / "examples"
IDEAL = {"*.bias": Gradient(0.1), "*": Gradient(0.1)}
BIAS = np.array([0.3, -0.2, 0.1])


@pytest.mark.parametrize(
    "element",
    [
        Quadrature(2.0, 1e-2, BIAS),
        Intensity(3.0, 1e-2, BIAS[:2]),
        Repeater(Quadrature(2.0, 1e-2, BIAS), 1e-2),
        Repeater(Intensity(2.0, 1e-2, BIAS), 1e-2),
        ElectroOptic(0.1, 1.3, 2.0, 1e-2),
        Absorber(SaturableAbsorber(3.0, 1e-2)),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_an_element_sends_back_is_its_gradient(element):
    """J = 2 Re sum(c conj... f(y)) for light, sum(c f(y)) for numbers; its slope in any direction, by differences."""
    rng = np.random.default_rng(0)
    y = 0.1 * (rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3)))
    out = element.forward(y)
    light = np.iscomplexobj(out)
    c = rng.normal(size=out.shape) + (1j * rng.normal(size=out.shape) if light else 0.0)

    def cost(at):
        f = element.forward(at)
        return float(2.0 * np.sum(c * f).real if light else np.sum(c * f))

    element.forward(y)
    back, step = element.backward(c), 1e-6
    for _ in range(5):
        way = rng.normal(size=y.shape) + 1j * rng.normal(size=y.shape)
        quotient = (cost(y + step * way) - cost(y - step * way)) / (2.0 * step)
        # Numbers of J are real, and dJ = 2 Re(dJ/dy dy) for both.
        assert 2.0 * np.sum(back * way).real == pytest.approx(quotient, rel=1e-6, abs=1e-8)


def settings(**changes):
    return ChipSettings(**{"modes": 3, "outputs": 2, "layers": 2, "between_gain": 1.5, "readout_gain": 2.0, **changes})


@pytest.mark.parametrize("between", ["repeater", "electro_optic"])
@pytest.mark.parametrize("readout", ["quadrature", "intensity"])
def test_every_phase_and_bias_of_a_chip_hears_the_gradient(between, readout):
    chip = Chip(
        settings(between=between, readout=readout, cell_loss_db=0.3, coupling_spread=0.05), IDEAL, batch=4, seed=1
    )
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    cost = lambda: float(np.mean(np.sum(c * np.sin(chip.forward(x)), axis=1)))  # noqa: E731
    chip.backward(c * np.cos(chip.forward(x)))
    for bank in chip.banks.values():
        for group in bank.groups:
            heard, values = -group.drive.copy(), group.values
            for i in range(0, len(values), 3):
                quotient = []
                for step in (1e-5, -1e-5):
                    before = values[i]
                    values[i] = before + step
                    quotient.append(cost())
                    values[i] = before
                assert heard[i] == pytest.approx((quotient[0] - quotient[1]) / 2e-5, rel=1e-5, abs=1e-7)


def test_detectors_are_as_noisy_as_photons():
    """One photon a window: Var P = hf P / T, Var Re a = hf / (4 T); within four deviations of their estimates."""
    noise = LightNoise(window=1e-9, carrier=193.4e12, seed=0, source=1)
    photon, n = PLANCK * 193.4e12 / 1e-9, 40_000
    for got, want in (
        (noise.quadrature((n, 1)).var(), photon / 4.0),
        (noise.intensity(np.full((n, 1), 1e-3)).var(), photon * 1e-3),
    ):
        assert abs(got / want - 1.0) < 4.0 * np.sqrt(2.0 / n)
        assert abs(1.1 * got / want - 1.0) > 4.0 * np.sqrt(2.0 / n)  # 10 % too much would be noticed


def test_a_controller_has_levels_and_a_dead_zone():
    port = Controlled(ThermoOptic(power_pi=1e-3, tau=1e-6), bits=4)
    state = port.create(np.linspace(0.0, 2.0 * np.pi, 200))
    assert len(np.unique(port.value(np, state).round(9))) == 16
    quiet = Controlled(Gradient(1.0), dead_zone=0.5)
    cells = quiet.create(np.zeros(3))
    quiet.advance(np, cells, np.array([0.4, 0.6, -0.6]), 1.0)
    assert cells["theta"].tolist() == [0.0, 0.6, -0.6]
    ranged = Controlled(Gradient(1.0), bits=2, span=(-1.0, 2.0))
    assert ranged.value(np, ranged.create(np.array([-5.0, 0.2, 9.0]))).tolist() == [-1.0, 0.0, 2.0]
    with pytest.raises(ConfigError, match="range rises"):
        Controlled(Gradient(1.0), bits=2, span=(1.0, 1.0))
    with pytest.raises(ConfigError, match="1 to 52 bits"):
        Controlled(Gradient(1.0), bits=0)


def test_a_heater_at_its_end_begins_anew_two_pi_away():
    for wrap in (False, True):
        heater = ThermoOptic(power_pi=1e-3, tau=1e-6, rate=1.0, wrap=wrap)
        state = heater.create(np.array([6.2]))
        heater.advance(np, state, np.array([0.5]), 1.0)
        heater.advance(np, state, np.array([0.0]), 1.0)
        wanted = 0.5 if wrap else 2.0 * np.pi  # from 6.2 the controller begins at nothing
        assert heater.value(np, state)[0] == pytest.approx(wanted, abs=1e-9)


def test_heat_reaches_the_phases_next_door():
    places = places_of(random_mesh(3, 0))
    warm = exponential_crosstalk(places, 0.1, 1.0)
    devices = {"*": ThermoOptic(power_pi=1e-3, tau=1e-6, rate=1.0, crosstalk=warm)}
    bank = Chip(settings(layers=1), devices, batch=1, seed=0).banks["mesh1"]
    group = bank.groups[0]
    before = group.values.copy()
    one = int(np.argmin(np.abs(before - np.pi)))
    group.drive[...] = np.eye(len(before))[one] * 0.2
    bank.tick(1.0)
    moved, distance = group.values - before, np.hypot(*(places - places[one]).T)
    order = np.argsort(distance)
    assert moved[one] > 0.19
    assert np.all(np.diff(moved[order][1:]) < 1e-3)  # the further, the less
    assert moved[order[1]] > 0.01
    file = [str(EXAMPLES / "mesh_digits.toml"), "--set", "controller.crosstalk=0.1", "--out", "unused.h5"]
    assert (
        "crosstalk is heat between heaters, but Gradient has none" in CliRunner().invoke(app, ["train", *file]).output
    )


def test_a_mesh_becomes_a_unitary():
    chip = Chip(ChipSettings(modes=4, layers=1, outputs=4, columns=6), {"*": Gradient(0.6)}, batch=8, seed=0)
    summary = train_chip(LearnUnitary(chip, 0, 20), ChipTraining(30, 1.0, cooling=False))
    assert summary["distance"] < 1e-3


@pytest.mark.parametrize(("lag", "learned"), [(1, True), (2, True), (3, False)])
def test_bits_are_compared_over_time(lag, learned):
    """Three taps hold the newest bit and the two before; what came before these cannot be known."""
    task = TemporalXor(DelayChip(3, {"*.bias": Gradient(0.5), "*": Gradient(0.5)}, batch=16, seed=1), lag, seed=0)
    accuracy = train_chip(task, ChipTraining(8, 1.0, cooling=False))["accuracy"]
    assert accuracy == 1.0 if learned else accuracy < 0.7


def test_digits_are_learned_and_a_run_goes_on_bit_for_bit(tmp_path):
    data = load_dataset("digits", seed=3, scale="none")

    def task():
        chip = Chip(ChipSettings(modes=16, window=1e-9), IDEAL, batch=32, seed=0)
        return Classify(chip, data, pool=2, seed=0)

    whole = train_chip(task(), ChipTraining(3, 1.0), out=tmp_path / "whole.h5")
    assert whole["accuracy"] > 0.75
    stops = {"left": 90}

    def stop(_):
        stops["left"] -= 1
        if not stops["left"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_chip(task(), ChipTraining(3, 1.0), out=tmp_path / "parts.h5", progress=stop)
    train_chip(task(), ChipTraining(3, 1.0), out=tmp_path / "parts.h5", resume=True)
    with RunReader.open(tmp_path / "whole.h5") as one, RunReader.open(tmp_path / "parts.h5") as two:
        for name in one.tables:
            np.testing.assert_array_equal(one.read(name), two.read(name))


def test_a_run_stopped_in_its_first_epoch_goes_on(tmp_path):
    """From the command, as a signal would stop it."""
    run, out, whole = CliRunner(), tmp_path / "parts.h5", tmp_path / "whole.h5"
    base = ["train", str(EXAMPLES / "mesh_xor.toml"), "-q", "--set", "training.epochs=2", "--out"]
    learn = TemporalXor.learn

    def stop(self, epoch, batch, seconds):
        if batch == 7:
            raise KeyboardInterrupt
        return learn(self, epoch, batch, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporalXor, "learn", stop)
        assert run.invoke(app, [*base, str(out)]).exit_code == 130
    assert "interrupted" in run.invoke(app, ["info", str(out)]).output
    assert run.invoke(app, ["train", "--resume", str(out), "-q"]).exit_code == 0
    assert run.invoke(app, [*base, str(whole)]).exit_code == 0
    with RunReader.open(whole) as one, RunReader.open(out) as two:
        for name in one.tables:
            np.testing.assert_array_equal(one.read(name), two.read(name))


def test_a_failure_stands_in_the_file_and_other_data_are_refused(tmp_path, monkeypatch):
    run, out, data = CliRunner(), tmp_path / "run.h5", tmp_path / "d.npz"
    rng = np.random.default_rng(0)
    np.savez(data, x=rng.normal(size=(200, 4)), y=np.arange(200) % 2)
    numbers = {"task.pool": 1, "chip.modes": 4, "chip.outputs": 2, "data.dataset": f"'{data}'", "training.epochs": 2}
    sets = [part for key, value in numbers.items() for part in ("--set", f"{key}={value}")]

    def fail(self, epoch, batch, seconds):
        raise ValueError("the light went out")

    with monkeypatch.context() as patch:
        patch.setattr(Classify, "learn", fail)
        assert run.invoke(app, ["train", str(EXAMPLES / "mesh_digits.toml"), "-q", "--out", str(out), *sets]).exit_code
    with RunReader.open(out) as reader:
        assert reader.status == "failed: ValueError: the light went out"
    np.savez(data, x=rng.normal(size=(200, 4)), y=np.arange(200) % 2)
    told = run.invoke(app, ["train", "--resume", str(out), "-q"])
    assert told.exit_code != 0
    assert "the data set has changed since the run began" in told.output.replace("\n", " ")


def test_what_does_not_fit_is_told():
    with pytest.raises(ConfigError, match="3 modes have no 10 outputs"):
        ChipSettings(modes=3)
    with pytest.raises(DataError, match="64 inputs do not fit into 16 modes"):
        pooled(np.zeros((2, 64)), 1, 16)
    with pytest.raises(DataError, match="no square images that 3 x 3 pixels fill"):
        pooled(np.zeros((2, 64)), 3, 64)
    chip = Chip(ChipSettings(modes=16, outputs=4), IDEAL, batch=4, seed=0)
    with pytest.raises(DataError, match="4 outputs, but the data 10 classes"):
        Classify(chip, load_dataset("digits", scale="none"), 2, 0)


def test_the_command_trains_a_mesh_and_shows_it(tmp_path):
    run, out = CliRunner(), tmp_path / "xor.h5"
    done = run.invoke(app, ["train", str(EXAMPLES / "mesh_xor.toml"), "--out", str(out), "--json", "-q"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accuracy"] == 1.0
    assert "Exclusive or in time" in run.invoke(app, ["info", str(out)]).output
    drawn = run.invoke(app, ["plot", str(out)])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "xor" / "learning.png").exists()
    assert (tmp_path / "xor" / "phases.png").exists()
    assert run.invoke(app, ["report", str(out)]).exit_code == 0


@pytest.mark.parametrize("name", ["mesh_digits.toml", "mesh_unitary.toml"])
def test_the_other_examples_run(name, tmp_path):
    short = ["--set", "training.epochs=1", "--set", "controller.bits=12", "-q"]
    if "unitary" not in name:
        short += ["--set", "device.card=thermo_optic_spiral", "--set", "controller.crosstalk=0.02"]
    done = CliRunner().invoke(app, ["train", str(EXAMPLES / name), "--out", str(tmp_path / "run.h5"), *short])
    assert done.exit_code == 0, done.output


def test_mistakes_of_a_mesh_file_are_told(tmp_path):
    run = CliRunner()
    for change, said in (
        ("task.lag=7", "with 4 modes the newest bit meets those up to 3 before it, but task.lag is 7"),
        ("chip.cell_loss='1 dB'", "for which chip.cell_loss means nothing"),
        ("controller.crosstalk=0.1", "for which controller.crosstalk means nothing"),
        ("chip.power='3 ohm'", "chip.power"),
        ("chip.mods=4", "mods"),
    ):
        done = run.invoke(
            app, ["train", str(EXAMPLES / "mesh_xor.toml"), "--out", str(tmp_path / "x.h5"), "--set", change]
        )
        assert done.exit_code != 0
        assert said in done.output.replace("\n", " ")


def test_any_matrix_is_learned_by_ports_that_measure_their_stiffness(capsys):
    example = runpy.run_path(str(EXAMPLES / "mesh_svd.py"))
    assert example["main"](3, 200, 30, 1e-3, 0) < 1e-3
    assert "matched step" in capsys.readouterr().out


@pytest.mark.long
def test_an_eight_mode_matrix_to_a_thousandth():
    assert runpy.run_path(str(EXAMPLES / "mesh_svd.py"))["main"](8, 400, 60, 1e-3, 0) < 1e-3


@pytest.mark.long
def test_digits_through_two_meshes(tmp_path):
    """The floor, on the validation set too: 0.88 with ideal devices."""
    out = tmp_path / "digits.h5"
    done = CliRunner().invoke(app, ["train", str(EXAMPLES / "mesh_digits.toml"), "--out", str(out), "--json", "-q"])
    summary = json.loads(done.stdout)
    assert summary["accuracy"] > 0.88
    assert summary["validation_accuracy"] > 0.88


def test_weights_have_converters_too(tmp_path):
    """Two bits are too few for digits, eight are enough; a device without bounds needs a range."""
    run, found = CliRunner(), {}
    base = ["train", str(EXAMPLES / "digits.toml"), "--json", "-q", "--set", "training.epochs=8"]
    ranged = [*base, "--set", "controller.range=[-2, 2]"]
    for bits in (2, 8):
        out = str(tmp_path / f"{bits}.h5")
        done = run.invoke(app, [*ranged, "--set", f"controller.bits={bits}", "--out", out])
        assert done.exit_code == 0, done.output
        found[bits] = json.loads(done.stdout)["accuracy"]
        with RunReader.open(out) as reader:
            assert len(np.unique(reader.read("/devices/w1.matrix/value"))) <= 2**bits
    assert found[8] > 0.93
    assert found[2] < 0.9
    done = run.invoke(app, [*base, "--set", "controller.bits=8", "--out", str(tmp_path / "no.h5")])
    assert "needs a 'range'" in done.output


def test_phase_change_pads_learn_what_they_let_through(backend):
    """Light both ways over three waveguides; a pad that cannot get there stops at its end, with a one-sided slope."""
    network, line = Network(), Line(delay=1e-12)
    for k in range(3):
        network.add(TransmissionPad(0.8), f"pad{k}")
        network.connect(f"pad{k}.out", network.add(PhaseShifter(0.0), f"p{k}"), line)
    tunable = [f"pad{k}.transmission" for k in range(3)]
    material = card("photonic_pcm_gst", rate_set=0.5, rate_reset=0.5)
    low, high = material.clip_range()
    light = InSitu(network, [f"pad{k}.in" for k in range(3)], [f"p{k}.out" for k in range(3)], tunable, material,
                   dt=1e-12, batch=3, settle=10, backend=backend)  # fmt: skip
    wanted = np.array([low + 0.3 * (high - low), low + 0.8 * (high - low), 1.0])
    for _ in range(400):
        error = light.forward(np.eye(3)) - np.diag(wanted)
        light.backward(np.conj(error))
        light.tick(1.0)
    reached = np.array(list(light.values.values()))
    np.testing.assert_allclose(reached, np.minimum(wanted, high), atol=2e-3)
    assert light.bank.totals(1.0)["tuning_J"] > 0.0


def test_cards_of_heaters_know_how_to_wrap():
    assert card("thermo_optic_spiral", wrap=True).wrap
