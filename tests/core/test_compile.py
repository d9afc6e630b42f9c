"""What cannot be simulated is refused with who, what and the way out."""

import numpy as np
import pytest

from substrate import (
    Activation,
    DataSource,
    Line,
    Load,
    Network,
    Probe,
    Simulation,
    Termination,
    Weights,
    compile_network,
)
from substrate.errors import BackendError, CompileError, DivergenceError, NetworkError

from .chains import DT, chain_of


def test_line_shorter_than_a_step():
    network = chain_of([2, 2], [1])
    with pytest.raises(CompileError, match=r"'line1' must last .* but delay=1e-12 s < dt=1e-11 s; lower dt"):
        compile_network(network, dt=1e-11)


def test_delay_that_is_no_whole_number_of_steps_is_reported():
    net = Network()
    net.connect(net.add(Termination(), "a"), net.add(Termination(), "b"), Line(delay=2.6 * DT), "w")
    with pytest.warns(UserWarning, match=r"'w' lasts 2.6000 steps and is rounded to 3"):
        plan = compile_network(net, dt=DT)
    assert plan.lines[0].delay_error == pytest.approx(0.4 / 2.6)
    assert "+15.385%" in plan.report()


def test_open_port():
    net = Network()
    net.add(Termination(), "a")
    with pytest.raises(CompileError, match=r"Port a.in is not connected; connect it"):
        compile_network(net, dt=DT)


def test_loop_without_delay():
    net = Network()
    net.add(Weights(np.eye(1)), "w")
    net.add(Activation(1), "phi")
    net.connect("w.right", "phi.left")
    net.connect("phi.right", "w.left")
    with pytest.raises(CompileError, match=r"Nodes w, phi form a loop without delay; put a line"):
        compile_network(net, dt=DT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Line(delay=0.0), r"delay above zero"),
        (lambda: Line(delay=1.0, loss_db=-1.0), r"A line is passive: loss_db must be at least 0 dB"),
        (lambda: Line(delay=1.0, temperature=-1.0), r"at least 0 K"),
        (lambda: Weights(np.zeros((2, 0))), r"a matrix \[outputs, inputs\]"),
        (lambda: Weights(np.zeros((2, 2)), np.zeros(3)), r"bias of that length"),
        (lambda: Weights(np.full((1, 1), np.nan)), r"NaN"),
        (lambda: Activation(2, "tanhh"), r"one of tanh, relu"),
        (lambda: Load(2, "l2"), r"one of mse, cross_entropy"),
        (lambda: Load(0), r"at least 1"),
        (lambda: Probe("a.b", "sideways"), r"arriving"),
    ],
)
def test_impossible_parts_are_refused_when_made(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_impossible_connections_are_refused():
    net = Network()
    net.add(DataSource(2), "x")
    net.add(Load(3), "load")
    with pytest.raises(NetworkError, match=r"no node 'y'; the nodes are x, load"):
        net.connect("x", "y")
    with pytest.raises(NetworkError, match=r"no port 'left'; its ports are in"):
        net.connect("x", "load.left")
    with pytest.raises(NetworkError, match=r"x.out \(2 channels\) to load.in \(3 channels\)"):
        net.connect("x", "load")
    net.add(Load(2), "other")
    net.connect("x", "other", Line(delay=DT))
    with pytest.raises(NetworkError, match=r"port x.out is already connected"):
        net.connect("x", "other")
    with pytest.raises(NetworkError, match=r"two nodes called 'x'"):
        net.add(DataSource(2), "x")


def test_simulation_refuses_what_it_cannot_hold():
    plan = compile_network(chain_of([2, 2], [1]), dt=DT)
    simulation = Simulation(plan, batch=3)
    with pytest.raises(NetworkError, match=r"'inputs' is not a source or load; these are: input, load"):
        simulation.hold({"inputs": np.zeros((3, 2))})
    with pytest.raises(NetworkError, match=r"\[batch, channels\] = \(3, 2\), but the values given have shape \(2, 3\)"):
        simulation.hold({"input": np.zeros((2, 3))})
    with pytest.raises(BackendError, match=r"no backend 'fpga'"):
        Simulation(plan, backend="fpga")


def test_runaway_waves_are_caught(backend):
    network = chain_of([1, 1], [1], loss="mse", bias=False)
    network.nodes["w1"].matrix[...] = 1e200
    simulation = Simulation(compile_network(network, dt=DT), backend=backend)
    simulation.hold({"input": [[1e200]], "load": [[0.0]]})
    with pytest.raises(DivergenceError, match=r"The waves grew beyond all bounds at t = "):
        simulation.run(3)
