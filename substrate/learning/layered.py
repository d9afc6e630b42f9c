"""Layers -> Network: builds the chain source, weights, line, activation, ..., line, load."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from substrate.compile_reciprocal import LAWS
from substrate.errors import NetworkError
from substrate.laying import nearest_step
from substrate.network import Line, Network
from substrate.nodes import (
    Activation,
    DataSource,
    IdealSource,
    Joint,
    Launcher,
    Load,
    Node,
    Receiver,
    ReciprocalActivation,
    ReciprocalLoad,
    Termination,
    Transformer,
    Weights,
)

STAGE_OF = {  # law of a node -> what it does to a settled wave
    "weights": "weights",
    "transformer": "weights",
    "activation": "activation",
    "reciprocal_activation": "activation",
    "joint": "joint",
}
FAMILIES = ("matched", "transformer")
INPUT, OUTPUT = "input", "load"  # the names of the two ends of a layered network


def layered(
    sizes: Sequence[int],
    *,
    line: Line | Sequence[Line],
    activation: str = "tanh",
    weights: str | Sequence[str] = "matched",
    loss: str = "cross_entropy",
    bias: bool = True,
    scale: float = 1.0,
    tap: float = 0.0,
    memory: bool = False,
    beta: float = 1.0,
    impedance: str | Sequence[float] = "equal",
    source_temperature: float = 0.0,
    load_temperature: float = 0.0,
    noise_temperature: float = 0.0,
    joints: Sequence[Mapping[str, float]] = (),
    seed: int = 0,
) -> Network:
    """A feed-forward network as a wave substrate: weights ``w1 .. wL``, each followed by its line.

    ``sizes`` are the channels from input to output; ``line`` is one for all layers or one each. ``weights`` is
    ``matched`` or ``transformer``, or one of them per layer; a reciprocal activation has a second line behind it.
    ``memory`` gives matched layers ports that remember, so that one batch per tick trains.
    ``beta`` nudges the load of transformer networks; ``impedance`` of their lines is ``equal``, ``matched`` (times the
    mean squared singular value at every layer) or a number (ohm) per layer. ``joints`` holds the fields of a Joint,
    once for all matched layers or once each; it stands behind a layer's line, before a second one of the same delay
    without loss.
    ``noise_temperature`` (K) is that of the amplifiers at the outputs of matched weights. Weights start normal with
    variance ``scale^2 / inputs``, biases at zero. Raises NetworkError. Source: ``docs/theory.md``.

    >>> net = layered([4, 3, 2], line=Line(delay=1e-12))
    >>> print(net)
    Network of 5 nodes, 2 lines
    """
    layers = len(sizes) - 1
    if layers < 1:
        raise NetworkError(f"A layered network needs at least an input and an output size, but sizes={list(sizes)}")
    lines = [line] * layers if isinstance(line, Line) else list(line)
    if len(lines) != layers:
        raise NetworkError(f"{layers} layers need one line, or {layers}, but {len(lines)} were given")
    families = _families(weights, layers)
    if noise_temperature > 0.0 and "matched" not in families:
        raise NetworkError("Transformer weights have no amplifiers; leave noise_temperature out")
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x77])))
    matrices = [rng.normal(0.0, scale / np.sqrt(m), (n, m)) for m, n in pairwise(sizes)]
    biases = [np.zeros(n) if bias else None for n in sizes[1:]]
    builder = _LayerBuilder(lines, families, _impedances(lines, matrices, impedance), activation, beta, memory)
    builder.joints = _joints(joints, families)
    builder.start(sizes[0], source_temperature)
    for layer, (matrix, shift) in enumerate(zip(matrices, biases, strict=True)):
        builder.weights(layer, matrix, shift, tap, noise_temperature)
        if layer < layers - 1:
            builder.activation(layer, matrix.shape[0])
        elif families[-1] == "matched":
            builder.end(layer, Load(sizes[-1], loss, load_temperature))
        else:
            builder.end(layer, ReciprocalLoad(sizes[-1], loss, beta))
    return builder.network


def _families(weights: str | Sequence[str], layers: int) -> list[str]:
    """The family of the weights of each layer."""
    families = [weights] * layers if isinstance(weights, str) else list(weights)
    if len(families) != layers or not set(families) <= set(FAMILIES):
        raise NetworkError(f"Weights must be one of {FAMILIES}, or one per layer, but weights={weights!r}")
    return families


def _joints(joints: Sequence[Mapping[str, float]], families: Sequence[str]) -> list[Mapping[str, float] | None]:
    """The fields of the joint of each layer; None without."""
    if not joints:
        return [None] * len(families)
    if len(joints) not in (1, len(families)):
        raise NetworkError(f"{len(families)} layers need one joint, or {len(families)}, but {len(joints)} were given")
    if set(families) != {"matched"}:
        raise NetworkError(
            "Joints stand behind matched weights; transformer weights reflect by themselves: leave them out"
        )
    return [joints[0]] * len(families) if len(joints) == 1 else [*joints]


def _impedances(lines: Sequence[Line], matrices: Sequence[np.ndarray], rule: str | Sequence[float]) -> list[float]:
    """Impedance of the line behind each layer, ohm."""
    if rule == "equal":
        return [line.impedance for line in lines]
    if rule == "matched":
        growth = np.cumprod([float(np.mean(np.linalg.svd(m, compute_uv=False) ** 2)) for m in matrices])
        return [lines[0].impedance * float(factor) for factor in growth]
    if isinstance(rule, str) or len(rule) != len(lines):
        raise NetworkError(f"impedance must be equal, matched or one number per layer, but impedance={rule!r}")
    return [float(value) for value in rule]


class _LayerBuilder:
    """Adds one stage after the other to a network, with what joins the two families where they meet."""

    def __init__(
        self,
        lines: Sequence[Line],
        families: Sequence[str],
        z: Sequence[float],
        activation: str,
        beta: float,
        memory: bool,
    ) -> None:
        self.lines, self.families, self.z = lines, families, z
        self.function, self.beta, self.memory = activation, beta, memory
        self.network = Network()
        self.joints: list[Mapping[str, float] | None] = [None] * len(lines)
        self.before = ""

    def start(self, channels: int, temperature: float) -> None:
        matched = self.families[0] == "matched"
        source = DataSource(channels, temperature) if matched else IdealSource(channels)
        self.before = self.network.add(source, INPUT)

    def weights(self, layer: int, matrix: np.ndarray, bias: np.ndarray | None, tap: float, kelvin: float) -> None:
        """The weights of a layer, behind a second line where what comes before reflects."""
        name, here = f"w{layer + 1}", self.families[layer]
        matched = here == "matched"
        node = Weights(matrix, bias, tap, self.memory, kelvin) if matched else Transformer(matrix, bias)
        self.network.add(node, name)
        if layer == 0:
            self.network.connect(self.before, name)
            return
        channels, previous = matrix.shape[1], self.families[layer - 1]
        line = self._line(layer - 1)
        if (previous, here) == ("matched", "transformer"):
            launcher = self.network.add(Launcher(channels), f"launcher{layer}")
            self.network.connect(self.before, launcher)
            self.network.connect(launcher, name, line, f"line{layer}b")
        elif (previous, here) == ("transformer", "matched"):
            receiver = self.network.add(Receiver(channels, self.beta), f"receiver{layer}")
            self.network.connect(self.before, receiver, line, f"line{layer}b")
            self.network.connect(receiver, name)
        else:
            self.network.connect(self.before, name, None if here == "matched" else line, f"line{layer}b")

    def activation(self, layer: int, channels: int) -> None:
        matched = self.families[layer] == "matched"
        node: Node = ReciprocalActivation(channels, self.function)
        if matched:
            node = Activation(channels, self.function, self.memory)
        self.end(layer, node)

    def end(self, layer: int, node: Node) -> None:
        """The node at the far end of a layer's line."""
        name = OUTPUT if node.law.endswith("load") else f"phi{layer + 1}"
        self.network.add(node, name)
        before, line, fields = f"w{layer + 1}", self._line(layer), self.joints[layer]
        if fields is not None:
            joint = self.network.add(Joint(node.ports[0].channels, **fields), f"joint{layer + 1}")
            self.network.connect(before, joint, line, f"line{layer + 1}")
            before, line = joint, Line(line.delay, line.impedance)
        self.network.connect(before, name, line, f"line{layer + 1}" + ("" if fields is None else "_end"))
        self.before = name

    def _line(self, layer: int) -> Line:
        if self.families[layer] == "matched":
            return self.lines[layer]
        return replace(self.lines[layer], impedance=self.z[layer])


@dataclass(frozen=True)
class Stage:
    """One element of a chain: ``weights`` or ``activation`` (a node's name) or ``line`` (a connection's name)."""

    kind: str
    name: str


def chain(network: Network) -> list[Stage]:
    """The stages a forward wave passes from the only source to the only load; raises NetworkError if it is no chain.

    >>> [stage.name for stage in chain(layered([2, 2], line=Line(delay=1e-12)))]
    ['w1', 'line1']
    """
    after = {c.first.node: c for c in network.connections.values()}
    sources = [name for name, node in network.nodes.items() if node.law in ("source", "ideal_source")]
    if len(sources) != 1:
        raise NetworkError(f"A layered network has one source, but this one has {len(sources)}")
    stages, here, seen = [], sources[0], set()
    while here in after and here not in seen:
        seen.add(here)
        connection = after[here]
        if connection.line is not None:
            stages.append(Stage("line", connection.name))
        here = connection.second.node
        kind = STAGE_OF.get(network.nodes[here].law)
        if kind is not None:
            stages.append(Stage(kind, here))
    if network.nodes[here].law not in ("load", "termination", "reciprocal_load") or len(seen) + 1 != len(network.nodes):
        raise NetworkError("A layered network is one chain from its source to its load; this network is not")
    return stages


def forward_steps(network: Network, dt: float) -> int:
    """Steps of ``dt`` (s) a wave needs from the source to the load, in the channels that lag most."""
    lines = (network.connections[stage.name].line for stage in chain(network) if stage.kind == "line")
    delays = [(line.delay, max(line.skew, default=0.0)) for line in lines if line is not None]
    return sum(nearest_step(delay, dt) + nearest_step(lag, dt) for delay, lag in delays)


def is_reciprocal(network: Network) -> bool:
    """Whether any node reflects, so that waves ring before they settle."""
    return any(node.law in LAWS for node in network.nodes.values())


def without_load(network: Network) -> Network:
    """The same network with a load that only looks: what answers a question does not correct it."""
    quiet = Network()
    for name, node in network.nodes.items():
        if isinstance(node, Load):
            node = Termination(node.channels, node.temperature)
        elif isinstance(node, ReciprocalLoad):
            node = replace(node, beta=0.0)
        quiet.add(node, name)
    for c in network.connections.values():
        quiet.connect(str(c.first), str(c.second), c.line, c.name)
    return quiet
