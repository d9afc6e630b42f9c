"""What a simulation leaves in memory: the time axis and one array per probe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.compile import compile_network
from substrate.errors import NetworkError
from substrate.network import Network, Probe
from substrate.simulation import Ledger, Simulation

Reducer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Traces:
    """Probe records of one run: ``traces["load.voltage"]`` is ``[steps]``, or ``[steps, batch]`` when a batch ran.

    ``time`` (s) is the end of each step; ``ledger`` the energy books of the whole run, in joules.
    """

    time: np.ndarray
    values: Mapping[str, np.ndarray]
    ledger: Ledger

    def __getitem__(self, label: str) -> np.ndarray:
        if label not in self.values:
            raise NetworkError(f"There is no trace {label!r}; the traces are {', '.join(self.values)}")
        return self.values[label]


def as_probe(network: Network, probe: str | Probe) -> Probe:
    """A probe from text: ``"node.quantity"`` or ``"node.port.quantity"``; raises NetworkError.

    >>> from substrate.nodes import Resistor
    >>> net = Network(); _ = net.add(Resistor(50.0), "load")
    >>> as_probe(net, "load.voltage")
    Probe(at='load', quantity='voltage', reduce='none')
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
    changes: Sequence[tuple[float, Mapping[str, Any]]] = (),
) -> Traces:
    """Simulate ``network`` from rest for ``duration`` seconds in steps of ``dt`` and return what the probes saw.

    Waves are in sqrt(W) (``reference_power`` 1 W); ``dtype`` complex128 or complex64 makes them optical envelopes;
    ``batch`` samples run side by side. ``changes`` are ``(seconds, {"node.field": value})``: numbers of the network that
    change while it runs. Raises the SubstrateError that says what is wrong.

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
    if not duration >= dt:
        raise NetworkError(f"A simulation lasts at least one step, but duration={duration!r} s < dt={dt!r} s")
    planned = [as_probe(network, probe) for probe in probes]
    plan = compile_network(network, dt, reference_power=reference_power, probes=planned)
    simulation = Simulation(plan, batch=batch, backend=backend, dtype=dtype, seed=seed)
    total = round(duration / dt)
    for seconds, values in sorted(changes, key=lambda change: change[0]):
        step = min(total, max(simulation.state.step, round(seconds / dt)))
        simulation.run(step - simulation.state.step)
        network = network.changed(values)
        simulation.adopt(compile_network(network, dt, reference_power=reference_power, probes=planned))
    simulation.run(total - simulation.state.step)
    time = (np.arange(total) + 1) * dt
    taken = simulation.take_probes()
    return Traces(time, {label: _squeezed(values) for label, values in taken.items()}, simulation.take_ledger())


def _squeezed(values: np.ndarray) -> np.ndarray:
    """Without the axes that have one entry: ``[steps, channels, batch]`` -> ``[steps]`` in the simplest case."""
    keep = tuple(axis for axis in range(1, values.ndim) if values.shape[axis] == 1)
    return values.squeeze(axis=keep)
