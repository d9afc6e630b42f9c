"""A delay network: bits arrive one by one, waveguides of one, two ... bits' length keep them, a mesh compares them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.learning.chip_biases import Biases, kept, phase_devices, under
from substrate.learning.elements import Intensity
from substrate.learning.insitu import InSitu
from substrate.learning.ports import PortBank
from substrate.meshes import draw_mesh
from substrate.meshes.mesh import random_mesh
from substrate.network import Line, Network
from substrate.nodes.photonic import Coupler
from substrate.nodes.termination import Termination


class DelayChip:
    """``taps`` copies of the light that enters, each a bit later than the one before, into a mesh; one detector.

    A bit is held while light runs forward once and, with the error, once more; a waveguide from tap to tap lasts as
    long, so that all the mesh sees is bits. ``power`` (W) is a bit's light; ``gain`` of the detector.
    Raises ConfigError.

    >>> from devices.ideal import Gradient
    >>> chip = DelayChip(3, {"*": Gradient(0.1), "*.bias": Gradient(0.1)}, batch=2, seed=0)
    >>> chip.forward(np.array([0.0, 1.0])).shape
    (2, 1)
    """

    def __init__(
        self,
        taps: int,
        devices: Mapping[str, Any],
        *,
        batch: int,
        seed: int,
        delay: float = 1e-12,
        gain: float = 8.0,
        power: float = 1e-2,
        backend: str = "cpu",
    ) -> None:
        if taps < 2:
            raise ConfigError(f"A delay network compares bits, so it needs 2 taps at least, but taps={taps}")
        self.batch, self.power = batch, power
        network = Network()
        drawn = draw_mesh(network, random_mesh(taps, seed), "u", Line(delay=delay))
        self.settle = drawn.steps_deep + taps + 6
        self.bit = 2 * self.settle * delay
        entry = _tapped(network, drawn.inputs, delay, self.bit)
        self.light = InSitu(
            network, [entry], drawn.outputs, drawn.tunable, phase_devices(devices), dt=delay, batch=batch,
            settle=self.settle, backend=backend, seed=seed,
        )  # fmt: skip
        self.detector = Intensity(gain * taps, power, np.full(1, -1.0))
        self.biases = Biases({"detector.bias": self.detector}, devices, seed)

    @property
    def banks(self) -> dict[str, PortBank]:
        """The devices of the mesh, and of the bias."""
        return {"mesh1": self.light.bank} | self.biases.banks

    def forward(self, bits: np.ndarray) -> np.ndarray:
        """The detector's number ``[batch, 1]`` while these bits ``[batch]`` enter and earlier ones are on their way."""
        return self.detector.forward(self.light.forward(np.sqrt(self.power) * bits[:, None].astype(complex)))

    def backward(self, error: np.ndarray) -> None:
        """Send ``dJ/dnumber`` ``[batch, 1]`` back while the bit stays; its time is over then."""
        self.light.backward(self.detector.backward(error))
        self.biases.listen(self.batch)

    def tick(self, seconds: float) -> None:
        """Let the devices move."""
        self.light.tick(seconds)
        self.biases.tick(seconds)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """What has been learned, and the light under way."""
        return kept(self.banks) | {f"waves/{key}": a for key, a in self.light.simulation.checkpoint().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from a checkpoint."""
        for name, bank in self.banks.items():
            bank.restore(under(name, arrays))
        self.light.simulation.restore(under("waves", arrays))
        self.biases.apply()


def _tapped(network: Network, inputs: tuple[str, ...], step: float, bit: float) -> str:
    """Split one entry evenly over the inputs of a mesh, each a bit later than the one before; returns the entry."""
    taps, near = len(inputs), Line(delay=step)
    last = ""
    for k in range(taps - 1):
        # A share 1 / (taps - k) of what is left goes to tap k, the rest goes on, a bit later.
        node = network.add(Coupler(1.0 - 1.0 / (taps - k)), f"split{k}")
        network.connect(f"{node}.out1", inputs[k], near)
        network.connect(f"{node}.in2", network.add(Termination(), f"dump{k}"), near)
        if k:
            network.connect(last, f"{node}.in1", Line(delay=bit))
        last = f"{node}.out2"
    network.connect(last, inputs[-1], Line(delay=bit))
    return "split0.in1"
