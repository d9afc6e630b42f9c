"""Clements meshes with delays against photontorch: N = 8, 16, 32 and batches of 1, 64, 256."""

from common import options
from photonic import compare, interpreter, mesh

FLOORS = {8: "50", 16: "80", 32: "200"}


def main() -> None:
    chosen = options(__doc__)
    python = None if chosen.quick and not chosen.photontorch else interpreter(chosen.photontorch)
    for size in (4,) if chosen.quick else FLOORS:
        for batch in (1, 3) if chosen.quick else (1, 64, 256):
            problem = mesh(size, batch, 200 if chosen.quick or size < 32 else 100)
            compare(f"mesh_{size}_batch_{batch}", problem, python, 3 if size < 32 else 1, FLOORS.get(size, "-"))


if __name__ == "__main__":
    main()
