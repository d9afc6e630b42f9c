"""Rings and rows of rings: optical envelopes that settle to the known transmissions, round trip by round trip."""

import numpy as np

from substrate.frequency import scattering_parameters
from substrate.network import Line, Network
from substrate.nodes.photonic import Coupler, LaserSource
from substrate.nodes.termination import Termination
from substrate.rings import add_crow, waveguide
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Step

PS = 1e-12
TAU2, LOSS_DB = 0.5, 1.0  # power straight on at the coupler, loss of a round trip
TAU, A = np.sqrt(TAU2), 10.0 ** (-LOSS_DB / 20.0)


def ring(phase: float) -> Network:
    """An all-pass ring whose round trip lasts 10 ps and turns by ``phase``."""
    net = Network()
    net.add(Coupler(1.0 - TAU2), "coupler")
    net.connect(net.add(LaserSource(Step(1.0)), "src"), "coupler.in1", Line(PS))
    net.connect("coupler.out1", net.add(Termination(), "through"), Line(PS))
    net.connect("coupler.out2", "coupler.in2", Line(10 * PS, loss_db=LOSS_DB, phase=phase), "loop")
    return net


TRANSMITTED = [((TAU - A) / (1 - TAU * A)) ** 2, ((TAU + A) / (1 + TAU * A)) ** 2]


@case("V16", "all-pass ring, power transmitted on and off resonance", TRANSMITTED, 1e-12)
def ring_transmission(backend: str) -> np.ndarray:
    """T = |(tau - a e^(i phi)) / (1 - tau a e^(i phi))|^2: 0.24797310 on, 0.96130474 off resonance. Yariv 2000, eq. 7.

    Crossing the coupler twice turns the wave by (-i)^2 = -1 against what goes straight on: with a round trip of phi = 0
    the two take from each other, which is resonance.
    """
    return np.array([abs(through(phase)) ** 2 for phase in (0.0, np.pi)])


def through(phase: float) -> complex:
    """Amplitude that goes through at the carrier."""
    response = scattering_parameters(ring(phase), [0.0], ports=["src", "through"])
    return complex(response["through", "src"][0])


def round_trips(count: int) -> np.ndarray:
    """Amplitude after each round trip of a ring on resonance, E_n = tau - (1 - tau^2) a sum_k<n (tau a)^k."""
    return np.array([TAU - (1 - TAU2) * A * sum((TAU * A) ** k for k in range(n)) for n in range(count)])


@case("V16", "all-pass ring on resonance, step response per round trip", round_trips(6), 1e-12)
def ring_steps(backend: str) -> np.ndarray:
    """0.70710678, 0.26148131, -0.01935613, -0.19634257, -0.30788113, -0.37817379 (geometric sum of round trips)."""
    traces = simulate(ring(0.0), 60 * PS, PS, ["through.arriving"], backend=backend, dtype="complex128")
    return np.asarray(traces["through.arriving"][5::10])


LENGTH, INDEX, WAVELENGTH = 50e-6, 2.86, 1.55e-6
QUANTITY = "CROW of {} rings, power through, drop, add, and their sum"


def crow(rings: int) -> Network:
    """Lossless rings of 50 um with couplings of one half, between matched buses."""
    net = Network()
    ports = add_crow(net, "crow", rings, LENGTH, waveguide(INDEX, INDEX, WAVELENGTH), 0.5)
    net.connect(net.add(LaserSource(Step(1.0)), "src"), ports.input, Line(STEP))
    for name, port in (("through", ports.through), ("drop", ports.drop), ("add", ports.add)):
        net.connect(port, net.add(Termination(), name), Line(STEP))
    return net


STEP = INDEX * LENGTH / 2.0 / 299_792_458.0 / 10.0  # s, a tenth of half a ring


def crow_powers(rings: int) -> np.ndarray:
    """Powers at the three outputs and their sum, in the frequency domain."""
    response = scattering_parameters(crow(rings), [0.0], ports=["src", "through", "drop", "add"])
    powers = np.abs(np.array([response[name, "src"][0] for name in ("through", "drop", "add")])) ** 2
    return np.append(powers, powers.sum())


@case("V18", QUANTITY.format(1), [0.80778829, 0.19221171, 0.0, 1.0], 1e-8)
def one_ring(backend: str) -> np.ndarray:
    """Power coupling 0.5, n_eff = n_g = 2.86 at 1.55 um: the add-drop ring of Bogaerts 2012, eq. 4 and 5."""
    return crow_powers(1)


@case("V18", QUANTITY.format(3), [0.95324615, 0.04675385, 0.0, 1.0], 1e-8)
def three_rings(backend: str) -> np.ndarray:
    """Three coupled rings, Yariv 1999; nothing returns to the add port and nothing is lost."""
    return crow_powers(3)


@case("V18", "CROW of 3 rings, settled amplitudes in time against frequency", 0.0, 1e-7)
def crow_settles(backend: str) -> float:
    """After 2000 steps (100 round trips of one ring) the envelope is the frequency solution at the carrier."""
    net = crow(3)
    response = scattering_parameters(net, [0.0], ports=["src", "through", "drop", "add"], dt=STEP)
    probes = [f"{name}.arriving" for name in ("through", "drop", "add")]
    traces = simulate(net, 2000 * STEP, STEP, probes, backend=backend, dtype="complex128")
    return max(abs(traces[f"{name}.arriving"][-1] - response[name, "src"][0]) for name in ("through", "drop", "add"))
