"""The contract itself: imports, a user's own device in a few lines, and the light start."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import devices
from devices import Device, DeviceError, StateVariable, card, quantity, register_model
from devices.blocks import cell_blocks
from devices.models import MODELS, model_class
from devices.variability import Spread, uniform

ROOT = Path(devices.__file__).resolve().parent


@dataclass(frozen=True)
class Leaky(Device):
    """A user's device: dvalue/dt = rate u - value/tau, exact."""

    rate: float = quantity("1/s", 1.0)
    tau: float = quantity("s", 1.0)

    states = (StateVariable("theta", "1"),)

    def create(self, initial, xi=None):
        return {"theta": initial.copy()}

    def advance(self, xp, state, drive, dt, xi=None):
        theta = state["theta"]
        theta += (self.rate * self.tau * drive - theta) * -np.expm1(-dt / self.tau)

    def value(self, xp, state):
        return state["theta"]


def test_a_user_device_needs_few_lines_and_gets_cards(tmp_path):
    register_model("leaky", Leaky)
    try:
        numbers = "".join(
            f'[params.{name}]\nvalue = {value}\nunit = "{unit}"\nsource = "me"\ntag = "assumed"\n'
            for name, value, unit in (("rate", 2.0, "1/s"), ("tau", 0.5, "s"))
        )
        head = 'schema = 1\nkind = "device"\nid = "mine"\ntitle = "Mine"\nmodel = "leaky"\ntechnology = "none"\n'
        tail = 'status = "assumed"\nversion = "1"\n'
        (tmp_path / "mine.toml").write_text(head + tail + numbers + '[provenance.me]\ntitle = "me"\n')
        device = card(tmp_path / "mine.toml")
    finally:
        del MODELS["leaky"]
    state = device.create(np.zeros(2))
    device.advance(np, state, np.ones(2), 1e9)
    np.testing.assert_allclose(device.value(np, state), 1.0)
    assert (device.normals, device.initial_normals) == (0, 0)


def test_every_registered_model_is_a_device():
    for name in MODELS:
        assert issubclass(model_class(name), Device), name


def test_devices_import_neither_substrate_nor_heavy_packages():
    for path in ROOT.glob("*.py"):
        allowed = {"devices", "numpy", "scipy", *sys.stdlib_module_names}
        allowed |= {"pydantic"} if path.name == "card_schema.py" else set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, path.name
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in allowed, path.name
    code = "import devices, sys; assert 'pydantic' not in sys.modules; devices.list_cards()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


def test_every_public_name_exists():
    for name in devices.__all__:
        assert getattr(devices, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = devices.nothing


def test_blocks_cover_every_cell_once():
    state = {"theta": np.zeros((7, 11)), "other": np.zeros((7, 11))}
    xi = np.arange(2 * 77, dtype=float).reshape(2, 7, 11)
    for part, drive, noise in cell_blocks(np, state, np.ones(11), xi, size=10):
        part["theta"] += drive
        part["other"] += noise[1]
    np.testing.assert_array_equal(state["theta"], 1.0)
    np.testing.assert_array_equal(state["other"], xi[1])
    transposed = {"theta": np.zeros((7, 11)).T}
    for part, drive, _ in cell_blocks(np, transposed, np.ones((11, 7)), None, size=10):
        part["theta"] += drive
    np.testing.assert_array_equal(transposed["theta"], 1.0)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "uniform"])
def test_spreads_have_their_standard_deviation(kind):
    xi = np.random.default_rng(0).standard_normal(200_000)
    assert Spread(0.2, kind).draw(xi, -3.0).std() == pytest.approx(0.6, rel=0.02)
    assert Spread(0.2, kind, relative=False).draw(xi, 2.0).std() == pytest.approx(0.2, rel=0.02)


def test_uniform_numbers_are_uniform():
    u = uniform(np, np.random.default_rng(1).standard_normal(200_000))
    assert u.min() >= 0
    assert u.max() <= 1
    np.testing.assert_allclose(np.histogram(u, bins=10, range=(0, 1))[0] / 200_000, 0.1, atol=0.003)


def test_impossible_spreads_are_refused():
    with pytest.raises(DeviceError, match="kind must be"):
        Spread(0.1, "cauchy")
    with pytest.raises(DeviceError, match="must be >= 0"):
        Spread(-0.1)
    with pytest.raises(DeviceError, match="other than 0"):
        Spread(0.1, "lognormal").draw(np.zeros(1), 0.0)
