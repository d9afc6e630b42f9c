"""Fits a stable rational model with common poles to sampled frequency responses: vector fitting."""

from dataclasses import dataclass

import numpy as np

SETTLED = 1e-10  # relative movement of the poles below which fitting stops
LARGEST = 40  # passes


@dataclass(frozen=True, eq=False)
class RationalFit:
    """``h(s) = c (s - A)^-1 b + d`` for every response: one A and b for all, ``c[responses, order]``, ``d[responses]``.

    ``error`` is the largest deviation at the given samples.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray
    error: float


def vector_fit(omega: np.ndarray, responses: np.ndarray, order: int) -> RationalFit:
    """Fit ``responses[count, frequencies]`` at angular frequencies ``omega`` (rad/s) with ``order`` poles.

    Poles are real or in conjugate pairs, all in the left half plane. Source: Gustavsen and Semlyen 1999; relaxed,
    Gustavsen 2006; one QR per response, Deschrijver 2008.

    >>> omega = np.linspace(0.0, 10.0, 50)
    >>> fit = vector_fit(omega, (1.0 / (1j * omega + 2.0) + 0.5)[None], 1)
    >>> round(float(fit.a[0, 0]), 6), fit.error < 1e-12
    (-2.0, True)
    """
    unit = float(np.max(omega))
    s = 1j * omega / unit
    a, b = _first_poles(float(np.min(omega[omega > 0.0]) / unit), order)
    for _ in range(LARGEST):
        moved = _relocated(s, responses, a, b)
        change = np.max(np.abs(np.sort_complex(np.linalg.eigvals(moved)) - np.sort_complex(np.linalg.eigvals(a))))
        a, b = _blocks(np.linalg.eigvals(moved))
        if change < SETTLED:
            break
    basis = np.concatenate([_basis(s, a, b), np.ones((len(s), 1))], axis=1)
    found = np.linalg.lstsq(_real(basis), _real(responses.T), rcond=None)[0]
    error = float(np.max(np.abs(basis @ found - responses.T)))
    return RationalFit(a * unit, b * unit, found[:-1].T, found[-1], error)


def _real(matrix: np.ndarray) -> np.ndarray:
    """Real parts above imaginary parts."""
    return np.concatenate([matrix.real, matrix.imag])


def _basis(s: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``(s - A)^-1 b``, ``[frequencies, order]``."""
    columns = np.broadcast_to(b[:, None], (len(s), len(b), 1))
    basis: np.ndarray = np.linalg.solve(s[:, None, None] * np.eye(len(a)) - a, columns)[..., 0]
    return basis


def _first_poles(lowest: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Weakly damped pairs spread over the band, and one real pole where the order is odd."""
    imaginary = np.linspace(lowest, 1.0, order // 2) if order > 1 else np.zeros(0)
    pairs = imaginary * (-0.01 + 1j)
    return _blocks(np.concatenate([pairs, pairs.conj(), [-1.0] * (order % 2)]))


def _blocks(poles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A real A with the given poles, mirrored into the left half plane, and its b."""
    poles = -np.maximum(np.abs(poles.real), 1e-12) + 1j * poles.imag
    pairs: np.ndarray = poles[poles.imag > 0.0]
    real = poles[poles.imag == 0.0].real
    size = 2 * len(pairs) + len(real)
    a: np.ndarray = np.zeros((size, size))
    b = np.ones(size)
    for k, pole in enumerate(pairs):
        a[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[pole.real, pole.imag], [-pole.imag, pole.real]]
        b[2 * k : 2 * k + 2] = [2.0, 0.0]
    rest = np.arange(2 * len(pairs), size)
    a[rest, rest] = real
    return a, b


def _relocated(s: np.ndarray, responses: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A matrix whose eigenvalues are the zeros of the weight that makes all responses fit best with these poles."""
    order, phi = len(a), np.concatenate([_basis(s, a, b), np.ones((len(s), 1))], axis=1)
    rows = []
    for h in responses:
        system = _real(np.concatenate([phi, -h[:, None] * phi], axis=1))
        triangle: np.ndarray = np.linalg.qr(system).R
        rows.append(triangle[order + 1 :, order + 1 :])
    # The weight's real part shall be 1 on the mean, so that it cannot vanish.
    scale = np.linalg.norm(responses) / len(s)
    rows.append(scale * phi.real.sum(axis=0)[None])
    right = np.zeros(sum(len(row) for row in rows))
    right[-1] = scale * len(s)
    weight = np.linalg.lstsq(np.concatenate(rows), right, rcond=None)[0]
    last = weight[-1] if abs(weight[-1]) > 1e-8 else np.copysign(1e-8, weight[-1])
    moved: np.ndarray = a - np.outer(b, weight[:-1]) / last
    return moved
