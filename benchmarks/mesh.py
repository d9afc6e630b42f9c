"""Clements meshes with delays against photontorch: N = 8, 16, 32 and batches of 1, 64, 256; N = 64 and 64."""

from common import options
from photonic import compare, interpreter, mesh

FLOORS = {8: "50", 16: "80", 32: "200", 64: "200"}
BATCHES = (1, 64, 256)


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick and not chosen.photontorch else interpreter(chosen.photontorch)
    cases = [(4, 1), (4, 3)] if chosen.quick else [(n, b) for n in (8, 16, 32) for b in BATCHES] + [(64, 64)]
    for size, batch in cases:
        case = f"mesh_{size}_batch_{batch}"
        if chosen.only not in case:
            continue
        # Of 64 columns with short delays light comes out soon enough for the peer, which takes about a second a step.
        arm, gap = (1, 1) if size == 64 else (4, 8)
        problem = mesh(size, batch, (arm + gap) * size + 40, arm, gap)
        compare(case, problem, python, 3 if size < 32 else 1, FLOORS.get(size, "-"))


if __name__ == "__main__":
    main()
