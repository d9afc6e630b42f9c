"""Noise of the amplifiers at the outputs of matched weights: its level both ways, its books, its switch, its bits."""

import numpy as np
import pytest

from substrate import DataSource, Line, Network, Probe, Simulation, Termination, compile_network
from substrate.errors import NetworkError
from substrate.learning.layered import layered
from substrate.nodes import Weights
from substrate.noise import BOLTZMANN

from .chains import samples
from .noise_runs import DENSE, DT, KELVIN, SIGMAS

MATRIX = np.array([[0.5, -1.2, 0.3], [0.8, 0.1, 0.4]])


def mesh(kelvin=KELVIN, end=0.0, before=0.0, tap=0.0):
    net = Network()
    net.add(DataSource(3, before), "x")
    net.add(Weights(MATRIX, tap=tap, noise_temperature=kelvin), "w")
    net.connect("x", "w")
    net.connect("w", net.add(Termination(2, end), "end"), Line(3 * DT), "line")
    return net


def seen(net, steps, batch, backend="cpu", seed=3, **more):
    plan = compile_network(net, DT, reference_power=1.0, probes=[Probe("end"), Probe("x.out")], **more)
    simulation = Simulation(plan, batch=batch, backend=backend, seed=seed)
    simulation.hold({"x": np.full((batch, 3), 1e-5)})
    simulation.run(10)
    simulation.take_probes()
    simulation.run(steps)
    assert simulation.take_ledger().residual < 1e-10
    return {label.partition(".")[0]: np.moveaxis(v, 1, 0) for label, v in simulation.take_probes().items()}


def covariance(waves):
    flat = waves.reshape(len(waves), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat @ flat.T / flat.shape[1] * DENSE


@pytest.mark.parametrize("tap", [0.0, 0.3])
def test_amplifiers_add_their_level_to_every_wave_both_ways(backend, tap) -> None:
    """Forward kT I + (1 - tap)^2 W C W^T of what comes, backward kT I + (1 - tap)^2 W^T C W; x1.1 is seen."""
    steps, batch = (100, 100) if backend == "reference" else (400, 200)
    found = seen(mesh(KELVIN, end=2 * KELVIN, before=3 * KELVIN, tap=tap), steps, batch, backend)
    for label, exact in (
        ("end", np.eye(2) + 3.0 * (1.0 - tap) ** 2 * MATRIX @ MATRIX.T),
        ("x", np.eye(3) + 2.0 * (1.0 - tap) ** 2 * MATRIX.T @ MATRIX),
    ):
        spread = SIGMAS * np.sqrt(2.0 / (steps * batch)) * np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
        assert np.all(np.abs(covariance(found[label]) - exact) < spread)
        assert not np.all(np.abs(1.21 * covariance(found[label]) - exact) < spread)


def test_the_level_does_not_depend_on_the_step() -> None:
    for dt in (DT, DT / 2):
        plan = compile_network(mesh(), dt, reference_power=1.0, probes=[Probe("end")])
        simulation = Simulation(plan, batch=300, seed=1)
        simulation.run(400)
        waves = simulation.take_probes()["end.arriving"][20:]
        assert abs(np.mean(waves**2) * 2 * dt / (BOLTZMANN * KELVIN) - 1.0) < SIGMAS * np.sqrt(2.0 / waves.size)


def test_it_is_the_noise_of_amplifiers_and_can_be_switched() -> None:
    assert np.ptp(seen(mesh(), 20, 2, noise=["thermal"])["end"][0]) == 0.0
    on = seen(mesh(end=KELVIN), 20, 2, noise=["amplifier"])["end"]
    assert np.array_equal(on, seen(mesh(end=KELVIN), 20, 2)["end"])  # what arrives there is of the mesh alone


def test_backends_and_blocks_draw_the_same(backend) -> None:
    net = layered([4, 3, 2], line=[Line(4 * DT), Line(3 * DT)], seed=3, noise_temperature=KELVIN)
    x, y = samples(net, 5)

    def drives(backend, block=None):
        simulation = Simulation(compile_network(net, DT, reference_power=1e-9), batch=5, backend=backend, block=block)
        simulation.hold({"input": x, "load": y})
        simulation.listen(40)
        assert simulation.take_ledger().residual < 1e-12
        return {name: simulation.stepper.to_host(drive) for name, drive in simulation.state.drive.items()}

    expected = drives("cpu")
    for found in (drives(backend), drives("cpu", block=1)):
        for name, drive in expected.items():
            np.testing.assert_allclose(found[name], drive, rtol=0, atol=1e-12 * np.abs(drive).max())
    quiet = layered([4, 3, 2], line=[Line(4 * DT), Line(3 * DT)], seed=3)
    assert quiet.nodes["w1"].noise_temperature == 0.0


def test_refusals() -> None:
    with pytest.raises(NetworkError, match="temperature"):
        Weights(MATRIX, noise_temperature=-1.0)
    with pytest.raises(NetworkError, match="Transformer weights have no amplifiers"):
        layered([3, 2], line=Line(DT, lowpass=DT), weights="transformer", noise_temperature=1.0)
