"""Device laws on a GPU: every card moves on strange arrays, and most move by one kernel written from their law."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from devices import SoftBounds
from devices.cards import card, list_cards
from devices.ideal import Gradient
from substrate.backends.gpu_laws import Laws, Untraceable, written
from tests.gpu.test_compiled import compiled
from tests.tools.emulated_gpu import EmulatedDevice, compiler
from tests.tools.strict_arrays import StrictModule

pytestmark = pytest.mark.skipif(not compiler(), reason="no g++ to compile the kernels with")
CELLS, SECONDS = 60, 1e-3


def cells_of(device, dtype, seed=0):
    """A state of some cells within the device's reach, and their initial values."""
    rng = np.random.default_rng(seed)
    low, high = np.clip(device.clip_range(), -1.0, 1.0)
    initial = rng.uniform(low, high, CELLS).astype(dtype)
    count = device.initial_normals
    return device.create(initial, rng.normal(size=(count, CELLS)) if count else None), initial


def known(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return card(name)


def moved(device, dtype, ticks=4):
    """The values of cells after each tick: by the law itself, by arrays that are not NumPy's, and by one kernel."""
    here, _ = cells_of(device, dtype)
    emulated, strict = EmulatedDevice(np.dtype(dtype)), StrictModule()
    there, fused = ({name: strict.asarray(array.copy()) for name, array in here.items()} for _ in range(2))
    laws, rng, found = Laws(emulated), np.random.default_rng(1), []
    for _ in range(ticks):
        drive = (rng.normal(size=CELLS) * 10.0 ** rng.uniform(-2, 2, CELLS)).astype(dtype)
        xi = rng.normal(size=(device.normals, CELLS)).astype(dtype) if device.normals else None
        device.advance(np, here, drive, SECONDS, xi)
        xi = None if xi is None else strict.asarray(xi)
        device.advance(strict, there, strict.asarray(drive), SECONDS, xi)
        value = laws.advance(device, fused, strict.asarray(drive), SECONDS, xi)
        found.append((np.array(device.value(np, here)), emulated.to_host(device.value(strict, there)),
                      None if value is None else emulated.to_host(value)))  # fmt: skip
    return found, here, {name: emulated.to_host(array) for name, array in fused.items()}


@pytest.mark.parametrize("name", list_cards())
def test_every_card_moves_on_a_device_as_on_the_host(name):
    found, here, fused = moved(known(name), "float64")
    for host, there, kernel in found:
        np.testing.assert_allclose(there, host, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(kernel, host, rtol=1e-11, atol=1e-13)
    for state, values in here.items():
        np.testing.assert_allclose(fused[state], values, rtol=1e-11, atol=1e-13 * max(1.0, np.abs(values).max()))


@pytest.mark.parametrize("name", ["ideal_momentum", "rram_array_hfo2", "thermo_optic_spiral", "photonic_pcm_gst"])
def test_single_precision_stays_single(name):
    for host, _, kernel in moved(known(name), "float32")[0]:
        assert kernel.dtype == np.float32
        np.testing.assert_allclose(kernel, host, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("rounding", ["stochastic", "poisson", "deterministic"])
def test_whole_pulses_are_the_same_pulses(rounding):
    device = SoftBounds(dw_min=0.02, rate=1e3, mode="pulsed", rounding=rounding, cycle_to_cycle=0.3, write_noise=0.01)
    for host, _, kernel in moved(device, "float64")[0]:
        np.testing.assert_allclose(kernel, host, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("real", ["float", "double"])
def test_laws_compile_for_a_device(real):
    from substrate.backends.gpu_kernels import prelude

    text, dtype = prelude(), "float32" if real == "float" else "float64"
    for number, name in enumerate(list_cards()):
        device = known(name)
        state, initial = cells_of(device, dtype)
        text += "\n" + written(device, state, initial, SECONDS, f"law{number}")[0]
    code, said = compiled(text, real, 1, "sm_90")
    assert code, said
    assert b"law35" in code


class Neighbour(Gradient):
    """No law of one cell: it takes its neighbour's drive."""

    def advance(self, xp, state, drive, dt, xi=None):
        state["theta"][...] = state["theta"] + dt * drive[::-1]


def test_what_one_cell_cannot_tell_is_told_and_runs_as_array_operations():
    device = Neighbour(rate=1.0)
    state, initial = cells_of(device, "float64")
    with pytest.raises(Untraceable, match="picks cells by slice"):
        written(device, state, initial, SECONDS, "law")
    for host, there, kernel in moved(device, "float64")[0]:
        assert kernel is None
        np.testing.assert_array_equal(there, host)


def test_a_law_that_is_wrong_is_noticed():
    """A negative control: a kernel written from another law does not fit."""
    device = SoftBounds(dw_min=0.02)
    other = replace(device, dw_min=0.021)
    state, initial = cells_of(device, "float64")
    text, _ = written(other, state, initial, SECONDS, "law")
    assert text != written(device, state, initial, SECONDS, "law")[0]
