"""Devices at ports: closed forms of gradient and momentum, what cells absorb, spread, restart."""

import numpy as np
import pytest

from devices import Gradient, Momentum, SoftBounds
from substrate import Line, Simulation, compile_network
from substrate.errors import NetworkError
from substrate.learning.layered import layered
from substrate.learning.ports import PortBank

DT = 1e-4  # s; small beside the seconds that learning takes, so that the delay of the line does not matter


def scalar_port(device, steps, x=2.0, y=0.5, w0=1.0):
    """Trains one weight on (w x - y)^2 / 2 and returns the bank and w."""
    network = layered([1, 1], line=Line(delay=DT), bias=False, loss="mse")
    network.nodes["w1"].matrix[...] = w0
    simulation = Simulation(compile_network(network, dt=DT))
    bank = PortBank(simulation, device)
    simulation.hold({"input": [[x]], "load": [[y]]})
    simulation.run(2)
    for _ in range(steps):
        simulation.listen(1)
        bank.tick(DT)
    return bank, float(bank.port_values("values")["w1.matrix"][0, 0])


def test_gradient_port_follows_its_closed_form():
    """V36: w = y/x + (w0 - y/x) exp(-eta x^2 tau) = 0.75274 after one second."""
    assert scalar_port(Gradient(rate=0.1), round(1.0 / DT))[1] == pytest.approx(0.7527400, abs=0.5 * DT)


def test_momentum_port_follows_the_damped_oscillator():
    rate, tau, curvature = 1.0, 0.5, 4.0
    damping, omega = 0.5 / tau, np.sqrt(rate * curvature / tau - (0.5 / tau) ** 2)
    t = 1.5
    expected = 0.25 + 0.75 * np.exp(-damping * t) * (np.cos(omega * t) + damping / omega * np.sin(omega * t))
    assert scalar_port(Momentum(rate=rate, time_constant=tau), round(t / DT))[1] == pytest.approx(expected, abs=1e-3)


def test_a_gradient_port_absorbs_the_loss_it_takes_away():
    bank, w = scalar_port(Gradient(rate=0.1), round(1.0 / DT))
    loss = [0.5 * (value * 2.0 - 0.5) ** 2 for value in (1.0, w)]
    assert bank.absorbed == pytest.approx(loss[0] - loss[1], rel=1e-3)


def test_each_pattern_gets_its_device():
    network = layered([3, 2, 2], line=Line(delay=DT))
    simulation = Simulation(compile_network(network, dt=DT))
    bank = PortBank(simulation, {"*.bias": Gradient(rate=1.0), "w1.*": Gradient(rate=2.0)})
    assert [group.names for group in bank.groups] == [["w1.bias", "w2.bias"], ["w1.matrix"]]
    with pytest.raises(NetworkError, match=r"No port is left for the pattern 'w9.\*'; the ports are w1.matrix"):
        PortBank(Simulation(compile_network(network, dt=DT)), {"w9.*": Gradient(rate=1.0)})


def test_waves_see_what_the_device_holds():
    """A start beyond a device's bounds is clipped to them, and the mesh uses the device's value."""
    network = layered([1, 1], line=Line(delay=DT), bias=False, loss="mse")
    network.nodes["w1"].matrix[...] = 5.0
    simulation = Simulation(compile_network(network, dt=DT))
    bank = PortBank(simulation, SoftBounds(rate=1.0, dw_min=0.01))
    simulation.hold({"input": [[1.0]], "load": [[0.0]]})
    simulation.run(1)
    assert simulation.field("line1")[0].item() == bank.port_values("values")["w1.matrix"].item() == 1.0


def noisy_bank(seed):
    cell = SoftBounds(rate=1.0, dw_min=0.01, cycle_to_cycle=0.5, write_noise=2.0, b_max_spread=0.1, dw_min_spread=0.2)
    network = layered([4, 3, 2], line=Line(delay=DT), seed=1)
    simulation = Simulation(compile_network(network, dt=DT), batch=2)
    bank = PortBank(simulation, cell, seed=seed)
    simulation.hold({"input": np.ones((2, 4)), "load": np.eye(2)})
    return simulation, bank


def advanced(simulation, bank, ticks):
    for _ in range(ticks):
        simulation.listen(1)
        bank.tick(0.01)
    return bank.port_values("values")


def test_seeds_repeat_and_differ():
    first, again, other = (advanced(*noisy_bank(seed), 5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["w1.matrix"], again["w1.matrix"])
    assert np.all(first["w1.matrix"] != other["w1.matrix"])


def test_a_restored_bank_continues_bit_for_bit():
    simulation, bank = noisy_bank(1)
    advanced(simulation, bank, 3)
    saved = simulation.checkpoint(), bank.checkpoint()
    other_simulation, other = noisy_bank(1)
    other_simulation.restore(saved[0])
    other.restore(saved[1])
    here, there = advanced(simulation, bank, 4), advanced(other_simulation, other, 4)
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])
