"""The circuit part of a plan on a GPU: what its structures hold, what is launched for a block, and what probes saw."""

from typing import Any

import numpy as np

from substrate.backends.cell_places import CellPlaces
from substrate.backends.gpu_books import Books
from substrate.backends.gpu_device import Device, Operation
from substrate.backends.gpu_layout import Chunks, entries, shared_fields
from substrate.backends.gpu_nonlinear import NonlinearGroupOnDevice
from substrate.backends.waveform_samples import Ahead, longest_call, white_sigmas
from substrate.noise import Seed
from substrate.plan import LINES, NET_FORWARD, ClusterGroup, Plan, PlannedProbe, State


class DeviceCircuit:
    """Everything of a plan's circuit part that lives on the device; ``longest`` is the most steps of a call."""

    def __init__(
        self, plan: Plan, state: State, device: Device, batch: int, seed: Seed, batch_offset: int, stepper: Any
    ) -> None:
        self.plan, self.state, self.device, self.batch, self.stepper = plan, state, device, batch, stepper
        xp, parts, self.real = device.xp, device.parts, state.arena.dtype
        self.longest = longest_call(plan, batch, parts, False)
        self.ahead = Ahead(plan, parts, batch, self.real, seed, batch_offset)
        self.waveforms = len(self.ahead.samplers)
        sigma = white_sigmas(plan, self.real)
        width = self.ahead.take(state.step, 1).shape[3] if self.waveforms else 1
        numbers = (self.waveforms * width + plan.observed * batch) * self.longest * parts
        device.require(numbers * self.real.itemsize, "Sources and probes of the circuit part", "probe fewer ports")
        self.waves = xp.zeros((parts, self.waveforms, self.longest, width), dtype=self.real)
        self.seen = xp.zeros((parts, plan.observed, self.longest, batch), dtype=self.real)
        self.kept: dict[str, Any] = {
            "delay": device.put([c.steps for c in plan.classes], np.int64),
            "stride": device.put([c.rows * c.steps * batch for c in plan.classes], np.int64),
            "sigma": device.put(sigma),
        }
        self.net = device.pack(
            "Circuit", arena=state.arena, plane=state.arena.shape[1], batch=batch, block=plan.block,
            classes=len(plan.classes), waves=self.waves, waveforms=self.waveforms, width=width, longest=self.longest,
            noisy=len(sigma), noise_source=plan.drive_noise_source, seen=self.seen, observed=plan.observed,
            **self.kept,
        )  # fmt: skip
        self.groups, self.group_arrays = self._groups()
        self.chunks = Chunks(plan, device, batch, alone=not (plan.nodes or plan.nonlinear))
        self.blocks = int(max(1, min(device.most_blocks, self.chunks.jobs)))
        self.where = xp.zeros(max(1, (self.blocks if self.chunks.own else 1) * 5 * len(plan.classes)), dtype=np.int64)
        self.work = xp.zeros(max(1, self.chunks.work * self.blocks), dtype=self.real)
        self.runs, self.first = device.put(self.chunks.runs), device.put(self.chunks.first)
        self.sums = xp.zeros(max(1, len(plan.clusters) * 3 * self.blocks * device.threads))
        self.nonlinear = [
            NonlinearGroupOnDevice(plan, group, state, index, device, batch)
            for index, group in enumerate(plan.nonlinear)
        ]
        self.closing = self._closing()

    @property
    def own(self) -> bool:
        """Whether one launch steps a whole call."""
        return self.chunks.own

    @property
    def energy_weights(self) -> list[Any]:
        """Weights of the squares of states in the stored energy, of linear groups and then of nonlinear ones."""
        return [arrays["energy"] for arrays in (*self.group_arrays, *(group.kept for group in self.nonlinear))]

    def prepare(self, step: int, steps: int) -> None:
        """Before a call: bring what sources feed in to the device, and begin the sums anew."""
        if self.waveforms:
            values = self.ahead.take(step, steps)
            self.waves[:, :, :steps] = self.device.put(
                np.broadcast_to(values, (*values.shape[:3], self.waves.shape[3]))
            )
        self.sums.fill(0.0)
        for group in self.nonlinear:
            group.begin()

    def operations(self, steps: int) -> list[Operation]:
        """What the device does in a block of ``steps`` steps, or in a whole call where it steps alone."""
        device, clock = self.device, self.stepper.clock
        found: list[Operation] = []
        if not self.own:
            found.append(device.launch("locate", len(self.plan.classes), self.net, clock, steps, self.where))
        if self.chunks.count:
            found.append(
                device.launch(
                    "step_clusters", 0, self.net, self.stepper.noise, self.groups, self.runs, self.first,
                    self.chunks.count, self.chunks.tile, clock, steps, int(self.own), self.where, self.work,
                    self.chunks.work, self.sums, blocks=self.blocks,
                )
            )  # fmt: skip
        for group in self.nonlinear:
            found.append(group.launch(self.net, self.stepper.noise, self.where, clock, steps))
        return found

    def observed(self, probe: PlannedProbe, steps: int) -> Any:
        """What a probe saw in the last call, ``[1, steps, batch]`` of its own, complex where waves are."""
        a, b = (self.seen[:, row, :steps] for row in (probe.arriving, probe.departing))
        if probe.quantity == "power":
            return probe.scale * ((a**2).sum(axis=0) - (b**2).sum(axis=0))[None]
        if probe.quantity in ("arriving", "departing"):
            parts = a if probe.quantity == "arriving" else b
        else:
            parts = probe.scale * (a + b if probe.quantity == "voltage" else a - b)
        return (parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1])[None]

    def _groups(self) -> tuple[Any, list[Any]]:
        """The structures of all groups one after the other, and the arrays they point to."""
        device, packed, arrays = self.device, [], []
        places = CellPlaces(self.plan, self.batch)
        for index, group in enumerate(self.plan.clusters):
            fields = shared_fields(places, group)
            matrix, imaginary = entries(group.matrices, device.parts, self.real)
            fields |= {"matrix": matrix, "imaginary": imaginary, "samples": group.matrices.shape[1]}
            put = {name: device.put(v) if isinstance(v, np.ndarray) else v for name, v in fields.items()}
            arrays.append(put)
            packed.append(device.pack("Group", **put, memory=self.state.memories[index]))
        return (device.xp.concatenate(packed) if packed else device.put(np.zeros(1, np.uint8))), arrays

    def _closing(self) -> list[Operation]:
        """What adds up the sums of a call and books them."""
        plan, device = self.plan, self.device
        first, each = len(plan.nodes) + len(plan.departures), self.blocks * device.threads
        books = Books(device, self.sums, self.stepper.ledger)
        for index, group in enumerate(plan.clusters):
            _, (net, lost, stored) = books.stretches(each, 3)
            _book(books, plan, group, first + index, net, lost, stored)
        found = books.close()
        for place, nonlinear in enumerate(self.nonlinear):
            books = Books(device, nonlinear.sums, self.stepper.ledger)
            _, (net, lost, stored, joules) = books.stretches(nonlinear.threads, 4)
            row, joule = first + len(plan.clusters) + place, plan.reference_power * plan.dt
            column, sign = _book(books, plan, nonlinear.group.linear, row, net, lost, stored)
            books.book(row, column, (-sign / joule, joules))
            found += books.close()
        return found


def _book(
    books: Books, plan: Plan, group: ClusterGroup, row: int, net: int, lost: int, stored: int
) -> tuple[int, float]:
    """Book a group under what drives it: waveforms, noise alone, or nothing; returns the column and its sign."""
    column = plan.heading(group)
    sign = 1.0 if column == NET_FORWARD else -1.0
    books.book(row, LINES, (1.0, lost))
    books.book(row, column, (sign, net), (-sign, stored))
    return column, sign
