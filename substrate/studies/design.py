"""A study -> its runs: every combination of a grid, or points of a random design, times the seeds of each."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.distributions import Distribution, distribution
from substrate.studies.description import Study


@dataclass(frozen=True)
class Run:
    """One run of a study: where it stands, the values of what varies, and its seed."""

    number: int
    point: int
    repeat: int
    seed: int
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of its run file, without the ending."""
        return f"{self.number:05d}"


def plan_runs(study: Study) -> list[Run]:
    """All runs of a study in order; the same for the same study, whoever runs them.

    >>> study = Study.model_validate({"schema": 1, "kind": "study", "base": "x.toml", "repeats": 2,
    ...                               "vary": {"line.loss": [0.0, 1.0]}})
    >>> [(run.number, run.point, run.seed, run.values) for run in plan_runs(study)][1:3]
    [(1, 0, 1, {'line.loss': 0.0}), (2, 1, 0, {'line.loss': 1.0})]
    """
    points = _grid(study) if study.method == "grid" else _drawn(study)
    return [
        Run(point * study.repeats + repeat, point, repeat, study.seed + repeat, values)
        for point, values in enumerate(points)
        for repeat in range(study.repeats)
    ]


def _grid(study: Study) -> list[dict[str, Any]]:
    return [dict(zip(study.vary, values, strict=True)) for values in itertools.product(*study.vary.values())]


def _drawn(study: Study) -> list[dict[str, Any]]:
    found = {key: distribution(text) for key, text in study.vary.items()}
    numbers: dict[str, Distribution] = {key: d for key, d in found.items() if d is not None}
    shares = unit_points(study.method, study.samples, len(numbers), study.seed)
    return [{key: d.at(float(s)) for (key, d), s in zip(numbers.items(), row, strict=True)} for row in shares]


def unit_points(method: str, samples: int, numbers: int, seed: int) -> np.ndarray:
    """Points of a design in the unit cube, ``[points, numbers]``.

    A sensitivity design is the two halves A and B of a Sobol sequence, then for each number A with that column of B.
    Source: Saltelli et al., Comput. Phys. Commun. 181, 259 (2010).

    >>> unit_points("sensitivity", 4, 3, 0).shape
    (20, 3)
    """
    from scipy.stats import qmc

    if method == "random":
        return np.random.Generator(np.random.Philox(seed)).random((samples, numbers))
    if method == "latin_hypercube":
        return np.asarray(qmc.LatinHypercube(numbers, rng=np.random.default_rng(seed)).random(samples))
    if method == "sobol":
        return np.asarray(qmc.Sobol(numbers, rng=np.random.default_rng(seed)).random(samples))
    both = qmc.Sobol(2 * numbers, rng=np.random.default_rng(seed)).random(samples)
    a, b = both[:, :numbers], both[:, numbers:]
    mixed = []
    for number in range(numbers):
        mixed.append(a.copy())
        mixed[-1][:, number] = b[:, number]
    return np.concatenate([a, b, *mixed])
