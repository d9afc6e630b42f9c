"""Reading a run file, whether it is finished, still being written, or left behind by a killed run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from substrate.errors import RunFileError
from substrate.record.format import (
    COMPLETE,
    FORMAT,
    SCHEMA_VERSION,
    Checkpoint,
    Layout,
    Static,
    TableSpec,
    canonical,
    decode_json,
    nearest,
    read_slot,
)

# Byte 11 of an HDF5 superblock of version 3 says whether a writer has the file open, or died with it open.
_WRITE, _SWMR_WRITE = 1, 4


def consistency_flags(path: Path) -> int:
    """Return the consistency flags of an HDF5 file: 0 when it was closed properly, 5 while open for SWMR writing."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[11] if len(head) == 12 and head[8] >= 3 else 0


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, in SWMR mode when a writer has it open or was killed; raises `RunFileError`."""
    if not path.is_file():
        raise RunFileError(f"{path}: no such file")
    if not h5py.is_hdf5(path):
        raise RunFileError(f"{path}: not a run file (not even HDF5), or cut off at its beginning")
    flags = consistency_flags(path)
    if flags == _WRITE:
        raise RunFileError(f"{path}: another program has it open for writing: close it, or `h5clear -s` if it died")
    try:
        return h5py.File(path, "r", swmr=bool(flags & _SWMR_WRITE))
    except OSError as error:
        if "truncated" in str(error):
            raise RunFileError(f"{path}: truncated, its end is missing: copy it again ({error})") from None
        raise RunFileError(f"{path}: cannot be opened ({error})") from None


class RunReader:
    """A run file opened for reading.

    `read` gives the rows that are safely in the file at the moment it is called, so a running file can be watched.

    >>> import tempfile, substrate.record as record
    >>> path = tempfile.mkdtemp() + "/run.h5"
    >>> spec = record.TableSpec((), "f8", "1", "training loss")
    >>> tables = {"/metrics/loss": spec}
    >>> with record.RunWriter.create(path, tables=tables, checkpoint={}, attributes={"seed": 0}) as run:
    ...     run.extend("/metrics/loss", [0.5, 0.25])
    ...     run.finish("complete", {"accuracy": 0.97})
    >>> with RunReader.open(path) as run:
    ...     print(run.status, run.summary, run.read("/metrics/loss"), run.tables["/metrics/loss"].unit)
    complete {'accuracy': 0.97} [0.5  0.25] 1
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path = path
        self._file = file
        self._names: list[str] = json.loads(file["/rows"].attrs["tables"])
        self._arrays: list[str] = json.loads(file["/checkpoint"].attrs["arrays"])

    @classmethod
    def open(cls, path: str | Path) -> RunReader:
        """Open a run file; raises `RunFileError` when missing, truncated, of another kind or of a newer schema."""
        path = Path(path)
        file = open_hdf5(path)
        try:
            if file.attrs.get("format") != FORMAT:
                raise RunFileError(f"{path}: an HDF5 file, but not a run file: `substrate train` writes those")
            version = int(file.attrs["schema_version"])
            if version > SCHEMA_VERSION:
                raise RunFileError(
                    f"{path}: schema {version} is newer than {SCHEMA_VERSION}, the newest this program reads: "
                    "upgrade wave-substrate"
                )
            return cls(path, file)
        except (KeyError, OSError, RuntimeError) as error:
            file.close()
            raise RunFileError(f"{path}: truncated or damaged ({error})") from None
        except RunFileError:
            file.close()
            raise

    @property
    def attributes(self) -> dict[str, str | int | float]:
        """Root attributes: provenance, and what the writer was given."""
        items = self._file.attrs.items()
        return {key: value.item() if isinstance(value, np.generic) else value for key, value in items}

    @property
    def tables(self) -> dict[str, TableSpec]:
        """Name and spec of every table."""
        specs = {}
        for name in self._names:
            data = self._file[name]
            specs[name] = TableSpec(data.shape[1:], data.dtype, data.attrs["unit"], data.attrs["description"])
        return specs

    @property
    def static(self) -> dict[str, Static]:
        """Name, value and unit of every array that does not change during the run."""
        found: dict[str, Static] = {}

        def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset) and "static" in item.attrs:
                found["/" + name] = Static(item[()], item.attrs["unit"], item.attrs["description"])

        self._file.visititems(visit)
        return found

    @property
    def status(self) -> str:
        """One of "complete", "failed: reason", or "running": being written, killed, or closed before its end."""
        return bytes(self._fresh("/status")[()]).decode()

    @property
    def summary(self) -> dict[str, Any]:
        """What the run was finished with; empty before."""
        return decode_json(bytes(self._fresh("/summary")[()]))

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.status == COMPLETE

    def rows(self, name: str) -> int:
        """Return how many rows of a table are safely in the file; raises `RunFileError` for an unknown table."""
        return int(self._fresh("/rows")[self._index(name)])

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return rows `start:stop` of a table, [rows, *row shape]; raises `RunFileError` when unknown or damaged."""
        # The count first: the table itself may already be longer, with rows still on their way.
        first, last, _ = slice(start, stop).indices(self.rows(name))
        try:
            return self._fresh(canonical(name))[first : max(first, last)]
        except (OSError, RuntimeError) as error:
            raise RunFileError(f"{self.path}: table {name!r} is truncated or damaged ({error})") from None

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and scalars of the newest valid checkpoint; raises `RunFileError` when there is none."""
        found = self.newest_checkpoint()
        return found.arrays, found.scalars

    def newest_checkpoint(self) -> Checkpoint:
        """Return the newest valid checkpoint with its row counts; raises `RunFileError` when there is none."""
        slots = []
        for slot in ("0", "1"):
            group = self._file["/checkpoint"][slot]
            for name in ("header", "rows", "scalars", *(f"arrays/{array}" for array in self._arrays)):
                self._fresh(f"{group.name}/{name}")
            slots.append(read_slot(group, self._arrays))
        whole = [slot for slot in slots if slot is not None]
        if not whole:
            raise RunFileError(
                f"{self.path}: no valid checkpoint, the run was killed before its first or the file is "
                "damaged: start it again and overwrite"
            )
        return max(whole, key=lambda slot: slot.sequence)

    def layout(self) -> Layout:
        """Return what was fixed when the file was made, so that it can be made again."""
        skip = ("format", "schema_version")
        attributes: Mapping[str, Any] = {key: value for key, value in self.attributes.items() if key not in skip}
        compression = {self._file[name].compression for name in self._names}
        arrays = self._file["/checkpoint/0/arrays"]
        template = {name: np.empty(arrays[name].shape, arrays[name].dtype) for name in self._arrays}
        return Layout(self.tables, template, attributes, self.static, compression.pop() if compression else None)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def __enter__(self) -> RunReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _index(self, name: str) -> int:
        try:
            return self._names.index(canonical(name))
        except ValueError:
            advice = nearest(canonical(name), self._names)
            raise RunFileError(f"{self.path}: no table {name!r}{advice}") from None

    def _fresh(self, name: str) -> h5py.Dataset:
        dataset = self._file[name]
        if self._file.swmr_mode:
            dataset.refresh()  # what another process has written since
        return dataset
