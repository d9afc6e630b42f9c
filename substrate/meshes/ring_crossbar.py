"""Add-drop rings at the crossings of input and output buses: a matrix whose entries are tuned by rings, not arms."""

from dataclasses import dataclass

import numpy as np

from substrate.errors import NetworkError
from substrate.network import Line, Network
from substrate.nodes.photonic import Coupler, PhaseShifter
from substrate.nodes.termination import Termination


@dataclass(frozen=True)
class RingCrossbar:
    """``phases`` [inputs, outputs] (rad) of rings that couple ``coupling`` of the power to the buses they lie between.

    A ring of phase 0 is in tune. Raises NetworkError. Source: Yariv 2000, eqs. 4 to 7, for one ring; Ohno et al., ACS
    Photonics 9, 2614 (2022), for crossbars of them.

    >>> lone = RingCrossbar(((0.0,),), 0.1)  # in tune, a lossless ring drops everything
    >>> abs(lone.matrix).round(12).tolist()
    [[1.0]]
    """

    phases: tuple[tuple[float, ...], ...]
    coupling: float = 0.1

    def __post_init__(self) -> None:
        if not self.phases or len({len(row) for row in self.phases}) != 1 or not self.phases[0]:
            raise NetworkError("A crossbar needs as many phases in every row, and one at least")
        if not 0.0 < self.coupling < 1.0:
            raise NetworkError(f"The rings of a crossbar need 0 < coupling < 1, but coupling={self.coupling}")

    @property
    def matrix(self) -> np.ndarray:
        """Steady light, ``[outputs, inputs]``: crossing by crossing, all ways round included."""
        rows, columns = len(self.phases), len(self.phases[0])
        across = np.eye(rows, dtype=complex)  # [row, input]: light on each input bus, by which input it came from
        down = np.zeros((columns, rows), complex)
        for i, row in enumerate(self.phases):
            for j, phase in enumerate(row):
                turn, kept = np.exp(-1j * phase), 1.0 - self.coupling
                round_trip = 1.0 - kept * turn
                through = np.sqrt(kept) * (1.0 - self.coupling * turn / round_trip)
                # Between the two couplers lies one half of the ring without its phase shifter, and one with it.
                into, out_of = -self.coupling / round_trip, -self.coupling * turn / round_trip
                across[i], down[j] = through * across[i] + out_of * down[j], into * across[i] + through * down[j]
        return down


@dataclass(frozen=True)
class DrawnCrossbar:
    """Where a crossbar lies in a network: ports of its buses, names of its rings' phase shifters, row by row."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rings: tuple[str, ...]
    round_trip: int  # lines in a ring

    @property
    def tunable(self) -> tuple[str, ...]:
        """Every phase, as ``node.field``."""
        return tuple(f"{ring}.phase" for ring in self.rings)

    def settle(self, steps: int, coupling: float, remainder: float = 1e-12) -> int:
        """Steps until what light does in the rings has died away to ``remainder``, with lines of ``steps`` steps.

        On its way light meets a ring for every bus and some more, one after the other.
        """
        turns = np.log(remainder) / np.log(1.0 - coupling)
        passed = len(self.inputs) + len(self.outputs)
        return int(np.ceil((turns * (1.0 + 0.5 * passed) * self.round_trip + passed) * steps))


def ring_crossbar(network: Network, crossbar: RingCrossbar, name: str, line: Line) -> DrawnCrossbar:
    """Add a crossbar to ``network``: ``line`` lies between all couplers, and three times in each ring.

    Input buses run over all their crossings and end in the dark, output buses come from there.

    >>> net = Network()
    >>> drawn = ring_crossbar(net, RingCrossbar(((0.1, 0.2),)), "x", Line(delay=1e-12))
    >>> drawn.inputs, drawn.outputs
    (('x_a0_0.in1',), ('x_b0_0.out1', 'x_b0_1.out1'))
    """
    rings, inputs = [], []
    below = [network.add(Termination(), f"{name}_top{j}") for j in range(len(crossbar.phases[0]))]
    for i, row in enumerate(crossbar.phases):
        last = ""
        for j, phase in enumerate(row):
            upper = network.add(Coupler(crossbar.coupling), f"{name}_a{i}_{j}")
            lower = network.add(Coupler(crossbar.coupling), f"{name}_b{i}_{j}")
            ring = network.add(PhaseShifter(phase), f"{name}_r{i}_{j}")
            network.connect(f"{upper}.out2", f"{lower}.in2", line)
            network.connect(f"{lower}.out2", f"{ring}.in", line)
            network.connect(f"{ring}.out", f"{upper}.in2", line)
            if last:
                network.connect(last, f"{upper}.in1", line)
            else:
                inputs.append(f"{upper}.in1")
            network.connect(below[j], f"{lower}.in1", line)
            last, below[j] = f"{upper}.out1", f"{lower}.out1"
            rings.append(ring)
        network.connect(last, network.add(Termination(), f"{name}_end{i}"), line)
    return DrawnCrossbar(tuple(inputs), tuple(below), tuple(rings), 3)
