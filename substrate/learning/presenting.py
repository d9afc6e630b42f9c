"""Shows one batch to a substrate: the wave clock while it settles, then the device clock for the rest of the dwell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from substrate.compile import compile_network
from substrate.errors import ConfigError
from substrate.learning.layered import INPUT, OUTPUT, forward_delay
from substrate.learning.ports import PortBank
from substrate.learning.settings import TrainSettings
from substrate.network import Network
from substrate.noise import uniforms
from substrate.plan import LEDGER
from substrate.simulation import Ledger, Simulation

SIGN_NOISE = (1 << 15) - 1  # noise source id of the sign that a hold draws


@dataclass(frozen=True)
class Timing:
    """The two clocks of a presentation, in steps of dt: dwell = settle + hold, a device tick every ``interval``."""

    dwell: int
    settle: int
    interval: int
    round_trip: int

    @classmethod
    def of(cls, network: Network, settings: TrainSettings, block: int) -> "Timing":
        """The timing of a network under settings; ``block`` is the shortest delay in steps."""
        dwell = settings.steps(settings.dwell, "dwell")
        settle = dwell if settings.settle is None else settings.steps(settings.settle, "settle")
        interval = block if settings.device_interval is None else settings.steps(settings.device_interval, "interval")
        round_trip = round(2.0 * forward_delay(network) / settings.dt)
        if settle < min(dwell, round_trip + interval):
            raise ConfigError(
                f"settle={settle * settings.dt:.6g} s must cover a round trip and one device interval, "
                f"{(round_trip + interval) * settings.dt:.6g} s, so that the devices hear settled "
                "waves; raise it or leave it out"
            )
        return cls(dwell, settle, interval, round_trip)

    @property
    def hold(self) -> int:
        """Steps of a dwell that are not simulated with waves."""
        return self.dwell - self.settle


class Presenter:
    """Presents batches to a simulation with devices at its ports.

    The target changes at the load when the new wave gets there, one transit after the input changed (a delay line for
    labels), so the load never compares the last answer with the next question.

    While waves are simulated the devices move at every tick under what they hear. A hold is one step of the devices
    under the settled drive. Where waves are noisy, that is the settled drive of a cold twin of the substrate, plus the
    noise the hold would have integrated: the deviation heard in the window, scaled by ``sqrt(window / hold)``, with a
    random sign. Its covariance is that of the integrated noise, across cells and through echoes, and the sign makes it
    uncorrelated with what the window itself has already done to the devices. This is right to first order in the noise:
    what nonlinear nodes rectify of very strong noise acts in the window only; a longer ``settle`` shows how much it is.
    """

    def __init__(self, network: Network, simulation: Simulation, bank: PortBank, settings: TrainSettings) -> None:
        self.simulation, self.bank, self.settings = simulation, bank, settings
        self.timing = Timing.of(network, settings, simulation.plan.block)
        self.on_tick: Callable[[], None] | None = None
        self.presented = 0
        self.transit = round(forward_delay(network) / settings.dt)
        outputs = simulation.state.inputs[OUTPUT].shape[0]
        # Targets on their way to the load, oldest first, and the steps at which they get there; -1 marks a free place.
        self._targets = np.zeros((self.transit // self.timing.dwell + 1, simulation.batch, outputs))
        self._due = np.full(len(self._targets), -1, dtype=np.int64)
        noisy = any(line.sigmas != (0.0, 0.0) for line in simulation.plan.lines)
        noisy |= any(step.sigma > 0.0 for step in simulation.plan.passes)
        self.twin = _cold_twin(network, simulation, settings) if noisy and self.timing.hold else None
        self._heard = [np.zeros(0)] * len(bank.groups)  # sum over settled ticks of the drive, per group
        self._heard_steps = 0

    def present(self, x: np.ndarray, y: np.ndarray) -> Ledger:
        """Hold a batch (``x[batch, inputs]``, ``y[batch, outputs]``) for one dwell; return the energy of that dwell."""
        simulation, timing, dt = self.simulation, self.timing, self.simulation.plan.dt
        simulation.hold({INPUT: x})
        self._send_target(y)
        done, self._heard_steps = 0, 0
        spent, last, count = Ledger(), Ledger(), 1
        while done < timing.settle:
            count = min(timing.interval, timing.settle - done)
            self._listen(count)
            last = simulation.take_ledger()
            spent = _added(spent, last)
            done += count
            if self.twin is not None and done - count >= timing.round_trip:
                self._remember(count)
            self.bank.tick(count * dt)
            if self.on_tick is not None:
                self.on_tick()
        if timing.hold:
            self._hold(x, y)
            # Settled waves go on as in the last tick.
            spent = replace(spent, columns=spent.columns + last.columns * (timing.hold / count))
        self.presented += 1
        return spent

    def _send_target(self, y: np.ndarray) -> None:
        free = int(np.argmax(self._due < 0))
        self._targets[free], self._due[free] = y, self.simulation.state.step + self.transit

    def _listen(self, count: int) -> None:
        """Listen for ``count`` steps, changing the load's target at the step at which the next one gets there."""
        simulation = self.simulation
        with simulation.listening(count):
            end = simulation.state.step + count
            while self._due[0] >= 0 and self._due[0] < end:
                simulation.run(int(self._due[0]) - simulation.state.step)
                simulation.hold({OUTPUT: self._targets[0]})
                self._targets[:-1], self._due[:-1] = self._targets[1:].copy(), self._due[1:].copy()
                self._due[-1] = -1
            simulation.run(end - simulation.state.step)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The targets under way, as named arrays."""
        return {"targets": self._targets.copy(), "due": self._due.copy()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from a checkpoint."""
        self._targets[...], self._due[...] = arrays["targets"], arrays["due"]

    def _remember(self, count: int) -> None:
        for index, group in enumerate(self.bank.groups):
            if self._heard_steps == 0:
                self._heard[index] = group.drive * count
            else:
                self._heard[index] = self._heard[index] + group.drive * count
        self._heard_steps += count

    def _hold(self, x: np.ndarray, y: np.ndarray) -> None:
        """Advance the devices over the rest of the dwell under the settled drive."""
        hold = self.timing.hold
        if self.twin is not None:
            self._listen_to_twin(x, y)
            sign = 1.0 if uniforms(self.settings.seed, SIGN_NOISE, self.presented, 1, 1).item() < 0.5 else -1.0
            scale = sign * np.sqrt(self._heard_steps / hold)
            for index, group in enumerate(self.bank.groups):
                group.drive += scale * (self._heard[index] / self._heard_steps - group.drive)
        self.bank.tick(hold * self.simulation.plan.dt)

    def _listen_to_twin(self, x: np.ndarray, y: np.ndarray) -> None:
        """Put the noise-free settled drive of the present parameters into the ports."""
        assert self.twin is not None
        twin, state = self.twin, self.simulation.state
        for name, value in state.parameters.items():
            twin.state.parameters[name][...] = value
        twin.hold({INPUT: x, OUTPUT: y})
        twin.run(self.timing.round_trip)
        twin.listen(1)
        for name, drive in state.drive.items():
            drive[...] = twin.state.drive[name]


def _cold_twin(network: Network, simulation: Simulation, settings: TrainSettings) -> Simulation:
    """The same substrate at absolute zero, where nothing is noisy."""
    cold = Network()
    for name, node in network.nodes.items():
        cold.add(replace(node, temperature=0.0) if hasattr(node, "temperature") else node, name)  # type: ignore[type-var]
    for c in network.connections.values():
        line = None if c.line is None else replace(c.line, temperature=0.0)
        cold.connect(str(c.first), str(c.second), line, c.name)
    plan = compile_network(cold, settings.dt, reference_power=settings.reference_power)
    return Simulation(plan, batch=simulation.batch, backend=settings.backend, dtype=settings.dtype, seed=settings.seed)


def _added(a: Ledger, b: Ledger) -> Ledger:
    return Ledger(a.columns + b.columns, b.stored, max(a.residual, b.residual))


def ledger_row(ledger: Ledger) -> Mapping[str, float]:
    """A ledger as named numbers, in the order they are recorded."""
    return {
        **dict(zip(LEDGER, ledger.columns.tolist(), strict=True)),
        "stored": ledger.stored,
        "residual": ledger.residual,
    }
