"""Nonlinear one-ports: diode and varactor, and what every nonlinear node offers to a cluster."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.base import Port
from substrate.nodes.linear import LinearNode, Scattering
from substrate.nodes.lumped import ONE_PORT

BOLTZMANN = 1.380649e-23  # J/K
ELEMENTARY_CHARGE = 1.602176634e-19  # C

# What the kernels know. Those from WAVE on answer to a wave alone; the others are a voltage and a current at a port.
DIODE, VARACTOR, WAVE = 0, 1, 16
ABSORBER, KERR, TANH = 16, 17, 18
PARAMETERS = 10  # numbers per element


@dataclass(frozen=True, eq=False)
class Element:
    """The nonlinear heart of a node, behind one inner port of its cluster: which law, with which numbers.

    ``parameters`` are numbers or arrays with one per sample; ``start`` is the charge (C) it begins with.
    """

    kind: int
    parameters: tuple[Any, ...]
    node: "NonlinearNode"
    start: Any = 0.0


class NonlinearNode(LinearNode):
    """A node whose linear part has extra inner ports, each closed by a nonlinear :class:`Element`.

    Its ``scattering`` is that linear part, outer ports first; its ``response`` is that of small signals at rest.
    """

    law: ClassVar[str] = "nonlinear"

    @abstractmethod
    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """One element per inner port; wave laws count in amplitudes of ``sqrt(reference_power)``."""

    def sample(self, index: int) -> "NonlinearNode":
        """The node as one sample of the batch sees it: arrays replaced by their entry."""
        node: Any = self
        values = {name: getattr(node, name) for name in node.__dataclass_fields__}
        one = {name: np.ravel(value)[index] for name, value in values.items() if np.size(value) > 1}
        changed: NonlinearNode = replace(node, **one)
        return changed


class NonlinearOnePort(NonlinearNode):
    """A nonlinear relation of one voltage and one current; the inner port is the outer one."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """One port, ``in``."""
        return ONE_PORT

    def scattering(self, z: Sequence[Any], dt: float) -> Scattering:
        """See :class:`NonlinearNode`."""
        return Scattering(np.array([[0.0, 1.0], [1.0, 0.0]]), 2)

    @abstractmethod
    def admittance(self, omega: np.ndarray) -> np.ndarray:
        """Of small signals at rest, siemens, at angular frequencies in rad/s."""

    def response(self, z: Sequence[Any], frequencies: np.ndarray) -> np.ndarray:
        """See :class:`NonlinearNode`."""
        y = self.admittance(2.0 * np.pi * frequencies) * z[0]
        return ((1.0 - y) / (1.0 + y))[..., None, None]


def _require(owner: str, **values: Any) -> None:
    for name, value in values.items():
        array = np.asarray(value, float)
        if not np.all(np.isfinite(array) & (array > 0.0)):
            raise NetworkError(f"{owner} needs {name} above zero, but {name}={value!r}")


@dataclass(frozen=True)
class Diode(NonlinearOnePort):
    """A junction diode, ``i = I_s (exp(v / n V_T) - 1)``, ``V_T = kT/q``; ``reverse`` turns it round.

    ``saturation_current`` (A), ``ideality``, ``temperature`` (K) may be arrays with one per sample of the batch.
    Source: Shockley 1949; solved at every step by Newton from above, which cannot fail for a passive rest.

    >>> round(float(Diode(1e-14).current(0.6)) * 1e3, 4)
    0.1201
    """

    saturation_current: Any = 1e-14
    ideality: Any = 1.0
    temperature: Any = 300.0
    reverse: bool = False

    def __post_init__(self) -> None:
        _require(
            "A diode", saturation_current=self.saturation_current, ideality=self.ideality, temperature=self.temperature
        )

    @property
    def thermal_voltage(self) -> Any:
        """``n k T / q``, V."""
        return np.asarray(self.ideality, float) * np.asarray(self.temperature, float) * (BOLTZMANN / ELEMENTARY_CHARGE)

    def current(self, voltage: Any) -> Any:
        """Amperes at ``voltage`` (V)."""
        sign = -1.0 if self.reverse else 1.0
        with np.errstate(over="ignore"):
            return sign * self.saturation_current * np.expm1(sign * np.asarray(voltage, float) / self.thermal_voltage)

    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """See :class:`NonlinearNode`."""
        sign = -1.0 if self.reverse else 1.0
        return (Element(DIODE, (sign, self.saturation_current, self.thermal_voltage), self),)

    def admittance(self, omega: np.ndarray) -> np.ndarray:
        """See :class:`NonlinearOnePort`."""
        conductance = np.asarray(self.saturation_current / self.thermal_voltage)
        return np.broadcast_to(conductance, (len(omega), *conductance.shape))


@dataclass(frozen=True)
class Varactor(NonlinearOnePort):
    """A junction capacitance ``C(v) = C0 / (1 + v / V_J)^M``, ``v`` (V) the reverse voltage, charge its state.

    ``capacitance`` (F, at rest), ``potential`` (V_J), ``grading`` (M); below ``-linear_from V_J`` the capacitance goes
    on
    along its tangent, as in SPICE. ``reverse`` turns it round, ``voltage`` is on it at time zero; all but ``reverse``
    may be
    arrays. Every step conserves charge, ``i dt = q' - q``, and energy exactly: the voltage of a step is the stored
    energy's
    difference over the charge's (for a constant capacitance that is the trapezoidal rule). Raises NetworkError.
    Source: SPICE2 (Nagel 1975), diode depletion capacitance; discrete gradient: Gonzalez 1996.

    >>> varactor = Varactor(56e-12, potential=3.826, grading=1.267)  # BB439
    >>> round(float(varactor.capacitance_at(1.0)) * 1e12, 1)
    41.7
    """

    capacitance: Any = 1e-12
    potential: Any = 0.7
    grading: Any = 0.5
    linear_from: float = 0.5
    reverse: bool = False
    voltage: Any = 0.0

    def __post_init__(self) -> None:
        _require("A varactor", capacitance=self.capacitance, potential=self.potential, grading=self.grading)
        if not 0.0 <= self.linear_from < 1.0:
            raise NetworkError(f"A varactor needs 0 <= linear_from < 1, but linear_from={self.linear_from!r}")

    def _constants(self) -> tuple[Any, ...]:
        """V_J, M, C0 V_J; at the start of the tangent: voltage, charge, capacitance, slope of C, stored energy."""
        c0, vj, m = (np.asarray(x, float) for x in (self.capacitance, self.potential, self.grading))
        rest = 1.0 - self.linear_from
        edge, c_edge, slope = -self.linear_from * vj, c0 * rest**-m, m * c0 / vj * rest ** (-m - 1.0)
        q_edge = c0 * vj * _power_integral(rest, 1.0 - m)
        return vj, m, c0 * vj, edge, q_edge, c_edge, slope, _curve_energy(q_edge, rest, vj, m, c0 * vj)

    def capacitance_at(self, voltage: Any) -> Any:
        """Farads at a reverse ``voltage`` (V)."""
        vj, m, qs, edge, _, c_edge, slope, _ = self._constants()
        v = np.asarray(voltage, float)
        curve = qs / vj * np.maximum(1.0 + v / vj, 1.0 - self.linear_from) ** -m
        return np.where(v >= edge, curve, c_edge + slope * (edge - v))[()]

    def charge(self, voltage: Any) -> Any:
        """Coulombs at a reverse ``voltage`` (V)."""
        vj, m, qs, edge, q_edge, c_edge, slope, _ = self._constants()
        v = np.asarray(voltage, float)
        below = np.maximum(edge - v, 0.0)
        curve = qs * _power_integral(1.0 + np.maximum(v, edge) / vj, 1.0 - m)
        return np.where(v >= edge, curve, q_edge - c_edge * below - 0.5 * slope * below**2)[()]

    def _tangent(self, charge: Any) -> tuple[Any, Any]:
        """How far the charge and the voltage lie below the start of the tangent."""
        _, _, _, _, q_edge, c_edge, slope, _ = self._constants()
        missing = np.maximum(q_edge - charge, 0.0)
        return missing, 2.0 * missing / (c_edge + np.sqrt(c_edge**2 + 2.0 * slope * missing))

    def voltage_at(self, charge: Any) -> Any:
        """Reverse voltage (V) at a ``charge`` (C); infinite where a junction with M > 1 can hold no more."""
        vj, m, qs, edge, q_edge, *_ = self._constants()
        q = np.asarray(charge, float)
        with np.errstate(over="ignore", divide="ignore"):
            curve = vj * (_inverse_power_integral(np.maximum(q, q_edge) / qs, 1.0 - m) - 1.0)
        return np.where(q >= q_edge, curve, edge - self._tangent(q)[1])[()]

    def energy(self, charge: Any) -> Any:
        """Joules stored at a ``charge`` (C): the integral of ``v dq`` from rest."""
        vj, m, qs, edge, q_edge, c_edge, slope, w_edge = self._constants()
        q = np.asarray(charge, float)
        missing, below = self._tangent(q)
        above = np.maximum(q, q_edge)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            curve = _curve_energy(above, _inverse_power_integral(above / qs, 1.0 - m), vj, m, qs)
        tangent = w_edge - edge * missing + 0.5 * c_edge * below**2 + slope * below**3 / 3.0
        return np.where(q >= q_edge, curve, tangent)[()]

    def elements(self, reference_power: float) -> tuple[Element, ...]:
        """See :class:`NonlinearNode`."""
        sign = -1.0 if self.reverse else 1.0
        return (Element(VARACTOR, (sign, *self._constants()), self, self.charge(sign * np.asarray(self.voltage))),)

    def admittance(self, omega: np.ndarray) -> np.ndarray:
        """See :class:`NonlinearOnePort`."""
        capacitance = np.asarray(self.capacitance_at((-1.0 if self.reverse else 1.0) * np.asarray(self.voltage)))
        return 1j * omega.reshape(-1, *[1] * capacitance.ndim) * capacitance


def _power_integral(y: Any, k: Any) -> Any:
    """The integral of ``y^(k-1)`` from 1 to y: ``(y^k - 1)/k``, or ``log y`` at k = 0."""
    log, k = np.log(y), np.asarray(k, float)
    return np.where(k == 0.0, log, np.expm1(k * log) / np.where(k == 0.0, 1.0, k))


def _inverse_power_integral(value: Any, k: Any) -> Any:
    """The ``y`` whose power integral is ``value``; infinite beyond the largest there is."""
    k = np.asarray(k, float)
    inside = np.maximum(k * value, -1.0)
    with np.errstate(divide="ignore"):
        return np.where(k == 0.0, np.exp(value), np.exp(np.log1p(inside) / np.where(k == 0.0, 1.0, k)))


def _curve_energy(q: Any, y: Any, vj: Any, m: Any, qs: Any) -> Any:
    """Energy on the power law at charge ``q``, where ``y = 1 + v / V_J``."""
    return vj * (qs * _power_integral(y, 2.0 - np.asarray(m, float)) - q)
