"""Problems with known answers: closed forms and peers, as objects that run on any backend; one family per file."""

import importlib
from collections.abc import Sequence

from substrate.errors import ConfigError
from substrate.validation.case import FAILED, PASSED, SKIPPED, Case, Measured, Result, Skipped, case, run_case

FAMILIES = (
    "lines",
    "reactive",
    "lossy",
    "fractional",
    "resonators",
    "meshes",
    "nonlinear",
    "thermal",
    "fluctuations",
    "training",
    "controls",
    "peers",
)


def all_cases() -> list[Case]:
    """Every case of every family, in the order they are written.

    >>> all_cases()[0].name
    'V1'
    """
    modules = [importlib.import_module(f"substrate.validation.{family}") for family in FAMILIES]
    # A family may use another's case as an example; it counts where it was written.
    return [
        item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, Case) and item.compute.__module__ == module.__name__
    ]


def run_cases(backend: str = "cpu", only: str | None = None, extra: Sequence[Case] = ()) -> list[Result]:
    """Run the cases, and those of ``extra``, whose name is ``only``, else whose quantity contains it; None means all.

    Raises ConfigError when nothing has that name.

    >>> [result.status for result in run_cases(only="V3")]
    ['passed', 'passed', 'passed']
    """
    known = [*all_cases(), *extra]
    cases = known
    if only is not None:
        named = [item for item in known if item.name.lower() == only.lower()]
        cases = named or [item for item in known if only.lower() in item.quantity.lower()]
    if not cases:
        names = ", ".join(dict.fromkeys(item.name for item in known))
        raise ConfigError(f"There is no validation case {only!r}; the cases are {names}")
    return [run_case(item, backend) for item in cases]


__all__ = [
    "FAILED",
    "PASSED",
    "SKIPPED",
    "Case",
    "Measured",
    "Result",
    "Skipped",
    "all_cases",
    "case",
    "run_case",
    "run_cases",
]
