"""Data sets: what is read is what is in the file, splits are disjoint and repeatable, and bad data is explained."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate.errors import DataError
from substrate.learning.datasets import Dataset, load_dataset, read_idx

Saver = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Saver:
    def write(**arrays: Any) -> Path:
        path = tmp_path / "own.npz"
        np.savez(path, **arrays)
        return path

    return write


def labelled(samples: int = 60, classes: int = 3) -> dict[str, np.ndarray]:
    """Samples that carry their own row number, so that a test can follow them through split and shuffle."""
    rows = np.arange(samples)
    return {"x": np.stack([rows, 2.0 * rows], axis=1), "y": rows % classes}


def parts(data: Dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(data.x_train, data.y_train), (data.x_validation, data.y_validation), (data.x_test, data.y_test)]


def test_digits_as_shipped() -> None:
    data = load_dataset("digits", scale="none")
    x = np.concatenate([part for part, _ in parts(data)])
    y = np.concatenate([part for _, part in parts(data)])
    assert x.shape == (1797, 64)
    assert (x.min(), x.max()) == (0, 16)
    assert np.array_equal(x, np.floor(x))
    # The counts of the test set in the archive's own description.
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (data.name, data.classes, data.channels, data.outputs) == ("digits", 10, 64, 10)
    assert data.sha256 == load_dataset("digits", seed=5, scale="standard").sha256


def test_digits_are_digits() -> None:
    """A zero has a hole, a one has none: the mean images tell rows from columns and labels from noise."""
    data = load_dataset("digits")
    zero, one = (data.x_train[data.y_train == label].mean(axis=0).reshape(8, 8) for label in (0, 1))
    assert zero[3:5, 3:5].mean() < 0.2 < zero[3:5, 1:3].mean()
    assert one[3:5, 3:5].mean() > 0.6


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_parts_are_disjoint_complete_and_stratified(save: Saver, seed: int) -> None:
    data = load_dataset(save(**labelled(100, 4)), seed=seed, scale="none")
    rows = [part[:, 0].astype(int) for part, _ in parts(data)]
    assert [len(part) for part in rows] == [70, 10, 20]
    assert sorted(np.concatenate(rows)) == list(range(100))
    for (_, y), part in zip(parts(data), rows, strict=True):
        assert np.array_equal(y, part % 4)
        assert np.ptp(np.bincount(y, minlength=4)) <= 1


def test_the_seed_decides_the_split(save: Saver) -> None:
    path = save(**labelled())
    first, again, other = (load_dataset(path, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.x_train, again.x_train)
    assert np.array_equal(first.y_test, again.y_test)
    assert not np.array_equal(first.x_train, other.x_train)


@given(
    sizes=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    test=st.floats(0.01, 0.6),
    validation=st.floats(0.01, 0.39),
)
def test_every_class_reaches_every_part(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], test: float, validation: float
) -> None:
    y = np.repeat(np.arange(len(sizes)), sizes)
    path = tmp_path_factory.mktemp("split") / "own.npz"
    np.savez(path, x=np.arange(len(y), dtype=float)[:, None], y=y)
    data = load_dataset(path, test_fraction=test, validation_fraction=validation, scale="none")
    for _, part in parts(data):
        assert np.unique(part).tolist() == list(range(len(sizes)))
    assert sorted(np.concatenate([x[:, 0] for x, _ in parts(data)])) == list(range(len(y)))


def test_fractions_of_zero_leave_parts_empty(save: Saver) -> None:
    data = load_dataset(save(**labelled()), test_fraction=0, validation_fraction=0)
    assert [x.shape for x, _ in parts(data)] == [(60, 2), (0, 2), (0, 2)]


def test_scaling_sees_the_training_part_only(save: Saver) -> None:
    path = save(**labelled())
    raw = load_dataset(path, scale="none")
    largest = np.abs(raw.x_train).max()
    mean, spread = raw.x_train.mean(axis=0), raw.x_train.std(axis=0)
    expected = {
        "range": lambda x: x / largest,
        "centred": lambda x: (x - mean) / largest,
        "standard": lambda x: (x - mean) / spread,
    }
    for scale, law in expected.items():
        data = load_dataset(path, scale=scale)  # type: ignore[arg-type]
        for (x, _), (unscaled, _) in zip(parts(data), parts(raw), strict=True):
            np.testing.assert_allclose(x, law(unscaled), rtol=1e-13, atol=1e-13)


def test_constant_channels_are_silent_when_standard(save: Saver) -> None:
    arrays = labelled()
    arrays["x"][:, 1] = 7.0
    data = load_dataset(save(**arrays), scale="standard")
    assert not data.x_train[:, 1].any()
    assert np.isfinite(data.x_test).all()


def test_targets_of_a_regression(save: Saver) -> None:
    x = np.linspace(-1, 1, 50)[:, None]
    data = load_dataset(save(x=x, y=np.hstack([x, x**2])), scale="none")
    assert (data.classes, data.outputs, data.y_test.dtype) == (0, 2, np.float64)
    np.testing.assert_array_equal(data.y_train, np.hstack([data.x_train, data.x_train**2]))


def test_arrays_are_read_only(save: Saver) -> None:
    data = load_dataset(save(**labelled()))
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0, 0] = 1.0


# IDX files


def idx_bytes(array: np.ndarray, code: int, type_: str) -> bytes:
    return (
        bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.astype(type_).tobytes()
    )


def idx_pair(folder: Path, *, packed: bool) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (30, 5, 4), dtype=np.uint8)
    labels = (np.arange(30) % 3).astype(np.uint8)
    suffix = ".gz" if packed else ""
    paths = folder / f"images-idx3-ubyte{suffix}", folder / f"labels-idx1-ubyte{suffix}"
    for path, array in zip(paths, (images, labels), strict=True):
        raw = idx_bytes(array, 0x08, ">u1")
        path.write_bytes(gzip.compress(raw) if packed else raw)
    return *paths, images, labels


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path: Path, packed: bool) -> None:
    image_path, label_path, images, labels = idx_pair(tmp_path, packed=packed)
    assert np.array_equal(read_idx(image_path), images)
    data = load_dataset("mine", images=image_path, labels=label_path, scale="none")
    assert (data.name, data.channels, data.classes) == ("mine", 20, 3)
    known = {tuple(image.ravel()): label for image, label in zip(images, labels, strict=True)}
    for x, y in parts(data):
        assert [known[tuple(sample)] for sample in x] == y.tolist()


def test_the_same_content_has_the_same_hash(tmp_path: Path, save: Saver) -> None:
    image_path, label_path, images, labels = idx_pair(tmp_path, packed=True)
    packed = load_dataset("a", images=image_path, labels=label_path)
    path = save(x=images.astype(float), y=labels.astype(np.int64))
    assert packed.sha256 == load_dataset(path).sha256
    labels[[0, 1]] = labels[[1, 0]]
    assert packed.sha256 != load_dataset(save(x=images, y=labels)).sha256


@pytest.mark.parametrize(
    ("code", "type_"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_idx_types(tmp_path: Path, code: int, type_: str) -> None:
    array = np.array([[1, 2, 3], [4, 5, 127]])
    (tmp_path / "numbers").write_bytes(idx_bytes(array, code, type_))
    assert np.array_equal(read_idx(tmp_path / "numbers"), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"PK\x03\x04rest", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\0\0\x08\x03\0\0", "header ends after 6 of 16 bytes"),
        (b"\0\0\x08\x01\0\0\0\x05abc", r"shape \[5\] needs 5 bytes, the file has 3"),
        (b"\0\0\x08\x01\0\0\0\x02abc", r"shape \[2\] needs 2 bytes, the file has 3"),
        (b"\0\0\x08\x01\xff\xff\xff\xff", r"shape \[-1\]"),
        (b"\x1f\x8bbroken", "gzip file is broken"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab")[:-6], "gzip file is broken"),
    ],
)
def test_broken_idx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


# What is refused


def with_value(key: str, row: int, value: float) -> dict[str, np.ndarray]:
    arrays = {name: array.astype(float) for name, array in labelled().items()}
    arrays[key][row, ...] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((4, 2)), "labels": np.ones(4)}, "no array y; the file holds x, labels"),
        ({"a": np.ones(1)}, "no array x and no array y; the file holds a"),
        ({"x": np.ones(4), "y": np.zeros(4)}, r"x must be \[samples, channels\].*shape \[4\]"),
        ({"x": np.ones((0, 2)), "y": np.zeros(0)}, r"not empty, but has shape \[0, 2\]"),
        ({"x": np.ones((4, 2)), "y": np.zeros((4, 2, 2))}, r"y must be labels .* shape \[4, 2, 2\]"),
        ({"x": np.ones((4, 2)), "y": np.zeros(5)}, "x has 4 samples, y has 5"),
        ({"x": np.ones((4, 2), complex), "y": np.zeros(4)}, "x must hold real numbers, but is of type complex128"),
        ({"x": np.ones((4, 2)), "y": np.array(list("abcd"))}, "y must hold real numbers"),
        ({"x": np.ones((4, 2)), "y": np.array([None] * 4)}, "not a readable .npz"),
        ({"x": np.ones((4, 2)), "y": np.eye(4, 2, dtype=int)}, r"labels must be \[samples\], targets must be floats"),
        (with_value("x", 17, np.nan), r"x holds nan at row 17, column 0 \(1 of 60 rows"),
        (with_value("x", 3, -np.inf), "x holds -inf at row 3"),
        (with_value("y", 9, np.nan), "y holds nan at row 9"),
        (with_value("y", 5, 0.5), "row 5 holds 0.5; give targets of a regression as"),
        (with_value("y", 6, -1), "row 6 holds -1"),
        (with_value("y", 6, 5), r"no sample has label 3 \(the largest is 5\)"),
        (with_value("y", 6, 3), "label 3 has 1 sample.*every part needs one, 3 in all"),
        ({"x": np.ones((2, 2)), "y": np.ones((2, 1))}, "the data set has 2 sample"),
    ],
)
def test_bad_arrays(save: Saver, arrays: dict[str, np.ndarray], message: str) -> None:
    path = save(**arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": 1.0}, "test_fraction must be at least 0 and below 1, but is 1.0"),
        ({"validation_fraction": -0.1}, "validation_fraction must be"),
        ({"test_fraction": float("nan")}, "test_fraction must be"),
        ({"test_fraction": 0.6, "validation_fraction": 0.4}, "leaves nothing to train on"),
        ({"scale": "max"}, "scale must be one of range, centred, standard, none, but is 'max'"),
        ({"images": "somewhere"}, "give labels= as well"),
        ({"labels": "somewhere"}, "give images= as well"),
        ({"images": "nowhere", "labels": "nowhere"}, "nowhere: cannot be read"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset("digits", **options)


def test_unknown_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'letters': expected 'digits', a path that ends in .npz"):
        load_dataset("letters")
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(tmp_path / "missing.npz")
    for content in (b"", b"no archive", b"PK\x03\x04 nor this"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(DataError, match="not a readable .npz"):
            load_dataset(tmp_path / "broken.npz")
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(DataError, match="not a readable .npz"):
        load_dataset(tmp_path / "one.npz")
