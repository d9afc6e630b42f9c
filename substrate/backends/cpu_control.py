"""Control cells, shunt admittances, impedances and joints on the CPU: one constant matrix times a block."""

from typing import Any

import numpy as np

from substrate.plan import NET_FORWARD, Pass


def constant_scattering(stepper: Any, step: Pass) -> None:
    """``[b1, b2] = S [a1, a2]`` with the S of the node at its lines' impedances, computed once."""
    name = stepper.plan.node_names[step.node]
    matrix = stepper.factors.get(name)
    if matrix is None:
        matrix = stepper.plan.nodes[step.node].scattering(*step.z).astype(stepper.dtype)
        stepper.factors[name] = matrix
    a1, a2 = (stepper.signals[i] for i in step.inputs)
    arriving = np.concatenate([a1, a2]).reshape(2 * len(a1), -1)
    departing = (matrix @ arriving).reshape(2 * len(a1), *a1.shape[1:])
    stepper.signals[step.second][...] = departing[: len(a1)]
    stepper.signals[step.output][...] = departing[len(a1) :]
    arrived, left = (float(np.vdot(wave, wave)) for wave in (arriving, departing))
    stepper.state.ledger[step.node, NET_FORWARD] += arrived - left


CONTROL_KERNELS = dict.fromkeys(("control_cell", "shunt_admittance", "series_impedance", "joint"), constant_scattering)
