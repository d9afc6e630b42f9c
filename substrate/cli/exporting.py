"""`substrate export`: which tables go where."""

from collections.abc import Sequence
from pathlib import Path

import typer

from substrate.errors import ConfigError
from substrate.export import export_run
from substrate.export.pwl import export_pwl
from substrate.record import RunReader

PWL = "pwl"


def run_export(
    run: Path, to: Path, chosen: Sequence[str], ports: Sequence[str], every: int, cells: Sequence[str], column: str
) -> None:
    """Export one group of tables and say how much was written; raises ConfigError and RunFileError."""
    if len(chosen) > 1:
        flags = ", ".join(f"--{name}" for name in chosen)
        raise ConfigError(f"{flags}: one file holds one kind of table; export them one by one")
    what = chosen[0] if chosen else "probes" if _is_circuit(run) else "devices"
    if to.name == PWL or to.suffix == f".{PWL}":
        if what != "devices" or ports or every != 1 or not cells:
            raise ConfigError(f"--to {PWL} writes single cells of devices: give --cells 'w1.matrix[0,3]', nothing else")
        for path in export_pwl(run, to, cells, column):
            typer.echo(path)
        return
    if cells:
        raise ConfigError(f"--cells belongs to --to {PWL}; for {to.name} choose --port")
    to.parent.mkdir(parents=True, exist_ok=True)
    samples = export_run(run, to, what, ports=ports, every=every)
    typer.echo(f"{to}: {what}, {samples} sample{'' if samples == 1 else 's'}")


def _is_circuit(run: Path) -> bool:
    with RunReader.open(run) as reader:
        return reader.attributes.get("kind") == "circuit"
