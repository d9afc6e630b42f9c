"""Shipped data is found in a checkout and in an installed package, and a missing file is explained."""

from pathlib import Path

import pytest

from substrate import datafiles
from substrate.errors import DataError

ROOT = Path(__file__).resolve().parent.parent


def test_finds_data_and_examples_of_the_checkout() -> None:
    assert datafiles.data_path() == ROOT / "data"
    assert datafiles.data_path("datasets", "digits.npz") == ROOT / "data" / "datasets" / "digits.npz"
    assert datafiles.data_path("examples") == ROOT / "examples"


def test_a_missing_file_lists_its_neighbours() -> None:
    with pytest.raises(DataError, match=r"'datasets/digit\.npz' not found: .*datasets holds .*digits\.npz"):
        datafiles.data_path("datasets", "digit.npz")


def test_an_installed_package_looks_only_inside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "substrate"
    (package / "_data" / "datasets").mkdir(parents=True)
    (tmp_path / "data" / "media").mkdir(parents=True)  # somebody else's `data` in site-packages
    monkeypatch.setattr(datafiles, "_PACKAGE", package)
    assert datafiles.data_path("datasets") == package / "_data" / "datasets"
    with pytest.raises(DataError, match="'media' not found"):
        datafiles.data_path("media")


def test_an_incomplete_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafiles, "_PACKAGE", tmp_path / "substrate")
    with pytest.raises(DataError, match="install wave-substrate again"):
        datafiles.data_path("datasets", "digits.npz")
