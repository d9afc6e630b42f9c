"""Asks a trained substrate: sends samples through copies of its waves and parameters and reads what arrives."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from substrate.compile import compile_network
from substrate.learning.backprop import Backprop, relative_error
from substrate.learning.layered import INPUT, OUTPUT, chain, forward_steps, is_reciprocal, without_load
from substrate.learning.settings import TrainSettings
from substrate.learning.settling import settle
from substrate.losses import Loss, loss_named
from substrate.network import Network
from substrate.nodes.reciprocal import NOMINAL_IMPEDANCE
from substrate.simulation import Simulation

CHUNK = 512  # samples sent side by side
SETTLED = 1e-4  # change of the field per round trip below which an answer of a reflecting network is read
SETTLE_TRIPS = 200  # round trips waited for that at most


@dataclass(frozen=True)
class Answer:
    """How a network did on a set: share of right answers (nan without classes), mean loss, joules per sample."""

    accuracy: float
    loss: float
    energy: float = float("nan")


def score(z: np.ndarray, y: np.ndarray, loss: Loss, labels: bool) -> tuple[float, float]:
    """Accuracy (nan where targets are no labels) and mean loss of ``z`` against ``y``, [samples, outputs]."""
    accuracy = float(np.mean(z.argmax(axis=1) == y.argmax(axis=1))) if labels else float("nan")
    return accuracy, float(loss.value(np, z.T, y.T).mean())


class Evaluator:
    """Answers questions with the waves of a substrate, without disturbing the substrate that is being trained.

    The samples pass a copy of the network whose load only looks, from empty lines: for one transit where nothing
    reflects, else until the field changes by less than ``SETTLED`` over a round trip.
    """

    def __init__(self, network: Network, settings: TrainSettings, labels: bool) -> None:
        self.settings, self.labels = settings, labels
        self.network = without_load(network)
        self.loss = loss_named(getattr(network.nodes[OUTPUT], "loss", "mse"))
        self.plan = compile_network(self.network, settings.dt, reference_power=settings.reference_power)
        self.transit = forward_steps(network, settings.dt)
        self.last_line = [stage.name for stage in chain(network) if stage.kind == "line"][-1]
        self.reflects = is_reciprocal(network)
        # At an open end the voltage is twice the arriving wave; a matched end reads the wave itself.
        z = self.network.connections[self.last_line].line
        assert z is not None
        load_reflects = network.nodes[OUTPUT].law == "reciprocal_load"
        self.volts_per_wave = 2.0 * np.sqrt(z.impedance / NOMINAL_IMPEDANCE) if load_reflects else 1.0

    def outputs(self, parameters: Mapping[str, np.ndarray], x: np.ndarray) -> tuple[np.ndarray, float]:
        """What reaches the output for each sample of ``x``, [samples, outputs], and the joules spent per sample."""
        parts, joules = [], 0.0
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK]
            simulation = self._simulation(parameters, len(part), start)
            simulation.hold({INPUT: part})
            if self.reflects:
                settle(simulation, SETTLED, limit=SETTLE_TRIPS * 2 * self.transit, while_steps=2 * self.transit)
            else:
                simulation.run(self.transit)
            forward, _ = simulation.field(self.last_line)
            parts.append(self.volts_per_wave * forward[:, -1].T)
            ledger = simulation.take_ledger()
            joules += ledger["injected"] + ledger["gain"]
        return np.concatenate(parts), joules / len(x)

    def read(self, simulation: Simulation) -> np.ndarray:
        """What a training simulation's load sees now, ``[samples, outputs]``: the arriving wave, or its voltage."""
        voltages = simulation.state.voltages.get(OUTPUT)
        if voltages is not None:
            return simulation.stepper.to_host(voltages).T.astype(float)
        arriving, _ = simulation.field(self.last_line)
        return arriving[:, -1].T.astype(float)

    def answer(self, parameters: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray) -> Answer:
        """Accuracy, loss and energy on a set; nan when it is empty."""
        if len(x) == 0:
            return Answer(float("nan"), float("nan"))
        z, joules = self.outputs(parameters, x)
        return Answer(*score(z, y, self.loss, self.labels), joules)

    def _simulation(self, parameters: Mapping[str, np.ndarray], batch: int, offset: int) -> Simulation:
        # Another seed than training: the noise of an answer is not the noise the devices were trained under.
        s = self.settings
        simulation = Simulation(
            self.plan, batch=batch, backend=s.backend, dtype=s.dtype, seed=s.seed + 0x5EED, batch_offset=offset
        )
        return with_parameters(simulation, parameters)


def gradient_error(
    network: Network, settings: TrainSettings, parameters: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray
) -> float:
    """Relative error of the gradient that frozen ports hear once the waves have settled, against exact backprop.

    Settled means one round trip where nothing reflects, else a field that no longer changes.
    """
    plan = compile_network(network, settings.dt, reference_power=settings.reference_power)
    simulation = Simulation(plan, batch=len(x), backend=settings.backend, dtype=settings.dtype, seed=settings.seed)
    with_parameters(simulation, parameters)
    simulation.hold({INPUT: x, OUTPUT: y})
    round_trip = 2 * forward_steps(network, settings.dt)
    if is_reciprocal(network):
        settle(simulation, 1e-12, limit=2 * SETTLE_TRIPS * round_trip, while_steps=round_trip)
    else:
        simulation.run(round_trip)
    simulation.listen(1)
    heard = heard_gradient(simulation)
    exact = {name: np.asarray(value, dtype=float) for name, value in parameters.items()}
    return relative_error(heard, Backprop(network).gradient(exact, x, y)[1])


def with_parameters(simulation: Simulation, parameters: Mapping[str, np.ndarray]) -> Simulation:
    """The simulation, whose waves now see these parameters."""
    for name, value in parameters.items():
        simulation.state.parameters[name][...] = simulation.stepper.xp.asarray(value)
    return simulation


def heard_gradient(simulation: Simulation) -> dict[str, np.ndarray]:
    """What the ports have heard, as a gradient on the host: minus their drives."""
    return {name: -simulation.stepper.to_host(drive).astype(float) for name, drive in simulation.state.drive.items()}
