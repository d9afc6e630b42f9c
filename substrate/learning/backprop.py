"""Exact backpropagation of a layered network, in plain NumPy: the reference that wave training is compared with."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from substrate.activations import activation_named
from substrate.learning.layered import chain
from substrate.losses import loss_named
from substrate.network import Network
from substrate.nodes import Load, ReciprocalLoad

Parameters = Mapping[str, np.ndarray]


class Backprop:
    """The function a layered network computes once its waves have settled, and its gradient.

    Knows nothing of waves in time: it multiplies by weights, adds biases, applies activations and, for lossy lines,
    sensing taps and joints, the factor of a forward pass; waves that run to and fro are not in it. Raises NetworkError
    when the network is no chain with a load.

    >>> from substrate.learning.layered import layered
    >>> from substrate.network import Line
    >>> net = layered([2, 3], line=Line(delay=1e-12), loss="mse")
    >>> loss, gradient = Backprop(net).gradient(net.parameters(), np.ones((1, 2)), np.zeros((1, 3)))
    >>> sorted(gradient)
    ['w1.bias', 'w1.matrix']
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.stages = chain(network)
        load = next(node for node in network.nodes.values() if isinstance(node, Load | ReciprocalLoad))
        self.loss = loss_named(load.loss)

    def forward(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        """Outputs ``[samples, outputs]`` of inputs ``x[samples, inputs]``."""
        return self._forward(parameters, x)[0].T

    def gradient(self, parameters: Parameters, x: np.ndarray, y: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Mean loss over the samples and its gradient with respect to every parameter; ``y[samples, outputs]``."""
        z, kept = self._forward(parameters, x)
        p = self.loss.gradient(np, z, y.T) / x.shape[0]
        gradient: dict[str, np.ndarray] = {}
        for stage, (name, value) in zip(reversed(self.stages), reversed(kept), strict=True):
            if stage.kind == "line" or stage.kind == "activation":
                p = value * p
            elif stage.kind == "joint":
                p = value.T @ p
            else:
                through = 1.0 - self._tap(name)
                if f"{name}.bias" in parameters:
                    gradient[f"{name}.bias"] = np.sqrt(through) * p.sum(axis=1)
                gradient[f"{name}.matrix"] = through * (p @ value.T)
                p = through * (parameters[f"{name}.matrix"].T @ p)
        return float(self.loss.value(np, z, y.T).mean()), gradient

    def _forward(self, parameters: Parameters, x: np.ndarray) -> tuple[np.ndarray, list[tuple[str, Any]]]:
        """The output ``[outputs, samples]`` and what each stage must remember for the way back."""
        wave = x.T
        kept: list[tuple[str, Any]] = []
        for stage in self.stages:
            if stage.kind == "line":
                line = self.network.connections[stage.name].line
                assert line is not None
                kept.append((stage.name, line.gains[0]))
                wave = line.gains[0] * wave
            elif stage.kind == "activation":
                function = activation_named(getattr(self.network.nodes[stage.name], "function", ""))
                out = function.value(np, wave, np.empty_like(wave))
                kept.append((stage.name, function.slope(np, wave, out)))
                wave = out
            elif stage.kind == "joint":
                through = getattr(self.network.nodes[stage.name], "through", np.eye(len(wave)))
                kept.append((stage.name, through))
                wave = through @ wave
            else:
                through = 1.0 - self._tap(stage.name)
                kept.append((stage.name, wave))
                wave = through * (parameters[f"{stage.name}.matrix"] @ wave)
                if f"{stage.name}.bias" in parameters:
                    wave = wave + np.sqrt(through) * parameters[f"{stage.name}.bias"][:, None]
        return wave, kept

    def _tap(self, name: str) -> float:
        return float(getattr(self.network.nodes[name], "tap", 0.0))


def relative_error(found: Parameters, exact: Parameters) -> float:
    """Length of the difference of two gradients over the length of the exact one, all parameters together.

    >>> relative_error({"w": np.array([1.1])}, {"w": np.array([1.0])}) < 0.1 + 1e-12
    True
    """
    difference = sum(float(np.sum((found[name] - exact[name]) ** 2)) for name in exact)
    length = sum(float(np.sum(value**2)) for value in exact.values())
    return float(np.sqrt(difference / length)) if length > 0.0 else float(np.sqrt(difference))


def cosine(found: Parameters, exact: Parameters) -> float:
    """Cosine of the angle between two gradients, all parameters together; nan where one of them is zero.

    >>> round(cosine({"w": np.array([1.0, 1.0])}, {"w": np.array([2.0, 0.0])}), 6)
    0.707107
    """
    product = sum(float(np.sum(found[name] * exact[name])) for name in exact)
    lengths = [sum(float(np.sum(each[name] ** 2)) for name in exact) for each in (found, exact)]
    return product / float(np.sqrt(lengths[0] * lengths[1])) if min(lengths) > 0.0 else float("nan")
