"""What a simulation leaves in memory: the time axis and one array per probe."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import DivergenceError, NetworkError
from substrate.network import Network
from substrate.probe import Probe
from substrate.simulation import Ledger, Simulation

Changes = Sequence[tuple[float, Mapping[str, Any]]]  # (seconds, {"node.field": value})


@dataclass(frozen=True)
class Traces:
    """Probe records of one run: ``traces["load.voltage"]`` is ``[steps]``, or ``[steps, batch]`` when a batch ran.

    ``time`` (s) is the end of each step; ``ledger`` the energy books of the whole run, in joules. A probe that keeps
    every N-th step only has its own clock, :meth:`times`; one reduced over time has no axis of steps.
    """

    time: np.ndarray
    values: Mapping[str, Any]
    ledger: Ledger
    every: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, label: str) -> Any:
        if label not in self.values:
            raise NetworkError(f"There is no trace {label!r}; the traces are {', '.join(self.values)}")
        return self.values[label]

    def times(self, label: str) -> np.ndarray:
        """Seconds at which the rows of a trace were taken; raises NetworkError for an unknown one."""
        self[label]
        every = self.every.get(label, 1)
        return self.time[every - 1 :: every]


def as_probe(network: Network, probe: str | Probe) -> Probe:
    """A probe from text: ``"node.quantity"``, ``"node.port.quantity"``, ``"line@place.quantity"``. Raises NetworkError.

    >>> from substrate.nodes import Resistor
    >>> net = Network(); _ = net.add(Resistor(50.0), "load")
    >>> as_probe(net, "load.voltage") == Probe("load", "voltage")
    True
    """
    if isinstance(probe, Probe):
        return probe
    at, _, quantity = probe.rpartition(".")
    if not at:
        raise NetworkError(f"Probe {probe!r} must be written node.quantity or node.port.quantity, such as load.voltage")
    return Probe(at, quantity)


def simulate(
    network: Network,
    duration: float,
    dt: float,
    probes: Sequence[str | Probe] = (),
    *,
    batch: int = 1,
    backend: str = "cpu",
    dtype: str = "float64",
    seed: int = 0,
    reference_power: float = 1.0,
    changes: Changes = (),
    noise: Sequence[str] | None = None,
    carrier: float | None = None,
) -> Traces:
    """Simulate ``network`` from rest for ``duration`` seconds in steps of ``dt`` and return what the probes saw.

    Waves are in sqrt(W) (``reference_power`` 1 W); ``dtype`` complex128 or complex64 makes them optical envelopes;
    ``batch`` samples run side by side. ``changes`` are ``(seconds, {"node.field": value})``: numbers of the network
    that change while it runs. ``noise`` names the kinds of noise that run (None: all that are described), ``carrier``
    (Hz) gives envelopes a vacuum; see :func:`substrate.compile_network`.
    Raises the SubstrateError that says what is wrong; a DivergenceError holds the ``traces``
    so far.

    For runs longer than memory, reduce probes on the fly (:class:`substrate.Probe`), or let ``substrate simulate``
    write them to a file as the run goes.

    >>> from substrate import Line
    >>> from substrate.nodes import Resistor, VoltageSource
    >>> from substrate.waveforms import Step
    >>> net = Network()
    >>> src = net.add(VoltageSource(Step(1.0), resistance=25.0), "src")
    >>> load = net.add(Resistor(100.0), "load")
    >>> net.connect(src, load, Line(delay=1e-9, impedance=50.0), "w1")
    >>> traces = simulate(net, duration=20e-9, dt=10e-12, probes=["load.voltage"])
    >>> round(float(traces["load.voltage"][-1]), 6)  # settles to 100 / (25 + 100)
    0.8
    """
    total = steps_of(duration, dt)
    planned = [as_probe(network, probe) for probe in probes]
    plan = compile_network(network, dt, reference_power=reference_power, probes=planned, noise=noise, carrier=carrier)
    simulation = Simulation(plan, batch=batch, backend=backend, dtype=dtype, seed=seed)
    try:
        for _ in advance(simulation, network, total, changes):
            pass
    except DivergenceError as error:
        error.traces = _taken(simulation, planned)
        raise
    return _taken(simulation, planned)


def _taken(simulation: Simulation, planned: Sequence[Probe]) -> Traces:
    """What the probes saw until now; after a divergence the books end at the last whole block."""
    time = (np.arange(simulation.state.step) + 1) * simulation.plan.dt
    traces = {probe.label for probe in planned if probe.is_trace}
    taken = {
        label: squeezed(values, label in traces) if isinstance(values, np.ndarray) else values
        for label, values in simulation.take_probes().items()
    }
    every = {probe.label: probe.every for probe in planned if probe.is_trace}
    try:
        ledger = simulation.take_ledger()
    except DivergenceError:  # the books cannot be closed over numbers that are none
        ledger = Ledger(residual=float("nan"))
    return Traces(time, taken, ledger, every)


def steps_of(duration: float, dt: float) -> int:
    """How many steps a run takes; raises NetworkError when it is shorter than one."""
    if not (np.isfinite(duration) and np.isfinite(dt) and 0.0 < dt <= duration):
        raise NetworkError(f"A simulation lasts at least one step, but duration={duration!r} s, dt={dt!r} s")
    return round(duration / dt)


def advance(
    simulation: Simulation, network: Network, total: int, changes: Changes = (), portion: int | None = None
) -> Iterator[int]:
    """Run ``simulation`` of ``network`` to step ``total`` with ``changes`` on the way, and give the steps done so far.

    It pauses after at most ``portion`` steps, so that records can be taken to a file. Raises NetworkError.
    """
    plan = simulation.plan
    probes = [probe.request for probe in plan.probes]
    for seconds, _ in changes:
        if not (np.isfinite(seconds) and seconds >= 0.0):
            raise NetworkError(f"A change happens at a time from 0 s on, but its time is {seconds!r} s")
    stops: list[tuple[int, Mapping[str, Any]]] = [
        (min(total, max(simulation.state.step, round(seconds / plan.dt))), values)
        for seconds, values in sorted(changes, key=lambda change: change[0])
    ]
    for stop, values in [*stops, (total, {})]:
        while simulation.state.step < stop:
            simulation.run(min(stop - simulation.state.step, portion or total))
            yield simulation.state.step
        if values:
            network = network.changed(values)
            simulation.adopt(
                compile_network(
                    network, plan.dt, reference_power=plan.reference_power, probes=probes,
                    noise=sorted(plan.noise.kinds), carrier=plan.noise.carrier,
                )
            )  # fmt: skip


def squeezed(values: np.ndarray, is_trace: bool = True) -> np.ndarray:
    """Without the axes that have one entry (but the steps of a trace): ``[steps, 1, 1]`` -> ``[steps]``."""
    keep = tuple(axis for axis in range(1 if is_trace else 0, values.ndim) if values.shape[axis] == 1)
    return values.squeeze(axis=keep)
