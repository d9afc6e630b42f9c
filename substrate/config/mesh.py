"""Files of kind "mesh": TOML text -> a checked MeshConfig -> the task it describes, with devices at its ports."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from substrate.config.errors import Origin, complaint, key_lines
from substrate.config.mesh_schema import MeshConfig
from substrate.config.text import apply_overrides, override_path, parse_toml, refuse_other_kind, seed_of
from substrate.distributions import draw_numbers
from substrate.errors import ConfigError
from substrate.learning.chip import Chip, ChipSettings
from substrate.learning.chip_tasks import Classify, LearnUnitary, Task, TemporalXor
from substrate.learning.chip_training import ChipTraining
from substrate.learning.datasets import load_dataset
from substrate.learning.delay_chip import DelayChip


def parse_mesh(text: str, name: str, overrides: Sequence[str] = ()) -> MeshConfig:
    """Check the text of a file of kind "mesh"; `name` stands in messages. Raises ConfigError listing every fault.

    >>> parse_mesh("schema = 1\\nkind = 'mesh'\\nchip.modes = 4\\ndevice.model = 'ideal'", "my.toml")
    Traceback (most recent call last):
    ...
    substrate.errors.ConfigError: my.toml: the table [clock] is missing
    """
    content = apply_overrides(parse_toml(text, name), overrides)
    refuse_other_kind(content, "mesh", name)
    content = draw_numbers(content, seed_of(content.get("seed")))
    typed = {override_path(override): override for override in overrides}
    try:
        return MeshConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(complaint(error, MeshConfig, Origin(name, key_lines(text), typed))) from None


def build_task(config: MeshConfig, devices: Mapping[str, Any], base_dir: Path) -> Task:
    """The task a file describes, with ``devices`` by pattern of ports; raises ConfigError and DataError."""
    about, batch, seed = config.chip, config.training.batch, config.seed
    if config.task.kind == "xor":
        chip = DelayChip(
            about.modes, devices, batch=batch, seed=seed, delay=about.delay, gain=about.readout_gain,
            power=about.power, backend=config.training.backend,
        )  # fmt: skip
        return TemporalXor(chip, config.task.lag, seed, config.task.batches)
    numbers = about.model_dump(exclude={"cell_loss"}) | {"cell_loss_db": about.cell_loss}
    if config.task.kind == "unitary":
        numbers |= {"layers": 1, "outputs": about.modes}
    mesh = Chip(ChipSettings(**numbers), devices, batch=batch, seed=seed, backend=config.training.backend)
    if config.task.kind == "unitary":
        return LearnUnitary(mesh, seed, config.task.batches)
    data, is_path = config.data, config.data.dataset.endswith(".npz")
    dataset = load_dataset(
        base_dir / data.dataset if is_path else data.dataset, seed=data.seed, test_fraction=data.test_fraction,
        validation_fraction=data.validation_fraction, scale="none",
    )  # fmt: skip
    return Classify(mesh, dataset, config.task.pool, seed)


def build_training(config: MeshConfig) -> ChipTraining:
    """How a file trains."""
    training, clock = config.training, config.clock
    return ChipTraining(training.epochs, clock.dwell, clock.cooling, training.device_every)
