"""Steps the clusters of a plan that hold nonlinear elements: addresses, books and errors around the compiled loop."""

from typing import Any

import numpy as np

from substrate.backends.cell_places import CellPlaces
from substrate.errors import DivergenceError
from substrate.nonlinear_plan import NonlinearGroup
from substrate.plan import LINES, NET_FORWARD, ClusterGroup, Plan, State


def no_convergence(plan: Plan, label: str, step: int) -> DivergenceError:
    """What to tell when an element has no answer."""
    return DivergenceError(
        f"Node {label!r} found no voltage that fits its circuit at t = {(step + 1) * plan.dt:.6g} s: the circuit "
        "around it is active there, forces a current it cannot carry, or has grown beyond all bounds; put a resistor "
        "beside it, or lower the drive"
    )


def metered_flow(seen: np.ndarray, group: ClusterGroup, steps: int) -> tuple[float, float]:
    """Energy that entered ends of lines with hidden waves from the circuit, and what their waves seem to bring."""
    rows = group.observed[:, group.observed.shape[1] - group.metered :].ravel()
    waves = seen[:, rows, :steps]
    flow = np.einsum("prsb,prsb->r", waves, waves, dtype=float).reshape(-1, 4)
    return float((flow[:, 0] - flow[:, 1]).sum()), float((flow[:, 2] - flow[:, 3]).sum())


class NonlinearGroupStepper:
    """One group of nonlinear clusters ready to be stepped."""

    def __init__(self, plan: Plan, group: NonlinearGroup, parts: int, batch: int) -> None:
        self.plan, self.group = plan, group
        self.layout = _layout(plan, group, parts, batch)
        self.column = plan.heading(group.linear)

    def step(self, state: State, index: int, steps: int, inputs: Any, seen: Any, row: np.ndarray) -> float:
        """Advance by one block and book it; returns the joules that went into charges."""
        from substrate.backends import cpu_nonlinear_kernel as kernels

        group, charges = self.group, state.charges[index]
        total, failed = np.zeros(5), np.full(3, -1)
        where = _where(self.plan, state.step, steps)
        kernels.step_nonlinear(
            self.layout, state.arena, where, steps, inputs, seen, state.nonlinear[index], charges, total, failed
        )
        if failed[0] >= 0:
            raise no_convergence(self.plan, group.labels[failed[0]][failed[1]], state.step + int(failed[2]))
        arrived, left, lost, stored, joules = total
        charged = joules / (self.plan.reference_power * self.plan.dt)
        net = arrived - left - lost - stored - charged
        if group.linear.metered:
            outside, inside = metered_flow(seen, group.linear, steps)
            net, lost = net - inside - outside, lost + outside
        row[LINES] += lost
        row[self.column] += net if self.column == NET_FORWARD else -net
        return charged


class NonlinearStepper:
    """Steps every nonlinear group of a plan."""

    def __init__(self, plan: Plan, state: State, batch: int) -> None:
        self.plan, self.state = plan, state
        self.groups = [NonlinearGroupStepper(plan, group, len(state.arena), batch) for group in plan.nonlinear]
        self.known: tuple[tuple[int, int], float] | None = None  # (step, version), energy in charges

    def step(self, steps: int, inputs: Any, seen: Any) -> None:
        """Advance by one block; ``inputs`` and ``seen`` are ``[parts, rows, steps, batch]``."""
        state, first = self.state, len(self.plan.entities) - len(self.groups)
        before = self._charge_energy()
        for index, group in enumerate(self.groups):
            before += group.step(state, index, steps, inputs, seen, state.ledger[first + index])
        self.known = (state.step + steps, state.version), before

    def stored_energy(self) -> float:
        """Sum of amplitude^2 in the states and charges of all groups."""
        energy = self._charge_energy()
        for group, memory in zip(self.plan.nonlinear, self.state.nonlinear, strict=True):
            energy += float(np.sum(group.linear.energy[:, :, None] * np.sum(memory.astype(float) ** 2, axis=0)))
        return energy

    def _charge_energy(self) -> float:
        key = (self.state.step, self.state.version)
        if self.known is None or self.known[0] != key:
            joules = sum(g.charge_energy(q) for g, q in zip(self.plan.nonlinear, self.state.charges, strict=True))
            self.known = key, joules / (self.plan.reference_power * self.plan.dt)
        return self.known[1]


def _where(plan: Plan, step: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every delay class: the cell of the block's first step, the parity of its lap, steps before the lap ends."""
    delays = np.array([c.steps for c in plan.classes], np.int64)
    lap, cell = np.divmod(np.int64(step), delays)
    return cell, lap & 1, np.minimum(steps, delays - cell)


def _layout(plan: Plan, group: NonlinearGroup, parts: int, batch: int) -> Any:
    from substrate.backends.cpu_nonlinear_kernel import Layout

    linear, places = group.linear, CellPlaces(plan, batch)
    base, end = places.ports(linear)
    matrices = linear.matrices
    split = [matrices.real, matrices.imag] if parts == 2 else [matrices]
    return Layout(
        matrices=np.ascontiguousarray(np.stack(split, axis=1), float),
        which=linear.which,
        base=base,
        stride=places.stride[end // 2],
        side=end % 2,
        delay_class=end // 2,
        weight=linear.weights,
        inputs=linear.inputs,
        observed=linear.observed,
        energy=linear.energy,
        kinds=group.kinds,
        waves=group.waves,
        parameters=group.parameters,
        impedances=group.impedances,
        roots=np.sqrt(group.impedances * plan.reference_power),
        power=plan.reference_power,
        dt=plan.dt,
    )
