"""Media cards: schema, golden numbers, and what a line model insists on."""

import numpy as np
import pytest

from devices import CardError, card, card_directory, list_cards, load_card

LIGHT = 299_792_458.0


def impedance(medium):
    return np.sqrt(medium.number("L") / medium.number("C"))


def velocity(medium):
    return 1 / np.sqrt(medium.number("L") * medium.number("C"))


GOLDEN = {
    "delay_1_m": lambda medium: 1 / medium.number("velocity"),
    "delay_1_mm": lambda medium: 1e-3 * medium.number("n_g") / LIGHT,
    "delay_1_km": lambda medium: 1e3 * medium.number("n_g") / LIGHT,
    "amplitude_1_cm": lambda medium: 10 ** (-medium.number("loss") * 0.01 / 20),
    "impedance": impedance,
    "velocity": velocity,
    "velocity_over_c": lambda medium: velocity(medium) / LIGHT,
    "elmore_delay_1_mm": lambda medium: 0.38 * medium.number("R") * medium.number("C") * 1e-6,
}


@pytest.mark.parametrize("name", list_cards("medium"))
def test_every_golden_number_of_a_medium_is_reproduced(name):
    medium = load_card(name)
    assert medium.kind == "medium"
    assert medium.tests, f"card {name} promises nothing; give it a [tests] table"
    for quantity, golden in medium.tests.items():
        assert GOLDEN[quantity](medium) == pytest.approx(golden.value, rel=golden.rel), quantity


def test_the_catalogue_has_the_ten_media():
    assert len(list_cards("medium")) == 10
    assert not set(list_cards("medium")) & set(list_cards("device"))
    assert load_card("sin_strip").unverified == ["n_eff", "n_g", "wavelength"]


def test_a_medium_is_not_a_device():
    with pytest.raises(CardError, match="describes a medium"):
        card("rg58")
    with pytest.raises(CardError, match="must be device or medium"):
        card_directory("media")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[params.L]", "[params.Lx]", "has no number 'Lx'; did you mean 'L'"),
        ('unit = "H/m"', 'unit = "F/m"', "L is in 'F/m', not 'H/m'"),
        ('model = "rlgc"', 'model = "rlcg"', "no line model 'rlcg'; did you mean 'rlgc'"),
        ("[params.L]", "[facts.L]", "rlgc needs L too"),
    ],
)
def test_media_faults_are_named(tmp_path, old, new, message):
    text = (card_directory("medium") / "rg58.toml").read_text()
    path = tmp_path / "rg58.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CardError, match=message):
        load_card(path)
