"""Clusters with nonlinear elements on the reference backend: every answer by bisection and plain substitution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from substrate.backends.cpu_nonlinear import no_convergence
from substrate.nodes.nonlinear import DIODE, VARACTOR, WAVE
from substrate.nonlinear_plan import NonlinearGroup
from substrate.plan import LINES, NET_FORWARD

SUBSTITUTIONS = 2000


class NoAnswer(Exception):
    """An element has no answer; its place is the argument."""


def step_nonlinear(stepper: Any, inputs: list[list[complex]], seen: Any, cell: Any, read: Any, write: Any) -> None:
    """Step every nonlinear cluster once; ``cell``, ``read`` and ``write`` reach the cells of a line end."""
    plan, state = stepper.plan, stepper.state
    first = len(plan.entities) - len(plan.nonlinear)
    for index, group in enumerate(plan.nonlinear):
        row = state.ledger[first + index]
        before = group.charge_energy(state.charges[index])
        total = 0.0
        for cluster in range(len(group.linear.which)):
            net, lost = _step_cluster(stepper, index, group, cluster, inputs, seen, cell, read, write)
            row[LINES] += lost
            total += net
        total -= (group.charge_energy(state.charges[index]) - before) / (plan.reference_power * plan.dt)
        heading = plan.heading(group.linear)
        row[heading] += total if heading == NET_FORWARD else -total


def stored_energy(stepper: Any) -> float:
    """Sum of amplitude^2 in the states and charges of nonlinear clusters."""
    plan, state, energy = stepper.plan, stepper.state, 0.0
    for group, memory, charges in zip(plan.nonlinear, state.nonlinear, state.charges, strict=True):
        energy += float(np.sum(group.linear.energy[:, :, None] * np.sum(np.abs(memory) ** 2, axis=0)))
        energy += group.charge_energy(charges) / (plan.reference_power * plan.dt)
    return energy


def _step_cluster(
    stepper: Any,
    index: int,
    group: NonlinearGroup,
    cluster: int,
    inputs: Any,
    seen: Any,
    cell: Any,
    read: Any,
    write: Any,
) -> tuple[float, float]:
    """One cluster, one step: its net consumption (charges not counted) and what its lines took."""
    linear = group.linear
    ports, states, inner = linear.ports, linear.energy.shape[1], group.inner
    ends = [cell(stepper, int(linear.lines[cluster, j]), int(linear.sides[cluster, j])) for j in range(ports)]
    memory, energy = stepper.state.nonlinear[index][:, cluster], linear.energy[cluster]
    matrices = linear.matrices[linear.which[cluster]]
    net = lost = 0.0
    for b in range(stepper.batch):
        a = [read(end, b) for end in ends]
        s = [read(memory[:, k], b) for k in range(states)]
        m = matrices[b if len(matrices) > 1 else 0]
        known = np.array([*a, *[0.0] * inner, *s, *[inputs[i][b] for i in linear.inputs[cluster]]])
        try:
            known[ports : ports + inner] = _sent_back(stepper, index, group, cluster, b, m, known)
        except NoAnswer as gone:
            raise no_convergence(stepper.plan, group.labels[cluster][gone.args[0]], stepper.state.step) from None
        y = (m @ known).tolist()
        for j, end in enumerate(ends):
            write(end, b, y[j])
            lost += linear.weights[cluster, j] * abs(y[j]) ** 2
        later = y[ports + inner :]
        for k in range(states):
            write(memory[:, k], b, later[k])
        for o, place in enumerate(linear.observed[cluster]):
            seen[place][0][b] = later[states + o]
        power = [abs(v) ** 2 for v in y[len(y) - linear.metered :]]  # as in `reference_circuit`
        lost += sum(power[0::4]) - sum(power[1::4])
        net -= sum(power[2::4]) - sum(power[3::4])
        net += sum(abs(v) ** 2 for v in a) - sum(abs(v) ** 2 for v in y[:ports])
        net += sum(energy[k] * (abs(s[k]) ** 2 - abs(later[k]) ** 2) for k in range(states))
    return net - lost, lost


def _sent_back(stepper: Any, index: int, group: NonlinearGroup, cluster: int, b: int, m: np.ndarray, known: Any) -> Any:
    """Waves that the elements send back, ``[inner]``; moves their charges."""
    ports, inner, waves = group.linear.ports, group.inner, group.waves
    root = math.sqrt(stepper.plan.reference_power)
    sent = known[ports : ports + inner].copy()
    for k in range(waves):
        node: Any = group.nodes[cluster][k].sample(b)
        wave = m[ports + k] @ known
        sent[k] = node.transfer(root * wave) / root
    known[ports : ports + waves] = sent[:waves]
    rows = m[ports + waves : ports + inner]
    e, g = rows @ known, rows[:, ports + waves : ports + inner]
    charges = stepper.state.charges[index][cluster, :, b]
    elements = []
    for k in range(waves, inner):
        z = group.impedances[cluster, k]
        elements.append(_Port(group, cluster, k, b, float(z[b % len(z)]), stepper.plan, charges[k]))
    answers = np.zeros(len(elements))
    if len(elements) == 1 and g[0, 0] < 1.0 - 1e-9 and (g[0, 0] > -1.0 + 1e-9 or elements[0].kind == DIODE):
        # Seen from an impedance at which the rest does not reflect, there is nothing to iterate.
        answers[0], charges[waves] = elements[0].on_line(1.0 - g[0, 0], 1.0 + g[0, 0], e[0])
    elif elements:
        answers, charges[waves:] = _coupled(elements, e, g)
    sent[waves:] = answers
    return sent


def _coupled(elements: list["_Port"], e: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Waves ``b`` and charges of several elements with ``b = reflected(e + g b)``: Newton with slopes by differences.

    Where Newton does not get closer a step of averaged substitution is taken, which always does.
    """

    def tried(wave: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pairs = [element.on_line(1.0, 1.0, w) for element, w in zip(elements, wave, strict=True)]
        back = np.array([b for b, _ in pairs])
        return wave - e - g @ back, back, np.array([charge for _, charge in pairs])

    wave = e.copy()
    miss, back, charges = tried(wave)
    for _ in range(SUBSTITUTIONS):
        size = max(np.max(np.abs(wave)), np.max(np.abs(e)), np.max(np.abs(back)), 1e-290)
        if np.max(np.abs(miss)) <= 4e-15 * len(e) * size:
            return back, charges
        bump = 1e-7 * size
        slopes = (tried(wave + bump)[1] - back) / bump
        step = np.linalg.solve(np.eye(len(e)) - g * slopes, miss)
        later = wave - step
        if not np.max(np.abs(tried(later)[0])) < 0.7 * np.max(np.abs(miss)):
            later = wave - 0.5 * miss
        wave = later
        miss, back, charges = tried(wave)
    raise NoAnswer(elements[0].place)


class _Port:
    """One element at its port, for one sample and step."""

    def __init__(
        self, group: NonlinearGroup, cluster: int, place: int, b: int, z: float, plan: Any, charge: float
    ) -> None:
        self.node: Any = group.nodes[cluster][place].sample(b)
        self.kind, self.place, self.z, self.dt, self.charge = int(group.kinds[place]), place, z, plan.dt, charge
        self.root = math.sqrt(z * plan.reference_power)
        self.sign = -1.0 if getattr(self.node, "reverse", False) else 1.0
        assert self.kind < WAVE

    def on_line(self, p: float, q: float, wave: float) -> tuple[float, float]:
        """The wave sent back and the charge after, where ``p v + q z i = 2 root wave``."""
        right = 2.0 * self.root * float(wave) * self.sign
        v, i, charge = (self._diode if self.kind == DIODE else self._varactor)(p, q * self.z, right)
        if not math.isfinite(v) or not math.isfinite(i):
            raise NoAnswer(self.place)
        return self.sign * 0.5 * (v - self.z * i) / self.root, charge

    def _diode(self, p: float, q: float, right: float) -> tuple[float, float, float]:
        def current(v: float) -> float:
            return self.sign * float(self.node.current(self.sign * v))

        v = self._bisected(lambda v: p * v + q * current(v) - right, min(0.0, right / p), max(0.0, right / p))
        return v, current(v), 0.0

    def _varactor(self, p: float, q: float, right: float) -> tuple[float, float, float]:
        assert self.kind == VARACTOR
        before, dt = self.charge, self.dt

        def mean(charge: float) -> float:
            step, size = charge - before, float(self.node.capacitance * self.node.potential)
            if abs(step) > 1e-4 * size:
                return float(self.node.energy(charge) - self.node.energy(before)) / step
            nodes, weights = np.polynomial.legendre.leggauss(8)
            return float(weights @ self.node.voltage_at(before + 0.5 * step * (1.0 + nodes))) / 2.0

        # The excess rises at least as fast as its second term, so that its zero lies within what it is at the start.
        span = 1.0001 * (abs(right) + abs(p * float(self.node.voltage_at(before)))) * dt / q + 1e-300
        charge = self._bisected(lambda x: p * mean(x) + q * (x - before) / dt - right, before - span, before + span)
        return mean(charge), (charge - before) / dt, charge

    def _bisected(self, excess: Callable[[float], float], low: float, high: float) -> float:
        """Where a rising function crosses zero, to the last bit."""
        if not excess(low) <= 0.0 <= excess(high):
            raise NoAnswer(self.place)
        while low < (middle := 0.5 * (low + high)) < high:
            if excess(middle) > 0.0:
                high = middle
            else:
                low = middle
        return middle
