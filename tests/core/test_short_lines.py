"""Short lines on the compiled backend: two-ports that lie apart, dispersive ends in blocks, threads that pay."""

import numpy as np
import pytest

from substrate import Line, Network, ParallelJunction, Probe, Resistor, Simulation, VoltageSource, compile_network
from substrate.backends.cpu_factors import rank_one_blocks
from substrate.backends.cpu_pace import PIECE, SHORT, Pace
from substrate.backends.cpu_program import APART
from substrate.media import RlgcLine
from substrate.waveforms import Sine

DT = 1e-12


def chain(loss_db: float) -> Network:
    """Lines of 2 to 5 steps and three impedances, every third of them lossy."""
    net, last = Network(), "src"
    net.add(VoltageSource(Sine(1.0, 2e10), resistance=25.0), "src")
    for index in range(20):
        end = index == 19
        here = net.add(Resistor(90.0), "load") if end else net.add(ParallelJunction(2), f"n{index}")
        loss = loss_db if index % 3 == 0 else 0.0
        net.connect(last, here, Line((2 + index % 4) * DT, (50.0, 75.0, 60.0)[index % 3], loss_db=loss), f"w{index}")
        last = here
    return net


@pytest.mark.parametrize("loss_db", [0.0, 0.5])
def test_two_ports_that_lie_apart_scatter_as_the_reference_says(loss_db: float) -> None:
    plan = compile_network(chain(loss_db), DT, reference_power=1.0, probes=[Probe("load.in", "voltage")])
    seen, books = [], []
    for backend in ("cpu", "reference"):
        simulation = Simulation(plan, backend=backend)
        for steps in (1, 2, 150, 7):  # blocks that begin anywhere in a lap
            simulation.run(steps)
        seen.append(simulation.take_probes()["load.in.voltage"])
        books.append(simulation.take_ledger())
        if backend == "cpu":
            assert APART in simulation.stepper.circuit.program.kind
    assert np.abs(seen[0]).max() > 0.1
    assert seen[0] == pytest.approx(seen[1], abs=1e-14)
    assert books[0].columns == pytest.approx(books[1].columns, rel=1e-12, abs=1e-24)
    assert books[0].residual < 1e-13


def test_a_dispersive_end_splits_into_few_blocks_exactly() -> None:
    line = RlgcLine(0.2, 20.0, 250e-9, 0.0, 100e-12)
    net = Network()
    net.connect(net.add(Resistor(50.0), "a"), net.add(Resistor(70.0), "b"), line)
    group = compile_network(net, 50e-12).clusters[0]
    matrix = group.matrices[0, 0]
    blocks = rank_one_blocks(matrix, group.own[0], group.ports)
    assert blocks is not None
    assert blocks.middle.size < 30 < 600 < np.count_nonzero(matrix)
    own = np.zeros_like(matrix)
    states = np.arange(group.ports, group.ports + len(group.own[0]))
    own[states, states] = group.own[0]
    rows, columns = (np.repeat(runs[:, 2], runs[:, 1] - runs[:, 0]) for runs in (blocks.rows, blocks.columns))
    again = own + blocks.left[:, None] * blocks.middle[np.ix_(rows, columns)] * blocks.right
    assert np.abs(again - matrix).max() < 2e-14 * max(1.0, np.abs(matrix).max())


def test_no_blocks_are_found_in_a_matrix_without_any() -> None:
    assert rank_one_blocks(np.random.default_rng(0).normal(size=(40, 40)), np.zeros(38), 2) is None


@pytest.mark.parametrize("slow", [True, False])
def test_the_slower_way_is_tried_rarely_and_briefly(slow: bool) -> None:
    pace, blocks = Pace(), {True: 0, False: 0}
    for _ in range(2000):
        way = pace.pick()
        blocks[way] += pace.blocks
        pace.took(100.0 if way == slow else 1.0)
    assert blocks[not slow] > 1900 * PIECE
    assert 2 * SHORT < blocks[slow] < 20 * SHORT


def test_the_pace_follows_a_machine_that_becomes_busy() -> None:
    pace = Pace()
    for piece in range(400):
        way = pace.pick()
        pace.took((50.0 if piece > 100 else 0.5) if way else 1.0)
    assert not pace.pick()
