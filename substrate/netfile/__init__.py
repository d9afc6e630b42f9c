"""Circuits as TOML: a network, and how it is to be simulated, read from a file and written to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from substrate.config.errors import Origin, Path, complaint, hint, key_lines
from substrate.config.text import apply_overrides, override_path, parse_toml, read_text, refuse_other_kind, seed_of
from substrate.distributions import draw_numbers
from substrate.errors import ConfigError
from substrate.netfile.parts import fields_of, line_types, node_types
from substrate.netfile.schema import JointTable, NetfileTables, ProbeTable
from substrate.netfile.values import Reader, key_text, same, text, written, written_fields
from substrate.network import Line, Network, PortReference
from substrate.nodes.linear import LinearNode
from substrate.noise.switch import NoiseSettings
from substrate.probe import Probe, split_place
from substrate.traces import Traces, as_probe, simulate


@dataclass(frozen=True)
class SimulationSettings:
    """How a circuit is to be simulated: the arguments of :func:`substrate.simulate`, in SI units."""

    duration: float  # s
    dt: float  # s
    probes: tuple[Probe, ...] = ()
    dtype: str = "float64"
    batch: int = 1
    seed: int = 0
    backend: str = "cpu"
    reference_power: float = 1.0  # W
    noise: tuple[str, ...] | None = None  # kinds that run; None: all that are described
    carrier: float | None = None  # Hz, of envelopes
    changes: tuple[tuple[float, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True)
class Circuit:
    """What a netfile holds: a network, its simulation settings (None where the file has none) and a title."""

    network: Network
    settings: SimulationSettings | None = None
    title: str = ""

    def simulate(self) -> Traces:
        """Simulate in memory as the file says; raises ConfigError where it does not, and what simulate raises."""
        if self.settings is None:
            raise ConfigError("This circuit has no [simulation]; say its duration and dt")
        values = {name: getattr(self.settings, name) for name in self.settings.__dataclass_fields__}
        return simulate(self.network, **values)


def load_netfile(path: str | FilePath, overrides: Sequence[str] = ()) -> Circuit:
    """Read and check a netfile; ``overrides`` are "key=value" texts that replace single values.

    Relative paths in the file, of Touchstone files say, start at its folder. Raises ConfigError that names
    the line of each fault.

    >>> from substrate.datafiles import data_path
    >>> circuit = load_netfile(data_path("examples", "mismatched_line.toml"), ["nodes.load.resistance=200 ohm"])
    >>> circuit.network.nodes["load"]
    Resistor(resistance=200.0, temperature=0.0)
    """
    return parse_netfile(read_text(path), FilePath(path).name, overrides, FilePath(path).parent)


def parse_netfile(
    content: str, name: str = "netfile", overrides: Sequence[str] = (), folder: FilePath | None = None
) -> Circuit:
    """Check the text of a netfile; ``name`` stands in messages, relative paths start at ``folder``. Raises ConfigError.

    >>> parse_netfile('''schema = 1
    ... kind = "circuit"
    ... [nodes.load]
    ... type = "Resistor"
    ... resistence = "100 ohm"
    ... ''', "my.toml")
    Traceback (most recent call last):
    ...
    substrate.errors.ConfigError: my.toml:5: [nodes.load] unknown key 'resistence'; did you mean 'resistance'?
    """
    raw = apply_overrides(parse_toml(content, name), overrides)
    refuse_other_kind(raw, "circuit", name)
    raw = _drawn(raw)
    origin = Origin(name, key_lines(content), {override_path(override): override for override in overrides})
    tables = _validated(NetfileTables, raw, origin)
    return _Builder(tables, Reader(origin, folder)).circuit()


def _drawn(raw: dict[str, Any]) -> dict[str, Any]:
    """The tables with their distributions drawn by ``simulation.seed``, one number for each sample of a batch."""
    about = raw.get("simulation")
    about = about if isinstance(about, dict) else {}
    batch = seed_of(about.get("batch", 1))
    drawn = draw_numbers(raw, seed_of(about.get("seed")), batch if batch > 1 else None)
    return {**drawn, "simulation": draw_numbers(about, seed_of(about.get("seed")))} if about else drawn


def _validated(schema: Any, raw: Any, origin: Origin) -> Any:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(complaint(error, schema, origin)) from None


class _Builder:
    """Makes the network of a checked netfile, and checks what can only be seen in the whole."""

    def __init__(self, tables: NetfileTables, reader: Reader) -> None:
        self.tables, self.reader, self.network = tables, reader, Network()

    def circuit(self) -> Circuit:
        """Everything, in the order of the file; all faults of nodes are told at once."""
        faults = [fault for name, table in self.tables.nodes.items() if (fault := self._node(name, table))]
        if faults:
            raise ConfigError("\n".join(faults))
        for name, table in self.tables.lines.items():
            self._line(name, table)
        for index, joint in enumerate(self.tables.joints):
            path: Path = ("joints", index)
            self._joint(joint, path)
        self._refuse_open_ports()
        return Circuit(self.network, self._settings(), self.tables.title)

    def _node(self, name: str, table: Mapping[str, Any]) -> str:
        try:
            node = self.reader.made(table, node_types(), ("nodes", name), what="node")
            self.reader.guarded(("nodes", name), lambda: self.network.add(node, name))
            if isinstance(node, LinearNode):
                self.reader.guarded(("nodes", name), lambda: node.refuse(name))
        except ConfigError as error:
            return str(error)
        return ""

    def _line(self, name: str, table: Mapping[str, Any]) -> None:
        path, ends = ("lines", name), ("from", "to")
        line = self.reader.made(table, line_types(), path, what="line", other=ends, usual="Line")
        for key in ends:
            if not isinstance(table.get(key), str):
                raise self.reader.fault(
                    (*path, key), f'[lines.{name}] needs the key {key!r}, such as {key} = "load.in"'
                )
        self.reader.guarded(path, lambda: self.network.connect(table["from"], table["to"], line, name))
        about = self.tables.simulation
        plain = type(line) is Line or getattr(line, "is_plain", False)
        if about is not None and plain and line.delay < about.dt * (1.0 - 1e-9):
            raise self.reader.fault(
                (*path, "delay"),
                f"[lines.{name}] a line must last at least one step, but delay = {line.delay:.6g} s is shorter than "
                f"simulation.dt = {about.dt:.6g} s; lower dt, lengthen the line, or join its ports in [[joints]]",
            )

    def _joint(self, joint: JointTable, path: Path) -> None:
        self.reader.guarded(path, lambda: self.network.connect(joint.first, joint.second, None, joint.name))

    def _refuse_open_ports(self) -> None:
        taken = {port for c in self.network.connections.values() for port in (c.first, c.second)}
        for name, node in self.network.nodes.items():
            for port in node.ports:
                if PortReference(name, port.name) not in taken:
                    raise self.reader.fault(
                        ("nodes", name),
                        f"port {name}.{port.name} is not connected; connect it to a line or a joint, or end it in a "
                        "node of type Termination",
                    )

    def _settings(self) -> SimulationSettings | None:
        about = self.tables.simulation
        if about is None:
            return None
        values = {name: getattr(about, name) for name in type(about).model_fields if name != "probes"}
        values["noise"] = None if about.noise is None else tuple(about.noise)
        self.reader.guarded(("simulation",), lambda: NoiseSettings.of(about.noise, about.carrier))
        probes = tuple(self._probe(probe, ("simulation", "probes")) for probe in about.probes)
        return SimulationSettings(**values, probes=probes, changes=tuple(self._changes()))

    def _probe(self, probe: Any, path: Path) -> Probe:
        """A probe from a text or a table; it must sit at a port or in a line there is."""
        guarded = self.reader.guarded
        if isinstance(probe, str):
            made = guarded(path, lambda: as_probe(self.network, probe))
        elif isinstance(probe, dict):
            table: ProbeTable = self._inner(ProbeTable, probe, path)
            span = None if table.span is None else tuple(table.span)
            made = guarded(path, lambda: Probe(**{**table.model_dump(), "span": span}))
        else:
            raise self.reader.fault(path, f"simulation.probes: expected texts such as 'load.voltage', got {probe!r}")
        if not made.in_line:
            guarded(path, lambda: self.network.reference(made.at))
        else:
            line = guarded(path, lambda: split_place(made.at))[0]
            lines = [name for name, c in self.network.connections.items() if c.line is not None]
            if line not in lines:
                raise self.reader.fault(path, f"simulation.probes: there is no line {line!r}{hint(line, lines)}")
        return made

    def _inner(self, schema: type[BaseModel], table: Any, path: Path) -> Any:
        try:
            return schema.model_validate(table)
        except ValidationError as error:
            origin = Origin("", {}, {})
            raise self.reader.fault(
                path, f"simulation.probes:{complaint(error, schema, origin).removeprefix(':')}"
            ) from None

    def _changes(self) -> list[tuple[float, Mapping[str, Any]]]:
        """Changes in the order of the file; each is tried on the network."""
        found: list[tuple[float, Mapping[str, Any]]] = []
        network = self.network
        for index, change in enumerate(self.tables.changes):
            path: Path = ("changes", index, "set")
            values = {key: self._changed(key, value, (*path, key)) for key, value in change.set.items()}
            network = self.reader.guarded(path, partial(network.changed, values))
            found.append((change.time, values))
        return found

    def _changed(self, key: str, value: Any, path: Path) -> Any:
        name, _, attribute = key.rpartition(".")
        owner: Any = self.network.nodes.get(name)
        if owner is None and name in self.network.connections:
            owner = self.network.connections[name].line
        kind: type = type(owner)
        slot = fields_of(kind).get(attribute) if owner is not None else None
        if slot is None:  # Network.changed says what there is
            self.reader.guarded(path, lambda: self.network.changed({key: value}))
            raise self.reader.fault(path, f"there is no {key!r} to change")
        return self.reader.value(value, slot, path)


def dump_netfile(network: Network, settings: SimulationSettings | None = None, title: str = "") -> str:
    """The text of a netfile that :func:`parse_netfile` reads as the same network and settings, number for number.

    Fields with their default are left out; arrays are lists; a joint keeps its place among joints, a line among lines.
    Raises ConfigError for nodes, lines and values that a netfile cannot hold.

    >>> from substrate.nodes import Resistor, VoltageSource
    >>> net = Network()
    >>> net.connect(net.add(VoltageSource(resistance=0.1), "src"), net.add(Resistor(1e3), "load"), name="j")
    >>> circuit = parse_netfile(dump_netfile(net))
    >>> same_network(circuit.network, net)
    True
    """
    parts = ['schema = 1\nkind = "circuit"']
    if title:
        parts[0] += f"\ntitle = {text(title)}"
    if settings is not None:
        parts.append(_settings_text(settings))
    for name, node in network.nodes.items():
        parts.append(_table(f"nodes.{key_text(name)}", _described(node, node_types(), f"Node {name!r}")))
    for name, connection in network.connections.items():
        ends = {"from": text(str(connection.first)), "to": text(str(connection.second))}
        if connection.line is not None:
            about = _described(connection.line, line_types(), f"Line {name!r}")
            if about["type"] == '"Line"':
                del about["type"]
            parts.append(_table(f"lines.{key_text(name)}", {**ends, **about}))
    for name, connection in network.connections.items():
        if connection.line is None:
            ends = {"from": text(str(connection.first)), "to": text(str(connection.second))}
            parts.append(_table("[joints]", {**ends, "name": text(name)}))
    for time, values in settings.changes if settings is not None else ():
        parts.append(_table("[changes]", {"time": written(time, "time"), "set": written(dict(values), "set")}))
    return "\n\n".join(parts) + "\n"


def _table(name: str, entries: Mapping[str, str]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {value}" for key, value in entries.items())])


def _described(value: Any, known: Mapping[str, type], who: str) -> dict[str, str]:
    name = type(value).__name__
    if known.get(name) is not type(value):
        raise ConfigError(f"{who} is a {name}, which a netfile cannot hold; it can hold {', '.join(known)}")
    return {"type": text(name), **written_fields(value, who)}


def _settings_text(settings: SimulationSettings) -> str:
    entries = {}
    for name in ("duration", "dt", "dtype", "batch", "seed", "backend", "reference_power", "noise", "carrier"):
        value, field = getattr(settings, name), settings.__dataclass_fields__[name]
        value = list(value) if isinstance(value, tuple) else value
        if name in ("duration", "dt") or not same(value, field.default):
            entries[name] = written(value, name)
    if settings.probes:
        entries["probes"] = "[" + ", ".join(_probe_text(probe) for probe in settings.probes) + "]"
    return _table("simulation", entries)


def _probe_text(probe: Probe) -> str:
    if probe == Probe(probe.at, probe.quantity):
        return text(f"{probe.at}.{probe.quantity}")
    if probe.function is not None or callable(probe.reduce_time):
        raise ConfigError(f"Probe {probe.label!r} has a function, which a netfile cannot hold; leave it to Python")
    values = {name: getattr(probe, name) for name in ProbeTable.model_fields}
    kept = {k: v for k, v in values.items() if k == "at" or v != ProbeTable.model_fields[k].default}
    if "span" in kept:
        kept["span"] = [float(edge) for edge in kept["span"]]
    return written(kept, "probes")


def same_network(first: Network, second: Network) -> bool:
    """Whether two networks have the same nodes and lines in the same order, and the same joints, bit for bit."""
    if list(first.nodes) != list(second.nodes) or set(first.connections) != set(second.connections):
        return False
    lines = [[n for n, c in network.connections.items() if c.line is not None] for network in (first, second)]
    return (
        lines[0] == lines[1]
        and all(same(node, second.nodes[name]) for name, node in first.nodes.items())
        and all(same(connection, second.connections[name]) for name, connection in first.connections.items())
    )
