"""Netfiles: exact round trips of random networks, and what units, overrides and arrays are read as."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from substrate import Line, Network, Probe
from substrate.errors import ConfigError, SubstrateError
from substrate.media import OpticalLine, RcLine, RlgcLine
from substrate.netfile import Circuit, SimulationSettings, dump_netfile, load_netfile, parse_netfile, same_network
from substrate.netfile.parts import fields_of, line_types, node_types, part_types
from substrate.netfile.values import same, written
from substrate.nodes import Capacitor, Resistor, ScatteringNode, Series, Termination, Touchstone, VoltageSource, Weights
from substrate.nodes.base import Node, Port
from substrate.waveforms import Carrier, PiecewiseLinear, Pulse, Samples, Sine, Step
from tests.netfiles import EXAMPLES, GOOD, ROOT

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
        "noise": ("thermal", "rin"),
        "carrier": 193.4e12,
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
