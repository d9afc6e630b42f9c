"""Frequency response of a cascade of 100 lines at 1001 points against scikit-rf, in the same run; ends with RATIO."""

import importlib.util
import statistics
import time

import numpy as np

from substrate import Line, Network, ParallelJunction, Termination
from substrate.frequency import scattering_parameters

LINES, POINTS, REPEATS = 100, 1001, 21
CASE = f"frequency_{LINES}_lines_{POINTS}_points"
FREQUENCIES = np.linspace(1e8, 1e10, POINTS)


def impedance(index: int) -> float:
    return 50.0 + 25.0 * (index % 2)


def delay(index: int) -> float:
    return 1e-11 * (1 + index % 7)


def cascade(wrong: float = 1.0) -> Network:
    """Lines of two impedances and seven lengths between matched ends; ``wrong`` scales the impedance of one."""
    net, last = Network(), "a"
    net.add(Termination(), "a")
    for index in range(LINES):
        end = index == LINES - 1
        here = net.add(Termination() if end else ParallelJunction(2), "b" if end else f"n{index}")
        net.connect(last, here, Line(delay(index), impedance(index) * (wrong if index == 40 else 1.0)))
        last = here
    return net


def ours(net: Network) -> np.ndarray:
    return scattering_parameters(net, FREQUENCIES).s


def parts(skrf: object) -> list:
    """The same lines as networks of scikit-rf, at 50 and 75 ohm ports."""
    band = skrf.Frequency.from_f(FREQUENCIES, unit="hz")
    gamma = 2j * np.pi * FREQUENCIES / 3e8
    media = [skrf.media.DefinedGammaZ0(band, z0=impedance(index), gamma=gamma) for index in range(2)]
    return [media[index % 2].line(delay(index) * 3e8, "m") for index in range(LINES)]


def medians(calls: dict) -> dict[str, float]:
    """Median seconds of each call; they take turns, so that all see the same machine."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(REPEATS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    net = cascade()
    if importlib.util.find_spec("skrf") is None:
        print(f"substrate: {medians({'substrate': lambda: ours(net)})['substrate'] * 1e3:.2f} ms")
        print(f"SKIPPED {CASE} scikit-rf not installed")
        return
    import skrf

    lines = parts(skrf)
    theirs = skrf.network.cascade_list(lines).s
    right, wrong = (float(np.abs(ours(n) - theirs).max()) for n in (net, cascade(1.02)))
    print(f"largest difference {right:.2e}; with one line 2 % wrong {wrong:.2e}")
    assert right < 1e-6 < 1e-3 < wrong, "the two do not compute the same thing"
    found = medians(
        {
            "substrate, lines and junctions described": lambda: ours(net),
            "scikit-rf, lines evaluated and cascaded": lambda: skrf.network.cascade_list(parts(skrf)),
            "scikit-rf, cascade of evaluated lines": lambda: skrf.network.cascade_list(lines),
        }
    )
    for name, seconds in found.items():
        print(f"{name}: {seconds * 1e3:.2f} ms")
    mine, whole, cascaded = found.values()
    print(f"RATIO {CASE}_cascade_only {cascaded / mine:.1f} (scikit-rf without its lines over substrate with them)")
    print(f"RATIO {CASE} {whole / mine:.1f} (scikit-rf over substrate)")


if __name__ == "__main__":
    main()
