"""Runs a plan on a backend: blocks of steps, the energy ledger, probes, and the complete state in and out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.backends import make_stepper
from substrate.emission import Emissions
from substrate.errors import DivergenceError, NetworkError
from substrate.links import Links
from substrate.noise import Seed
from substrate.passage import Passages
from substrate.plan import FLOW_SIGNS, INJECTED, LEDGER, LEDGER_SIGNS, Plan, ledger_columns
from substrate.probing import Recorder, sent_waves
from substrate.runaway import Watch

LAPS_PER_AUDIT = 16  # of the longest line, between two looks at every cell of a circuit
DTYPES = ("float64", "float32", "complex128", "complex64")  # real waves (voltages) or optical envelopes


@dataclass
class Ledger:
    """The energy books of a stretch of a run, in joules, and how well they closed.

    ``columns`` (by name, see :data:`substrate.plan.LEDGER`) and ``stored`` change are sums since the ledger was last
    taken; ``residual`` is the largest mismatch found by comparing the columns with the energy in all cells and states,
    relative to the energy that moved between two such looks, in and out of every node and line.
    """

    columns: np.ndarray = field(default_factory=lambda: np.zeros(len(LEDGER)))
    stored: float = 0.0  # J, in the lines now
    residual: float = 0.0

    def __getitem__(self, name: str) -> float:
        return float(self.columns[LEDGER.index(name)])

    def balance(self) -> float:
        """Energy the columns say was added to the lines, J."""
        return float(self.columns @ LEDGER_SIGNS)


class Simulation:
    """A plan, its state, a backend and a seed.

    ``batch`` samples run side by side; ``dtype`` is ``"float64"`` or ``"float32"``; equal seeds give equal noise on
    every backend, whatever the block length, the batch split (``batch_offset``) or the probes. A tuple of seeds
    is one for each sample, which then draws what it would draw as the only sample of a run with that seed.
    Raises BackendError and NetworkError.

    >>> from substrate import DataSource, Line, Load, Network, compile_network
    >>> net = Network()
    >>> net.connect(net.add(DataSource(1), "x"), net.add(Load(1, "mse"), "load"), Line(delay=2e-12))
    >>> simulation = Simulation(compile_network(net, dt=1e-12))
    >>> simulation.hold({"x": np.array([[3.0]]), "load": np.array([[1.0]])})
    >>> simulation.run(5)
    >>> simulation.take_ledger().residual < 1e-12
    True
    """

    def __init__(
        self,
        plan: Plan,
        *,
        batch: int = 1,
        backend: str = "cpu",
        dtype: str = "float64",
        seed: Seed = 0,
        batch_offset: int = 0,
        block: int | None = None,
    ) -> None:
        if dtype not in DTYPES:
            raise NetworkError(f"dtype must be one of {', '.join(DTYPES)}, but it is {dtype!r}")
        if batch < 1:
            raise NetworkError(f"A batch needs at least one sample, but batch={batch}")
        _require_fit(plan, batch, dtype)
        self.plan = plan
        self.backend_name, self.dtype = backend, np.dtype(dtype)
        self.stepper = make_stepper(backend, plan, batch=batch, dtype=dtype, seed=seed, batch_offset=batch_offset)
        self.batch = batch
        self.recorder = Recorder(plan, self.stepper, batch)
        self.passages = Passages(plan, self.stepper, batch, seed, batch_offset)
        self.links = Links(self.passages)
        self.emissions = self._emissions()
        busy = self.passages.busy or plan.links
        longest = min(self.stepper.longest, plan.block) if busy else self.stepper.longest
        self.block = longest if block is None else min(block, longest)
        self._joule = plan.reference_power * plan.dt
        self._flows = np.zeros_like(self.state.ledger)  # amplitude^2, since the books were last taken
        self._residual = 0.0
        # Looking at every cell costs as much as moving it. A circuit's are looked at when each has been rewritten
        # often.
        self._audit_every = 1 if plan.nodes else LAPS_PER_AUDIT * max((c.steps for c in plan.classes), default=1)
        self._begin_books()
        self._watch = Watch(plan, self.state, self._stored)
        if self._watch.gain > 1.0:  # what can grow is looked at often enough to be caught before it overflows
            self.block = min(self.block, self._audit_every)

    @property
    def state(self) -> Any:
        """The state being stepped (:class:`substrate.plan.State`)."""
        return self.stepper.state

    @property
    def time(self) -> float:
        """Simulated seconds so far."""
        return float(self.state.step * self.plan.dt)

    def hold(self, values: Mapping[str, Any]) -> None:
        """Hold new values ``[batch, channels]`` at sources, or targets at loads, from now on; raises NetworkError."""
        for name, value in values.items():
            if name not in self.state.inputs:
                known = ", ".join(self.state.inputs)
                raise NetworkError(f"{name!r} is not a source or load; these are: {known}")
            held = self.state.inputs[name]
            if np.shape(value) != held.shape[::-1]:
                raise NetworkError(
                    f"{name!r} holds [batch, channels] = {held.shape[::-1]}, "
                    f"but the values given have shape {np.shape(value)}"
                )
            held[...] = self.stepper.xp.asarray(value).T
        self.state.version += 1
        self.state.inputs_version += 1

    def run(self, steps: int) -> None:
        """Advance by ``steps`` steps with the parameters as they are; raises DivergenceError when the waves run away.

        What probes have recorded until then can still be taken, and the waves looked at.
        """
        done = 0
        with np.errstate(over="ignore", invalid="ignore"):  # told by _close_block, in words
            while done < steps:
                count = min(self.block, steps - done)
                self.recorder.begin(count)
                self.links.begin(count)
                try:
                    self.stepper.step(count)
                except FloatingPointError:
                    raise self._diverged() from None
                self.links.end(count)
                self.passages.end(count)
                self.recorder.end(count)
                self._close_block(count)
                done += count

    def listen(self, steps: int) -> None:
        """Run ``steps`` steps while the ports listen, leaving in ``state.drive`` the mean drive, minus the gradient.

        The mean is over the steps and the batch: after settling it is ``-dJ/dparameter`` of the batch-mean loss J.
        """
        with self.listening(steps):
            self.run(steps)

    @contextmanager
    def listening(self, steps: int) -> Iterator[None]:
        """Within, the ports listen; the ``run`` calls inside must add up to ``steps`` steps (see :meth:`listen`)."""
        state = self.state
        state.drive_scale, state.drive_fresh = -1.0 / (self.batch * steps), True
        yield
        state.drive_scale = 0.0

    def _emissions(self) -> Emissions:
        return Emissions(self.plan, self.batch, 2 if self.dtype.kind == "c" else 1)

    def _begin_books(self) -> None:
        self._stored = self.stepper.stored_energy() + self.passages.stored_energy()  # amplitude^2, at the last audit
        self._gained, self._moved, self._unaudited = 0.0, 0.0, 0

    def _close_block(self, steps: int) -> None:
        state = self.state
        self.emissions.split(state.ledger, steps)
        flows = state.ledger.sum(axis=0)
        self._flows += state.ledger
        # Entity by entity: what one adds another may take within a block, and their sums are no better than the larger.
        self._moved += float(np.abs(state.ledger).sum())
        self._watch.count(state.ledger)
        state.ledger[...] = 0.0
        self._gained += float(flows @ FLOW_SIGNS)
        if not np.isfinite(self._moved):
            raise self._diverged()
        self._unaudited += steps
        if self._unaudited >= self._audit_every:
            self._audit()

    def _audit(self) -> None:
        """Compare what the columns say was stored since the last audit with the energy in every cell and state."""
        before, gained, moved = self._stored, self._gained, self._moved
        self._begin_books()
        moved += before + self._stored
        if not np.isfinite(moved):
            raise self._diverged()
        if moved > 0.0:
            self._residual = max(self._residual, abs(self._stored - before - gained) / moved)
        if self._watch.runs_away(self._stored, self._stored - before - gained):
            raise self._diverged()

    def _diverged(self) -> DivergenceError:
        return self._watch.error(self.time, self._stored * self._joule, self._flows, self._joule)

    def adopt(self, plan: Plan) -> None:
        """Go on with a plan of the same shape: the same network with other numbers in its circuit part.

        Waves, states, charges and time stay as they are; what a change of a varactor does to its stored energy is
        booked as injected, for whoever turns it does that work. Raises NetworkError when lines or shapes differ.
        """
        _require_fit(plan, self.batch, self.dtype)
        if self._unaudited:
            self._audit()
        self.stepper.adopt(plan)
        if plan.nonlinear:
            before = self._stored
            self._begin_books()
            self._flows[-1, INJECTED] += self._stored - before
        self.recorder.adopt(plan)
        self.passages.adopt(plan)
        self.links.adopt()
        self.plan = self._watch.plan = plan
        self.emissions = self._emissions()

    def take_ledger(self) -> Ledger:
        """The energy books in joules since they were last taken, compared with the energy in every cell and state."""
        if self._unaudited:
            self._audit()
        ledger = Ledger(ledger_columns(self._flows) * self._joule, self._stored * self._joule, self._residual)
        self._flows[...] = 0.0
        self._residual = 0.0
        return ledger

    def take_probes(self, reduced: bool = True) -> dict[str, Any]:
        """What each probe recorded since it was last taken, by its label.

        ``[steps]`` of a probe reduced over channels and samples, else ``[steps, channels, batch]``; without the steps
        where time was reduced. With ``reduced`` false those reduced over time stay, and go on.
        """
        return self.recorder.take(reduced)

    def field(self, line: str) -> tuple[np.ndarray, np.ndarray]:
        """The waves inside a line now, forward and returning: ``[channels, steps, batch]`` from first end to second.

        As the cells hold them: after the whole loss of the pass.
        """
        rows = next((r for r in self.plan.lines if r.name == line), None)
        if rows is None:
            raise NetworkError(f"There is no line {line!r}; the lines are {', '.join(r.name for r in self.plan.lines)}")
        # The wave sent k steps ago has moved k - 1 cells on; one read next stands at the far end.
        first, state = self.state.step - rows.steps, self.state
        forward, backward = (
            sent_waves(self.plan, state, self.stepper.to_host, rows, side, first, rows.steps, self.batch)
            for side in (0, 1)
        )
        return forward[:, ::-1], backward

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything needed to continue bit for bit, as named host arrays; what probes recorded is not part of it."""
        state, host = self.state, self.stepper.to_host
        arrays = {"cells": host(state.arena)}
        arrays |= {f"memories/{i}": host(memory) for i, memory in enumerate(state.memories)}
        arrays |= {f"voltages/{name}": host(value) for name, value in state.voltages.items()}
        arrays |= {f"echoes/{name}": host(value) for name, value in state.echoes.items()}
        arrays |= {f"filters/{i}": host(value) for i, value in enumerate(state.filters) if value.size}
        arrays |= {f"skews/{i}": host(waves) for i, waves in enumerate(state.skews)}
        arrays |= {f"poles/{i}": current.copy() for i, current in enumerate(state.poles)}
        arrays |= {f"nonlinear/{i}": host(memory) for i, memory in enumerate(state.nonlinear)}
        arrays |= {f"charges/{i}": host(charge) for i, charge in enumerate(state.charges)}
        arrays |= {f"parameters/{name}": host(value) for name, value in state.parameters.items()}
        arrays |= {f"inputs/{name}": host(value) for name, value in state.inputs.items()}
        arrays |= {"step": np.array(state.step, dtype=np.int64), "flows": self._flows.copy()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint of the same plan and batch."""
        state, xp = self.state, self.stepper.xp
        state.arena[...] = xp.asarray(arrays["cells"])
        for index, memory in enumerate(state.memories):
            memory[...] = xp.asarray(arrays[f"memories/{index}"])
        for key, kept in (("nonlinear", state.nonlinear), ("charges", state.charges), ("skews", state.skews)):
            for index, values in enumerate(kept):
                values[...] = xp.asarray(arrays[f"{key}/{index}"])
        for index, current in enumerate(state.poles):
            current[...] = arrays[f"poles/{index}"]
        for index, memory in enumerate(state.filters):
            if memory.size:
                memory[...] = xp.asarray(arrays[f"filters/{index}"])
        held = {"parameters": state.parameters, "inputs": state.inputs}
        held |= {"voltages": state.voltages, "echoes": state.echoes}
        for group, target in held.items():
            for name, value in target.items():
                value[...] = xp.asarray(arrays[f"{group}/{name}"])
        state.step = int(arrays["step"])
        self._flows[...] = arrays["flows"]
        state.version += 1
        state.inputs_version += 1
        self._begin_books()
        self._watch.start = self._stored


def _require_fit(plan: Plan, batch: int, dtype: Any) -> None:
    """Refuse numbers per sample that are not as many as there are samples, and complex numbers among real waves."""
    real = np.dtype(dtype).kind == "f"
    groups: list[tuple[Any, tuple[int, ...]]] = [
        (group, (group.matrices.shape[1], group.initial.shape[-1])) for group in plan.clusters
    ]
    groups += [(group.linear, group.widths) for group in plan.nonlinear]
    for group, widths in groups:
        where = ", ".join(group.names[:3])
        for count in widths:
            if count not in (1, batch):
                raise NetworkError(
                    f"Nodes or lines at {where} hold {count} numbers, one per sample, but the batch is {batch}; "
                    f"give single numbers, or set batch={count}"
                )
        if real and np.iscomplexobj(group.matrices) and np.any(group.matrices.imag != 0.0):
            raise NetworkError(f"Nodes or lines at {where} turn the phase of an envelope; set dtype='complex128'")
    for link in plan.links:
        if real and getattr(link.node, "kind", "") == "phase":
            raise NetworkError("A modulator of the phase turns an envelope; set dtype='complex128'")
    waveforms = [drive.drive.waveform for drive in plan.drives] + [line.modulation for line in plan.lines]
    for waveform in {id(waveform): waveform for waveform in waveforms}.values():
        sample: np.ndarray = np.zeros(1) if waveform is None else np.asarray(waveform.sample(np.array([plan.dt])))
        who = f"A waveform ({type(waveform).__name__})"
        if sample.ndim > 1 and sample.shape[1] not in (1, batch):
            raise NetworkError(
                f"{who} holds {sample.shape[1]} numbers, one per sample, but the batch is {batch}; "
                f"give single numbers, or set batch={sample.shape[1]}"
            )
        if real and np.iscomplexobj(sample):
            raise NetworkError(f"{who} is an envelope of complex numbers; set dtype='complex128'")
