"""What chips learn: to classify images, to be a given unitary, the exclusive or of bits that came one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from substrate.errors import DataError
from substrate.learning.chip import Chip
from substrate.learning.datasets import Dataset, shuffled
from substrate.learning.delay_chip import DelayChip
from substrate.learning.ports import PortBank
from substrate.losses import loss_named
from substrate.meshes import random_unitary

CROSS_ENTROPY = loss_named("cross_entropy")


class Task(Protocol):
    """Something to learn, batch by batch."""

    @property
    def batches(self) -> int:
        """Batches of an epoch."""

    @property
    def banks(self) -> dict[str, PortBank]:
        """The devices by the part of the chip they are in."""

    def learn(self, epoch: int, batch: int, seconds: float) -> float:
        """Learn one batch, letting the devices move for ``seconds``; returns its loss before."""

    def metrics(self) -> dict[str, float]:
        """How well it does now, by the names of :data:`METRICS`."""

    def checkpoint(self) -> dict[str, np.ndarray]:
        """What has been learned."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from there."""


METRICS = {
    "validation_accuracy": ("1", "share of right answers on the validation set"),
    "test_accuracy": ("1", "share of right answers on the test set"),
    "test_loss": ("1", "mean loss on the test set"),
    "distance": ("1", "Frobenius norm of the difference from the target, over the target's"),
}


def pooled(x: np.ndarray, pool: int, modes: int) -> np.ndarray:
    """Square images ``[samples, pixels]`` as means of ``pool`` x ``pool`` pixels; raises DataError.

    >>> pooled(np.arange(16.0).reshape(1, 16), 2, 4).tolist()
    [[2.5, 4.5, 10.5, 12.5]]
    """
    side = round(np.sqrt(x.shape[1]))
    if pool > 1:
        if side * side != x.shape[1] or side % pool:
            raise DataError(f"Rows of {x.shape[1]} numbers are no square images that {pool} x {pool} pixels fill")
        x = x.reshape(-1, side // pool, pool, side // pool, pool).mean(axis=(2, 4)).reshape(len(x), -1)
    if x.shape[1] > modes:
        raise DataError(f"{x.shape[1]} inputs do not fit into {modes} modes; pool them, or give more modes")
    return np.pad(x, ((0, 0), (0, modes - x.shape[1])))


@dataclass
class OnChip:
    """A task that learns nothing beside its chip."""

    chip: Chip

    @property
    def banks(self) -> dict[str, PortBank]:
        """See :class:`Task`."""
        return self.chip.banks

    def checkpoint(self) -> dict[str, np.ndarray]:
        """See :class:`Task`."""
        return self.chip.checkpoint()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See :class:`Task`."""
        self.chip.restore(arrays)


@dataclass
class Classify(OnChip):
    """Labels of a data set, by cross entropy. Inputs are amplitudes about their mean, one in the mean square."""

    dataset: Dataset
    pool: int
    seed: int

    def __post_init__(self) -> None:
        if self.dataset.classes > self.chip.settings.outputs or not self.dataset.classes:
            raise DataError(
                f"The chip has {self.chip.settings.outputs} outputs, but the data {self.dataset.classes} classes"
            )
        modes, data = self.chip.settings.modes, self.dataset
        train, held_out, test = (pooled(x, self.pool, modes) for x in (data.x_train, data.x_validation, data.x_test))
        mean = train.mean(axis=0)
        unit = float(np.sqrt(((train - mean) ** 2).sum(axis=1).mean()))
        self.x, self.x_validation, self.x_test = ((x - mean) / unit for x in (train, held_out, test))
        self.batches = len(self.x) // self.chip.batch
        if not self.batches:
            raise DataError(
                f"A batch of {self.chip.batch} needs more than the {len(self.x)} samples there are to train"
            )

    def learn(self, epoch: int, batch: int, seconds: float) -> float:
        """See :class:`Task`."""
        size = self.chip.batch
        rows = shuffled(self.seed, epoch, len(self.x))[batch * size : (batch + 1) * size]
        z, target = self.chip.forward(self.x[rows]).T, np.eye(self.chip.settings.outputs)[:, self.dataset.y_train[rows]]
        self.chip.backward(CROSS_ENTROPY.gradient(np, z, target).T)
        self.chip.tick(seconds)
        return float(np.mean(CROSS_ENTROPY.value(np, z, target)))

    def metrics(self) -> dict[str, float]:
        """See :class:`Task`."""
        z, y = self.chip.answer(self.x_test), self.dataset.y_test
        held_out = self.chip.answer(self.x_validation).argmax(axis=1) if len(self.x_validation) else np.zeros(0)
        return {
            "validation_accuracy": float(np.mean(held_out == self.dataset.y_validation)) if len(held_out) else np.nan,
            "test_accuracy": float(np.mean(z.argmax(axis=1) == y)),
            "test_loss": float(np.mean(CROSS_ENTROPY.value(np, z.T, np.eye(z.shape[1])[:, y]))),
        }


@dataclass
class LearnUnitary(OnChip):
    """A mesh that becomes a random unitary: ``J`` is the mean of ``|y - U x|^2`` over random x of one unit of power.

    ``distance`` is measured with the mesh's own light, one input at a time.
    """

    seed: int
    batches: int = 20

    def __post_init__(self) -> None:
        self.mesh = self.chip.meshes[0]
        self.target = random_unitary(self.chip.settings.modes, self.seed)

    def learn(self, epoch: int, batch: int, seconds: float) -> float:
        """See :class:`Task`."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, epoch, batch])))
        modes = self.chip.settings.modes
        x = random.standard_normal((self.chip.batch, modes)) + 1j * random.standard_normal((self.chip.batch, modes))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        error = self.mesh.forward(x) - x @ self.target.T
        self.mesh.backward(np.conj(error))
        self.mesh.tick(seconds)
        return float(np.mean((np.abs(error) ** 2).sum(axis=1)))

    def metrics(self) -> dict[str, float]:
        """See :class:`Task`."""
        modes, size = self.chip.settings.modes, self.chip.batch
        probes = np.concatenate([np.eye(modes), np.zeros((-modes % size, modes))])
        seen = np.concatenate([self.mesh.forward(probes[i : i + size]) for i in range(0, len(probes), size)])[:modes]
        return {"distance": float(np.linalg.norm(seen.T - self.target) / np.linalg.norm(self.target))}


@dataclass
class TemporalXor:
    """Bits that arrive one by one: is the newest another than the one ``lag`` bits before? Streams run side by side."""

    chip: DelayChip
    lag: int
    seed: int
    batches: int = 40

    def __post_init__(self) -> None:
        self.banks = self.chip.banks
        self.past: list[np.ndarray] = []  # bits of all streams, newest last

    def learn(self, epoch: int, batch: int, seconds: float) -> float:
        """See :class:`Task`: one bit of every stream."""
        z, y = self._next(epoch * self.batches + batch, 0)
        share = 1.0 / (1.0 + np.exp(-z))
        self.chip.backward((share - y)[:, None] if self._ready else np.zeros((self.chip.batch, 1)))
        if self._ready:
            self.chip.tick(seconds)
        return _surprise(z, y)

    def metrics(self) -> dict[str, float]:
        """See :class:`Task`: over fresh bits, while nothing moves."""
        right, loss = [], []
        for number in range(50):
            z, y = self._next(number, 1)
            self.chip.backward(np.zeros((self.chip.batch, 1)))  # time goes on as in training
            if self._ready:
                right.append(float(np.mean((z > 0.0) == (y > 0.5))))
                loss.append(_surprise(z, y))
        return {"test_accuracy": float(np.mean(right)), "test_loss": float(np.mean(loss))}

    def checkpoint(self) -> dict[str, np.ndarray]:
        """See :class:`Task`: what is under way in the delay lines is part of it."""
        past = np.array(self.past[-self.lag - 1 :] or [np.zeros(self.chip.batch)])
        padded = np.concatenate([np.full((self.lag + 1 - len(past), self.chip.batch), -1.0), past])
        return self.chip.checkpoint() | {"past": padded}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See :class:`Task`."""
        self.chip.restore(arrays)
        self.past = [row for row in arrays["past"] if row[0] >= 0.0]

    @property
    def _ready(self) -> bool:
        return len(self.past) > self.lag

    def _next(self, number: int, purpose: int) -> tuple[np.ndarray, np.ndarray]:
        """Send the next bits; returns the answers and what they should be."""
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, 0xB17, purpose, number])))
        bits = random.integers(0, 2, self.chip.batch).astype(float)
        self.past = [*self.past[-self.lag :], bits]
        z = self.chip.forward(bits)[:, 0]
        y = (bits != self.past[0]).astype(float) if self._ready else np.zeros_like(bits)
        return z, y


def _surprise(z: np.ndarray, y: np.ndarray) -> float:
    """Mean cross entropy of one answer, yes or no."""
    return float(np.mean(np.logaddexp(0.0, z) - y * z))
