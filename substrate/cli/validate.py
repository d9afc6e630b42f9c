"""`substrate validate`: runs every case with a known answer and prints what was expected and what came out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from substrate.cli.device_cases import device_cases
from substrate.cli.reporting import note, print_json, print_table
from substrate.validation import FAILED, PASSED, SKIPPED, Result, all_cases, run_cases

COLUMNS = ["case", "quantity", "expected", "got", "error", "tolerance", "time", "status"]


def run_validate(backend: str, only: str | None, as_json: bool, markdown: Path | None) -> None:
    """Run the cases, print the table or JSON, write the page; exit code 1 when a case fails. Raises ConfigError."""
    results = run_cases(backend, only, device_cases())
    if as_json:
        print_json({"backend": backend, "counts": counted(results), "cases": [dataclasses.asdict(r) for r in results]})
    else:
        print_table(COLUMNS, [row(result) for result in results], f"Validation on backend {backend}")
        typer.echo(summary(results))
    if markdown is not None:
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(page(results), encoding="utf-8")
        note(f"wrote {markdown}")
    if any(result.status == FAILED for result in results):
        raise typer.Exit(1)


def counted(results: Sequence[Result]) -> dict[str, int]:
    """How many cases passed, failed and were skipped."""
    return {status: sum(result.status == status for result in results) for status in (PASSED, FAILED, SKIPPED)}


def summary(results: Sequence[Result]) -> str:
    """The closing line."""
    counts = counted(results)
    seconds = sum(result.seconds for result in results)
    return ", ".join(f"{count} {status}" for status, count in counts.items()) + f" in {seconds:.1f} s"


def row(result: Result) -> list[str]:
    """One line of the table; where a case has many values, the worst of them."""
    many = f" (worst of {result.values})" if result.values > 1 else ""
    unit = f" {result.unit}" if result.unit else ""
    status = result.status if not result.reason else f"{result.status}: {result.reason}"
    return [
        result.case, result.quantity + many, _number(result.expected) + unit, _number(result.got) + unit,
        f"{result.error:.2g}", _tolerance(result), f"{result.seconds:.2f} s", status,
    ]  # fmt: skip


def _number(value: Any) -> str:
    return f"{value:.10g}"


def _tolerance(result: Result) -> str:
    return f"{result.tolerance:.2g}"


def page(results: Sequence[Result]) -> str:
    """The page of the documentation: no times, no digits that differ from machine to machine, so that it is stable."""
    cases = [*all_cases(), *device_cases()]
    theory = {(item.name, item.quantity): item for item in cases}
    lines = [
        "# Validation",
        "",
        "Problems with known answers, as `substrate validate` runs them; this page is made by "
        "`substrate validate --markdown docs/validation.md`. An error is a share of what is tolerated, rounded up. "
        "Statistical cases tolerate 4.5 standard deviations of their estimate at a fixed seed.",
        "",
        "| case | quantity | expected | error / tolerance | outcome |",
        "|---|---|---|---|---|",
    ]
    lines += [_page_row(result) for result in results]
    lines += ["", "## Where the numbers come from", ""]
    for result in results:
        item = theory[result.case, result.quantity]
        lines += [f"**{item.name}, {item.quantity}.** {' '.join(item.theory.split())}", ""]
    return "\n".join(lines)


def _page_row(result: Result) -> str:
    unit = f" {result.unit}" if result.unit else ""
    if result.status == SKIPPED:
        return f"| {result.case} | {_escaped(result.quantity)} | | | skipped: {result.reason} |"
    share = "0" if result.tolerance == 0.0 else _share(result.error / result.tolerance)
    return f"| {result.case} | {_escaped(result.quantity)} | {result.expected:.7g}{unit} | {share} | {result.status} |"


def _share(share: float) -> str:
    for bound in (0.1, 1.0):
        if share <= bound:
            return f"< {bound:g}"
    return f"{share:.2g}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
