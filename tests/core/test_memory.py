"""Ports with memory: a new batch at every tick, and each port still hears the gradient of one batch at a time."""

import numpy as np
import pytest

from substrate import Simulation, compile_network
from substrate.errors import CompileError
from substrate.learning.backprop import Backprop, relative_error
from substrate.nodes import Weights

from .chains import DT, chain_of, samples


@pytest.mark.parametrize("delays", [[1, 1, 1], [2, 3, 1]])
def test_a_new_batch_every_tick_gives_each_its_gradient(backend, delays):
    """Frozen parameters: at step t the port of layer k hears the exact gradient of the batch sent 2 x total(k)
    before."""
    sizes, count, total = [4, 5, 3, 2], 30, sum(delays)
    network = chain_of(sizes, delays, memory=True)
    simulation = Simulation(compile_network(network, dt=DT), batch=2, backend=backend)
    batches = [samples(network, 2, seed) for seed in range(count)]
    exact = [Backprop(network).gradient(network.parameters(), *batch)[1] for batch in batches]
    for step in range(count):
        simulation.hold({"input": batches[step][0]})
        if step >= total:  # the target reaches the load with the wave it belongs to
            simulation.hold({"load": batches[step - total][1]})
        simulation.listen(1)
        for layer in range(3):
            sent = step - total - sum(delays[layer:])
            if sent >= 0:
                name = f"w{layer + 1}.matrix"
                heard = -simulation.stepper.to_host(simulation.state.drive[name])
                assert relative_error({name: heard}, {name: exact[sent][name]}) < 1e-12, (step, layer)


def test_without_memory_the_batches_mix():
    network = chain_of([4, 5, 2], [1, 1])
    simulation = Simulation(compile_network(network, dt=DT), batch=2)
    batches = [samples(network, 2, seed) for seed in range(9)]
    for step, (x, _) in enumerate(batches):
        simulation.hold({"input": x, "load": batches[max(0, step - 2)][1]})
        simulation.listen(1)
    _, exact = Backprop(network).gradient(network.parameters(), *batches[4])
    heard = {"w1.matrix": -simulation.state.drive["w1.matrix"]}
    assert relative_error(heard, {"w1.matrix": exact["w1.matrix"]}) > 0.1


def test_settled_memory_changes_nothing(backend):
    """A held batch has the same gradient with and without memory, once the memory has filled."""
    x, y = samples(chain_of([4, 5, 2], [2, 1]), 2)
    heard = []
    for memory in (False, True):
        simulation = Simulation(
            compile_network(chain_of([4, 5, 2], [2, 1], memory=memory), dt=DT), batch=2, backend=backend
        )
        simulation.hold({"input": x, "load": y})
        simulation.run(20)
        simulation.listen(3)
        heard.append(simulation.stepper.to_host(simulation.state.drive["w1.matrix"]))
    np.testing.assert_allclose(heard[0], heard[1], rtol=1e-12, atol=1e-15)


def test_memory_is_part_of_a_checkpoint():
    network = chain_of([4, 3, 2], [2, 1], memory=True)
    runs = [Simulation(compile_network(network, dt=DT), batch=2) for _ in range(2)]
    for seed in range(7):
        runs[0].hold({"input": samples(network, 2, seed)[0]})
        runs[0].run(1)
    runs[1].restore(runs[0].checkpoint())
    for simulation in runs:
        simulation.listen(4)
    np.testing.assert_array_equal(*[run.state.drive["w1.matrix"] for run in runs])


def test_memory_needs_a_load():
    network = chain_of([3, 2], [1], memory=True)
    network.nodes["lonely"] = Weights(np.eye(2), memory=True)
    with pytest.raises(CompileError):
        compile_network(network, dt=DT)
