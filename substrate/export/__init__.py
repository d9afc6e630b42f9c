"""Traces of a run file as CSV, .npz or NetCDF, streamed so that memory stays bounded however long the run was.

Devices come long: `time,port,row,column,value,drive,absorbed`, one line per cell and sample, with the columns that were
recorded; a bias has no column, and what a port does not have stays empty. The
other tables come wide, one column per quantity with its unit in the header: `time [s],loss [1]`. An .npz holds each
table as one array under its name in the run file without the leading slash and group: `time`, `w1.matrix/value`;
NetCDF (.nc) writes `w1.matrix.value`, its units and its dimensions, for all but probes.
Probes of a circuit come wide too, `time [s],load.voltage [V]`, with a column for each sample of a batch
(`load.voltage[3]
[V]`) and two for a complex number (`re ...`, `im ...`); one that keeps every N-th step has a clock of its own.
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
from substrate.export.netcdf import write_netcdf
from substrate.record import RunReader

GROUPS = {
    "devices": "/devices",
    "metrics": "/metrics/epoch",
    "batches": "/metrics/batch",
    "ledger": "/ledger",
    "probes": "/probes",
}
BLOCK_BYTES = 1 << 22  # read at a time


def export_run(
    run: str | Path, to: str | Path, what: str = "devices", *, ports: Sequence[str] = (), every: int = 1
) -> int:
    """Write one group of tables (a key of `GROUPS`) to `to`, .csv or .npz by its suffix.

    `ports` are names or patterns of device ports or of probes (none: all); `every` keeps each N-th sample, beginning
    with the first. The file appears whole or not at all. Returns the number of samples written; raises RunFileError.
    """
    to = Path(to)
    if what not in GROUPS:
        raise RunFileError(f"what to export must be one of {', '.join(GROUPS)}, but is {what!r}")
    if ports and what not in ("devices", "probes"):
        raise RunFileError(f"ports belong to devices and probes; {what} has none")
    if to.suffix not in (".csv", ".npz", ".nc") or (to.suffix == ".nc" and what == "probes"):
        formats = ".csv or .npz" if what == "probes" else ".csv, .npz or .nc"
        raise RunFileError(f"{to}: the name must end in {formats}, which says the format")
    with RunReader.open(run) as reader:
        names = _tables(reader, GROUPS[what])
        if what == "devices":
            names = _of_ports(names, ports, reader)
        if what == "probes":
            return _export_probes(reader, to, names, ports, every)
        if "time" not in names:
            raise RunFileError(f"{run}: holds no {what}")
        samples = min(reader.rows(path) for path in names.values())
        with _whole(to) as partial:
            if to.suffix == ".npz":
                _write_npz(partial, reader, {name: (path, samples) for name, path in names.items()}, every)
            elif to.suffix == ".nc":
                _write_netcdf(partial, reader, names, samples, every)
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


def _export_probes(reader: RunReader, to: Path, names: dict[str, str], patterns: Sequence[str], every: int) -> int:
    """Write the traces whose labels fit; returns the number of samples of the longest."""
    labels = [name.removesuffix("/value") for name in names if name.endswith("/value")]
    if not labels:
        raise RunFileError(f"{reader.path}: holds no traces of probes; `substrate simulate` writes those")
    for pattern in patterns:
        if not any(fnmatch(label, pattern) for label in labels):
            raise RunFileError(f"{reader.path}: no probe fits {pattern!r}; the probes are {', '.join(labels)}")
    clocks: dict[str, dict[str, str]] = {}  # clock → label → table
    for label in labels:
        if not patterns or any(fnmatch(label, pattern) for pattern in patterns):
            own = f"{label}/time"
            clocks.setdefault(own if own in names else "time", {})[label] = names[f"{label}/value"]
    groups = [{clock: names[clock], **tables} for clock, tables in clocks.items()]
    counts = [min(reader.rows(path) for path in group.values()) for group in groups]
    if to.suffix == ".csv" and len(groups) > 1:
        raise RunFileError(
            f"{to}: the probes {', '.join(labels)} do not all keep the same steps, and a .csv has one time; choose "
            "some with --port, or export to .npz"
        )
    with _whole(to) as partial:
        if to.suffix == ".npz":
            tables = {
                n: (path, count) for group, count in zip(groups, counts, strict=True) for n, path in group.items()
            }
            _write_npz(partial, reader, tables, every)
        else:
            shown = {"time" if name.endswith("/time") else name: path for name, path in groups[0].items()}
            _write_columns(partial, reader, shown, counts[0], every)
    return max(len(range(0, count, every)) for count in counts)


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
    split = [name.rpartition("/") for name in names if name != "time"]
    ports, kinds = list(dict.fromkeys(port for port, _, _ in split)), list(dict.fromkeys(kind for _, _, kind in split))
    with open(to, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "port", "row", "column", *kinds])
        for port in ports:
            shape = reader.tables[names[f"{port}/value"]].shape
            cells = [(row, *rest) if rest else (row, "") for row, *rest in np.ndindex(shape)]
            own = [names.get(f"{port}/{kind}") for kind in kinds]
            traces = [repeat(None) if path is None else _samples(reader, path, samples, every) for path in own]
            for time, *rows in zip(_samples(reader, names["time"], samples, every), *traces, strict=False):
                columns = zip(*cells, strict=True)
                numbers = (repeat("") if row is None else row.ravel().tolist() for row in rows)
                writer.writerows(zip(repeat(float(time)), repeat(port), *columns, *numbers, strict=False))


def _write_netcdf(to: Path, reader: RunReader, names: dict[str, str], samples: int, every: int) -> None:
    kept = len(range(0, samples, every))
    about = {"title": str(reader.attributes.get("title", "")), "source": f"wave-substrate, run file {reader.path.name}"}
    tables = {name: reader.tables[path] for name, path in names.items()}
    write_netcdf(to, tables, kept, lambda name: _blocks(reader, names[name], samples, every), about)


def _samples(reader: RunReader, path: str, samples: int, every: int) -> Iterator[Any]:
    for block in _blocks(reader, path, samples, every):
        yield from block


def _write_columns(to: Path, reader: RunReader, names: dict[str, str], samples: int, every: int) -> None:
    with open(to, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        specs = reader.tables
        heads = [_heads(name, specs[path].unit, specs[path].shape, specs[path].dtype) for name, path in names.items()]
        writer.writerow([head for part in heads for head in part])
        columns = [_samples(reader, path, samples, every) for path in names.values()]
        writer.writerows([value for part in row for value in _numbers(part)] for row in zip(*columns, strict=True))


def _heads(name: str, unit: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> list[str]:
    """Headers of the columns of a table.

    >>> _heads("load.voltage", "V", (2,), np.dtype("c16"))
    ['re load.voltage[0] [V]', 'im load.voltage[0] [V]', 're load.voltage[1] [V]', 'im load.voltage[1] [V]']
    """
    places = [f"[{','.join(map(str, place))}]" if shape else "" for place in np.ndindex(shape)]
    parts = ("re ", "im ") if dtype.kind == "c" else ("",)
    return [f"{part}{name}{place} [{unit}]" for place in places for part in parts]


def _numbers(row: Any) -> list[Any]:
    """A row of a table, flat, with both parts of complex numbers."""
    flat = np.atleast_1d(row).ravel()
    if np.iscomplexobj(flat):
        flat = np.stack([flat.real, flat.imag], axis=1).ravel()
    numbers: list[Any] = flat.tolist()
    return numbers


def _write_npz(to: Path, reader: RunReader, tables: dict[str, tuple[str, int]], every: int) -> None:
    """An .npz is a zip of .npy files: a header, then the numbers, here block by block; `tables` are paths and rows."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, (path, samples) in tables.items():
            spec = reader.tables[path]
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                file.write(_npy_header((len(range(0, samples, every)), *spec.shape), spec.dtype))
                _pour(file, _blocks(reader, path, samples, every))


def _npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    header = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()


def _pour(file: IO[bytes], blocks: Iterator[np.ndarray]) -> None:
    for block in blocks:
        file.write(np.ascontiguousarray(block).tobytes())
