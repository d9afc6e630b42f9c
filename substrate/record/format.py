"""The layout of a run file: table specs, the empty file, checkpoint slots; shared by its writer and its reader.

Only what SWMR mode ("single writer, multiple readers") of HDF5 promises is used: every group, dataset and attribute is
made before the first row is written; afterwards tables grow and fixed arrays are overwritten, nothing else.
"""

from __future__ import annotations

import difflib
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from substrate.errors import RunFileError

FORMAT = "wave-substrate run"
SCHEMA_VERSION = 1
# HDF5 1.10 is the oldest format with SWMR; "latest" would write files that MATLAB and older HDFViews cannot open.
LIBVER = ("v110", "v110")
RUNNING, COMPLETE, FAILED = "running", "complete", "failed"

JSON_BYTES = 1 << 16  # bytes reserved for each JSON text: datasets cannot grow sideways later
STATUS_BYTES = 512
CHUNK_BYTES = 1 << 18  # bytes a chunk aims at; a chunk is allocated whole, so small runs pay for big chunks
CHUNK_ROWS = 1024  # most rows in a chunk, so that a table of scalars costs 8 KiB and not 256
RESERVED = ("/checkpoint", "/rows", "/status", "/summary")


@dataclass(frozen=True)
class TableSpec:
    """One table: the shape and dtype of a row, its unit and what it means.

    Raises `RunFileError` for a row with an axis below 1 or a dtype that is not a number, bool or fixed-length bytes.

    >>> TableSpec((48, 64), "f8", "S", "conductance of every cell").row_bytes
    24576
    """

    shape: tuple[int, ...]  # of one row; () for a column of numbers
    dtype: Any  # anything np.dtype takes; kept as np.dtype
    unit: str
    description: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        if any(n < 1 for n in self.shape):
            raise RunFileError(f"table row shape must be positive along every axis, but is {self.shape}")
        if self.dtype.kind not in "biufcS" or self.row_bytes == 0:
            raise RunFileError(f"table dtype must be a number, bool or fixed-length bytes, but is {self.dtype}")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape)


@dataclass(frozen=True)
class Static:
    """An array that does not change during a run, with its unit and meaning.

    >>> Static(np.arange(3), "1", "row of each cell").value.shape
    (3,)
    """

    value: Any  # array of any shape
    unit: str
    description: str


@dataclass(frozen=True)
class Layout:
    """Everything that is fixed when a run file is made."""

    tables: Mapping[str, TableSpec]
    checkpoint: Mapping[str, np.ndarray]  # only shapes and dtypes count
    attributes: Mapping[str, str | int | float]
    static: Mapping[str, Static] = field(default_factory=dict)
    compression: str | None = None


class Checkpoint(NamedTuple):
    """The contents of one valid slot."""

    sequence: int  # 1 for the first checkpoint of a run, counted on over resumes
    rows: np.ndarray  # int64[tables], length of every table when the checkpoint was taken
    arrays: dict[str, np.ndarray]
    scalars: dict[str, Any]


def canonical(name: str) -> str:
    """Return a table name with exactly one leading slash.

    >>> canonical("ledger/time")
    '/ledger/time'
    """
    return "/" + name.strip("/")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the advice ", did you mean ...?" for an unknown name, or an empty text when there are no names at all.

    >>> nearest("/ledger/tme", ["/ledger/time", "/metrics/loss"])
    ", did you mean '/ledger/time'?"
    """
    close = difflib.get_close_matches(name, list(names), 1, 0.0)
    return f", did you mean {close[0]!r}?" if close else ""


def chunk_shape(spec: TableSpec) -> tuple[int, ...]:
    """Return the chunk of a table: about 256 KiB, at most 1024 rows, part of a row when one row is larger than 1 MiB.

    >>> chunk_shape(TableSpec((), "f8", "J", "")), chunk_shape(TableSpec((48, 64), "f8", "S", ""))
    ((1024,), (10, 48, 64))
    >>> chunk_shape(TableSpec((4096, 4096), "f4", "S", ""))
    (1, 16, 4096)
    """
    row = list(spec.shape)
    if spec.row_bytes <= 4 * CHUNK_BYTES:
        return (max(1, min(CHUNK_ROWS, CHUNK_BYTES // spec.row_bytes)), *row)
    room = CHUNK_BYTES // spec.dtype.itemsize
    for axis in reversed(range(len(row))):
        row[axis] = max(1, min(row[axis], room))
        room //= row[axis]
    return (1, *row)


def encode_json(values: Mapping[str, Any], what: str) -> bytes:
    """Return `values` as ASCII JSON of at most 64 KiB; raises `RunFileError` when too long or not JSON.

    >>> encode_json({"loss": float("nan"), "epoch": np.int64(3)}, "summary")
    b'{"loss": NaN, "epoch": 3}'
    """
    try:
        text = json.dumps(dict(values), default=_plain).encode("ascii")
    except (TypeError, ValueError) as error:
        raise RunFileError(f"{what} must be JSON (numbers, texts, lists, dicts), but {error}") from None
    if len(text) > JSON_BYTES:
        raise RunFileError(f"{what}: {len(text)} bytes of JSON, but {JSON_BYTES} are reserved: store arrays as arrays")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not")


def decode_json(text: bytes) -> dict[str, Any]:
    """Return what `encode_json` was given; an empty text is an empty dict.

    >>> decode_json(b'{"epoch": 3}'), decode_json(b"")
    ({'epoch': 3}, {})
    """
    return json.loads(text) if text else {}


# ---------------------------------------------------------------------------------------------- the empty file


def check_layout(layout: Layout) -> Layout:
    """Return `layout` with canonical names; raises `RunFileError` for names or options a run file cannot have."""
    if layout.compression not in (None, "lzf", "gzip"):
        raise RunFileError(f"compression must be None, 'lzf' or 'gzip', but is {layout.compression!r}")
    tables = {canonical(name): spec for name, spec in layout.tables.items()}
    static = {canonical(name): value for name, value in layout.static.items()}
    names = sorted([*map(canonical, layout.tables), *map(canonical, layout.static)])
    for name in names:
        if any(name == word or name.startswith(word + "/") for word in RESERVED):
            raise RunFileError(f"table name {name!r} is reserved; choose a name outside {', '.join(RESERVED)}")
        if any(part in ("", ".", "..") for part in name.split("/")[1:]):
            raise RunFileError(f"table name {name!r} has an empty or dotted part")
        if names.count(name) > 1 or any(other.startswith(name + "/") for other in names):
            raise RunFileError(f"table name {name!r} is used twice, or also as a group of other tables")
    for key in ("format", "schema_version"):
        if key in layout.attributes:
            raise RunFileError(f"attribute {key!r} is written by the run file itself; choose another name")
    return Layout(tables, layout.checkpoint, layout.attributes, static, layout.compression)


def empty_size(layout: Layout) -> int:
    """Return an upper bound for the bytes `build_empty` writes."""
    state = sum(array.nbytes for array in layout.checkpoint.values())
    static = sum(np.asarray(array.value).nbytes for array in layout.static.values())
    texts = 3 * JSON_BYTES + sum(4 * len(str(value)) for value in layout.attributes.values())
    names = len(layout.tables) + 2 * len(layout.checkpoint) + len(layout.static) + len(layout.attributes)
    return 2 * state + static + texts + 4096 * (16 + names)


def build_empty(path: Path, layout: Layout) -> None:
    """Write a closed run file with every group, dataset and attribute it will ever have, and no rows."""
    with h5py.File(path, "w", libver=LIBVER) as file:
        file.attrs["format"] = FORMAT
        file.attrs["schema_version"] = SCHEMA_VERSION
        for key, value in layout.attributes.items():
            _set_attribute(file, key, value)
        for name, spec in layout.tables.items():
            dataset = file.create_dataset(
                name,
                (0, *spec.shape),
                spec.dtype,
                maxshape=(None, *spec.shape),
                chunks=chunk_shape(spec),
                compression=layout.compression,
            )
            dataset.attrs.update(unit=spec.unit, description=spec.description)
        for name, static in layout.static.items():
            dataset = file.create_dataset(name, data=np.asarray(static.value))
            dataset.attrs.update(unit=static.unit, description=static.description, static=True)
        rows = file.create_dataset("/rows", data=np.zeros(len(layout.tables), np.int64))
        rows.attrs["description"] = "rows of every table that are safely in the file, in the order of `tables`"
        rows.attrs["tables"] = json.dumps(list(layout.tables))
        write_text(_create_text(file, "/status", STATUS_BYTES), RUNNING.encode())
        _create_text(file, "/summary", JSON_BYTES)
        for slot in ("0", "1"):
            _build_slot(file.create_group(f"/checkpoint/{slot}"), layout)
        file["/checkpoint"].attrs["arrays"] = json.dumps(list(layout.checkpoint))


def _set_attribute(file: h5py.File, key: str, value: str | int | float) -> None:
    try:
        file.attrs[key] = value
    except (TypeError, ValueError, OverflowError) as error:
        raise RunFileError(f"attribute {key!r} must be a text or number that HDF5 can hold, but {error}") from None


def _create_text(group: h5py.Group, name: str, size: int) -> h5py.Dataset:
    return group.create_dataset(name, data=np.zeros((), f"S{size}"), dtype=f"S{size}")


def _build_slot(slot: h5py.Group, layout: Layout) -> None:
    # Written in full now: a contiguous dataset gets its place in the file on first write, later none may be assigned.
    slot.create_dataset("header", data=np.zeros(2, np.int64)).attrs["description"] = "sequence number (0: empty), CRC32"
    slot.create_dataset("rows", data=np.zeros(len(layout.tables), np.int64))
    _create_text(slot, "scalars", JSON_BYTES)
    arrays = slot.create_group("arrays")
    for name, template in layout.checkpoint.items():
        if template.dtype.kind not in "biufcS":
            raise RunFileError(f"checkpoint array {name!r} must hold numbers, but has dtype {template.dtype}")
        arrays.create_dataset(name, data=np.zeros(template.shape, template.dtype))


# ------------------------------------------------------------------------------------------- texts and slots


def write_text(dataset: h5py.Dataset, text: bytes) -> None:
    """Overwrite a fixed-length text dataset; a longer text is cut."""
    dataset[()] = np.array(text[: dataset.dtype.itemsize], dataset.dtype)


def write_slot(
    slot: h5py.Group, sequence: int, rows: np.ndarray, arrays: Mapping[str, np.ndarray], scalars: bytes
) -> None:
    """Overwrite one checkpoint slot so that a kill at any moment leaves it either empty or whole."""
    file = slot.file
    slot["header"][...] = 0
    file.flush()  # the slot is marked empty before it is touched: torn contents are recognised without luck
    slot["rows"][...] = rows
    write_text(slot["scalars"], scalars)
    for name, array in arrays.items():
        slot["arrays"][name][()] = array
    file.flush()
    slot["header"][...] = sequence, _checksum(sequence, rows, arrays, scalars)
    file.flush()


def read_slot(slot: h5py.Group, names: Iterable[str]) -> Checkpoint | None:
    """Return the checkpoint in a slot, or None when it is empty, torn or damaged."""
    try:
        sequence, crc = (int(x) for x in slot["header"][()])
        rows, scalars = slot["rows"][()], bytes(slot["scalars"][()])
        # np.asarray: h5py gives a scalar, not an array, for shape ()
        arrays = {name: np.asarray(slot["arrays"][name][()]) for name in names}
        if sequence < 1 or crc != _checksum(sequence, rows, arrays, scalars):
            return None
        return Checkpoint(sequence, rows, arrays, decode_json(scalars))
    except (OSError, RuntimeError, KeyError, ValueError):
        return None


def _checksum(sequence: int, rows: np.ndarray, arrays: Mapping[str, np.ndarray], scalars: bytes) -> int:
    crc = zlib.crc32(scalars, sequence & 0xFFFFFFFF)
    for array in (rows, *(arrays[name] for name in sorted(arrays))):
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc
