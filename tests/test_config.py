"""Training files: what they mean, and that every fault is told with its line, its key and the way out."""

from pathlib import Path

import numpy as np
import pytest

from substrate.config import apply_overrides, build_network, build_settings, load_config, load_data, parse_config
from substrate.config.errors import key_lines
from substrate.errors import ConfigError
from substrate.nodes import Joint
from tests.training_files import TINY

ROOT = Path(__file__).resolve().parent.parent


def faults(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "my.toml", overrides)
    return str(caught.value).splitlines()


def changed(old: str, new: str) -> str:
    assert old in TINY
    return TINY.replace(old, new)


def test_a_file_becomes_numbers_in_si() -> None:
    config = parse_config(TINY, "my.toml")
    assert config.line[0].delay == 1e-12 and config.clock.dwell == 4e-12
    assert config.clock.reference_power == 1e-3 and config.data.seed == 0
    assert build_settings(config).batch == 200
    assert build_network(config).connections["line1"].line is not None


def test_plain_numbers_are_si() -> None:
    config = parse_config(changed('delay = "1 ps"', "delay = 2e-12"), "my.toml")
    assert config.line[0].delay == 2e-12


def test_joints_are_one_or_one_per_layer() -> None:
    table = "\n[joint]\ncrosstalk = 0.1\n"
    two = changed("layers = [64, 10]", "layers = [64, 32, 10]") + table
    nodes = build_network(parse_config(two, "my.toml", ["joint.reflection=0.05"])).nodes
    assert nodes["joint1"] == Joint(32, 0.1, 0.05) and nodes["joint2"] == Joint(10, 0.1, 0.05)
    each = two.replace("[joint]", "[[joint]]\nreturn_gain = 1.1\n[[joint]]")
    nodes = build_network(parse_config(each, "my.toml")).nodes
    assert nodes["joint1"] == Joint(32, return_gain=1.1) and nodes["joint2"] == Joint(10, 0.1)
    assert "joint.crosstalk: must be at most 1, got 2" in faults(two.replace("= 0.1", "= 2"))[0]
    three = two.replace("[64, 32, 10]", "[64, 32, 16, 10]").replace("[joint]", "[[joint]]\n[[joint]]")
    assert "3 layers need one table [joint] for all or 3 tables [[joint]], but there are 2" in faults(three)[0]


def test_lines_may_differ() -> None:
    table = '[line]\ndelay = "1 ps"\nimpedance = "50 ohm"\n'
    text = changed("layers = [64, 10]", "layers = [64, 32, 10]")
    text = text.replace(table, '[[line]]\ndelay = "1 ps"\n[[line]]\ndelay = "2 ps"\nloss = "1 dB"\n')
    lines = build_network(parse_config(text, "my.toml")).connections
    assert [lines[name].line.delay for name in ("line1", "line2")] == [1e-12, 2e-12]  # type: ignore[union-attr]
    second = parse_config(text, "my.toml", ["line.2.loss=3 dB"])
    assert [line.loss for line in second.line] == [0.0, 3.0]
    both = parse_config(text, "my.toml", ["line.loss=3 dB"])
    assert [line.loss for line in both.line] == [3.0, 3.0]
    assert faults(text.replace('loss = "1 dB"', 'loss = "1 ps"'))[0].startswith("my.toml:13: line.2.loss: expected a l")
    three = text.replace("[64, 32, 10]", "[64, 32, 16, 10]")
    assert faults(three) == [
        "my.toml: 3 layers of weights (network.layers has 4 sizes) need one table [line] for all or 3 tables [[line]], "
        "but there are 2"
    ]


def test_channels_lag_by_up_to_the_spread_of_delays() -> None:
    """Each channel of each layer by its own draw, which the seed decides."""
    text = changed("layers = [64, 10]", "layers = [64, 32, 10]").replace(
        '"1 ps"\nimp', '"1 ps"\ndelay_spread = "4 ps"\nimp'
    )

    def skews(*overrides):
        lines = build_network(parse_config(text, "my.toml", list(overrides))).connections
        return lines["line1"].line.skew, lines["line2"].line.skew

    first, second = skews()
    assert (len(first), len(second)) == (32, 10) and first[:10] != second
    assert 0.0 <= min(first) < 1e-12 and 3e-12 < max(first) < 4e-12
    assert skews() == (first, second) and skews("seed=2")[0] != first
    with pytest.raises(ConfigError, match="delay_spread"):
        skews("line.delay_spread=-1 ps")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('delay = "1 ps"', 'dealy = "1 ps"', "my.toml:10: [line] unknown key 'dealy'; did you mean 'delay'?"),
        ("[network]", "[netwrk]", "my.toml:6: unknown table [netwrk]; did you mean 'network'?"),
        ('delay = "1 ps"\n', "", "my.toml:9: [line] needs the key 'delay', such as delay = \"10 ps\""),
        ("batch = 200", "batch = 0", "my.toml:22: training.batch: must be at least 1, got 0"),
        ("batch = 200", "batch = 2.5", "my.toml:22: training.batch: expected a whole number, got 2.5"),
        (
            "layers = [64, 10]",
            "layers = [64]",
            "my.toml:7: network.layers: expected a list of at least 2 numbers, got [64]",
        ),
        ("layers = [64, 10]", "layers = [64, 0]", "my.toml:7: network.layers.1: must be at least 1, got 0"),
        (
            "layers = [64, 10]",
            'layers = [64, 10]\nactivation = "thanh"',
            "my.toml:8: network.activation: must be one of tanh, relu, sigmoid, softplus, identity, got 'thanh'; "
            "did you mean 'tanh'?",
        ),
        ('delay = "1 ps"', 'delay = "-1 ps"', "my.toml:10: line.delay: must be above 0, got '-1 ps'"),
        (
            'delay = "1 ps"',
            'delay = "10 dB"',
            "my.toml:10: line.delay: expected a time such as '10 ps' or seconds as a number, got '10 dB', which is a "
            "loss or gain; units: as, fs, ps, ns, us, µs, ms, s, min, h",
        ),
        (
            'dwell = "4 ps"',
            'dwell = "4.5 ps"',
            "my.toml:15: clock: dwell=4.5e-12 s is 4.5 steps of dt=1e-12 s; make it a whole number, such as 4e-12 s",
        ),
        (
            "rate_per_batch = 0.3",
            "rate_per_batch = 0.3\nrate = 1e9",
            "my.toml:17: device: give either 'rate_per_batch' (the step per batch, without unit) or 'rate' (in 1/s), "
            "but there are both",
        ),
        (
            'card = "ideal_gradient"',
            "",
            "my.toml:17: device: give either 'card' (such as \"ideal_gradient\") or 'model', but there are neither",
        ),
        ("[clock]\n", "[clock]\ndt = = 3\n", "my.toml:14: not valid TOML: invalid value: dt = = 3"),
        ("schema = 1", "schema = 2", "my.toml:1: schema: must be 1, got 2"),
    ],
)
def test_a_fault_is_a_sentence(old: str, new: str, message: str) -> None:
    assert faults(changed(old, new)) == [message]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = changed("layers", "lairs").replace("batch = 200", 'batch = "200"').replace("impedance", "impedence")
    assert faults(text, "record.evry=3") == [
        "--set record.evry=3: [record] unknown key 'evry'; known are device_every, device_columns, ledger_every_tick, "
        "field_batches, "
        "checkpoint_seconds, compression",
        "my.toml:7: [network] unknown key 'lairs'; did you mean 'layers'?",
        "my.toml:11: [line] unknown key 'impedence'; did you mean 'impedance'?",
        "my.toml:22: training.batch: expected a whole number, got '200'",
    ]


def test_missing_tables_are_named() -> None:
    told = faults('schema = 1\nkind = "train"')
    assert told == [f"my.toml: the table [{name}] is missing" for name in ("network", "line", "clock", "device")]


def test_overrides_are_read_as_toml_and_as_text() -> None:
    config = parse_config(
        TINY, "my.toml", ["line.loss=0.3 dB", "training.epochs=5", "network.layers=[64, 20, 10]", "title=a = b"]
    )
    assert (config.line[0].loss, config.training.epochs, config.title) == (0.3, 5, "a = b")
    assert config.network.layers == [64, 20, 10]


def test_a_faulty_override_is_quoted() -> None:
    assert faults(TINY, "line.loss=3 ps")[0].startswith("--set line.loss=3 ps: line.loss: expected a loss or gain such")
    assert faults(TINY, "clok.dt=3") == ["--set clok.dt=3: unknown table [clok]; did you mean 'clock'?"]
    assert "expected key=value" in faults(TINY, "training.epochs")[0]
    assert faults(TINY, "seed.x=3") == ["--set seed.x=3: seed is no table, so it has no key 'x'"]


def test_overrides_leave_the_original_alone() -> None:
    content = {"line": {"loss": 0}}
    apply_overrides(content, ["line.loss=1"])
    assert content == {"line": {"loss": 0}}


def test_lines_are_found_through_texts_and_arrays() -> None:
    text = 'title = """\n[not]\nx = 1\n"""\n[a.b]\n"c d" = 1\nx.y = 2\n[[t]]\nk = 1\n[[t]]\nk = 2\n'
    found = key_lines(text)
    assert found[("a", "b", "c d")] == 6 and found[("a", "b", "x", "y")] == 7
    assert found[("t", 1, "k")] == 9 and found[("t", 2, "k")] == 11
    assert ("not",) not in found and ("x",) not in found


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="this is a folder"):
        load_config(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(tmp_path / "bytes.toml")


def test_data_paths_start_at_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "my.npz", x=rng.normal(size=(60, 64)), y=np.arange(60) % 10)
    config = parse_config(TINY, "my.toml", ["data.dataset=my.npz", "data.seed=3"])
    assert load_data(config, tmp_path).name == "my"


def test_a_pair_of_idx_files_needs_both() -> None:
    told = faults(TINY + '[data]\nimages = "a"\n')
    assert told == ["my.toml:28: data: IDX files come in pairs, but there is only 'images': give 'labels' as well"]


TRAINING = [path for path in sorted((ROOT / "examples").glob("*.toml")) if 'kind = "train"' in path.read_text()]


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.name)
def test_the_examples_are_valid(path: Path) -> None:
    from substrate.cli.ports import choose_devices

    config = load_config(path)
    build_network(config)
    assert not choose_devices(config, path.parent).notes
