"""Runs an ideal mesh in neuroptica (in its own Python) and writes the gradients of its phases and how long they took.

Called as ``python run_neuroptica.py PROBLEM.npz ANSWER.npz``. The problem holds ``columns`` [cells] (column of each
interferometer, in the order in which its light meets them), ``modes`` [cells] (the upper waveguide), ``theta``,
``phi`` [cells] (rad), ``x`` and ``target`` [waveguides, samples] (complex), ``rounds``.
"""

import sys
import time

import numpy as np
from neuroptica.component_layers import MZILayer, OpticalMesh
from neuroptica.components import MZI


def main() -> None:
    problem = dict(np.load(sys.argv[1]))
    x, target = problem["x"], problem["target"]
    cells = [MZI(int(m), int(m) + 1, float(t), float(p))
             for m, t, p in zip(problem["modes"], problem["theta"], problem["phi"], strict=True)]  # fmt: skip
    columns = problem["columns"]
    layers = [MZILayer(len(x), [cells[i] for i in np.flatnonzero(columns == c)]) for c in range(columns.max() + 1)]
    mesh = OpticalMesh(len(x), layers)
    seconds = []
    for _ in range(int(problem["rounds"]) + 1):
        start = time.perf_counter()
        y = mesh.get_transfer_matrix() @ x
        found = mesh.compute_gradients(x, np.conj(y - target), use_partial_vectors=True)
        gradient = np.array([found[cell].mean(axis=1) for cell in cells])  # of the mean of |y - target|^2 / 2
        seconds.append(time.perf_counter() - start)
    np.savez(sys.argv[2], gradient=gradient, y=y, seconds=np.array(seconds[1:]))


if __name__ == "__main__":
    main()
