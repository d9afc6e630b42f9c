"""Photodiodes and modulators in circuits: closed forms, noise, the vacuum, books, the same bits however run."""

import numpy as np
import pytest

from substrate import Line, Network, Probe, Simulation, compile_network, simulate
from substrate.errors import CompileError, ConfigError, NetworkError
from substrate.frequency import scattering_parameters
from substrate.nodes import LaserSource, Modulator, Photodiode, Resistor, Short, Termination, VoltageSource
from substrate.noise import BOLTZMANN
from substrate.noise.sources import ELEMENTARY_CHARGE, PLANCK
from substrate.waveforms import Samples, Sine, Step

from .noise_runs import DT, LIGHT, SIGMAS, recorded
from .test_noise_of_sources import agrees, density

Z = 50.0


def receiver(diode, waveform=None, load=None):
    """Laser, photodiode, electrical line, load."""
    net = Network()
    net.add(diode, "pd")
    net.connect(net.add(LaserSource(waveform or Step(np.sqrt(1e-3))), "laser"), "pd.light", Line(3 * DT))
    net.connect("pd.out", net.add(load or Resistor(Z), "load"), Line(2 * DT, Z))
    return net


def modulated(modulator, source, light=None):
    net = Network()
    net.add(modulator, "m")
    net.connect(net.add(LaserSource(light or Step(0.1)), "laser"), "m.in", Line(2 * DT))
    net.connect("m.out", net.add(Termination(), "out"), Line(3 * DT))
    net.connect(net.add(source, "src"), "m.drive", Line(4 * DT, Z))
    return net


def test_half_of_the_current_reaches_the_load(backend) -> None:
    """R P Z / 2 across the load, D steps later; light of any shape, squared."""
    light = Samples(np.random.default_rng(1).uniform(0.0, 0.05, 60) * np.exp(0.3j), DT)
    net = receiver(Photodiode(0.8, dark_current=1e-6), light)
    seen = simulate(net, 60 * DT, DT, ["load.voltage"], backend=backend, dtype="complex128", noise=[])
    volts = seen["load.voltage"]
    expected = (0.8 * np.abs(light.values[:55]) ** 2 + 1e-6) * Z / 2.0
    np.testing.assert_allclose(volts[5:], expected, rtol=1e-12)
    np.testing.assert_allclose(volts[2:5], 1e-6 * Z / 2.0, rtol=1e-12)
    assert seen.ledger.residual < 1e-12 and seen.ledger["injected"] > 0.0


def test_a_pole_and_an_unequal_load() -> None:
    """The pole charges as (1 - share)^n; what the load reflects is absorbed by the diode."""
    pole = 20e9
    net = receiver(Photodiode(1.0, bandwidth=pole), load=Resistor(150.0))
    volts = simulate(net, 80 * DT, DT, ["load.voltage"], noise=[])["load.voltage"][5:]
    share = -np.expm1(-2.0 * np.pi * pole * DT)
    wave = 1e-3 * np.sqrt(Z) / 2.0 * (1.0 - (1.0 - share) ** (np.arange(75) + 1.0))
    np.testing.assert_allclose(volts, 1.5 * np.sqrt(Z) * wave, rtol=1e-12)  # 1 + (150 - 50) / (150 + 50)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_shot_noise_and_noise_of_electronics_in_a_circuit(dt) -> None:
    """2 q I (Z / 2)^2 and kT Z of the electronics, across a matched load, at two steps; each switched alone."""
    for diode, kinds, expected in (
        (Photodiode(1.0), ["shot"], 2.0 * ELEMENTARY_CHARGE * 1e-3 * (Z / 2.0) ** 2),
        (Photodiode(1.0, noise_temperature=600.0), ["amplifier"], BOLTZMANN * 600.0 * Z),
    ):
        net = receiver(diode)
        volts = simulate(net, 3010 * dt, dt, ["load.voltage"], batch=100, seed=4, noise=kinds)["load.voltage"][10:]
        f, measured, spread = density(volts, dt)
        agrees(measured[1:-1], np.full(len(f) - 2, expected), spread)
        still = simulate(net, 30 * dt, dt, ["load.voltage"], noise=["thermal"])["load.voltage"][10:]
        assert np.ptp(still) == 0.0


def test_light_with_its_vacuum_is_not_given_shot_noise_twice() -> None:
    share = 0.7
    diode = Photodiode(share * ELEMENTARY_CHARGE / (PLANCK * LIGHT))
    net = receiver(diode)
    run = {"batch": 100, "dtype": "complex128", "carrier": LIGHT, "seed": 4, "noise": ["vacuum", "shot"]}
    net.nodes["load"] = Resistor(Z)
    volts = simulate(net, 3010 * DT, DT, ["load.voltage"], **run)["load.voltage"][10:].real
    current = diode.responsivity * 1e-3
    f, measured, spread = density(volts, DT)
    # The electrical line's load emits its own vacuum back only; what arrives at it comes from the diode alone.
    shot = 2.0 * ELEMENTARY_CHARGE * current * (Z / 2.0) ** 2
    own = PLANCK * LIGHT / 2.0 * Z  # of the load itself, seen across it
    agrees(measured[1:-1], np.full(len(f) - 2, shot + own), spread)


def test_a_phase_modulator_follows_its_drive(backend) -> None:
    """exp(-i pi v / v_pi), with the voltage that reaches the drive, loss, and light that comes back a second time."""
    v_pi, loss = 2.0, 3.0
    source = VoltageSource(Sine(1.0, 2e10), resistance=Z)
    net = modulated(Modulator(v_pi, bias=0.2, loss_db=loss), source)
    net.nodes["out"] = Short()
    seen = simulate(net, 70 * DT, DT, ["out.arriving", "laser.arriving"], backend=backend, dtype="complex128")
    t = (np.arange(70) + 1) * DT
    volts = 0.5 * np.sin(2.0 * np.pi * 2e10 * (t - 4 * DT)) * (t > 4 * DT)  # when the drive hears it
    factor = 10.0 ** (-loss / 20.0) * np.exp(-1j * (np.pi * volts / v_pi + 0.2))
    np.testing.assert_allclose(seen["out.arriving"][6:], 0.1 * factor[3:-3], atol=1e-13)
    np.testing.assert_allclose(seen["laser.arriving"][12:], -0.1 * factor[4:-8] * factor[10:-2], atol=1e-13)
    assert seen.ledger.residual < 1e-12


def test_light_steers_light(backend) -> None:
    """Photodiode, line, amplitude modulator: the field cos(pi R P Z / 4 v_pi), with real waves too."""
    net = Network()
    net.add(Photodiode(1.0), "pd")
    net.add(Modulator(0.05, "amplitude"), "m")
    net.connect(net.add(LaserSource(Step(np.sqrt(1e-3))), "pump"), "pd.light", Line(2 * DT))
    net.connect("pd.out", "m.drive", Line(3 * DT, Z))
    net.connect(net.add(LaserSource(Step(0.1)), "laser"), "m.in", Line(DT))
    net.connect("m.out", net.add(Termination(), "out"), Line(DT))
    seen = simulate(net, 30 * DT, DT, ["out.arriving"], backend=backend, noise=[])["out.arriving"]
    assert seen[3] == pytest.approx(0.1, rel=1e-14)
    assert seen[-1] == pytest.approx(0.1 * np.cos(0.5 * np.pi * 1e-3 * Z / 2.0 / 0.05), rel=1e-12)


def test_modulators_and_photodiodes_leave_the_vacuum_at_its_level() -> None:
    """1/2 photon per mode goes on behind a modulator that dims, and comes back from a photodiode."""
    net = modulated(Modulator(1.0, "amplitude", bias=1.0, loss_db=2.0), Termination(), Step(0.0))
    net.add(Photodiode(), "pd")
    net.connect(net.add(Termination(), "dark"), "pd.light", Line(DT))
    net.connect("pd.out", net.add(Termination(), "end"), Line(DT))
    found = recorded(net, ["out", "dark"], 400, 200, dtype="complex128", settle=20, carrier=LIGHT)
    for wave in found.values():
        photons = np.mean(np.abs(wave) ** 2) * DT / (PLANCK * LIGHT)
        assert abs(photons / 0.5 - 1.0) < SIGMAS / np.sqrt(wave.size)


def links(batch, cuts, backend="cpu", start=None, **more):
    net = receiver(Photodiode(0.9, 1e-6, bandwidth=3e10, noise_temperature=300.0))
    net.add(Modulator(0.01, "phase"), "m")
    net.connect(net.add(LaserSource(Step(0.1)), "second"), "m.in", Line(4 * DT))
    net.connect("m.out", net.add(Termination(), "out"), Line(5 * DT))
    net.add(Photodiode(0.5, bandwidth=5e10), "pd2")
    net.connect(net.add(LaserSource(Step(0.02)), "third"), "pd2.light", Line(2 * DT))
    net.connect("pd2.out", "m.drive", Line(3 * DT, Z))
    plan = compile_network(net, DT, probes=[Probe("load", "voltage"), Probe("out")])
    simulation = Simulation(plan, batch=batch, backend=backend, dtype="complex128", seed=7, **more)
    if start is not None:
        simulation.restore(start)
    for steps in cuts:
        simulation.run(steps)
    seen = simulation.take_probes()
    return np.stack([seen["load.voltage"][:, 0], seen["out.arriving"][:, 0]]), simulation.checkpoint()


def test_bits_do_not_depend_on_how_a_run_is_cut() -> None:
    whole, _ = links(4, [200])
    assert np.array_equal(links(4, [1, 99, 100])[0], whole)
    assert np.array_equal(links(4, [200], block=1)[0], whole)
    parts = [links(2, [200], batch_offset=offset)[0] for offset in (0, 2)]
    assert np.array_equal(np.concatenate(parts, axis=2), whole)
    first, state = links(4, [90])
    assert np.array_equal(np.concatenate([first, links(4, [110], start=state)[0]], axis=1), whole)


def test_backends_agree(backend) -> None:
    expected, found = links(3, [50])[0], links(3, [50], backend)[0]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * np.abs(one).max())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Photodiode(-1.0), NetworkError, "responsivity of at least 0"),
        (lambda: Photodiode(bandwidth=0.0), NetworkError, "above 0 Hz"),
        (lambda: Modulator(0.0), NetworkError, "v_pi other than 0"),
        (lambda: Modulator(kind="both"), NetworkError, "phase or amplitude"),
        (lambda: Modulator(loss_db=-1.0), NetworkError, "is passive"),
        (
            lambda: simulate(receiver(Photodiode()), 5 * DT, DT, ["pd.out.departing"]),
            NetworkError,
            "other end of its line",
        ),
        (
            lambda: scattering_parameters(modulated(Modulator(), Resistor(Z)), [1e9]),
            NetworkError,
            "no frequency response",
        ),
        (
            lambda: simulate(modulated(Modulator(), Resistor(Z)), 5 * DT, DT, ["out.arriving"]),
            NetworkError,
            "dtype='complex128'",
        ),
        (
            lambda: simulate(
                receiver(Photodiode(2.0)), 5 * DT, DT, ["load.voltage"], dtype="complex128", carrier=LIGHT
            ),
            ConfigError,
            "one electron a photon",
        ),
    ],
)
def test_refusals(make, error, words) -> None:
    with pytest.raises(error, match=words):
        make()


def test_ports_need_lines() -> None:
    net = Network()
    net.add(Photodiode(), "pd")
    net.connect(net.add(LaserSource(Step(1.0)), "laser"), "pd.light")
    net.connect("pd.out", net.add(Resistor(Z), "load"), Line(DT, Z))
    with pytest.raises(CompileError, match=r"pd.light needs a plain line of whole steps"):
        compile_network(net, DT)


def test_numbers_may_change_in_a_run_but_not_what_is_remembered() -> None:
    """Half the responsivity from one step on; a bandwidth cannot come or go."""
    net = receiver(Photodiode(0.8))
    changes = [(20 * DT, {"pd.responsivity": 0.4})]
    volts = simulate(net, 40 * DT, DT, ["load.voltage"], noise=[], changes=changes)["load.voltage"]
    assert volts[[21, 22, -1]] == pytest.approx(np.array([0.8, 0.4, 0.4]) * 1e-3 * Z / 2.0)
    with pytest.raises(NetworkError, match="cannot get or lose its bandwidth"):
        simulate(net, 40 * DT, DT, ["load.voltage"], changes=[(20 * DT, {"pd.bandwidth": 1e10})])
