"""Gradients of an ideal Clements mesh by light that runs both ways, against neuroptica's matrices of the same mesh.

neuroptica multiplies the transfer matrices of columns that act at once; here waves run through waveguides with true
delays, both ways at once. Its interferometer has the outer phase behind the couplers and turns waves the other way, so
its mesh is the complex conjugate of ours seen from behind: ours is lit from its outputs.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import agree, differ, medians, options, report, skipped

from devices.ideal import Gradient
from substrate import Line, Network
from substrate.learning.insitu import InSitu
from substrate.meshes import Mesh, draw_mesh
from substrate.meshes.mesh import random_mesh

DT, TOLERANCE = 1e-12, 1e-10
PEER = Path(__file__).parent / "peers" / "run_neuroptica.py"


def lit_from_behind(mesh: Mesh, batch: int) -> tuple[InSitu, list[str]]:
    """The mesh with light into its outputs, and the names of its cells."""
    network = Network()
    drawn = draw_mesh(network, mesh, "u", Line(delay=DT))
    tunable = [f"{cell}.{phase}" for cell in drawn.cells for phase in ("theta", "phi")]
    light = InSitu(network, drawn.outputs, drawn.inputs, tunable, Gradient(1.0), dt=DT, batch=batch,
                   settle=2 * drawn.steps_deep + 4)  # fmt: skip
    return light, list(drawn.cells)


def gradients(light: InSitu, cells: list[str], x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of the mean of ``|y - target|^2 / 2``, ``[cells, 2]``, in neuroptica's signs."""
    error = light.forward(np.conj(x.T)) - np.conj(target.T)
    light.backward(np.conj(error))
    heard = light.gradient()
    return 0.5 * np.array([[heard[f"{cell}.theta"], heard[f"{cell}.phi"]] for cell in cells])


def peer_python() -> str | None:
    """A Python that has neuroptica: the one in NEUROPTICA_PYTHON, or this one."""
    for python in (os.environ.get("NEUROPTICA_PYTHON", ""), sys.executable):
        if python and subprocess.run([python, "-c", "import neuroptica"], capture_output=True).returncode == 0:
            return python
    return None


def theirs(python: str, mesh: Mesh, x: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Their gradients in the order of our cells, and the median seconds."""
    depth, order = mesh.depth, np.arange(len(mesh.cells))[::-1]
    problem = {
        "columns": np.array([depth - 1 - c for c in mesh.columns])[order],
        "modes": np.array([cell.mode for cell in mesh.cells])[order],
        "theta": np.array([cell.theta for cell in mesh.cells])[order],
        "phi": np.array([cell.phi for cell in mesh.cells])[order],
        "x": x, "target": target, "rounds": np.array(5),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder) / "problem.npz", Path(folder) / "answer.npz"
        np.savez(question, **problem)
        done = subprocess.run([python, str(PEER), str(question), str(answer)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"neuroptica failed:\n{done.stderr[-2000:]}")
        found = np.load(answer)
        return found["gradient"][order], float(np.median(found["seconds"]))


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick else peer_python()
    for modes, batch in ((4, 2),) if chosen.quick else ((8, 32), (16, 32), (32, 32)):
        case = f"insitu_{modes}_modes_batch_{batch}"
        if chosen.only not in case:
            continue
        drawn = random_mesh(modes, 0)
        mesh = Mesh(modes, drawn.cells, (0.0,) * modes)
        rng = np.random.default_rng(0)
        x, target = (rng.normal(size=(modes, batch)) + 1j * rng.normal(size=(modes, batch)) for _ in range(2))
        light, cells = lit_from_behind(mesh, batch)
        mine = gradients(light, cells, x, target)
        (seconds,) = medians(3 if chosen.quick else 9, lambda: gradients(light, cells, x, target))  # noqa: B023
        if python is None:
            skipped(case, "neuroptica")
            continue
        found, taken = theirs(python, mesh, x, target)
        agree(case, mine, found, TOLERANCE)
        wrong = gradients(lit_from_behind(mesh.spread(0, coupling=0.02), batch)[0], cells, x, target)
        differ(case, wrong, found, TOLERANCE, "couplers 2 % off, which it does not know")
        report(case, taken / seconds, f"neuroptica {taken * 1e3:.3g} ms over {seconds * 1e3:.3g} ms")


if __name__ == "__main__":
    main()
