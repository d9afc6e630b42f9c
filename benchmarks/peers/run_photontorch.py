"""Runs a photonic network in photontorch (in its own Python) and writes what its detectors saw and how long it took.

Called as ``python run_photontorch.py PROBLEM.npz ANSWER.npz``. The problem holds arrays: ``couplers`` [n] (power
coupling), ``lines`` [m, 4] (from coupler, its port, to coupler, its port), ``phases`` [m] (rad, or [m, wavelengths]),
``steps`` [m] (delay of each line), ``sources`` and ``detectors`` [k, 2] (coupler, port), ``ends`` (left dark),
``input`` [k, batch] (amplitudes, on from time zero), ``duration`` (steps), ``rounds``.

photontorch 0.4.1 was written for older NumPy and PyTorch; the names they have dropped since are put back from outside.
"""

import sys
import time
from typing import Any

import numpy as np
import torch

LIGHT, WAVELENGTH = 299_792_458.0, 1.55e-6
DT = 1e-14
PORTS = {0: 0, 1: 3, 2: 1, 3: 2}  # in1, in2, out1, out2 -> photontorch's numbers of a directional coupler


def restore_old_names() -> None:
    """``np.float`` and its like, ``torch.solve``, and names of a tensor's dimensions."""
    for name in ("float", "int", "bool", "complex", "object"):
        if name not in vars(np):
            setattr(np, name, __builtins__[name] if isinstance(__builtins__, dict) else getattr(__builtins__, name))
    # By NumPy: PyTorch's own solver hangs on these batches ("Parameter 6 was incorrect on entry to SLASWP").
    torch.solve = lambda b, a: (torch.from_numpy(np.linalg.solve(a.numpy(), b.numpy())), a)
    names = lambda self: tuple("ctwsb") if self.ndim == 5 else (None,) * self.ndim  # noqa: E731
    torch.Tensor.names = property(names)
    for method in ("align_to", "rename", "refine_names"):
        setattr(torch.Tensor, method, lambda self, *names, **more: self)


def build(photontorch: Any, problem: dict[str, np.ndarray]) -> Any:
    """The same network: a waveguide of unit index has the asked-for delay, and a phase of its own.

    All at once, for adding links one by one takes the square of their number.
    """
    parts, links = {}, []
    for index, coupling in enumerate(problem["couplers"]):
        parts[f"c{index}"] = photontorch.DirectionalCoupler(coupling=float(coupling))
    for index, steps in enumerate(problem["steps"]):
        parts[f"w{index}"] = photontorch.Waveguide(
            length=float(steps) * DT * LIGHT / float(problem["index"]), neff=float(problem["index"]),
            ng=float(problem["index"]), wl0=WAVELENGTH, loss=0.0, phase=float(problem["phases"][index]),
            trainable=False,
        )  # fmt: skip
    for kind, part in (("sources", "Source"), ("detectors", "Detector"), ("ends", "Term")):
        for index, (coupler, port) in enumerate(problem[kind].tolist()):
            parts[f"{kind}{index}"] = getattr(photontorch, part)()
            links.append(f"{kind}{index}:0:c{coupler}:{PORTS[port]}")
    for index, (a, out, b, into) in enumerate(problem["lines"].tolist()):
        links += [f"c{a}:{PORTS[out]}:w{index}:0", f"w{index}:1:c{b}:{PORTS[into]}"]
    return photontorch.Network(components=parts, connections=links)


def main() -> None:
    restore_old_names()
    import photontorch

    torch.set_num_threads(2)
    problem = dict(np.load(sys.argv[1]))
    duration, wavelengths = int(problem["duration"]), problem["wavelengths"]
    network = build(photontorch, problem)
    amplitudes = torch.tensor(problem["input"], dtype=torch.float32)  # [sources, batch]
    source = torch.zeros(2, duration, len(wavelengths), *amplitudes.shape)
    source[0] = amplitudes
    seconds = []
    with (
        torch.no_grad(),
        photontorch.Environment(wl=wavelengths, dt=DT, t_start=0.0, t_end=(duration + 0.25) * DT),
    ):
        network.initialize()  # what it solves once is not part of a run
        for _ in range(int(problem["rounds"]) + 1):  # the first to warm up
            start = time.perf_counter()
            seen = network(source=source)
            seconds.append(time.perf_counter() - start)
    np.savez(sys.argv[2], power=seen.numpy(), seconds=np.array(seconds[1:]))


if __name__ == "__main__":
    main()
