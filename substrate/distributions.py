"""Random numbers in input files: ``"normal(50 ohm, 2 ohm)"`` is a number that every seed draws anew."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import ConfigError

CALL = re.compile(r"^\s*(normal|lognormal|uniform|loguniform|choice)\s*\((.*)\)\s*$", re.DOTALL)
NUMBER = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
NEEDS = {
    "normal": "normal(mean, standard deviation)",
    "lognormal": "lognormal(median, standard deviation of the logarithm)",
    "uniform": "uniform(low, high)",
    "loguniform": "loguniform(low, high), both above 0",
    "choice": "choice(first, second, ...)",
}


@dataclass(frozen=True)
class Distribution:
    """A number that is drawn: ``normal``, ``lognormal``, ``uniform``, ``loguniform``, or a ``choice`` of texts.

    ``arguments`` are as :data:`NEEDS` says, in ``unit``, the unit that the texts had. Made by :func:`distribution`.

    >>> d = distribution("uniform(10 ps, 20 ps)")
    >>> d.at(0.5), d.at(0.0)
    ('15.0 ps', '10.0 ps')
    """

    kind: str
    arguments: tuple[float, ...]
    unit: str = ""
    choices: tuple[str, ...] = ()

    def at(self, share: float) -> str | float:
        """The value below which this share (0 to 1) of all draws lies, with its unit."""
        if self.kind == "choice":
            return _plain(self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)])
        value = float(self._quantile(share))
        return f"{value!r} {self.unit}" if self.unit else value

    def _quantile(self, share: float) -> float:
        from scipy.special import ndtri  # no part of scipy is loaded before something is drawn

        a, b = self.arguments
        if self.kind == "uniform":
            return a + (b - a) * share
        if self.kind == "loguniform":
            return a * (b / a) ** share
        z = float(ndtri(min(max(share, 1e-12), 1.0 - 1e-12)))
        return a + b * z if self.kind == "normal" else a * np.exp(b * z)

    def draw(self, seed: int, name: str, count: int | None = None) -> Any:
        """A value, or a list of ``count``, of a generator of its own: ``seed`` and the ``name`` of the number.

        >>> d = distribution("normal(50, 2)")
        >>> d.draw(1, "line.impedance") == d.draw(1, "line.impedance") != d.draw(2, "line.impedance")
        True
        """
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))
        if count is None:
            return self.at(float(random.random()))
        return [self.at(float(share)) for share in random.random(count)]


def _plain(text: str) -> str | float:
    """A number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text.strip("'\"")


def distribution(text: Any, where: str = "") -> Distribution | None:
    """The distribution that a text describes, None where it describes none; raises ConfigError where it is wrong.

    >>> distribution("50 ohm") is None
    True
    >>> distribution("normal(50 ohm, 4 %)")
    Traceback (most recent call last):
    ...
    substrate.errors.ConfigError: normal(50 ohm, 4 %): both numbers need the same unit
    """
    found = CALL.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    kind, inside = found[1], [part.strip() for part in found[2].split(",")]
    about = f"{where}: {text}" if where else text
    if kind == "choice":
        if not all(inside):
            raise ConfigError(f"{about}: expected {NEEDS[kind]}")
        return Distribution(kind, (), choices=tuple(inside))
    numbers = [NUMBER.match(part) for part in inside]
    if len(numbers) != 2 or not all(numbers):
        raise ConfigError(f"{about}: expected {NEEDS[kind]}, such as {kind}(50 ohm, 2 ohm)")
    first, second = (float(n[1]) for n in numbers if n)
    unit, other = (n[2] for n in numbers if n)
    if other != unit and not (kind == "lognormal" and not other):
        raise ConfigError(f"{about}: both numbers need the same unit")
    if (kind in ("uniform", "loguniform") and not first < second) or (kind == "loguniform" and first <= 0.0):
        raise ConfigError(f"{about}: expected {NEEDS[kind]} with low < high")
    if kind in ("normal", "lognormal") and second < 0.0:
        raise ConfigError(f"{about}: a standard deviation cannot be below 0")
    return Distribution(kind, (first, second), unit)


def draw_numbers(content: Any, seed: int, count: int | None = None, place: Sequence[str] = ()) -> Any:
    """A copy of the tables of an input file in which every distribution has become a number, or a list of ``count``.

    Each number has a generator of its own, by ``seed`` and its place, so that one more distribution changes no other.
    Raises ConfigError.

    >>> draw_numbers({"line": {"delay": "1 ns", "impedance": "choice(50)"}}, seed=0)
    {'line': {'delay': '1 ns', 'impedance': 50.0}}
    """
    if isinstance(content, dict):
        return {key: draw_numbers(value, seed, count, (*place, str(key))) for key, value in content.items()}
    if isinstance(content, list):
        return [draw_numbers(value, seed, count, (*place, str(n + 1))) for n, value in enumerate(content)]
    name = ".".join(place)
    found = distribution(content, name)
    return content if found is None else found.draw(seed, name, count)
