"""Thermal noise at the two ends of a line that disperses: coloured, and the same noise seen twice, once from each end.

With characteristic impedance Zc and transfer H of a pass, a line at one temperature adds to the waves ``B = V - Zc I``
that arrive at its ends noise of density ``4 kT Re Zc (1 - |H|^2)`` (V^2/Hz), of which they share ``-8 kT Im Zc Im H``:
it follows from the open-circuit noise ``4 kT Re Z`` of the line's impedance matrix. So the sum and the difference of
both ends over sqrt(2) are independent, of density ``4 kT Re(Zc (1 + H) (1 - H*))`` and the same with the signs of H
turned, and each is white noise through a filter without phase. Source: Twiss 1955, J. Appl. Phys. 26, 599 (noise of a
multiport is ``4 kT Re Z``); the ends, ``docs/theory.md``, "Noise".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from substrate.memory import require_memory

SHORTEST, LONGEST = 1 << 8, 1 << 14  # steps to either side that taps reach; further for longer lines
ALLOWED = 1e-3  # error of a density
SLOW = 1e-4  # cycles a step, from which on densities should be right
TOGETHER, NUMBERS = 16, 1 << 20  # samples filtered at once, and steps of them all, at most

# (step, steps, first sample, samples) -> normals [modes, steps, samples], or complex
Draw = Callable[[int, int, int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class LineNoise:
    """What a warm line adds to the wave that arrives at one of its ends, in sqrt(W); a waveform of a :class:`Drive`.

    ``line`` is its name, by which the two ends know that their noise is one. ``taps [2, odd]`` filter white noise at
    the level of a matched resistance to the sum and the difference of both ends, the tap without delay in the middle.
    ``side`` is the end, ``temperature`` (K) the level over k.

    >>> LineNoise("w1", np.ones((2, 1)), 0, 300.0).sample(np.zeros(3)).tolist()  # without a run: nothing
    [0.0, 0.0, 0.0]
    """

    line: str
    taps: np.ndarray
    side: int
    temperature: float

    def sample(self, times: np.ndarray) -> np.ndarray:
        """What is certain of it: zeros."""
        return np.zeros(len(times))

    def at(self, temperature: float) -> "LineNoise":
        """The same at another level."""
        return replace(self, temperature=temperature)


def mode_taps(
    impedance: Callable[[np.ndarray], np.ndarray], transfer: Callable[[np.ndarray], np.ndarray], delay: int
) -> tuple[np.ndarray, float]:
    """Filters ``[2, odd]`` of the sum and the difference of both ends, from functions on the unit circle.

    ``impedance`` is the characteristic impedance over that of the waves, ``transfer`` that of a whole pass, its
    ``delay`` (steps) included. The second result is the frequency (cycles a step) from which on their densities are
    right within 1e-3 of the larger of the density and that of a matched resistance: slower than its taps are long
    nothing can be.

    >>> taps, right_from = mode_taps(np.ones_like, lambda z: 0.6 / z, 1)  # a step that loses 64 % of the power
    >>> round(float(np.sum(taps[0] ** 2)), 9), right_from
    (0.64, 0.0)
    """
    longest = max(LONGEST, 1 << int(np.ceil(np.log2(4 * delay))))
    points = 16 * longest
    z = np.exp(2j * np.pi * np.arange(points // 2 + 1) / points)
    zc, h = impedance(z), transfer(z)
    modes = np.stack([(zc * (1.0 + h) * (1.0 - np.conj(h))).real, (zc * (1.0 - h) * (1.0 + np.conj(h))).real])
    # A passive line has none below zero, but for rounding. Leakage that only keeps a charge from lasting for ever is a
    # line far narrower than the spacing of the points, and would stand for all of it.
    modes[:, 0] = modes[:, 1]
    whole = np.fft.irfft(np.sqrt(np.maximum(modes, 0.0)), points)
    reach = SHORTEST
    while True:
        taps = _tapered(whole, reach)
        error = np.abs(np.abs(np.fft.rfft(taps, points)) ** 2 - modes) / np.maximum(modes, 1.0)
        wrong = np.flatnonzero(np.max(error, axis=0) > ALLOWED)
        right_from = 0.0 if not len(wrong) else float(wrong[-1] + 1) / points
        if reach >= longest or right_from <= SLOW:
            return taps, right_from
        reach *= 2


def _tapered(whole: np.ndarray, reach: int) -> np.ndarray:
    """The taps up to ``reach`` steps from the middle, let down over their outer half like a cosine squared."""
    away = np.arange(-reach, reach + 1)
    window = np.cos(np.pi * np.clip(np.abs(away) / reach - 0.5, 0.0, 0.5)) ** 2
    return np.asarray(whole[:, away] * window)


class LinePair:
    """The noise of one line for ``batch`` samples, drawn in chunks that are numbered from the start of the run.

    ``draw`` gives standard normals; the sum of both ends is the first, their difference the second. Raises BackendError
    where a chunk does not fit into memory.
    """

    def __init__(self, line: str, taps: np.ndarray, batch: int, draw: Draw) -> None:
        self.draw, self.batch, self.reach = draw, batch, taps.shape[1] // 2
        self.size, self.steps = 4 * self.reach, 2 * self.reach
        require_memory(
            64.0 * self.steps * batch, f"The thermal noise of line {line!r}, drawn {self.steps} steps ahead,",
            "split the batch, or set the line's temperature to 0",
        )  # fmt: skip
        self.response = np.fft.rfft(taps, self.size) / np.sqrt(2.0)
        self.chunks: dict[int, np.ndarray] = {}

    def ends(self, step: int, steps: int) -> np.ndarray:
        """Noise ``[2, steps, batch]`` at both ends, of unit level."""
        first, last = step // self.steps, (step + steps - 1) // self.steps
        self.chunks = {index: chunk for index, chunk in self.chunks.items() if first <= index <= last}
        for index in range(first, last + 1):
            if index not in self.chunks:
                self.chunks[index] = self._chunk(index)
        values = np.concatenate([self.chunks[index] for index in range(first, last + 1)], axis=1)
        return values[:, step - first * self.steps :][:, :steps]

    def _chunk(self, index: int) -> np.ndarray:
        """The next steps of both ends."""
        parts = []
        together = max(1, min(TOGETHER, NUMBERS // self.size))
        for first in range(0, self.batch, together):
            # Counted so that the noise before the run, which its first steps still hear, has numbers from zero on.
            white = self.draw(index * self.steps, self.size, first, min(together, self.batch - first))
            rows = self._filtered(np.ascontiguousarray(np.moveaxis(white, 1, 2)))
            total, difference = np.moveaxis(rows[:, :, 2 * self.reach :], 1, 2)
            parts.append(np.stack([total + difference, total - difference]))
        return np.concatenate(parts, axis=2)

    def _filtered(self, rows: np.ndarray) -> np.ndarray:
        """``rows [2, samples, size]`` through the filter of each mode; the first steps are spoilt by the last."""
        if np.iscomplexobj(rows):
            return self._filtered(rows.real) + 1j * self._filtered(rows.imag)
        return np.asarray(np.fft.irfft(np.fft.rfft(rows) * self.response[:, None], self.size))
