"""Random circuits of junctions, delays, lumped elements and sources, for comparing backends and closing books."""

import numpy as np

from substrate import Line, Network
from substrate.nodes import Capacitor, Inductor, Open, ParallelJunction, Resistor, SeriesJunction, VoltageSource
from substrate.nodes.linear import Memoryless
from substrate.waveforms import Sine, Step

DT = 1e-12


class GivenMatrix(Memoryless):
    """A node of a given power-wave matrix, whatever the impedances."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    @property
    def ports(self):
        from substrate.nodes.base import Port

        return tuple(Port(f"p{index + 1}", 1) for index in range(self.values.shape[-1]))

    def matrix(self, z):
        return self.values


def unitary(rng: np.random.Generator, size: int, batch: int = 0) -> np.ndarray:
    """A random lossless matrix, or one for each sample."""
    shape = (batch, size, size) if batch else (size, size)
    return np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))[0]


def random_circuit(
    rng: np.random.Generator,
    junctions: int,
    *,
    ports: tuple[int, int] = (2, 6),
    delays: tuple[int, int] = (1, 9),
    loss: float = 0.3,
    ends: bool = True,
    optical: bool = False,
    batch: int = 0,
    direct: float = 0.2,
    temperature: float = 0.0,
) -> Network:
    """A random network; with ``ends``, ports left over meet lumped elements and sources, without at most an open end.

    ``optical`` gives complex matrices; ``batch`` gives some of the nodes and lines one number per sample.
    """
    net, open_ports = Network(), []
    for index in range(junctions):
        count = int(rng.integers(ports[0], ports[1] + 1))
        node = _optical(rng, count, batch) if optical else rng.choice([ParallelJunction, SeriesJunction])(count)
        name = net.add(node, f"n{index}")
        open_ports += [f"{name}.{port.name}" for port in node.ports]
    rng.shuffle(open_ports)
    left_over = int(rng.integers(1, max(2, len(open_ports) // 3))) if ends else 0
    left_over += (len(open_ports) - left_over) % 2
    closed, rest = open_ports[:left_over], open_ports[left_over:]
    for index, (first, second) in enumerate(zip(rest[::2], rest[1::2], strict=True)):
        net.connect(first, second, _line(rng, delays, loss, optical, batch, temperature), f"w{index}")
    for index, port in enumerate(closed):
        end = net.add(_end(rng, index, batch, temperature) if ends else Open(), f"e{index}")
        joined = rng.random() < direct and not optical
        net.connect(port, end, None if joined else _line(rng, delays, loss, optical, batch, temperature), f"x{index}")
    return net


def _optical(rng, count, batch):
    return GivenMatrix(unitary(rng, count, batch if batch and rng.random() < 0.5 else 0))


def _line(rng, delays, loss, optical, batch, temperature):
    steps = int(rng.integers(delays[0], delays[1] + 1))
    lossy = loss if rng.random() < 0.5 else 0.0
    phase = 0.0
    if optical:
        phase = rng.uniform(0, 6, batch) if batch and rng.random() < 0.5 else float(rng.uniform(0, 6))
    impedance = 50.0 if optical else float(rng.uniform(20.0, 90.0))
    return Line(steps * DT, impedance, loss_db=lossy, phase=phase, temperature=temperature)


def _end(rng, index, batch, temperature):
    values = (lambda low, high: rng.uniform(low, high, batch)) if batch and rng.random() < 0.5 else rng.uniform
    choices = [
        lambda: Resistor(values(5.0, 200.0), temperature=temperature),
        lambda: Capacitor(values(0.1e-12, 2e-12), voltage=0.3),
        lambda: Inductor(values(0.1e-9, 2e-9)),
        lambda: VoltageSource(Step(1.0, rise=5 * DT), resistance=values(10.0, 80.0), temperature=temperature),
    ]
    if index == 0:
        return VoltageSource(Sine(1.0, frequency=0.07 / DT), resistance=40.0)
    return choices[int(rng.integers(len(choices)))]()
