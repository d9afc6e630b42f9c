"""Negative controls: a junction that is 2 % wrong must fail the comparison that the right one passes."""

from collections.abc import Callable

import numpy as np

from substrate.network import Line, Network
from substrate.nodes.kirchhoff import ParallelJunction
from substrate.nodes.lumped import Resistor, VoltageSource
from substrate.traces import simulate
from substrate.validation.case import FAILED, Case, case, run_case
from substrate.validation.lines import bergeron_load, staircase
from substrate.waveforms import Step

NS = 1e-9


def is_noticed(right: Case, compute: Callable[[str], np.ndarray], backend: str) -> float:
    """1 when the case passes as it is and fails with another computation."""
    wrong = Case(right.name, right.quantity, right.expected, right.tolerance, compute)
    both = run_case(right, backend).status, run_case(wrong, backend).status
    return float(both[0] != FAILED and both[1] == FAILED)


@case("control", "a line of 51 instead of 50 ohm is noticed (1: yes)", 1.0, 0.0)
def wrong_line(backend: str) -> float:
    """The Bergeron lattice of V1 with an impedance 2 % off."""

    def compute(name: str) -> np.ndarray:
        net = Network()
        net.connect(net.add(VoltageSource(Step(1.0), 25.0), "src"), net.add(Resistor(100.0), "load"), Line(NS, 51.0))
        traces = simulate(net, 8 * NS, 0.1 * NS, ["load.voltage"], backend=name)
        return np.asarray(traces["load.voltage"][[14, 34, 54, 74]])

    return is_noticed(bergeron_load, compute, backend)


def two_lines(stub: float, backend: str) -> np.ndarray:
    """Voltage at 100 ohm behind 50 and 70.7 ohm, with ``stub`` ohm across the joint, after each round trip."""
    net = Network()
    net.add(ParallelJunction(3), "tee")
    net.connect(net.add(VoltageSource(Step(2.0), 50.0), "src"), "tee.p1", Line(NS, 50.0))
    net.connect("tee.p2", net.add(Resistor(100.0), "load"), Line(NS, np.sqrt(5000.0)))
    net.connect("tee.p3", net.add(Resistor(stub), "stub"))
    return (
        np.asarray(simulate(net, 10 * NS, 0.1 * NS, ["src.voltage"], backend=backend)["src.voltage"])[[25, 45, 65, 85]]
        - 1.0
    )


@case("control", "a junction whose currents miss zero by 2 % is noticed (1: yes)", 1.0, 0.0)
def wrong_junction(backend: str) -> float:
    """The staircase of V4 with a conductance across the joint that takes 2 % of the current."""
    right = Case("V4", "", staircase(4), 1e-12, lambda name: two_lines(np.inf, name))
    return is_noticed(right, lambda name: two_lines(50.0 / 0.02, name), backend)
