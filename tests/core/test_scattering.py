"""Nodes given by their matrix: renormalisation, passivity, thermal noise, state spaces, Touchstone files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate import Line, Network
from substrate.errors import DataError, NetworkError
from substrate.nodes import ParallelJunction, Resistor, ScatteringNode, SeriesRLC, Shunt, StateSpaceNode, Touchstone
from substrate.nodes.algebra import renormalised
from substrate.nodes.touchstone import read_touchstone
from substrate.traces import simulate

DT = 1e-11


def closed(net: Network, node: str, loads: dict[str, Resistor]) -> None:
    """Each port of a node leads through a line of one step to a load."""
    for port, load in loads.items():
        net.connect(f"{node}.{port}", net.add(load, f"at_{port}"), Line(delay=DT))


@given(st.lists(st.floats(1.0, 1e3), min_size=3, max_size=3), st.lists(st.floats(1.0, 1e3), min_size=3, max_size=3))
def test_a_junction_may_be_given_at_any_impedances(old: list[float], new: list[float]) -> None:
    matrix = renormalised(ParallelJunction(3).matrix(old), 3, old, new)
    assert np.allclose(matrix, ParallelJunction(3).matrix(new), atol=1e-9)


def test_given_matrix_meets_other_lines(backend: str) -> None:
    """A 6 dB pad of 50 ohm between lines of 75 ohm steps as the resistors it is made of do."""
    pad = ScatteringNode([[0.0, 0.5], [0.5, 0.0]])
    z = 50.0 * np.array([[1 + 0.25, 2 * 0.5], [2 * 0.5, 1 + 0.25]]) / (1 - 0.25)  # impedance matrix of the pad
    unit = np.eye(2)
    expected = (z / 75.0 - unit) @ np.linalg.inv(z / 75.0 + unit)
    assert np.allclose(pad.scattering([75.0, 75.0], 1.0).matrix, expected, atol=1e-15)
    assert np.allclose(pad.response([75.0, 75.0], np.zeros(2))[1], expected, atol=1e-15)


def test_amplifying_matrices_are_refused_by_name() -> None:
    matrix = [[0.0, 1.02], [1.0, 0.0]]
    for node in (ScatteringNode(matrix), StateSpaceNode(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((2, 0)), matrix)):
        net = Network()
        net.add(node, "booster")
        closed(net, "booster", {"p1": Resistor(50.0), "p2": Resistor(50.0)})
        with pytest.raises(NetworkError, match=r"'booster' is not passive: largest singular value 1.02.*active=True"):
            simulate(net, DT, DT)
    net = Network()
    net.add(ScatteringNode(matrix, active=True), "booster")
    closed(net, "booster", {"p1": Resistor(50.0), "p2": Resistor(50.0)})
    simulate(net, DT, DT)


def test_wrong_matrices_are_refused() -> None:
    with pytest.raises(NetworkError, match="ports"):
        ScatteringNode([[0.0, 1.0]])
    with pytest.raises(NetworkError, match="Reference impedances"):
        ScatteringNode([[0.0]], impedance=-50.0)
    with pytest.raises(NetworkError, match="not stable"):
        StateSpaceNode([[1e9]], [[1.0]], [[1.0]], [[0.0]])
    with pytest.raises(NetworkError, match="matching shapes"):
        StateSpaceNode([[-1e9]], [[1.0, 0.0]], [[1.0]], [[0.0]])


def test_bosma_noise_with_off_diagonals() -> None:
    """V31: a random passive matrix at T between cold lines: the covariance of what leaves is kT (I - S S^T)."""
    rng = np.random.default_rng(5)
    s = rng.normal(size=(3, 3))
    s *= 0.9 / np.linalg.norm(s, 2)
    net = Network()
    net.add(ScatteringNode(s, temperature=300.0), "part")
    closed(net, "part", {f"p{k + 1}": Resistor(50.0) for k in range(3)})
    probes = [f"at_p{k + 1}.arriving" for k in range(3)]
    run = simulate(net, 40_000 * DT, DT, probes, seed=1)
    waves = np.stack([run[probe][5:] for probe in probes])
    measured = 2 * DT * waves @ waves.T / waves.shape[1]
    expected = 1.380649e-23 * 300.0 * (np.eye(3) - s @ s.T)
    assert np.max(np.abs(measured - expected)) < 5 * np.sqrt(2 / waves.shape[1]) * expected.max()


def test_state_space_steps_as_the_trapezoidal_rule_maps_it(backend: str) -> None:
    """The impulse response of a resonant reflection, transformed, is the response at tan(pi f dt) / (pi dt)."""
    omega, damping, dt = 2 * np.pi * 2e9, 1e9, 1e-11
    node = StateSpaceNode([[-damping, omega], [-omega, -damping]], [[0.0], [1e9]], [[0.0, 0.9]], [[-0.1]])
    m = node.scattering([50.0], dt).matrix
    f = np.array([1e8, 1e9, 2e9, 1e10])
    stepped = [
        m[0, 0] + m[:1, 1:] @ np.linalg.solve(np.exp(2j * np.pi * x * dt) * np.eye(2) - m[1:, 1:], m[1:, :1]) for x in f
    ]
    assert np.allclose(
        np.ravel(stepped), node.response([50.0], np.tan(np.pi * f * dt) / (np.pi * dt))[:, 0, 0], atol=1e-13
    )


FORMS = {
    "RI": lambda s: (s.real, s.imag),
    "MA": lambda s: (abs(s), np.rad2deg(np.angle(s))),
    "DB": lambda s: (20 * np.log10(abs(s)), np.rad2deg(np.angle(s))),
}
BAND = np.linspace(1e7, 1e10, 150)


def shunt_response() -> np.ndarray:
    """A lossy resonator across a line, made unsymmetric in its numbers by unequal impedances."""
    return Shunt(SeriesRLC(5.0, 1e-9, 1e-12)).response([50.0, 50.0], BAND)


def write(path: Path, samples: np.ndarray, form: str = "RI", unit: str = "GHz", scale: float = 1e9) -> str:
    lines = ["! a comment", f"# {unit} S {form} R 50"]
    for frequency, s in zip(BAND, samples, strict=True):
        entries = s.T.ravel() if len(s) == 2 else s.ravel()
        lines.append(" ".join([f"{frequency / scale:.15g}", *(f"{x:.15g}" for e in entries for x in FORMS[form](e))]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("form", "unit", "scale"), [("RI", "GHz", 1e9), ("MA", "MHz", 1e6), ("DB", "Hz", 1.0)])
def test_touchstone_forms_and_units(tmp_path: Path, form: str, unit: str, scale: float) -> None:
    samples = shunt_response().copy()
    samples[:, 1, 0] *= 0.5  # so that S21 and S12 can be told apart
    frequencies, read, resistance = read_touchstone(write(tmp_path / "part.s2p", samples, form, unit, scale))
    assert np.allclose(frequencies, BAND, rtol=1e-14)
    assert np.allclose(read, samples, atol=1e-13)
    assert resistance == 50.0


def test_touchstone_model_is_exact_for_a_lumped_circuit(tmp_path: Path, backend: str) -> None:
    """A circuit with two poles comes back to rounding; a run shows the file's response at the file's frequencies."""
    node = Touchstone(write(tmp_path / "part.s2p", shunt_response()), order=2)
    model = node.model()
    assert model.error < 1e-11
    assert model.gain <= 1.0 + 1e-9
    assert np.allclose(
        node.response([75.0, 75.0], BAND), Shunt(SeriesRLC(5.0, 1e-9, 1e-12)).response([75.0, 75.0], BAND), atol=1e-9
    )
    dt = 2e-12
    m = node.scattering([50.0, 50.0], dt).matrix
    inner = m[2:, 2:]
    assert np.max(np.abs(np.linalg.eigvals(inner))) < 1.0
    stepped = [
        m[:2, :2] + m[:2, 2:] @ np.linalg.solve(np.exp(2j * np.pi * f * dt) * np.eye(len(inner)) - inner, m[2:, :2])
        for f in BAND
    ]
    assert np.max(np.abs(np.array(stepped) - shunt_response())) <= node.model(dt).error * 1.001 + 1e-12
    assert node.model(dt).error < 1e-3


def test_touchstone_poles_are_stable_for_noisy_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    noisy = 0.9 * shunt_response() + 1e-3 * rng.normal(size=(len(BAND), 2, 2))
    model = Touchstone(write(tmp_path / "part.s2p", noisy), order=8).model()
    assert np.max(np.linalg.eigvals(model.node.arrays[0]).real) < 0.0
    assert 1e-4 < model.error < 5e-3


def test_broken_touchstone_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such Touchstone file"):
        read_touchstone(tmp_path / "none.s2p")
    path = tmp_path / "part.s1p"
    path.write_text("# GHz Z RI R 50\n1 0 0\n2 0 0\n", encoding="utf-8")
    with pytest.raises(DataError, match="S parameters"):
        read_touchstone(path)
    path.write_text("[Version] 2.0\n", encoding="utf-8")
    with pytest.raises(DataError, match="version 1"):
        read_touchstone(path)
    net = Network()
    amplifying = 1.5 * np.ones((len(BAND), 1, 1), complex)
    net.add(Touchstone(write(path, amplifying), order=1), "measured")
    closed(net, "measured", {"p1": Resistor(50.0)})
    with pytest.raises(NetworkError, match="'measured' is not passive"):
        simulate(net, DT, DT)
