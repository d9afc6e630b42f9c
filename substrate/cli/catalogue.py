"""`substrate devices` and `substrate media`: the catalogue of cards, and one card in full."""

from pathlib import Path
from typing import Any

import typer

from devices.cards import Card, list_cards, load_card
from devices.errors import CardError
from substrate.cli.reporting import print_json, print_table

COMMANDS = {"device": "devices", "medium": "media"}  # kind of card → the command that shows it


def run_list(kind: str, only_unverified: bool, as_json: bool, page: Path | None = None) -> None:
    """Print one line per card of a kind; with `only_unverified` also the numbers; raises the errors of `devices`.

    With a `page`, renew the table of cards in it instead.
    """
    if page is not None:
        from substrate.cli.catalogue_page import replace_table

        replace_table(page, kind)
        typer.echo(page)
        return
    cards = [load_card(name) for name in list_cards(kind)]
    if only_unverified:
        cards = [card for card in cards if card.unverified]
    if as_json:
        print_json({card.id: _outline(card) for card in cards})
        return
    if only_unverified:
        rows = [[card.id, card.title, ", ".join(card.unverified)] for card in cards]
        print_table(["card", "title", "numbers nobody has read in a source yet"], rows)
    else:
        rows = [[card.id, card.title, card.model, card.status, _trust(card)] for card in cards]
        print_table(["card", "title", "model", "status", "verified"], rows)
    if rows:
        typer.echo(f"One card in full: substrate {COMMANDS[kind]} show NAME")


def _outline(card: Card) -> dict[str, Any]:
    return {
        "title": card.title,
        "model": card.model,
        "status": card.status,
        "verified": not card.unverified,
        "unverified": card.unverified,
        "sha256": card.hash,
    }


def _trust(card: Card) -> str:
    count = len(card.unverified)
    return "yes" if not count else f"no: {count} number{'' if count == 1 else 's'}"


def run_show(name: str, kind: str, as_json: bool, figure: Path | None = None) -> None:
    """Print one card in full and draw its response; raises the errors of `devices`."""
    card = load_card(name)
    if card.kind != kind:
        raise CardError(f"{card.id!r} describes a {card.kind}; see: substrate {COMMANDS[card.kind]} show {name}")
    drawn = None
    if figure is not None:
        from substrate.cli.responses import draw_response

        drawn = draw_response(card, figure)
    if as_json:
        print_json({**_outline(card), "path": str(card.path), "card": card.content.model_dump(by_alias=True)})
        return
    about = card.content
    heading = [
        ["card", card.id],
        ["model", f"{card.model} ({card.kind})"],
        ["technology", about.technology],
        ["status", card.status],
        ["verified", _trust(card)],
        ["file", str(card.path)],
        ["SHA-256", card.hash],
    ]
    print_table(["", ""], heading, card.title)
    print_table(["number", "value", "unit", "spread", "source", "tag", "note"], _number_rows(card))
    for key, provenance in card.provenance.items():
        typer.echo(f"{key}: {_reference(provenance)}")
    if drawn is not None:
        typer.echo(drawn)


def _number_rows(card: Card) -> list[list[str]]:
    quantities = {**card.params, **{f"facts.{name}": fact for name, fact in card.facts.items()}}
    rows = []
    for name, number in quantities.items():
        spread = ""
        if number.d2d is not None:
            size = (
                f"{100 * number.d2d.std:g} %"
                if number.d2d.relative
                else f"{number.d2d.std:g} {number.unit}".removesuffix(" 1")
            )
            spread = f"{size}, {number.d2d.dist}"
        value = f"table of {len(number.value)}" if isinstance(number.value, list) else f"{number.value:g}"
        rows.append([name, value, number.unit, spread, number.source, number.tag, number.note or ""])
    rows += [[f"options.{name}", str(value), "", "", "", "", ""] for name, value in card.content.options.items()]
    rows += [
        [f"valid {name}", f"{v.lo:g} to {v.hi:g}", v.unit, "", "", "", "warned about outside"]
        for name, v in card.validity.items()
    ]
    return rows


def _reference(provenance: Any) -> str:
    parts = [provenance.authors, provenance.title, provenance.year, provenance.where]
    links = [f"doi:{provenance.doi}" if provenance.doi else None, provenance.arxiv, provenance.url]
    return ", ".join(str(part) for part in [*parts, *links] if part)
