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
    """Run the cases, and those of ``extra``, whose name is ``only`` or whose quantity contains it; None means all.

    Raises ConfigError when nothing has that name.

    >>> [result.status for result in run_cases(only="V3")]
    ['passed', 'passed', 'passed']
    """
    cases = [item for item in [*all_cases(), *extra] if _is_wanted(item, only)]
    if not cases:
        names = ", ".join(dict.fromkeys(item.name for item in [*all_cases(), *extra]))
        raise ConfigError(f"There is no validation case {only!r}; the cases are {names}")
    return [run_case(item, backend) for item in cases]


def _is_wanted(item: Case, only: str | None) -> bool:
    return (
        only is None or item.name.lower() == only.lower() or (len(only) > 3 and only.lower() in item.quantity.lower())
    )


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
