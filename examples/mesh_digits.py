"""Digits through two 16-mode meshes whose phases learn in place: what the light of both directions says at each.

python examples/mesh_digits.py              # the accuracy of the docs, a minute
python examples/mesh_digits.py --epochs 2   # shorter
"""

import argparse
import time
from itertools import pairwise

import numpy as np

from devices.ideal import Gradient
from substrate import Line, Network
from substrate.learning.datasets import load_dataset
from substrate.learning.insitu import InSitu
from substrate.losses import loss_named
from substrate.meshes import draw_mesh
from substrate.meshes.mesh import random_mesh

MODES, BATCH, DT = 16, 64, 1e-12
REPEATER, DETECTOR = 4.0, 8.0  # gains: of repeaters between the meshes, of detectors behind the last
RATE = 0.1  # rad per second and unit of gradient; an update lets the devices move for a second
LOSS = loss_named("cross_entropy")


def pooled(x: np.ndarray) -> np.ndarray:
    """Images ``[samples, 64]`` as 4 x 4 means of 2 x 2 pixels, ``[samples, 16]``."""
    return x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, MODES)


def amplitudes(pixels: np.ndarray) -> np.ndarray:
    """As light of 1 W for each sample."""
    return pixels / np.linalg.norm(pixels, axis=1, keepdims=True)


def mesh(seed: int) -> InSitu:
    """A rectangle of interferometers with random phases, one step of delay between columns."""
    network = Network()
    drawn = draw_mesh(network, random_mesh(MODES, seed), "u", Line(delay=DT))
    settle = 2 * drawn.steps_deep + 4
    return InSitu(
        network, drawn.inputs, drawn.outputs, drawn.tunable, Gradient(RATE), dt=DT, batch=BATCH, settle=settle
    )


class Chip:
    """Mesh, repeaters that detect one quadrature and send its tanh on, mesh, detectors of one quadrature."""

    def __init__(self, seed: int) -> None:
        self.first, self.second = mesh(seed), mesh(seed + 1)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Logits ``[batch, 10]``: one quadrature at ten outputs, times a gain."""
        self.between = np.tanh(REPEATER * self.first.forward(x).real)
        self.out = self.second.forward(self.between.astype(complex))
        return DETECTOR * self.out[:, :10].real

    def backward(self, error: np.ndarray) -> None:
        """Send ``dJ/dlogits`` back: every detector and repeater by its own slope, the meshes by light."""
        wave = np.zeros_like(self.out)
        wave[:, :10] = 0.5 * DETECTOR * error  # dJ/dy with dJ = 2 Re(dJ/dy dy)
        back = 2.0 * self.second.backward(wave).real  # dJ/dh of a real wave
        self.first.backward((0.5 * REPEATER * back * (1.0 - self.between**2)).astype(complex))

    def train(self, x: np.ndarray, label: np.ndarray, seconds: float) -> float:
        """One update by a batch; returns its loss."""
        logits, target = self.forward(x).T, np.eye(10)[:, label]
        self.backward(LOSS.gradient(np, logits, target).T)
        for layer in (self.first, self.second):
            layer.tick(seconds)
        return float(np.mean(LOSS.value(np, logits, target)))

    def accuracy(self, x: np.ndarray, label: np.ndarray) -> float:
        """Share of samples whose largest output is the right one."""
        padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % BATCH, axis=0)])
        cuts = range(0, len(padded) + 1, BATCH)
        found = np.concatenate([self.forward(padded[a:b]).argmax(axis=1) for a, b in pairwise(cuts)])
        return float(np.mean(found[: len(x)] == label))


def main(epochs: int) -> float:
    """Train for ``epochs`` and print a line for each; returns the accuracy on the test set."""
    data = load_dataset("digits", scale="none")
    pixels, order = pooled(data.x_train), np.random.default_rng(0)
    mean = pixels.mean(axis=0)
    x, test = amplitudes(pixels - mean), amplitudes(pooled(data.x_test) - mean)
    chip, start, found = Chip(0), time.perf_counter(), 0.0
    for epoch in range(epochs):
        batches = order.permutation(len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH)
        seconds = 1.0 - epoch / epochs  # ever shorter: the last batches must not shake what the first have found
        loss = np.mean([chip.train(x[batch], data.y_train[batch], seconds) for batch in batches])
        found = chip.accuracy(test, data.y_test)
        print(f"epoch {epoch + 1}: loss {loss:.4f}, test accuracy {found:.4f}, {time.perf_counter() - start:.0f} s")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    main(parser.parse_args().epochs)
