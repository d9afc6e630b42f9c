"""Probes inside lines -> which cell of the line they read, and the share of its loss that the cell counts too early."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.network import Line, Network
from substrate.plan import LineRows, PlannedProbe
from substrate.probe import Probe, split_place

MOST_LOSS = 600.0  # dB; single precision ends at 760 dB


def refuse_twins(probes: Sequence[Probe]) -> None:
    """Refuse two different probes whose records would have the same name; raises NetworkError."""
    known: dict[str, Probe] = {}
    for probe in probes:
        if known.setdefault(probe.label, probe) != probe:
            raise NetworkError(f"Two different probes are called {probe.label!r}; give one of them another name=")


def places_of_lengths(network: Network, probes: Sequence[Probe]) -> list[Probe]:
    """Probes at a length along a line (``"w1@3 mm"``) with that as a share of it; labels stay. Raises NetworkError."""
    found = []
    for probe in probes:
        connection = network.connections.get(split_place(probe.at)[0]) if probe.in_line else None
        length = getattr(connection.line, "length", None) if connection is not None else None
        if length is not None and split_place(probe.at)[2] == "length":
            line, value, _ = split_place(probe.at)
            if not 0.0 <= value <= length * (1.0 + 1e-9):
                raise NetworkError(f"Probe at {probe.at!r}: the place must lie in the line, from 0 to {length:.6g} m")
            probe = replace(probe, at=f"{line}@{min(value / length, 1.0)!r}", name=probe.label)
        found.append(probe)
    return found


def plan_line_probe(network: Network, lines: Sequence[LineRows], probe: Probe, dt: float, power: float) -> PlannedProbe:
    """Compile a probe in a line for steps of ``dt`` (s); ``power`` (W) is the reference power. Raises NetworkError.

    A cell holds the wave after the whole loss of its pass; a place at share ``f`` of the line has lost the share ``f``
    only, so it is multiplied by ``gain^(f - 1)``, and a returning wave by ``gain_back^(-f)``.

    >>> from substrate.nodes import Termination
    >>> net = Network()
    >>> net.connect(net.add(Termination(), "a"), net.add(Termination(), "b"), Line(delay=1e-9), "w1")
    >>> rows = LineRows("w1", 0, 0, 1, 10, (1.0, 1.0), (0.0, 0.0), (0, 0), 0.0)
    >>> plan_line_probe(net, [rows], Probe("w1@0.31", "voltage"), 1e-10, 1.0).place
    3
    """
    name, value, kind = split_place(probe.at)
    index = next((i for i, rows in enumerate(lines) if rows.name == name), None)
    if index is None:
        known = ", ".join(rows.name for rows in lines) or "(none)"
        raise NetworkError(f"Probe at {probe.at!r}: there is no line {name!r}; the lines are {known}")
    rows, line = lines[index], network.connections[name].line
    assert line is not None
    share = _share(probe, rows, value, kind, dt)
    place = int(np.floor(share * rows.steps + 0.5))
    scale = {"voltage": np.sqrt(rows.impedance * power), "current": np.sqrt(power / rows.impedance), "power": power}
    return PlannedProbe(
        probe.label, probe.quantity, probe.reduce, -1, -1, scale=scale.get(probe.quantity, 1.0),
        request=probe, line=index, place=place, corrections=_corrections(probe, line, place / rows.steps),
    )  # fmt: skip


def _share(probe: Probe, rows: LineRows, value: float, kind: str, dt: float) -> float:
    """The share of the line's delay between its first end and the probe."""
    whole = {"share": 1.0, "time": rows.steps * dt}.get(kind)
    if whole is None:
        raise NetworkError(
            f"Probe at {probe.at!r}: line {rows.name!r} is described by its delay and has no length; write a share "
            f"of it ({rows.name}@0.5) or a time ({rows.name}@0.2 ns)"
        )
    # Rounding may put the far end a hair outside.
    if not -1e-9 <= value / whole <= 1.0 + 1e-9:
        limit = "1" if kind == "share" else f"{whole:.6g} s"
        raise NetworkError(f"Probe at {probe.at!r}: the place must lie in the line, from 0 to {limit}")
    return float(min(max(value / whole, 0.0), 1.0))


def _corrections(probe: Probe, line: Line, share: float) -> tuple[Any, Any]:
    """Factors from what the cells hold to the waves at the place, forward and returning."""
    back = line.loss_db if line.loss_db_back is None else line.loss_db_back
    lossy, inside = line.loss_db > 0.0 or back > 0.0, 0.0 < share < 1.0
    way_out = "probe its ends, or make two lines of it, joined by ParallelJunction(2) where the probe is to be"
    # A line that was laid for its medium says itself why its waves cannot be probed; see substrate/laying.py.
    reason = getattr(line, "inside", "" if type(line) is Line else f"a {type(line).__name__}")
    if line.modulation is not None or any(line.skew):
        reason, line = "a line with a modulation or a skew", Line(line.delay)
    if (reason and not getattr(line, "is_plain", False)) or (inside and line.lowpass > 0.0):
        raise NetworkError(
            f"Probe at {probe.at!r}: the waves inside {reason or 'a line with a lowpass'} are not kept; {way_out}"
        )
    if lossy and line.temperature > 0.0:
        # The cell holds the noise of the whole line; how much of it was added before the place is not known.
        raise NetworkError(
            f"Probe at {probe.at!r}: the line is warm and lossy, so its noise inside is not known; {way_out}"
        )
    if max(line.loss_db, back) > MOST_LOSS:
        raise NetworkError(
            f"Probe at {probe.at!r}: the line loses {max(line.loss_db, back):.6g} dB and leaves nothing; {way_out}"
        )
    phase, turns = np.asarray(line.phase, float), bool(np.any(np.asarray(line.phase) != 0.0))
    factors: list[Any] = []
    for loss, passed in ((line.loss_db, share), (back, 1.0 - share)):
        ahead = 1.0 - passed  # the share of the line that the cell counts but the wave has not passed
        factor: Any = 10.0 ** (loss * ahead / 20.0)
        factors.append(factor * np.exp(1j * phase * ahead) if turns else factor)
    return factors[0], factors[1]
