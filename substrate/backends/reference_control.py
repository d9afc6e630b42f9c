"""Control cells, shunt admittances, series impedances and joints in plain loops: solved anew at every step."""

import math
from typing import Any

from substrate.plan import NET_FORWARD, Pass

Rows = list[list[float]]


def solve(matrix: Rows, right: list[float]) -> list[float]:
    """The solution of a square system by Gaussian elimination with row exchange.

    >>> solve([[0.0, 2.0], [1.0, 1.0]], [4.0, 3.0])
    [1.0, 2.0]
    """
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        best = max(range(column, size), key=lambda r: abs(rows[r][column]))
        rows[column], rows[best] = rows[best], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            for place in range(column, size + 1):
                rows[row][place] -= factor * rows[column][place]
    found = [0.0] * size
    for row in reversed(range(size)):
        known = math.fsum(rows[row][place] * found[place] for place in range(row + 1, size))
        found[row] = (rows[row][size] - known) / rows[row][row]
    return found


def _laws(node: Any) -> tuple[Rows, Rows, Rows]:
    """A, Q and S of a node as lists; the identity and zero where it has none."""
    size = node.ports[0].channels
    nothing = [[0.0] * size for _ in range(size)]
    eye = [[float(i == j) for j in range(size)] for i in range(size)]
    if node.law == "control_cell":
        return node.dynamics.tolist(), node.cost.tolist(), node.control.tolist()
    if node.law == "shunt_admittance":
        return eye, node.matrix.tolist(), nothing
    return eye, nothing, node.matrix.tolist()


def constant_scattering(stepper: Any, step: Pass) -> None:
    """``v1 + z1 (Q v1 + A^T i2) = 2 sqrt(z1) a1`` and ``A v1 - (S + z2) i2 = 2 sqrt(z2) a2``, sample by sample."""
    dynamics, cost, control = _laws(stepper.plan.nodes[step.node])
    size, (z1, z2) = len(cost), step.z
    a1, a2 = (stepper.signals[i] for i in step.inputs)
    system = [
        [(i == j) + z1 * cost[i][j] for j in range(size)] + [z1 * row[i] for row in dynamics] for i in range(size)
    ]
    system += [[*dynamics[i], *(-control[i][j] - z2 * (i == j) for j in range(size))] for i in range(size)]
    b1 = [[0.0] * stepper.batch for _ in range(size)]
    b2 = [[0.0] * stepper.batch for _ in range(size)]
    for s in range(stepper.batch):
        right = [2.0 * math.sqrt(z1) * a1[c][s] for c in range(size)] + [
            2.0 * math.sqrt(z2) * a2[c][s] for c in range(size)
        ]
        found = solve(system, right)
        for c in range(size):
            b1[c][s] = found[c] / math.sqrt(z1) - a1[c][s]
            b2[c][s] = a2[c][s] + math.sqrt(z2) * found[size + c]
    _send(stepper, step, b1, b2)


def _mixing(size: int, crosstalk: float) -> Rows:
    """``exp(angle K)`` of neighbouring channels, by its power series."""
    angle = math.asin(math.sqrt(crosstalk))
    total = [[float(i == j) for j in range(size)] for i in range(size)]
    term = [row[:] for row in total]
    for order in range(1, 60):
        # K takes row i from its neighbours: + from the channel before it, - from the one after it.
        term = [
            [
                angle / order * ((term[i - 1][j] if i else 0.0) - (term[i + 1][j] if i + 1 < size else 0.0))
                for j in range(size)
            ]
            for i in range(size)
        ]
        total = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(total, term, strict=True)]
    return total


def joint(stepper: Any, step: Pass) -> None:
    """Each wave on to its neighbours and itself, a part of it back; what returns has its own gain."""
    node = stepper.plan.nodes[step.node]
    a1, a2 = (stepper.signals[i] for i in step.inputs)
    size, r = len(a1), node.reflection
    t, mixing = math.sqrt(1.0 - r * r), _mixing(size, node.crosstalk)
    b1 = [[0.0] * stepper.batch for _ in range(size)]
    b2 = [[0.0] * stepper.batch for _ in range(size)]
    for s in range(stepper.batch):
        for c in range(size):
            passed = math.fsum(mixing[c][k] * a1[k][s] for k in range(size))
            returned = math.fsum(mixing[k][c] * a2[k][s] for k in range(size))
            b1[c][s] = r * a1[c][s] + node.return_gain * t * returned
            b2[c][s] = t * passed - r * a2[c][s]
    _send(stepper, step, b1, b2)


def _send(stepper: Any, step: Pass, b1: Rows, b2: Rows) -> None:
    a1, a2 = (stepper.signals[i] for i in step.inputs)
    stepper.signals[step.second], stepper.signals[step.output] = b1, b2
    lost = math.fsum(v * v for wave in (a1, a2) for row in wave for v in row)
    lost -= math.fsum(v * v for wave in (b1, b2) for row in wave for v in row)
    stepper.state.ledger[step.node, NET_FORWARD] += lost


CONTROL_PASSES = dict.fromkeys(("control_cell", "shunt_admittance", "series_impedance"), constant_scattering) | {
    "joint": joint
}
