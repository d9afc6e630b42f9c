"""How a command speaks: errors in one line, notes beside the answer, tables and JSON."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer

MISTAKE, UNEXPECTED = 2, 1  # exit codes
_debug = False


def set_debug(wanted: bool) -> None:
    """Whether unexpected errors show their traceback."""
    global _debug
    _debug = wanted


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors of the block into lines on stderr and an exit code; what nobody foresaw shows its type.

    >>> with reported():
    ...     pass
    """
    try:
        yield
    except (typer.Exit, KeyboardInterrupt):
        raise
    except BrokenPipeError:  # `substrate info run.h5 | head`
        sys.stderr.close()
        raise typer.Exit(0) from None
    except Exception as error:
        if _is_foreseen(error):
            fail(str(error))
        elif _debug:
            raise
        elif isinstance(error, OSError):
            fail(f"{error.filename or 'the system'}: {error.strerror or error}", UNEXPECTED)
        else:
            fail(
                f"unexpected {type(error).__name__}: {error}. This is a bug; "
                "`substrate --debug ...` shows where it happened",
                UNEXPECTED,
            )


def _is_foreseen(error: Exception) -> bool:
    from devices.errors import DeviceError
    from substrate.errors import SubstrateError

    return isinstance(error, SubstrateError | DeviceError)


def fail(message: str, code: int = MISTAKE) -> None:
    """Print every line of a message as an error and leave with the exit code."""
    for line in message.splitlines():
        typer.echo(typer.style("error: ", fg="red", bold=True) + line, err=True)
    raise typer.Exit(code)


def note(message: str) -> None:
    """Say something beside the answer, on stderr."""
    typer.echo(typer.style("note: ", fg="yellow") + message, err=True)


def print_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON object on stdout; numbers that are none (nan) become null.

    >>> print_json({"accuracy": float("nan")})
    {
      "accuracy": null
    }
    """
    typer.echo(json.dumps(_plain(content), indent=2, ensure_ascii=False, default=str))


def _plain(content: Any) -> Any:
    if isinstance(content, float) and not math.isfinite(content):
        return None
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table on stdout, as wide as its content where it goes into a file or a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_header=any(columns))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 400
        console.width = max(console.measure(table).maximum, 1)
    console.print(table)
