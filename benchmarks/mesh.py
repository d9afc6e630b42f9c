"""Clements meshes with delays against photontorch: N = 8, 16, 32 and batches of 1, 64, 256; 48, 64 with ``--full``."""

from common import options
from photonic import compare, interpreter, mesh

FLOORS = {8: "50", 16: "80", 32: "200", 48: "200", 64: "200"}


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick and not chosen.photontorch else interpreter(chosen.photontorch)
    cases = [(4, 1), (4, 3)] if chosen.quick else [(size, batch) for size in (8, 16, 32) for batch in (1, 64, 256)]
    if chosen.full and not chosen.quick:  # the peer solves a dense system of all ports: 64 modes need more than 24 GB
        cases += [(48, 64), (64, 64)]
    for size, batch in cases:
        case = f"mesh_{size}_batch_{batch}"
        if chosen.only not in case:
            continue
        # A step of 32 columns takes the peer up to a second: with short delays light comes out after fewer of them.
        arm, gap = (4, 8) if size < 32 else (1, 2) if size == 32 else (1, 1)
        problem = mesh(size, batch, (arm + gap) * size + (40 if size < 32 else 24), arm, gap)
        compare(case, problem, python, 3 if size < 32 else 1, FLOORS.get(size, "-"))


if __name__ == "__main__":
    main()
