"""Traces of single cells as piecewise-linear sources, so that a circuit simulator (SPICE) can replay a training run.

One text file per cell, one line `time value` per sample, times rising: what ngspice, LTspice, Xyce and Spectre read
with `PWL FILE=...` or `pwl(file=...)`. Between samples the simulator draws straight lines.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from substrate.errors import RunFileError
from substrate.record import RunReader

BLOCK_BYTES = 1 << 22  # read at a time
MOST_CELLS = 1000  # files written side by side
CELL = re.compile(r"(?P<port>[^\[\]]+)(\[(?P<place>[^\]]*)\])?")


@dataclass(frozen=True)
class Cell:
    """One cell of a port: where it sits in the port's array."""

    port: str
    place: tuple[int, ...]

    @property
    def file_name(self) -> str:
        """Its file's name, without the column."""
        return "_".join([self.port, *map(str, self.place)])


def find_cells(texts: Sequence[str], shapes: Mapping[str, tuple[int, ...]]) -> list[Cell]:
    """The cells that texts like `w1.matrix[0,3]`, `w1.bias[2]` or `w*.matrix[*,0]` name; `shapes` of ports are known.

    Raises RunFileError that names what there is.

    >>> [cell.place for cell in find_cells(["w1.matrix[*,1]"], {"w1.matrix": (2, 3)})]
    [(0, 1), (1, 1)]
    """
    found: dict[Cell, None] = {}
    for text in texts:
        match = CELL.fullmatch(text.strip())
        ports = [] if match is None else [port for port in shapes if fnmatch(port, match["port"])]
        if match is None or not ports:
            known = ", ".join(f"{port}[{','.join(map(str, shape))}]" for port, shape in shapes.items())
            raise RunFileError(f"no cell is called {text!r}; write port[row,column]; ports and sizes: {known}")
        for port in ports:
            wanted = _places(text, match["place"], shapes[port])
            found |= {Cell(port, place): None for place in np.ndindex(shapes[port]) if _fits(place, wanted)}
    if len(found) > MOST_CELLS:
        raise RunFileError(f"{len(found)} cells would be {len(found)} files; name at most {MOST_CELLS}")
    return list(found)


def _places(text: str, place: str | None, shape: tuple[int, ...]) -> list[int | None]:
    """One index per axis, None for all."""
    parts = ["*"] * len(shape) if place is None else [part.strip() for part in place.split(",")]
    if len(parts) != len(shape) or not all(part == "*" or part.isdigit() for part in parts):
        raise RunFileError(f"{text!r}: needs {len(shape)} numbers (or *) between brackets, counted from 0")
    wanted = [None if part == "*" else int(part) for part in parts]
    for index, size in zip(wanted, shape, strict=True):
        if index is not None and index >= size:
            raise RunFileError(f"{text!r}: the port has {size} there, counted from 0")
    return wanted


def _fits(place: tuple[int, ...], wanted: list[int | None]) -> bool:
    return all(index is None or index == here for here, index in zip(place, wanted, strict=True))


def export_pwl(run: str | Path, folder: str | Path, cells: Sequence[str], column: str = "value") -> list[Path]:
    """Write one column of single device cells (`w1.matrix[0,3]`, `*` for all) as PWL files into `folder`.

    Memory is bounded by the block that is read at a time. Returns the paths of the files; raises RunFileError.
    """
    with RunReader.open(run) as reader:
        found = [path.split("/") for path in reader.tables if path.startswith("/devices/") and path.count("/") == 3]
        shapes = {port: reader.tables[f"/devices/{port}/{column}"].shape for *_, port, kind in found if kind == column}
        if not shapes:
            known = ", ".join(sorted({kind for *_, kind in found})) or "none"
            raise RunFileError(f"{run}: no device recorded a column {column!r}; columns: {known}")
        chosen = find_cells(cells, shapes)
        samples = min(reader.rows("/devices/time"), *(reader.rows(f"/devices/{port}/{column}") for port in shapes))

        def pairs(port: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            path = f"/devices/{port}/{column}"
            rows = max(1, BLOCK_BYTES // max(1, reader.tables[path].row_bytes))
            for start in range(0, samples, rows):
                stop = min(start + rows, samples)
                yield reader.read("/devices/time", start, stop), reader.read(path, start, stop)

        return write_pwl(Path(folder), chosen, column, pairs)


def write_pwl(
    folder: Path, cells: Sequence[Cell], column: str, pairs: Callable[[str], Iterator[tuple[np.ndarray, np.ndarray]]]
) -> list[Path]:
    """Write one file per cell into `folder`; `pairs(port)` gives blocks of times [n] and rows [n, *shape].

    Returns the paths. Raises RunFileError where a file cannot be written.
    """
    paths = [folder / f"{cell.file_name}.{column}.pwl" for cell in cells]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for port in dict.fromkeys(cell.port for cell in cells):
            own = [(cell, path) for cell, path in zip(cells, paths, strict=True) if cell.port == port]
            with ExitStack() as stack:
                files = [stack.enter_context(open(path, "w", encoding="ascii")) for _, path in own]
                for times, rows in pairs(port):
                    stamps = times.tolist()
                    for (cell, _), file in zip(own, files, strict=True):
                        values = np.moveaxis(rows, 0, -1)[cell.place].tolist()
                        file.writelines(f"{t!r} {float(v)!r}\n" for t, v in zip(stamps, values, strict=True))
    except OSError as error:
        raise RunFileError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return paths
