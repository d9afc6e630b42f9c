"""What a batch is to frozen ports: the cosine of the gradient over a dwell, and how long the waves take to settle."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from substrate import Line
from substrate.learning.backprop import cosine
from substrate.learning.hearing import Presentation
from substrate.learning.layered import layered
from substrate.learning.presenting import Timing
from substrate.learning.settings import TrainSettings

DT = 1e-12
TRIP = 2 * (4 + 3)  # steps


def hearing(dwell, *, same=False, settle=None, batch=6, weights="matched", tolerance=None, **line):
    lines = [Line(4 * DT, **line), Line(3 * DT, **line)]
    if weights == "transformer":
        lines = [Line(DT, lowpass=2 * DT)] * 2
    net = layered([4, 3, 2], line=lines, loss="mse", weights=weights, seed=3)
    settings = TrainSettings(
        dt=DT, dwell=dwell * DT, settle=settle and settle * DT, batch=batch, tolerance=tolerance, reference_power=1e-9
    )
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=(batch, 4)), rng.normal(size=(batch, 2))) for _ in range(2)]
    timing = Timing.of(net, settings, 1)
    before = batches[1] if same else batches[0]
    shown = Presentation(net, settings, timing, net.parameters(), before, batches[1])
    return SimpleNamespace(cosine=shown.cosine(), settling=shown.settling())


def test_a_batch_that_stays_is_heard_exactly() -> None:
    found = hearing(3 * TRIP, same=True)
    assert found.cosine == pytest.approx(1.0, abs=1e-12) and found.settling == 0.0


def test_matched_waves_settle_in_a_round_trip_and_what_is_heard_before_fades() -> None:
    """The share of a dwell that hears the batch before falls as one over it, so the angle does too."""
    found = {trips: hearing(trips * TRIP) for trips in (2, 8, 32, 128)}
    assert {each.settling for each in found.values()} == {TRIP * DT}
    angles = [np.sqrt(1.0 - each.cosine**2) for each in found.values()]
    assert angles[0] > 0.05
    for before, after in pairwise(angles[1:]):
        assert after / before == pytest.approx(0.25, rel=0.2)


def test_a_hold_is_heard_settled() -> None:
    """A dwell of which a window is simulated: the rest is the settled drive, as if all had been simulated."""
    whole, held = hearing(20 * TRIP), hearing(20 * TRIP, settle=3 * TRIP)
    assert held.cosine == pytest.approx(whole.cosine, abs=1e-9)


def test_noise_turns_the_gradient_away() -> None:
    quiet, warm = hearing(4 * TRIP), hearing(4 * TRIP, loss_db=0.01, temperature=1e6)
    assert warm.cosine < quiet.cosine - 0.02
    assert warm.settling == TRIP * DT  # of the waves without noise


def test_devices_that_wait_hear_settled_waves() -> None:
    found = hearing(4000, weights="transformer", tolerance=1e-6)
    assert found.cosine == pytest.approx(1.0, abs=1e-4) and found.settling > 4 * 4 * DT


def test_cosine_of_nothing_is_unknown() -> None:
    assert np.isnan(cosine({"w": np.zeros(2)}, {"w": np.ones(2)}))
