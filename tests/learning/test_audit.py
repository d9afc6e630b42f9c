"""The gradient audit: every form beside backprop and finite differences, slopes in h and beta, and the command."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from substrate import Line
from substrate.cli import app
from substrate.learning.audit import Heard, audit, compare, port_gradient
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.forms import cold, in_family, nudged, with_series_resistance
from substrate.learning.layered import layered


def problem(**options):
    network = layered([4, 3, 2], line=Line(2e-12), seed=1, **{"loss": "cross_entropy", **options})
    rng = np.random.default_rng(1)
    for name in ("w1", "w2"):
        network.nodes[name].bias[...] = rng.normal(0.0, 0.3, network.nodes[name].bias.shape)
    return network, rng.uniform(-1.0, 1.0, (3, 4)), np.eye(2)[rng.integers(0, 2, 3)]


@pytest.fixture(scope="module")
def found():
    network, x, y = problem()
    return audit(network, x, y, dt=2e-12, entries=2)


def test_every_form_hears_the_gradient(found):
    assert found.passed and not found.failures
    assert {row.form for row in found.rows} >= {
        "as given",
        "matched",
        "transformer",
        "centred",
        "ladder",
        "finite difference",
    }
    for row in found.rows:
        assert row.settled
        if row.form.startswith("resistive"):
            continue
        assert row.cosine > 1.0 - 1e-6
        assert row.norm_ratio == pytest.approx(1.0, abs=1e-6)
        if row.form != "finite difference":
            assert row.error < 1e-9


def test_slopes(found):
    slopes = {slope.name: slope for slope in found.slopes}
    assert slopes["finite difference"].slope == pytest.approx(2.0, abs=0.05)
    assert slopes["resistive, one-sided"].slope == pytest.approx(1.0, abs=0.05)
    assert slopes["resistive, centred"].slope == pytest.approx(2.0, abs=0.05)
    for kind in ("one-sided", "centred"):
        assert max(slopes[f"lossless, {kind}"].errors) < 1e-9  # exact at every beta


def test_resistance_is_what_makes_nudging_inexact(found):
    errors = {
        form: max(row.error for row in found.rows if row.form == form) for form in ("resistive", "resistive centred")
    }
    assert errors["resistive"] > 1e-5 > errors["resistive centred"] > 1e-9


def test_large_beta_is_exact_without_resistance():
    network, x, y = problem(loss="mse", activation="identity")
    exact = Backprop(network).gradient(network.parameters(), x, y)[1]
    for beta in (2.0, -0.05):
        heard = port_gradient(in_family(network, "transformer", beta), x, y)
        assert heard.settled and relative_error(heard.gradient, exact) < 1e-10


def test_a_wrong_gradient_does_not_pass():
    exact = {"w": np.array([1.0, 2.0, 3.0])}
    row = compare("x", Heard({"w": np.array([1.0, 2.0, 3.1])}, 1, 0.0, True), exact)[0]
    assert row.one_minus_cosine == pytest.approx(1.0 - 14.3 / np.sqrt(14.0 * 14.61), rel=1e-9)
    assert row.error == pytest.approx(0.1 / np.sqrt(14.0))


def test_forms():
    network, _, _ = problem(source_temperature=300.0)
    assert cold(network).nodes["input"].temperature == 0.0
    transformer = nudged(in_family(network, "transformer", beta=0.5), -0.25)
    assert transformer.nodes["load"].beta == -0.25
    for name, value in network.parameters().items():
        np.testing.assert_array_equal(transformer.parameters()[name], value)
    wires = [name for name in with_series_resistance(transformer, 0.2).nodes if name.startswith("resistance_")]
    assert len(wires) == sum(c.line is not None for c in transformer.connections.values())


def test_the_command():
    options = ["--samples", "2", "--entries", "2", "--set", "network.layers=[64, 10]"]
    done = CliRunner().invoke(app, ["audit", "examples/digits.toml", *options, "--json"])
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["passed"] is True
    assert len(content["slopes"]) == 5
    done = CliRunner().invoke(app, ["audit", "examples/digits.toml", *options])
    assert "worst cosine" in done.stdout and "resistive, centred" in done.stdout
    assert CliRunner().invoke(app, ["audit", "examples/digits.toml", "--beta", "0"]).exit_code == 2
