"""Adds microrings to a network: an all-pass or add-drop ring, and a row of coupled rings (CROW)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.network import Line, Network
from substrate.nodes.photonic import Coupler

LIGHT = 299_792_458.0  # m/s
Guide = Callable[[float], Line]  # a length of waveguide (m) -> the line it is


def waveguide(
    n_eff: float, n_g: float, wavelength: Any, *, loss_db_per_cm: float = 0.0, reference_wavelength: float | None = None
) -> Guide:
    """A waveguide, from a length (m) to its line: delay ``n_g L / c``, phase ``2 pi n L / wavelength``.

    ``wavelength`` (m) is the carrier, or an array of carriers, one per sample of the batch; ``n_eff`` holds at
    ``reference_wavelength`` (m; by default at every carrier) and changes to first order so that the group index is
    ``n_g``. Raises NetworkError.

    >>> line = waveguide(2.86, 2.86, 1.55e-6)(50e-6)
    >>> round(line.delay * 1e15, 3), round(float(line.phase) / (2 * np.pi), 3)
    (476.997, 92.258)
    """
    carrier = np.asarray(wavelength, float)
    if not (n_eff > 0.0 and n_g > 0.0 and np.all(carrier > 0.0)):
        raise NetworkError(
            f"A waveguide needs n_eff, n_g and wavelength above zero, but {n_eff!r}, {n_g!r}, {wavelength!r}"
        )
    index = n_eff + np.zeros_like(carrier)
    if reference_wavelength is not None:
        # beta(omega) = beta_0 + (omega - omega_0) n_g / c, as an index at each carrier.
        index = n_g + (n_eff - n_g) * carrier / reference_wavelength

    def line(length: float) -> Line:
        if not length > 0.0:
            raise NetworkError(f"A waveguide needs a length above zero, but length={length!r} m")
        phase = 2.0 * np.pi * index * length / carrier
        return Line(delay=n_g * length / LIGHT, loss_db=loss_db_per_cm * length * 100.0, phase=phase[()])

    return line


@dataclass(frozen=True)
class RingPorts:
    """Where a ring or row of rings is to be connected, as ``"node.port"``; an all-pass ring has no add or drop."""

    input: str
    through: str
    add: str = ""
    drop: str = ""


def add_ring(
    net: Network, name: str, circumference: float, guide: Guide, coupling: Any, drop_coupling: Any = None
) -> RingPorts:
    """Add a ring of ``circumference`` (m) to ``net``: all-pass, or add-drop when ``drop_coupling`` is given.

    Couplings are of power; numbers or arrays with one per sample. The bus ports returned are left to be connected.
    Raises NetworkError. Source: Yariv 2000, "Universal relations ...", eq. 5; Bogaerts 2012, eq. 2 and 4.

    >>> net = Network()
    >>> add_ring(net, "ring", 50e-6, waveguide(2.86, 2.86, 1.55e-6), coupling=0.5)
    RingPorts(input='ring-c0.in1', through='ring-c0.out1', add='', drop='')
    """
    if drop_coupling is not None:
        return add_crow(net, name, 1, circumference, guide, [coupling, drop_coupling])
    coupler = net.add(Coupler(coupling), f"{name}-c0")
    net.connect(f"{coupler}.out2", f"{coupler}.in2", guide(circumference), f"{name}-ring")
    return RingPorts(f"{coupler}.in1", f"{coupler}.out1")


def add_crow(
    net: Network, name: str, rings: int, circumference: float, guide: Guide, couplings: Any = 0.5
) -> RingPorts:
    """Add ``rings`` rings in a row between two buses: ``rings + 1`` couplers, two half rings between neighbours.

    ``couplings`` (of power) is one number, or one entry per coupler (each a number or an array with one per sample).
    The drop port leaves the last coupler straight on from its ``add``. Raises NetworkError.
    Source: Yariv 1999, "Coupled-resonator optical waveguide".

    >>> net = Network()
    >>> add_crow(net, "crow", 3, 50e-6, waveguide(2.86, 2.86, 1.55e-6)).drop
    'crow-c3.out2'
    >>> len(net.nodes), len(net.connections)
    (4, 6)
    """
    if rings < 1:
        raise NetworkError(f"A row of rings has at least one, but rings={rings!r}")
    each: Sequence[Any] = [couplings] * (rings + 1) if np.ndim(couplings) == 0 else couplings
    if len(each) != rings + 1:
        raise NetworkError(f"{rings} rings need {rings + 1} couplings, but there are {len(each)}")
    couplers = [net.add(Coupler(coupling), f"{name}-c{k}") for k, coupling in enumerate(each)]
    half = guide(0.5 * circumference)
    for k in range(rings):
        net.connect(f"{couplers[k]}.out2", f"{couplers[k + 1]}.in1", half, f"{name}-r{k}-there")
        net.connect(f"{couplers[k + 1]}.out1", f"{couplers[k]}.in2", half, f"{name}-r{k}-back")
    last = couplers[-1]
    return RingPorts(f"{couplers[0]}.in1", f"{couplers[0]}.out1", f"{last}.in2", f"{last}.out2")
