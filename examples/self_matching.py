"""Circuits that are no neural networks learn to reflect nothing (docs/theory.md, "Circuits that learn to match").

    python examples/self_matching.py              # the figure of the docs, half a minute
    python examples/self_matching.py --ticks 20   # shorter

Every tunable number sits behind a port that hears the product of the two waves passing its node: the source's sines,
and the phase conjugate of what was reflected, which the source sends back. (a) A terminating resistor finds the
impedance of its line. (b) Two varactors match a complex load over a band. (c) Three line sections learn their
impedances. Crosses: the closed form, and an optimiser that knows the whole circuit in the frequency domain.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from devices.ideal import Gradient
from substrate import Capacitor, Line, Network, ParallelJunction, Resistor, VoltageSource
from substrate.frequency import scattering_parameters
from substrate.learning.circuit_ports import SelfMatching
from substrate.nodes import SeriesRLC, Shunt
from substrate.plots.style import BLACK, BLUE, CYCLE, GREY, new_figure, paper_style, save

DT = 5e-12
WINDOW = 2000  # steps, 10 ns: whole periods of 100 MHz
BAND = np.array([0.9e9, 1.0e9, 1.1e9])
WIDE = np.array([0.7e9, 0.8e9, 0.9e9, 1.0e9, 1.1e9, 1.2e9, 1.3e9])
SECONDS = 1e-6  # a tick of the devices


def resistor(start: float) -> Network:
    """A line of 50 ohm that ends in a resistor."""
    net = Network()
    net.connect(net.add(VoltageSource(), "src"), net.add(Resistor(start), "load"), Line(7 * DT), "w1")
    return net


def varactors() -> Network:
    """Two shunt varactors before an antenna of 20 ohm, 2 nH, 20 pF."""
    net = Network()
    net.add(VoltageSource(), "src")
    for name in ("c1", "c2"):
        net.add(Shunt(Capacitor(1.5e-12)), name)
    net.add(SeriesRLC(resistance=20.0, inductance=2e-9, capacitance=20e-12), "antenna")
    first, second = (port.name for port in net.nodes["c1"].ports)
    net.connect("src", f"c1.{first}", Line(8 * DT), "w0")
    net.connect(f"c1.{second}", f"c2.{first}", Line(50 * DT, loss_db=0.5), "w1")
    net.connect(f"c2.{second}", "antenna", Line(24 * DT, impedance=55.0, loss_db=0.5), "w2")
    return net


def sections() -> Network:
    """Three quarter-wave sections between 50 and 200 ohm, all of them 100 ohm at first."""
    net = Network()
    net.add(VoltageSource(), "src")
    net.add(Resistor(200.0), "load")
    before = "src.out"
    for number in range(4):
        end = "load.in" if number == 3 else f"{net.add(ParallelJunction(2), f'joint{number}')}.{JOINT[0]}"
        line = Line(50 * DT, impedance=100.0, loss_db=0.05) if number else Line(8 * DT)
        net.connect(before, end, line, f"w{number}")
        before = f"joint{number}.{JOINT[1]}"
    return net


JOINT = [port.name for port in ParallelJunction(2).ports]


def learn(network: Network, keys: list[str], rate: float, ticks: int, band: np.ndarray) -> dict[str, Any]:
    """Let the ports learn; traces of the numbers and of the reflected power, one row per tick."""
    dc = bool(np.all(band == 0.0))
    window = {"window": 1, "settle": 60} if dc else {"window": WINDOW, "settle": WINDOW}
    tuner = SelfMatching(network, keys, Gradient(rate), source="src", dt=DT, frequencies=band, **window)
    tuner.listen()  # the first echo
    times, values, power = [0.0], [list(tuner.values.values())], [tuner.listen().reflected]
    for _ in range(ticks):
        power.append(tuner.tick(SECONDS).reflected)
        times.append(tuner.time)
        values.append(list(tuner.values.values()))
    return {"time": np.array(times), "values": np.array(values), "power": np.array(power), "end": tuner.values}


def best(network: Network, keys: list[str], band: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Numbers and reflected power that an optimiser finds who knows the scattering matrix of the whole circuit."""

    def reflected(logs: np.ndarray) -> float:
        changed = network.changed(dict(zip(keys, start * np.exp(logs), strict=True)))
        return float(np.mean(np.abs(scattering_parameters(changed, band).s[:, 0, 0]) ** 2))

    found = minimize(reflected, np.zeros(len(keys)), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-10})
    return start * np.exp(found.x), float(found.fun)


def over_band(network: Network, values: dict[str, float], band: np.ndarray) -> np.ndarray:
    """Reflected power in dB against frequency."""
    s = scattering_parameters(network.changed(values), band).s[:, 0, 0]
    return 20.0 * np.log10(np.abs(s))


def draw_numbers(axes: Axes, runs: list[dict[str, Any]], labels: list[str], unit: str, factor: float) -> None:
    """Traces of the tunable numbers."""
    colours = iter(CYCLE)
    for run in runs:
        for column, label in zip(run["values"].T, labels, strict=True):
            axes.plot(run["time"] * 1e6, column * factor, color=next(colours), label=label)
    axes.set_xlabel("device time (µs)")
    axes.set_ylabel(unit)


def draw_band(axes: Axes, network: Network, run: dict[str, Any], keys: list[str], band: np.ndarray) -> None:
    """Reflected power against frequency, before and after."""
    wide = np.linspace(0.6e9, 1.4e9, 161)
    start = dict(zip(keys, run["values"][0], strict=True))
    axes.plot(wide / 1e9, over_band(network, start, wide), color=GREY, label="before")
    axes.plot(wide / 1e9, over_band(network, run["end"], wide), color=BLUE, label="learned")
    for edge in (band[0], band[-1]):
        axes.axvline(edge / 1e9, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_xlabel("frequency (GHz)")
    axes.set_ylabel("reflected power (dB)")
    axes.legend(loc="center")


def closed_form(start: float, rate: float, times: np.ndarray) -> np.ndarray:
    """Gradient flow of ((R - 50) / (R + 50))^2."""

    def flow(_: float, r: np.ndarray) -> np.ndarray:
        return -rate * 200.0 * (r - 50.0) / (r + 50.0) ** 3

    return np.asarray(solve_ivp(flow, (0.0, times[-1]), [start], t_eval=times, rtol=1e-10, atol=1e-10).y[0])


def main() -> None:
    """Learn three times, compare, draw and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ticks", type=int, default=400, help="of the devices")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/self_matching.png"))
    parser.add_argument("--results", type=Path, default=Path("docs/figures/self_matching.json"))
    options = parser.parse_args()
    rate = 4e8
    ends = [learn(resistor(r), ["load.resistance"], rate, options.ticks, np.zeros(1)) for r in (150.0, 15.0)]
    stubs, pairs = ["c1.part.capacitance", "c2.part.capacitance"], ["w1.impedance", "w2.impedance", "w3.impedance"]
    tuned = learn(varactors(), stubs, 6e-19, options.ticks, BAND)
    stepped = learn(sections(), pairs, 1e9, options.ticks, WIDE)
    rows = []
    for name, network, keys, run, band in (
        ("varactors", varactors(), stubs, tuned, BAND),
        ("sections", sections(), pairs, stepped, WIDE),
    ):
        numbers, power = best(network, keys, band, run["values"][0])
        run["best"] = numbers
        rows.append(
            {
                "circuit": name,
                "before": float(run["power"][0]),
                "learned": float(run["power"][-1]),
                "optimiser": power,
                "values": run["values"][-1].tolist(),
                "optimiser_values": numbers.tolist(),
            }
        )
        print(f"{name}: reflected {run['power'][0]:.4f} -> {run['power'][-1]:.6f}; an optimiser reaches {power:.6f}")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps({"study": {"ticks": options.ticks}, "rows": rows}, indent=1) + "\n")
    draw(ends, tuned, stepped, stubs, pairs, rate, options.figure)
    print(f"wrote {options.results} and {options.figure}")


def draw(
    ends: list[dict[str, Any]],
    tuned: dict[str, Any],
    stepped: dict[str, Any],
    stubs: list[str],
    pairs: list[str],
    rate: float,
    path: Path,
) -> None:
    """Traces above, what they do to the reflected power below."""
    with paper_style():
        figure = new_figure(4.2)
        axes = figure.subplots(2, 3)
        draw_numbers(axes[0, 0], ends, ["resistance"], "ohm", 1.0)
        for run in ends:
            times = run["time"][:: max(1, len(run["time"]) // 12)]
            axes[0, 0].plot(times * 1e6, closed_form(run["values"][0, 0], rate, times), "x", color=BLACK, markersize=3)
            axes[1, 0].semilogy(run["time"] * 1e6, np.maximum(run["power"], 1e-16))
        axes[0, 0].set_title("a   A resistor finds its line")
        axes[1, 0].set_xlabel("device time (µs)")
        axes[1, 0].set_ylabel("reflected share of the power")
        for column, title, run, labels, unit, factor in (
            (1, "b   Two varactors before an antenna", tuned, ["c1", "c2"], "pF", 1e12),
            (2, "c   Three line sections", stepped, ["w1", "w2", "w3"], "ohm", 1.0),
        ):
            draw_numbers(axes[0, column], [run], labels, unit, factor)
            axes[0, column].plot([run["time"][-1] * 1e6] * len(labels), run["best"] * factor, "x", color=BLACK)
            axes[0, column].legend(loc="center", bbox_to_anchor=(0.6, 0.62))
            axes[0, column].set_title(title)
        draw_band(axes[1, 1], varactors(), tuned, stubs, BAND)
        draw_band(axes[1, 2], sections(), stepped, pairs, WIDE)
        save(figure, path)


if __name__ == "__main__":
    main()
