"""What a study file may say: which input file, which numbers of it vary and how, and how often each point is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from substrate.config.errors import Origin, complaint, key_lines
from substrate.config.schema import Count, Seed, Strict
from substrate.config.text import apply_overrides, override_path, parse_toml, read_text, refuse_other_kind
from substrate.distributions import distribution
from substrate.errors import ConfigError


class Study(Strict):
    """A study: ``base`` is a training file or netfile, ``vary`` says which of its numbers take which values.

    ``method`` ``grid`` runs every combination of lists; ``random``, ``latin_hypercube`` and ``sobol`` draw ``samples``
    points from distributions; ``sensitivity`` is the design of a variance-based ranking, ``samples`` (2 + numbers)
    points. Each point is run ``repeats`` times with seeds of its own: initial weights, batches, noise, and whatever the
    base itself leaves to chance (``impedance = "normal(50 ohm, 2 ohm)"``).
    """

    schema_version: Literal[1] = Field(alias="schema", examples=[1])
    kind: Literal["study"] = Field(examples=["study"])
    base: str = Field(examples=["digits.toml"])
    title: str = ""
    method: Literal["grid", "random", "latin_hypercube", "sobol", "sensitivity"] = "grid"
    samples: Count = 64
    repeats: Count = 1
    seed: Seed = 0
    target: str = "accuracy"  # the column that figures and the yield are about
    above: float | None = None  # a run counts as good when the target is at least this
    fixed: dict[str, Any] = Field(default_factory=dict)  # numbers of the base that are the same in all runs
    vary: Annotated[dict[str, Any], Field(min_length=1)]

    @model_validator(mode="after")
    def check_values(self) -> "Study":
        """A grid takes lists, the other methods distributions."""
        for key, values in self.vary.items():
            if self.method == "grid":
                if not isinstance(values, list) or not values:
                    raise ValueError(f"vary.{key}: a grid takes a list of values, such as [0.1, 0.2]")
            else:
                try:
                    found = distribution(values, f"vary.{key}")
                except ConfigError as error:
                    raise ValueError(str(error)) from None
                if found is None:
                    raise ValueError(
                        f'vary.{key}: method {self.method!r} takes a distribution, such as "uniform(0, 1)"'
                    )
        if self.method in ("sobol", "sensitivity") and self.samples & (self.samples - 1):
            raise ValueError(f"samples must be a power of two for method {self.method!r}, such as 64")
        return self


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read and check a study file; raises ConfigError that lists every fault with its line.

    >>> from substrate.datafiles import data_path
    >>> load_study(data_path("examples", "loss_noise.toml")).base
    'digits.toml'
    """
    return parse_study(read_text(path), Path(path).name, overrides)


def parse_study(text: str, name: str, overrides: Sequence[str] = ()) -> Study:
    """Check the text of a study file; ``name`` stands in messages. Raises ConfigError."""
    content = apply_overrides(parse_toml(text, name), overrides)
    refuse_other_kind(content, "study", name)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        typed = {override_path(override): override for override in overrides}
        raise ConfigError(complaint(error, Study, Origin(name, key_lines(text), typed))) from None
