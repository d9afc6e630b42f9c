"""Sums on the device and what the ledger makes of them, always added in the same order."""

from typing import Any

import numpy as np

from substrate.backends.gpu_device import Device, Operation

COLUMNS = 7  # of the ledger


class Books:
    """Stretches of one buffer of partial sums, the powers they add up to, and the cells of the ledger these go to."""

    def __init__(self, device: Device, sums: Any, ledger: Any) -> None:
        self.device, self.sums, self.ledger = device, sums, ledger
        self.taken = 0  # of the buffer
        self.bounds: list[tuple[int, int]] = []  # of each power
        self.entries: dict[int, list[tuple[float, int]]] = {}  # cell of the ledger: factors and powers

    def stretch(self, numbers: int) -> tuple[Any, int]:
        """A stretch of the buffer for a launch to write to, and its power."""
        begin, self.taken = self.taken, self.taken + numbers
        self.bounds.append((begin, self.taken))
        return self.sums[begin : self.taken], len(self.bounds) - 1

    def stretches(self, numbers: int, count: int) -> tuple[Any, list[int]]:
        """``count`` of them side by side."""
        begin = self.taken
        powers = [self.stretch(numbers)[1] for _ in range(count)]
        return self.sums[begin : self.taken], powers

    def book(self, row: int, column: int, *terms: tuple[float, int]) -> None:
        """Add ``factor * power`` of each term to a cell of the ledger."""
        self.entries.setdefault(row * COLUMNS + column, []).extend(terms)

    def close(self) -> list[Operation]:
        """The launches that add everything up."""
        if not self.bounds:
            return []
        device, powers = self.device, self.device.xp.zeros(len(self.bounds))
        bounds = device.put(np.array(self.bounds), np.int64)
        terms = [term for terms in self.entries.values() for term in terms]
        first = np.cumsum([0, *(len(terms) for terms in self.entries.values())])
        arrays = [device.put(values, np.int64) for values in (list(self.entries), first, [p for _, p in terms])]
        factors = device.put([factor for factor, _ in terms], np.float64)
        count = len(self.entries)
        return [
            device.launch("add_up", 0, self.sums, bounds, powers, blocks=len(self.bounds)),
            device.launch("book", count, powers, count, *arrays, factors, self.ledger),
        ]
