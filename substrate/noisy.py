"""Samples of noisy waveforms: what a source adds to its waveform, the same bits however a run is cut into calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.noise import Seed, normals, uniforms
from substrate.noise.sources import (
    Flicker,
    laser_phase_sigma,
    ou_step,
    rin_variance,
    shot_variance,
)
from substrate.waveforms import Noisy

PIECE = 1024  # steps that are drawn at once
START = 2**48 - 1  # the step that numbers the draws of initial states
# Every noise of a source has a generator of its own, so that switching one off leaves the bits of the others.
SLOTS = ("rin", "linewidth", "flicker", "phase_flicker", "telegraph", "wander", "shot", "jitter")


@dataclass(frozen=True)
class Stream:
    """Random numbers of one source for a part of the batch: ``source`` is the first of its generator ids."""

    seed: Seed
    source: int
    batch: int
    batch_offset: int

    def normals(self, slot: str, step: int, steps: int, channels: int = 1) -> np.ndarray:
        """Standard normals ``[channels, steps, batch]``."""
        source, offset = self.source + SLOTS.index(slot), self.batch_offset
        return normals(self.seed, source, step, channels, self.batch, steps=steps, batch_offset=offset)

    def uniforms(self, slot: str, step: int, steps: int) -> np.ndarray:
        """Uniforms ``[steps, batch]``."""
        source, offset = self.source + SLOTS.index(slot), self.batch_offset
        return uniforms(self.seed, source, step, 1, self.batch, steps=steps, batch_offset=offset)[0]


class NoisySampler:
    """Draws one :class:`Noisy` waveform; called with a step and how many, it gives ``[steps, batch]``.

    Its processes have memory, so it draws pieces of the run one after the other and keeps those from ``behind`` steps
    before the last call on; asked for an earlier step it replays the processes. ``kinds`` are the kinds of noise that
    run.
    """

    def __init__(self, source: Noisy, dt: float, stream: Stream, kinds: frozenset[str], behind: int = 0) -> None:
        self.source, self.dt, self.stream, self.kinds, self.behind = source, dt, stream, kinds, behind
        self.pieces: dict[int, np.ndarray] = {}
        self._rewind()

    def __call__(self, step: int, steps: int) -> np.ndarray:
        """Values of ``steps`` steps from ``step`` on."""
        first, last = step // PIECE, (step + steps - 1) // PIECE
        if first * PIECE < self.next and first not in self.pieces:
            self._rewind()
        while self.next <= last * PIECE:
            index = self.next // PIECE
            self.pieces[index] = self._piece(self.next, PIECE)
            oldest = (step - self.behind) // PIECE
            self.pieces = {index: piece for index, piece in self.pieces.items() if index >= oldest}
        start = step - first * PIECE
        if first == last:
            return self.pieces[first][start : start + steps]
        return np.concatenate([self.pieces[index] for index in range(first, last + 1)])[start:][:steps]

    def _piece(self, step: int, steps: int) -> np.ndarray:
        """The next values."""
        size, phase = self._processes(steps)
        values = self._waveform(step, steps) * size
        if self.source.turns:
            values = values * np.exp(1j * phase)
        ohms = self.source.shot_resistance
        if ohms > 0.0 and "shot" in self.kinds:
            xi = self.stream.normals("shot", step, steps)[0]
            values = values + ohms * np.sqrt(shot_variance(values / ohms, self.dt)) * xi
        return self.source.converted(values) if "quantisation" in self.kinds else values

    def _rewind(self) -> None:
        """The state at the start: stationary, but for the phase of a laser, which starts at zero."""
        source, stream, on = self.source, self.stream, self.kinds
        self.next, self.pieces = 0, {}
        self.walk = np.zeros(stream.batch)
        self.wander = source.wander * stream.normals("wander", START, 1)[0, 0] if "wander" in on else self.walk
        self.flickers = {
            slot: noise.create(stream.normals(slot, START, 1, noise.count)[:, 0])
            for slot, noise in (("flicker", source.flicker), ("phase_flicker", source.phase_flicker))
            if noise is not None and "flicker" in on
        }
        trap = source.telegraph if "telegraph" in on else None
        self.trap = None if trap is None else trap.create(stream.uniforms("telegraph", START, 1)[0])

    def _waveform(self, step: int, steps: int) -> np.ndarray:
        """The waveform itself, ``[steps, batch or 1]``, sampled at moments that jitter."""
        times, waveform = (np.arange(step, step + steps) + 1) * self.dt, self.source.waveform
        if self.source.jitter == 0.0 or "jitter" not in self.kinds:
            return np.asarray(waveform.sample(times)).reshape(steps, -1)
        moments = times[:, None] + self.source.jitter * self.stream.normals("jitter", step, steps)[0]
        columns = [np.asarray(waveform.sample(column)).reshape(steps, -1) for column in moments.T]
        return np.stack([column[:, min(b, column.shape[1] - 1)] for b, column in enumerate(columns)], axis=1)

    def _processes(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Factor of the size and phase (rad) of the next ``steps`` steps, ``[steps, batch]``; moves on by them."""
        source, stream, step = self.source, self.stream, self.next
        size = np.ones((steps, stream.batch))
        if source.rin_db is not None and "rin" in self.kinds:
            power = 1.0 + np.sqrt(rin_variance(source.rin_db, self.dt)) * stream.normals("rin", step, steps)[0]
            size = np.sqrt(np.maximum(power, 0.0))
        size = size * (1.0 + self._flicker("flicker", source.flicker, steps)) * (1.0 - self._trapped(steps))
        phase = self._walk(steps) + self._wander(steps) + self._flicker("phase_flicker", source.phase_flicker, steps)
        self.next = step + steps
        return size, phase

    def _walk(self, steps: int) -> Any:
        """The phase of a laser."""
        if self.source.linewidth == 0.0 or "linewidth" not in self.kinds:
            return 0.0
        xi = self.stream.normals("linewidth", self.next, steps)[0]
        xi *= laser_phase_sigma(self.source.linewidth, self.dt)
        xi[0] += self.walk
        path = np.cumsum(xi, axis=0)
        self.walk = path[-1]
        return path

    def _wander(self, steps: int) -> Any:
        """A phase with a correlation time."""
        if self.source.wander == 0.0 or "wander" not in self.kinds:
            return 0.0
        xi = self.stream.normals("wander", self.next, steps)[0]
        for k in range(steps):
            self.wander = xi[k] = ou_step(self.wander, self.dt, self.source.wander_time, self.source.wander, xi[k])
        return xi

    def _flicker(self, slot: str, noise: Flicker | None, steps: int) -> Any:
        """1/f noise."""
        if noise is None or slot not in self.flickers:
            return 0.0
        xi = self.stream.normals(slot, self.next, steps, noise.count)
        out = np.empty(xi.shape[1:])
        for k in range(steps):
            self.flickers[slot] = noise.advance(self.flickers[slot], self.dt, xi[:, k])
            out[k] = np.add.reduce(self.flickers[slot], axis=0)
        return out

    def _trapped(self, steps: int) -> Any:
        """By how much the size is lowered by a trap."""
        if self.trap is None or self.source.telegraph is None:
            return 0.0
        drawn = self.stream.uniforms("telegraph", self.next, steps)
        for k in range(steps):
            self.trap = drawn[k] = self.source.telegraph.advance(self.trap, self.dt, drawn[k])
        return self.source.telegraph_size * drawn


def sampler(
    waveform: Any, dt: float, stream: Stream, kinds: frozenset[str], behind: int = 0
) -> Callable[[int, int], np.ndarray]:
    """A function of a step and how many that samples ``waveform`` ``[steps]`` or ``[steps, batch]``, noise included.

    It can go back by ``behind`` steps at once without drawing anew.
    """
    if isinstance(waveform, Noisy):
        return NoisySampler(waveform, dt, stream, kinds, behind)
    return lambda step, steps: np.asarray(waveform.sample((np.arange(step, step + steps) + 1) * dt))
