"""Wave Substrate: time-domain simulation of wave-computing hardware that trains itself."""

from substrate.compile import compile_network
from substrate.errors import SubstrateError
from substrate.frequency import FrequencyResponse, response_of, scattering_parameters
from substrate.network import Line, Network, Probe
from substrate.nodes import (
    Activation,
    Capacitor,
    DataSource,
    Inductor,
    Load,
    Open,
    ParallelJunction,
    Resistor,
    SeriesJunction,
    Short,
    Termination,
    VoltageSource,
    Weights,
)
from substrate.plan import Plan
from substrate.simulation import Simulation
from substrate.tdr import time_domain_reflectometry
from substrate.traces import Traces, simulate

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "Capacitor",
    "DataSource",
    "FrequencyResponse",
    "Inductor",
    "Line",
    "Load",
    "Network",
    "Open",
    "ParallelJunction",
    "Plan",
    "Probe",
    "Resistor",
    "SeriesJunction",
    "Short",
    "Simulation",
    "SubstrateError",
    "Termination",
    "Traces",
    "VoltageSource",
    "Weights",
    "compile_network",
    "response_of",
    "scattering_parameters",
    "simulate",
    "time_domain_reflectometry",
]
