"""What a batch of a training run is to frozen ports: how well their drive points, how long the waves take to settle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from substrate.compile import compile_network
from substrate.learning.backprop import Backprop, Parameters, cosine
from substrate.learning.layered import INPUT, OUTPUT
from substrate.learning.presenting import Timing
from substrate.learning.settings import TrainSettings
from substrate.learning.settling import field_picture, settle
from substrate.network import Network
from substrate.simulation import Simulation

NEAR = 0.01  # of the settled field, within which waves count as settled
TRIPS = 200  # round trips waited for that at most
PICTURES = 400  # looks at the field on the way, at most
SAMPLES = 32  # that are looked at
SEED = 0xC05  # noise of its own, apart from training and answers


@dataclass(frozen=True)
class Hearing:
    """``cosine`` between what ports hear of a batch and minus the exact gradient; ``settling`` (s) of its waves."""

    cosine: float
    settling: float


def hear(
    network: Network,
    settings: TrainSettings,
    timing: Timing,
    parameters: Mapping[str, np.ndarray],
    before: tuple[np.ndarray, np.ndarray],
    batch: tuple[np.ndarray, np.ndarray],
) -> Hearing:
    """Show ``batch`` (x, y) for one dwell, as training does, to ports that stay as they are; ``before`` came before it.

    The drive is the mean over the dwell, echoes of the batch before, noise and ringing included; devices that wait
    until waves have settled hear those alone. Settled are noiseless waves within 1 % of where they come to rest.
    """
    return Hearing(
        cosine(
            _heard(network, settings, timing, parameters, before, batch),
            Backprop(network).gradient({name: np.asarray(v, float) for name, v in parameters.items()}, *batch)[1],
        ),
        _settling(network, settings, timing, parameters, before, batch) * settings.dt,
    )


def _heard(
    network: Network,
    settings: TrainSettings,
    timing: Timing,
    parameters: Mapping[str, np.ndarray],
    before: tuple[np.ndarray, np.ndarray],
    batch: tuple[np.ndarray, np.ndarray],
) -> Parameters:
    """Minus the mean drive over the dwell."""
    simulation = _at_rest(network, settings, timing, parameters, before, None)
    waits = settings.tolerance is not None
    if waits:
        simulation.hold({INPUT: batch[0], OUTPUT: batch[1]})
        settle(simulation, settings.tolerance or 0.0, timing.settle, timing.round_trip)
    with simulation.listening(timing.round_trip if waits else timing.settle):
        _show(simulation, timing.round_trip if waits else timing.settle, timing.round_trip // 2, batch)
    heard = _drives(simulation)
    if timing.hold and not waits:
        simulation.listen(timing.interval)
        share = timing.hold / timing.dwell
        heard = {name: (1.0 - share) * heard[name] + share * last for name, last in _drives(simulation).items()}
    return heard


def _settling(
    network: Network,
    settings: TrainSettings,
    timing: Timing,
    parameters: Mapping[str, np.ndarray],
    before: tuple[np.ndarray, np.ndarray],
    batch: tuple[np.ndarray, np.ndarray],
) -> float:
    """Steps after which the field stays within ``NEAR`` of where it comes to rest; nan where it does not."""
    old, new = ((x[:SAMPLES], y[:SAMPLES]) for x, y in (before, batch))
    simulation = _at_rest(network, settings, timing, parameters, old, [])
    start = simulation.checkpoint()
    simulation.hold({INPUT: new[0], OUTPUT: new[1]})
    rest = settle(simulation, 1e-3 * NEAR, TRIPS * timing.round_trip, timing.round_trip)
    if not rest.settled:
        return float("nan")
    final = field_picture(simulation)
    simulation.restore(start)
    portion, done, last = max(1, -(-rest.steps // PICTURES)), 0, 0
    while done < rest.steps:
        transit = max(0, timing.round_trip // 2 - done)
        _show(simulation, portion, transit, new)
        done += portion
        if np.linalg.norm(field_picture(simulation) - final) > NEAR * np.linalg.norm(final):
            last = done
    return float(last + portion if last else 0)


def _at_rest(
    network: Network,
    settings: TrainSettings,
    timing: Timing,
    parameters: Mapping[str, np.ndarray],
    batch: tuple[np.ndarray, np.ndarray],
    noise: list[str] | None,
) -> Simulation:
    """A copy of the substrate that has settled on a batch; ``noise`` are the kinds that run."""
    plan = compile_network(network, settings.dt, reference_power=settings.reference_power, noise=noise)
    simulation = Simulation(
        plan, batch=len(batch[0]), backend=settings.backend, dtype=settings.dtype, seed=settings.seed + SEED
    )
    for name, value in parameters.items():
        simulation.state.parameters[name][...] = simulation.stepper.xp.asarray(value)
    simulation.hold({INPUT: batch[0], OUTPUT: batch[1]})
    if noise == []:
        settle(simulation, 1e-3 * NEAR, TRIPS * timing.round_trip, timing.round_trip)
    else:  # noise never comes to rest
        simulation.run(max(timing.settle, 2 * timing.round_trip))
    return simulation


def _show(simulation: Simulation, steps: int, transit: int, batch: tuple[np.ndarray, np.ndarray]) -> None:
    """Run ``steps`` steps with a new batch, whose target gets to the load after ``transit`` of them."""
    simulation.hold({INPUT: batch[0]})
    simulation.run(min(transit, steps))
    if transit < steps:
        simulation.hold({OUTPUT: batch[1]})
        simulation.run(steps - transit)


def _drives(simulation: Simulation) -> dict[str, np.ndarray]:
    return {name: -simulation.stepper.to_host(drive).astype(float) for name, drive in simulation.state.drive.items()}
