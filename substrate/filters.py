"""Small digital filters as states: fractional delays, allpasses, and fits with given real poles."""

from dataclasses import dataclass, field

import numpy as np

from substrate.errors import NetworkError


@dataclass(frozen=True, eq=False)
class Filter:
    """A causal filter ``s' = a s + b u, y = c s + d u``, one sample per step.

    ``a [n, n]``, ``b [n]``, ``c [n]``, ``d`` a number, real or complex; ``energy [n]`` is the weight of each state's
    square in the energy the filter holds (zero where none is known).
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: complex
    energy: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def states(self) -> int:
        """How many numbers it remembers."""
        return len(self.b)

    def response(self, z: np.ndarray) -> np.ndarray:
        """Output over input at the points ``z`` of the z plane."""
        if not self.states:
            return np.full(np.shape(z), self.d, complex)
        if np.array_equal(self.a, np.tril(self.a)):
            return self._triangular(np.asarray(z))
        system = np.asarray(z)[:, None, None] * np.eye(self.states) - self.a
        into = np.broadcast_to(self.b[:, None], (*system.shape[:2], 1))
        answer: np.ndarray = self.d + (np.linalg.solve(system, into)[..., 0] @ self.c)
        return answer

    def _triangular(self, z: np.ndarray) -> np.ndarray:
        """The response when no state hears a later one: one division per state."""
        states: list[np.ndarray] = []
        answer = np.full(z.shape, self.d, complex)
        for index, row in enumerate(self.a):
            heard = sum((row[other] * states[other] for other in np.flatnonzero(row[:index])), start=0.0)
            states.append((self.b[index] + heard) / (z - row[index]))
            answer += self.c[index] * states[-1]
        return answer

    def resting(self, ratio: float = 1.0) -> np.ndarray:
        """States ``[n]`` under an input that has grown by ``ratio`` per step for ever and is 1 in the next step."""
        return np.asarray(np.linalg.solve(ratio * np.eye(self.states) - self.a, self.b))


def plain(gain: complex = 1.0) -> Filter:
    """A filter that only multiplies."""
    return Filter(np.zeros((0, 0)), np.zeros(0), np.zeros(0), gain)


def cascade(first: Filter, second: Filter) -> Filter:
    """One filter after another.

    >>> cascade(linear_delay(0.5), linear_delay(0.5)).response(np.array([1.0, -1.0])).real.round(12).tolist()
    [1.0, -0.0]
    """
    n, m = first.states, second.states
    a = np.zeros((n + m, n + m), np.result_type(first.a, second.a, second.b, first.c))
    a[:n, :n], a[n:, n:] = first.a, second.a
    a[n:, :n] = np.outer(second.b, first.c)
    b = np.concatenate([first.b, second.b * first.d])
    c = np.concatenate([second.d * first.c, second.c])
    return Filter(a, b, c, first.d * second.d, np.concatenate([first.energy, second.energy]))


def linear_delay(share: float) -> Filter:
    """A delay of ``share`` of a step (0 to 1) by linear interpolation: cheap, attenuates high frequencies.

    Source: Laakso et al. 1996, "Splitting the unit delay", IEEE Signal Processing Magazine 13, eq. 29.

    >>> abs(linear_delay(0.5).response(np.exp(2j * np.pi * np.array([0.1])))[0]).round(8)
    np.float64(0.95105652)
    """
    # The state is what waits, s = u of the step before; its weight makes what is lost d (1 - d) (u - s)^2, never a
    # gain.
    root = np.sqrt(share)
    return Filter(np.zeros((1, 1)), np.array([root]), np.array([root]), 1.0 - share, np.ones(1))


def thiran_delay(steps: float, order: int) -> Filter:
    """A delay of ``steps`` (near ``order``) by the maximally flat allpass of ``order``: |H| = 1 at all frequencies.

    Its states are waves: what comes out and what is held always add up to what went in. Raises NetworkError.
    Source: Thiran 1971, IEEE Trans. Circuit Theory 18, as in Laakso et al. 1996, eq. 86.

    >>> h = thiran_delay(0.5, 1).response(np.exp(2j * np.pi * np.array([0.1])))[0]
    >>> round(float(-np.angle(h) / (2 * np.pi * 0.1)), 5)
    0.51265
    """
    if order < 1 or not order - 1.0 < steps:
        raise NetworkError(f"A Thiran allpass of order {order} delays by more than {order - 1} steps, not {steps!r}")
    k = np.arange(order + 1)
    terms = np.ones(order + 1)
    for index in k[1:]:
        n = np.arange(order + 1)
        terms[index] = (
            _binomial(order, index) * (-1) ** index * np.prod((steps - order + n) / (steps - order + index + n))
        )
    return _lossless(terms)


def _binomial(n: int, k: int) -> float:
    value = 1.0
    for index in range(k):
        value *= (n - index) / (index + 1)
    return value


def _lossless(denominator: np.ndarray) -> Filter:
    """The allpass ``z^-n D(1/z) / D(z)`` as a lattice of rotations, whose states are waves (Gray and Markel 1973)."""
    reflections, terms = [], denominator / denominator[0]
    while len(terms) > 1:
        k = terms[-1]
        if not abs(k) < 1.0:
            raise NetworkError("The allpass is not stable; choose another order")
        reflections.append(k)
        terms = ((terms - k * terms[::-1]) / (1.0 - k * k))[:-1]
    # From the inside out: an allpass behind one state, rotated with what arrives.
    inner = plain()
    for k in reversed(reflections):
        inner = _rotated(inner, float(k))
    return inner


def _rotated(inner: Filter, k: float) -> Filter:
    """``(k + w) / (1 + k w)`` with ``w`` one step followed by ``inner``: one more section of the lattice."""
    n, through = inner.states, np.sqrt(1.0 - k * k)
    # w's state holds f; inner is fed with it and returns g. y = k u + through g, f' = through u - k g.
    a = np.zeros((n + 1, n + 1))
    a[0, 0], a[0, 1:] = -k * np.real(inner.d), -k * inner.c
    a[1:, 0], a[1:, 1:] = inner.b, inner.a
    b = np.concatenate([[through], np.zeros(n)])
    c = np.concatenate([[through * np.real(inner.d)], through * inner.c])
    return Filter(a, b, c, k, np.ones(n + 1))


def dispersive_allpass(slope: float) -> tuple[Filter, float, float]:
    """An allpass of first order whose group delay rises by ``slope`` steps per radian at the carrier.

    Its pole is complex, for envelopes only, and placed where the delay has no curvature, so that its phase is right to
    the third order. Returns the filter, its group delay at the carrier (steps) and its phase there (rad), by which it
    is already turned back. Source: the group delay of a section, Oppenheim and Schafer, section 5.5.

    >>> section, delay, _ = dispersive_allpass(0.3)
    >>> round(float(abs(section.response(np.exp(1j * np.array([0.4])))[0])), 12)
    1.0
    """
    radius, cosine = _section(abs(slope))
    # tau(w) = (1 - r^2) / (1 + r^2 - 2 r cos(w - angle)): it rises where w is below the angle.
    pole = radius * np.exp(1j * np.arccos(cosine) * np.sign(slope))
    delay = (1.0 - radius**2) / (1.0 + radius**2 - 2.0 * radius * cosine)
    at_carrier = complex((1.0 - np.conj(pole)) / (1.0 - pole))
    turn, through = 1.0 / at_carrier, np.sqrt(1.0 - radius**2)
    section = Filter(
        np.array([[pole]]), np.array([through + 0j]), np.array([through * turn]), -np.conj(pole) * turn, np.ones(1)
    )
    return section, float(delay), float(np.angle(at_carrier))


def _section(slope: float) -> tuple[float, float]:
    """Radius of the pole, and cosine of its angle, that give the slope without curvature."""
    low, high = 0.0, 1.0 - 1e-6
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _slope(middle) < slope else (low, middle)
    return middle, _cosine(middle)


def _cosine(r: float) -> float:
    q = 1.0 + r * r
    return 0.0 if r == 0.0 else float((np.sqrt(q * q + 32.0 * r * r) - q) / (4.0 * r))


def _slope(r: float) -> float:
    cosine = _cosine(r)
    return float((1.0 - r * r) * 2.0 * r * np.sqrt(1.0 - cosine**2) / (1.0 + r * r - 2.0 * r * cosine) ** 2)


def fitted(target: np.ndarray, z: np.ndarray, poles: np.ndarray, taps: int, weight: np.ndarray, still: float) -> Filter:
    """The filter with real ``poles`` (in z) and ``taps`` plain delays that comes nearest to ``target`` at points ``z``.

    Least squares with ``weight``; the response to a constant is ``still`` exactly. States follow a constant 1 with 1.
    """
    basis = np.column_stack([(1.0 - poles) / (z[:, None] - poles), *(z ** -(tap + 1.0) for tap in range(taps))])
    system, wanted = (basis - 1.0) * weight[:, None], (target - still) * weight
    rows, right = np.concatenate([system.real, system.imag]), np.concatenate([wanted.real, wanted.imag])
    scale = np.linalg.norm(rows, axis=0)
    shares = np.linalg.lstsq(rows / scale, right, rcond=1e-13)[0] / scale
    n = len(poles)
    a = np.diag(np.concatenate([poles, np.zeros(taps)]))
    for tap in range(n + 1, n + taps):
        a[tap, tap - 1] = 1.0
    b = np.concatenate([1.0 - poles, np.eye(1, taps)[0] if taps else np.zeros(0)])
    return Filter(a, b, shares, float(still - shares.sum()), np.zeros(n + taps))
