"""Makes `substrate/noise/noise_table.npy`, the inverse normal CDF as piecewise polynomials, and measures its error.

    python tests/tools/make_normal_table.py            # write the table (needs mpmath)
    PYTHONPATH=. python tests/tools/make_normal_table.py --check    # error of the shipped table (needs scipy)
    PYTHONPATH=. python tests/tools/make_normal_table.py --check --stride 1    # all 2**31 magnitudes, some minutes

A 31-bit magnitude k stands for the tail probability p = (k + 0.5) / 2**32 = u / 2**33 with u = 2 k + 1 odd. The octave
of u (its leading bit) and the next SUB_BITS bits choose a segment; inside it `t` is the rest of the mantissa, counted
from the middle of the segment, and the quantile is a polynomial in t. Coefficients interpolate at Chebyshev nodes in
50-digit arithmetic and are rounded once to double. A new table changes every noisy result ever recorded: bump it only
with a major version.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

OCTAVES = 32
SUB_BITS = 4
DEGREE = 4
TABLE = Path(__file__).resolve().parents[2] / "substrate" / "noise" / "noise_table.npy"


def segment_polynomial(octave: int, sub: int) -> list[float]:
    """Coefficients, constant first, of the upper quantile on one segment as a polynomial in t."""
    import mpmath as mp

    width = mp.mpf(1) / 2**SUB_BITS
    centre = 1 + (sub + mp.mpf(1) / 2) * width
    nodes = [width / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / (DEGREE + 1)) for i in range(DEGREE + 1)]
    values = []
    for t in nodes:
        tail = mp.ldexp(centre + t, octave - 33)
        values.append(mp.sqrt(2) * mp.erfinv(1 - 2 * tail))
    vandermonde = mp.matrix([[t**j for j in range(DEGREE + 1)] for t in nodes])
    return [float(c) for c in mp.lu_solve(vandermonde, mp.matrix(values))]


def make() -> np.ndarray:
    """The table, float64[OCTAVES << SUB_BITS, DEGREE + 1], constant coefficient first."""
    import mpmath as mp

    mp.mp.dps = 50
    return np.array([segment_polynomial(o, s) for o in range(OCTAVES) for s in range(1 << SUB_BITS)], dtype="<f8")


def worst_error(stride: int = 64, chunk: int = 1 << 20) -> tuple[float, int]:
    """Largest |table - scipy.special.ndtri| and its magnitude, over the first `chunk` of them and every `stride`-th."""
    from scipy.special import ndtri

    from substrate.noise import words_to_normals

    worst, where = 0.0, 0
    starts = [(0, 1)] + [(start, stride) for start in range(0, 1 << 31, chunk * stride)]
    for start, step in starts:
        k = np.arange(start, min(start + chunk * step, 1 << 31), step, dtype=np.int64)
        error = np.abs(words_to_normals(k.astype(np.uint32)) + ndtri((2 * k + 1) * 2.0**-33))
        i = int(np.argmax(error))
        if error[i] > worst:
            worst, where = float(error[i]), int(k[i])
    return worst, where


def main() -> None:
    """Write the table, or check the one that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--stride", type=int, default=64)
    arguments = parser.parse_args()
    if arguments.check:
        error, where = worst_error(arguments.stride)
        print(f"largest error {error:.3e} at magnitude {where}")
    else:
        np.save(TABLE, make())
        print(f"wrote {TABLE}")


if __name__ == "__main__":
    main()
