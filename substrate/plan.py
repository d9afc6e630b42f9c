"""What is compiled (Plan: steps, rows, a schedule of passes) and what changes while it runs (State)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.laying import LineAccuracy
from substrate.nodes.base import Node
from substrate.nodes.linear import Drive
from substrate.noise.switch import NoiseSettings
from substrate.nonlinear_plan import NonlinearGroup
from substrate.probe import Probe

Array = Any  # a NumPy or CuPy array; shapes and units stand beside each field

# What a run reports: + adds to the energy stored in the lines, - takes from it.
LEDGER = ("injected", "gain", "noise", "radiated", "dissipated_lines", "dissipated_nodes", "absorbed_ports")
LEDGER_SIGNS = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])

# What the backends count, the last axis of `State.ledger`. A node's net loss is kept per direction and split into gain
# and dissipation only when the books are read, so that neither depends on the length of a block.
INJECTED, NOISE, RADIATED, LINES, PORTS, NET_FORWARD, NET_BACKWARD = range(7)
FLOW_SIGNS = np.array([1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0])


def ledger_columns(flows: np.ndarray) -> np.ndarray:
    """The columns of :data:`LEDGER` from counted flows ``[entities, 7]``.

    >>> flows = np.zeros((2, 7)); flows[0, NET_FORWARD], flows[1, NET_FORWARD] = -2.0, 5.0
    >>> dict(zip(LEDGER, ledger_columns(flows).tolist()))["gain"]
    2.0
    """
    total, net = flows.sum(axis=0), flows[:, NET_FORWARD:]
    gain, loss = -np.minimum(net, 0.0).sum(), np.maximum(net, 0.0).sum()
    return np.array([total[INJECTED], gain, total[NOISE], total[RADIATED], total[LINES], loss, total[PORTS]])


@dataclass(frozen=True)
class DelayClass:
    """All lines of the same delay: they share one array of cells ``[2, rows, steps, batch]``."""

    steps: int
    rows: int
    hidden: bool = False  # whether its waves are no power waves, so that the stored energy leaves them out


@dataclass(frozen=True, slots=True)
class LineRows:
    """One compiled line: which cells it owns and what a pass does to a wave."""

    name: str
    delay_class: int  # index into Plan.classes
    row: int  # first of its rows there
    channels: int
    steps: int  # delay in steps
    gains: tuple[Any, Any]  # amplitude factor of a pass that starts at side 0, at side 1; may be complex, [batch]
    sigmas: tuple[float, float]  # rms of the thermal noise added to such a pass, in amplitude
    noise_sources: tuple[int, int]  # ids of the two noise generators
    delay_error: float  # (steps * dt - delay) / delay
    impedance: float = 50.0  # ohm
    temperature: float = 0.0  # K
    smoothing: float = 1.0  # share of a wave that its low-pass lets through at once; 1: no low-pass
    hidden: bool = False  # see DelayClass
    modulation: Any = None  # waveform that multiplies waves both ways where they pass side 0
    skew: tuple[int, ...] = ()  # steps by which each channel lags; empty: none
    charge: Any = None  # [steps] or [steps, batch], amplitude in its cells at time zero in order of arrival; None: zero


@dataclass(frozen=True, slots=True)
class LineEnd:
    """A place where a node reads an arriving wave and writes a departing one."""

    line: int  # index into Plan.lines
    side: int  # 0: the line's first end, 1: its second


@dataclass(frozen=True)
class Signal:
    """A wave inside a block: ``[channels, steps, batch]``, or ``[channels, 1, batch]`` when constant in a block."""

    label: str
    channels: int
    steady: bool = False


@dataclass(frozen=True)
class Pass:
    """One directed step of a node's law: signals in, one signal out (or none)."""

    kind: str  # see the table in docs/architecture.md, "Passes"
    node: int  # index into Plan.nodes
    inputs: tuple[int, ...]  # indices into Plan.signals
    output: int = -1
    sigma: float = 0.0  # rms of thermal noise added to the output
    noise_source: int = -1
    booked: bool = True  # whether the ledger counts this pass
    second: int = -1  # a second output, of nodes that reflect
    z: tuple[float, ...] = ()  # impedances at the node's ports over the nominal one, of nodes that reflect
    memory: int = 0  # steps for which a port or slope keeps what passed: its own round trip to the load and back
    beta: float = 1.0  # by which the load nudges; currents are divided by it to be gradients


@dataclass(frozen=True)
class PlannedProbe:
    """A probe after compiling: where its two waves are, which quantity it makes of them, and how that is reduced.

    The waves are signals of the plan, or rows of what clusters observe.
    """

    label: str
    quantity: str
    reduce: str
    arriving: int
    departing: int
    in_cluster: bool = False
    scale: float = 1.0  # sqrt(impedance * reference power) for volts, the reference power for watts
    request: Probe = field(default_factory=lambda: Probe(""))  # the description, which says how time is reduced
    line: int = -1  # index into Plan.lines of a probe inside a line, which the simulation reads; -1: at a port
    place: int = 0  # steps from the line's first end
    corrections: tuple[Any, Any] = (1.0, 1.0)  # from the cells' waves to those at the place, forward and returning

    @property
    def signal(self) -> int:
        """The only signal needed, for a plain wave probe of a node outside the circuit part."""
        return self.departing if self.quantity == "departing" else self.arriving


@dataclass(frozen=True, eq=False)
class ScaledDrive:
    """A source input of the circuit part and what its waveform is multiplied by to be in amplitude units."""

    drive: Drive
    scale: float


@dataclass(frozen=True, eq=False)
class ClusterGroup:
    """All clusters of one shape: ``[b, s', seen] = matrix [a, s, u]`` at each, every step."""

    names: tuple[str, ...]  # of the first node of each cluster
    matrices: (
        np.ndarray
    )  # [unique, batch or 1, ports + states + observed, ports + states + sources], line gains included
    which: np.ndarray  # int32[clusters], the matrix of each
    ports: int
    lines: np.ndarray  # int32[clusters, ports]
    sides: np.ndarray  # int8[clusters, ports]
    weights: np.ndarray  # float64[clusters, ports], power lost in the line over power that enters its cells
    energy: np.ndarray  # float64[clusters, states], weight of each state's square in the stored energy
    initial: np.ndarray  # [clusters, states, batch or 1]
    inputs: np.ndarray  # int32[clusters, sources], rows of Plan.drives
    observed: np.ndarray  # int32[clusters, observed], rows of what probes see
    own: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # [unique, states], of each state on itself alone
    metered: int = 0  # the last of them: a, b at the outer and at the line port of ends of lines with hidden waves

    @property
    def memoryless(self) -> bool:
        """Whether every step is one and the same matrix times what arrives, for all samples."""
        rows, columns = self.matrices.shape[2:]
        return self.matrices.shape[1] == 1 and rows == columns == self.ports


@dataclass(frozen=True)
class Link:
    """A photodiode or modulator: its ends are that which listens, then those whose departing waves it changes."""

    node: Any
    ends: tuple[LineEnd, ...]


@dataclass(frozen=True)
class Plan:
    """A network compiled for one time step; made by :func:`substrate.compile.compile_network`."""

    dt: float  # s
    reference_power: float  # W per unit amplitude squared
    node_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    classes: tuple[DelayClass, ...]
    lines: tuple[LineRows, ...]
    signals: tuple[Signal, ...]
    arrivals: tuple[tuple[LineEnd, int], ...]  # (end, signal)
    passes: tuple[Pass, ...]  # in an order in which every input is ready
    departures: tuple[tuple[LineEnd, int], ...]  # (end, signal)
    probes: tuple[PlannedProbe, ...]
    parameters: dict[str, np.ndarray] = field(repr=False)  # initial values by "node.parameter"
    clusters: tuple[ClusterGroup, ...] = ()
    drives: tuple[ScaledDrive, ...] = ()  # waveforms first, then white noise
    drive_noise_source: int = (
        0  # generator of all white drives (channel: place among them); ids after it: noisy waveforms
    )
    observed: int = 0  # rows that clusters observe for probes
    nonlinear: tuple[NonlinearGroup, ...] = ()  # clusters with nonlinear elements
    noise: NoiseSettings = field(default_factory=NoiseSettings)  # which kinds run
    links: tuple[Link, ...] = ()
    accuracies: dict[str, LineAccuracy] = field(default_factory=dict)  # of lines that are laid with filters, by name

    @property
    def block(self) -> int:
        """The most steps that can be computed at once: the shortest delay, in steps."""
        return min((line.steps for line in self.lines), default=1)

    def heading(self, group: ClusterGroup) -> int:
        """Column of the ledger that a group's energy is booked in: driven by waveforms, by noise alone, by nothing."""
        drives = [self.drives[i].drive for i in group.inputs.ravel().tolist()]
        if any(not drive.is_noise for drive in drives):
            return INJECTED
        warm = any(drive.waveform is not None or drive.temperature > 0.0 for drive in drives)
        return NOISE if warm else NET_FORWARD

    @property
    def entities(self) -> tuple[str, ...]:
        """Names of the rows of the ledger: wide nodes, line ends they send to, groups of clusters."""
        ends = tuple(f"{self.lines[end.line].name}.{end.side}" for end, _ in self.departures)
        groups = [*self.clusters, *(group.linear for group in self.nonlinear)]
        return self.node_names + ends + tuple(f"clusters of {group.ports} ports" for group in groups)

    def report(self) -> str:
        """A table of lines: delay in steps, its rounding error, loss and noise per pass."""
        rows = [f"dt = {self.dt:.6g} s, block = {self.block} steps, {len(self.nodes)} nodes, {len(self.lines)} lines"]
        for line in self.lines:
            rows.append(
                f"{line.name}: {line.channels} channels, {line.steps} steps (delay error {line.delay_error:+.3%}), "
                f"gain {_text(line.gains[0])}/{_text(line.gains[1])}, "
                f"noise rms {line.sigmas[0]:.3g}/{line.sigmas[1]:.3g}"
            )
        rows += [f"{name}: {accuracy}" for name, accuracy in self.accuracies.items()]
        return "\n".join(rows)


def _text(gain: Any) -> str:
    """A gain as text: one number, or how many there are."""
    return f"{gain:.6f}" if np.ndim(gain) == 0 else f"({np.size(gain)} numbers)"


@dataclass
class State:
    """Everything that changes while a plan is stepped, and nothing else; arrays live where the backend does."""

    step: int  # steps done so far
    cells: list[Array]  # one [2, rows, steps, batch] per delay class (of the real part)
    parameters: dict[str, Array]  # by "node.parameter"; what the waves see
    drive: dict[str, Array]  # same keys and shapes: -(scale) * sum over steps and batch of the port's gradient
    inputs: dict[str, Array]  # by node name: [channels, batch], held values of sources and targets of loads
    ledger: np.ndarray  # float64[entities, 7], flows of amplitude^2 since the last reading
    arena: Array = None  # [parts, cells]: all cells of all classes, real or real and imaginary parts; `cells` are views
    voltages: dict[str, Array] = field(default_factory=dict)  # by node: last solution [channels, batch], a warm start
    echoes: dict[str, Array] = field(default_factory=dict)  # by node: what passed, [channels, memory, batch], a ring
    skews: list[Array] = field(default_factory=list)  # per skewed line: last waves sent [parts, sides, channels, ...]
    poles: list[np.ndarray] = field(default_factory=list)  # per photodiode with a bandwidth: its current [batch], A
    filters: list[Array] = field(default_factory=list)  # per departure: what its low-pass remembers [channels, batch]
    memories: list[Array] = field(default_factory=list)  # per cluster group [parts, clusters, states, batch]
    nonlinear: list[Array] = field(default_factory=list)  # per nonlinear group: states like `memories`
    charges: list[Array] = field(
        default_factory=list
    )  # and charges of its elements, float64[clusters, inner, batch], C
    drive_scale: float = 0.0  # what each sample's gradient is multiplied by; 0: ports do not listen
    drive_fresh: bool = True  # whether the next block overwrites the drive rather than adding to it
    inputs_version: int = 0  # raised whenever inputs change
    version: int = 0  # raised whenever inputs or parameters change, so that steady signals are recomputed


def wave_segments(line: LineRows, side: int, step: int, steps: int) -> list[tuple[int, slice, slice]]:
    """Where the waves of ``steps`` steps from ``step`` on lie at one end of a line.

    Returns ``(plane, cells, block)`` slices, two of them when the block crosses the end of a lap.

    >>> line = LineRows("w", 0, 0, 1, 4, (1.0, 1.0), (0.0, 0.0), (0, 1), 0.0)
    >>> wave_segments(line, 1, 6, 3)
    [(0, slice(2, 4, None), slice(0, 2, None)), (1, slice(0, 1, None), slice(2, 3, None))]
    """
    lap, cell = divmod(step, line.steps)
    first = min(steps, line.steps - cell)
    segments = [(side ^ (lap & 1), slice(cell, cell + first), slice(0, first))]
    if first < steps:
        segments.append((side ^ (lap + 1 & 1), slice(0, steps - first), slice(first, steps)))
    return segments


def end_cells(
    plan: Plan, arena: Array, line: LineRows, side: int, step: int, steps: int, batch: int
) -> Iterator[tuple[list[Array], slice]]:
    """Views ``[channels, steps, batch]`` of the cells an end reads and writes in ``steps`` steps from ``step`` on.

    Gives ``(parts, block)``: real and imaginary parts, and which steps of the block they are; see
    :func:`wave_segments`.
    """
    start = sum(2 * c.rows * c.steps * batch for c in plan.classes[: line.delay_class])
    shape = (2, plan.classes[line.delay_class].rows, line.steps, batch)
    size, rows = int(np.prod(shape)), slice(line.row, line.row + line.channels)
    for plane, cells, block in wave_segments(line, side, step, steps):
        yield [part[start : start + size].reshape(shape)[plane, rows, cells] for part in arena], block
