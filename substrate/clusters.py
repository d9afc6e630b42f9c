"""Linear nodes joined without delay -> one scattering matrix per cluster, grouped by shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.errors import CompileError
from substrate.nodes.linear import Drive, Scattering

SINGULAR = 1e12  # condition number above which a cluster is refused


@dataclass(frozen=True, eq=False)
class Cluster:
    """A collapsed cluster: what arrives at its line ends, waits in its states or comes from its sources, and what
    leaves.

    ``matrix`` is ``[batch or 1, ports + states + observed, ports + states + sources]``; the last rows give the waves
    ``a, b`` at probed ports, in pairs.
    """

    matrix: np.ndarray
    ports: int
    energy: np.ndarray  # [states]
    initial: np.ndarray  # [batch or 1, states]
    drives: tuple[Drive, ...]
    observed: int
    own: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [states], see Scattering

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Ports, states, sources, observed rows: clusters of one shape are stepped together."""
        return self.ports, len(self.energy), len(self.drives), self.observed


def collapse(
    parts: Sequence[Scattering], joints: Sequence[tuple[int, int]], observed: Sequence[int] = (), name: str = "cluster"
) -> Cluster:
    """Join the ports of ``parts`` in pairs and eliminate them; the ports left over stay, in order.

    Ports are counted through all parts; ``joints`` are pairs of them at equal impedances, ``observed`` are those to
    report. Raises CompileError when the joints leave no unique answer. Source: multiport connection, Filipsson 1981.

    >>> from substrate.nodes import ParallelJunction, Resistor
    >>> parts = [ParallelJunction(3).scattering([50.0] * 3, 1.0), Resistor(50.0).scattering([50.0], 1.0)]
    >>> collapse(parts, [(2, 3)]).matrix[0].round(4).tolist()  # a shunt of 50 ohm on a line of 50 ohm
    [[-0.3333, 0.6667], [0.6667, -0.3333]]
    """
    whole, ports, states, sources = _block_diagonal(parts)
    joined = [port for pair in joints for port in pair]
    outer = [port for port in range(ports) if port not in set(joined)]
    known = outer + list(range(ports, ports + states + sources))  # columns that stay: waves, states, sources
    batch = whole.shape[0]
    arriving = np.zeros((batch, ports, len(known)), whole.dtype)
    arriving[:, outer, range(len(outer))] = 1.0
    if joined:
        partner = {a: b for pair in joints for a, b in (pair, pair[::-1])}
        swapped = whole[:, [partner[port] for port in joined]]  # a of each joined port is b of its partner
        system = np.eye(len(joined)) - swapped[:, :, joined]
        if np.any(np.linalg.cond(system) > SINGULAR):
            raise CompileError(
                f"{name}: the parts joined without delay have no unique solution (two ideal sources, or a lossless "
                "loop); put a line or a small resistance between them"
            )
        arriving[:, joined] = np.linalg.solve(system, swapped[:, :, known])
    departing = whole[:, :, :ports] @ arriving
    departing[:, :, len(outer) :] += whole[:, :, ports:]
    watched = np.stack([arriving[:, list(observed)], departing[:, list(observed)]], axis=2)
    rows = [departing[:, outer], departing[:, ports:], watched.reshape(batch, 2 * len(observed), len(known))]
    return Cluster(
        matrix=np.concatenate(rows, axis=1),
        ports=len(outer),
        energy=np.concatenate([part.energy for part in parts]),
        initial=_side_by_side([part.initial for part in parts]),
        drives=tuple(drive for part in parts for drive in part.drives),
        observed=2 * len(observed),
        own=np.concatenate([np.zeros(part.states) if part.own is None else part.own for part in parts]),
    )


def _block_diagonal(parts: Sequence[Scattering]) -> tuple[np.ndarray, int, int, int]:
    """All parts as one matrix ``[batch or 1, ports + states, ports + states + sources]``, unjoined."""
    ports, states = sum(p.ports for p in parts), sum(p.states for p in parts)
    sources = sum(len(p.drives) for p in parts)
    batch = max((p.matrix.shape[0] for p in parts if p.matrix.ndim == 3), default=1)
    dtype = np.result_type(*[p.matrix.dtype for p in parts], np.float64)
    whole = np.zeros((batch, ports + states, ports + states + sources), dtype)
    port, state, source = 0, ports, ports + states
    for part in parts:
        matrix = part.matrix if part.matrix.ndim == 3 else part.matrix[None]
        rows = [*range(port, port + part.ports), *range(state, state + part.states)]
        columns = [*rows, *range(source, source + len(part.drives))]
        whole[:, np.array(rows)[:, None], np.array(columns)[None, :]] = matrix
        port, state, source = port + part.ports, state + part.states, source + len(part.drives)
    return whole, ports, states, sources


def _side_by_side(initials: Sequence[Any]) -> np.ndarray:
    """Initial states of the parts as ``[batch or 1, states]``."""
    rows = [np.atleast_2d(initial) for initial in initials]
    batch = max(row.shape[0] for row in rows)
    return np.concatenate([np.broadcast_to(row, (batch, row.shape[1])) for row in rows], axis=1)
