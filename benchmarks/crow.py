"""Coupled-resonator waveguides against photontorch: 63 rings x 100 wavelengths and 511 rings x 1, 3000 steps.

The peer runs part of the steps, for it takes minutes; with ``--full`` it runs them all.
"""

import numpy as np
from common import options
from photonic import compare, crow, interpreter


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick and not chosen.photontorch else interpreter(chosen.photontorch)
    for rings, count, peer_steps in ((3, 4, 60), (5, 1, 60)) if chosen.quick else ((63, 100, 300), (511, 1, 300)):
        case = f"crow_{rings}_rings_{count}_wavelengths"
        if chosen.only not in case:
            continue
        problem = crow(rings, np.linspace(1.548e-6, 1.552e-6, count), 300 if chosen.quick else 3000)
        compare(case, problem, python, 1, "100", None if chosen.full else peer_steps)


if __name__ == "__main__":
    main()
