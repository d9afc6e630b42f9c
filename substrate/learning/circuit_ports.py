"""Ports on any tunable number of a circuit, which learn to send nothing back to its source.

The circuit hears sines, one frequency per sample. Half of the samples are the light that shows the way; the other half
is the echo: for it the source sends back the phase conjugate of what the first half reflected to it. In a reciprocal
circuit the echo is the adjoint wave, so at every tunable node the product of the two waves that pass there, with the
node's own dS/dvalue between them, is the gradient of the reflected power. Nothing but these waves reaches a port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from substrate.backends.host_ports import HostPorts
from substrate.compile import compile_network
from substrate.errors import NetworkError
from substrate.learning.ports import Device, PortBank
from substrate.network import Line, Network
from substrate.nodes.linear import LinearNode
from substrate.probe import Probe
from substrate.simulation import Simulation
from substrate.waveforms import Sine

REFERENCE = 50.0  # ohm, in which waves at tunable nodes are told; any other would do
STEP = 1e-3  # of a number, relative, for the slope of a node's own law


def node_scattering(node: LinearNode, frequencies: np.ndarray, dt: float) -> np.ndarray:
    """``S[frequencies, ports, ports]`` of a linear node as the simulation steps it, at 50 ohm; ``dt`` in s.

    >>> from substrate.nodes import Resistor
    >>> node_scattering(Resistor(150.0), np.zeros(1), 1e-12).tolist()
    [[[(0.5+0j)]]]
    """
    made = node.scattering((REFERENCE,) * len(node.ports), dt)
    p, s = made.ports, made.states
    matrix = np.asarray(made.matrix)
    stay, feed = matrix[p : p + s, p : p + s], matrix[p : p + s, :p]
    turn = np.exp(2j * np.pi * np.asarray(frequencies, float) * dt)
    inner = np.linalg.solve(turn[:, None, None] * np.eye(s) - stay, np.broadcast_to(feed, (len(turn), s, p)))
    return np.asarray(matrix[:p, :p] + matrix[:p, p : p + s] @ inner, dtype=complex)


def line_scattering(line: Line, frequencies: np.ndarray, steps: int, dt: float) -> np.ndarray:
    """``S[frequencies, 2, 2]`` of a line of ``steps`` steps between ports of 50 ohm."""
    mismatch = (line.impedance - REFERENCE) / (line.impedance + REFERENCE)
    turn = np.exp(-1j * (2.0 * np.pi * np.asarray(frequencies, float) * steps * dt + line.phase))
    there = turn * 10.0 ** (-line.loss_db / 20.0)
    back = turn * 10.0 ** (-(line.loss_db if line.loss_db_back is None else line.loss_db_back) / 20.0)
    loop = 1.0 - mismatch**2 * there * back
    reflected, passed = mismatch * (1.0 - there * back) / loop, (1.0 - mismatch**2) / loop
    return np.moveaxis(np.array([[reflected, passed * back], [passed * there, reflected]]), -1, 0)


@dataclass(frozen=True)
class Heard:
    """What one tick heard: reflection coefficients [frequencies] at the source and dJ/dvalue of each number."""

    reflection: np.ndarray
    gradient: dict[str, float]

    @property
    def reflected(self) -> float:
        """J: share of the power sent that comes back, mean over the band."""
        return float(np.mean(np.abs(self.reflection) ** 2))


class SelfMatching:
    """A circuit whose tunable numbers learn to reflect nothing to ``source``, a VoltageSource matched to its line.

    ``devices`` maps ``"node.field"`` or ``"line.field"`` (patterns too) of ``tunable`` numbers to devices, as ports of
    weights do. Each tick runs ``settle`` steps, then listens for ``window`` steps, which must be whole periods of every
    frequency (Hz; 0 is DC). Line fields are ``impedance``, ``loss_db`` and ``phase``. Raises NetworkError.
    Source: ``docs/theory.md``, section "Circuits that learn to match".

    >>> from devices.ideal import Gradient
    >>> from substrate.nodes import Resistor, VoltageSource
    >>> net = Network()
    >>> net.connect(net.add(VoltageSource(), "src"), net.add(Resistor(150.0), "load"), Line(delay=3e-12), "w1")
    >>> tuner = SelfMatching(net, ["load.resistance"], Gradient(1.5e15), source="src", dt=1e-12, frequencies=[0.0])
    >>> for _ in range(60):
    ...     heard = tuner.tick(1e-12)
    >>> round(tuner.values["load.resistance"], 6), heard.reflected < 1e-12
    (50.0, True)
    """

    def __init__(
        self,
        network: Network,
        tunable: Sequence[str],
        devices: Device | Mapping[str, Device],
        *,
        source: str,
        dt: float,
        frequencies: Sequence[float],
        window: int = 1,
        settle: int = 64,
        amplitude: float = 1.0,
        backend: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.network, self.source, self.dt = network, source, dt
        self.frequencies = np.asarray(frequencies, float)
        self.window, self.settle, self.amplitude = window, settle, amplitude
        self._check(tunable)
        self.echo = np.zeros(len(self.frequencies), complex)  # volts of the source, phasors
        self._ports = {key: self._where(key) for key in tunable}
        places = dict.fromkeys([f"{source}.out", *(port for ports in self._ports.values() for port in ports)])
        self._probes = [Probe(port, quantity) for port in places for quantity in ("voltage", "current")]
        numbers = {key: np.array([float(self._number(key))]) for key in tunable}
        self.state = SimpleNamespace(
            parameters=numbers, drive={key: np.zeros(1) for key in tunable}, version=0, inputs={}
        )
        self.simulation = Simulation(self._plan(), batch=2 * len(self.frequencies), backend=backend, seed=seed)
        self.stepper = HostPorts()  # of the few numbers that are tuned
        self.bank = PortBank(self, devices, seed=seed)
        self.time = 0.0

    @property
    def values(self) -> dict[str, float]:
        """The tunable numbers now, in their own units."""
        return {key: float(value[0]) for key, value in self.state.parameters.items()}

    def listen(self) -> Heard:
        """Let the waves settle, listen for a window, and put what the ports heard into their drives."""
        self.simulation.adopt(self._plan())
        self.simulation.run(self.settle)
        self.simulation.take_probes()
        self.simulation.run(self.window)
        phasor = self._lock_in(self.simulation.take_probes())
        sent, came = self._waves(phasor, f"{self.source}.out", inward=-1.0)
        half = len(self.frequencies)
        reflection = came[:half] / sent[:half]
        # The source answers with the conjugate of what it hears, as volts that send such a wave.
        self.echo = np.conj(came[:half]) / (sent[:half] / self.amplitude)
        gradient = {}
        for key, ports in self._ports.items():
            inward = -1.0 if self._is_line(key) else 1.0  # the currents that probes tell run into nodes
            waves = np.array([self._waves(phasor, port, inward)[0] for port in ports])
            forward, echo = waves[:, :half], waves[:, half:]
            slope = self._slope(key)
            product = np.einsum("if,fij,jf->f", echo, slope, forward) / np.abs(sent[:half]) ** 2
            gradient[key] = float(2.0 * np.mean(product.real))
            self.state.drive[key][...] = -gradient[key]
        return Heard(reflection, gradient)

    def tick(self, seconds: float) -> Heard:
        """Listen, then let every device move for ``seconds`` under what its port heard."""
        heard = self.listen()
        self.bank.tick(seconds)
        self.time += seconds
        return heard

    def _plan(self) -> Any:
        """The circuit with its present numbers; the source sends to one half of the samples, its echo to the other."""
        volts = np.concatenate([np.full(len(self.frequencies), self.amplitude, complex), self.echo])
        wave = Sine(np.abs(volts), np.tile(self.frequencies, 2), np.angle(volts) + np.pi / 2.0)
        network = self.network.changed({**self.values, f"{self.source}.waveform": wave})
        return compile_network(network, self.dt, reference_power=1.0, probes=self._probes)

    def _lock_in(self, records: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Phasors [2 frequencies] of every probe over the window."""
        steps = self.simulation.state.step - self.window + 1 + np.arange(self.window)
        turn = np.exp(-2j * np.pi * np.tile(self.frequencies, 2) * (steps * self.dt)[:, None])
        size = np.where(np.tile(self.frequencies, 2) == 0.0, 1.0, 2.0) / self.window
        return {label: size * (rows.reshape(self.window, -1) * turn).sum(axis=0) for label, rows in records.items()}

    def _waves(self, phasor: Mapping[str, np.ndarray], port: str, inward: float) -> tuple[np.ndarray, np.ndarray]:
        """Waves at a port, into what lies there and out of it; ``inward`` turns the current that way."""
        v, i = phasor[f"{port}.voltage"], inward * phasor[f"{port}.current"]
        z = self._source_impedance if port == f"{self.source}.out" else REFERENCE
        return (v + z * i) / (2.0 * np.sqrt(z)), (v - z * i) / (2.0 * np.sqrt(z))

    def _slope(self, key: str) -> np.ndarray:
        """dS/dvalue ``[frequencies, ports, ports]`` of the node or line alone, by its own law."""
        value = self.values[key]
        h = STEP * (abs(value) if value != 0.0 else 1.0)
        s = {k: self._law(key, value + k * h) for k in (-2, -1, 1, 2)}
        return np.asarray((8.0 * (s[1] - s[-1]) - (s[2] - s[-2])) / (12.0 * h))

    def _law(self, key: str, value: float) -> np.ndarray:
        name = key.split(".")[0]
        changed = self.network.changed({**self.values, key: value})
        if not self._is_line(key):
            node = changed.nodes[name]
            assert isinstance(node, LinearNode)
            return node_scattering(node, self.frequencies, self.dt)
        line = changed.connections[name].line
        assert line is not None
        steps = next(rows.steps for rows in self.simulation.plan.lines if rows.name == name)
        return line_scattering(line, self.frequencies, steps, self.dt)

    def _is_line(self, key: str) -> bool:
        return key.split(".")[0] not in self.network.nodes

    def _where(self, key: str) -> list[str]:
        """The ports between which a tunable number acts."""
        name = key.split(".")[0]
        if self._is_line(key):
            connection = self.network.connections[name]
            return [str(connection.first), str(connection.second)]
        return [f"{name}.{port.name}" for port in self.network.nodes[name].ports]

    def _number(self, key: str) -> Any:
        name, *path = key.split(".")
        owner: Any = self.network.connections[name].line if self._is_line(key) else self.network.nodes[name]
        for attribute in path:
            owner = getattr(owner, attribute)
        return owner

    def _check(self, tunable: Sequence[str]) -> None:
        """Refuse numbers that cannot be tuned, sources that reflect and windows that are no whole periods."""
        for key in tunable:
            name, _, attribute = key.partition(".")
            if name in self.network.nodes:
                if not isinstance(self.network.nodes[name], LinearNode):
                    raise NetworkError(f"{key!r} is not a number of a linear node; its port would hear no gradient")
            elif name not in self.network.connections or self.network.connections[name].line is None:
                known = ", ".join([*self.network.nodes, *self.network.connections])
                raise NetworkError(f"There is no {name!r} to tune; there are {known}")
            elif attribute not in ("impedance", "loss_db", "phase"):
                raise NetworkError(f"{key!r}: of a line impedance, loss_db and phase can be tuned, not {attribute!r}")
            if np.ndim(self._number(key)) != 0 or isinstance(self._number(key), str | type(None)):
                raise NetworkError(f"{key!r} must be a single number to be tuned, but it is {self._number(key)!r}")
        lines = [c.line for c in self.network.connections.values() if self.source in (c.first.node, c.second.node)]
        node = self.network.nodes.get(self.source)
        if not hasattr(node, "waveform") or len(lines) != 1 or lines[0] is None:
            raise NetworkError(f"{self.source!r} must be a source at the end of a line")
        self._source_impedance = float(lines[0].impedance)
        if abs(float(getattr(node, "resistance", np.nan)) / self._source_impedance - 1.0) > 1e-9:
            raise NetworkError(
                f"Source {self.source!r} must be matched to its line, or it reflects what it should hear; give it "
                f"resistance={self._source_impedance:g} ohm"
            )
        periods = self.frequencies * self.window * self.dt
        if np.any(np.abs(periods - np.rint(periods)) > 1e-9) or np.any(self.frequencies < 0.0):
            raise NetworkError(
                f"A window of {self.window} steps must be whole periods of every frequency, but it holds "
                f"{periods.round(6).tolist()}; choose multiples of {1.0 / (self.window * self.dt):.6g} Hz"
            )
