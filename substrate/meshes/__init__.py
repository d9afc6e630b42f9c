"""Meshes of Mach-Zehnder interferometers: a unitary as phases, phases as a circuit, any matrix as two meshes."""

from substrate.meshes.decompose import clements, reck
from substrate.meshes.drawing import Drawn, draw_mesh
from substrate.meshes.mesh import Cell, Mesh, random_unitary
from substrate.meshes.svd import SvdLayer, svd_layer

__all__ = ["Cell", "Drawn", "Mesh", "SvdLayer", "clements", "draw_mesh", "random_unitary", "reck", "svd_layer"]
