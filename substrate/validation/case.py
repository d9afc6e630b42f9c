"""A validation case: a problem with a known answer, and what came out when it was run."""

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import SubstrateError

Compute = Callable[[str], Any]
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Skipped(SubstrateError):
    """A case cannot be run here; the message says why."""


@dataclass(frozen=True)
class Measured:
    """An answer that comes with its own tolerance: a statistical estimate and how far chance may move it."""

    value: Any
    tolerance: float


@dataclass(frozen=True, eq=False)
class Case:
    """One problem: ``compute(backend)`` must give ``expected`` (a number or an array) within ``tolerance``.

    ``tolerance`` is absolute in ``unit``, or a part of the expected value when ``relative``. ``expected`` may be a
    function, called when the case runs. ``theory`` holds the derivation or the source.
    """

    name: str
    quantity: str
    expected: Any
    tolerance: float
    compute: Compute
    unit: str = ""
    relative: bool = False
    theory: str = ""


@dataclass(frozen=True)
class Result:
    """What running a case gave; where a case has many values, those shown are the ones farthest from each other."""

    case: str
    quantity: str
    unit: str
    values: int  # how many numbers were compared
    expected: complex | float
    got: complex | float
    error: float
    tolerance: float
    seconds: float
    status: str
    reason: str = ""


def case(
    name: str, quantity: str, expected: Any, tolerance: float, unit: str = "", *, relative: bool = False
) -> Callable[[Compute], Case]:
    """Make a :class:`Case` of a function of the backend's name; its docstring is the derivation.

    >>> @case("V0", "one and one", expected=2.0, tolerance=0.0)
    ... def sum_of_ones(backend):
    ...     '''Peano 1889.'''
    ...     return 1.0 + 1.0
    >>> run_case(sum_of_ones, "cpu").status
    'passed'
    """

    def made(compute: Compute) -> Case:
        theory = inspect.getdoc(compute) or ""
        return Case(name, quantity, expected, tolerance, compute, unit, relative, theory)

    return made


def run_case(item: Case, backend: str) -> Result:
    """Run one case on a backend and compare; a mistake that can be named is a failure with its message."""
    start = time.perf_counter()
    try:
        expected = np.atleast_1d(np.asarray(item.expected() if callable(item.expected) else item.expected))
        answer = item.compute(backend)
    except Skipped as reason:
        return _without_answer(item, SKIPPED, str(reason), time.perf_counter() - start)
    except SubstrateError as mistake:
        return _without_answer(item, FAILED, str(mistake), time.perf_counter() - start)
    seconds = time.perf_counter() - start
    tolerance = answer.tolerance if isinstance(answer, Measured) else item.tolerance
    got = np.atleast_1d(np.asarray(answer.value if isinstance(answer, Measured) else answer))
    expected, got = np.broadcast_arrays(expected, got)
    error = np.abs(got - expected)
    if item.relative:
        error = error / np.abs(expected)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
    status = PASSED if error[worst] <= tolerance else FAILED
    return Result(
        item.name, item.quantity, item.unit, got.size, _number(expected[worst]), _number(got[worst]),
        float(error[worst]), float(tolerance), seconds, status, "" if status == PASSED else "outside the tolerance",
    )  # fmt: skip


def _without_answer(item: Case, status: str, reason: str, seconds: float) -> Result:
    nothing = float("nan")
    return Result(
        item.name, item.quantity, item.unit, 0, nothing, nothing, nothing, item.tolerance, seconds, status, reason
    )


def _number(value: Any) -> complex | float:
    return complex(value) if np.iscomplexobj(value) and value.imag != 0.0 else float(np.real(value))
