"""Circuits that learn to match: port gradients beside closed forms, differences and frequency-domain optimisation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from devices.ideal import Gradient
from substrate import Capacitor, Line, Network, Resistor, SubstrateError, VoltageSource
from substrate.frequency import scattering_parameters
from substrate.learning.circuit_ports import SelfMatching
from substrate.nodes import SeriesRLC, Shunt

DT = 5e-12


def terminated(resistance, *, z=50.0, loss_db=0.0):
    net = Network()
    net.connect(
        net.add(VoltageSource(resistance=z), "src"),
        net.add(Resistor(resistance), "load"),
        Line(delay=7 * DT, impedance=z, loss_db=loss_db),
        "w1",
    )
    return net


def tuner_circuit():
    """Two shunt varactors, half a wavelength apart, before a complex load.

    Varactors short out what is fast, so the start rings on between them until the loss of the lines has taken it.
    """
    net = Network()
    net.add(VoltageSource(resistance=50.0), "src")
    net.add(Shunt(Capacitor(1.5e-12)), "c1")
    net.add(Shunt(Capacitor(1.5e-12)), "c2")
    net.add(SeriesRLC(resistance=20.0, inductance=2e-9, capacitance=20e-12), "antenna")
    first, second = (port.name for port in net.nodes["c1"].ports)
    net.connect("src", f"c1.{first}", Line(8 * DT), "w0")
    net.connect(f"c1.{second}", f"c2.{first}", Line(50 * DT, loss_db=0.5), "w1")
    net.connect(f"c2.{second}", "antenna", Line(24 * DT, impedance=55.0, loss_db=0.5), "w2")
    return net


BAND = np.array([0.9e9, 1.0e9, 1.1e9])
WINDOW = 2000  # steps: 10 ns, whole periods of 100 MHz


def test_a_terminating_resistor_hears_the_closed_form(backend):
    for resistance, loss in ((150.0, 0.0), (20.0, 1.0)):
        tuner = SelfMatching(
            terminated(resistance, loss_db=loss),
            ["load.resistance"],
            Gradient(1.0),
            source="src",
            dt=DT,
            frequencies=[0.0],
            backend=backend,
        )
        tuner.listen()
        heard = tuner.listen()  # the first one sends the first echo
        gamma, slope = (resistance - 50.0) / (resistance + 50.0), 100.0 / (resistance + 50.0) ** 2
        passed = 10.0 ** (-loss / 5.0)  # power there and back
        assert heard.reflected == pytest.approx(passed * gamma**2, rel=1e-12)
        assert heard.gradient["load.resistance"] == pytest.approx(2.0 * passed * gamma * slope, rel=1e-10)


def test_the_resistor_follows_gradient_descent_to_the_match():
    rate = 1.25e11
    tuner = SelfMatching(terminated(150.0), ["load.resistance"], Gradient(rate), source="src", dt=DT, frequencies=[0.0])
    tuner.listen()
    seen = []
    for _ in range(1200):
        tuner.tick(DT * 200)
        seen.append(tuner.values["load.resistance"])
    times = np.arange(1, 1201) * DT * 200

    def flow(_, r):
        return -rate * 2.0 * (r - 50.0) / (r + 50.0) * 100.0 / (r + 50.0) ** 2

    exact = solve_ivp(flow, (0.0, times[-1]), [150.0], t_eval=times, rtol=1e-10, atol=1e-10).y[0]
    assert np.abs(np.array(seen) - exact).max() < 0.6  # ohm; ticks of finite length, and the echo one tick late
    assert abs(seen[-1] - exact[-1]) < 0.05 and seen[-1] < 52.0


@pytest.mark.parametrize("dt", [DT, DT / 2])
def test_port_gradients_are_those_of_the_reflected_power(dt):
    network = tuner_circuit()
    keys = ["c1.part.capacitance", "c2.part.capacitance", "w1.impedance", "w2.impedance", "w1.loss_db"]
    window = round(10e-9 / dt)
    options = {"source": "src", "dt": dt, "frequencies": BAND, "window": window, "settle": 20 * window}
    tuner = SelfMatching(network, keys, Gradient(1.0), **options)
    tuner.listen()
    heard = tuner.listen()

    def reflected(key, share):
        other = SelfMatching(network.changed({key: tuner.values[key] * (1.0 + share)}), keys, Gradient(1.0), **options)
        return other.listen().reflected

    for key in keys:
        one, two = (reflected(key, h) - reflected(key, -h) for h in (1e-3, 2e-3))
        exact = (8.0 * one - two) / (12.0 * 1e-3 * tuner.values[key])
        assert heard.gradient[key] == pytest.approx(exact, rel=1e-7), key
    # The continuous circuit, which the trapezoidal rule approaches as dt squared.
    gamma = scattering_parameters(network, BAND).s[:, 0, 0]
    np.testing.assert_allclose(np.abs(gamma), np.abs(heard.reflection), atol=1e-4 * (dt / DT) ** 2)


def test_a_varactor_tuner_learns_to_match_a_complex_load():
    keys = ["c1.part.capacitance", "c2.part.capacitance"]
    network = tuner_circuit()
    options = {"source": "src", "dt": DT, "frequencies": BAND, "window": WINDOW, "settle": WINDOW}
    tuner = SelfMatching(network, keys, Gradient(6e-25), **options)
    tuner.listen()
    power = [tuner.tick(1.0).reflected for _ in range(400)]

    def reflected(picofarads):
        changed = network.changed({key: 1e-12 * c for key, c in zip(keys, picofarads, strict=True)})
        return float(np.mean(np.abs(scattering_parameters(changed, BAND).s[:, 0, 0]) ** 2))

    best = minimize(reflected, [2.0, 3.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12})
    assert power[-1] < 0.3 * power[0]
    assert power[-1] == pytest.approx(best.fun, rel=0.01)
    np.testing.assert_allclose([tuner.values[key] * 1e12 for key in keys], best.x, rtol=0.02)


def test_the_example_runs(tmp_path):
    script = Path(__file__).parents[2] / "examples" / "self_matching.py"
    environment = {**os.environ, "PYTHONPATH": str(script.parents[1])}
    options = ["--ticks", "6", "--figure", "figure.png", "--results", "results.json"]
    command = [sys.executable, str(script), *options]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["circuit"] for row in rows] == ["varactors", "sections"]
    assert all(row["optimiser"] <= row["learned"] < row["before"] for row in rows)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_what_cannot_be_tuned_is_refused():
    def make(network=None, tunable=("load.resistance",), **other):
        options = {"source": "src", "dt": DT, "frequencies": [0.0], **other}
        SelfMatching(network or terminated(75.0), list(tunable), Gradient(1.0), **options)

    with pytest.raises(SubstrateError, match="There is no 'lod' to tune"):
        make(tunable=["lod.resistance"])
    with pytest.raises(SubstrateError, match="impedance, loss_db and phase can be tuned, not 'delay'"):
        make(tunable=["w1.delay"])
    with pytest.raises(SubstrateError, match="whole periods"):
        make(frequencies=[1e9], window=7)
    with pytest.raises(SubstrateError, match="must be matched to its line"):
        make(network=terminated(75.0).changed({"src.resistance": 60.0}))
