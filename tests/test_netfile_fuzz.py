"""Mutated and random netfiles: they work, or a SubstrateError says what is wrong; nothing else ever comes out."""

import copy
import tomllib
import warnings
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from substrate import compile_network
from substrate.errors import SubstrateError
from substrate.netfile import dump_netfile, parse_netfile, same_network
from substrate.netfile.parts import part_types
from substrate.netfile.values import written
from substrate.simulation import Simulation
from tests.netfiles import EXAMPLES, GOOD, ROOT

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
            container[key] = copy.deepcopy(data.draw(odd_values))
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
