"""CROW and Clements meshes with delays against photontorch: same network, same steps, same single precision.

The CROW has power couplings of 0.5 and rings of 50 um; the mesh is N columns of Mach-Zehnder interferometers with a
delay in every arm. Both sides step the same numbers of steps, and detect power at the same places.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import agree, differ, medians, report, skipped

from substrate import Line, Network, Probe, Simulation, Termination, compile_network
from substrate.nodes import Coupler, LaserSource
from substrate.waveforms import Step

LIGHT, INDEX, DT = 299_792_458.0, 2.86, 1e-14
PORTS = ("in1", "in2", "out1", "out2")
TOLERANCE = 2e-4  # of single precision on both sides
PEER = Path(__file__).parent / "peers" / "run_photontorch.py"


def crow(rings: int, wavelengths: np.ndarray, duration: int) -> dict[str, np.ndarray]:
    """Half rings of 24 steps: 50 um of index 2.86 round, but for the last part in a hundred."""
    steps, lines = 24, []
    for k in range(rings):
        lines += [(k, 3, k + 1, 0), (k + 1, 2, k, 1)]
    return {
        "couplers": np.full(rings + 1, 0.5), "lines": np.array(lines), "steps": np.full(2 * rings, steps),
        "phases": np.zeros(2 * rings), "sources": np.array([[0, 0]]), "detectors": np.array([[0, 2], [rings, 3]]),
        "ends": np.array([[rings, 1]]), "input": np.ones((1, 1)), "wavelengths": wavelengths, "index": np.array(INDEX),
        "duration": np.array(duration),
    }  # fmt: skip


def mesh(size: int, batch: int, duration: int, arm: int = 4, gap: int = 8) -> dict[str, np.ndarray]:
    """N columns of interferometers in a brick pattern; arms last ``arm`` steps, lines from column to column
    ``gap``."""
    rng, couplers, lines, steps, free = np.random.default_rng(0), [], [], [], {}
    first: dict[int, tuple[int, int]] = {}
    for column in range(size):
        for top in range(column % 2, size - 1, 2):
            a, b = len(couplers), len(couplers) + 1
            couplers += [0.5, 0.5]
            lines += [(a, 2, b, 0), (a, 3, b, 1)]
            steps += [arm, arm]
            for rail, port in ((top, 0), (top + 1, 1)):
                if rail in free:
                    lines.append((*free[rail], a, port))
                    steps.append(gap)
                else:
                    first[rail] = (a, port)
                free[rail] = (b, port + 2)
    return {
        "couplers": np.array(couplers), "lines": np.array(lines), "steps": np.array(steps),
        "phases": rng.uniform(0, 2 * np.pi, len(lines)), "sources": np.array([first[r] for r in range(size)]),
        "detectors": np.array([free[r] for r in range(size)]), "ends": np.zeros((0, 2), int),
        "input": rng.uniform(0.2, 1.0, (size, batch)), "wavelengths": np.array([1.55e-6]), "index": np.array(INDEX),
        "duration": np.array(duration),
    }  # fmt: skip


def ours(problem: dict[str, np.ndarray], backend: str = "cpu") -> Simulation:
    """The same network here; wavelengths and inputs are samples of the batch."""
    net, wavelengths = Network(), problem["wavelengths"]
    for index, coupling in enumerate(problem["couplers"].tolist()):
        net.add(Coupler(coupling), f"c{index}")
    port = lambda place: f"c{place[0]}.{PORTS[place[1]]}"  # noqa: E731
    for index, (row, steps) in enumerate(zip(problem["lines"].tolist(), problem["steps"].tolist(), strict=True)):
        length = steps * DT * LIGHT / INDEX
        phase = 2.0 * np.pi * INDEX * length / wavelengths + problem["phases"][index]
        line = Line(steps * DT, phase=phase if len(phase) > 1 else float(phase[0]))
        net.connect(port(row[:2]), port(row[2:]), line, f"w{index}")
    for index, place in enumerate(problem["sources"].tolist()):
        amplitude = problem["input"][index]
        net.add(LaserSource(Step(amplitude if len(amplitude) > 1 else float(amplitude[0]))), f"s{index}")
        net.connect(f"s{index}", port(place))
    for kind in ("detectors", "ends"):
        for index, place in enumerate(problem[kind].tolist()):
            net.add(Termination(), f"{kind}{index}")
            net.connect(port(place), f"{kind}{index}")
    probes = [Probe(f"detectors{index}", "power") for index in range(len(problem["detectors"]))]
    batch = max(len(wavelengths), problem["input"].shape[1])
    plan = compile_network(net, DT, reference_power=1.0, probes=probes)
    return Simulation(plan, batch=batch, dtype="complex64", backend=backend)


def interpreter(chosen: str) -> str | None:
    """A Python that has photontorch: the one named, the one in PHOTONTORCH_PYTHON, or this one."""
    for python in (chosen, os.environ.get("PHOTONTORCH_PYTHON", ""), sys.executable):
        if python and subprocess.run([python, "-c", "import torch, photontorch"], capture_output=True).returncode == 0:
            return python
    return None


def theirs(python: str, problem: dict[str, np.ndarray], rounds: int) -> tuple[np.ndarray, float]:
    """Power at the detectors ``[steps, detectors, batch]``, and the median seconds of a run."""
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder) / "problem.npz", Path(folder) / "answer.npz"
        np.savez(question, rounds=np.array(rounds), **problem)
        done = subprocess.run([python, str(PEER), str(question), str(answer)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"photontorch failed:\n{done.stderr[-2000:]}")
        found = np.load(answer)
        power, seconds = found["power"], float(np.median(found["seconds"]))
    power = power.transpose(0, 2, 1, 3)  # [steps, detectors, wavelengths, batch]
    return power.reshape(*power.shape[:2], -1), seconds


def detected(simulation: Simulation, steps: int) -> np.ndarray:
    """Power at the detectors ``[steps, detectors, batch]``."""
    simulation.run(steps)
    return np.stack([values[:, 0] for values in simulation.take_probes().values()], axis=1)


def compare(
    case: str,
    problem: dict[str, np.ndarray],
    python: str | None,
    rounds: int,
    floor: str,
    peer_steps: int | None = None,
) -> None:
    """Run both sides in turn, compare what they detected, and report the ratio of the medians.

    With ``peer_steps`` the peer runs so many steps only, and its time is that per step: it does the same at every step.
    """
    simulation, steps = ours(problem), int(problem["duration"])
    seen = detected(simulation, steps)

    def run() -> None:
        simulation.run(steps)
        simulation.take_probes()

    updates = 4 * len(problem["couplers"]) * simulation.batch * steps
    if python is None:
        (seconds,) = medians(5, run)
        print(f"{case}: {updates / seconds / 1e6:.4g} M ends x batch per s, {seconds:.4g} s", flush=True)
        skipped(case, "photontorch")
        return
    before = medians(3, run)[0]
    short = peer_steps or steps
    power, peer_seconds = theirs(python, {**problem, "duration": np.array(short)}, rounds)
    peer_seconds *= steps / short
    seconds = float(np.median([before, *medians(3, run)]))
    agree(case, seen[:short], power, TOLERANCE)
    wrong = detected(ours({**problem, "couplers": 1.02 * problem["couplers"]}), short)
    differ(case, wrong, power, TOLERANCE, "couplings 2 % wrong")
    print(f"{case}: {updates / seconds / 1e6:.4g} M ends x batch per s, theirs {updates / peer_seconds / 1e6:.4g} M")
    how = f"photontorch {peer_seconds:.3g} s" + (f" (its {short} steps times {steps / short:g})" if peer_steps else "")
    report(case, peer_seconds / seconds, f"{how} over {seconds:.3g} s, floor {floor}")
