"""Faults of netfiles: each is told with its line and the way out."""

import re
from pathlib import Path

import pytest

from substrate.errors import ConfigError
from substrate.netfile import load_netfile, parse_netfile
from tests.netfiles import GOOD

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
