"""Netfiles: exact round trips of random networks, faults told with their line, and mutated files that never crash."""

import copy
import re
import tomllib
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from substrate import Line, Network, Probe, compile_network
from substrate.errors import ConfigError, SubstrateError
from substrate.media import OpticalLine, RcLine, RlgcLine
from substrate.netfile import Circuit, SimulationSettings, dump_netfile, load_netfile, parse_netfile, same_network
from substrate.netfile_parts import fields_of, line_types, node_types, part_types
from substrate.netfile_values import same, written
from substrate.nodes import Capacitor, Resistor, ScatteringNode, Series, Termination, Touchstone, VoltageSource, Weights
from substrate.nodes.base import Node, Port
from substrate.simulation import Simulation
from substrate.waveforms import Carrier, PiecewiseLinear, Pulse, Samples, Sine, Step

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ("mismatched_line.toml", "pulse_former.toml", "ring.toml", "lc_ladder.toml")

GOOD = """\
schema = 1
kind = "circuit"
title = "Two loads"

[simulation]
duration = "20 ns"
dt = "10 ps"
batch = 2
probes = ["b.voltage", { at = "w1@0.5", quantity = "voltage", reduce_time = "rms" }]

[nodes.src]
type = "VoltageSource"
resistance = [25.0, 50.0]
waveform = { type = "Pulse", amplitude = "1 V", width = "2 ns", rise = "100 ps" }

[nodes.tee]
type = "ParallelJunction"

[nodes.a]
type = "Capacitor"
capacitance = "1 pF"

[nodes.b]
type = "Resistor"
resistance = "75 ohm"

[lines.w1]
from = "src"
to = "tee.p1"
delay = "1 ns"
impedance = "50 ohm"

[lines.w2]
from = "tee.p2"
to = "b"
delay = "2 ns"
loss_db = "0.1 dB"

[[joints]]
from = "tee.p3"
to = "a"

[[changes]]
time = "10 ns"
set = { "b.resistance" = "60 ohm" }
"""


# ------------------------------------------------------------------------------------------------- round trips

numbers = st.floats(1e-15, 1e15) | st.sampled_from([0.1, 1e-300, 50, 7])
per_sample = numbers | st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4).map(np.array)
signed = st.floats(-1e3, 1e3, allow_subnormal=False)
complexes = st.builds(complex, signed, signed)

waveforms = st.deferred(
    lambda: st.one_of(
        st.builds(Step, per_sample, signed, st.just(0.0) | numbers),
        st.builds(Pulse, per_sample | complexes, start=numbers, width=st.floats(10.0, 20.0), rise=st.floats(0.0, 5.0)),
        st.builds(Sine, per_sample, numbers, signed, signed),
        st.lists(st.floats(0.0, 1.0), min_size=1, max_size=4, unique=True).map(
            lambda times: PiecewiseLinear([(time, 2.0 * time) for time in sorted(times)])
        ),
        st.builds(Samples, st.lists(complexes, min_size=2, max_size=3).map(np.array), numbers),
        st.builds(Carrier, waveforms, per_sample, signed),
    )
)
known_fields: dict[str, st.SearchStrategy[Any]] = {
    "channels": st.just(1),
    "count": st.integers(2, 5),
    "waveform": waveforms,
    "part": st.builds(Capacitor, per_sample),
    "function": st.sampled_from(["tanh", "relu"]),
}


@st.composite
def nodes(draw: st.DrawFn, owner: type) -> Node:
    """A node of one class with some of its fields drawn; a draw that the class refuses is left out."""
    slots = fields_of(owner)
    chosen = {name: slot for name, slot in slots.items() if slot.required or draw(st.booleans())}
    arguments = {}
    for name, slot in chosen.items():
        if name in known_fields:
            arguments[name] = draw(known_fields[name])
        elif ("number" in slot.kinds and isinstance(slot.default, float | int | type(None)) and not slot.required) or (
            slot.required and "number" in slot.kinds
        ):
            arguments[name] = draw(per_sample if "array" in slot.kinds else numbers)
    try:
        return owner(**arguments)
    except (SubstrateError, TypeError, ValueError):
        return draw(st.builds(Resistor, per_sample))


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Random nodes of every class, their ports joined in random pairs by lines or directly, the rest terminated."""
    net, free = Network(), []
    types = list(node_types().values())
    for index in range(draw(st.integers(1, 5))):
        name = net.add(
            draw(nodes(draw(st.sampled_from(types)))), draw(st.sampled_from(["n", "a-b", "Übung"])) + str(index)
        )
        free += [(name, port) for port in net.nodes[name].ports]
    free = draw(st.permutations(free))
    while free:
        name, port = free.pop()
        partner = next((i for i, (_, other) in enumerate(free) if other.channels == port.channels), None)
        if partner is None:
            other, port_name = net.add(Termination(port.channels), f"t{len(net.nodes)}"), "in"
        else:
            other, port_name = free[partner][0], free.pop(partner)[1].name
        line = None
        if draw(st.booleans()):
            line = Line(
                draw(numbers), draw(numbers), draw(st.just(0.0) | numbers), phase=draw(st.just(0.0) | per_sample)
            )
        label = draw(st.sampled_from([None, f"w {len(net.connections)}", f'"{len(net.connections)}"\\']))
        net.connect(f"{name}.{port.name}", f"{other}.{port_name}", line, label)
    return net


@given(networks())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_random_networks_round_trip_exactly(network: Network) -> None:
    text = dump_netfile(network)
    again = parse_netfile(text)
    assert same_network(again.network, network) and again.settings is None
    assert dump_netfile(again.network) == text


@pytest.mark.parametrize("name", sorted(node_types()))
@given(st.data())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_every_node_class_round_trips(name: str, data: st.DataObject) -> None:
    node = data.draw(nodes(node_types()[name]))
    net = Network()
    net.add(node, "n")
    for port in node.ports:
        net.connect(f"n.{port.name}", net.add(Termination(port.channels), f"t_{port.name}"), Line(1e-9))
    assert same_network(parse_netfile(dump_netfile(net)).network, net)


MEDIA = [
    OpticalLine(
        5e-3, 2.4, 4.2, wavelength=np.array([1.55e-6, 1.56e-6]), loss_db_per_m=200.0, fractional="thiran", order=3
    ),
    RlgcLine(0.1, 20.0, 250e-9, 8e-3, 100e-12, skin=1e-3, poles=6, voltage=0.1 + 0.2),
    RcLine(1e-3, 17810.0, 154e-12, modes=4),
    Line(1e-9, 75.0, 0.1, 0.2, 300.0, np.array([0.1, 0.3]), fractional="linear"),
]


@pytest.mark.parametrize("line", MEDIA, ids=lambda line: type(line).__name__)
def test_every_line_class_round_trips(line: Line) -> None:
    assert {type(line) for line in MEDIA} == set(line_types().values())
    net = Network()
    net.connect(net.add(Resistor(1.0), "a"), net.add(Resistor(2.0), "b"), line, "w")
    settings_ = SimulationSettings(1e-9, 1e-12)  # longer than the delay of the diffusive line, which has none
    again = parse_netfile(dump_netfile(net, settings_)).network
    assert same_network(again, net) and again.connections["w"].line.gains is not None  # type: ignore[union-attr]


def test_properties_of_media_have_units_per_length() -> None:
    text = """schema = 1
kind = "circuit"
[nodes.a]
type = "Open"
[nodes.b]
type = "Open"
[lines.w]
type = "RlgcLine"
from = "a"
to = "b"
length = "10 cm"
resistance = "20 mohm/m"
inductance = "250 nH/m"
conductance = 0
capacitance = "100 pF/m"
"""
    assert same(parse_netfile(text).network.connections["w"].line, RlgcLine(0.1, 0.02, 250e-9, 0, 100e-12))
    with pytest.raises(
        ConfigError, match=r"lines.w.capacitance: expected a capacitance per length .*'100 pF', which is a"
    ):
        parse_netfile(text.replace("pF/m", "pF"))


def test_a_matrix_that_amplifies_is_refused_by_name_with_the_way_out() -> None:
    net = Network()
    net.connect(net.add(ScatteringNode(np.array([[0.9]])), "box"), net.add(Resistor(1.0), "r"), Line(1e-9))
    text = dump_netfile(net)
    assert same_network(parse_netfile(text).network, net)
    with pytest.raises(ConfigError, match=r"netfile:4: nodes.box: .*singular value.*active"):
        parse_netfile(text.replace("0.9", "1.1"))
    parse_netfile(text.replace("[[0.9]]", "[[1.1]]\nactive = true"))


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "short.s1p").write_text("# Hz S RI R 50\n" + "".join(f"{f}e9 -0.5 0\n" for f in range(1, 9)))
    net = Network()
    net.connect(
        net.add(Touchstone(str(tmp_path / "short.s1p"), order=1), "box"), net.add(Resistor(1.0), "r"), Line(1e-9)
    )
    (tmp_path / "net.toml").write_text(dump_netfile(net).replace(str(tmp_path) + "/", ""))
    assert same_network(load_netfile(tmp_path / "net.toml").network, net)


def test_the_registry_holds_what_is_exported() -> None:
    assert {"Resistor", "ParallelJunction", "VoltageSource", "Weights"} <= set(node_types())
    assert line_types()["Line"] is Line
    assert {"Step", "Pulse", "Sine", "PiecewiseLinear", "Samples", "Carrier"} <= set(part_types())
    assert "Node" not in node_types() and "Port" not in part_types()


def test_arrays_and_matrices_round_trip() -> None:
    net = Network()
    weights = net.add(Weights(np.random.default_rng(1).normal(size=(2, 3)), bias=np.array([0.1, -0.0])), "w")
    net.connect(f"{weights}.left", net.add(Termination(3), "left"), Line(1e-9))
    net.connect(f"{weights}.right", net.add(Termination(2), "right"), Line(1e-9))
    again = parse_netfile(dump_netfile(net)).network
    assert same_network(again, net) and again.nodes["w"].matrix.dtype == np.float64  # type: ignore[attr-defined]


def test_settings_round_trip() -> None:
    circuit = parse_netfile(GOOD)
    assert circuit.settings is not None and circuit.title == "Two loads"
    values: dict[str, Any] = {
        "duration": 0.1 + 0.2,
        "dt": 1e-12,
        "dtype": "float32",
        "batch": 2,
        "seed": 2**62,
        "backend": "reference",
        "reference_power": 1e-3,
        "probes": (
            Probe("b", "voltage"),
            Probe("b.in", "power", "mean", "histogram", 3, 5, (-1.0, 0.1)),
            Probe("w1@0.3 ns", "forward", name='odd "name"'),
        ),
        "changes": ((1e-9, {"b.resistance": np.array([0.1, 0.3]), "w2.impedance": 51.0}),),
    }
    settings_ = SimulationSettings(**values)
    again = parse_netfile(dump_netfile(circuit.network, settings_, 'Ti"tle\n\x7f\\ é'))
    assert again.title == 'Ti"tle\n\x7f\\ é' and again.settings is not None
    for field in fields(SimulationSettings):
        if field.name != "changes":
            assert same(getattr(again.settings, field.name), values[field.name]), field.name
    (time, changed), (expected_time, expected) = again.settings.changes[0], values["changes"][0]
    assert time == expected_time and changed.keys() == expected.keys()
    assert all(same(changed[key], expected[key]) for key in expected)


@given(st.floats() | st.complex_numbers() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])))
def test_every_value_round_trips(value: Any) -> None:
    text = written(value, "x")
    read = tomllib.loads(f"x = {text}")["x"]
    if isinstance(value, complex):
        read = complex(read)
    assert type(read) is type(value) and repr(read) == repr(value)


def test_what_a_netfile_cannot_hold_is_refused_by_name() -> None:
    class Odd(Node):
        law = "linear"

        @property
        def ports(self) -> tuple[Port, ...]:
            return (Port("in", 1),)

    net = Network()
    net.connect(net.add(Odd(), "odd"), net.add(Resistor(1.0), "r"), Line(1e-9))
    with pytest.raises(ConfigError, match=r"Node 'odd' is a Odd, which a netfile cannot hold"):
        dump_netfile(net)
    net = Network()
    net.connect(net.add(VoltageSource(waveform=lambda t: t), "s"), net.add(Resistor(1.0), "r"), Line(1e-9))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"Node 's'.waveform holds a function"):
        dump_netfile(net)
    net = parse_netfile(GOOD).network
    with pytest.raises(ConfigError, match="has a function"):
        dump_netfile(net, SimulationSettings(1.0, 0.1, (Probe("b", "voltage", function=np.abs),)))


# ---------------------------------------------------------------------------------------------- what is read


def test_units_give_the_same_numbers_as_si() -> None:
    circuit = parse_netfile(GOOD)
    nodes_, lines = circuit.network.nodes, circuit.network.connections
    assert same(nodes_["src"].waveform, Pulse(1.0, width=2e-9, rise=1e-10))  # type: ignore[attr-defined]
    assert same(nodes_["src"].resistance, np.array([25.0, 50.0]))  # type: ignore[attr-defined]
    assert nodes_["a"] == Capacitor(1e-12)
    assert lines["w1"].line == Line(1e-9) and lines["w2"].line == Line(2e-9, loss_db=0.1)
    assert str(lines["w1"].first) == "src.out" and lines["tee-a"].line is None
    assert circuit.settings is not None
    assert circuit.settings.probes == (Probe("b", "voltage"), Probe("w1@0.5", "voltage", reduce_time="rms"))
    assert circuit.settings.changes == ((1e-8, {"b.resistance": 60.0}),)


def test_overrides_reach_nodes_lines_joints_and_settings() -> None:
    words = [
        "nodes.b.resistance=1 kohm",
        "lines.w2.delay=3 ns",
        "simulation.batch=2",
        "joints.1.name=j",
        "changes.1.time=1 ns",
    ]
    circuit = parse_netfile(GOOD, overrides=words)
    assert circuit.network.nodes["b"] == Resistor(1000.0) and "j" in circuit.network.connections
    assert circuit.settings is not None and circuit.settings.changes[0][0] == 1e-9


def test_a_circuit_simulates_in_memory() -> None:
    traces = parse_netfile(GOOD).simulate()
    assert traces["b.voltage"].shape == (2000, 2) and traces["w1@0.5.voltage.rms"].shape == (2,)
    with pytest.raises(ConfigError, match="no \\[simulation\\]"):
        Circuit(Network()).simulate()


def test_a_part_inside_a_part_and_complex_numbers() -> None:
    node = Series(Capacitor(2e-12, 0.01))
    ports = [port.name for port in node.ports]
    net = Network()
    source = net.add(VoltageSource(Carrier(Step(1 + 2j), offset=1e9)), "s")
    net.connect(source, net.add(node, "c"), Line(1e-9))
    net.connect(f"c.{ports[1]}", net.add(Resistor(1.0), "r"))
    dumped = dump_netfile(net)
    assert '"1+2j"' in dumped and 'part = { type = "Capacitor"' in dumped
    assert same_network(parse_netfile(dumped).network, net)
    hand = dumped.replace("2e-12", '"2 pF"').replace("0.01", '"10 mV"').replace("1000000000.0", '"1 GHz"')
    assert same_network(parse_netfile(hand).network, net)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_round_trip_and_run(name: str) -> None:
    circuit = load_netfile(ROOT / "examples" / name)
    again = parse_netfile(dump_netfile(circuit.network, circuit.settings, circuit.title))
    assert same_network(again.network, circuit.network) and again.title == circuit.title
    first, second = circuit.simulate(), again.simulate()
    assert list(first.values) == list(second.values)
    for label in first.values:
        assert np.array_equal(first[label], second[label])


# --------------------------------------------------------------------------------------------------- faults

# (what is spoilt, by what, what is told)
FAULTS: list[tuple[str, str, str]] = [
    ('type = "Resistor"', 'type = "Resistr"', r"my.toml:24: .*unknown node type 'Resistr'; did you mean 'Resistor'\?"),
    (
        'resistance = "75 ohm"',
        'resistence = "75 ohm"',
        r"my.toml:25: \[nodes.b\] unknown key 'resistence'; did you mean 'resistance'\?",
    ),
    (
        '"75 ohm"',
        '"75 pF"',
        r"my.toml:25: nodes.b.resistance: expected a resistance or impedance .*'75 pF', which is a capacitance",
    ),
    ('"75 ohm"', '"75 omh"', r"my.toml:25: .*unknown unit 'omh' \(did you mean 'ohm'\?\)"),
    ('"75 ohm"', "-75", r"my.toml:23: nodes.b: A resistor needs at least 0 ohm"),
    ('"75 ohm"', "true", r"my.toml:25: nodes.b.resistance: expected a resistance or impedance such as .*got True"),
    (
        'resistance = "75 ohm"\n',
        "",
        r"my.toml:23: \[nodes.b\] needs the key 'resistance', such as resistance = \"50 ohm\"",
    ),
    ('amplitude = "1 V"', 'amplitude = "1 A"', r"my.toml:14: nodes.src.waveform.amplitude: expected a voltage"),
    ('type = "Pulse"', 'type = "Puls"', r"my.toml:14: .*unknown part type 'Puls'; did you mean 'Pulse'\?"),
    ('width = "2 ns"', 'width = "2 fs"', r"my.toml:14: nodes.src.waveform: A pulse of width=2e-15 s is too short"),
    (
        'delay = "1 ns"',
        'delay = "1 ps"',
        r"my.toml:30: \[lines.w1\] a line must last at least one step, but delay = 1e-12 s is shorter",
    ),
    ('delay = "1 ns"', 'delay = "1 ohm"', r"my.toml:30: lines.w1.delay: expected a time"),
    ('to = "b"', 'to = "c"', r"my.toml:33: lines.w2: There is no node 'c'"),
    ('to = "b"', 'to = "tee.p4"', r"my.toml:33: lines.w2: ParallelJunction has no port 'p4'; its ports are p1, p2, p3"),
    ('to = "b"', 'to = "tee.p1"', r"my.toml:33: lines.w2: .*port tee.p1 is already connected"),
    ('to = "b"', "to = 3", r"my.toml:35: \[lines.w2\] needs the key 'to'"),
    (
        '[[joints]]\nfrom = "tee.p3"\nto = "a"\n',
        "",
        r"my.toml:(16|19): port (tee.p3|a.in) is not connected; connect it to a line or a joint",
    ),
    ("[nodes.a]", "[nodes.b]", r"my.toml:23: the table \[nodes.b\] is there twice; give one of them another name"),
    ("schema = 1", "schema = 2", r"my.toml:1: schema: must be 1, got 2"),
    (
        'kind = "circuit"',
        'kind = "train"',
        r"my.toml: kind is 'train', not 'circuit'; such a file is for `substrate train my.toml`",
    ),
    ('kind = "circuit"', 'kind = "circus"', r"my.toml:2: kind: must be 'circuit', got 'circus'"),
    ("duration", "durations", r"my.toml:6: \[simulation\] unknown key 'durations'; did you mean 'duration'\?"),
    ('"20 ns"', '"20 nF"', r"my.toml:6: simulation.duration: expected a time"),
    ('"b.voltage"', '"c.voltage"', r"my.toml:9: .*There is no node 'c'"),
    ('"b.voltage"', '"b.voltge"', r"my.toml:9: .*quantity must be one of"),
    ('"w1@0.5"', '"w9@0.5"', r"my.toml:9: simulation.probes: there is no line 'w9'; known are w1, w2"),
    (
        "reduce_time",
        "reduce_tme",
        r"my.toml:9: simulation.probes: unknown key 'reduce_tme'; did you mean 'reduce_time'\?",
    ),
    ('"b.resistance"', '"b.resistanc"', r"my.toml:45: .*There is no 'b.resistanc' to change; there is b.resistance"),
    ('"60 ohm"', '"60 s"', r"my.toml:45: changes.1.set.b.resistance: expected a resistance"),
    ("[nodes.tee]", '[nodes."t.e"]', r"my.toml:16: nodes.t.e: A node's name is letters"),
    ("[lines.w1]", "[linse.w1]", r"my.toml:27: unknown table \[linse\]; did you mean 'lines'\?"),
    (GOOD, GOOD + '[[joints]]\nfrom = "tee"\n', r"my.toml:46: \[joints.2\] needs the key 'to'"),
    ("[25.0, 50.0]", "[25.0, [50.0]]", r"my.toml:13: nodes.src.resistance: the rows of a matrix must be of one length"),
    ("[25.0, 50.0]", '[25.0, "x"]', r"my.toml:13: nodes.src.resistance: expected a resistance"),
    (GOOD, "schema = ", r"my.toml:1: not valid TOML"),
    ('title = "Two loads"', f"title = {'9' * 5000}", r"my.toml: not valid TOML"),
]


@pytest.mark.parametrize(("old", "new", "message"), FAULTS)
def test_faults_are_told_with_their_line_and_the_way_out(old: str, new: str, message: str) -> None:
    spoilt = GOOD.replace(old, new, 1)
    assert spoilt != GOOD
    with pytest.raises(ConfigError) as told:
        parse_netfile(spoilt, "my.toml")
    assert re.search(message, str(told.value)), str(told.value)


def test_all_faulty_nodes_are_told_at_once() -> None:
    text = GOOD.replace("capacitance", "capacity").replace('"75 ohm"', '"75 V"')
    with pytest.raises(ConfigError) as told:
        parse_netfile(text, "my.toml")
    assert [line.split(": ")[0] for line in str(told.value).splitlines()] == ["my.toml:21", "my.toml:25"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_netfile(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        load_netfile(tmp_path / "binary.toml")


# ---------------------------------------------------------------------------------------------------- fuzz

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.integers(-3, 5),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1 ns", "50 ohm", "1+2j", "tee.p1", "w1@0.5.voltage", "Step", "Resistor", "1 V", "nan", ""]),
    st.lists(st.floats() | st.integers(-3, 3) | st.text(max_size=3), max_size=4),
    st.dictionaries(
        st.text(max_size=4) | st.sampled_from(["type", "amplitude"]), st.floats() | st.text(max_size=4), max_size=3
    ),
    st.sampled_from([{"type": name} for name in part_types()]),
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree of tables and lists."""
    found = []
    for key, value in list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)):
        found.append((tree, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def toml(tree: dict[str, Any]) -> str:
    """A tree as TOML, inline tables below the top; None, which TOML has not, is left out."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(inner) for key, inner in value.items() if inner is not None}
        return [clean(inner) for inner in value if inner is not None] if isinstance(value, list) else value

    rows = clean(tree)
    return "\n".join(f"{written({key: value}, 'x')[2:-2]}" for key, value in rows.items()) + "\n"


def must_not_crash(text: str) -> None:
    """Read, write, compile and step a file: it works, or a SubstrateError says what is wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            circuit = parse_netfile(text)
            assert same_network(parse_netfile(dump_netfile(circuit.network, circuit.settings)).network, circuit.network)
            if circuit.settings is None:
                return
            about = circuit.settings
            delays = [c.line.delay / about.dt for c in circuit.network.connections.values() if c.line is not None]
            if 1e6 < sum(delays) * about.batch < 1e14:  # may fit in the machine, but a test need not
                return
            plan = compile_network(
                circuit.network, about.dt, reference_power=about.reference_power, probes=about.probes
            )
            simulation = Simulation(plan, batch=about.batch, dtype=about.dtype, seed=about.seed)
            simulation.run(3)
            simulation.take_probes()
        except SubstrateError:
            return


@given(st.data())
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
def test_mutated_files_never_crash(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["good", *EXAMPLES]))
    tree = tomllib.loads(GOOD if name == "good" else (ROOT / "examples" / name).read_text())
    tree = copy.deepcopy(tree)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(tree)))
        what = data.draw(st.sampled_from(["delete", "replace", "rename", "copy"]))
        if what == "delete":
            del container[key]
        elif what == "replace" or isinstance(container, list):
            container[key] = data.draw(odd_values)
        elif what == "rename":
            container[data.draw(st.text(max_size=6) | st.sampled_from([key + "x", key[:-1], key.upper()]))] = (
                container.pop(key)
            )
        else:
            container[key] = copy.deepcopy(data.draw(st.sampled_from([c[k] for c, k in places(tree)])))
        if not places(tree):
            break
    must_not_crash(toml(tree))


@given(st.data())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_files_with_random_text_in_them_never_crash(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(len(GOOD), start + 12)))
    must_not_crash(GOOD[:start] + data.draw(st.text(max_size=10)) + GOOD[end:])
