"""Wave Substrate: time-domain simulation of wave-computing hardware that trains itself."""

from substrate.compile import compile_network
from substrate.errors import SubstrateError
from substrate.network import Line, Network, Probe
from substrate.nodes import Activation, DataSource, Load, Termination, Weights
from substrate.plan import Plan
from substrate.simulation import Simulation

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "DataSource",
    "Line",
    "Load",
    "Network",
    "Plan",
    "Probe",
    "Simulation",
    "SubstrateError",
    "Termination",
    "Weights",
    "compile_network",
]
