"""What a GPU is told to do in a block: a list of launches and products, laid out once and told again and again."""

from collections.abc import Callable, Mapping
from typing import Any

from substrate.backends.gpu_books import Books
from substrate.backends.gpu_device import Operation
from substrate.plan import LINES, NOISE, LineEnd, Pass

KINDS = {"tanh": 0, "sigmoid": 1, "softplus": 2, "identity": 3, "relu": 4}  # of activations, as the kernels number them
PassLayout = Callable[["Program", Pass], None]


class Program:
    """What the device does in a block of ``steps`` steps, for all nodes outside the circuit part.

    ``fresh``: whether inputs or parameters have changed since the last block, so that steady signals are computed too.
    ``listening``: whether ports hear. ``heard`` are the drives they add to.
    """

    def __init__(self, stepper: Any, steps: int, fresh: bool, listening: bool) -> None:
        self.stepper, self.device, self.plan = stepper, stepper.device, stepper.plan
        self.steps, self.fresh, self.listening = steps, fresh, listening
        self.operations: list[Operation] = []
        self.heard: list[Any] = []
        self.books = Books(self.device, stepper.sums, stepper.ledger)
        self.powers: dict[int, int] = {}
        self.signals = [stepper.view(i, steps) for i in range(len(self.plan.signals))]

    def build(self, passes: Mapping[str, PassLayout]) -> "Program":
        """Lay out arrivals, passes, the circuit part, departures and the books."""
        for end, signal in self.plan.arrivals:
            self.launch("arrive", self.signals[signal].size, self._end(end), self.stepper.state.arena,
                        self.stepper.clock, self.steps, self.signals[signal])  # fmt: skip
        for step in self.plan.passes:
            passes[step.kind](self, step)
        if self.stepper.circuit is not None:
            self.operations += self.stepper.circuit.operations(self.steps)
        for place, (end, signal) in enumerate(self.plan.departures):
            self._depart(place, end, signal)
        self.operations += self.books.close()
        self.launch("advance_clock", 1, self.stepper.clock, self.steps)
        return self

    def launch(self, name: str, items: int, *arguments: Any, blocks: int = 0) -> None:
        """Add a launch."""
        self.operations.append(self.device.launch(name, items, *arguments, blocks=blocks))

    def shape(self, signal: int) -> tuple[int, int, int]:
        """Channels, steps and batch of a signal in this block."""
        channels, steps, batch = self.signals[signal].shape
        return int(channels), int(steps), int(batch)

    def steady(self, signal: int) -> int:
        """1 for a signal of one step."""
        return int(self.plan.signals[signal].steady)

    def known(self, signal: int) -> bool:
        """Whether a signal is what it was in the last block."""
        return bool(self.steady(signal)) and not self.fresh

    def wave(self, signal: int) -> tuple[Any, int]:
        """A signal and whether it is steady, as kernels take it."""
        return self.signals[signal], self.steady(signal)

    def power(self, signal: int) -> tuple[float, int]:
        """The energy of a signal over the block, as a factor and a power of the books."""
        if signal not in self.powers:
            size = self.signals[signal].size
            sums, self.powers[signal] = self.books.stretch(self.device.blocks(size))
            self.launch("square_sums", size, self.signals[signal], size, sums)
        return float(self.steps if self.steady(signal) else 1), self.powers[signal]

    def book(self, row: int, column: int, *terms: tuple[float, tuple[float, int]]) -> None:
        """Add factors times powers of signals to a cell of the ledger."""
        self.books.book(row, column, *[(factor * times, power) for factor, (times, power) in terms])

    def combine(self, out: Any, first: Any, p: float, second: Any = None, q: float = 0.0, shift: Any = None,
                r: float = 0.0) -> None:  # fmt: skip
        """``out = p first + q second + r shift``: waves of one step or all, and a number for each channel."""
        channels, steps, batch = (int(n) for n in out.shape)
        stills = [int(wave is not None and wave.shape[1] == 1 != steps) for wave in (first, second)]
        self.launch("combine", out.size, first, stills[0], p, second, stills[1], q, shift, r, channels, steps, batch,
                    out)  # fmt: skip

    def product(self, matrix: Any, wave: Any, out: Any, *, transposed: bool = False, add: bool = False) -> None:
        """``out = matrix wave`` over all steps and samples."""
        self.operations.append(
            self.device.product(matrix, _flat(wave), _flat(out), transpose_a=transposed, add=add)
        )  # fmt: skip

    def hear(self, name: str, error: Any, wave: Any, factor: float, bias_factor: float) -> None:
        """Add ``factor * drive scale * error x wave`` to the drives of a matrix, and the error's sum to its bias."""
        stepper = self.stepper
        fold = int(wave.shape[1] == 1 and error.shape[1] > 1)
        channels, steps, batch = (int(n) for n in error.shape)
        scaled = stepper.temporary((channels, 1 if fold else steps, batch), "error")
        self.launch("scale_error", scaled.size, error, fold, factor, stepper.drive_scale, channels, steps, batch,
                    scaled)  # fmt: skip
        drive, bias = stepper.state.drive[f"{name}.matrix"], stepper.state.drive.get(f"{name}.bias")
        self.heard.append(drive)
        self.operations.append(
            self.device.product(_flat(scaled), _flat(wave), drive, transpose_b=True, add=True)
        )  # fmt: skip
        if bias is not None:
            self.heard.append(bias)
            self.launch("row_sums", 0, scaled, scaled.size // channels, bias_factor, bias, blocks=channels)

    def echo(self, name: str, wave: Any) -> Any:
        """What passed a node one round trip earlier, in exchange for what passes now."""
        ring = self.stepper.state.echoes[name]
        channels, memory, batch = (int(n) for n in ring.shape)
        out = self.stepper.temporary((channels, self.steps, batch), "echo")
        still = int(wave.shape[1] == 1 != self.steps)
        self.launch("echo", out.size, wave, still, channels, self.steps, batch, memory, self.stepper.clock, ring, out)
        return out

    def name(self, step: Pass) -> str:
        """The node of a pass."""
        return self.plan.node_names[step.node]

    def tap(self, step: Pass) -> float:
        """The share of power that a node's sensing couplers take."""
        return float(getattr(self.plan.nodes[step.node], "tap", 0.0))

    def _end(self, end: LineEnd) -> Any:
        return self.stepper.ends[(end.line, end.side)]

    def _depart(self, place: int, end: LineEnd, signal: int) -> None:
        """Write a departing wave into the cells the arriving one was read from, attenuated and with its noise."""
        line, stepper, row = self.plan.lines[end.line], self.stepper, len(self.plan.nodes) + place
        gain, sigma = float(line.gains[end.side]), float(line.sigmas[end.side])
        wave, steady = self.wave(signal)
        count = line.channels * self.steps * stepper.batch
        if line.smoothing < 1.0:
            before, memory = self.power(signal), stepper.state.filters[place]
            smooth = stepper.temporary((line.channels, self.steps, stepper.batch), "smooth")
            self.launch("smooth", memory.size, wave, steady, line.channels, self.steps, stepper.batch, line.smoothing,
                        memory, smooth)  # fmt: skip
            wave, steady = smooth, 0
        sums, (sent, held) = self.books.stretches(self.device.blocks(count), 2)
        self.launch("depart", count, self._end(end), stepper.noise, wave, steady, gain, sigma,
                    line.noise_sources[end.side], stepper.clock, self.steps, stepper.state.arena, sums)  # fmt: skip
        if line.smoothing < 1.0:
            self.book(row, LINES, (1.0, before))
            self.books.book(row, LINES, (-1.0, sent))
        self.books.book(row, LINES, (1.0 - gain * gain, sent))
        if sigma > 0.0:
            self.books.book(row, NOISE, (1.0, held), (-gain * gain, sent))


def _flat(wave: Any) -> Any:
    """``[channels, steps, batch]`` as ``[channels, steps * batch]``."""
    return wave.reshape(wave.shape[0], -1)
