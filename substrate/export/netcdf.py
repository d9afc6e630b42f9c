"""Tables of a run file as NetCDF 3, the format that xarray and every other NetCDF reader opens without more packages.

The file is written as the classic format with 64-bit offsets describes it (Unidata, NetCDF Classic Format
Specification): a header that says where each variable begins, then the variables, block by block, big-endian.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from substrate.errors import RunFileError
from substrate.record import TableSpec

TYPES = {">i1": 1, ">i2": 3, ">i4": 4, ">f4": 5, ">f8": 6}
LARGEST = 2**32 - 4  # bytes of a variable that this format can describe


@dataclass(frozen=True)
class Variable:
    """One variable of the file: its name and dimensions, what it is, and the type it is stored as."""

    name: str  # of the table
    dimensions: tuple[str, ...]
    spec: TableSpec
    stored: str  # NumPy dtype, big-endian
    bytes: int


def write_netcdf(
    to: Path,
    tables: Mapping[str, TableSpec],
    samples: int,
    blocks: Callable[[str], Iterator[np.ndarray]],
    attributes: Mapping[str, str],
) -> None:
    """Write `tables` (name → spec) of `samples` rows each; `blocks(name)` gives a table's rows block by block.

    Rows of shape [n, m] become dimensions (time, name.row, name.column). Raises RunFileError for a table too large for
    the format.
    """
    sizes: dict[str, int] = {"time": samples}
    variables = [_variable(name, spec, sizes, to) for name, spec in tables.items()]
    head = len(_header(sizes, variables, [0] * len(variables), attributes))
    begins, place = [], head
    for variable in variables:
        begins.append(place)
        place += _padded(variable.bytes)
    with open(to, "wb") as file:
        file.write(_header(sizes, variables, begins, attributes))
        for variable in variables:
            for block in blocks(variable.name):
                file.write(np.ascontiguousarray(block, dtype=variable.stored).tobytes())
            file.write(b"\0" * (_padded(variable.bytes) - variable.bytes))


def _variable(name: str, spec: TableSpec, sizes: dict[str, int], to: Path) -> Variable:
    """Describe a table, and add its dimensions to `sizes`."""
    port = name.rpartition("/")[0]
    own = [f"{port}.{axis}" for axis in ("row", "column", "depth")[: len(spec.shape)]]
    for dimension, size in zip(own, spec.shape, strict=True):
        sizes[dimension] = size
    stored = np.dtype(spec.dtype).newbyteorder(">").str
    stored = {"|u1": ">i1", "|i1": ">i1", "|b1": ">i1", ">u1": ">i1"}.get(stored, stored)
    if stored not in TYPES:
        stored = ">f8"
    size = sizes["time"] * int(np.prod(spec.shape)) * np.dtype(stored).itemsize
    if size > LARGEST:
        raise RunFileError(
            f"{to}: {name} takes {size / 1e9:.3g} GB, but NetCDF 3 holds 4 GB per variable; thin it out with --every"
        )
    return Variable(name, ("time", *own), spec, stored, size)


def _header(
    sizes: Mapping[str, int], variables: list[Variable], begins: list[int], attributes: Mapping[str, str]
) -> bytes:
    """The header of the file, with the offsets at which the variables begin."""
    order = list(sizes)
    parts = [b"CDF\x02", struct.pack(">i", 0)]  # version 2: 64-bit offsets; no record dimension
    parts += [struct.pack(">ii", 10, len(order))]
    parts += [_text(name) + struct.pack(">i", size) for name, size in sizes.items()]
    parts += [_attributes(attributes), struct.pack(">ii", 11, len(variables))]
    for variable, begin in zip(variables, begins, strict=True):
        about = {"units": variable.spec.unit, "long_name": variable.spec.description}
        parts += [_text(variable.name.replace("/", ".")), struct.pack(">i", len(variable.dimensions))]
        parts += [struct.pack(">i", order.index(dimension)) for dimension in variable.dimensions]
        parts += [_attributes(about), struct.pack(">i", TYPES[variable.stored])]
        parts += [struct.pack(">I", min(_padded(variable.bytes), LARGEST)), struct.pack(">q", begin)]
    return b"".join(parts)


def _attributes(attributes: Mapping[str, str]) -> bytes:
    """A list of texts, or the mark of an empty one."""
    texts = {name: text for name, text in attributes.items() if text}
    if not texts:
        return struct.pack(">ii", 0, 0)
    parts = [struct.pack(">ii", 12, len(texts))]
    for name, text in texts.items():
        parts += [_text(name), struct.pack(">i", 2), _text(text)]
    return b"".join(parts)


def _text(text: str) -> bytes:
    """Length and bytes of a text, padded to four."""
    raw = text.encode("utf-8")
    return struct.pack(">i", len(raw)) + raw.ljust(_padded(len(raw)), b"\0")


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4
