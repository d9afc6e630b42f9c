"""The nodes a network can hold, one family per file."""

from substrate.nodes.activation import Activation
from substrate.nodes.base import Node, Port
from substrate.nodes.kirchhoff import ParallelJunction, SeriesJunction
from substrate.nodes.load import Load
from substrate.nodes.lumped import Capacitor, Inductor, Open, Resistor, Short, VoltageSource
from substrate.nodes.source import DataSource
from substrate.nodes.termination import Termination
from substrate.nodes.weights import Weights

__all__ = [
    "Activation",
    "Capacitor",
    "DataSource",
    "Inductor",
    "Load",
    "Node",
    "Open",
    "ParallelJunction",
    "Port",
    "Resistor",
    "SeriesJunction",
    "Short",
    "Termination",
    "VoltageSource",
    "Weights",
]
