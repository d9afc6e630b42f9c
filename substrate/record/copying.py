"""Making a run file again from what a reader finds in it, for resuming and repairing."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from substrate.errors import RunFileError
from substrate.record.disk import make_file, refuse_if_written
from substrate.record.format import LIBVER, Checkpoint, Layout, build_empty, encode_json, write_slot, write_text
from substrate.record.reading import RunReader

COPY_BYTES = 1 << 23  # bytes copied at a time


def repair(path: str | Path) -> None:
    """Make the file of a killed run again with all its rows and its newest checkpoint, so that any HDF5 tool opens it.

    Raises `RunFileError` when it is being written by another process or cannot be read.

    >>> repair("lost.h5")
    Traceback (most recent call last):
    substrate.errors.RunFileError: lost.h5: no such file
    """
    path = Path(path)
    with RunReader.open(path):
        refuse_if_written(path)
    with make_file(path, path.stat().st_size) as partial, RunReader.open(path) as reader:
        layout = reader.layout()
        rows = np.array([reader.rows(name) for name in layout.tables], np.int64)
        try:
            found = reader.newest_checkpoint()
        except RunFileError:
            found = None
        copy_run(reader, partial, layout, rows, found)
        with h5py.File(partial, "r+", libver=LIBVER) as file:
            write_text(file["/summary"], encode_json(reader.summary, "summary"))
            write_text(file["/status"], reader.status.encode())


def copy_run(reader: RunReader, target: Path, layout: Layout, rows: np.ndarray, found: Checkpoint | None) -> None:
    """Write a closed file with the first `rows` of every table and, where given, one checkpoint."""
    build_empty(target, layout)
    with h5py.File(target, "r+", libver=LIBVER) as file:
        for (name, spec), count in zip(layout.tables.items(), rows, strict=True):
            dataset = file[name]
            dataset.resize(count, axis=0)
            step = dataset.chunks[0] * max(1, COPY_BYTES // (dataset.chunks[0] * spec.row_bytes))
            for start in range(0, count, step):
                stop = min(start + step, count)
                dataset[start:stop] = reader.read(name, start, stop)
        file["/rows"][...] = rows
        if found is not None:
            slot = file[f"/checkpoint/{found.sequence % 2}"]
            write_slot(slot, found.sequence, found.rows, found.arrays, encode_json(found.scalars, "checkpoint scalars"))
