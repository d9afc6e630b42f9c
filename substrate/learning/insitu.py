"""Photonic circuits that learn in place: light runs both ways at once, and every phase hears the waves that pass it.

Forward light enters at the inputs; the error, conjugated, enters at the outputs. A reciprocal circuit sends it back
through the transpose, so at every tunable node (returning wave) x (its own dS/dvalue) x (forward wave) is the gradient,
``-2 Im(b a exp(-i phase))`` at a phase shifter. Nodes must not reflect, so that the two directions never mix.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from substrate.backends.host_ports import HostPorts
from substrate.compile import compile_network
from substrate.errors import NetworkError
from substrate.learning.ports import Device, PortBank
from substrate.learning.retuning import Z, matrices, retuner, side_by_side
from substrate.network import Line, Network
from substrate.nodes.linear import LinearNode
from substrate.nodes.photonic import LaserSource
from substrate.probe import Probe
from substrate.simulation import Simulation
from substrate.waveforms import Step

# For the slope of a node's own law, to 1e-14: a step, and how many of them with which weight of a sixtieth.
STEP = 1e-2
CENTRED = [(-3.0, -1.0), (-2.0, 9.0), (-1.0, -45.0), (1.0, 45.0), (2.0, -9.0), (3.0, 1.0)]
UPWARDS = [(0.0, -147.0), (1.0, 360.0), (2.0, -450.0), (3.0, 400.0), (4.0, -225.0), (5.0, 72.0), (6.0, -10.0)]


class InSitu:
    """A photonic circuit with open ``inputs`` and ``outputs`` (ports) whose ``tunable`` numbers learn in place.

    ``devices`` as for weights: one for all ports, or patterns of ``"node.field"``. ``settle`` (steps) is how long light
    needs from one side to the other. Envelopes are complex; ``batch`` samples run side by side. Raises NetworkError.
    Source: ``docs/meshes.md``; Hughes et al., Optica 5, 864 (2018), for the idea of the adjoint light.

    >>> from devices.ideal import Gradient
    >>> from substrate.meshes import clements, draw_mesh, random_unitary
    >>> net = Network()
    >>> drawn = draw_mesh(net, clements(random_unitary(2, 0)), "u", Line(delay=1e-12))
    >>> light = InSitu(net, drawn.inputs, drawn.outputs, drawn.tunable, Gradient(1.0), dt=1e-12, batch=1, settle=8)
    >>> y = light.forward(np.array([[1.0, 0.0]]))
    >>> bool(np.allclose(y[0], random_unitary(2, 0)[:, 0]))
    True
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[str],
        outputs: Sequence[str],
        tunable: Sequence[str],
        devices: Device | Mapping[str, Device],
        *,
        dt: float,
        batch: int,
        settle: int,
        dtype: str = "complex128",
        backend: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.network, self.dt, self.settle, self.batch = network.changed({}), dt, settle, batch
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        lead = Line(dt, impedance=Z)
        self._lasers = {port: f"light{number}" for number, port in enumerate([*inputs, *outputs])}
        for port, name in self._lasers.items():
            self.network.connect(self.network.add(LaserSource(), name), port, lead, f"lead_{name}")
        self._sent = dict.fromkeys(self._lasers, np.zeros(batch, complex))
        self._groups = _groups(self.network, tunable)
        numbers = {key: np.array([float(_number(self.network, key))]) for key in tunable}
        drive = {key: np.zeros(1) for key in tunable}
        self.state = SimpleNamespace(parameters=numbers, drive=drive, version=0, inputs={})
        self._nodes = list(dict.fromkeys(key.rpartition(".")[0] for keys in self._groups.values() for key in keys))
        self._probes: list[Probe] = []
        held = {name: Step(np.zeros(batch, complex)) for name in self._lasers.values()}
        plan = compile_network(
            self.network.changed({f"{name}.waveform": wave for name, wave in held.items()}), dt, reference_power=1.0
        )
        self._retuner = retuner(plan, self.network, self._nodes, held, self.values)
        if self._retuner is None:  # compile anew each time, and let probes tell what arrives
            places = [f"{name}.{port.name}" for name in self._heard for port in self.network.nodes[name].ports]
            self._probes = [Probe(place, "arriving", reduce_time="final", name=place) for place in places]
        self.simulation = Simulation(self._plan(), batch=batch, backend=backend, dtype=dtype, seed=seed)
        self.stepper = HostPorts()  # of the few numbers that are tuned
        self.bank = PortBank(self, devices, seed=seed)
        self._waves: dict[str, np.ndarray] = {}  # [ports, batch] that reached each node

    @property
    def values(self) -> dict[str, float]:
        """The tunable numbers now."""
        return {key: float(value[0]) for key, value in self.state.parameters.items()}

    def forward(self, x: np.ndarray) -> np.ndarray:
        """What reaches the outputs, ``[batch, outputs]``, of light ``x[batch, inputs]`` (sqrt(W), complex)."""
        self._send(self.inputs, x)
        self._send(self.outputs, np.zeros((self.batch, len(self.outputs))))
        self._run()
        return self._read(self.outputs)

    def backward(self, error: np.ndarray) -> np.ndarray:
        """Send ``error[batch, outputs] = dJ/dy`` back while the forward light stays on; every port hears its gradient.

        ``J`` is the mean over the batch of a real loss, ``dJ = 2 Re sum(dJ/dy dy)``. Returns ``dJ/dx`` ``[batch,
        inputs]``: the wave that comes back out of the inputs.
        """
        self._send(self.outputs, error)
        self._run()
        for (_, attribute), keys in self._groups.items():
            slope = self._slopes(keys, attribute)
            waves = np.stack([self._waves[key.rpartition(".")[0]] for key in keys])  # [keys, ports, batch]
            # The total wave holds both directions; a node without reflections couples the one to the other only.
            product = np.einsum("kib,kij,kjb->k", waves, slope, waves) / self.batch
            for key, value in zip(keys, product.real, strict=True):
                self.state.drive[key][...] = -value
        return self._read(self.inputs)

    def gradient(self) -> dict[str, float]:
        """What the ports heard at the last :meth:`backward`: dJ/dvalue."""
        return {key: -float(drive[0]) for key, drive in self.state.drive.items()}

    def tick(self, seconds: float) -> None:
        """Let every device move for ``seconds`` under what its port heard."""
        self.bank.tick(seconds)

    def _send(self, ports: Sequence[str], waves: np.ndarray) -> None:
        waves = np.asarray(waves, dtype=complex)
        if waves.shape != (self.batch, len(ports)):
            raise NetworkError(f"Expected waves [batch, ports] = {(self.batch, len(ports))}, but got {waves.shape}")
        for number, port in enumerate(ports):
            self._sent[port] = waves[:, number]

    def _plan(self) -> Any:
        if self._retuner is not None:
            sent = {name: self._sent[port] for port, name in self._lasers.items()}
            return self._retuner.retuned(self.values, sent)
        waveforms = {f"{name}.waveform": Step(self._sent[port]) for port, name in self._lasers.items()}
        network = self.network.changed({**self.values, **waveforms})
        return compile_network(network, self.dt, reference_power=1.0, probes=self._probes)

    @property
    def _heard(self) -> list[str]:
        """Nodes at which the arriving waves are needed."""
        return [*self._nodes, *self._lasers.values()]

    def _run(self) -> None:
        self.simulation.adopt(self._plan())
        self.simulation.take_probes()
        self.simulation.run(self.settle)
        if self._retuner is not None:
            self._waves = self._retuner.arriving(self.simulation.state, self.simulation.stepper.to_host, self.batch)
            return
        seen = self.simulation.take_probes()
        for name in self._heard:
            ports = self.network.nodes[name].ports
            self._waves[name] = np.stack([np.asarray(seen[f"{name}.{port.name}"]).reshape(-1) for port in ports])

    def _read(self, ports: Sequence[str]) -> np.ndarray:
        return np.stack([self._waves[self._lasers[port]][0] for port in ports], axis=1)

    def _slopes(self, keys: Sequence[str], attribute: str) -> np.ndarray:
        """dS/dvalue ``[keys, ports, ports]`` of nodes of one kind, by their own law, all at once."""
        one = side_by_side(self.network, [key.rpartition(".")[0] for key in keys], self.values)
        try:
            return _slope(one, attribute, CENTRED)
        except NetworkError:  # some number is at the end of its range
            return np.concatenate([self._slope_within(key, attribute) for key in keys])

    def _slope_within(self, key: str, attribute: str) -> np.ndarray:
        """The slope of one node, from whichever side its range allows."""
        one = side_by_side(self.network, [key.rpartition(".")[0]], self.values)
        for stencil in (CENTRED, UPWARDS):
            with suppress(NetworkError):
                return _slope(one, attribute, stencil)
        return _slope(one, attribute, [(-shift, -weight) for shift, weight in UPWARDS])


def _slope(node: Any, attribute: str, stencil: Sequence[tuple[float, float]]) -> np.ndarray:
    """The derivative of a node's matrices by a field, of sixth order; raises NetworkError outside its range."""
    now = getattr(node, attribute)
    laws = (weight * matrices(replace(node, **{attribute: now + shift * STEP})) for shift, weight in stencil)
    return np.asarray(sum(laws) / (60.0 * STEP))


def _number(network: Network, key: str) -> Any:
    name, _, attribute = key.rpartition(".")
    return getattr(network.nodes[name], attribute)


def _groups(network: Network, tunable: Sequence[str]) -> dict[tuple[type, str], list[str]]:
    """Tunable numbers by the class of their node and their field; raises NetworkError for what cannot be tuned."""
    groups: dict[tuple[type, str], list[str]] = {}
    for key in tunable:
        name, _, attribute = key.rpartition(".")
        node: Any = network.nodes.get(name)
        known = {about.name for about in fields(node)} if isinstance(node, LinearNode) else set()  # type: ignore[arg-type]
        if attribute not in known:
            raise NetworkError(f"{key!r} is no number of a linear node of this circuit")
        s = node.response((Z,) * len(node.ports), np.zeros(1))
        if np.abs(np.diagonal(np.reshape(s, (-1, len(node.ports), len(node.ports))), axis1=1, axis2=2)).max() > 1e-12:
            raise NetworkError(f"Node {name!r} reflects, so the two directions of light mix at it; see SelfMatching")
        groups.setdefault((type(node), attribute), []).append(key)
    return groups
