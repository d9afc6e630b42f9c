"""Meshes: decompose and recompose, unitarity, drawn circuits that do what the matrix says, arrivals."""

import numpy as np
import pytest

from substrate import Line, Network, SubstrateError, simulate
from substrate.frequency import scattering_parameters
from substrate.meshes import Mesh, clements, draw_mesh, random_unitary, reck, svd_layer
from substrate.meshes.mesh import random_mesh
from substrate.nodes import LaserSource, Termination
from substrate.waveforms import Step

DT = 1e-12


@pytest.mark.parametrize("modes", [2, 3, 4, 5, 8, 16, 33, 64])
@pytest.mark.parametrize("kind", [clements, reck])
def test_a_unitary_comes_back_from_its_phases(kind, modes):
    u = random_unitary(modes, modes)
    mesh = kind(u)
    assert np.abs(mesh.matrix - u).max() < 1e-10
    assert len(mesh.cells) == modes * (modes - 1) // 2
    assert np.abs(mesh.matrix @ mesh.matrix.conj().T - np.eye(modes)).max() < 1e-12
    assert mesh.depth == (modes if kind is clements and modes > 2 else 1 if modes == 2 else 2 * modes - 3)


@pytest.mark.parametrize(
    "special", [np.eye(4), np.eye(4)[::-1], np.diag([1, -1, 1j, -1j]), np.fft.fft(np.eye(4)) / 2.0]
)
def test_special_unitaries_come_back_too(special):
    for kind in (clements, reck):
        assert np.abs(kind(special).matrix - special).max() < 1e-12


@pytest.mark.parametrize("modes", [4, 16, 64])
def test_random_meshes_are_unitary(modes):
    u = random_mesh(modes, 1).matrix
    assert np.abs(u @ u.conj().T - np.eye(modes)).max() < 1e-12
    lossy = random_mesh(modes, 1).spread(2, coupling=0.02, loss_db=0.1).matrix
    assert np.linalg.norm(lossy, 2) < 1.0


def drawn_circuit(mesh, line, waves):
    net = Network()
    drawn = draw_mesh(net, mesh, "u", line)
    for mode, (enter, leave) in enumerate(zip(drawn.inputs, drawn.outputs, strict=True)):
        lead = Line(DT)
        net.connect(net.add(LaserSource(Step(waves[mode], start=-DT)), f"laser{mode}"), enter, lead)
        net.connect(leave, net.add(Termination(), f"out{mode}"), lead)
    return net, drawn


@pytest.mark.parametrize("line", [Line(2 * DT), None])
@pytest.mark.parametrize("kind", [clements, reck])
def test_a_drawn_mesh_does_what_its_matrix_says(kind, line, backend):
    u = random_unitary(5, 3)
    random = np.random.default_rng(0)
    x = random.normal(size=5) + 1j * random.normal(size=5)
    net, drawn = drawn_circuit(kind(u), line, x)
    probes = [f"out{mode}.arriving" for mode in range(5)]
    steps = 2 * drawn.steps_deep + 6
    traces = simulate(net, steps * DT, DT, probes, dtype="complex128", backend=backend)
    y = np.array([traces[probe][-1] for probe in probes])
    np.testing.assert_allclose(y, u @ x, atol=1e-12)
    # Straight waveguides are as long as the columns they pass: light reaches every output at once.
    first = [int(np.argmax(np.abs(traces[probe]) > 1e-9)) for probe in probes]
    assert len(set(first)) == 1


def test_time_and_frequency_agree_on_a_lossy_mesh():
    mesh = random_mesh(4, 7).spread(1, coupling=0.05, loss_db=0.2)
    net, drawn = drawn_circuit(mesh, Line(3 * DT, loss_db=0.1), np.zeros(4))
    response = scattering_parameters(net, [0.0])
    s = np.array([[response[f"out{i}", f"laser{j}"][0] for j in range(4)] for i in range(4)])
    passed = 10.0 ** (-0.1 * drawn.steps_deep / 20.0)
    np.testing.assert_allclose(s, passed * mesh.matrix, atol=1e-12)


def test_any_matrix_is_two_meshes_and_attenuators():
    random = np.random.default_rng(4)
    for w in (
        random.normal(size=(6, 6)),
        random.normal(size=(3, 3)) + 1j * random.normal(size=(3, 3)),
        np.ones((2, 2)),
    ):
        layer = svd_layer(w)
        np.testing.assert_allclose(layer.matrix, w, atol=1e-12)
        assert max(layer.attenuations) == 1.0 and min(layer.decibels) == 0.0


def test_what_is_no_mesh_is_refused():
    with pytest.raises(SubstrateError, match="needs a unitary matrix"):
        clements(2.0 * np.eye(3))
    with pytest.raises(SubstrateError, match="square"):
        reck(np.ones((2, 3)))
    with pytest.raises(SubstrateError, match="finite square"):
        svd_layer(np.zeros((2, 2)))
    with pytest.raises(SubstrateError, match="a phase for each"):
        Mesh(3, (), (0.0,))
    net = Network()
    draw_mesh(net, random_mesh(2, 0), "u")
    with pytest.raises(SubstrateError, match="a mesh 'u' already"):
        draw_mesh(net, random_mesh(2, 0), "u")
