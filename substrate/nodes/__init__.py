"""The nodes a network can hold, one family per file."""

from substrate.nodes.activation import Activation
from substrate.nodes.base import Node, Port
from substrate.nodes.control import ControlCell, SeriesImpedance, ShuntAdmittance
from substrate.nodes.joint import Joint
from substrate.nodes.kirchhoff import ParallelJunction, SeriesJunction
from substrate.nodes.load import Load
from substrate.nodes.lumped import Capacitor, Inductor, Open, Resistor, Short, VoltageSource
from substrate.nodes.lumped_two import Gyrator, IdealTransformer, ParallelRLC, Series, SeriesRLC, Shunt
from substrate.nodes.nonlinear import Diode, Varactor
from substrate.nodes.nonlinear_waves import KerrPhase, SaturableAbsorber, TanhGain
from substrate.nodes.optoelectronic import Modulator, Photodiode
from substrate.nodes.photonic import (
    Amplifier,
    Attenuator,
    Circulator,
    Coupler,
    Isolator,
    LaserSource,
    MachZehnder,
    OpticalAmplifier,
    PhaseShifter,
    TransmissionPad,
)
from substrate.nodes.reciprocal import (
    IdealSource,
    Launcher,
    Receiver,
    ReciprocalActivation,
    ReciprocalLoad,
    Transformer,
)
from substrate.nodes.scattering import ScatteringNode, StateSpaceNode
from substrate.nodes.source import DataSource
from substrate.nodes.termination import Termination
from substrate.nodes.touchstone import Touchstone
from substrate.nodes.weights import Weights

__all__ = [
    "Activation",
    "Amplifier",
    "Attenuator",
    "Capacitor",
    "Circulator",
    "ControlCell",
    "Coupler",
    "DataSource",
    "Diode",
    "Gyrator",
    "IdealSource",
    "IdealTransformer",
    "Inductor",
    "Isolator",
    "Joint",
    "KerrPhase",
    "LaserSource",
    "Launcher",
    "Load",
    "MachZehnder",
    "Modulator",
    "Node",
    "Open",
    "OpticalAmplifier",
    "ParallelJunction",
    "ParallelRLC",
    "PhaseShifter",
    "Photodiode",
    "Port",
    "Receiver",
    "ReciprocalActivation",
    "ReciprocalLoad",
    "Resistor",
    "SaturableAbsorber",
    "ScatteringNode",
    "Series",
    "SeriesImpedance",
    "SeriesJunction",
    "SeriesRLC",
    "Short",
    "Shunt",
    "ShuntAdmittance",
    "StateSpaceNode",
    "TanhGain",
    "Termination",
    "Touchstone",
    "Transformer",
    "TransmissionPad",
    "Varactor",
    "VoltageSource",
    "Weights",
]
