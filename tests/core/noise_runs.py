"""Runs of noisy networks, shared by the tests of noise."""

from substrate import Probe, Simulation, compile_network
from substrate.noise import BOLTZMANN

DT, KELVIN, LIGHT = 1e-12, 300.0, 193.4e12
SIGMAS = 4.5  # one in 150 000 by chance
DENSE = 2 * DT / (BOLTZMANN * KELVIN)  # from a variance to its density over kT


def recorded(net, probes, steps, batch, backend="cpu", dt=DT, dtype="float64", settle=300, seed=5, **noise):
    """Arriving waves ``[steps, batch]`` at ports, by name."""
    plan = compile_network(net, dt, reference_power=1.0, probes=[Probe(at) for at in probes], **noise)
    simulation = Simulation(plan, batch=batch, backend=backend, dtype=dtype, seed=seed)
    simulation.run(settle)
    simulation.take_probes()
    simulation.run(steps)
    return {label.partition(".")[0]: values[:, 0] for label, values in simulation.take_probes().items()}
