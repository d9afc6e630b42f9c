"""`substrate fit`: a device, its uncertainties, a card and a figure from measured curves in a CSV file."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from devices.errors import DeviceError
from devices.fit import BUILDERS, Fit, fit_drift, fit_pulses, fit_table, fit_threshold, read_train
from devices.models import nearest
from substrate.cli.reporting import print_json, print_table
from substrate.errors import ConfigError

TABULATED = "tabulated_step"
# model → columns of the CSV, the fit, and whether axes are logarithmic
CURVES: dict[str, tuple[tuple[str, str], Callable[[Any, Any], Fit], bool]] = {
    "drift": (("time", "conductance"), fit_drift, True),
    "threshold": (("voltage", "speed"), fit_threshold, True),
}
MODELS = [*BUILDERS, TABULATED, *CURVES]


@dataclass(frozen=True)
class Request:
    """What was typed after `substrate fit`."""

    file: Path
    model: str
    noise: str
    card: Path | None
    figure: Path | None
    source: str | None
    json: bool


def run_fit(request: Request) -> None:
    """Fit, print the table, and write what was asked for; raises ConfigError and DeviceError."""
    if request.model not in MODELS:
        raise ConfigError(
            f"--model: nothing fits {request.model!r}{nearest(request.model, MODELS)}; there are {', '.join(MODELS)}"
        )
    if request.card is not None and request.model in CURVES:
        raise ConfigError(f"--card: {request.model} is one number of a device, not a device; leave --card out")
    x, data, fit = _fitted(request)
    if request.json:
        values = {name: {"value": value, "sigma": fit.sigmas[name]} for name, value in fit.values.items()}
        print_json({"model": fit.model, "values": values, "scatter": fit.scatter, "points": fit.points})
    else:
        rows = [[name, f"{value:.6g}", f"{fit.sigmas[name]:.2g}"] for name, value in fit.values.items()]
        print_table(["number", "value", "one sigma"], rows, f"{fit.model} from {request.file.name}")
        typer.echo(f"scatter {fit.scatter:.3g} over {fit.points} points")
    if request.card is not None:
        _write_card(request, fit)
    if request.figure is not None:
        _draw(request, x, data, fit)


def _fitted(request: Request) -> tuple[np.ndarray, np.ndarray, Fit]:
    """Abscissa and data of the file, and the fit."""
    if request.model in CURVES:
        names, fit, _ = CURVES[request.model]
        x, data = read_columns(request.file, *names)
        return x, data, fit(x, data)
    value, direction = _located(request.file, read_train)
    if request.model == TABULATED:
        return np.arange(1, len(value)), value[1:], fit_table(value, direction)
    found = fit_pulses(value, direction, request.model, request.noise)
    skipped = len(value) - len(found.curve)  # a fit of steps says nothing about the first reading
    return np.arange(skipped, len(value)), value[skipped:], found


def _located(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_columns(path: Path, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Two columns of a CSV file by name; lines that begin with # are skipped. Raises DeviceError and ConfigError."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="") as file:
            return list(csv.DictReader(line for line in file if not line.startswith("#")))

    rows = _located(path, read)
    if not rows or not {first, second} <= set(rows[0]):
        head = ", ".join(rows[0]) if rows else "nothing"
        raise DeviceError(f"{path} needs the columns {first} and {second}, but has {head}")
    try:
        return tuple(np.array([float(row[name]) for row in rows]) for name in (first, second))  # type: ignore[return-value]
    except (TypeError, ValueError) as error:
        raise DeviceError(f"{path} has a row that is not two numbers: {error}") from None


def _write_card(request: Request, fit: Fit) -> None:
    assert request.card is not None
    source = (request.source or f"measured, {request.file.name}").replace('"', "'")
    request.card.parent.mkdir(parents=True, exist_ok=True)
    request.card.write_text(fit.card_text(request.card.stem, f"Fit of {request.file.stem}", source), encoding="utf-8")
    typer.echo(f"{request.card}: substrate devices show {request.card}")


def _draw(request: Request, x: np.ndarray, data: np.ndarray, fit: Fit) -> None:
    from substrate.plots.response import draw_fit, draw_table

    assert request.figure is not None
    request.figure.parent.mkdir(parents=True, exist_ok=True)
    title = f"{fit.model} from {request.file.name}"
    if request.model == TABULATED:
        knots = np.asarray(fit.fixed["knots"])
        ways = {
            way: tuple(np.array([table[f"{way}_{k}"] for k in range(len(knots))]) for table in (fit.values, fit.sigmas))
            for way in ("up", "down")
        }
        draw_table(request.figure, title, knots, ways)  # type: ignore[arg-type]
    elif request.model in CURVES:
        draw_fit(request.figure, title, np.abs(x), np.abs(data), np.abs(fit.curve), CURVES[request.model][0], True)
    else:
        draw_fit(request.figure, title, x, data, fit.curve, ("pulses", "value"), False)
    typer.echo(request.figure)
