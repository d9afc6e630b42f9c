"""Training files: TOML text and overrides -> a checked TrainConfig, and from it network, settings and data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from substrate.config.errors import Origin, complaint, key_lines
from substrate.config.schema import DeviceTable, LineTable, PortTable, TrainConfig
from substrate.config.text import apply_overrides, override_path, parse_toml, read_text, refuse_other_kind, seed_of
from substrate.distributions import draw_numbers
from substrate.errors import ConfigError
from substrate.learning.datasets import Dataset, load_dataset
from substrate.learning.layered import layered
from substrate.learning.settings import RecordSettings, TrainSettings
from substrate.network import Line, Network

__all__ = [
    "DeviceTable",
    "PortTable",
    "TrainConfig",
    "apply_overrides",
    "build_network",
    "build_settings",
    "load_config",
    "load_data",
    "parse_config",
    "read_text",
]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read and check a training file; `overrides` are "key=value" texts that replace single values.

    Raises ConfigError that lists every fault of the file with its line.

    >>> from substrate.datafiles import data_path
    >>> load_config(data_path("examples", "digits.toml"), ["training.epochs=5"]).training.epochs
    5
    """
    return parse_config(read_text(path), Path(path).name, overrides)


def parse_config(text: str, name: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Check the text of a training file; `name` stands in messages. Raises ConfigError listing every fault.

    >>> parse_config("schema = 1\\nkind = 'trian'", "my.toml")
    Traceback (most recent call last):
    ...
    substrate.errors.ConfigError: my.toml: the table [network] is missing
    my.toml: the table [line] is missing
    my.toml: the table [clock] is missing
    my.toml: the table [device] is missing
    my.toml:2: kind: must be 'train', got 'trian'
    """
    content = apply_overrides(parse_toml(text, name), overrides)
    refuse_other_kind(content, "train", name)
    content = draw_numbers(content, seed_of(content.get("seed")))
    typed = {override_path(override): override for override in overrides}
    single = frozenset(key for key in ("line", "joint") if isinstance(content.get(key), dict))
    origin = Origin(name, key_lines(text), typed, single)
    content |= {key: [content[key]] for key in single}
    try:
        config = TrainConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(complaint(error, TrainConfig, origin)) from None
    try:
        build_settings(config)
    except ConfigError as error:
        key = str(error).partition("=")[0].split()[0]
        raise ConfigError(f"{origin.place(('clock', key))}: clock: {error}") from None
    return config


def build_network(config: TrainConfig) -> Network:
    """The network a training file describes, with the initial weights of its seed; raises NetworkError."""
    about = config.network
    tables = config.line * len(about.layers[1:]) if len(config.line) == 1 else config.line
    lines = [_line(*each, config.seed) for each in zip(tables, about.layers[1:], range(len(tables)), strict=True)]
    return layered(
        about.layers,
        line=lines,
        activation=about.activation,
        weights=about.weights,
        loss=about.loss,
        bias=about.bias,
        scale=about.scale,
        tap=about.tap,
        memory=about.memory,
        beta=about.beta,
        impedance=about.impedance,
        source_temperature=about.source_temperature,
        load_temperature=about.load_temperature,
        noise_temperature=about.noise_temperature,
        joints=[table.model_dump() for table in config.joint],
        seed=config.seed,
    )


def _line(table: LineTable, channels: int, layer: int, seed: int) -> Line:
    """The line behind a layer; which of its channels lag by how much is drawn by the seed."""
    draw = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5E, layer])))
    return Line(
        skew=() if table.delay_spread is None else tuple((table.delay_spread * draw.random(channels)).tolist()),
        delay=table.delay,
        impedance=table.impedance,
        loss_db=table.loss,
        loss_db_back=table.loss_back,
        temperature=table.temperature,
        lowpass=table.lowpass or 0.0,
    )


def build_settings(config: TrainConfig) -> TrainSettings:
    """The settings of the training run a file describes; raises ConfigError where its times do not fit."""
    clock, training = config.clock, config.training
    return TrainSettings(
        dt=clock.dt,
        dwell=clock.dwell,
        settle=clock.settle,
        device_interval=clock.device_interval,
        tolerance=clock.tolerance,
        batch=training.batch,
        epochs=training.epochs,
        seed=config.seed,
        dtype=training.precision,
        backend=training.backend,
        reference_power=clock.reference_power,
        record=RecordSettings(**config.record.model_dump()),
    )


def load_data(config: TrainConfig, base_dir: str | Path = ".") -> Dataset:
    """The data set a training file names; relative paths start at `base_dir`, the folder of the file.

    Raises DataError.
    """
    about, base = config.data, Path(base_dir)
    is_path = about.dataset.endswith(".npz")
    return load_dataset(
        base / about.dataset if is_path else about.dataset,
        seed=about.seed,
        test_fraction=about.test_fraction,
        validation_fraction=about.validation_fraction,
        scale=about.scale,
        images=None if about.images is None else base / about.images,
        labels=None if about.labels is None else base / about.labels,
    )
