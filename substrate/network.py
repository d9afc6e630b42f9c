"""The description of a network: nodes, the lines between them, and what to probe; SI numbers, no time step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Node, require_temperature
from substrate.probe import Probe as Probe  # part of a description, kept in its own file
from substrate.waveforms import Waveform

FRACTIONAL = ("none", "linear", "thiran")


@dataclass(frozen=True)
class Line:
    """A bundle of equal transmission lines: waves run both ways, delayed, attenuated and, when warm, noisy.

    ``delay`` (s, one way), ``impedance`` (ohm), ``loss_db`` (dB of power per pass from the first end to the second),
    ``loss_db_back`` (the other way; None means the same), ``temperature`` (K, of what the line loses power to),
    ``phase`` (rad, by which a pass turns an optical envelope, ``exp(-i phase)``; one number, or one per sample of the
    batch), ``voltage`` (V, to which the line is charged at time zero, at rest), ``modulation`` (a waveform that
    multiplies waves both ways as they pass the line's first end: a modulator, or with
    :class:`substrate.waveforms.Noisy` a phase or loss that fluctuates), ``skew`` (s, one for each channel of a bundle,
    by which it lags behind ``delay``). A delay that is not a whole number of steps is rounded, or carried by a
    ``fractional`` filter at both ends, ``"linear"`` or ``"thiran"`` of ``order`` (:mod:`substrate.filters`).
    Raises NetworkError. Source: ``docs/theory.md``, sections "Loss" and "Noise".

    >>> Line(delay=10e-12, loss_db=0.2, temperature=300.0).gains[0] < 1.0
    True
    """

    delay: float
    impedance: float = 50.0
    loss_db: float = 0.0
    loss_db_back: float | None = None
    temperature: float = 0.0
    phase: Any = 0.0
    lowpass: float = 0.0
    voltage: Any = 0.0
    fractional: str = "none"
    order: int = 3
    modulation: Waveform | None = None
    skew: Sequence[float] = ()

    def __post_init__(self) -> None:
        for name, value in (("delay", self.delay), ("impedance", self.impedance)):
            if not (np.isfinite(value) and value > 0.0):
                raise NetworkError(f"A line needs a {name} above zero, but {name}={value!r}")
        for name, loss in (("loss_db", self.loss_db), ("loss_db_back", self.loss_db_back)):
            if loss is not None and not (np.isfinite(loss) and loss >= 0.0):
                raise NetworkError(f"A line is passive: {name} must be at least 0 dB, but {name}={loss!r}")
        require_temperature("A line", self.temperature)
        if not (np.isfinite(self.lowpass) and self.lowpass >= 0.0):
            raise NetworkError(f"A line's lowpass is a time of at least 0 s, but lowpass={self.lowpass!r}")
        if self.fractional not in FRACTIONAL or self.order < 1:
            raise NetworkError(
                f"A line's fractional must be one of {', '.join(FRACTIONAL)} with an order of at least 1, but "
                f"fractional={self.fractional!r}, order={self.order!r}"
            )

        if any(not (np.isfinite(lag) and lag >= 0.0) for lag in self.skew):
            raise NetworkError(f"A line's skew is how much later each channel is, at least 0 s, but skew={self.skew!r}")
        if self.skew and self.modulation is not None:
            raise NetworkError("A line cannot have both a modulation and a skew; make two lines of it")
        if self.modulation is not None and not hasattr(self.modulation, "sample"):
            raise NetworkError(f"A line's modulation is a waveform, such as Sine(...), not {self.modulation!r}")

    @property
    def gains(self) -> tuple[Any, Any]:
        """Amplitude factor of one pass, forward and back; complex where the line turns the phase."""
        back = self.loss_db if self.loss_db_back is None else self.loss_db_back
        still = self.phase == 0.0 if isinstance(self.phase, float) else np.all(np.asarray(self.phase) == 0.0)
        turn = 1.0 if still else np.exp(-1j * np.asarray(self.phase))
        return 10.0 ** (-self.loss_db / 20.0) * turn, 10.0 ** (-back / 20.0) * turn


@dataclass(frozen=True)
class PortReference:
    """One port of one node of a network, by name."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


@dataclass(frozen=True)
class Connection:
    """Two ports joined by a line, or directly (no delay) when ``line`` is None."""

    name: str
    first: PortReference
    second: PortReference
    line: Line | None


class Network:
    """Nodes joined by lines. Build it with :meth:`add` and :meth:`connect`; then compile it.

    >>> from substrate.nodes import Termination
    >>> net = Network()
    >>> left, right = net.add(Termination(), "left"), net.add(Termination(), "right")
    >>> net.connect(left, right, Line(delay=1e-9), "w1")
    >>> print(net)
    Network of 2 nodes, 1 line
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.connections: dict[str, Connection] = {}
        self._connected: set[PortReference] = set()

    def add(self, node: Node, name: str) -> str:
        """Add ``node`` under ``name`` and return the name; raises NetworkError when the name is taken."""
        if not name or not all(part.isidentifier() for part in name.split("-")):
            raise NetworkError(f"A node's name is letters, digits and _ (no dot), but it is {name!r}")
        if name in self.nodes:
            raise NetworkError(f"There are two nodes called {name!r}; give one another name")
        self.nodes[name] = node
        return name

    def connect(self, first: str, second: str, line: Line | None = None, name: str | None = None) -> None:
        """Join two ports by ``line``, or directly when it is None.

        Each port is ``"node.port"``; ``"node"`` alone means its last port for ``first`` and its first port for
        ``second``, so that a chain reads left to right. Raises NetworkError for unknown or taken ports.
        """
        a, b = self._resolve(first, -1), self._resolve(second, 0)
        name = name or self._line_name(a, b)
        if name in self.connections:
            raise NetworkError(f"There are two lines called {name!r}; give one another name")
        for reference in (a, b):
            if reference in self._taken():
                raise NetworkError(f"Line {name!r}: port {reference} is already connected")
        if a == b:
            raise NetworkError(f"Line {name!r} joins port {a} to itself")
        n_a, n_b = self.channels(a), self.channels(b)
        if n_a != n_b:
            raise NetworkError(f"Line {name!r} joins {a} ({n_a} channels) to {b} ({n_b} channels); they must agree")
        self.connections[name] = Connection(name, a, b, line)
        self._connected.update((a, b))

    def _taken(self) -> set[PortReference]:
        """Ports that are connected; gathered anew where the connections were changed from outside."""
        if len(self._connected) != 2 * len(self.connections):
            self._connected = {ref for c in self.connections.values() for ref in (c.first, c.second)}
        return self._connected

    def _line_name(self, a: PortReference, b: PortReference) -> str:
        names = (f"{a.node}-{b.node}" + (f"-{count}" if count else "") for count in range(len(self.connections) + 1))
        return next(name for name in names if name not in self.connections)

    def _resolve(self, text: str, default: int) -> PortReference:
        node, _, port = text.partition(".")
        if node not in self.nodes:
            raise NetworkError(f"There is no node {node!r}; the nodes are {', '.join(self.nodes) or '(none)'}")
        chosen = self.nodes[node].port(port) if port else self.nodes[node].ports[default]
        return PortReference(node, chosen.name)

    def channels(self, reference: PortReference) -> int:
        """How many channels a port carries."""
        return self.nodes[reference.node].port(reference.port).channels

    def reference(self, text: str) -> PortReference:
        """The port written ``"node.port"`` (or ``"node"`` when it has only one); raises NetworkError."""
        node, _, port = text.partition(".")
        if not port and node in self.nodes and len(self.nodes[node].ports) > 1:
            names = ", ".join(f"{node}.{p.name}" for p in self.nodes[node].ports)
            raise NetworkError(f"{node!r} has several ports; say which: {names}")
        return self._resolve(text, 0)

    def changed(self, values: Mapping[str, Any]) -> "Network":
        """A copy in which ``"node.field"``, ``"line.field"``, ``"node.part.field"`` are new. Raises NetworkError.

        >>> from substrate.nodes import Resistor
        >>> net = Network(); _ = net.add(Resistor(50.0), "load")
        >>> net.changed({"load.resistance": 75.0}).nodes["load"]
        Resistor(resistance=75.0, temperature=0.0)
        """
        copy = Network()
        copy.nodes, copy.connections = dict(self.nodes), dict(self.connections)
        for key, value in values.items():
            name, *path = key.split(".")
            connection = copy.connections.get(name)
            if name in copy.nodes:
                copy.nodes[name] = self._with(key, copy.nodes[name], path, value)
            elif connection is not None and connection.line is not None:
                copy.connections[name] = replace(connection, line=self._with(key, connection.line, path, value))
            else:
                raise NetworkError(
                    f"There is no {key!r} to change; there is {', '.join([*self.nodes, *self.connections])}"
                )
        return copy

    @staticmethod
    def _with(key: str, owner: Any, path: Sequence[str], value: Any) -> Any:
        """A node, line or part of one with the field at the end of ``path`` replaced."""
        known = [f.name for f in fields(owner)] if is_dataclass(owner) else []
        if not path or path[0] not in known:
            name = key.rpartition(".")[0] or key
            raise NetworkError(f"There is no {key!r} to change; there is {', '.join(f'{name}.{f}' for f in known)}")
        if len(path) > 1:
            value = Network._with(key, getattr(owner, path[0]), path[1:], value)
        return replace(owner, **{path[0]: value})

    def parameters(self) -> dict[str, np.ndarray]:
        """Initial values of every tunable number, by ``"node.parameter"``."""
        return {f"{name}.{key}": value for name, node in self.nodes.items() for key, value in node.parameters().items()}

    def __str__(self) -> str:
        lines = sum(connection.line is not None for connection in self.connections.values())
        return f"Network of {len(self.nodes)} nodes, {lines} line{'' if lines == 1 else 's'}"
