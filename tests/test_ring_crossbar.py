"""Crossbars of add-drop rings: light in time settles to the closed form, and rings hear their gradient."""

import numpy as np
import pytest

from devices.ideal import Gradient
from substrate import Line, Network
from substrate.errors import NetworkError
from substrate.learning.insitu import InSitu
from substrate.meshes import RingCrossbar, ring_crossbar

DT = 1e-12


def lit(crossbar, backend="cpu", batch=2, rate=0.1):
    network = Network()
    drawn = ring_crossbar(network, crossbar, "x", Line(delay=DT))
    settle = drawn.settle(1, crossbar.coupling)
    return InSitu(
        network, drawn.inputs, drawn.outputs, drawn.tunable, Gradient(rate), dt=DT, batch=batch, settle=settle,
        backend=backend,
    )  # fmt: skip


def test_one_ring_is_an_add_drop_ring():
    """Drop ``-k / (1 - (1 - k) exp(-i phase))`` (Yariv 2000); out of tune ``(k / (2 - k))^2`` of the power."""
    k = 0.2
    for phase in (0.0, 0.3, np.pi):
        drop = RingCrossbar(((phase,),), k).matrix[0, 0]
        assert drop == pytest.approx(-k / (1.0 - (1.0 - k) * np.exp(-1j * phase)), abs=1e-14)
    assert abs(RingCrossbar(((np.pi,),), k).matrix[0, 0]) ** 2 == pytest.approx((k / (2.0 - k)) ** 2)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3), (3, 2)])
def test_light_settles_to_the_matrix(rows, columns, backend):
    rng = np.random.default_rng(rows)
    crossbar = RingCrossbar(tuple(map(tuple, rng.uniform(-1.0, 1.0, (rows, columns)))), 0.3)
    light = lit(crossbar, backend)
    x = rng.normal(size=(2, rows)) + 1j * rng.normal(size=(2, rows))
    np.testing.assert_allclose(light.forward(x), x @ crossbar.matrix.T, atol=1e-11)
    wrong = RingCrossbar(crossbar.phases, 0.31).matrix  # a negative control
    assert np.abs(x @ wrong.T - x @ crossbar.matrix.T).max() > 1e-3


def test_every_ring_hears_its_gradient():
    rng = np.random.default_rng(0)
    phases = rng.uniform(-0.6, 0.6, (2, 2))
    light = lit(RingCrossbar(tuple(map(tuple, phases)), 0.3))
    x, target = (rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)) for _ in range(2))
    light.backward(np.conj(light.forward(x) - target))
    heard = list(light.gradient().values())
    for place in range(4):
        costs = []
        for step in (1e-5, -1e-5):
            moved = phases.copy()
            moved.flat[place] += step
            y = x @ RingCrossbar(tuple(map(tuple, moved)), 0.3).matrix.T
            costs.append(np.mean((np.abs(y - target) ** 2).sum(axis=1)))
        assert heard[place] == pytest.approx((costs[0] - costs[1]) / 2e-5, rel=1e-6, abs=1e-8)


def test_rings_learn_in_place():
    """Phases of another crossbar are found by light alone."""
    wanted = RingCrossbar(((0.4, -0.3), (-0.5, 0.2)), 0.3).matrix
    light = lit(RingCrossbar(((0.0, 0.1), (-0.1, 0.0)), 0.3), rate=0.1)
    x = np.eye(2)
    for _ in range(500):
        error = light.forward(x) - x @ wanted.T
        light.backward(np.conj(error))
        light.tick(1.0)
    assert np.abs(error).max() < 1e-3


def test_crossbars_that_cannot_be_are_told():
    with pytest.raises(NetworkError, match="as many phases in every row"):
        RingCrossbar(((0.0,), (0.0, 1.0)))
    with pytest.raises(NetworkError, match="0 < coupling < 1"):
        RingCrossbar(((0.0,),), 0.0)
