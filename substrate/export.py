"""Traces of a run file as CSV or .npz, streamed so that memory stays bounded however long the run was.

Devices come long: `time,port,row,column,value,drive,absorbed`, one line per cell and sample; a bias has no column. The
other tables come wide, one column per quantity with its unit in the header: `time [s],loss [1]`. An .npz holds each
table as one array under its name in the run file without the leading slash and group: `time`, `w1.matrix/value`.
Floats are written with all digits they have, so reading them back gives the same numbers.
"""

import csv
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import repeat
from pathlib import Path
from typing import IO, Any

import numpy as np

from substrate.errors import RunFileError
from substrate.record import RunReader

GROUPS = {
    "devices": "/devices",
    "metrics": "/metrics/epoch",
    "batches": "/metrics/batch",
    "ledger": "/ledger",
}
KINDS = ("value", "drive", "absorbed")  # the tables of a port
BLOCK_BYTES = 1 << 22  # read at a time


def export_run(
    run: str | Path, to: str | Path, what: str = "devices", *, ports: Sequence[str] = (), every: int = 1
) -> int:
    """Write one group of tables (`devices`, `metrics`, `batches` or `ledger`) to `to`, .csv or .npz by its suffix.

    `ports` are names or patterns of device ports (none: all); `every` keeps each N-th sample, beginning with the first.
    The file appears whole or not at all. Returns the number of samples written; raises RunFileError.
    """
    to = Path(to)
    if what not in GROUPS:
        raise RunFileError(f"what to export must be one of {', '.join(GROUPS)}, but is {what!r}")
    if ports and what != "devices":
        raise RunFileError(f"ports belong to devices; {what} has none")
    if to.suffix not in (".csv", ".npz"):
        raise RunFileError(f"{to}: the name must end in .csv or .npz, which says the format")
    with RunReader.open(run) as reader:
        names = _tables(reader, GROUPS[what])
        if what == "devices":
            names = _of_ports(names, ports, reader)
        if "time" not in names:
            raise RunFileError(f"{run}: holds no {what}")
        samples = min(reader.rows(path) for path in names.values())
        with _whole(to) as partial:
            if to.suffix == ".npz":
                _write_npz(partial, reader, names, samples, every)
            elif what == "devices":
                _write_devices(partial, reader, names, samples, every)
            else:
                _write_columns(partial, reader, names, samples, every)
    return len(range(0, samples, every))


def _tables(reader: RunReader, group: str) -> dict[str, str]:
    """Name within the group → path of a table; time comes first."""
    prefix = group + "/"
    found = {path[len(prefix) :]: path for path in reader.tables if path.startswith(prefix)}
    return dict(sorted(found.items(), key=lambda item: item[0] != "time"))


def _of_ports(names: dict[str, str], patterns: Sequence[str], reader: RunReader) -> dict[str, str]:
    ports = list(dict.fromkeys(name.rpartition("/")[0] for name in names if name != "time"))
    wanted = {port for port in ports if not patterns or any(fnmatch(port, pattern) for pattern in patterns)}
    for pattern in patterns:
        if not any(fnmatch(port, pattern) for port in ports):
            raise RunFileError(f"{reader.path}: no port fits {pattern!r}; the ports are {', '.join(ports)}")
    return {name: path for name, path in names.items() if name == "time" or name.rpartition("/")[0] in wanted}


def _blocks(reader: RunReader, path: str, samples: int, every: int) -> Iterator[np.ndarray]:
    """Every N-th of the first `samples` rows of a table, in blocks of bounded size."""
    rows = max(1, BLOCK_BYTES // max(1, reader.tables[path].row_bytes))
    for start in range(0, samples, rows):
        offset = -start % every
        block = reader.read(path, start, min(start + rows, samples))[offset::every]
        if len(block):
            yield block


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name beside `path` that takes its place when the block succeeds."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise RunFileError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)


def _write_devices(to: Path, reader: RunReader, names: dict[str, str], samples: int, every: int) -> None:
    ports = list(dict.fromkeys(name.rpartition("/")[0] for name in names if name != "time"))
    with open(to, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "port", "row", "column", *KINDS])
        for port in ports:
            shape = reader.tables[names[f"{port}/value"]].shape
            cells = [(row, *rest) if rest else (row, "") for row, *rest in np.ndindex(shape)]
            traces = [_samples(reader, names[f"{port}/{kind}"], samples, every) for kind in KINDS]
            for time, *rows in zip(_samples(reader, names["time"], samples, every), *traces, strict=True):
                columns = zip(*cells, strict=True)
                numbers = (row.ravel().tolist() for row in rows)
                writer.writerows(zip(repeat(float(time)), repeat(port), *columns, *numbers, strict=False))


def _samples(reader: RunReader, path: str, samples: int, every: int) -> Iterator[Any]:
    for block in _blocks(reader, path, samples, every):
        yield from block


def _write_columns(to: Path, reader: RunReader, names: dict[str, str], samples: int, every: int) -> None:
    with open(to, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([f"{name} [{reader.tables[path].unit}]" for name, path in names.items()])
        columns = [_samples(reader, path, samples, every) for path in names.values()]
        writer.writerows([value.item() for value in row] for row in zip(*columns, strict=True))


def _write_npz(to: Path, reader: RunReader, names: dict[str, str], samples: int, every: int) -> None:
    """An .npz is a zip of .npy files: a header, then the numbers, here block by block."""
    kept = len(range(0, samples, every))
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, path in names.items():
            spec = reader.tables[path]
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(_npy_header((kept, *spec.shape), spec.dtype))
                _pour(file, _blocks(reader, path, samples, every))


def _npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    header = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()


def _pour(file: IO[bytes], blocks: Iterator[np.ndarray]) -> None:
    for block in blocks:
        file.write(np.ascontiguousarray(block).tobytes())
