"""Data sets: read from the shipped digits, `.npz` or IDX files, checked, split by class, scaled."""

import gzip
import hashlib
import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from substrate.datafiles import data_path
from substrate.errors import DataError

Floats = NDArray[np.float64]
Array = TypeVar("Array", bound=NDArray[np.generic])
Scale = Literal["range", "centred", "standard", "none"]
SHIPPED = ("digits",)

# IDX: two zero bytes, a type code, the number of axes, then one big-endian int32 per axis and the numbers.
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of the samples in an epoch, the same whoever asks.

    >>> sorted(shuffled(0, 1, 4).tolist())
    [0, 1, 2, 3]
    """
    seeds = np.random.SeedSequence([seed, 0xBA7C, epoch])
    return np.random.Generator(np.random.Philox(seeds)).permutation(count)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples split into training, validation and test; arrays are read-only.

    Attributes:
        name: as asked for, without folders.
        x_train, x_validation, x_test: float64 [samples, channels], scaled; an empty part has no rows.
        y_train, y_validation, y_test: labels int64 [samples], or targets float64 [samples, outputs].
        classes: number of labels; 0 where `y` are targets.
        scale: how `x` was scaled (`load_dataset`).
        sha256: of the raw content, before split and scaling; the same for the same data from any file.
    """

    name: str
    x_train: Floats
    y_train: NDArray[np.int64] | Floats
    x_validation: Floats
    y_validation: NDArray[np.int64] | Floats
    x_test: Floats
    y_test: NDArray[np.int64] | Floats
    classes: int
    scale: Scale
    sha256: str

    @property
    def channels(self) -> int:
        """Numbers per sample."""
        return self.x_train.shape[1]

    @property
    def outputs(self) -> int:
        """Channels a network needs at its end: one per class, or one per target."""
        return self.classes or self.y_train.shape[1]


def load_dataset(
    name_or_path: str | Path = "digits",
    *,
    seed: int = 0,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.1,
    scale: Scale = "range",
    images: str | Path | None = None,
    labels: str | Path | None = None,
) -> Dataset:
    """Read a data set, check it, split it at random (by class where there are classes) and scale it.

    Args:
        name_or_path: "digits" (shipped), or an `.npz` file with arrays `x` [samples, ...] and `y`. `y` [samples] of
            whole numbers are labels 0, 1, ...; `y` [samples, outputs] of floats are targets. With `images` and
            `labels` it is only the name.
        seed: of the split; the same seed gives the same split on every machine.
        test_fraction, validation_fraction: parts of all samples, 0 <= fraction, sum < 1.
        scale: with statistics of the training part only, "range" divides by the largest magnitude, one factor for
            all channels (digits: 0 to 1); "centred" then also takes off each channel's mean; "standard" gives each
            channel mean 0 and deviation 1 (a constant channel becomes 0); "none" leaves the numbers alone.
            "range" is the default: tanh networks learn the digits as well with it as with "centred" and better than
            with "standard", which blows up nearly dark pixels.
        images, labels: IDX files as of MNIST (`.gz` too), instead of an `.npz`.

    Raises:
        DataError: a file is missing or broken, or its content cannot be trained on; the message says where and why.

    >>> digits = load_dataset("digits")
    >>> digits.x_train.shape, digits.x_validation.shape, digits.x_test.shape, digits.classes
    ((1258, 64), (180, 64), (359, 64), 10)
    """
    _check_options(test_fraction, validation_fraction, scale)
    x, y, where = _read(name_or_path, images, labels)
    x = _checked_samples(x, where)
    y, classes = _checked_answers(y, len(x), where)
    groups = [np.flatnonzero(y == label) for label in range(classes)] if classes else [np.arange(len(x))]
    test, validation, train = _split(groups, (test_fraction, validation_fraction), seed, where)
    offset, gain = _scaling(x[train], scale)
    return Dataset(
        name=Path(name_or_path).stem,
        x_train=_frozen((x[train] - offset) * gain),
        y_train=_frozen(y[train]),
        x_validation=_frozen((x[validation] - offset) * gain),
        y_validation=_frozen(y[validation]),
        x_test=_frozen((x[test] - offset) * gain),
        y_test=_frozen(y[test]),
        classes=classes,
        scale=scale,
        sha256=_fingerprint(x, y),
    )


def read_idx(path: str | Path) -> NDArray[np.generic]:
    """Read one IDX file (the format of MNIST), gzipped or not, as an array of the shape and type it states.

    Raises:
        DataError: the file is missing, no IDX file, or shorter or longer than its header says.
    """
    path = Path(path)
    raw = _file_bytes(path)
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: the gzip file is broken ({error})") from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _IDX_TYPES:
        raise DataError(f"{path}: not an IDX file (it begins with {raw[:4].hex(' ')}, images with 00 00 08 03)")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{path}: the header ends after {len(raw)} of {start} bytes")
    shape = struct.unpack(f">{raw[3]}i", raw[4:start])
    dtype = np.dtype(_IDX_TYPES[raw[2]])
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(raw) - start != expected:
        raise DataError(f"{path}: shape {list(shape)} needs {expected} bytes, the file has {len(raw) - start}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def _check_options(test_fraction: float, validation_fraction: float, scale: str) -> None:
    for name, fraction in (("test_fraction", test_fraction), ("validation_fraction", validation_fraction)):
        if not 0 <= fraction < 1:
            raise DataError(f"{name} must be at least 0 and below 1, but is {fraction!r}")
    if test_fraction + validation_fraction >= 1:
        total = f"{test_fraction!r} + {validation_fraction!r}"
        raise DataError(
            f"test_fraction + validation_fraction must stay below 1, but {total} leaves nothing to train on"
        )
    if scale not in get_args(Scale):
        raise DataError(f"scale must be one of {', '.join(get_args(Scale))}, but is {scale!r}")


def _read(
    name_or_path: str | Path, images: str | Path | None, labels: str | Path | None
) -> tuple[NDArray[np.generic], NDArray[np.generic], str]:
    """Raw `x`, raw `y`, and what to call them in messages."""
    if images is not None and labels is not None:
        return read_idx(images), read_idx(labels), f"{images}, {labels}"
    if images is not None or labels is not None:
        missing = "labels" if labels is None else "images"
        raise DataError(f"IDX files come in pairs: give {missing}= as well")
    if name_or_path in SHIPPED:
        path = data_path("datasets", f"{name_or_path}.npz")
    elif Path(name_or_path).suffix == ".npz":
        path = Path(name_or_path)
    else:
        raise DataError(
            f"data set {str(name_or_path)!r}: expected {' or '.join(map(repr, SHIPPED))}, a path that ends in .npz, "
            "or a pair of IDX files as images= and labels="
        )
    return *_read_npz(path), str(path)


def _read_npz(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    try:
        archive = np.load(io.BytesIO(_file_bytes(path)), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name")
        missing = [key for key in ("x", "y") if key not in archive.files]
        if missing:
            found = ", ".join(archive.files) or "nothing"
            raise DataError(f"{path}: no array {' and no array '.join(missing)}; the file holds {found}")
        return archive["x"], archive["y"]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable .npz of plain number arrays ({error})") from error


def _file_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _checked_samples(x: NDArray[np.generic], where: str) -> Floats:
    """`x` as float64 [samples, channels], every number finite."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where}: x must hold real numbers, but is of type {x.dtype}")
    if x.ndim < 2 or x.size == 0:
        raise DataError(f"{where}: x must be [samples, channels] and not empty, but has shape {list(x.shape)}")
    flat = x.reshape(len(x), -1).astype(np.float64)
    _refuse_nonfinite(flat, "x", where)
    return flat


def _checked_answers(y: NDArray[np.generic], samples: int, where: str) -> tuple[NDArray[np.int64] | Floats, int]:
    """Labels int64 [samples] and how many classes, or targets float64 [samples, outputs] and 0."""
    if y.dtype.kind not in "biuf":
        raise DataError(f"{where}: y must hold real numbers, but is of type {y.dtype}")
    if y.ndim not in (1, 2) or y.size == 0:
        raise DataError(
            f"{where}: y must be labels [samples] or targets [samples, outputs], but has shape {list(y.shape)}"
        )
    if len(y) != samples:
        raise DataError(f"{where}: x has {samples} samples, y has {len(y)}")
    values = y.astype(np.float64)
    _refuse_nonfinite(values.reshape(samples, -1), "y", where)
    if y.ndim == 1:
        return _checked_labels(values, where)
    if y.dtype.kind != "f":
        raise DataError(
            f"{where}: y has shape {list(y.shape)} and type {y.dtype}: labels must be [samples], targets must be floats"
        )
    return values, 0


def _checked_labels(values: Floats, where: str) -> tuple[NDArray[np.int64], int]:
    broken = np.flatnonzero((values != np.floor(values)) | (values < 0))
    if broken.size:
        raise DataError(
            f"{where}: labels must be whole numbers from 0, but row {broken[0]} holds {values[broken[0]]:g}; "
            "give targets of a regression as [samples, outputs]"
        )
    found = np.unique(values)
    if found[-1] != len(found) - 1:
        gap = int(np.flatnonzero(found != np.arange(len(found)))[0])
        raise DataError(
            f"{where}: labels must be 0, 1, ... without a gap, but no sample has label {gap} "
            f"(the largest is {found[-1]:g}); number the classes anew"
        )
    return values.astype(np.int64), len(found)


def _refuse_nonfinite(values: Floats, name: str, where: str) -> None:
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if rows.size:
        column = int(np.flatnonzero(~np.isfinite(values[rows[0]]))[0])
        raise DataError(
            f"{where}: {name} holds {values[rows[0], column]} at row {rows[0]}, column {column} "
            f"({rows.size} of {len(values)} rows are not finite); remove or fill them"
        )


def _split(
    groups: list[NDArray[np.intp]], fractions: tuple[float, float], seed: int, where: str
) -> list[NDArray[np.intp]]:
    """Deal each group to test, validation and the rest; rows of each part in random order."""
    rng = np.random.Generator(np.random.Philox(seed))
    sizes = np.array([len(group) for group in groups])
    needed = 1 + sum(fraction > 0 for fraction in fractions)
    if sizes.min() < needed:
        group = int(sizes.argmin())
        what = f"label {group} has" if len(groups) > 1 else "the data set has"
        raise DataError(
            f"{where}: {what} {sizes[group]} sample(s), but every part needs one, {needed} in all; "
            "add samples or set a fraction to 0"
        )
    counts: list[NDArray[np.intp]] = []
    room = sizes - (needed - 1)  # each part keeps one sample of every group
    for fraction in fractions:
        counts.append(_shares(sizes, fraction, room))
        room = room - np.maximum(counts[-1] - 1, 0)
    parts: list[list[NDArray[np.intp]]] = [[], [], []]
    for group, *cuts in zip(groups, *counts, strict=True):
        dealt = np.split(rng.permutation(group), np.cumsum(cuts))
        for part, rows in zip(parts, dealt, strict=True):
            part.append(rows)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def _shares(sizes: NDArray[np.intp], fraction: float, room: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many of each group go to a part: near `fraction` each, 1 to `room`, and together the rounded total."""
    if fraction == 0:
        return np.zeros_like(sizes)
    exact = sizes * fraction
    shares = np.floor(exact).astype(np.intp)
    spare = round(float(exact.sum())) - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:spare]] += 1
    return np.clip(shares, 1, room)


def _scaling(train: Floats, scale: Scale) -> tuple[Floats | float, Floats | float]:
    """Offset and gain, `(x - offset) * gain`, from the training part alone."""
    if scale == "none":
        return 0.0, 1.0
    if scale == "standard":
        spread = train.std(axis=0)
        # A channel that never changes in training says nothing: silent, and no division by zero.
        return train.mean(axis=0), np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    largest = float(np.abs(train).max())
    return train.mean(axis=0) if scale == "centred" else 0.0, 1 / largest if largest > 0 else 1.0


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array


def _fingerprint(x: Floats, y: NDArray[np.generic]) -> str:
    """SHA-256 of shapes, types and little-endian values."""
    digest = hashlib.sha256()
    for array in (x, y):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()
