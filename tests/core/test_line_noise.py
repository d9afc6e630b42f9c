"""Thermal noise of lines that disperse: equilibrium, Bosma's covariance of both ends, and the same bits however run."""

import itertools

import numpy as np
import pytest

from substrate import Network, Probe, Simulation, compile_network, simulate
from substrate.media import RlgcLine
from substrate.nodes import Resistor
from substrate.noise import BOLTZMANN

from .noise_runs import KELVIN, SIGMAS

L, C, DT = 250e-9, 100e-12, 10e-12
LINES = {
    "series loss": RlgcLine(0.05, 200.0, L, 0.0, C, temperature=KELVIN),
    "leakage": RlgcLine(0.05, 200.0, L, 0.2, C, temperature=KELVIN),
    "skin and dielectric": RlgcLine(0.1, 5.0, L, 0.0, C, skin=1e-3, loss_tangent=0.02, temperature=KELVIN),
}
ENDS = (20.0, 300.0)  # ohm
EDGES = (8, 40, 120, 400, 1000, 2048)  # bands, in bins of 4096 steps
ends = pytest.mark.parametrize("name", LINES)


def between(line, kelvin=KELVIN, ohms=ENDS):
    net = Network()
    first, second = (net.add(Resistor(z, kelvin), end) for end, z in zip("ab", ohms, strict=True))
    net.connect(first, second, line, "w")
    return net


def started(net, batch, backend="cpu", seed=5, dt=DT, **more):
    probes = [Probe(end, quantity) for end in "ab" for quantity in ("voltage", "current")]
    plan = compile_network(net, dt, reference_power=1.0, probes=probes)
    return Simulation(plan, batch=batch, backend=backend, seed=seed, **more)


def waves(line, kelvin, steps=4096, batch=150, dt=DT):
    """What arrives at the resistors, at their own resistance: spectra ``[2, bins, batch]`` in units of sqrt(kT)."""
    simulation = started(between(line, kelvin), batch, dt=dt)
    simulation.run(1500)
    simulation.take_probes()
    simulation.run(steps)
    seen = {label: values[:, 0] for label, values in simulation.take_probes().items()}
    incident = [
        (seen[f"{end}.voltage"] + z * seen[f"{end}.current"]) / (2.0 * np.sqrt(z))
        for end, z in zip("ab", ENDS, strict=True)
    ]
    assert simulation.take_ledger().residual < 1e-9
    return np.fft.rfft(incident, axis=1) * np.sqrt(2.0 * dt / (steps * BOLTZMANN * KELVIN))


def bands(values):
    return [values[low:high] for low, high in itertools.pairwise(EDGES)]


@ends
def test_a_line_between_warm_resistors_is_in_equilibrium(name) -> None:
    """kT in every band at both ends, and nothing in common; without the line's noise, or with x1.1, that is seen."""
    a, b = waves(LINES[name], KELVIN)
    for wave in (a, b):
        for band in bands(np.abs(wave) ** 2):
            assert abs(band.mean() - 1.0) < SIGMAS / np.sqrt(band.size)
            assert abs(1.21 * band.mean() - 1.0) > SIGMAS / np.sqrt(band.size)
    for band in bands(a * np.conj(b)):
        assert abs(band.mean()) < SIGMAS / np.sqrt(band.size)


def test_a_line_without_its_noise_is_noticed() -> None:
    from dataclasses import replace

    a, _ = waves(replace(LINES["leakage"], temperature=0.0), KELVIN)
    assert np.mean(np.abs(a) ** 2) < 0.7


@ends
def test_the_ends_of_a_warm_line_obey_bosma(name) -> None:
    """Between cold resistors ``kT (I - S S^H)`` of the exact line leaves it, the part that both ends share included."""
    a, b = waves(LINES[name], 0.0)
    frequencies = np.fft.rfftfreq(4096, DT)
    s = LINES[name].response(ENDS, frequencies)
    exact = np.eye(2) - s @ np.conj(np.swapaxes(s, 1, 2))
    shared = []
    for index, band in enumerate(zip(*[bands(x) for x in (a, b, exact)], strict=True)):
        here, there, wanted = band
        for wave, density in ((here, wanted[:, 0, 0].real), (there, wanted[:, 1, 1].real)):
            # Dispersion of the fit itself is largest near half the sampling rate.
            bound = SIGMAS / np.sqrt(wave.size) + (0.005 if index < 4 else 0.05)
            assert abs(np.mean(np.abs(wave) ** 2) / density.mean() - 1.0) < bound
        scale = np.sqrt(np.mean(wanted[:, 0, 0].real) * np.mean(wanted[:, 1, 1].real))
        bound = SIGMAS / np.sqrt(here.size) + 0.005
        assert abs(np.mean(here * np.conj(there)) - np.mean(wanted[:, 0, 1])) / scale < bound
        shared.append(abs(np.mean(wanted[:, 0, 1])) / scale / bound)
    assert max(shared) > 2.0  # ends without anything in common would not pass


def test_densities_do_not_depend_on_dt() -> None:
    totals = []
    for dt, steps in ((DT, 4096), (DT / 2, 8192)):
        a, _ = waves(LINES["series loss"], 0.0, steps, dt=dt)
        totals.append([np.mean(np.abs(band) ** 2) for band in bands(a)[:4]])
    sizes = np.array([band.size for band in bands(np.zeros((2049, 150)))][:4])
    assert np.all(np.abs(np.divide(*totals) - 1.0) < SIGMAS * np.sqrt(2.0 / sizes) + 0.01)


# --- bits -----------------------------------------------------------------------------------------------------------


def seen(simulation, *steps):
    for count in steps:
        simulation.run(count)
    return simulation.take_probes()["b.voltage"][:, 0]


def test_the_same_noise_on_every_backend(backend) -> None:
    steps = 40
    found = seen(started(between(LINES["leakage"]), 3, backend), steps)
    expected = seen(started(between(LINES["leakage"]), 3), steps)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_bits_do_not_depend_on_how_a_run_is_cut() -> None:
    net = between(LINES["leakage"])
    whole = seen(started(net, 5), 1500)
    assert np.array_equal(seen(started(net, 5), 7, 493, 1000), whole)
    parts = [seen(started(net, 2), 1500), seen(started(net, 3, batch_offset=2), 1500)]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    first = started(net, 5)
    first.run(700)
    second = started(net, 5)
    second.restore(first.checkpoint())
    assert np.array_equal(seen(second, 800), whole[700:])
    own, other = (seen(started(net, 2, seed=seeds), 600) for seeds in ((8, 5), (5, 9)))
    assert np.array_equal(own[:, 1], other[:, 0])
    alone = seen(started(net, 1, seed=5), 600)[:, 0]  # a lone sample is added up in another order
    np.testing.assert_allclose(own[:, 1], alone, rtol=0, atol=1e-13 * np.abs(alone).max())


def test_two_lines_and_two_seeds_differ() -> None:
    net = between(LINES["leakage"])
    net.connect(net.add(Resistor(20.0), "c"), net.add(Resistor(300.0), "d"), LINES["leakage"], "twin")
    traces = simulate(net, 4000 * DT, DT, ["b.voltage", "d.voltage"])
    correlation = np.corrcoef(traces["b.voltage"], traces["d.voltage"])[0, 1]
    assert abs(correlation) < 0.1
    assert not np.array_equal(seen(started(between(LINES["leakage"]), 1, seed=1), 50),
                              seen(started(between(LINES["leakage"]), 1, seed=2), 50))  # fmt: skip


def test_switched_off_with_thermal_noise() -> None:
    off = simulate(between(LINES["leakage"]), 500 * DT, DT, ["b.voltage"], noise=[])
    assert not np.any(off["b.voltage"])


def test_the_report_says_from_where_on_the_noise_is_right() -> None:
    plan = compile_network(between(LINES["series loss"]), DT)
    assert 0.0 < plan.accuracies["w"].noise_from < 1e-3 / DT
    assert "thermal noise right from" in plan.report()
