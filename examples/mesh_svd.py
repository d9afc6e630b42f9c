"""Any matrix in light: mesh, attenuators, mesh learn a random 8 x 8 matrix; gradients first, then measured stiffness.

python examples/mesh_svd.py             # the figures of docs/meshes.md, a minute
python examples/mesh_svd.py --modes 4   # seconds

Ports that only follow their gradient creep: singular values far below the largest move the answer little. So after
some hundred steps every port measures what its own motion does to all drives, and all make the matched step of
docs/theory.md, damped where the loss curves the wrong way.
"""

import argparse

import numpy as np

from devices.ideal import Gradient
from substrate import Line, Network
from substrate.learning.insitu import InSitu
from substrate.meshes import draw_mesh
from substrate.meshes.mesh import random_mesh, rectangle
from substrate.nodes import MachZehnder, Termination

DT, ROOM, MOVE = 1e-12, 1.5, 1e-4  # s; how far below 1 the largest singular value lies; rad, to measure a stiffness
DAMPING, HARDER, SOFTER, WEAKEST = 1e-3, 4.0, 0.2, 1e-12


def chip(modes: int, seed: int) -> InSitu:
    """Two meshes with half as many columns again as they need, and between them interferometers that dump light."""
    net, line = Network(), Line(delay=DT)
    cells = rectangle(modes, modes + modes // 2)
    right = draw_mesh(net, random_mesh(modes, seed, cells), "v", line)
    left = draw_mesh(net, random_mesh(modes, seed + 1, cells), "u", line)
    dampers = []
    for k in range(modes):
        name = net.add(MachZehnder(1.5, 0.0), f"a{k}")
        net.connect(right.outputs[k], f"{name}.in1", line)
        net.connect(f"{name}.out1", left.inputs[k], line)
        for port in ("in2", "out2"):
            net.connect(f"{name}.{port}", net.add(Termination(), f"{name}_{port}"), line)
        dampers.append(f"{name}.theta")
    tunable = [*right.tunable, *dampers, *left.tunable]
    settle = right.steps_deep + left.steps_deep + 10
    return InSitu(net, right.inputs, left.outputs, tunable, Gradient(1.0), dt=DT, batch=modes, settle=settle)


class Learner:
    """The light, what it is to become, and how far it is."""

    def __init__(self, modes: int, seed: int) -> None:
        w = np.random.default_rng(seed).normal(size=(modes, modes))
        self.target = w / (ROOM * np.linalg.norm(w, 2))
        self.light, self.x = chip(modes, seed), np.eye(modes)
        self.values = self.light.bank.groups[0].values  # of all ports, as the light sees them

    def hear(self) -> float:
        """One input after the other, and the error back: the distance; the ports have heard."""
        error = self.light.forward(self.x) - self.x @ self.target.T
        self.light.backward(np.conj(error))
        return float(np.linalg.norm(error) / np.linalg.norm(self.target))

    def drives(self, values: np.ndarray) -> np.ndarray:
        """What the ports hear at these values."""
        self.values[...] = values
        self.hear()
        return np.array([float(drive[0]) for drive in self.light.state.drive.values()])

    def matched_step(self, damping: float) -> tuple[float, float]:
        """Measure the stiffness port by port, then move all at once; returns the distance and the next damping."""
        here, before = self.values.copy(), self.hear()
        u = self.drives(here)
        columns = [(u - self.drives(here + MOVE * one)) / MOVE for one in np.eye(len(here))]
        stiffness, ways = np.linalg.eigh(0.5 * (np.array(columns) + np.array(columns).T))
        for _ in range(20):
            # Along ways in which the loss curves down, the size of the curvature says how far to trust it.
            self.values[...] = here + ways @ ((ways.T @ u) / (np.abs(stiffness) + damping))
            now = self.hear()
            if now < before:
                return now, max(WEAKEST, SOFTER * damping)
            damping *= HARDER
        self.values[...] = here
        return before, damping


def main(modes: int, gradients: int, rounds: int, goal: float, seed: int) -> float:
    """Learn, tell how it goes, and return the distance at the end."""
    learner, damping = Learner(modes, seed), DAMPING
    for _ in range(gradients):
        found = learner.hear()
        learner.light.tick(1.0)
    print(f"{len(learner.values)} ports, after {gradients} gradient steps: distance {found:.4f}")
    for number in range(rounds):
        found, damping = learner.matched_step(damping)
        print(f"matched step {number + 1}: distance {found:.6f}", flush=True)
        if found < goal:
            break
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", type=int, default=8)
    parser.add_argument("--gradients", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--goal", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
