"""Light both ways through meshes: every phase hears its gradient, and meshes learn what they are shown."""

from dataclasses import replace

import numpy as np
import pytest

from devices.ideal import Gradient
from substrate import Line, Network, SubstrateError
from substrate.learning.insitu import InSitu
from substrate.meshes import Mesh, clements, draw_mesh, random_unitary
from substrate.meshes.mesh import random_mesh
from substrate.nodes import Attenuator

DT = 1e-12


def light(mesh, *, line=None, batch=3, rate=1.0, backend="cpu"):
    net = Network()
    drawn = draw_mesh(net, mesh, "u", line)
    settle = 4 + 2 * drawn.steps_deep * (0 if line is None else round(line.delay / DT))
    return InSitu(
        net,
        drawn.inputs,
        drawn.outputs,
        drawn.tunable,
        Gradient(rate),
        dt=DT,
        batch=batch,
        settle=settle,
        backend=backend,
    )


def waves(random, *shape):
    return random.normal(size=shape) + 1j * random.normal(size=shape)


def adjoint(mesh, x, error, passed=1.0):
    """dJ/dtheta, dJ/dphi of every cell by products of the cells before and after it: no waves, no time."""
    n, found = mesh.modes, []
    after = np.exp(-1j * np.array(mesh.phases))[:, None] * np.eye(n, dtype=complex)
    embed = []
    for cell in mesh.cells:
        full = np.eye(n, dtype=complex)
        full[cell.mode : cell.mode + 2, cell.mode : cell.mode + 2] = cell.matrix
        embed.append(full)
    for number in reversed(range(len(embed))):
        before = np.linalg.multi_dot([np.eye(n), *embed[:number][::-1], np.eye(n)]) if number else np.eye(n)
        cell, pair = mesh.cells[number], slice(mesh.cells[number].mode, mesh.cells[number].mode + 2)
        forward, back = (before @ x.T)[pair], (after.T @ error.T)[pair]
        half = np.diag([np.exp(-1j * cell.theta), 1.0])
        coupler = np.array([[1.0, -1j], [-1j, 1.0]]) / np.sqrt(2.0)
        turned = np.diag([np.exp(-1j * cell.phi), 1.0])
        first = np.diag([-1j, 0.0])
        slopes = (coupler @ first @ half @ coupler @ turned, coupler @ half @ coupler @ first @ turned)
        found.append([2.0 * np.mean(np.einsum("ib,ij,jb->b", back, slope, forward).real) * passed for slope in slopes])
        after = after @ embed[number]
    return np.array(found[::-1])


@pytest.mark.parametrize("line", [None, Line(2 * DT)])
def test_every_phase_hears_the_adjoint_gradient(line, backend):
    random = np.random.default_rng(1)
    mesh = random_mesh(5, 2)
    x, error = waves(random, 3, 5), waves(random, 3, 5)
    mesh_light = light(mesh, line=line, backend=backend)
    np.testing.assert_allclose(mesh_light.forward(x), x @ mesh.matrix.T, atol=1e-12)
    back = mesh_light.backward(error)
    np.testing.assert_allclose(back, error @ mesh.matrix, atol=1e-12)  # the transpose: dJ/dx
    exact, heard = adjoint(mesh, x, error), mesh_light.gradient()
    for number, (theta, phi) in enumerate(exact):
        assert heard[f"u_c{number}.theta"] == pytest.approx(theta, abs=1e-12)
        assert heard[f"u_c{number}.phi"] == pytest.approx(phi, abs=1e-12)


def test_gradients_of_a_lossy_mesh_are_its_difference_quotients():
    random = np.random.default_rng(2)
    mesh = random_mesh(4, 3).spread(1, coupling=0.05, loss_db=0.3)
    x, target = waves(random, 3, 4), waves(random, 3, 4)
    line = Line(DT, loss_db=0.2)

    def loss(values=None):
        there = light(mesh, line=line)
        for key, value in (values or {}).items():
            there.state.parameters[key][...] = value
        y = there.forward(x)
        return there, y, float(np.mean(np.sum(np.abs(y - target) ** 2, axis=1)))

    there, y, _ = loss()
    there.backward(np.conj(y - target))
    heard, start, h = there.gradient(), there.values, 1e-4
    for key in ("u_c0.theta", "u_c2.phi", "u_c5.theta", "u_p3.phase"):
        exact = (loss({key: start[key] + h})[2] - loss({key: start[key] - h})[2]) / (2.0 * h)
        assert heard[key] == pytest.approx(exact, rel=1e-6, abs=1e-8)


def test_an_attenuator_hears_its_own_product():
    net = Network()
    net.add(Attenuator(2.0), "pad")
    there = InSitu(net, ["pad.in"], ["pad.out"], ["pad.db"], Gradient(1.0), dt=DT, batch=1, settle=4)
    y = there.forward(np.array([[3.0]]))
    there.backward(np.conj(y - 1.0))  # J = |y - 1|^2
    factor = 10.0 ** (-0.1)
    assert there.gradient()["pad.db"] == pytest.approx(
        2.0 * (3 * factor - 1) * 3 * factor * (-np.log(10) / 20), rel=1e-9
    )


def test_a_mesh_learns_a_unitary_as_gradient_descent_does():
    target, mesh, rate = random_unitary(3, 5), clements(random_unitary(3, 6)), 0.3
    net = Network()
    drawn = draw_mesh(net, mesh, "u", Line(DT))
    inner = [key for key in drawn.tunable if not key.endswith("phase")]
    there = InSitu(net, drawn.inputs, drawn.outputs, inner, Gradient(rate), dt=DT, batch=3, settle=12)
    x, losses = np.eye(3, dtype=complex), []
    for _ in range(40):
        y = there.forward(x)
        losses.append(float(np.mean(np.sum(np.abs(y - x @ target.T) ** 2, axis=1))))
        there.backward(np.conj(y - x @ target.T))
        there.tick(1.0)
        slopes = adjoint(mesh, x, np.conj(x @ mesh.matrix.T - x @ target.T))  # the same by matrices alone
        moved = [
            replace(cell, theta=cell.theta - rate * theta, phi=cell.phi - rate * phi)
            for cell, (theta, phi) in zip(mesh.cells, slopes, strict=True)
        ]
        mesh = replace(mesh, cells=tuple(moved))
    for number, cell in enumerate(mesh.cells):
        assert there.values[f"u_c{number}.theta"] == pytest.approx(cell.theta, abs=1e-9)
        assert there.values[f"u_c{number}.phi"] == pytest.approx(cell.phi, abs=1e-9)
    assert losses[-1] < 0.5 * losses[0]


def test_what_reflects_is_refused():
    from substrate import Resistor

    net = Network()
    net.add(Resistor(75.0), "end")
    with pytest.raises(SubstrateError, match="reflects"):
        InSitu(net, ["end.in"], [], ["end.resistance"], Gradient(1.0), dt=DT, batch=1, settle=2)
    with pytest.raises(SubstrateError, match="no number of a linear node"):
        InSitu(net, ["end.in"], [], ["end.theta"], Gradient(1.0), dt=DT, batch=1, settle=2)
    assert Mesh(2, (), (0.0, 0.0)).depth == 0


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_numbers_changed_in_place_are_those_of_a_circuit_compiled_anew(loss, backend):
    random = np.random.default_rng(5)
    mesh = random_mesh(4, 6).spread(2, coupling=0.05, loss_db=loss)
    x, error = waves(random, 3, 4), waves(random, 3, 4)
    quick = light(mesh, line=Line(2 * DT, loss_db=loss), backend=backend)
    slow = light(mesh, line=Line(2 * DT, loss_db=loss), backend=backend)
    assert quick._retuner is not None
    for _ in range(3):
        slow._retuner = None  # its plan is compiled anew
        plan = slow._plan()
        tuned = quick._plan()
        for g, row in quick._retuner.at.values():
            anew, kept = plan.clusters[g], tuned.clusters[g]
            np.testing.assert_allclose(kept.matrices[kept.which[row]], anew.matrices[anew.which[row]], atol=1e-14)
        quick.forward(x)
        quick.backward(error)
        quick.tick(0.3)
        for key, value in quick.values.items():
            slow.state.parameters[key][...] = value
