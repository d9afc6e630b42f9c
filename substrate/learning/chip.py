"""A photonic chip: meshes one behind the other, elements between them, detectors at the end; all learns in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from substrate.errors import ConfigError
from substrate.learning.chip_biases import Biases, kept, phase_devices, under
from substrate.learning.elements import ElectroOptic, Intensity, LightNoise, Quadrature, Repeater
from substrate.learning.insitu import InSitu
from substrate.learning.ports import PortBank
from substrate.meshes import Mesh, draw_mesh
from substrate.meshes.mesh import random_mesh, rectangle
from substrate.network import Line, Network

DETECTORS = {"quadrature": Quadrature, "intensity": Intensity}
NOISE_SOURCE = 1 << 14  # of detectors, apart from those of waves and devices


@dataclass(frozen=True)
class ChipSettings:
    """What a chip is made of.

    ``layers`` meshes of ``modes`` waveguides and ``columns`` columns (0: as many as modes, which any unitary needs;
    more leave learning ways round its plateaus); ``delay`` (s) of the waveguide between two columns; ``cell_loss_db``
    (dB of power) of every interferometer and ``coupling_spread`` of the couplers about one half; ``power`` (W) of the
    light that counts as one at inputs, repeaters and detectors. ``between`` two meshes: ``repeater`` (a detector, tanh,
    a modulator) or ``electro_optic``; ``readout``: ``quadrature`` or ``intensity``, with a gain each. ``window`` (s),
    over which detectors integrate, brings the noise of light at ``carrier`` (Hz); None: quiet. Raises
    ConfigError.
    """

    modes: int
    layers: int = 2
    outputs: int = 10
    delay: float = 1e-12
    cell_loss_db: float = 0.0
    coupling_spread: float = 0.0
    power: float = 1e-2
    between: str = "repeater"
    between_gain: float = 6.0
    readout: str = "quadrature"
    readout_gain: float = 16.0
    columns: int = 0
    window: float | None = None
    carrier: float = 193.4e12

    def __post_init__(self) -> None:
        if self.modes < 2 or self.layers < 1:
            raise ConfigError(f"A chip needs 2 modes and a mesh at least, got {self.modes} and {self.layers}")
        if not 1 <= self.outputs <= self.modes:
            raise ConfigError(f"{self.modes} modes have no {self.outputs} outputs; give more modes")
        if self.between not in ("repeater", "electro_optic") or self.readout not in DETECTORS:
            raise ConfigError(
                f"between is repeater or electro_optic and readout {' or '.join(DETECTORS)}, "
                f"but they are {self.between!r} and {self.readout!r}"
            )


class Chip:
    """Meshes, elements and biases with devices at every phase and bias.

    ``devices``: one for all, or patterns of ``layer.phase`` names (``"*.bias"`` for the electronic biases, which need
    one of their own). ``batch`` samples run side by side.

    >>> from devices.ideal import Gradient
    >>> chip = Chip(ChipSettings(modes=2, outputs=2, layers=1), {"*": Gradient(0.1)}, batch=3, seed=0)
    >>> chip.forward(np.eye(2)[[0, 1, 1]]).shape
    (3, 2)
    """

    def __init__(
        self, settings: ChipSettings, devices: Mapping[str, Any], *, batch: int, seed: int, backend: str = "cpu"
    ) -> None:
        self.settings, self.batch, self.seed = settings, batch, seed
        own = phase_devices(devices)
        self.meshes = [self._mesh(k, own, backend) for k in range(settings.layers)]
        self.elements = [self._element(k) for k in range(settings.layers - 1)]
        self.readout = self._detector(settings.layers - 1, settings.outputs, settings.readout, settings.readout_gain)
        self.biases = Biases(dict(self._detectors()), devices, seed)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Outputs ``[batch, outputs]`` of amplitudes ``x[batch, modes]`` in units of sqrt(power)."""
        light = np.sqrt(self.settings.power) * np.asarray(x, complex)
        for mesh, element in zip(self.meshes, [*self.elements, None], strict=True):
            light = mesh.forward(light)
            if element is not None:
                light = element.forward(light)
        return np.asarray(self.readout.forward(light))

    def backward(self, error: np.ndarray) -> np.ndarray:
        """Send ``dJ/doutput`` back through everything, J the mean over the batch; returns ``dJ/dlight`` at the inputs.

        Every phase hears the light of both directions at its own place, every bias its own detector.
        """
        back = self.readout.backward(error)
        for mesh, element in zip(reversed(self.meshes), [*reversed(self.elements), None], strict=True):
            back = mesh.backward(back)
            if element is not None:
                back = element.backward(back)
        self.biases.listen(self.batch)
        return back

    def tick(self, seconds: float) -> None:
        """Let every device move for ``seconds`` under what its port heard."""
        for mesh in self.meshes:
            mesh.tick(seconds)
        self.biases.tick(seconds)

    def answer(self, x: np.ndarray) -> np.ndarray:
        """Outputs ``[samples, outputs]`` of any number of samples."""
        padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % self.batch, axis=0)])
        cuts = range(0, len(padded) + 1, self.batch)
        return np.concatenate([self.forward(padded[a:b]) for a, b in pairwise(cuts)])[: len(x)]

    @property
    def banks(self) -> dict[str, PortBank]:
        """The devices of every mesh, and of the biases."""
        return {f"mesh{k + 1}": mesh.bank for k, mesh in enumerate(self.meshes)} | self.biases.banks

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that has been learned, as host arrays, and how much noise has been drawn."""
        arrays = kept(self.banks)
        arrays["noise"] = np.array([d.noise.step if d.noise else 0 for _, d in self._detectors()], np.int64)
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from a checkpoint; light that is still under way is sent anew at the next batch."""
        for name, bank in self.banks.items():
            bank.restore(under(name, arrays))
        for (_, detector), step in zip(self._detectors(), arrays["noise"].tolist(), strict=True):
            if detector.noise is not None:
                detector.noise.step = step
        self.biases.apply()

    def _mesh(self, number: int, devices: Mapping[str, Any], backend: str) -> InSitu:
        about = self.settings
        seed = int(np.random.SeedSequence([self.seed, 0xC41B, number]).generate_state(1)[0])
        made = random_mesh(about.modes, seed, rectangle(about.modes, about.columns)).spread(
            seed, coupling=about.coupling_spread, loss_db=about.cell_loss_db
        )  # fmt: skip
        network = Network()
        drawn = draw_mesh(network, made, "u", Line(delay=about.delay))
        return InSitu(
            network, drawn.inputs, drawn.outputs, drawn.tunable, devices, dt=about.delay, batch=self.batch,
            settle=2 * drawn.steps_deep + 4, backend=backend, seed=seed,
        )  # fmt: skip

    def _element(self, number: int) -> Any:
        about = self.settings
        if about.between == "electro_optic":
            return ElectroOptic(tap=0.1, gain=about.between_gain, bias=np.pi, power=about.power)
        return Repeater(self._detector(number, about.modes, "quadrature", about.between_gain), about.power)

    def _detector(self, number: int, outputs: int, kind: str, gain: float) -> Any:
        about, noise = self.settings, None
        if about.window is not None:
            noise = LightNoise(about.window, about.carrier, self.seed, NOISE_SOURCE + number)
        return DETECTORS[kind](gain, about.power, np.zeros(outputs), noise)

    def _detectors(self) -> list[tuple[str, Any]]:
        """Every detector with the name of its bias."""
        found = [(f"detector{k + 1}.bias", e.detector) for k, e in enumerate(self.elements) if isinstance(e, Repeater)]
        return [*found, (f"detector{self.settings.layers}.bias", self.readout)]


def places_of(mesh: Mesh) -> np.ndarray:
    """Column and mode of every phase, in the order of ``Drawn.tunable``: theta within a cell, phi before it.

    >>> places_of(random_mesh(2, 0)).tolist()
    [[0.5, 0.5], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    """
    inner = [
        place
        for cell, column in zip(mesh.cells, mesh.columns, strict=True)
        for place in ((column + 0.5, cell.mode + 0.5), (float(column), float(cell.mode)))
    ]
    return np.array([*inner, *((float(mesh.depth), float(mode)) for mode in range(mesh.modes))])
