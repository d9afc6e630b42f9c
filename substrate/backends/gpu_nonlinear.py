"""Groups of nonlinear clusters on a GPU: their structure, scratch, sums, and what to tell when one has no answer."""

from typing import Any

import numpy as np

from substrate.backends.cell_places import CellPlaces
from substrate.backends.cpu_nonlinear import no_convergence
from substrate.backends.gpu_device import Device, Operation
from substrate.backends.gpu_layout import entries, shared_fields
from substrate.nodes.nonlinear import PARAMETERS
from substrate.nonlinear_plan import NonlinearGroup
from substrate.plan import Plan, State

NEVER = np.uint64(0xFFFFFFFFFFFFFFFF)


class NonlinearGroupOnDevice:
    """One group: a thread for each cluster and sample."""

    def __init__(self, plan: Plan, group: NonlinearGroup, state: State, index: int, device: Device, batch: int) -> None:
        self.plan, self.group, self.device, self.batch = plan, group, device, batch
        linear, elements = group.linear, group.inner - group.waves
        fields = shared_fields(CellPlaces(plan, batch), linear)
        matrix, imaginary = entries(linear.matrices, device.parts, np.float64)
        roots = np.sqrt(group.impedances * plan.reference_power)
        fields |= {
            "inner": group.inner, "waves": group.waves, "matrix": matrix, "imaginary": imaginary,
            "matrix_samples": linear.matrices.shape[1], "parameter_samples": group.parameters.shape[-1],
            "impedance_samples": group.impedances.shape[-1], "kinds": group.kinds.astype(np.int64),
            "parameters": group.parameters, "parameters_each": PARAMETERS, "impedances": group.impedances,
            "roots": roots, "unit": float(np.sqrt(plan.reference_power)), "dt": plan.dt,
        }  # fmt: skip
        self.kept = {name: device.put(v) if isinstance(v, np.ndarray) else v for name, v in fields.items()}
        self.structure = device.pack(
            "Nonlinear", **self.kept, memory=state.nonlinear[index], charges=state.charges[index]
        )
        items = len(linear.which) * batch
        self.blocks = int(max(1, min(device.most_blocks, -(-items // device.threads))))
        self.threads = self.blocks * device.threads
        scratch = device.parts * sum(linear.matrices.shape[2:]) + 28 * elements + 6 * elements * elements
        device.require(8.0 * scratch * self.threads, "Nonlinear clusters", "split the batch")
        self.work = device.xp.zeros(max(1, scratch * self.threads))
        self.sums = device.xp.zeros(4 * self.threads)
        self.failed = device.put(np.array([NEVER]))
        self.energy = device.xp.zeros(self.blocks)
        self.energy_launch = device.launch(
            "charge_energy", 0, self.structure, batch, self.energy, blocks=self.blocks
        )  # fmt: skip

    def begin(self) -> None:
        """Begin the sums of a call anew."""
        self.sums.fill(0.0)
        self.failed.fill(NEVER)

    def launch(self, net: Any, noise: Any, where: Any, clock: Any, steps: int) -> Operation:
        """Step all clusters of the group by a block."""
        return self.device.launch(
            "step_nonlinear", 0, net, noise, self.structure, where, clock, steps, self.work, self.sums, self.failed,
            blocks=self.blocks,
        )  # fmt: skip

    def check(self, step: int) -> None:
        """After a call that began at ``step``: raise DivergenceError for the first element without an answer."""
        key = int(self.device.to_host(self.failed)[0])
        if key != int(NEVER):
            rest, element = divmod(key, self.group.inner)
            later, cluster = divmod(rest, len(self.group.linear.which))
            raise no_convergence(self.plan, self.group.labels[cluster][element], step + later)

    def stored_energy(self) -> float:
        """Sum of amplitude^2 in the charges of all elements."""
        self.energy_launch()
        joules = float(self.device.to_host(self.energy).sum())
        return joules / (self.plan.reference_power * self.plan.dt)
