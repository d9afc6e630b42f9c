"""Thermal noise in equilibrium and out of it: spectra and covariances with confidence bounds, at fixed seeds."""

from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.frequency import scattering_parameters
from substrate.network import Line, Network
from substrate.nodes.kirchhoff import ParallelJunction, SeriesJunction
from substrate.nodes.lumped import Capacitor, Inductor, Resistor
from substrate.nodes.termination import Termination
from substrate.noise import BOLTZMANN
from substrate.probe import Probe
from substrate.simulation import Simulation
from substrate.validation.case import Measured, case

DT, KELVIN = 1e-12, 300.0
KT = BOLTZMANN * KELVIN
SIGMAS = 4.5  # how many standard deviations chance may move an estimate


def effort(backend: str) -> int:
    """Samples side by side: the plain loops of the reference backend get fewer."""
    return 40 if backend == "reference" else 2000


def record(
    net: Network, probes: list[str], backend: str, steps: int, settle: int, dt: float = DT, seed: int = 11
) -> dict[str, np.ndarray]:
    """Probe records ``[steps, batch]`` of a noisy network after ``settle`` steps."""
    requests = [Probe(at, quantity) for at, _, quantity in (probe.rpartition(".") for probe in probes)]
    plan = compile_network(net, dt, reference_power=1.0, probes=requests)
    simulation = Simulation(plan, batch=effort(backend), backend=backend, seed=seed)
    simulation.run(settle)
    simulation.take_probes()
    simulation.run(steps)
    return {label: values[:, 0] for label, values in simulation.take_probes().items()}


def power(trace: np.ndarray, scale: float, correlation: float = 1.0) -> Measured:
    """Mean square times ``scale``; ``correlation`` is how many samples in time count as one."""
    value = float(np.mean(trace**2)) * scale
    return Measured(value, SIGMAS * value * float(np.sqrt(2.0 * correlation / trace.size)))


def warm_resistor(end: Any, resistance: float = 50.0, line: Line | None = None) -> Network:
    """A resistor at 300 K that faces ``end``."""
    net = Network()
    net.connect(net.add(Resistor(resistance, KELVIN), "warm"), net.add(end, "end"), line)
    return net


@case("V28", "50 ohm at 300 K, open-circuit voltage noise 4kTR", 4 * KT * 50.0, 0.0, "V^2/Hz")
def open_circuit(backend: str) -> Measured:
    """4kTR = 8.283894e-19 V^2/Hz (0.9101591 nV/rtHz), one-sided. Nyquist 1928. Tolerance: 4.5 standard deviations.

    Samples dt apart have the band 1 / (2 dt), so a one-sided density S is the variance S / (2 dt) of a sample.
    """
    records = record(warm_resistor(Resistor(np.inf), line=Line(2 * DT, 50.0)), ["end.voltage"], backend, 100, 10)
    # With an open end every wave comes back and is absorbed: samples are independent.
    return power(records["end.voltage"], 2.0 * DT)


@case("V28", "50 ohm at 300 K, wave into a matched load, kT", KT, 0.0, "W/Hz")
def matched_wave(backend: str) -> Measured:
    """kT = 4.141947e-21 W/Hz = -173.828 dBm/Hz at 300 K (-173.975 at 290 K). Nyquist 1928."""
    records = record(warm_resistor(Termination(), line=Line(2 * DT, 50.0)), ["end.arriving"], backend, 100, 10)
    return power(records["end.arriving"], 2.0 * DT)


@case("V29", "kT/C of 1 pF at 300 K behind 50 ohm, 1 kohm and 20 kohm, rms voltage", np.sqrt(KT / 1e-12), 0.0, "V")
def capacitor_noise(backend: str) -> Measured:
    """v_rms = sqrt(kT / C) = 64.35796 uV for any R (equipartition).

    Samples dt apart hold the band up to 1 / (2 dt) of the trapezoidal circuit, which is the part 1 / (1 + dt / 2RC) of
    the whole: the estimate is put in proportion.
    """
    values, bound = [], 0.0
    for resistance in (50.0, 1e3, 2e4):
        tau = resistance * 1e-12
        dt = tau / 5.0
        net = warm_resistor(Capacitor(1e-12), resistance)
        voltage = record(net, ["end.voltage"], backend, 300, 60, dt)["end.voltage"]
        values.append(float(np.sqrt(np.mean(voltage**2) * (1.0 + dt / (2.0 * tau)))))
        bound = SIGMAS * values[-1] * float(np.sqrt(0.5 * tau / dt / voltage.size))
    return Measured(np.array(values), bound)


@case("V29", "kT/L of 1 nH at 300 K behind 50 ohm, rms current", np.sqrt(KT / 1e-9), 0.0, "A")
def inductor_noise(backend: str) -> Measured:
    """i_rms = sqrt(kT / L) = 2.035177 uA; the same share of the band as for a capacitor, tau = L / R."""
    tau = 1e-9 / 50.0
    dt = tau / 5.0
    current = record(warm_resistor(Inductor(1e-9)), ["end.current"], backend, 300, 60, dt)["end.current"]
    value = float(np.sqrt(np.mean(current**2) * (1.0 + dt / (2.0 * tau))))
    return Measured(value, SIGMAS * value * float(np.sqrt(0.5 * tau / dt / current.size)))


def warm_network(kelvin: float, ends: float) -> Network:
    """A network of junctions, resistors, reactances and lossy lines at ``kelvin``, with three ends at ``ends`` K."""
    net = Network()
    net.add(ParallelJunction(4), "star"), net.add(SeriesJunction(3), "loop"), net.add(ParallelJunction(3), "tee")
    for name, port in (("a", "star.p1"), ("b", "loop.p2"), ("c", "tee.p3")):
        net.connect(net.add(Termination(temperature=ends), name), port, Line(2 * DT, 60.0, 0.7, temperature=kelvin))
    net.connect("star.p2", "loop.p1", Line(3 * DT, 35.0, 1.5, temperature=kelvin))
    net.connect("star.p3", "tee.p1", Line(4 * DT, 90.0, 3.0, temperature=kelvin))
    net.connect("loop.p3", "tee.p2", Line(DT, 50.0))
    net.connect("star.p4", net.add(Resistor(20.0, kelvin), "stub"), Line(DT, 120.0, 0.2, temperature=kelvin))
    return net


@case("V30", "network in equilibrium at 300 K: power out of its three ports over kT", [1.0, 1.0, 1.0], 0.0)
def equilibrium(backend: str) -> Measured:
    """Every port of a passive network whose parts all have T emits exactly kT, whatever is inside: second law."""
    waves = record(warm_network(KELVIN, KELVIN), ["a.arriving", "b.arriving", "c.arriving"], backend, 100, 200)
    values = np.array([np.mean(wave**2) for wave in waves.values()]) * 2.0 * DT / KT
    return Measured(values, SIGMAS * float(np.sqrt(2.0 / waves["a.arriving"].size)))


@case(
    "V30", "network in equilibrium at 300 K: correlation of what leaves a port with itself 1 to 6 steps later", 0.0, 0.0
)
def whiteness(backend: str) -> Measured:
    """kT at every frequency means no correlation in time: missing or double noise of one part would show as an echo."""
    wave = record(warm_network(KELVIN, KELVIN), ["a.arriving"], backend, 100, 200)["a.arriving"]
    values = [float(np.mean(wave[:-lag] * wave[lag:])) * 2.0 * DT / KT for lag in range(1, 7)]
    return Measured(np.array(values), SIGMAS / float(np.sqrt(wave[6:].size)))


def bosma() -> np.ndarray:
    """Covariance of what leaves a warm network with cold ends over kT / (2 dt): the mean of 1 - S S^H over the band."""
    frequencies = (np.arange(512) + 0.5) / (512 * 2.0 * DT)
    s = scattering_parameters(warm_network(0.0, 0.0), frequencies, ports=["a", "b", "c"], dt=DT).s
    return np.asarray(np.eye(3) - np.mean(np.real(s @ np.swapaxes(s, 1, 2).conj()), axis=0))


@case("V31", "Bosma: covariance of the noise out of three cold-ended ports of a warm network over kT", bosma, 0.0)
def bosma_covariance(backend: str) -> Measured:
    """C = kT (1 - S S^H), off-diagonals too. Bosma 1967. S is that of the frequency domain, averaged over the band."""
    waves = np.stack(
        list(record(warm_network(KELVIN, 0.0), ["a.arriving", "b.arriving", "c.arriving"], backend, 100, 200).values())
    ).reshape(3, -1)
    # The waves are correlated in time for a few round trips: count four samples as one.
    return Measured(
        waves @ waves.T / waves.shape[1] * 2.0 * DT / KT, SIGMAS * float(np.sqrt(2.0 * 4.0 / waves.shape[1]))
    )


@case("V32", "3 dB line at 300 K, cold matched source: output over kT", 1.0 - 10.0**-0.3, 0.0)
def warm_pad(backend: str) -> Measured:
    """kT (1 - 10^-0.3) = 0.49881 kT: what a line takes from a wave it gives back as noise."""
    net = Network()
    net.connect(
        net.add(Termination(), "cold"), net.add(Termination(), "out"), Line(2 * DT, 50.0, 3.0, temperature=KELVIN)
    )
    return power(record(net, ["out.arriving"], backend, 100, 10)["out.arriving"], 2.0 * DT / KT)
