"""Coupled-resonator waveguides against photontorch: 63 rings x 100 wavelengths and 511 rings x 1, 3000 steps."""

import numpy as np
from common import options
from photonic import compare, crow, interpreter


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick and not chosen.photontorch else interpreter(chosen.photontorch)
    for rings, count in ((3, 4), (5, 1)) if chosen.quick else ((63, 100), (511, 1)):
        problem = crow(rings, np.linspace(1.548e-6, 1.552e-6, count), 300 if chosen.quick else 3000)
        compare(f"crow_{rings}_rings_{count}_wavelengths", problem, python, 1, "100")


if __name__ == "__main__":
    main()
