"""Writing a run file as the run goes on, so that a kill at any moment leaves it readable and resumable."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from substrate.errors import RunFileError
from substrate.record.copying import copy_run, repair
from substrate.record.disk import lock, make_file, reason, refuse_if_written, reserve, trim
from substrate.record.format import (
    COMPLETE,
    FAILED,
    Layout,
    Static,
    TableSpec,
    build_empty,
    canonical,
    check_layout,
    empty_size,
    encode_json,
    nearest,
    write_slot,
    write_text,
)
from substrate.record.reading import RunReader

__all__ = ["RunReader", "RunWriter", "Static", "TableSpec", "repair"]

BUFFER_BYTES = 1 << 24  # memory for rows on their way to the file, shared by all tables
SLACK_BYTES = 1 << 20  # room kept behind the end of the file, for the index of chunks and for closing


class _Table:
    """One table of the file with the rows that are not yet in it."""

    def __init__(self, dataset: h5py.Dataset, spec: TableSpec, index: int, budget: int) -> None:
        self.dataset = dataset
        self.spec = spec
        self.index = index  # in /rows
        self.written: int = dataset.shape[0]
        self.chunk: int = dataset.chunks[0]
        self.chunk_bytes = self.chunk * spec.row_bytes
        self.capacity = self.chunk * max(1, budget // self.chunk_bytes)
        self.buffer: np.ndarray | None = None  # [capacity, *row shape], made at the first row
        self.filled = 0

    def room(self) -> int:
        """Rows until the buffer is full; it ends where a chunk ends, so that each chunk is written once and whole."""
        return self.capacity - self.written % self.chunk - self.filled

    def checked(self, rows: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Return `rows` as an array whose trailing shape and kind of number fit the table."""
        array = np.asarray(rows)
        if array.shape != shape:
            raise RunFileError(f"table {self.dataset.name!r} takes shape {shape}, but got {array.shape}")
        if array.dtype != self.spec.dtype and not np.can_cast(array.dtype, self.spec.dtype, "same_kind"):
            raise RunFileError(
                f"table {self.dataset.name!r} holds {self.spec.dtype}, but got {array.dtype}: convert it"
            )
        return array

    def keep(self, rows: np.ndarray) -> None:
        """Put rows that fit the room into the buffer."""
        if self.buffer is None:
            self.buffer = np.empty((self.capacity, *self.spec.shape), self.spec.dtype)
        self.buffer[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)


class RunWriter:
    """A run file opened for writing, made by `create` or `resume`.

    Rows are buffered; `checkpoint` brings all of them and the state of the simulation into the file. Leaving a `with`
    block by an exception finishes the file as failed; it can be resumed like a killed one.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.h5"
    >>> tables = {"/devices/w1/value": TableSpec((2, 3), "f8", "S", "conductance")}
    >>> state = {"theta": np.zeros((2, 3))}
    >>> run = RunWriter.create(path, tables=tables, checkpoint=state, attributes={"seed": 7})
    >>> run.append("/devices/w1/value", state["theta"])
    >>> run.checkpoint(state, {"step": 1})
    >>> run.append("/devices/w1/value", state["theta"] + 1.0)  # after the checkpoint: dropped on resume
    >>> run.close()
    >>> run, state, scalars = RunWriter.resume(path)
    >>> scalars["step"], run.rows("/devices/w1/value")
    (1, 1)
    >>> run.finish("complete", {"accuracy": 0.97})
    >>> run.close()
    """

    def __init__(self, path: Path, layout: Layout, sequence: int, buffer_bytes: int) -> None:
        self.path = path
        self._template = {name: (array.shape, array.dtype) for name, array in layout.checkpoint.items()}
        self._sequence = sequence  # of the last checkpoint; its slot is sequence % 2
        self._ended = ""  # why nothing can be written any more
        self._broken = False
        self._repack = False  # dead copies of compressed chunks are to be left out at the end
        self._compressed = layout.compression is not None
        self._handle = lock(path)
        self._file = _open_swmr(path)
        budget = buffer_bytes // max(1, len(layout.tables))
        self._tables = {
            name: _Table(self._file[name], spec, index, budget)
            for index, (name, spec) in enumerate(layout.tables.items())
        }
        self._counts = self._file["/rows"]

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        tables: Mapping[str, TableSpec],
        checkpoint: Mapping[str, np.ndarray],
        attributes: Mapping[str, str | int | float],
        static: Mapping[str, Static] | None = None,
        overwrite: bool = False,
        compression: str | None = None,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> RunWriter:
        """Make a run file and open it for writing.

        `checkpoint` gives the shapes and dtypes of the state. Versions, time and command line are added to
        `attributes`. The file appears under its name at once and whole. Raises `RunFileError` when it exists and
        `overwrite` is false, when it is being written, when the folder is missing, or when names, dtypes or the
        compression are impossible.
        """
        path = Path(path)
        if path.exists():
            if not overwrite:
                raise RunFileError(f"{path}: exists already: resume it, choose another name, or pass overwrite=True")
            refuse_if_written(path)
        if not path.parent.is_dir():
            raise RunFileError(f"{path}: its folder {path.parent} does not exist: make it first")
        arrays = {name: np.asarray(array) for name, array in checkpoint.items()}
        layout = check_layout(Layout(tables, arrays, {**_provenance(), **attributes}, static or {}, compression))
        with make_file(path, empty_size(layout)) as partial:
            build_empty(partial, layout)
        return cls(path, layout, 0, buffer_bytes)

    @classmethod
    def resume(
        cls, path: str | Path, buffer_bytes: int = BUFFER_BYTES
    ) -> tuple[RunWriter, dict[str, np.ndarray], dict[str, Any]]:
        """Open an unfinished run file at its newest valid checkpoint; return the writer, the arrays and the scalars.

        Rows written after that checkpoint are dropped. The file is made again beside the old one and then takes its
        name, so a kill during resume loses nothing. Raises `RunFileError` when the run is complete, has no valid
        checkpoint, is being written by another process, or cannot be read.
        """
        path = Path(path)
        with RunReader.open(path) as reader:
            refuse_if_written(path)
            if reader.complete:
                raise RunFileError(
                    f"{path}: the run is complete, nothing is left to resume: read it, or start a new file"
                )
            found = reader.newest_checkpoint()
            layout = reader.layout()
            resumes = int(layout.attributes.get("resumes", 0)) + 1
            attributes = {**layout.attributes, "resumes": resumes, "resumed": _now()}
            layout = replace(layout, attributes=attributes)
        with make_file(path, path.stat().st_size) as partial, RunReader.open(path) as reader:
            copy_run(reader, partial, layout, found.rows, found)
        return cls(path, layout, found.sequence, buffer_bytes), found.arrays, found.scalars

    def rows(self, name: str) -> int:
        """Return how many rows a table has, buffered ones included."""
        table = self._table(name)
        return table.written + table.filled

    def append(self, name: str, row: Any) -> None:
        """Add one row, [*row shape]; raises `RunFileError` for an unknown table, a wrong shape or dtype, full disk."""
        table = self._table(name)
        array = table.checked(row, table.spec.shape)
        if table.room() == 0:
            self._empty(table)
        table.keep(array[None])

    def extend(self, name: str, rows: Any) -> None:
        """Add rows, [rows, *row shape]; raises `RunFileError` as `append` does."""
        table = self._table(name)
        if len(rows) == 0:
            return  # an empty list has no row shape to check
        rows = table.checked(rows, (len(rows), *table.spec.shape))
        start = 0
        while start < len(rows):
            if table.room() == 0:
                self._empty(table)
            left, room = len(rows) - start, table.room()
            if table.filled == 0 and left >= room:  # whole chunks go straight to the file, without a copy
                take = room + (left - room) // table.chunk * table.chunk
                self._write(table, rows[start : start + take])
            else:
                take = min(left, room)
                table.keep(rows[start : start + take])
            start += take

    def flush(self) -> None:
        """Bring all buffered rows into the file, so that readers of the running file see them."""
        for table in self._tables.values():
            if table.filled:
                self._empty(table)

    def checkpoint(self, arrays: Mapping[str, np.ndarray], scalars: Mapping[str, Any]) -> None:
        """Bring all rows and the whole state into the file; from here a killed run resumes.

        `scalars` is kept as JSON of at most 64 KiB (keys become texts). Raises `RunFileError` when names, shapes or
        dtypes differ from the template given to `create`, when the JSON is too long, or when the disk is full.
        """
        self._check_open()
        state = {name: np.asarray(array) for name, array in arrays.items()}
        self._check_state(state)
        text = encode_json(scalars, "checkpoint scalars")
        self.flush()
        counts = np.array([table.written for table in self._tables.values()], np.int64)
        with self._writing():
            slot = self._file[f"/checkpoint/{(self._sequence + 1) % 2}"]
            write_slot(slot, self._sequence + 1, counts, state, text)
        self._sequence += 1

    def finish(self, status: str, summary: Mapping[str, Any]) -> None:
        """Mark the run "complete" or "failed: reason" and store its summary, JSON of at most 64 KiB.

        Afterwards only `close` is left. Raises `RunFileError` for another status, a longer summary, a full disk.
        """
        if status != COMPLETE and not status.startswith(FAILED):
            raise RunFileError(f"status must be 'complete' or 'failed: reason', but is {status!r}")
        text = encode_json(summary, "summary")
        self._check_open()
        self.flush()
        self._mark(status, text)
        self._repack = self._compressed and not self._broken

    def close(self) -> None:
        """Write what is buffered and close the file, which any HDF5 tool can then open; a second call does nothing."""
        if not self._file:
            return
        try:
            if not self._broken:
                self.flush()
        finally:
            self._ended = "the file is closed"
            # After a failed write closing fails as well; the error has been told, and the file stays as last flushed.
            with contextlib.suppress(RunFileError) if self._broken else contextlib.nullcontext(), self._writing():
                self._file.close()
            self._handle.close()
            if not self._broken:
                trim(self.path)
        if self._repack:
            with contextlib.suppress(RunFileError):  # the file is whole as it is, only larger
                repair(self.path)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        # The first error is the one to show. On a full disk buffered rows are lost, but the status has its place.
        with contextlib.suppress(RunFileError):
            self.flush()
        with contextlib.suppress(RunFileError):
            if not self._ended:
                self._mark(f"{FAILED}: {type(error).__name__}: {error}", b"")
        with contextlib.suppress(RunFileError):
            self.close()

    def _table(self, name: str) -> _Table:
        self._check_open()
        table = self._tables.get(name) or self._tables.get(canonical(name))
        if table is None:
            raise RunFileError(f"{self.path}: no table {name!r}{nearest(canonical(name), self._tables)}")
        return table

    def _check_open(self) -> None:
        if self._ended:
            raise RunFileError(f"{self.path}: cannot be written any more: {self._ended}")

    def _check_state(self, state: Mapping[str, np.ndarray]) -> None:
        if state.keys() != self._template.keys():
            missing, extra = sorted(self._template.keys() - state.keys()), sorted(state.keys() - self._template.keys())
            raise RunFileError(f"checkpoint arrays must be those given to create: missing {missing}, unknown {extra}")
        for name, array in state.items():
            if (array.shape, array.dtype) != self._template[name]:
                shape, dtype = self._template[name]
                is_now = f"{array.dtype}{list(array.shape)}"
                raise RunFileError(f"checkpoint array {name!r} must be {dtype}{list(shape)}, but is {is_now}")

    def _empty(self, table: _Table) -> None:
        assert table.buffer is not None
        self._write(table, table.buffer[: table.filled])
        table.filled = 0

    def _write(self, table: _Table, rows: np.ndarray) -> None:
        end = table.written + len(rows)
        chunks = end // table.chunk - table.written // table.chunk + 1
        self._make_room(chunks * table.chunk_bytes)
        with self._writing():
            table.dataset.resize(end, axis=0)
            table.dataset[table.written : end] = rows
            table.dataset.flush()
            # Only now do the rows count: a reader never sees rows whose data are not yet in the file.
            self._counts[table.index] = end
            self._counts.flush()
            table.written = end

    def _make_room(self, size: int) -> None:
        try:
            reserve(self._handle, self._file.id.get_filesize() + size + SLACK_BYTES)
        except OSError as error:
            raise RunFileError(
                f"{self.path}: {reason(error)}; what was flushed before is kept and readable: make room, "
                f"then go on or resume ({error})"
            ) from error

    def _mark(self, status: str, summary: bytes) -> None:
        with self._writing():
            write_text(self._file["/summary"], summary)
            self._file.flush()  # before the status: a complete run has its summary
            write_text(self._file["/status"], status.encode("ascii", "backslashreplace"))
            self._file.flush()
        self._ended = "the run is finished"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            self._broken = True
            self._ended = "an earlier write failed"
            raise RunFileError(
                f"{self.path}: {reason(error)}; what was flushed before is kept and readable: "
                f"make room, then resume ({error})"
            ) from error


def _open_swmr(path: Path) -> h5py.File:
    # Opened for SWMR writing at once: `h5py.File(path, "r+")` and then `swmr_mode = True` would leave a moment in which
    # a kill leaves the file marked as open for plain writing, which no reader accepts.
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    try:
        return h5py.File(h5py.h5f.open(os.fsencode(path), h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE, fapl=access))
    except OSError as error:
        raise RunFileError(f"{path}: cannot be opened for writing ({error})") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _provenance() -> dict[str, str | int | float]:
    try:
        version = importlib.metadata.version("wave-substrate")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"  # a checkout that is not installed
    return {
        "created": _now(),
        "command_line": shlex.join(sys.argv).encode("utf-8", "backslashreplace").decode(),
        "units": "SI",
        "substrate_version": version,
        "python_version": platform.python_version(),
        "numpy_version": np.__version__,
        "h5py_version": h5py.version.version,
        "hdf5_version": h5py.version.hdf5_version,
        "platform": platform.platform(),
    }
