"""Noise of sources in a run: the spectrum of each kind within confidence bounds, switches, the same bits always."""

import numpy as np
import pytest

from substrate import Line, Network, Probe, Simulation, compile_network
from substrate.errors import NetworkError
from substrate.netfile import parse_netfile
from substrate.nodes import (
    Amplifier,
    Attenuator,
    LaserSource,
    Resistor,
    Termination,
    VoltageSource,
)
from substrate.noise.sources import ELEMENTARY_CHARGE, Flicker, Quantiser, Telegraph, lorentzian_psd
from substrate.noise.switch import KINDS
from substrate.noisy import NoisySampler, Stream
from substrate.waveforms import Noisy, Sine, Step

from .noise_runs import DT, KELVIN, LIGHT, SIGMAS, recorded

# --- noise of sources -----------------------------------------------------------------------------------------------


def emission(waveform, steps=2000, batch=100, backend="cpu", dtype="float64", dt=DT, **noise):
    """What a laser with ``waveform`` sends, ``[steps, batch]``."""
    net = Network()
    net.connect(net.add(LaserSource(waveform), "laser"), net.add(Termination(), "out"), Line(dt))
    return recorded(net, ["out"], steps, batch, backend, dt, dtype, settle=1, **noise)["out"]


def density(traces, dt):
    """One-sided periodogram ``[frequencies]`` of ``[steps, batch]`` without their mean, and its relative spread."""
    steps, batch = traces.shape
    spectrum = np.abs(np.fft.rfft(traces - traces.mean(), axis=0)) ** 2 * 2.0 * dt / steps
    return np.fft.rfftfreq(steps, dt), spectrum.mean(axis=1), 1.0 / np.sqrt(batch)


def agrees(measured, expected, spread):
    """Whether densities agree over all bands, each of a few bins, within their statistics; and x1.1 does not."""
    ratio = [np.mean(part) for part in np.array_split(measured / expected, 8)]
    bound = SIGMAS * spread / np.sqrt(len(measured) / 8)
    assert np.abs(np.array(ratio) - 1.0).max() < bound, ratio
    assert np.abs(1.21 * np.array(ratio) - 1.0).min() > bound


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_relative_intensity_noise(dt) -> None:
    """r = -130 dB/Hz of the power, at two steps."""
    f, measured, spread = density(emission(Noisy(Step(1.0), rin_db=-130.0), dt=dt) ** 2, dt)
    agrees(measured[1:-1], np.full(len(f) - 2, 1e-13), spread)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_linewidth(dt) -> None:
    """The frequency has the density dnu / pi; the field's correlation falls as exp(-pi dnu t)."""
    linewidth = 1e9
    field = emission(Noisy(Step(1.0), linewidth=linewidth), dtype="complex128", dt=dt)
    turned = np.diff(np.unwrap(np.angle(field), axis=0), axis=0) / (2 * np.pi * dt)
    f, measured, spread = density(turned, dt)
    agrees(measured[1:-1], np.full(len(f) - 2, linewidth / np.pi), spread)
    assert np.allclose(np.abs(field), 1.0)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_shot_noise(dt) -> None:
    """2 q I of a current of 1 mA that flows into 50 ohm, half of it into the matched end."""
    net = Network()
    source = VoltageSource(Noisy(Step(0.05), shot_resistance=50.0), 50.0)
    net.connect(net.add(source, "source"), net.add(Termination(), "end"), Line(dt))
    wave = recorded(net, ["end"], 1000, 100, dt=dt, settle=1)["end"]
    current = 2.0 * wave / np.sqrt(50.0)
    assert current.mean() == pytest.approx(1e-3, rel=1e-3)
    f, measured, spread = density(current, dt)
    agrees(measured[1:-1], np.full(len(f) - 2, 2 * ELEMENTARY_CHARGE * 1e-3), spread)


def smooth_density(traces, dt):
    """As density, through a Hann window: red noise does not leak into high frequencies, bins are not independent."""
    window = np.hanning(len(traces) + 1)[:-1, None] * np.sqrt(8.0 / 3.0)
    spectrum = np.abs(np.fft.rfft(window * (traces - traces.mean()), axis=0)) ** 2 * 2.0 * dt / len(traces)
    return np.fft.rfftfreq(len(traces), dt), spectrum.mean(axis=1), np.sqrt(35.0 / 18.0 / traces.shape[1])


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_flicker_telegraph_and_wander(dt) -> None:
    """1/f and telegraph noise of the size, and a phase that wanders, against the spectra of their samples."""
    pink = Flicker(1e-4, 1e9, 1e11)
    f, measured, spread = smooth_density(emission(Noisy(Step(1.0), flicker=pink), 1000, 600, dt=dt), dt)
    agrees(measured[8:-1], pink.psd(f, dt)[8:-1], spread)
    trap = Telegraph(2e10, 1e10)
    wave = emission(Noisy(Step(1.0), telegraph=trap, telegraph_size=0.1), 1000, 600, dt=dt)
    f, measured, spread = smooth_density(wave, dt)
    agrees(measured[8:-1], 0.01 * trap.psd(f, dt)[8:-1], spread * 1.5)  # two levels: not quite normal
    field = emission(Noisy(Step(1.0), wander=0.02, wander_time=20e-12), 1000, 600, dtype="complex128", dt=dt)
    f, measured, spread = smooth_density(np.angle(field), dt)
    agrees(measured[8:-1], lorentzian_psd(f, 20e-12, 4e-4, dt)[8:-1], spread)


def test_halving_the_step_leaves_slow_noise_where_it_is() -> None:
    """At low frequencies aliases do not count: the densities in continuous time fit at both steps."""
    pink, trap = Flicker(1e-4, 1e9, 1e11), Telegraph(2e10, 1e10)
    for dt in (DT, DT / 2):
        low = slice(8, 8 + round(4e10 * 1000 * dt))  # up to 48 GHz, a tenth of the band
        f, measured, spread = smooth_density(emission(Noisy(Step(1.0), flicker=pink), 1000, 2000, dt=dt), dt)
        agrees(measured[low], pink.psd(f)[low], 1.5 * spread)
        wave = emission(Noisy(Step(1.0), telegraph=trap, telegraph_size=0.1), 1000, 2000, dt=dt)
        f, measured, spread = smooth_density(wave, dt)
        agrees(measured[low], 0.01 * trap.psd(f)[low], 1.5 * spread)


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_jitter(dt) -> None:
    """A sine sampled at moments that jitter: error 2 pi f sigma A / sqrt(2), while the jitter is small, at any step."""
    tone, jitter = Sine(1.0, 50e9), 0.05e-12
    error = emission(Noisy(tone, jitter=jitter), dt=dt) - emission(tone, dt=dt)
    expected = (2 * np.pi * 50e9 * jitter) ** 2 / 2
    spread = np.sqrt(3.0 / error.size)
    assert abs(np.mean(error**2) / expected - 1.0) < SIGMAS * spread
    assert abs(1.21 * np.mean(error**2) / expected - 1.0) > 10 * spread


def test_converters_at_sources_and_probes() -> None:
    """A full-scale sine through 8 bits has 6.02 N + 1.76 dB (and the levels of a converter with a middle); clipping."""
    tone = Sine(1.0, 17.77e9)
    wave, exact = emission(Noisy(tone, bits=8, bound=1.0), 20_000, 1), emission(tone, 20_000, 1)
    step = 2.0 / (2**8 - 2)
    assert np.mean((wave - exact) ** 2) == pytest.approx(step**2 / 12, rel=0.03)
    assert np.mean((1.1 * (wave - exact)) ** 2) != pytest.approx(step**2 / 12, rel=0.03)
    assert emission(Noisy(Sine(3.0, 17.77e9), bits=8, bound=1.0), 100, 1).max() == pytest.approx(1.0)
    net = Network()
    net.connect(net.add(LaserSource(tone), "laser"), net.add(Termination(), "out"), Line(DT))
    probe = Probe("out", function=Quantiser(4, 0.5), name="adc")
    simulation = Simulation(compile_network(net, DT, reference_power=1.0, probes=[probe]))
    simulation.run(200)
    levels = np.unique(simulation.take_probes()["adc"])
    assert levels.max() == 0.5
    assert levels.min() == -0.5
    assert len(levels) <= 15


# --- switches and bits ----------------------------------------------------------------------------------------------

FULL = Noisy(
    Step(1.0), rin_db=-130.0, linewidth=1e8, flicker=Flicker(1e-5, 1e9, 1e11), phase_flicker=Flicker(1e-5, 1e9, 1e11),
    telegraph=Telegraph(1e10, 1e10), telegraph_size=0.1, wander=0.01, wander_time=1e-11, shot_resistance=50.0,
    jitter=1e-14,
)  # fmt: skip


def everything() -> Network:
    net = Network()
    net.add(LaserSource(FULL), "laser"), net.add(LaserSource(FULL), "second")
    net.add(Attenuator(1.0, KELVIN), "pad"), net.add(Amplifier(3.0, 2.0), "amplifier")
    net.connect("laser", "pad.in", Line(2 * DT, loss_db=1.0, temperature=KELVIN))
    net.connect("pad.out", "amplifier.in", Line(3 * DT))
    net.connect("amplifier.out", net.add(Termination(temperature=KELVIN), "out"), Line(DT))
    net.connect(
        "second",
        net.add(Resistor(75.0, KELVIN), "end"),
        Line(2.5 * DT, fractional="linear", temperature=KELVIN, loss_db=1.0),
    )
    return net


def run(
    net,
    probes=("out", "end"),
    *,
    steps=(3000,),
    batch=2,
    offset=0,
    backend="cpu",
    block=None,
    dtype="complex128",
    **noise,
):
    plan = compile_network(net, DT, reference_power=1e-9, probes=[Probe(at) for at in probes], **noise)
    simulation = Simulation(plan, batch=batch, backend=backend, dtype=dtype, batch_offset=offset, block=block, seed=9)
    for count in steps:
        simulation.run(count)
    return {label: values[:, 0] for label, values in simulation.take_probes().items()}


def test_the_same_bits_however_a_run_is_cut() -> None:
    """Calls, blocks, batch splits and probes change no bit of any noise, processes with memory included."""
    whole = run(everything(), carrier=LIGHT)
    for other in (
        run(everything(), steps=(1, 1023, 700, 1276), carrier=LIGHT),
        run(everything(), block=1, carrier=LIGHT),
        run(everything(), ["end", "laser", "pad.in", "out"], carrier=LIGHT),
    ):
        assert all(np.array_equal(other[label], whole[label]) for label in whole)
    halves = [run(everything(), batch=1, offset=offset, carrier=LIGHT) for offset in (0, 1)]
    for label, wave in whole.items():
        assert np.allclose(np.concatenate([half[label] for half in halves], axis=1), wave, rtol=1e-12, atol=1e-15)


def test_backends_draw_the_same(backend) -> None:
    first, second = (run(everything(), steps=(1500,), backend=name, carrier=LIGHT) for name in ("cpu", backend))
    assert all(np.allclose(first[label], second[label], rtol=1e-11, atol=1e-14) for label in first)


def test_a_checkpoint_goes_on_with_the_same_noise() -> None:
    plan = compile_network(everything(), DT, reference_power=1e-9, probes=[Probe("out")])
    whole, part, rest = (Simulation(plan, dtype="complex128", seed=9) for _ in range(3))
    whole.run(1500)
    part.run(700)
    rest.restore(part.checkpoint())
    rest.run(800)
    assert np.array_equal(rest.take_probes()["out.arriving"], whole.take_probes()["out.arriving"][700:])


def test_each_kind_can_be_switched_alone() -> None:
    """Nothing on is the noise-free run; each kind alone differs from it, and leaves the bits of the others."""
    net = everything()
    silent = run(net, steps=(300,), noise=())
    again = run(net, steps=(300,), noise=())
    assert all(np.array_equal(silent[label], again[label]) for label in silent)
    heard = set()
    for kind in KINDS:
        carrier = LIGHT if kind == "vacuum" else None
        alone = run(net, steps=(300,), noise=(kind,), carrier=carrier)
        if any(not np.array_equal(alone[label], silent[label]) for label in silent):
            heard.add(kind)
    assert heard == set(KINDS) - {"spontaneous", "jitter", "quantisation"}  # this network has none, or a steady wave


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"there is no 'brown'"):
        compile_network(everything(), DT, noise=("brown",))
    with pytest.raises(NetworkError, match="carrier is an optical frequency above 0 Hz"):
        compile_network(everything(), DT, carrier=-1.0)
    with pytest.raises(NetworkError, match="needs linewidth of at least 0"):
        Noisy(Step(1.0), linewidth=-1.0)
    with pytest.raises(NetworkError, match="wander_time above 0 s"):
        Noisy(Step(1.0), wander=0.1)
    with pytest.raises(NetworkError, match="both telegraph"):
        Noisy(Step(1.0), telegraph_size=0.1)
    with pytest.raises(NetworkError, match="give one Noisy all fields"):
        Noisy(Noisy(Step(1.0)))
    with pytest.raises(NetworkError, match="envelope of complex numbers"):
        run(everything(), dtype="float64")


def test_noise_in_a_netfile() -> None:
    text = """
schema = 1
kind = "circuit"
[simulation]
duration = "20 ps"
dt = "1 ps"
dtype = "complex128"
noise = ["linewidth"]
carrier = "193.4 THz"
probes = ["out.arriving"]
[nodes.laser]
type = "LaserSource"
[nodes.laser.waveform]
type = "Noisy"
linewidth = "1 MHz"
rin_db = -140.0
[nodes.laser.waveform.waveform]
type = "Step"
amplitude = 1.0
[nodes.out]
type = "Termination"
[lines.w]
from = "laser"
to = "out"
delay = "1 ps"
"""
    field = parse_netfile(text).simulate()["out.arriving"][2:]
    assert np.allclose(np.abs(field), 1.0, rtol=1e-12)  # the linewidth alone runs
    assert np.ptp(np.angle(field)) > 0.0


def test_sources_draw_the_same_bits_for_any_part_of_the_batch() -> None:
    """Processes with memory too, whatever piece is asked for first."""
    whole = NoisySampler(FULL, DT, Stream(7, 100, 5, 3), frozenset(KINDS))(0, 2500)
    for first, count in ((0, 2), (2, 3)):
        part = NoisySampler(FULL, DT, Stream(7, 100, count, 3 + first), frozenset(KINDS))
        late = part(2000, 500)
        assert np.array_equal(late, whole[2000:, first : first + count])
        assert np.array_equal(part(10, 1200), whole[10:1210, first : first + count])
