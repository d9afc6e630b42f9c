"""The disk under a run file: room taken in advance, the mark of who is writing, a whole file in place of an old one."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from substrate.errors import RunFileError

try:
    import fcntl
except ImportError:  # Windows: two writers of one file are then not noticed
    fcntl = None  # type: ignore[assignment]

_LOCK_BYTE = 1 << 40  # far behind the end of the file: HDF5's own locks do not meet ours


@contextlib.contextmanager
def make_file(path: Path, size: int) -> Iterator[Path]:
    """Give the name of a file beside `path` that replaces it when the block succeeds and disappears when it fails.

    Raises `RunFileError` when writing fails or the disk has not the room for `size` bytes.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            reserve(file, size)  # given back when HDF5 starts the file anew: a question, not a claim
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())  # the old file goes away: the new one must be on the disk first
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, (OSError, RuntimeError)):
            raise RunFileError(f"{path}: cannot be written: {reason(error)} ({error})") from error
        raise


def reason(error: BaseException) -> str:
    """Return in words why a write failed: the disk is full, or it just failed."""
    text = str(error)
    if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in text:
        return "the disk is full"
    return "writing failed"


def reserve(handle: IO[bytes], size: int) -> None:
    """Make sure that a file can grow to `size` bytes; raises `OSError` when the disk or a quota does not allow it.

    HDF5 cannot go on, nor even close a file, after one failed write. So it is never let into a full disk: the file is
    lengthened first, and `trim` cuts what was not used.
    """
    if hasattr(os, "posix_fallocate"):
        have = os.fstat(handle.fileno()).st_size
        if have < size:
            os.posix_fallocate(handle.fileno(), have, size - have)


def trim(path: Path) -> None:
    """Cut a closed HDF5 file where its superblock says it ends."""
    with open(path, "rb+") as file:
        head = file.read(36)
        if len(head) == 36 and head[8] == 3 and head[9] == 8 and head[11] == 0:  # version 3, 8-byte addresses, closed
            end = int.from_bytes(head[28:36], "little")
            if 36 < end < os.fstat(file.fileno()).st_size:
                file.truncate(end)


def lock(path: Path) -> IO[bytes]:
    """Open a file and mark it as being written, until the returned handle is closed or this process ends.

    Raises `RunFileError` when another process has marked it. Nothing is marked where there are no locks.
    """
    try:
        handle = open(path, "rb+")  # noqa: SIM115 (the caller keeps it open)
    except OSError as error:
        raise RunFileError(f"{path}: cannot be opened for writing ({error.strerror})") from None
    try:
        if fcntl is not None:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCK_BYTE)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            handle.close()
            raise RunFileError(f"{path}: another process is writing it: wait for it or stop it") from None
    return handle


def refuse_if_written(path: Path) -> None:
    """Raise `RunFileError` when another process is writing a file."""
    lock(path).close()
