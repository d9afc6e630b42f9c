"""Meshes: a unitary as phases, phases as a circuit, any matrix as two meshes; crossbars of rings."""

from substrate.meshes.decompose import clements, reck
from substrate.meshes.drawing import Drawn, draw_mesh
from substrate.meshes.mesh import Cell, Mesh, random_unitary
from substrate.meshes.ring_crossbar import DrawnCrossbar, RingCrossbar, ring_crossbar
from substrate.meshes.svd import SvdLayer, svd_layer

__all__ = [
    "Cell",
    "Drawn",
    "DrawnCrossbar",
    "Mesh",
    "RingCrossbar",
    "SvdLayer",
    "clements",
    "draw_mesh",
    "random_unitary",
    "reck",
    "ring_crossbar",
    "svd_layer",
]
