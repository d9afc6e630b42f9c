"""Control cells, shunt admittances and series impedances in plain loops: solved anew at every step."""

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
    stepper.signals[step.second], stepper.signals[step.output] = b1, b2
    lost = math.fsum(v * v for wave in (a1, a2) for row in wave for v in row)
    lost -= math.fsum(v * v for wave in (b1, b2) for row in wave for v in row)
    stepper.state.ledger[step.node, NET_FORWARD] += lost


CONTROL_PASSES = dict.fromkeys(("control_cell", "shunt_admittance", "series_impedance"), constant_scattering)
