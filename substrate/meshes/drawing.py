"""A mesh -> nodes and lines of a network: one interferometer per cell, true delays between the columns."""

from dataclasses import dataclass, replace

from substrate.errors import NetworkError
from substrate.meshes.mesh import Mesh
from substrate.network import Line, Network
from substrate.nodes.photonic import PhaseShifter


@dataclass(frozen=True)
class Drawn:
    """Where a mesh lies in a network: ports of its modes, names of its cells (in order) and of its output phases."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cells: tuple[str, ...]
    phases: tuple[str, ...]
    steps_deep: int  # lines that light passes from an input to an output
    entries: tuple[int, ...]  # column of the first cell of each mode: lead lines may make up for it

    @property
    def tunable(self) -> tuple[str, ...]:
        """Every phase, as ``node.field``."""
        inner = [f"{cell}.{phase}" for cell in self.cells for phase in ("theta", "phi")]
        return (*inner, *(f"{name}.phase" for name in self.phases))


def draw_mesh(network: Network, mesh: Mesh, name: str, line: Line | None = None) -> Drawn:
    """Add a mesh to ``network`` and say where it lies.

    ``line`` lies between one column and the next, and a straight waveguide past a column is a line too, so that light
    arrives at all outputs of a rectangle at once. Without it the whole mesh acts at once, as one node. Raises
    NetworkError.

    >>> from substrate.meshes.decompose import clements
    >>> from substrate.meshes.mesh import random_unitary
    >>> net = Network()
    >>> drawn = draw_mesh(net, clements(random_unitary(4, 0)), "u", Line(delay=1e-12))
    >>> len(drawn.cells), drawn.steps_deep, drawn.inputs[0]
    (6, 4, 'u_c0.in1')
    """
    if any(existing.startswith(f"{name}_") for existing in network.nodes):
        raise NetworkError(f"There is a mesh {name!r} already; give this one another name")
    at: list[tuple[str, int]] = [("", 0)] * mesh.modes  # where the light of each mode stands: port, column
    inputs, entries, cells, phases, outputs = [""] * mesh.modes, [0] * mesh.modes, [], [], []

    def reach(mode: int, port: str, column: int) -> None:
        before, left = at[mode]
        if not before:
            inputs[mode], entries[mode] = port, column
            return
        passed = column - left
        long = (
            None
            if line is None or passed == 0
            else replace(line, delay=line.delay * passed, loss_db=line.loss_db * passed)
        )
        network.connect(before, port, long, f"{name}_l{len(network.connections)}")

    for number, (cell, column) in enumerate(zip(mesh.cells, mesh.columns, strict=True)):
        node = network.add(cell.node, f"{name}_c{number}")
        cells.append(node)
        for side in (0, 1):
            reach(cell.mode + side, f"{node}.in{side + 1}", column)
            at[cell.mode + side] = (f"{node}.out{side + 1}", column)
    for mode, phase in enumerate(mesh.phases):
        node = network.add(PhaseShifter(phase), f"{name}_p{mode}")
        phases.append(node)
        reach(mode, f"{node}.in", mesh.depth)
        outputs.append(f"{node}.out")
    return Drawn(tuple(inputs), tuple(outputs), tuple(cells), tuple(phases), mesh.depth, tuple(entries))
