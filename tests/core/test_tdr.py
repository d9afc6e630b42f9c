"""The reflectometer: staircase of a transformer, distances by speed, by line and by length, silence, refusals."""

import numpy as np
import pytest

from substrate import Line, Network, ParallelJunction, Resistor, SubstrateError, VoltageSource
from substrate.media import RlgcLine
from substrate.tdr import time_domain_reflectometry
from substrate.validation.lines import staircase, transformer
from substrate.waveforms import Step

NS = 1e-9


def test_staircase_of_a_quarter_wave_transformer(backend):
    """V4: 0.17157288, 0.33809512, 0.33319316, 0.33333746 after each round trip, and the impedance that would do so."""
    seen = time_domain_reflectometry(transformer(), "in", 10 * NS, 0.1 * NS, backend=backend)
    steps = [25, 45, 65, 85]
    np.testing.assert_allclose(seen.reflected[steps], staircase(4), atol=1e-12)
    np.testing.assert_allclose(seen.impedance[[5, 25]], [50.0, np.sqrt(5000.0)], rtol=1e-12)
    np.testing.assert_allclose(seen.delay[np.flatnonzero(seen.reflected > 1e-9)[0]], 1 * NS, rtol=1e-12)
    assert seen.distance is None


def mismatched() -> Network:
    net = Network()
    net.add(VoltageSource(Step(7.0), 50.0), "tdr"), net.add(ParallelJunction(2), "step")
    net.add(VoltageSource(Step(3.0), 75.0), "end")
    net.connect("tdr", "step.p1", Line(2 * NS, 50.0), "near")
    net.connect("step.p2", "end", Line(1 * NS, 75.0), "far")
    return net


def test_distances_follow_the_lines_and_other_sources_are_silent():
    seen = time_domain_reflectometry(mismatched(), "tdr", 9 * NS, 0.1 * NS, speed={"near": 2e8, "far": 1e8})
    first = np.flatnonzero(np.abs(seen.reflected) > 1e-9)[0]
    assert seen.distance[first] == pytest.approx(0.4)
    assert seen.distance[first + 20] == pytest.approx(0.4 + 0.1)  # a nanosecond further, in the slower line
    np.testing.assert_allclose(seen.reflected[first:], 0.2, atol=1e-12)  # the end is matched and silent
    plain = time_domain_reflectometry(mismatched(), "tdr", 9 * NS, 0.1 * NS, speed=2e8)
    assert plain.distance[first] == pytest.approx(0.4)


def test_a_line_with_a_length_gives_the_distance_itself():
    net = Network()
    line = RlgcLine(0.4, 0.0, 250e-9, 0.0, 100e-12)
    net.connect(net.add(Resistor(50.0), "tdr"), net.add(Resistor(0.0), "short"), line, "cable")
    seen = time_domain_reflectometry(net, "tdr", 8 * NS, 0.1 * NS)
    first = np.flatnonzero(np.abs(seen.reflected) > 1e-9)[0]
    assert seen.distance[first] == pytest.approx(0.4)
    assert seen.reflected[first] == pytest.approx(-1.0)


def test_a_port_without_resistance_is_refused():
    net = mismatched()
    with pytest.raises(SubstrateError, match="no node 'x'"):
        time_domain_reflectometry(net, "x", NS, 0.1 * NS)
    with pytest.raises(SubstrateError, match="several ports"):
        time_domain_reflectometry(net, "step", NS, 0.1 * NS)
    net.nodes["tdr"] = VoltageSource(resistance=0.0)
    with pytest.raises(SubstrateError, match="resistance above zero"):
        time_domain_reflectometry(net, "tdr", NS, 0.1 * NS)
