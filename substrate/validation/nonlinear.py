"""A diode behind a resistor, solved at every step, against Lambert's W function."""

import numpy as np

from substrate.network import Line, Network
from substrate.nodes.lumped import VoltageSource
from substrate.nodes.nonlinear import Diode
from substrate.traces import simulate
from substrate.validation.case import case
from substrate.waveforms import Step

VOLTS = np.array([-1.0, -0.1, 0.0, 0.3, 0.6, 1.0, 5.0, 40.0])
RESISTANCE, SATURATION, IDEALITY = 1000.0, 1e-14, 1.2


def lambert_current() -> np.ndarray:
    """Current through a diode behind a resistor at VOLTS, A."""
    from scipy.special import lambertw

    thermal = IDEALITY * 1.380649e-23 * 300.0 / 1.602176634e-19
    drop = RESISTANCE * SATURATION
    # W(x e^y) with a large y: solved through its logarithm where the exponential would overflow.
    exponent = (VOLTS + drop) / thermal + np.log(drop / thermal)
    w = np.where(exponent < 600.0, np.real(lambertw(np.exp(np.minimum(exponent, 600.0)))), 0.0)
    for index in np.flatnonzero(exponent >= 600.0):
        x = exponent[index]
        for _ in range(50):
            x = exponent[index] - np.log(x)
        w[index] = x
    return np.asarray(thermal / RESISTANCE * w - SATURATION)


@case("V25", "diode behind 1 kohm at -1 to 40 V, current", lambert_current, 1e-12, "A")
def diode(backend: str) -> np.ndarray:
    """i = (n Vt / R) W[(Is R / n Vt) exp((Vs + Is R) / n Vt)] - Is, W Lambert's function. Banwell & Jayakumar 2000.

    All voltages run side by side; the diode hangs on the source directly, and at the end of a matched line.
    """
    net = Network()
    net.connect(net.add(VoltageSource(Step(VOLTS), RESISTANCE), "src"), net.add(Diode(SATURATION, IDEALITY), "diode"))
    direct = simulate(net, 5e-9, 1e-9, ["diode.current"], batch=len(VOLTS), backend=backend)
    line = Network()
    line.connect(
        line.add(VoltageSource(Step(VOLTS), RESISTANCE), "src"),
        line.add(Diode(SATURATION, IDEALITY), "diode"),
        Line(2e-9, RESISTANCE),
    )
    behind = simulate(line, 5e-9, 1e-9, ["diode.current"], batch=len(VOLTS), backend=backend)
    return np.concatenate([direct["diode.current"][-1], behind["diode.current"][-1]]).reshape(2, -1)
