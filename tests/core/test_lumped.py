"""Lumped parts: junctions and one-ports (V2, V3, V24), series and shunt two-ports, resonators, transformer, gyrator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate import Line, Network
from substrate.errors import NetworkError
from substrate.nodes import (
    Capacitor,
    Diode,
    Gyrator,
    IdealTransformer,
    Inductor,
    ParallelJunction,
    ParallelRLC,
    Resistor,
    Series,
    SeriesJunction,
    SeriesRLC,
    Shunt,
    VoltageSource,
)
from substrate.traces import simulate
from substrate.waveforms import Samples, Step

F = np.array([1e6, 3e8, 1e9, 7e9])
OMEGA = 2 * np.pi * F
IMPEDANCES = st.floats(1.0, 1e4)


def gamma(impedance: np.ndarray, z: float) -> np.ndarray:
    return (impedance - z) / (impedance + z)


@given(st.lists(IMPEDANCES, min_size=2, max_size=16))
def test_junctions_keep_power_and_kirchhoffs_laws(z: list[float]) -> None:
    """V3: any impedances; one voltage (or one current) at all ports, power conserved to 1e-13."""
    root, waves = np.sqrt(z), np.sin(np.arange(len(z)) + 1.0)
    for junction in (ParallelJunction(len(z)), SeriesJunction(len(z))):
        b = junction.matrix(z) @ waves
        assert np.sum(b**2) == pytest.approx(np.sum(waves**2), rel=1e-13)
        v, i = root * (waves + b), (waves - b) / root
        same, zero = (v, i * root.max()) if isinstance(junction, ParallelJunction) else (i * root.max(), v)
        size = np.max(np.abs(root * waves)) + np.max(np.abs(waves)) * root.max()
        assert np.ptp(same) < 1e-11 * size * root.max()
        assert abs(zero.sum()) < 1e-11 * size * len(z) * root.max()


def test_three_equal_lines() -> None:
    assert np.allclose(ParallelJunction(3).matrix([50.0] * 3), 2 / 3 - np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    ("load", "value"),
    [
        (Capacitor(1e-12), lambda t: 1 - np.exp(-t / 50e-12)),
        (Inductor(10e-9), lambda t: np.exp(-t / 200e-12)),
        (Resistor(np.inf), np.ones_like),
        (Resistor(0.0), np.zeros_like),
    ],
)
def test_reactive_loads(backend: str, load, value) -> None:
    """V2: a step on a matched line; the trapezoidal rule converges to the exact answer as dt^2."""
    errors = []
    for dt in (4e-12, 2e-12):
        net = Network()
        source = net.add(VoltageSource(Step(1.0), 50.0), "src")
        net.connect(source, net.add(load, "load"), Line(delay=40e-12))
        run = simulate(net, 0.4e-9, dt, ["load.voltage"], backend=backend)
        late = run.time > 40e-12 + 1.5 * dt
        # The first sample after the front stands for the mean of its step: half a step of delay.
        errors.append(np.max(np.abs(run["load.voltage"][late] - value(run.time[late] - 40e-12 - 0.5 * dt))))
    assert errors[1] < 1e-12 or errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] < 2e-4


def test_trapezoidal_corner_frequency() -> None:
    """V24: R C = 1e-4 s at 48 kHz: -3 dB at (fs / pi) atan(pi fc / fs) = 1585.830 Hz."""
    rate, steps = 48_000.0, 4000
    dt, resistance = 1 / rate, 1000.0
    net = Network()
    net.connect(
        net.add(VoltageSource(Samples(np.eye(1, steps)[0], dt), resistance), "src"), net.add(Capacitor(1e-7), "c")
    )
    response = simulate(net, steps * dt, dt, ["c.voltage"])["c.voltage"]

    def level(frequency: float) -> float:
        return float(abs(response @ np.exp(-2j * np.pi * frequency * dt * np.arange(steps))))

    exact = rate / np.pi * np.arctan(np.pi * (1 / (2 * np.pi * 1e-4)) / rate)
    assert exact == pytest.approx(1585.830, abs=5e-4)
    assert level(exact) == pytest.approx(np.sqrt(0.5), rel=1e-12)


@pytest.mark.parametrize(
    ("node", "impedance"),
    [
        (SeriesRLC(10.0, 2e-9, 1e-12), 10.0 + 2e-9j * OMEGA + 1 / (1e-12j * OMEGA)),
        (SeriesRLC(inductance=2e-9, capacitance=1e-12), 2e-9j * OMEGA + 1 / (1e-12j * OMEGA)),
        (ParallelRLC(200.0, 2e-9, 1e-12), 1 / (1 / 200.0 + 1 / (2e-9j * OMEGA) + 1e-12j * OMEGA)),
        (ParallelRLC(capacitance=1e-12, resistance=50.0), 1 / (1 / 50.0 + 1e-12j * OMEGA)),
    ],
)
def test_resonators_in_frequency_and_in_time(node, impedance: np.ndarray) -> None:
    """The response is the impedance's; the stepped matrix is the same at the frequency the trapezoidal rule maps to."""
    assert np.allclose(node.response([75.0], F)[:, 0, 0], gamma(impedance, 75.0), atol=1e-13)
    dt = 5e-12
    m = node.scattering([75.0], dt).matrix
    z = np.exp(2j * np.pi * F * dt)
    stepped = [m[0, 0] + m[:1, 1:] @ np.linalg.solve(x * np.eye(len(m) - 1) - m[1:, 1:], m[1:, :1]) for x in z]
    warped = np.tan(np.pi * F * dt) / (np.pi * dt)
    assert np.allclose(np.ravel(stepped), node.response([75.0], warped)[:, 0, 0], atol=1e-12)
    assert np.linalg.norm(m, 2) < 1 + 1e-14  # no more comes out than waits and enters


def test_series_and_shunt_two_ports() -> None:
    """Against chain parameters with unequal impedances: series Z and shunt Y."""
    z1, z2, part = 30.0, 120.0, SeriesRLC(5.0, 1e-9, 3e-12)
    impedance = 5.0 + 1e-9j * OMEGA + 1 / (3e-12j * OMEGA)
    series, shunt = Series(part).response([z1, z2], F), Shunt(part).response([z1, z2], F)
    assert np.allclose(series[:, 0, 0], gamma(impedance + z2, z1), atol=1e-13)
    assert np.allclose(series[:, 1, 0], 2 * np.sqrt(z1 * z2) / (impedance + z1 + z2), atol=1e-13)
    below = 1 / (1 / impedance + 1 / z2)
    assert np.allclose(shunt[:, 0, 0], gamma(below, z1), atol=1e-13)
    assert np.allclose(shunt[:, 1, 0], (1 + gamma(below, z1)) * np.sqrt(z1 / z2), atol=1e-13)


def test_ladder_of_two_ports_equals_junctions(backend: str) -> None:
    """A shunt capacitor as a two-port, and as a capacitor on a parallel junction, one value per sample."""
    farads, traces = np.array([1e-12, 5e-12]), []
    for ready in (True, False):
        net = Network()
        net.add(VoltageSource(Step(1.0), 50.0), "src"), net.add(Resistor(80.0), "load")
        net.add(Shunt(Capacitor(farads)) if ready else ParallelJunction(3), "mid")
        if not ready:
            net.connect("mid.p3", net.add(Capacitor(farads), "c"))
        first, second = ("in", "out") if ready else ("p1", "p2")
        net.connect("src", f"mid.{first}", Line(delay=1e-11))
        net.connect(f"mid.{second}", "load", Line(delay=2e-11, impedance=80.0))
        traces.append(simulate(net, 4e-10, 5e-12, ["load.voltage"], batch=2, backend=backend)["load.voltage"])
    assert np.allclose(traces[0], traces[1], atol=1e-14)


@given(IMPEDANCES, IMPEDANCES, st.floats(0.01, 100.0), st.sampled_from([1.0, -1.0]))
def test_transformer_and_gyrator_laws(z1: float, z2: float, size: float, sign: float) -> None:
    root, a = np.sqrt([z1, z2]), np.array([0.7, -0.3])
    n, r = sign * size, 50.0 * size
    b = IdealTransformer(n).matrix([z1, z2]) @ a
    v, i = root * (a + b), (a - b) / root
    assert v[0] == pytest.approx(n * v[1], rel=1e-9, abs=1e-9 * (root.max() + abs(n) * root.max()))
    assert i[1] == pytest.approx(-n * i[0], rel=1e-9, abs=1e-9 * (1 + abs(n)))
    assert np.sum(b**2) == pytest.approx(np.sum(a**2), rel=1e-12)
    b = Gyrator(r).matrix([z1, z2]) @ a
    v, i = root * (a + b), (a - b) / root
    assert v[1] == pytest.approx(r * i[0], rel=1e-7, abs=1e-9 * (root.max() + r))
    assert v[0] == pytest.approx(-r * i[1], rel=1e-7, abs=1e-9 * (root.max() + r))


def test_wrong_parts_are_refused() -> None:
    with pytest.raises(NetworkError, match="one-port"):
        Series(Diode())
    with pytest.raises(NetworkError, match="at least one"):
        SeriesRLC()
    with pytest.raises(NetworkError, match="ratio"):
        IdealTransformer(0.0)
