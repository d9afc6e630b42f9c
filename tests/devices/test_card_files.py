"""Card files beyond numbers: curves in CSV files beside the card, and warnings outside the range of validity."""

import numpy as np
import pytest

from devices import CardError, OutsideValidityWarning, card, load_card

HEAD = """schema = 1
kind = "device"
id = "mine"
title = "Mine"
model = "tabulated_step"
technology = "none"
status = "measured"
version = "1"
"""
NUMBER = '[params.{name}]\n{value}\nunit = "1"\nsource = "me"\ntag = "seen"\n'
TAIL = '[validity.temperature]\nlo = 280.0\nhi = 340.0\nunit = "K"\n[provenance.me]\ntitle = "me"\n'


def write_card(folder, curves="curves/steps.csv", up="up", size="value = 0.01\nrange = [0.001, 0.02]"):
    columns = {"knots": "theta", "up_table": up, "down_table": "down"}
    numbers = NUMBER.format(name="dw_min", value=size)
    for name, column in columns.items():
        numbers += NUMBER.format(name=name, value=f'csv = "{curves}"\ncolumn = "{column}"')
    (folder / "curves").mkdir(exist_ok=True)
    (folder / "curves" / "steps.csv").write_text("# measured\ntheta,up,down\n-1,2,0\n0,1,1\n1,0,2\n")
    (folder / "mine.toml").write_text(HEAD + numbers + TAIL)
    return folder / "mine.toml"


def test_curves_come_from_csv_files_beside_the_card(tmp_path):
    path = write_card(tmp_path)
    device = card(path)
    np.testing.assert_array_equal(device.up_table, [2, 1, 0])
    np.testing.assert_array_equal(device.knots, [-1, 0, 1])
    before = load_card(path).hash
    (tmp_path / "curves" / "steps.csv").write_text("theta,up,down\n-1,2,0\n0,1,1\n1,0,3\n")
    assert load_card(path).hash != before  # the curve belongs to the card


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"up": "upp"}, "has no column 'upp'; did you mean 'up'"),
        ({"curves": "other.csv"}, "other.csv cannot be read"),
        ({"curves": "../steps.csv"}, "must lie beside the card or below it"),
        ({"curves": "/etc/steps.csv"}, "must lie beside the card or below it"),
        ({"size": 'value = 0.01\ncsv = "curves/steps.csv"\ncolumn = "up"'}, "either a value, or csv and column"),
        ({"size": 'csv = "curves/steps.csv"'}, "either a value, or csv and column"),
    ],
)
def test_wrong_curves_are_explained(tmp_path, changes, told):
    with pytest.raises(CardError, match=told):
        load_card(write_card(tmp_path, **changes))


def test_a_row_that_is_no_number_is_named(tmp_path):
    path = write_card(tmp_path)
    (tmp_path / "curves" / "steps.csv").write_text("theta,up,down\n-1,two,0\n")
    with pytest.raises(CardError, match="column 'up': could not convert string to float: 'two'"):
        load_card(path)


def test_use_outside_the_range_of_validity_warns(tmp_path):
    path = write_card(tmp_path)
    card(path, conditions={"temperature": 300.0}, dw_min=0.002)
    with pytest.warns(OutsideValidityWarning, match="temperature 400 K is outside 280 to 340 K"):
        card(path, conditions={"temperature": 400.0})
    with pytest.warns(OutsideValidityWarning, match="dw_min 0.1 is outside 0.001 to 0.02"):
        card(path, dw_min=0.1)
    assert load_card("thermo_optic_tin_strip").outside(wavelength=1.55e-6) == []
