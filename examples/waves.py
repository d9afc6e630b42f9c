"""Trains the digits on lines of several ticks and draws how batches run through them (docs/training.md).

    python examples/waves.py                 # docs/figures/waves.png and the other figures of the run beside it
    python examples/waves.py --epochs 1      # a quick look

Lines of eight ticks, so that the light cone of each batch is seen; warm and lossy, as real ones are.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see examples/dwell.py

from devices import Gradient

from substrate import Line
from substrate.learning.layered import layered
from substrate.learning.settings import TrainSettings
from substrate.learning.training import train
from substrate.plot import plot_run

DT = 1.25e-12  # s
DELAY = 8 * DT
DWELL = 4 * 6 * DELAY  # four round trips of three lines


def main() -> None:
    """Train, print the outcome, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=Path("docs/figures"))
    options = parser.parse_args()
    network = layered([64, 48, 32, 10], line=Line(DELAY, loss_db=0.2, temperature=300.0), seed=0)
    settings = TrainSettings(dt=DT, dwell=DWELL, epochs=options.epochs, batch=options.batch)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.h5"
        summary = train(network, "digits", Gradient(rate=0.3 / DWELL), settings, out=run)
        written = plot_run(run, options.folder)
    for name, value in summary.items():
        print(f"{name:28} {value:.6g}")
    print("wrote", *written)


if __name__ == "__main__":
    main()
