"""What the noise of a circuit's parts supplies on average, so that the books tell it from what they absorb."""

import numpy as np

from substrate.noise import thermal_variance
from substrate.plan import INJECTED, LINES, NET_FORWARD, NOISE, ClusterGroup, Plan


class Emissions:
    """Splits what groups of clusters book: in each step their white noise supplies, on average, what is known before.

    The rest of what a group took or gave is loss or gain or, where waveforms drive it, injected. The sum stays.
    """

    def __init__(self, plan: Plan, batch: int, parts: int) -> None:
        self.last = len(plan.entities) - len(plan.nonlinear)
        powers = [_emitted(plan, group) for group in plan.clusters]
        # Amplitude^2 a step: by nodes and lines together, and what lines were taken to lose of their own noise.
        self.supplied, self.excess = batch * parts * np.array(powers, float).reshape(-1, 2).T
        driven = np.array([plan.heading(group) == INJECTED for group in plan.clusters], bool)
        self.loud = self.supplied > 0.0
        self.driven, self.alone, self.any = self.loud & driven, self.loud & ~driven, bool(self.loud.any())

    def split(self, ledger: np.ndarray, steps: int) -> None:
        """Rebook ``ledger [entities, 7]`` of a block in place."""
        if not self.any:
            return
        rows, supplied = ledger[self.last - len(self.loud) : self.last], self.supplied * steps
        gross, alone = supplied + self.excess * steps, self.alone
        rows[:, LINES] -= self.excess * steps
        rows[self.driven, INJECTED] -= gross[self.driven]
        rows[alone, NET_FORWARD] += (gross - rows[:, NOISE])[alone]
        rows[alone, NOISE] = 0.0
        rows[self.loud, NOISE] += supplied[self.loud]


def _emitted(plan: Plan, group: ClusterGroup) -> tuple[float, float]:
    """Mean amplitude^2 that the white noise of a group supplies in a step, and what of it the lines count as lost.

    A matrix holds the losses of the lines behind it. What a line loses is told from what it lets through, and so a
    share of the noise that it adds behind the loss is counted as well.
    """
    ports, states = group.ports, group.energy.shape[1]
    sizes = np.mean(np.abs(group.matrices[:, :, : ports + states, ports + states :]) ** 2, axis=1)[group.which]
    drives = [drive.drive for drive in plan.drives]
    kelvin = np.array([0.0 if drive.waveform is not None else drive.temperature for drive in drives])
    variance = thermal_variance(kelvin, plan.dt, plan.reference_power)[group.inputs]
    of_line = np.array([drive.of_line for drive in drives], bool)[group.inputs]
    power_waves = ~np.array([line.hidden for line in plan.lines], bool)[group.lines]
    sent, stored = np.einsum("cps,cs->cps", sizes[:, :ports], variance), sizes[:, ports:]
    lost = group.weights[:, :, None] * sent
    nodes = np.where(of_line[:, None], sent, sent + lost) * power_waves[:, :, None]
    waits = np.einsum("cr,crs,cs->", group.energy, stored, variance)
    excess = np.where(of_line[:, None], lost, 0.0) * power_waves[:, :, None]
    return float(nodes.sum() + waits), float(excess.sum())
