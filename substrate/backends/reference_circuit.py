"""The circuit part on the reference backend: every cluster, sample and matrix entry in a plain loop."""

from typing import Any

from substrate.backends.reference_nonlinear import step_nonlinear
from substrate.backends.waveform_samples import samplers
from substrate.noise import normals, thermal_variance
from substrate.plan import LINES, NET_FORWARD, ClusterGroup


def step_circuit(stepper: Any) -> list[list[list[complex]]]:
    """Step every cluster once; returns what each observed row saw, ``[observed][1 channel][batch]``."""
    inputs = _inputs(stepper)
    seen: list[list[list[complex]]] = [[[0.0] * stepper.batch] for _ in range(stepper.plan.observed)]
    first_row = len(stepper.plan.nodes) + len(stepper.plan.departures)
    for index, group in enumerate(stepper.plan.clusters):
        row = stepper.state.ledger[first_row + index]
        heading = stepper.plan.heading(group)
        for cluster in range(len(group.which)):
            net, lost = _step_cluster(stepper, index, group, cluster, inputs, seen)
            row[LINES] += lost
            row[heading] += net if heading == NET_FORWARD else -net
    if stepper.plan.nonlinear:
        step_nonlinear(stepper, inputs, seen, _cell, _read, _write)
    return seen


def _step_cluster(
    stepper: Any, index: int, group: ClusterGroup, cluster: int, inputs: list[list[complex]], seen: Any
) -> tuple[float, float]:
    """One cluster, one step: its net consumption and what its lines took."""
    ports, states = group.ports, group.energy.shape[1]
    matrix = group.matrices[group.which[cluster]]
    ends = [_cell(stepper, int(group.lines[cluster, j]), int(group.sides[cluster, j])) for j in range(ports)]
    memory, energy = stepper.state.memories[index][:, cluster], group.energy[cluster]
    net = lost = 0.0
    for b in range(stepper.batch):
        a = [_read(end, b) for end in ends]
        s = [_read(memory[:, k], b) for k in range(states)]
        x = a + s + [inputs[i][b] for i in group.inputs[cluster]]
        m = matrix[b if len(matrix) > 1 else 0]
        y = [sum(m[i, j] * x[j] for j in range(len(x))) for i in range(len(m))]
        for j, end in enumerate(ends):
            _write(end, b, y[j])
            lost += group.weights[cluster, j] * abs(y[j]) ** 2
        for k in range(states):
            _write(memory[:, k], b, y[ports + k])
        for o, place in enumerate(group.observed[cluster]):
            seen[place][0][b] = y[ports + states + o]
        # Ends of lines whose waves are no power waves: what entered them counts, what their waves seem to bring does
        # not.
        power = [abs(v) ** 2 for v in y[len(y) - group.metered :]]
        lost += sum(power[0::4]) - sum(power[1::4])
        net -= sum(power[2::4]) - sum(power[3::4])
        net += sum(abs(v) ** 2 for v in a) - sum(abs(v) ** 2 for v in y[:ports])
        net += sum(energy[k] * (abs(s[k]) ** 2 - abs(y[ports + k]) ** 2) for k in range(states))
    return net - lost, lost


def _cell(stepper: Any, line_index: int, side: int) -> Any:
    """The cells ``[parts, batch]`` of a line end in this step."""
    line = stepper.plan.lines[line_index]
    lap, cell = divmod(stepper.state.step, line.steps)
    plane = side if lap % 2 == 0 else 1 - side
    before = sum(2 * c.rows * c.steps for c in stepper.plan.classes[: line.delay_class])
    rows = stepper.plan.classes[line.delay_class].rows
    start = (before + (plane * rows + line.row) * line.steps + cell) * stepper.batch
    return stepper.state.arena[:, start : start + stepper.batch]


def _read(place: Any, sample: int) -> complex:
    return float(place[0, sample]) if len(place) == 1 else complex(place[0, sample], place[1, sample])


def _write(place: Any, sample: int, value: complex) -> None:
    place[0, sample] = value.real
    if len(place) == 2:
        place[1, sample] = value.imag


def _inputs(stepper: Any) -> list[list[complex]]:
    """What every drive feeds in at this step, ``[drives][batch]``."""
    import numpy as np

    plan, batch, parts = stepper.plan, stepper.batch, stepper.state.arena.shape[0]
    if not hasattr(stepper, "samplers") or stepper.samplers_of is not plan:
        stepper.samplers, stepper.samplers_of = samplers(plan, batch, stepper.seed, stepper.batch_offset, parts), plan
    noisy = [drive for drive in plan.drives if drive.drive.waveform is None]
    rows: list[list[complex]] = []
    if noisy:
        xi = normals(
            stepper.seed, plan.drive_noise_source, stepper.state.step, parts * len(noisy), batch,
            batch_offset=stepper.batch_offset, dtype=stepper.state.arena.dtype.type,
        )[:, 0]  # fmt: skip
    for drive in plan.drives:
        if drive.drive.waveform is not None:
            values = np.broadcast_to(np.ravel(stepper.samplers[len(rows)](stepper.state.step, 1)), batch)
            rows.append(values.tolist())
        else:
            place = len(rows) - (len(plan.drives) - len(noisy))
            sigma = float(thermal_variance(drive.drive.temperature, plan.dt, plan.reference_power)) ** 0.5
            real = [sigma * float(v) for v in xi[place]]
            extra = [sigma * float(v) for v in xi[len(noisy) + place]] if parts == 2 else [0.0] * batch
            rows.append([complex(r, i) if parts == 2 else r for r, i in zip(real, extra, strict=True)])
    return rows
