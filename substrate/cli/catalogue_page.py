"""The tables of cards in the documentation and in data/README.md, made from the cards themselves."""

from pathlib import Path

from devices.card_schema import Provenance
from devices.cards import Card, list_cards, load_card


def table(kind: str) -> str:
    """A Markdown table of all cards of a kind, device or medium; raises the errors of `devices`.

    >>> table("medium").splitlines()[0]
    '| file | what | model | status | numbers from | not yet read in a source |'
    """
    rows = ["| file | what | model | status | numbers from | not yet read in a source |", "|---|---|---|---|---|---|"]
    for name in list_cards(kind):
        card = load_card(name)
        unread = ", ".join(card.unverified) or "-"
        cells = [f"`{name}.toml`", card.title, f"`{card.model}`", card.status, _sources(card), unread]
        rows.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(rows)


def _sources(card: Card) -> str:
    """What a card's numbers were read in."""
    numbers = [*card.params.values(), *card.facts.values()]
    keys = dict.fromkeys(number.source for number in numbers if number.tag == "seen")
    return "; ".join(_reference(card.provenance[key]) for key in keys) or "none: set your own"


def _reference(source: Provenance) -> str:
    year = f" ({source.year})" if source.year and str(source.year) not in source.title else ""
    link = f", doi {source.doi}" if source.doi else f", arXiv {source.arxiv}" if source.arxiv else ""
    return f"{source.title}{year}{link}"


def replace_table(page: Path, kind: str) -> None:
    """Put the present table of a kind in place of the one in a page, between its two marks."""
    text = page.read_text(encoding="utf-8")
    before, after = marks(kind)
    head, _, rest = text.partition(before)
    _, _, tail = rest.partition(after)
    page.write_text(f"{head}{before}\n\n{table(kind)}\n\n{after}{tail}", encoding="utf-8")


def marks(kind: str) -> tuple[str, str]:
    """The two comments between which the table of a kind stands in a page."""
    return f"<!-- cards: {kind} -->", f"<!-- end of cards: {kind} -->"
