"""Shows one batch to a substrate: the wave clock while it settles, then the device clock for the rest of the dwell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from substrate.compile import compile_network
from substrate.errors import ConfigError
from substrate.learning.layered import INPUT, OUTPUT, forward_steps
from substrate.learning.ports import PortBank
from substrate.learning.settings import TrainSettings
from substrate.learning.settling import FieldWatch, settle
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
        round_trip = 2 * forward_steps(network, settings.dt)
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

    While waves are simulated the devices move at every tick under what they hear; with a ``tolerance`` they wait until
    the waves have settled, since what rings in a reflecting network is no gradient. A hold is one step of the devices
    under the settled drive. Where waves are noisy, that is the settled drive of a quiet twin of the substrate, plus the
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
        self.transit = forward_steps(network, settings.dt)
        outputs = simulation.state.inputs[OUTPUT].shape[0]
        # Targets on their way to the load, oldest first, and the steps at which they get there; -1 marks a free place.
        self._targets = np.zeros((self.transit // self.timing.dwell + 1, simulation.batch, outputs))
        self._due = np.full(len(self._targets), -1, dtype=np.int64)
        waits = settings.tolerance is not None
        noisy = any(line.sigmas != (0.0, 0.0) for line in simulation.plan.lines)
        noisy |= any(step.sigma > 0.0 for step in simulation.plan.passes)
        self.twin = _quiet_twin(network, simulation, settings) if noisy and (self.timing.hold or waits) else None
        self._heard = [np.zeros(0)] * len(bank.groups)  # sum over settled ticks of the drive, per group
        self._heard_steps = 0
        # How the last batch came to rest, where devices wait: steps until their gate opened, change of the field.
        self.gate_opened, self.residual = 0, float("nan")
        self._latest = self.timing.settle
        if waits and self._latest < self.transit + 3 * self.timing.round_trip:
            raise ConfigError(
                f"settle={self._latest * settings.dt:.6g} s is too short to see whether the waves have settled; give "
                f"it three round trips and a transit, {(self.transit + 3 * self.timing.round_trip) * settings.dt:.6g} s"
            )

    def present(self, x: np.ndarray, y: np.ndarray) -> Ledger:
        """Hold a batch (``x[batch, inputs]``, ``y[batch, outputs]``) for one dwell; return the energy of that dwell."""
        self.simulation.hold({INPUT: x})
        self._send_target(y)
        self._heard_steps = 0
        spent = self._move_at_every_tick(x, y) if self.settings.tolerance is None else self._move_once_settled(x, y)
        self.presented += 1
        return spent

    def _move_at_every_tick(self, x: np.ndarray, y: np.ndarray) -> Ledger:
        """Devices follow what they hear from the first tick on, and take the hold in one step."""
        simulation, timing, dt = self.simulation, self.timing, self.simulation.plan.dt
        done, spent, last, count = 0, Ledger(), Ledger(), 1
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
            self._hold(timing.hold, x, y)
            # Settled waves go on as in the last tick.
            spent = replace(spent, columns=spent.columns + last.columns * (timing.hold / count))
        return spent

    def _move_once_settled(self, x: np.ndarray, y: np.ndarray) -> Ledger:
        """The devices' gate opens when the waves have settled, as measured; the rest of the dwell is one step."""
        assert self.settings.tolerance is not None
        simulation, trip = self.simulation, self.timing.round_trip
        watch, done, spent = FieldWatch(simulation), 0, Ledger()
        self.residual = float("inf")
        # The new target reaches the load a transit after the batch: before that nothing can have settled.
        while done < self.transit + trip or (self.residual > self.settings.tolerance and done + trip < self._latest):
            self._advance(trip)
            self.residual = watch.residual()
            spent, done = _added(spent, simulation.take_ledger()), done + trip
            if self.on_tick is not None:
                self.on_tick()
        self.gate_opened = done
        self._listen(trip)
        last = simulation.take_ledger()
        if self.twin is not None:
            self._remember(trip)
        rest = self.timing.dwell - done
        self._hold(rest, x, y)
        return replace(_added(spent, last), columns=spent.columns + last.columns * (rest / trip))

    def _send_target(self, y: np.ndarray) -> None:
        free = int(np.argmax(self._due < 0))
        self._targets[free], self._due[free] = y, self.simulation.state.step + self.transit

    def _listen(self, count: int) -> None:
        """Advance, and let the ports hear the mean over these steps."""
        with self.simulation.listening(count):
            self._advance(count)

    def _advance(self, count: int) -> None:
        """Run ``count`` steps, changing the load's target at the step at which the next one gets there."""
        simulation = self.simulation
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

    def _hold(self, hold: int, x: np.ndarray, y: np.ndarray) -> None:
        """Advance the devices over the rest of the dwell, ``hold`` steps, under the settled drive."""
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
        if self.settings.tolerance is None:
            twin.run(self.timing.round_trip)
        else:
            settle(twin, self.settings.tolerance, self._latest, self.timing.round_trip)
        twin.listen(1)
        for name, drive in state.drive.items():
            drive[...] = twin.state.drive[name]


def _quiet_twin(network: Network, simulation: Simulation, settings: TrainSettings) -> Simulation:
    """The same substrate without noise."""
    plan = compile_network(network, settings.dt, reference_power=settings.reference_power, noise=[])
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
