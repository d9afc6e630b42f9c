"""Photodiodes and modulators while a run goes on: light read before a block becomes waves written after it.

All their ports lie at lines, so nothing of a block depends on what they do in it.
"""

import numpy as np

from substrate.detection import SLOTS, Draw, Photodetector
from substrate.nodes.optoelectronic import Modulator, Photodiode
from substrate.passage import Passages
from substrate.plan import INJECTED, Link
from substrate.probing import sent_waves

OWN = len(SLOTS) + 2  # generators of a link: those of a detector, or one for each way of a modulator


class Links:
    """Carries light into electrical lines and voltages onto light; ``begin`` and ``end`` stand around every block."""

    def __init__(self, passages: Passages) -> None:
        self.passages = passages
        self.adopt()

    def adopt(self) -> None:
        """Go on with the plan that the passages have; raises ConfigError for a photodiode that no light can feed."""
        plan = self.passages.plan
        self.links = [(link, self.passages.next_source + place * OWN) for place, link in enumerate(plan.links)]
        vacuum = plan.noise.carrier if plan.noise.vacuum else None
        self.detectors = {
            source: Photodetector(
                link.node.responsivity,
                link.node.dark_current,
                link.node.bandwidth,
                shot="shot" in plan.noise.kinds,
                carrier=vacuum,
            )
            for link, source in self.links
            if isinstance(link.node, Photodiode)
        }
        self.sigma = self.passages.sigma(0.0)  # of the vacuum, where it is simulated
        self.heard: list[np.ndarray] = []

    def begin(self, steps: int) -> None:
        """Read what arrives at photodiodes and at driven ports in the block to come."""
        step = self.passages.stepper.state.step
        self.heard = [self._arriving(link, step, steps) for link, _ in self.links]

    def end(self, steps: int) -> None:
        """Write what they make of it into what the block has sent."""
        state = self.passages.stepper.state
        poles = iter(state.poles)
        for (link, source), arrived in zip(self.links, self.heard, strict=True):
            step = state.step - steps
            if isinstance(link.node, Photodiode):
                pole = next(poles) if link.node.bandwidth is not None else None
                state.ledger[-1] += self._detect(link, source, arrived, pole, step)
            else:
                state.ledger[-1] += self._modulate(link, source, arrived, step)

    def _arriving(self, link: Link, step: int, steps: int) -> np.ndarray:
        """Waves ``[steps, batch]`` at the port that is listened to."""
        passages, end = self.passages, link.ends[0]
        plan, stepper = passages.plan, passages.stepper
        line = plan.lines[end.line]
        return sent_waves(plan, stepper.state, stepper.to_host, line, end.side, step, steps, passages.batch)[0]

    def _detect(self, link: Link, source: int, light: np.ndarray, pole: np.ndarray | None, step: int) -> np.ndarray:
        """Drive the electrical line; returns the flows of the books."""
        passages, plan = self.passages, self.passages.plan
        draw = Draw(passages.seed, source, step, light.shape, passages.batch_offset)
        current = self.detectors[source].current(light, plan.dt, plan.reference_power, draw, pole)
        if pole is not None:
            pole[...] = current[-1]
        line = plan.lines[link.ends[1].line]
        sent = current * np.sqrt(line.impedance / plan.reference_power) / 2.0 * line.gains[link.ends[1].side]
        flows = np.zeros(7)
        for cells in passages.segments(line, link.ends[1].side, step, len(sent)):
            flows[INJECTED] += cells.add(passages.stepper.xp, sent[cells.block])
        return flows

    def _modulate(self, link: Link, source: int, wave: np.ndarray, step: int) -> np.ndarray:
        """Turn or dim the light that has just left at both ends; returns the flows of the books."""
        passages, plan, node = self.passages, self.passages.plan, link.node
        assert isinstance(node, Modulator)
        line = plan.lines[link.ends[0].line]
        values = node.factor(np.real(wave) * np.sqrt(line.impedance * plan.reference_power))
        flows = np.zeros(7)
        for way, end in enumerate(link.ends[1:]):
            at = plan.lines[end.line], end.side
            passages.multiply(*at, values, flows, step, self.sigma, source + way)
        return flows
