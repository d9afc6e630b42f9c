"""Photonic nodes against closed forms: couplers, interferometers, rings (V16), rows of rings (V18), one-way parts."""

import numpy as np
import pytest

from substrate import Line, Network
from substrate.errors import NetworkError
from substrate.nodes import (
    Amplifier,
    Attenuator,
    Circulator,
    Coupler,
    Isolator,
    LaserSource,
    MachZehnder,
    PhaseShifter,
    Resistor,
)
from substrate.nodes.linear import Memoryless
from substrate.rings import LIGHT, add_crow, add_ring, waveguide
from substrate.traces import simulate
from substrate.waveforms import Carrier, Step, Waveform

DT = 1e-13
Z = [50.0] * 4


def end_with_loads(net: Network, **ports: str) -> None:
    """Lead each port through a line of one step to a matched load of the given name."""
    for name, port in ports.items():
        net.connect(port, net.add(Resistor(50.0), name), Line(delay=DT))


def laser(net: Network, port: str, waveform: Waveform | None = None) -> None:
    net.connect(net.add(LaserSource(waveform or Step(1.0)), "laser"), port, Line(delay=DT))


@pytest.mark.parametrize(
    "node",
    [Coupler(0.3), PhaseShifter(0.7), MachZehnder(1.1, 0.4, couplings=(0.45, 0.52)), Circulator(4), Isolator(0.0, 0.0)],
)
def test_lossless_parts_are_unitary(node: Memoryless) -> None:
    matrix = node.matrix([50.0] * len(node.ports))
    assert np.allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), atol=1e-15)


def test_interferometers_of_random_phases_are_unitary_and_reciprocal() -> None:
    """V20 for one cell: arrays give one matrix per sample."""
    rng = np.random.default_rng(0)
    matrix = MachZehnder(rng.uniform(0, 7, 50), rng.uniform(0, 7, 50)).matrix(Z)
    assert matrix.shape == (50, 4, 4)
    assert np.max(np.abs(matrix @ matrix.conj().swapaxes(1, 2) - np.eye(4))) < 1e-15
    assert np.array_equal(matrix, matrix.swapaxes(1, 2))


def test_interferometer_of_parts_equals_the_node(backend: str) -> None:
    """V19: sin^2 and cos^2 of half the phase difference; the same from couplers and shifters joined without delay."""
    powers = []
    for built in (False, True):
        net = Network()
        if built:
            first, second = net.add(Coupler(), "first"), net.add(Coupler(), "second")
            shift, before = net.add(PhaseShifter(np.pi / 3), "shift"), net.add(PhaseShifter(0.9), "before")
            net.connect("before.out", "first.in1")
            net.connect("first.out1", "shift.in")
            net.connect("shift.out", "second.in1")
            net.connect(f"{first}.out2", f"{second}.in2")
            laser(net, f"{before}.in")
            end_with_loads(net, bar=f"{second}.out1", cross=f"{second}.out2", idle=f"{first}.in2")
            assert shift in net.nodes
        else:
            net.add(MachZehnder(np.pi / 3, 0.9), "mzi")
            laser(net, "mzi.in1")
            end_with_loads(net, bar="mzi.out1", cross="mzi.out2", idle="mzi.in2")
        run = simulate(net, 5 * DT, DT, ["bar.arriving", "cross.arriving"], dtype="complex128", backend=backend)
        powers.append([run["bar.arriving"][-1], run["cross.arriving"][-1]])
    assert np.allclose(powers[0], powers[1], atol=1e-15)
    assert np.allclose(np.abs(powers[0]) ** 2, [0.25, 0.75], atol=1e-15)


def test_free_spectral_range_of_an_unbalanced_interferometer() -> None:
    """V19: outputs repeat every c / (n_g dL) of carrier offset; measured with one offset per sample."""
    n_g, longer, delay = 4.2, 300e-6, 40 * DT
    fsr = LIGHT / (n_g * longer)
    arm = n_g * longer / LIGHT  # seconds the long arm is behind; dt divides it
    step = arm / 40
    net = Network()
    net.add(Coupler(), "split"), net.add(Coupler(), "join")
    net.connect("split.out1", "join.in1", Line(delay=step))
    net.connect("split.out2", "join.in2", Line(delay=41 * step))
    offsets = np.array([0.0, 0.25, 0.5, 1.0, 2.0]) * fsr
    net.connect(net.add(LaserSource(Carrier(Step(1.0), offsets)), "laser"), "split.in1", Line(delay=step))
    for port in ("split.in2", "join.out1", "join.out2"):
        net.connect(port, net.add(Resistor(50.0), port.replace(".", "_")), Line(delay=step))
    run = simulate(net, 60 * step, step, ["join_out1.arriving"], batch=5, dtype="complex128")
    assert delay > 0.0
    powers = np.abs(run["join_out1.arriving"][-1]) ** 2
    assert np.allclose(powers, np.sin(np.pi * offsets / fsr) ** 2, atol=1e-12)


def test_all_pass_ring_round_trip_by_round_trip(backend: str) -> None:
    """V16: E_n = tau - (1 - tau^2) a sum_{k<n} (tau a)^k on resonance, and both settled powers."""
    a, tau = 10 ** (-1 / 20), np.sqrt(0.5)
    for phase, settled in ((0.0, 0.24797310), (np.pi, 0.96130474)):
        net = Network()
        ring = add_ring(net, "ring", 1.0, lambda _, p=phase: Line(delay=10 * DT, loss_db=1.0, phase=p), 0.5)
        laser(net, ring.input)
        end_with_loads(net, out=ring.through)
        wave = simulate(net, 900 * DT, DT, ["out.arriving"], dtype="complex128", backend=backend)["out.arriving"]
        trips = wave[5::10][:6]
        a_phase = a * np.exp(-1j * phase)
        expected = [tau - (1 - tau**2) * a_phase * sum((tau * a_phase) ** k for k in range(n)) for n in range(6)]
        assert np.allclose(trips, expected, atol=1e-14)
        assert abs(abs(wave[-1]) ** 2 - settled) < 5e-9


CROW = {1: (0.80778829, 0.19221171), 3: (0.95324615, 0.04675385)}


@pytest.mark.parametrize("rings", [1, 3])
def test_row_of_rings(rings: int) -> None:
    """V18: through and drop after settling; they add up to 1 and nothing reaches the add port."""
    guide = waveguide(2.86, 2.86, 1.55e-6)
    step = guide(25e-6).delay / 4
    net = Network()
    row = add_crow(net, "crow", rings, 50e-6, guide)
    net.connect(net.add(LaserSource(Step(1.0)), "laser"), row.input, Line(delay=step))
    for name in ("through", "drop", "add"):
        net.connect(getattr(row, name), net.add(Resistor(50.0), f"to_{name}"), Line(delay=step))
    probes = [f"to_{name}.arriving" for name in ("through", "drop", "add")]
    run = simulate(net, 3000 * step, step, probes, dtype="complex128")
    through, drop, add = (abs(run[probe][-1]) ** 2 for probe in probes)
    assert (round(through, 8), round(drop, 8)) == CROW[rings]
    assert abs(through + drop - 1.0) < 1e-7
    assert add == 0.0
    assert run.ledger.residual < 1e-12


def test_row_of_rings_at_many_wavelengths_equals_the_recursion() -> None:
    """One wavelength per sample against the transfer matrix of an add-drop ring, Yariv 2000."""
    lengths = np.linspace(1.54e-6, 1.56e-6, 7)
    guide = waveguide(2.4, 4.0, lengths, loss_db_per_cm=3.0, reference_wavelength=1.55e-6)
    step = guide(20e-6).delay / 2
    net = Network()
    ring = add_ring(net, "ring", 40e-6, guide, 0.2, 0.1)
    net.connect(net.add(LaserSource(Step(1.0)), "laser"), ring.input, Line(delay=step))
    for name in ("through", "drop", "add"):
        net.connect(getattr(ring, name), net.add(Resistor(50.0), f"to_{name}"), Line(delay=step))
    run = simulate(net, 1000 * step, step, ["to_through.arriving", "to_drop.arriving"], batch=7, dtype="complex128")
    index = 4.0 + (2.4 - 4.0) * lengths / 1.55e-6
    trip = 10 ** (-3.0 * 40e-4 / 20) * np.exp(-2j * np.pi * index * 40e-6 / lengths)
    t1, t2 = np.sqrt(0.8), np.sqrt(0.9)
    through = (t1 - t2 * trip) / (1 - t1 * t2 * trip)
    drop = -np.sqrt(0.2 * 0.1) * np.sqrt(trip) / (1 - t1 * t2 * trip)
    assert np.allclose(run["to_through.arriving"][-1], through, atol=1e-12)
    assert np.allclose(np.abs(run["to_drop.arriving"][-1]), np.abs(drop), atol=1e-12)


def test_one_way_parts(backend: str) -> None:
    """Laser, isolator, amplifier, circulator with a mirror: amplitudes multiply, and gain is booked as gain."""
    net = Network()
    net.add(Isolator(1.0), "isolator"), net.add(Amplifier(20.0), "amplifier"), net.add(Circulator(3), "circulator")
    net.add(Attenuator(3.0), "pad"), net.add(Resistor(np.inf), "mirror")
    laser(net, "isolator.in")
    net.connect("isolator.out", "amplifier.in", Line(delay=DT))
    net.connect("amplifier.out", "circulator.p1", Line(delay=DT))
    net.connect("circulator.p2", "pad.in", Line(delay=DT))
    net.connect("pad.out", "mirror", Line(delay=DT))
    end_with_loads(net, out="circulator.p3")
    run = simulate(net, 20 * DT, DT, ["out.arriving", "laser.arriving"], backend=backend)
    assert run["out.arriving"][-1] == pytest.approx(10 ** ((20.0 - 1.0 - 6.0) / 20), rel=1e-14)
    assert run["laser.arriving"][-1] == 0.0
    assert run.ledger["gain"] > 0.0
    assert run.ledger.residual < 1e-14


def test_noise_of_a_pad_and_of_an_amplifier() -> None:
    """V32: a cold source behind a warm 3 dB pad, kT (1 - 1/2); an amplifier of noise figure F adds k 290 (F - 1) G."""
    boltzmann, dt = 1.380649e-23, 1e-12
    cases = [
        (Attenuator(3.0, temperature=300.0), boltzmann * 300.0 * (1.0 - 10**-0.3)),
        (Amplifier(10.0, noise_figure_db=3.0), boltzmann * 290.0 * (10**0.3 - 1.0) * 10.0),
    ]
    for node, density in cases:
        net = Network()
        net.connect(net.add(Resistor(50.0), "cold"), net.add(node, "part"), Line(delay=dt))
        net.connect("part.out", net.add(Resistor(50.0), "out"), Line(delay=dt))
        wave = simulate(net, 20_000 * dt, dt, ["out.arriving"], seed=3)["out.arriving"][10:]
        measured, spread = 2 * dt * np.mean(wave**2), np.sqrt(2 / len(wave))
        assert abs(measured / density - 1) < 4 * spread


def test_impossible_parts_are_refused() -> None:
    with pytest.raises(NetworkError, match="coupling"):
        Coupler(1.2)
    with pytest.raises(NetworkError, match="db"):
        Attenuator(-1.0)
    with pytest.raises(NetworkError, match="at least 2 ports"):
        Circulator(1)
    with pytest.raises(NetworkError, match="couplings"):
        add_crow(Network(), "crow", 3, 1e-4, waveguide(2.0, 2.0, 1.5e-6), [0.1, 0.2])
