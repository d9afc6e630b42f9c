"""The tables of cards in the documentation are those of the cards, and the example behind the figures runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from substrate.cli.catalogue_page import marks, replace_table, table

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", ["docs/devices.md", "data/README.md"])
@pytest.mark.parametrize(("kind", "command"), [("device", "devices"), ("medium", "media")])
def test_the_table_of_cards_is_up_to_date(page: str, kind: str, command: str) -> None:
    before, after = marks(kind)
    standing = (ROOT / page).read_text(encoding="utf-8").partition(before)[2].partition(after)[0].strip()
    assert standing == table(kind), f"cards changed; run: substrate {command} --markdown {page}"


def test_replacing_a_table_leaves_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- cards: medium -->\nold\n<!-- end of cards: medium -->\ntail\n")
    replace_table(page, "medium")
    text = page.read_text()
    assert text.startswith("head\n") and text.endswith("-->\ntail\n") and "old" not in text and "rg58" in text
    replace_table(page, "medium")
    assert page.read_text() == text


def test_the_study_of_costs_runs(tmp_path: Path) -> None:
    small = ["--cards", "rram_wan", "vteam", "--epochs", "1", "--seeds", "1", "--rates", "0.5"]
    small += ["--cells", "5", "--steps", "60", "--jobs", "1"]
    command = [sys.executable, str(ROOT / "examples" / "device_costs.py"), *small, "--out", str(tmp_path / "figures")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "devices.json",
        "devices_bias.png",
        "devices_costs.png",
    }
    assert "rram_wan" in done.stdout and "closed form 0.3284" in done.stdout
