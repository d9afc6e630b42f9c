"""Layered test networks with random weights, unequal delays, loss, warmth and taps."""

from collections.abc import Sequence

import numpy as np

from substrate import Line, Network
from substrate.learning.layered import layered

DT = 1e-12


def chain_of(sizes: Sequence[int], delays: Sequence[int], seed: int = 0, **options) -> Network:
    """A layered network whose line k lasts ``delays[k]`` steps; loss and temperature options apply to every line."""
    line = {key: options.pop(key) for key in ("loss_db", "loss_db_back", "temperature") if key in options}
    lines = [Line(delay=steps * DT, **line) for steps in delays]
    return layered(sizes, line=lines, seed=seed, **options)


def samples(network: Network, batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and one-hot targets for a layered network."""
    rng = np.random.default_rng(seed)
    outputs = network.nodes["load"].ports[0].channels
    x = rng.normal(size=(batch, network.nodes["input"].ports[0].channels))
    return x, np.eye(outputs)[rng.integers(0, outputs, batch)]
