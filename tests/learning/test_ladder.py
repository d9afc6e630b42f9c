"""The LC ladder: the same gradient as the other forms, its energy books, its Courant bound, its runaway."""

import numpy as np
import pytest

from substrate import Line
from substrate.errors import DivergenceError, NetworkError
from substrate.learning.audit import port_gradient
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.forms import in_family
from substrate.learning.ladder import Ladder, LadderLayer, courant_bound
from substrate.learning.layered import layered


def problem(sizes=(5, 4, 3), activation="tanh", loss="mse", batch=3, seed=0, **options):
    network = layered(list(sizes), line=Line(1e-12), activation=activation, loss=loss, seed=seed, **options)
    rng = np.random.default_rng(seed)
    for name, node in network.nodes.items():  # biases that matter
        if name.startswith("w"):
            node.bias[...] = rng.normal(0.0, 0.3, node.bias.shape)
    x = rng.uniform(-1.0, 1.0, (batch, sizes[0]))
    return network, x, np.eye(sizes[-1])[rng.integers(0, sizes[-1], batch)]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "identity"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_it_settles_to_backprop(activation, loss):
    network, x, y = problem((7, 6, 5, 4), activation, loss)
    ladder = Ladder(network, x, y, beta=0.1)
    rest = ladder.settle()
    assert rest.settled
    exact = Backprop(network).gradient(network.parameters(), x, y)[1]
    assert relative_error(ladder.gradient(), exact) < 1e-11
    assert ladder.ledger_residual() < 1e-12


def test_three_forms_one_gradient():
    network, x, y = problem()
    found = {
        "matched": port_gradient(network, x, y).gradient,
        "transformer": port_gradient(in_family(network, "transformer", beta=0.05), x, y).gradient,
    }
    ladder = Ladder(network, x, y, beta=0.05)
    ladder.settle()
    found["ladder"] = ladder.gradient()
    for name in ("transformer", "ladder"):
        assert relative_error(found[name], found["matched"]) < 1e-10


def test_beta_and_damping_move_no_fixed_point():
    network, x, y = problem()
    gradients = []
    for beta, damping in ((0.01, 1.0), (1.0, 1.0), (-0.05, 0.5), (0.3, 3.0)):
        ladder = Ladder(network, x, y, beta=beta, damping=damping)
        assert ladder.settle().settled
        gradients.append(ladder.gradient())
    assert max(relative_error(g, gradients[0]) for g in gradients[1:]) < 1e-10


def test_without_damping_energy_is_conserved_but_for_what_the_source_does():
    network, x, y = problem(activation="identity")
    ladder = Ladder(network, x, y, beta=0.0, damping=0.0)
    ladder.step(5000)
    assert ladder.ledger["dissipated"] == 0.0 == ladder.ledger["load"]
    assert abs(ladder.ledger["activations"]) < 1e-9  # the identity does no work
    assert ladder.ledger_residual() < 1e-13
    assert ladder.stored_energy() == pytest.approx(ladder.ledger["injected"], rel=1e-11)
    undriven = Ladder(network, 0.0 * x, y, beta=0.0, damping=0.0)
    for layer in undriven.layers:
        layer.bias[...] = 0.0
    undriven.voltages[0][...] = 1.0
    undriven._look()
    start = undriven.stored_energy()
    undriven.step(5000)
    assert undriven.stored_energy() == pytest.approx(start, rel=1e-12)


def test_the_courant_bound_is_where_it_becomes_unstable():
    """One weight of 3 behind an identity: K = [[-1, 0], [3, -1]] has the norm s, and 2 / s is the exact limit."""
    network = layered([1, 1, 1], line=Line(1e-12), activation="identity", loss="mse", bias=False)
    network.nodes["w2"].matrix[...] = 3.0
    exact = 2.0 / np.linalg.norm([[-1.0, 0.0], [3.0, -1.0]], 2)
    ladder = Ladder(network, np.ones((1, 1)), np.zeros((1, 1)), beta=0.0, damping=0.0)
    assert 0.7 * exact < ladder.bound <= exact
    ladder.bound = np.inf
    for share, stable in ((0.99, True), (1.01, False)):
        ladder = Ladder(network, np.ones((1, 1)), np.zeros((1, 1)), beta=0.0, damping=0.0)
        ladder.dt = share * exact
        if stable:
            ladder.step(4000)
            assert np.isfinite(ladder.stored_energy())
        else:
            with pytest.raises(DivergenceError, match="ladder ran away at time"):
                ladder.step(4000)
    damped = LadderLayer("w", 3.0 * np.eye(1), np.zeros(1), None, 1.0)
    k, g, bend = 4.0, 0.7, 0.2
    dt = courant_bound([damped], g, bend)
    assert (k * dt) ** 2 + 2.0 * dt * (g * k * k + bend) == pytest.approx(4.0, rel=1e-12)


def test_refusals():
    network, x, y = problem()
    with pytest.raises(NetworkError, match="below its Courant bound"):
        Ladder(network, x, y, dt=1.0)
    with pytest.raises(NetworkError, match="damping=-1.0"):
        Ladder(network, x, y, damping=-1.0)


def test_runaway_names_the_column():
    network, x, y = problem(activation="identity")
    ladder = Ladder(network, x, y, beta=-40.0, damping=0.2)
    with pytest.raises(DivergenceError, match=r"column that grew most is 'load'; lower beta"):
        ladder.step(20000)


def lattice(dt, batch=600, depth=20, damping=0.02, heat=1.0, seed=3):
    """A warm chain of equal cells at rest in equilibrium: the naive energy of a leapfrog at kT = 1 from the start."""
    net = layered([1] * (depth + 1), line=Line(1e-12), activation="identity", loss="mse", bias=False)
    ones = {name: np.ones((1, 1)) for name in net.parameters()}
    zero = np.zeros((batch, 1))
    ladder = Ladder(net, zero, zero, beta=0.0, damping=damping, dt=dt, parameters=ones, temperature=heat, seed=seed)
    random = np.random.default_rng(0)
    for values in (*ladder.voltages, *ladder.currents):
        values[...] = random.normal(size=values.shape)
    ladder._look()
    ladder._start = ladder.stored_energy()
    return ladder


@pytest.mark.parametrize("courant", [pytest.param(0.1, marks=pytest.mark.long), 0.3, 0.5])
def test_a_noisy_leapfrog_follows_its_own_formula(courant):
    """Not kT/2 a cell but (kT/2) / sqrt(1 - s^2), s the Courant number: a leapfrog's modes hold 1 / (1 - s^2 sin^2).

    Here s = dt, since a wave moves a cell in sqrt(L C). The damping is weak, for it has errors of its own.
    """
    ladder, seen = lattice(courant), []
    ladder.step(int(200 / courant))
    for _ in range(40):
        ladder.step(int(10 / courant))
        seen.append(np.mean([v**2 for v in ladder.voltages]))
    formula = 1.0 / np.sqrt(1.0 - courant**2)
    error = 4.0 * np.sqrt(2.0 / (600 * 20 * 8))  # samples of a mode 50 apart count as one
    assert abs(np.mean(seen) / formula - 1.0) < error
    assert abs(1.1 * np.mean(seen) / formula - 1.0) > error  # 10 % too much heat would be noticed
    assert ladder.ledger_residual() < 1e-11


def test_a_warm_ladder_keeps_its_books_and_a_cold_one_draws_nothing():
    warm, cold = lattice(0.3, batch=10), lattice(0.3, batch=10, heat=0.0)
    warm.step(200), cold.step(200)
    assert warm.ledger["noise"] != 0.0
    assert cold.ledger["noise"] == 0.0
    assert cold.stored_energy() < warm.stored_energy()
    with pytest.raises(NetworkError, match="temperature is at least 0"):
        lattice(0.3, heat=-1.0)
