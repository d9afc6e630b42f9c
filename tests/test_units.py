"""Quantities: every dimension reads its units, names the wrong ones, and survives the way to text and back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from substrate.errors import ConfigError
from substrate.units import DIMENSIONS, format_quantity, quantity


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("10 ps", "time", 10e-12),
        ("10ps", "time", 10e-12),
        ("  1.5e3 ns ", "time", 1.5e-6),
        ("3 µs", "time", 3e-6),  # micro sign
        ("3 \u03bcs", "time", 3e-6),  # Greek mu
        ("3 us", "time", 3e-6),
        ("2 h", "time", 7200.0),
        ("0.2 dB", "loss", 0.2),
        ("-3 dB", "loss", -3.0),
        ("50 ohm", "resistance", 50.0),
        ("1.2 kΩ", "resistance", 1200.0),
        ("1 mW", "power", 1e-3),
        ("300 K", "temperature", 300.0),
        ("1550 nm", "length", 1550e-9),
        ("2 cm", "length", 0.02),
        ("2e9 1/s", "rate", 2e9),
        ("2 1/ns", "rate", 2e9),
        ("25 GHz", "frequency", 25e9),
        ("3 dB/cm", "loss per length", 300.0),
        ("90 deg", "angle", math.pi / 2),
        ("1e-11", "time", 1e-11),
    ],
)
def test_reads(text: str, dimension: str, expected: float) -> None:
    assert quantity(text, dimension) == expected


@pytest.mark.parametrize("value", [50, 50.0, np.float32(50), np.int64(50)])
def test_plain_numbers_are_si(value: float) -> None:
    result = quantity(value, "resistance")
    assert result == 50.0
    assert type(result) is float


def test_the_text_and_the_literal_are_the_same_float() -> None:
    # A time step that differs in its last bit would move every delay; 0.1 ps is where naive scaling slips.
    for number in ("0.1", "0.3", "0.7", "1.1", "2.3", "4.35", "10"):
        assert quantity(f"{number} ps", "time") == float(f"{number}e-12")


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_example_is_of_its_own_dimension(dimension: str) -> None:
    assert quantity(DIMENSIONS[dimension].example, dimension) > 0


def test_a_unit_of_another_dimension_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        quantity("10 dB", "time", where="line.delay")
    message = str(caught.value)
    assert message.startswith("line.delay: expected a time such as '10 ps' or seconds as a number, got '10 dB'")
    assert "a loss" in message
    assert "ns" in message


@pytest.mark.parametrize(("text", "dimension", "guess"), [("10 PS", "time", "ps"), ("50 Ohm", "resistance", "ohm")])
def test_a_slip_gets_a_suggestion(text: str, dimension: str, guess: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{guess}'"):
        quantity(text, dimension)


@pytest.mark.parametrize("value", ["fast", "", "ps", True, None, [1.0], "nan", "snan", "1e400 s", "inf s", math.nan])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="expected a time"):
        quantity(value, "time")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "dimension", "expected"),
    [
        (1e-11, "time", "10 ps"),
        (9.9996e-10, "time", "1 ns"),
        (1.23456e-9, "time", "1.235 ns"),
        (0.0, "power", "0 W"),
        (-2.5e-3, "voltage", "-2.5 mV"),
        (1e-30, "time", "1e-12 as"),
        (120.0, "loss", "120 dB"),
        (300.0, "loss per length", "300 dB/m"),
        (2e9, "rate", "2 1/ns"),
        (math.inf, "time", "inf s"),
    ],
)
def test_writes(value: float, dimension: str, expected: str) -> None:
    assert format_quantity(value, dimension) == expected


@given(value=st.floats(allow_nan=False, allow_infinity=False), dimension=st.sampled_from(sorted(DIMENSIONS)))
def test_there_and_back_exactly(value: float, dimension: str) -> None:
    assert quantity(format_quantity(value, dimension, digits=17), dimension) == value


@given(
    value=st.floats(min_value=1e-25, max_value=1e25),
    dimension=st.sampled_from(sorted(DIMENSIONS)),
    digits=st.integers(1, 16),
)
def test_there_and_back_to_the_digits_asked_for(value: float, dimension: str, digits: int) -> None:
    result = quantity(format_quantity(value, dimension, digits=digits), dimension)
    assert result == pytest.approx(value, rel=10.0 ** (1 - digits))
