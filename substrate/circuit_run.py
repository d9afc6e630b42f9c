"""Runs a circuit into a run file: traces in portions as the run goes, reductions at its end, the energy books."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import ConfigError, DivergenceError, SubstrateError
from substrate.netfile import Circuit, SimulationSettings
from substrate.noise import Seed
from substrate.plan import LEDGER, Plan
from substrate.probe import Probe
from substrate.record import RunWriter, Static, TableSpec
from substrate.reductions import Extreme, Final, Mean, Reduction, histogram_edges
from substrate.simulation import Ledger, Simulation
from substrate.stacking import likeness, stacked
from substrate.traces import advance, squeezed, steps_of

KIND = "circuit"  # attribute of the run file
PORTION_BYTES = 1 << 24  # of records kept in memory between two writes
PORTIONS = 100  # at least so many, so that progress and the energy books have a row for each


def run_circuit(
    circuit: Circuit,
    out: str | Path,
    *,
    attributes: Mapping[str, Any],
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Simulate ``circuit`` as its settings say, write everything to ``out``, and return the summary stored there.

    Traces are appended as the run goes, so it may be longer than memory holds. ``progress`` gets the steps done and
    their total. Raises ConfigError without settings, and the SubstrateError that says what is wrong.
    """
    settings = _settings(circuit)
    simulation = _simulation(circuit, _compiled(circuit), settings.batch, settings.seed)
    return _run(circuit, simulation, out, {**attributes, **_attributes(circuit, settings)}, overwrite, progress)[0]


def run_beside(
    circuits: Sequence[Circuit], outs: Sequence[str | Path], *, attributes: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any] | SubstrateError]:
    """Simulate circuits, those that differ in numbers alone as the samples of one simulation; a summary for each.

    Sample ``b`` is, to rounding, what :func:`run_circuit` makes of circuit ``b``, noise included. Each simulation is
    one file, that of its first circuit in ``outs``; where it has several samples, its attribute ``samples`` lists what
    is particular to each, and the summaries name the ``file``, the ``sample`` in it and how many there are, ``batch``.
    The energy books are those of all samples together, so these summaries have the residual only. Where one sample
    goes wrong all of them run alone. What a circuit raises stands in place of its summary.
    """
    found: list[Any] = [None] * len(circuits)
    plans: dict[int, Plan] = {}
    alike: dict[Any, list[int]] = {}
    for index, circuit in enumerate(circuits):
        try:
            settings = _settings(circuit)
            plans[index] = _compiled(circuit)
        except SubstrateError as error:
            found[index] = error
            continue
        key = None if settings.batch > 1 or settings.changes else likeness(plans[index])
        same = (key, settings.duration, settings.dtype, settings.backend)
        alike.setdefault(index if key is None else same, []).append(index)
    for members in alike.values():
        parts = [(circuits[i], plans[i], outs[i], attributes[i]) for i in members]
        for i, outcome in zip(members, _beside(parts), strict=True):
            found[i] = outcome
    return found


def _beside(parts: list[tuple[Circuit, Plan, str | Path, Mapping[str, Any]]]) -> list[Any]:
    """The summaries of circuits that can be stacked, or what went wrong with each; ``parts`` as in run_beside."""
    circuit, _, out, about = parts[0]
    settings = _settings(circuit)
    try:
        if len(parts) == 1:
            simulation = _simulation(circuit, parts[0][1], settings.batch, settings.seed)
            return [_run(circuit, simulation, out, {**about, **_attributes(circuit, settings)}, True)[0]]
        seeds = tuple(_settings(each).seed for each, *_ in parts)
        simulation = _simulation(circuit, stacked([plan for _, plan, *_ in parts]), len(parts), seeds)
        unlike = [{name: own[name] for name in own if own[name] != about.get(name)} for *_, own in parts[1:]]
        samples = [{"seed": seed, **own} for seed, own in zip(seeds, [about, *unlike], strict=True)]
        attributes = {**about, **_attributes(circuit, settings), "batch": len(parts), "samples": json.dumps(samples)}
        whole, *own = _run(circuit, simulation, out, attributes, True)
    except SubstrateError as error:
        return [error] if len(parts) == 1 else [outcome for part in parts for outcome in _beside([part])]
    kept = {name: whole[name] for name in ("steps", "simulated_s", "ledger_residual")}
    kept |= {"file": str(out), "batch": len(parts)}
    return [{**kept, "sample": b, "probes": probes} for b, probes in enumerate(own)]


def _run(
    circuit: Circuit,
    simulation: Simulation,
    out: str | Path,
    attributes: Mapping[str, Any],
    overwrite: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Simulate into a file; the summary stored there and, of several samples, that of the probes of each."""
    settings = _settings(circuit)
    total = steps_of(settings.duration, settings.dt)
    probes = _Probes(circuit, simulation)
    writer = RunWriter.create(
        out, tables=probes.tables(), static=probes.static(), checkpoint={}, attributes=attributes, overwrite=overwrite
    )
    books = Ledger()
    with writer:
        try:
            for done in advance(simulation, circuit.network, total, settings.changes, probes.portion(total)):
                probes.write(writer, simulation)
                _write_ledger(writer, simulation, books)
                progress(done, total)
        except DivergenceError:  # what led to it is what one wants to look at
            probes.write(writer, simulation, final=True)
            raise
        probes.write(writer, simulation, final=True)
        summary = {
            "steps": total,
            "simulated_s": total * settings.dt,
            "ledger_J": dict(zip(LEDGER, books.columns.tolist(), strict=True)),
            "stored_J": books.stored,
            "ledger_residual": books.residual,
            "probes": probes.summary(),
        }
        writer.finish("complete", summary)
    samples = simulation.batch
    return [summary, *(probes.summary(sample) for sample in range(samples if samples > 1 else 0))]


def _settings(circuit: Circuit) -> SimulationSettings:
    if circuit.settings is None:
        raise ConfigError("the circuit has no [simulation]; say its duration and dt")
    return circuit.settings


def _compiled(circuit: Circuit) -> Plan:
    settings = _settings(circuit)
    return compile_network(
        circuit.network, settings.dt, reference_power=settings.reference_power, probes=settings.probes,
        noise=settings.noise, carrier=settings.carrier,
    )  # fmt: skip


def _simulation(circuit: Circuit, plan: Plan, batch: int, seed: Seed) -> Simulation:
    settings = _settings(circuit)
    return Simulation(plan, batch=batch, backend=settings.backend, dtype=settings.dtype, seed=seed)


def _over_samples(name: str, values: np.ndarray) -> float:
    """One number for all samples of a batch: the extreme of extremes, the rms of rms, the mean of the others."""
    if name == "rms":
        return float(np.sqrt(np.mean(values**2)))
    return float(values.min() if name == "min" else values.max() if name == "max" else values.mean())


def _attributes(circuit: Circuit, settings: SimulationSettings) -> dict[str, str | int | float]:
    return {
        "kind": KIND,
        "title": circuit.title,
        "network": str(circuit.network),
        "duration_s": settings.duration,
        "dt_s": settings.dt,
        "dtype": settings.dtype,
        "batch": settings.batch,
        "seed": settings.seed,
        "backend": settings.backend,
        "reference_power_W": settings.reference_power,
    }


def _write_ledger(writer: RunWriter, simulation: Simulation, books: Ledger) -> None:
    row = simulation.take_ledger()
    books.columns += row.columns
    books.stored, books.residual = row.stored, max(books.residual, row.residual)
    values = {"time": simulation.time, "stored": row.stored, "residual": row.residual}
    for name, value in {**values, **{name: row[name] for name in LEDGER}}.items():
        writer.append(f"/ledger/{name}", value)


class _Probes:
    """The probes of a run: their tables, what goes into them, and the few numbers that stand for each."""

    def __init__(self, circuit: Circuit, simulation: Simulation) -> None:
        self.simulation = simulation
        self.probes = {planned.label: planned.request for planned in simulation.plan.probes}
        self.shapes = {planned.label: self._row_shape(circuit, planned) for planned in simulation.plan.probes}
        traces = [label for label, probe in self.probes.items() if probe.is_trace]
        self.statistics: dict[str, dict[str, Reduction]] = {
            label: {"final": Final(), "mean": Mean(), "rms": Mean(2), "min": Extreme(-1), "max": Extreme(1)}
            for label in traces
        }
        self.reduced: dict[str, Any] = {}
        self.clocks = {label: f"/probes/{label}/time" for label in traces if self.probes[label].every > 1}
        if len(self.clocks) < len(traces):
            self.clocks[""] = "/probes/time"  # of all traces that keep every step
        self.begun: dict[str, int] = dict.fromkeys(self.clocks, 0)  # rows so far

    def _row_shape(self, circuit: Circuit, planned: Any) -> tuple[int, ...]:
        probe: Probe = planned.request
        if probe.reduce != "none":
            return ()
        if probe.in_line:
            channels = self.simulation.plan.lines[planned.line].channels
        else:
            channels = circuit.network.channels(circuit.network.reference(probe.at))
        return tuple(count for count in (channels, self.simulation.batch) if count > 1)

    def _dtype(self, probe: Probe) -> np.dtype:
        waves = self.simulation.dtype
        real = probe.quantity == "power" or probe.reduce == "mean_square" or probe.reduce_time in ("rms", "min", "max")
        dtype = np.zeros(0, waves).real.dtype if real else waves
        return dtype if probe.is_trace else np.dtype(np.result_type(dtype, np.float64))

    def tables(self) -> dict[str, TableSpec]:
        """The tables of the file."""
        specs = {path: TableSpec((), "f8", "s", "end of the step of each row") for path in self.clocks.values()}
        for label, probe in self.probes.items():
            shape, dtype, place = self.shapes[label], self._dtype(probe), f"{probe.quantity} at {probe.at}"
            if probe.is_trace:
                specs[f"/probes/{label}/value"] = TableSpec(shape, dtype, probe.unit, place)
            elif probe.reduce_time == "histogram":
                shape = (probe.bins + 2, *shape)
                specs[f"/reduced/{label}"] = TableSpec(
                    shape, "i8", "1", f"histogram of the {place}; first below, last above"
                )
            else:
                specs[f"/reduced/{label}"] = TableSpec(shape, dtype, probe.unit, f"{probe.reduce_time} of the {place}")
        specs["/ledger/time"] = TableSpec((), "f8", "s", "simulated time at the end of the row")
        for name in LEDGER:
            specs[f"/ledger/{name}"] = TableSpec((), "f8", "J", "energy since the row before, all samples of the batch")
        specs["/ledger/stored"] = TableSpec((), "f8", "J", "energy in lines and elements")
        specs["/ledger/residual"] = TableSpec(
            (), "f8", "1", "largest mismatch of any block, relative to the energy moved"
        )
        return specs

    def static(self) -> dict[str, Static]:
        """Edges of the histograms."""
        return {
            f"/edges/{label}": Static(histogram_edges(probe.bins, probe.span), probe.value_unit, "edges of the bins")
            for label, probe in self.probes.items()
            if probe.reduce_time == "histogram" and probe.span is not None
        }

    def portion(self, total: int) -> int:
        """Steps between two writes."""
        row = sum(math.prod(self.shapes[label]) * 16 for label in self.statistics)
        return max(1, min(-(-total // PORTIONS), PORTION_BYTES // max(1, row)))

    def write(self, writer: RunWriter, simulation: Simulation, final: bool = False) -> None:
        """Take what the probes recorded to the file; at the end also the reductions."""
        rows: dict[str, int] = {}
        for label, values in simulation.take_probes(reduced=final).items():
            probe = self.probes[label]
            if not probe.is_trace:
                self.reduced[label] = squeezed(np.asarray(values), False)
                writer.append(f"/reduced/{label}", self.reduced[label])
            elif len(values):
                values = squeezed(values)
                writer.extend(f"/probes/{label}/value", values)
                for statistic in self.statistics[label].values():
                    statistic.add(np.abs(values) if np.iscomplexobj(values) else values)
                rows[label if probe.every > 1 else ""] = len(values)
        for clock, count in rows.items():
            every = self.probes[clock].every if clock else 1
            numbers = self.begun[clock] + 1 + np.arange(count)
            writer.extend(self.clocks[clock], numbers * every * simulation.plan.dt)
            self.begun[clock] += count

    def summary(self, sample: int | None = None) -> dict[str, Any]:
        """The few numbers of each probe, of the modulus where it is complex; over a batch their means and extremes.

        With ``sample`` those of this sample of the batch alone.
        """
        found: dict[str, Any] = {}
        for label, probe in self.probes.items():
            found[label] = {"unit": probe.unit}
            if probe.is_trace:
                values = {name: part.value() for name, part in self.statistics[label].items()}
            elif probe.reduce_time == "histogram":
                found[label]["histogram"] = probe.bins
                continue
            else:
                value = self.reduced[label]
                values = {str(probe.reduce_time): np.abs(value) if np.iscomplexobj(value) else value}
            if sample is not None:
                values = {name: np.asarray(value)[..., sample] for name, value in values.items()}
            for name, value in values.items():
                found[label][name] = _over_samples(name, np.asarray(value))
            if "final" in values and np.size(values["final"]) > 1:
                found[label]["final_spread"] = float(np.std(values["final"]))
        return found
