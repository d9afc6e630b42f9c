"""Algebra of scattering matrices: other port impedances, thermal noise of a lossy matrix, parts hung on a junction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from substrate.errors import NetworkError
from substrate.nodes.linear import Drive, Scattering


def _diagonals(values: Sequence[Any]) -> np.ndarray:
    """Diagonal matrices ``[..., n, n]`` from n entries that are numbers or arrays."""
    entries = np.stack(np.broadcast_arrays(*values), axis=-1)
    matrix: np.ndarray = entries[..., :, None] * np.eye(len(values))
    return matrix


def renormalised(matrix: np.ndarray, ports: int, old: Sequence[Any], new: Sequence[Any]) -> np.ndarray:
    """``[..., ports + states, ports + states + sources]`` for waves at impedances ``new`` instead of ``old`` (ohm).

    The first rows and columns are power waves; states and sources keep their meaning.
    Source: voltage and current of a port do not depend on the impedance its waves refer to; Kurokawa 1965, eq. 4.

    >>> renormalised(np.array([[0.0]]), 1, [100.0], [50.0]).round(4).tolist()  # 100 ohm seen from 50 ohm
    [[0.3333]]
    """
    pairs = [(np.asarray(before, float), np.asarray(after, float)) for before, after in zip(old, new, strict=True)]
    if all(np.array_equal(before, after) for before, after in pairs):
        return matrix
    # a_old = p a_new + q b_new and b_old = q a_new + p b_new.
    p = _diagonals([(after + before) / (2.0 * np.sqrt(after * before)) for before, after in pairs])
    q = _diagonals([(after - before) / (2.0 * np.sqrt(after * before)) for before, after in pairs])
    s, rest = matrix[..., :ports, :ports], matrix[..., :ports, ports:]
    system = p - s @ q
    right = np.concatenate(_same_batch(s @ p - q, rest), axis=-1)
    out = np.linalg.solve(system, right)
    if matrix.shape[-2] == ports:
        return out
    inner, feed = matrix[..., ports:, :ports], matrix[..., ports:, ports:]
    waves, others = out[..., :ports], out[..., ports:]
    lower = np.concatenate(_same_batch(inner @ (p + q @ waves), feed + inner @ q @ others), axis=-1)
    return np.concatenate(_same_batch(out, lower), axis=-2)


def _same_batch(*arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays with equal leading axes; the last two stay as they are."""
    lead = np.broadcast_shapes(*[array.shape[:-2] for array in arrays])
    return [np.broadcast_to(array, (*lead, *array.shape[-2:])) for array in arrays]


def warmed(matrix: np.ndarray, temperature: float) -> Scattering:
    """A memoryless ``[..., n, n]`` passive matrix with the thermal noise of what it absorbs at ``temperature`` (K).

    Noise waves have the covariance ``kT (I - S S^H) / (2 dt)``. Source: Bosma 1967, theorem; Wedge and Rutledge 1991,
    eq. 9.

    >>> warmed(np.array([[0.0, 0.6], [0.6, 0.0]]), 300.0).matrix.round(3).tolist()
    [[0.0, 0.6, 0.8, 0.0], [0.6, 0.0, 0.0, 0.8]]
    """
    ports = matrix.shape[-1]
    if temperature == 0.0:
        return Scattering(matrix, ports)
    absorbed = np.eye(ports) - matrix @ np.conj(np.swapaxes(matrix, -1, -2))
    values, vectors = np.linalg.eigh(absorbed)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]) @ np.conj(np.swapaxes(vectors, -1, -2))
    root = np.where(np.abs(root) < 1e-15, 0.0, root)
    drives = tuple(Drive(temperature=temperature) for _ in range(ports))
    return Scattering(np.concatenate([matrix, root], axis=-1), ports, drives=drives)


def fluctuating(part: Scattering, temperature: float, kind: str = "thermal") -> Scattering:
    """``part`` with the noise of all it absorbs and amplifies at ``temperature`` (K), states included; batches too.

    White noise of covariance ``I - M M^H`` (``|I - M M^H|`` where it amplifies) enters waves and states together, so
    that waves out are white with kT/(2 dt) at every port when those in are: ``kT (I - S S^H)`` at every frequency,
    exactly, with M the part's matrix in coordinates in which its states have unit variance. States that are waves have
    them already; those of a filter get them from the bounded-real equation. Raises NetworkError where it has no answer.
    Source: Bosma 1967; Anderson and Vongpanitlerd, "Network Analysis and Synthesis" (1973), section 7.2 (spectral
    factorisation).

    >>> warm = fluctuating(Scattering(np.array([[0.5, 0.5], [0.5, 0.5]]), 1, energy=np.ones(1)), 300.0)
    >>> (warm.matrix @ warm.matrix.T).round(12).tolist()  # a unit of power arrives, waits and leaves
    [[1.0, 0.0], [0.0, 1.0]]
    """
    size = part.ports + part.states
    matrix, weights = part.matrix[..., :size], np.eye(size)
    if np.any(part.energy == 0.0):
        weights = weights.copy()
        weights[part.ports :, part.ports :] = _equilibrium(matrix, part.ports)
    absorbed = weights - matrix @ weights @ np.conj(np.swapaxes(matrix, -1, -2))
    values, vectors = np.linalg.eigh(absorbed)
    kept = np.abs(values).reshape(-1, size).max(axis=0) > 1e-13 * np.linalg.norm(weights, 2)
    columns = (vectors * np.sqrt(np.abs(values))[..., None, :])[..., kept]
    columns = np.where(np.abs(columns) < 1e-15, 0.0, columns)
    drives = tuple(Drive(temperature=temperature, kind=kind) for _ in range(int(kept.sum())))
    return replace(part, matrix=np.concatenate([part.matrix, columns], axis=-1), drives=(*part.drives, *drives))


def _equilibrium(matrix: np.ndarray, ports: int) -> np.ndarray:
    """Covariance of the states of a passive filter between white waves of unit variance: the bounded-real equation."""
    from scipy.linalg import solve_discrete_are

    if matrix.ndim > 2:
        raise NetworkError("Noise of a filter needs a single matrix, not one per sample; give it single numbers")
    c, a = matrix[:ports, ports:], matrix[ports:, ports:]
    for share in (1.0, 1.0 - 1e-9, 1.0 - 1e-7):  # lossless at some frequency: a hair of loss makes it solvable
        d, b = share * matrix[:ports, :ports], share * matrix[ports:, :ports]
        try:
            found = solve_discrete_are(a.T, c.T, b @ b.T, d @ d.T - np.eye(ports), s=b @ d.T)
        except (np.linalg.LinAlgError, ValueError):
            continue
        whole = np.eye(len(matrix))
        whole[ports:, ports:] = found
        excess = np.linalg.eigvalsh(whole - matrix @ whole @ matrix.T)
        if np.all(np.isfinite(found)) and excess.min() > -1e-6 * np.linalg.norm(whole, 2):
            return np.asarray(found)
    raise NetworkError("The noise of a filter has no solution; it must be stable and passive at every frequency")


def hung(junction: np.ndarray, leaves: Sequence[Scattering]) -> Scattering:
    """One-ports ``leaves`` joined to the last ports of a memoryless ``junction[..., n, n]``; its first ports stay.

    >>> from substrate.nodes import ParallelJunction, Resistor
    >>> shunt = hung(ParallelJunction(3).matrix([50.0] * 3), [Resistor(50.0).scattering([50.0], 1.0)])
    >>> shunt.matrix.round(4).tolist()
    [[-0.3333, 0.6667], [0.6667, -0.3333]]
    """
    outer = junction.shape[-1] - len(leaves)
    gamma = _blocks([leaf.matrix[..., :1, :1] for leaf in leaves])
    leaving = _blocks(
        [leaf.matrix[..., :1, 1:] for leaf in leaves]
    )  # states and sources of each leaf -> wave into the junction
    entering = _blocks([leaf.matrix[..., 1:, :1] for leaf in leaves])
    kept = _blocks([leaf.matrix[..., 1:, 1:] for leaf in leaves])
    # A leaf's columns are its states, then its sources; those of all leaves must be states first.
    columns = [(leaf, k < x.states) for leaf, x in enumerate(leaves) for k in range(x.states + len(x.drives))]
    order = sorted(range(len(columns)), key=lambda k: not columns[k][1])
    leaving, kept = leaving[..., order], kept[..., order]
    j00, j01 = junction[..., :outer, :outer], junction[..., :outer, outer:]
    j10, j11 = junction[..., outer:, :outer], junction[..., outer:, outer:]
    # a of the junction's leaf ports: a = gamma (j10 x + j11 a) + leaving s.
    right = np.concatenate(_same_batch(gamma @ j10, leaving), axis=-1)
    arriving = np.linalg.solve(np.eye(len(leaves)) - gamma @ j11, right)
    top, toward = j01 @ arriving, j11 @ arriving
    top[..., :outer] += j00
    toward[..., :outer] += j10
    lower = entering @ toward
    lower[..., outer:] += kept
    return Scattering(
        np.concatenate(_same_batch(top, lower), axis=-2),
        outer,
        energy=np.concatenate([leaf.energy for leaf in leaves]),
        initial=np.concatenate(_rows([leaf.initial for leaf in leaves]), axis=-1),
        drives=tuple(drive for leaf in leaves for drive in leaf.drives),
    )


def _rows(initials: Sequence[Any]) -> list[np.ndarray]:
    """Initial states with one leading shape."""
    arrays = [np.asarray(initial, float) for initial in initials]
    lead = np.broadcast_shapes(*[array.shape[:-1] for array in arrays])
    return [np.broadcast_to(array, (*lead, array.shape[-1])) for array in arrays]


def _blocks(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Block-diagonal matrix ``[..., rows, columns]``."""
    lead = np.broadcast_shapes(*[part.shape[:-2] for part in parts])
    rows, columns = sum(part.shape[-2] for part in parts), sum(part.shape[-1] for part in parts)
    out = np.zeros((*lead, rows, columns), np.result_type(*parts))
    row = column = 0
    for part in parts:
        out[..., row : row + part.shape[-2], column : column + part.shape[-1]] = part
        row, column = row + part.shape[-2], column + part.shape[-1]
    return out
