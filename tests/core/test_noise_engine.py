"""Noise of running circuits: equilibrium of anything passive, the vacuum, and amplifiers, within confidence bounds."""

import numpy as np
import pytest

from substrate import Line, Network, Probe, Simulation, compile_network
from substrate.media import RcLine, RlgcLine
from substrate.nodes import (
    Amplifier,
    Attenuator,
    Capacitor,
    Circulator,
    Coupler,
    Inductor,
    Isolator,
    LaserSource,
    MachZehnder,
    Open,
    OpticalAmplifier,
    ParallelJunction,
    PhaseShifter,
    Resistor,
    ScatteringNode,
    SeriesJunction,
    SeriesRLC,
    Shunt,
    StateSpaceNode,
    Termination,
    Touchstone,
    VoltageSource,
)
from substrate.noise import BOLTZMANN
from substrate.noise.sources import PLANCK
from substrate.waveforms import Step

from .noise_runs import DENSE, DT, KELVIN, LIGHT, SIGMAS, recorded


def between_ends(line, kelvin=KELVIN):
    net = Network()
    net.connect(net.add(Termination(temperature=kelvin), "a"), net.add(Termination(temperature=kelvin), "b"), line)
    return net


def two_port(node, kelvin=KELVIN, z=(70.0, 40.0), dt=DT):
    """A two-port called n between matched ends a and b."""
    net = Network()
    first, second = (port.name for port in node.ports)
    net.add(node, "n")
    net.connect(net.add(Termination(temperature=kelvin), "a"), f"n.{first}", Line(dt, z[0]))
    net.connect(f"n.{second}", net.add(Termination(temperature=kelvin), "b"), Line(2 * dt, z[1]))
    return net


def filtered(kelvin=KELVIN):
    a, b = [[-3e10, 8e10], [-8e10, -5e10]], [[1e11, 2e10], [3e10, 0.0]]
    return StateSpaceNode(a, b, [[0.1, 0.2], [0.05, -0.1]], [[0.3, 0.2], [-0.1, 0.4]], temperature=kelvin)


# --- equilibrium ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: between_ends(Line(5.4 * DT, 50.0, 1.0, temperature=KELVIN, fractional="linear")),
        lambda: between_ends(RcLine(1e-3, 17810.0, 154e-12, temperature=KELVIN)),
        lambda: two_port(filtered()),
    ],
    ids=["linear interpolation", "RC wire", "state space"],
)
def test_filters_in_equilibrium_emit_kT_at_every_frequency(make) -> None:
    """Density kT and no correlation in time; loss of a filter without its noise, or x1.1, is seen."""
    for wave in recorded(make(), ["a", "b"], 400, 300).values():
        bound = SIGMAS / np.sqrt(wave.size)
        assert abs(np.mean(wave**2) * DENSE - 1.0) < bound * np.sqrt(2.0)
        assert abs(np.mean((1.1 * wave) ** 2) * DENSE - 1.0) > 10 * bound
        for lag in (1, 2, 3, 5):
            assert abs(np.mean(wave[lag:] * wave[:-lag]) * DENSE) < 1.1 * bound


def test_a_filter_without_its_noise_is_noticed() -> None:
    wave = recorded(two_port(filtered(0.0)), ["a"], 400, 300)["a"]
    assert np.mean(wave**2) * DENSE < 0.9


@pytest.mark.parametrize(
    "make",
    [
        lambda kelvin: Coupler(0.3, 2.0, kelvin),
        lambda kelvin: MachZehnder(0.7, 0.2, 3.0, (0.4, 0.6), kelvin),
        lambda kelvin: PhaseShifter(0.5, 4.0, kelvin),
        lambda kelvin: Isolator(1.0, 15.0, kelvin),
        lambda kelvin: Circulator(3, 2.0, kelvin),
    ],
    ids=["coupler", "Mach-Zehnder", "phase shifter", "isolator", "circulator"],
)
def test_lossy_parts_between_warm_ends_are_in_equilibrium(make) -> None:
    """kT per hertz out of every port of an envelope, nothing in common between ports; cold parts are noticed."""

    def density(kelvin):
        net, ends = Network(), []
        node = make(kelvin)
        net.add(node, "n")
        for index, port in enumerate(node.ports):
            # One end is a laser that is off: what comes back to it is absorbed, and it is as warm.
            end = Termination(temperature=KELVIN) if index else LaserSource(Step(0.0), KELVIN)
            ends.append(net.add(end, f"e{index}"))
            net.connect(f"n.{port.name}", ends[-1], Line((1 + index) * DT))
        waves = recorded(net, ends, 300, 200, dtype="complex128", settle=20)
        return np.stack([wave[index : index - 20].ravel() for index, wave in enumerate(waves.values())])

    waves = density(KELVIN)
    covariance = waves @ waves.conj().T / waves.shape[1] * DT / (BOLTZMANN * KELVIN)
    assert np.abs(covariance - np.eye(len(waves))).max() < SIGMAS / np.sqrt(waves.shape[1])
    cold = density(0.0)
    assert np.mean(np.abs(cold) ** 2, axis=1).min() * DT / (BOLTZMANN * KELVIN) < 0.9


def measured_attenuator(tmp_path) -> tuple[Touchstone, np.ndarray, np.ndarray]:
    """A shunt resonator of 5 ohm behind 3 dB, as a file of what it does up to 11 GHz."""
    frequencies = np.linspace(1e7, 11e9, 200)
    exact = np.sqrt(0.5) * Shunt(SeriesRLC(5.0, 1e-9, 1e-12)).response([50.0, 50.0], frequencies)
    rows = [" ".join(f"{x!r}" for x in (f, *s.T.ravel().view(float))) for f, s in zip(frequencies, exact, strict=True)]
    path = tmp_path / "part.s2p"
    path.write_text("\n".join(["# HZ S RI R 50", *[row.replace("np.float64(", "").replace(")", "") for row in rows]]))
    return Touchstone(str(path), order=2, temperature=KELVIN), frequencies, exact


def test_a_measured_part_obeys_bosma(tmp_path) -> None:
    """Between cold ends kT (I - S S^H) of the file leaves it, what both ends share included; between warm ones kT."""
    node, frequencies, s = measured_attenuator(tmp_path)
    dt, steps, batch = 40e-12, 8192, 100
    scale = np.sqrt(2.0 * dt / (steps * BOLTZMANN * KELVIN))
    cold = recorded(two_port(node, 0.0, (50.0, 50.0), dt), ["a", "b"], steps, batch, dt=dt)
    a, b = (np.fft.rfft(cold[end], axis=0) * scale for end in "ab")
    wanted = np.eye(2) - s @ np.conj(np.swapaxes(s, 1, 2))
    # Delays of one and two steps between the part and its ends turn what they share.
    turn = np.exp(2j * np.pi * frequencies * dt)
    bins, common = np.fft.rfftfreq(steps, dt), []
    for low, high in ((0.2e9, 2e9), (2e9, 4e9), (4e9, 6.5e9), (6.5e9, 10e9)):
        inside, of_file = (bins > low) & (bins < high), (frequencies > low) & (frequencies < high)
        bound = SIGMAS / np.sqrt(inside.sum() * batch) + 0.005
        for end, place in ((a, 0), (b, 1)):
            assert abs(np.mean(np.abs(end[inside]) ** 2) - wanted[of_file, place, place].real.mean()) < bound
        shared, expected = np.mean((a * np.conj(b))[inside]), np.mean((wanted[:, 0, 1] * turn)[of_file])
        assert abs(shared - expected) < bound
        common.append(abs(expected) / bound)
    assert max(common) > 4.0  # ends without anything in common are noticed
    warm = recorded(two_port(node, KELVIN, (50.0, 50.0), dt), ["b"], steps, batch, dt=dt)["b"]
    assert abs(2.0 * dt * np.mean(warm**2) / (BOLTZMANN * KELVIN) - 1.0) < SIGMAS * np.sqrt(2.0 / warm.size)


def random_passive(rng) -> Network:
    """A junction or matrix, or two, with lossy lines, resistors, reactances and open ends; a and b are matched ends."""
    net, ports = Network(), []
    for index in range(int(rng.integers(1, 4))):
        count = int(rng.integers(3, 5))
        s = rng.normal(size=(count, count))
        s *= rng.uniform(0.5, 1.0) / np.linalg.norm(s, 2)
        node = (ParallelJunction(count), SeriesJunction(count), ScatteringNode(s, temperature=KELVIN))[
            int(rng.integers(3))
        ]
        net.add(node, f"n{index}")
        mine = [f"n{index}.{port.name}" for port in node.ports]
        if ports:
            net.connect(ports.pop(int(rng.integers(len(ports)))), mine.pop(0), random_line(rng))
        ports += mine
    for index, port in enumerate(ports):
        ends = (Resistor(rng.uniform(5, 200), KELVIN), Capacitor(1e-13), Inductor(2e-10), Open())
        end = Termination(temperature=KELVIN) if index < 2 else ends[int(rng.integers(len(ends)))]
        name = net.add(end, "ab"[index] if index < 2 else f"e{index}")
        # Two open ends of one series junction would have no unique answer.
        direct = index >= 2 and not isinstance(end, Open) and rng.random() < 0.5
        net.connect(port, name, None if direct else random_line(rng))
    return net


def random_line(rng) -> Line:
    if rng.random() < 0.2:  # few kinds, for each must be fitted
        length, loss = 2e-4 * int(rng.integers(1, 5)), (50e3, 5e3)[int(rng.integers(2))]
        return RlgcLine(length, loss, 250e-9, 0.0, 100e-12, temperature=KELVIN)
    fractional = "linear" if rng.random() < 0.3 else "none"
    steps = float(rng.integers(1, 5)) + (0.4 if fractional == "linear" else 0.0)
    return Line(steps * DT, rng.uniform(20, 100), rng.uniform(0, 3), temperature=KELVIN, fractional=fractional)


def equilibrium_scores(count: int) -> np.ndarray:
    """Standard scores of the power out of both ends of ``count`` random networks."""
    scores = []
    for seed in range(count):
        waves = recorded(random_passive(np.random.default_rng(seed)), ["a", "b"], 100, 200, settle=200, seed=seed)
        scores += [(np.mean(wave**2) * DENSE - 1.0) / np.sqrt(2.0 / wave.size) for wave in waves.values()]
    return np.array(scores)


def check_scores(scores: np.ndarray) -> None:
    assert np.abs(scores).max() < SIGMAS
    assert abs(scores.mean()) < SIGMAS / np.sqrt(scores.size)
    assert abs(scores.std() - 1.0) < SIGMAS / np.sqrt(2.0 * scores.size)


def test_two_hundred_random_passive_networks_in_equilibrium() -> None:
    check_scores(equilibrium_scores(200))


@pytest.mark.parametrize("volts", [0.0, 1e-3])
def test_books_tell_what_is_emitted_from_what_is_absorbed(backend, volts) -> None:
    """kT/2 a step of each resistor, and what the line loses of that, are noise; a source books what it takes back."""
    steps, batch, kept = (60 if backend == "reference" else 2000), 20, 10.0**-0.3
    net = Network()
    source = VoltageSource(Step(volts), resistance=50.0, temperature=KELVIN)
    line = Line(3 * DT, 50.0, 3.0, temperature=KELVIN)
    net.connect(net.add(source, "src"), net.add(Resistor(50.0, KELVIN), "load"), line)
    simulation = Simulation(compile_network(net, DT, reference_power=1e-9), batch=batch, backend=backend, seed=3)
    simulation.run(steps)
    ledger = simulation.take_ledger()
    quantum, numbers = BOLTZMANN * KELVIN / 2.0, steps * batch
    assert ledger["noise"] == pytest.approx(numbers * quantum * (2.0 + 2.0 * (1.0 - kept)), rel=1e-9)
    assert ledger.residual < 1e-12
    sent = numbers * volts**2 / 200.0 * DT  # V^2 / 4R
    beats = SIGMAS * np.sqrt(4.0 * sent * quantum)  # of the signal with noise
    chance = SIGMAS * 4.0 * quantum * np.sqrt(2.0 * numbers)
    filling = 8.0 * (sent / steps + batch * quantum)  # lines begin empty
    assert abs(ledger["injected"] - (sent - numbers * quantum)) < beats + chance + filling
    lost = (1.0 - kept) * sent + 2.0 * (1.0 - kept) * numbers * quantum
    assert abs(ledger["dissipated_lines"] - lost) < beats + chance + filling
    assert abs(ledger["dissipated_nodes"] - (kept * sent + numbers * quantum)) < beats + chance + filling


def test_resistors_of_unequal_temperature_in_one_cluster() -> None:
    """Two resistors and a capacitor joined without delay: (T1/R1 + T2/R2) / (1/R1 + 1/R2) is the temperature of C."""
    hot, cold, r1, r2, c = 400.0, 100.0, 50.0, 200.0, 1e-12
    dt = r1 * r2 / (r1 + r2) * c / 5.0
    net = Network()
    net.add(ParallelJunction(3), "node")
    for port, node in (("p1", Resistor(r1, hot)), ("p2", Resistor(r2, cold)), ("p3", Capacitor(c))):
        net.connect(f"node.{port}", net.add(node, {"p1": "hot", "p2": "cold", "p3": "c"}[port]))
    plan = compile_network(net, dt, reference_power=1.0, probes=[Probe("c", "voltage")])
    simulation = Simulation(plan, batch=4000, seed=2)
    simulation.run(60)
    simulation.take_probes()
    simulation.run(100)
    volts = simulation.take_probes()["c.voltage"][:, 0]
    expected = BOLTZMANN * (hot / r1 + cold / r2) / (1 / r1 + 1 / r2) / c / (1.0 + 0.1)  # the band of dt, V29
    spread = np.sqrt(2.0 * 5.0 / volts.size)
    assert abs(np.mean(volts**2) / expected - 1.0) < SIGMAS * spread
    assert abs(1.21 * np.mean(volts**2) / expected - 1.0) > 10 * spread


# --- vacuum and amplifiers ------------------------------------------------------------------------------------------


def photons(wave, dt=DT):
    """Power per hertz of an envelope over hf."""
    return float(np.mean(np.abs(wave) ** 2)) * dt / (PLANCK * LIGHT)


@pytest.mark.parametrize(
    ("node", "vacuum", "expected"),
    [
        (Attenuator(3.0), True, 0.5),  # loss keeps the vacuum at hf/2
        (Attenuator(3.0), False, 0.0),
        (OpticalAmplifier(10.0, 1.5), False, 1.5 * 9.0),  # n_sp (G - 1)
        (OpticalAmplifier(10.0, 1.5), True, 0.5 + 1.5 * 9.0),
        (OpticalAmplifier(10.0, 1.0), True, 0.5 + 9.0),
    ],
)
def test_vacuum_and_spontaneous_emission(backend, node, vacuum, expected) -> None:
    """In photons per mode: a pad leaves 1/2, an amplifier of inversion n_sp adds n_sp (G - 1)."""
    steps, batch = (60, 20) if backend == "reference" else (400, 200)
    carrier = LIGHT if vacuum else None
    found = recorded(
        two_port(node, 0.0, (50.0, 50.0)), ["b"], steps, batch, backend, dtype="complex128", settle=10, carrier=carrier
    )
    spread = SIGMAS / np.sqrt(steps * batch)
    assert abs(photons(found["b"]) - expected) <= spread * expected
    if expected:
        assert abs(1.21 * photons(found["b"]) - expected) > spread * expected


def test_the_vacuum_does_not_depend_on_dt() -> None:
    for dt in (DT, DT / 2):
        net = two_port(Attenuator(3.0), 0.0, dt=dt)
        wave = recorded(net, ["b"], 400, 200, dtype="complex128", dt=dt, settle=10, carrier=LIGHT)["b"]
        assert abs(photons(wave, dt) / 0.5 - 1.0) < SIGMAS / np.sqrt(wave.size)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_amplifiers_do_not_depend_on_dt(dt) -> None:
    """n_sp (G - 1) photons per mode of an optical amplifier, k 290 K (F - 1) G of an electrical one, at either step."""
    optical = recorded(two_port(OpticalAmplifier(10.0, 1.5), 0.0, (50.0, 50.0), dt), ["b"], 400, 200,
                       dtype="complex128", dt=dt, settle=10)["b"]  # fmt: skip
    assert abs(photons(optical, dt) / 13.5 - 1.0) < SIGMAS / np.sqrt(optical.size)
    assert abs(1.1 * photons(optical, dt) / 13.5 - 1.0) > SIGMAS / np.sqrt(optical.size)
    electrical = recorded(two_port(Amplifier(10.0, 3.0), 0.0, (50.0, 50.0), dt), ["b"], 400, 200, dt=dt, settle=10)["b"]
    density = 2.0 * float(np.mean(electrical**2)) * dt  # one-sided: samples dt apart have the band 1 / (2 dt)
    expected = BOLTZMANN * 290.0 * (10.0**0.3 - 1.0) * 10.0
    assert abs(density / expected - 1.0) < SIGMAS * np.sqrt(2.0 / electrical.size)


def test_an_envelope_carries_kT_per_hertz() -> None:
    """An envelope has the band 1 / dt, both sides of the carrier: kT / dt, half of it in each quadrature."""
    wave = recorded(two_port(Attenuator(3.0, KELVIN)), ["b"], 400, 200, dtype="complex128", settle=10)["b"]
    assert abs(np.mean(np.abs(wave) ** 2) * DT / (BOLTZMANN * KELVIN) - 1.0) < SIGMAS / np.sqrt(wave.size)
    assert abs(np.mean(wave**2)) * DENSE < 2 * SIGMAS / np.sqrt(wave.size)
