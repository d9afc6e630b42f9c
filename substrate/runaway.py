"""Runaway: more energy in the lines than the inputs could ever fill them with, caught long before numbers overflow."""

from typing import Any

import numpy as np

from substrate.errors import DivergenceError
from substrate.nodes.reciprocal import NOMINAL_IMPEDANCE
from substrate.plan import INJECTED, NET_BACKWARD, NET_FORWARD, NOISE, ClusterGroup, Plan, State

LAYERED_MARGIN = 1e3  # above what inputs through all gains can fill the lines with
CIRCUIT_MARGIN = 1e6  # above all that sources have supplied, through all gains
TRIP_GROWTH = 1.5  # the limit is worked out anew whenever the energy has grown by this factor
ADVICE = {
    "reciprocal_activation": "the current through a curved activation acts as a negative resistance: lower the load's "
    "beta (or the error), raise the lowpass of the lines, or lower the impedance of the lines",
    "reciprocal_load": "a load of negative beta feeds energy in: bring beta closer to 0, or raise the lines' lowpass",
    "weights": "lower the weights, or the rate of the devices that tune them",
    "transformer": "lower the weights, or the rate of the devices that tune them, or raise the lowpass of the lines",
}
OTHER_ADVICE = "lower the gain of the loop this node is in, or add loss or a matched termination"


class Watch:
    """Compares the energy of a run with what its inputs could fill the lines with; the bound is rarely worked out.

    In layers: what is held at sources and loads, times the norms of all weights there and back, in every cell. In
    circuits: all that sources and noise have supplied, times the gain of all active clusters. Linear passive networks
    cannot reach it.
    """

    def __init__(self, plan: Plan, state: State, stored: float) -> None:
        self.plan, self.state, self.start = plan, state, stored
        self.supplied = 0.0  # amplitude^2, by sources and noise of the circuit part, since the start
        self.noise = 0.0  # by noise of the layers
        self.trip = 0.0
        self._circuit_rows = len(state.ledger) - len(self._groups)

    @property
    def _groups(self) -> list[ClusterGroup]:
        return [*self.plan.clusters, *(group.linear for group in self.plan.nonlinear)]

    @property
    def gain(self) -> float:
        """By how much the active clusters of the circuit part can multiply power, all in a row; 1 without any."""
        return min(1e200, float(np.prod([_gain(group) for group in self._groups], dtype=float)))

    def count(self, flows: np.ndarray) -> None:
        """Book what came in during a block, ``flows[entities, 7]``."""
        if self._groups:
            # A node may take back what it supplied: only what it gave counts.
            self.supplied += float(np.maximum(flows[self._circuit_rows :, INJECTED : NOISE + 1], 0.0).sum())
        if self.plan.nodes:
            self.noise += max(0.0, float(flows[: self._circuit_rows, NOISE].sum()))

    def runs_away(self, stored: float, unbooked: float = 0.0) -> bool:
        """Whether the energy ``stored`` (amplitude^2) is beyond all that inputs explain.

        ``unbooked`` is what somebody put into the cells by hand since the last look: it counts as there from the start.
        """
        self.start += max(0.0, unbooked)
        if stored <= self.trip:
            return False
        self.trip = TRIP_GROWTH * stored
        return stored > self.limit()

    def limit(self) -> float:
        """Amplitude^2 that the lines cannot reach without a runaway."""
        limit = LAYERED_MARGIN * (self.start + self.noise + self._fill())
        if self._groups:
            limit += CIRCUIT_MARGIN * (self.start + self.supplied) * self.gain
        return limit

    def _fill(self) -> float:
        """Energy of all lines, were every cell to hold the inputs, amplified by every layer forward and back."""
        plan, state = self.plan, self.state
        if not plan.nodes:
            return 0.0
        forward, gain, target, strength = 0.0, 1.0, 0.0, 1.0
        for name, node in zip(plan.node_names, plan.nodes, strict=True):
            held = state.inputs.get(name)
            size = 0.0 if held is None else _squares(held)
            if node.law in ("load", "reciprocal_load"):
                target += size
                strength = max(strength, float(getattr(node, "beta", 1.0)) ** 2)
            else:
                forward += size
            gain *= max(1.0, _squared_norm(node, state.parameters.get(f"{name}.matrix")))
            bias = state.parameters.get(f"{name}.bias")
            forward += 0.0 if bias is None else _squares(bias) * _batch(state)
            if "activation" in node.law:  # a sigmoid or softplus of nothing is not nothing
                forward += node.ports[0].channels * _batch(state)
        voltages = gain * forward
        ratio = max((max(z, 1.0 / z) for z in (line.impedance / NOMINAL_IMPEDANCE for line in plan.lines)), default=1.0)
        cells = 2 * sum(line.steps for line in plan.lines)
        return cells * ratio * (voltages + strength * gain * (voltages + target))

    def error(self, time: float, stored: float, flows: np.ndarray, joule: float) -> DivergenceError:
        """What to tell the user at ``time`` (s): ``stored`` (J), the books ``flows`` (amplitude^2 of ``joule`` J)."""
        name, column, amount, advice = self._culprit(np.nan_to_num(flows, nan=np.inf))
        held = f"with {stored:.3g} J in the lines" if np.isfinite(stored) else "beyond what numbers can hold"
        return DivergenceError(
            f"The waves grew beyond all bounds at t = {time:.6g} s, {held}. The ledger column that grew most is "
            f"{column!r}, at {name} ({amount * joule:.3g} J); {advice}"
        )

    def _culprit(self, flows: np.ndarray) -> tuple[str, str, float, str]:
        """Node, ledger column, amplitude^2 and advice: what has put most energy in, by the flows ``[entities, 7]``."""
        gains = -np.minimum(flows[:, [NET_FORWARD, NET_BACKWARD]], 0.0).sum(axis=1)
        columns = {"gain": gains, "injected": flows[:, INJECTED], "noise": flows[:, NOISE]}
        column = max(columns, key=lambda name: float(columns[name].max()))
        entity = int(np.argmax(columns[column]))
        amount, group = float(columns[column][entity]), entity - self._circuit_rows
        if group >= 0:
            names = self._groups[group].names
            return ", ".join(names[:3]) + (", ..." if len(names) > 3 else ""), column, amount, OTHER_ADVICE
        law = self.plan.nodes[entity].law if entity < len(self.plan.nodes) else ""
        return self.plan.entities[entity], column, amount, ADVICE.get(law, OTHER_ADVICE)


def _squares(array: Any) -> float:
    return float((array.astype(float) ** 2).sum())


def _batch(state: State) -> int:
    return max((held.shape[1] for held in state.inputs.values()), default=1)


def _squared_norm(node: Any, matrix: Any) -> float:
    """How much a wide node can multiply the power that passes it."""
    if matrix is not None:
        return float(np.linalg.norm(np.asarray(matrix.tolist()), 2)) ** 2
    if hasattr(node, "dynamics"):
        return float(np.linalg.norm(node.dynamics, 2)) ** 2
    return 1.0


def _gain(group: ClusterGroup) -> float:
    """Product over the clusters of a group of what each can multiply arriving power by; 1 where all are passive."""
    ports = group.matrices[:, :, : group.ports, : group.ports]
    if not ports.size:
        return 1.0
    norms = np.linalg.norm(ports, 2, axis=(2, 3)).max(axis=1) ** 2
    decades = float(np.log10(np.where(norms > 1.0 + 1e-9, norms, 1.0))[group.which].sum())
    return 10.0 ** min(decades, 200.0)
