"""Refuses what no memory of this machine could hold, before it is asked for."""

import os

from substrate.errors import BackendError


def machine_memory() -> int:
    """Bytes of physical memory, or 2^40 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 40


def require_memory(size: float, what: str, way_out: str) -> None:
    """Refuse to need ``size`` bytes when that is more than half of the machine's memory; raises BackendError.

    >>> require_memory(1e30, "The lines", "raise dt")
    Traceback (most recent call last):
    ...
    substrate.errors.BackendError: The lines need 1e+21 GB of memory, more than this machine can give; raise dt
    """
    if not size <= machine_memory() / 2:
        raise BackendError(f"{what} need {size / 1e9:.3g} GB of memory, more than this machine can give; {way_out}")
