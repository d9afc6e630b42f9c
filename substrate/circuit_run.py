"""Runs a circuit into a run file: traces in portions as the run goes, reductions at its end, the energy books."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import ConfigError, DivergenceError
from substrate.netfile import Circuit, SimulationSettings
from substrate.plan import LEDGER
from substrate.probe import Probe
from substrate.record import RunWriter, Static, TableSpec
from substrate.reductions import Extreme, Final, Mean, Reduction, histogram_edges
from substrate.simulation import Ledger, Simulation
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
    settings = circuit.settings
    if settings is None:
        raise ConfigError("the circuit has no [simulation]; say its duration and dt")
    total = steps_of(settings.duration, settings.dt)
    simulation = _simulation(circuit, settings)
    probes = _Probes(circuit, simulation)
    about = {**attributes, **_attributes(circuit, settings)}
    writer = RunWriter.create(
        out, tables=probes.tables(), static=probes.static(), checkpoint={}, attributes=about, overwrite=overwrite
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
    return summary


def _simulation(circuit: Circuit, settings: SimulationSettings) -> Simulation:
    plan = compile_network(
        circuit.network, settings.dt, reference_power=settings.reference_power, probes=settings.probes,
        noise=settings.noise, carrier=settings.carrier,
    )  # fmt: skip
    return Simulation(plan, batch=settings.batch, backend=settings.backend, dtype=settings.dtype, seed=settings.seed)


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

    def summary(self) -> dict[str, Any]:
        """The few numbers of each probe, of the modulus where it is complex; over a batch their means and extremes."""
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
            for name, value in values.items():
                found[label][name] = _over_samples(name, np.asarray(value))
            if "final" in values and np.size(values["final"]) > 1:
                found[label]["final_spread"] = float(np.std(values["final"]))
        return found
