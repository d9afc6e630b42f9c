"""What a batch of a training run is to frozen ports: how well their drive points, how long the waves take to settle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from substrate.compile import compile_network
from substrate.learning.backprop import Backprop, Parameters, cosine
from substrate.learning.evaluating import SETTLE_TRIPS, heard_gradient, with_parameters
from substrate.learning.layered import INPUT, OUTPUT
from substrate.learning.presenting import Timing
from substrate.learning.settings import TrainSettings
from substrate.learning.settling import field_picture, settle
from substrate.network import Network
from substrate.simulation import Simulation

NEAR = 0.01  # of the settled field, within which waves count as settled
PICTURES = 400  # looks at the field on the way, at most
SAMPLES = 32  # that are looked at
SEED = 0xC05  # noise of its own, apart from training and answers

Batch = tuple[np.ndarray, np.ndarray]  # x [samples, inputs], y [samples, outputs]


@dataclass(frozen=True)
class Presentation:
    """``batch`` shown for one dwell, as training does, to ports that stay as they are; ``before`` was shown before."""

    network: Network
    settings: TrainSettings
    timing: Timing
    parameters: Mapping[str, np.ndarray]
    before: Batch
    batch: Batch

    def cosine(self) -> float:
        """Cosine between what the ports hear and minus the exact gradient of the batch.

        They hear the mean over the dwell, echoes of the batch before, noise and ringing included; devices that wait
        until waves have settled hear those alone.
        """
        exact = Backprop(self.network).gradient(
            {n: np.asarray(v, float) for n, v in self.parameters.items()}, *self.batch
        )
        return cosine(self._heard(), exact[1])

    def settling(self) -> float:
        """Seconds after which noiseless waves stay within 1 % of where they come to rest; nan where they do not."""
        old, new = ((x[:SAMPLES], y[:SAMPLES]) for x, y in (self.before, self.batch))
        timing, simulation = self.timing, self._at_rest(old, [])
        start = simulation.checkpoint()
        simulation.hold({INPUT: new[0], OUTPUT: new[1]})
        rest = settle(simulation, 1e-3 * NEAR, SETTLE_TRIPS * timing.round_trip, timing.round_trip)
        if not rest.settled:
            return float("nan")
        final = field_picture(simulation)
        simulation.restore(start)
        portion, done, last = max(1, -(-rest.steps // PICTURES)), 0, 0
        while done < rest.steps:
            _show(simulation, portion, max(0, timing.round_trip // 2 - done), new)
            done += portion
            if np.linalg.norm(field_picture(simulation) - final) > NEAR * np.linalg.norm(final):
                last = done
        return (last + portion if last else 0) * self.settings.dt

    def _heard(self) -> Parameters:
        """Minus the mean drive over the dwell."""
        timing, tolerance = self.timing, self.settings.tolerance
        simulation, listened = self._at_rest(self.before, None), timing.settle
        if tolerance is not None:
            simulation.hold({INPUT: self.batch[0], OUTPUT: self.batch[1]})
            settle(simulation, tolerance, timing.settle, timing.round_trip)
            listened = timing.round_trip
        with simulation.listening(listened):
            _show(simulation, listened, timing.round_trip // 2, self.batch)
        heard = heard_gradient(simulation)
        if timing.hold and tolerance is None:
            simulation.listen(timing.interval)
            share = timing.hold / timing.dwell
            heard = {
                name: (1.0 - share) * heard[name] + share * last for name, last in heard_gradient(simulation).items()
            }
        return heard

    def _at_rest(self, batch: Batch, noise: list[str] | None) -> Simulation:
        """A copy of the substrate that has settled on a batch; ``noise`` are the kinds that run."""
        about = self.settings
        plan = compile_network(self.network, about.dt, reference_power=about.reference_power, noise=noise)
        seed, trip = about.seed + SEED, self.timing.round_trip
        simulation = Simulation(plan, batch=len(batch[0]), backend=about.backend, dtype=about.dtype, seed=seed)
        with_parameters(simulation, self.parameters)
        simulation.hold({INPUT: batch[0], OUTPUT: batch[1]})
        if noise == []:
            settle(simulation, 1e-3 * NEAR, SETTLE_TRIPS * trip, trip)
        else:  # noise never comes to rest
            simulation.run(max(self.timing.settle, 2 * trip))
        return simulation


def _show(simulation: Simulation, steps: int, transit: int, batch: Batch) -> None:
    """Run ``steps`` steps with a new batch, whose target gets to the load after ``transit`` of them."""
    simulation.hold({INPUT: batch[0]})
    simulation.run(min(transit, steps))
    if transit < steps:
        simulation.hold({OUTPUT: batch[1]})
        simulation.run(steps - transit)
