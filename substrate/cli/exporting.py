"""`substrate export`: which tables go where."""

from collections.abc import Sequence
from pathlib import Path

import typer

from substrate.errors import ConfigError
from substrate.export import export_run


def run_export(run: Path, to: Path, chosen: Sequence[str], ports: Sequence[str], every: int) -> None:
    """Export one group of tables and say how much was written; raises ConfigError and RunFileError."""
    if len(chosen) > 1:
        flags = ", ".join(f"--{name}" for name in chosen)
        raise ConfigError(f"{flags}: one file holds one kind of table; export them one by one")
    what = chosen[0] if chosen else "devices"
    to.parent.mkdir(parents=True, exist_ok=True)
    samples = export_run(run, to, what, ports=ports, every=every)
    typer.echo(f"{to}: {what}, {samples} sample{'' if samples == 1 else 's'}")
