"""What the benchmarks share: their lines of output, clocks, and a check that both sides computed the same thing."""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np


def options(description: str) -> argparse.Namespace:
    """``--quick`` (small sizes, for tests) and the interpreter that has photontorch."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: does it run, not how fast")
    parser.add_argument("--photontorch", default="", help="a Python that has photontorch (or set PHOTONTORCH_PYTHON)")
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    parser.add_argument("--full", action="store_true", help="let slow peers run all of their steps")
    return parser.parse_args()


def report(case: str, number: float, what: str) -> None:
    """The line that says how a case ended: ``what`` is what was divided by what."""
    print(f"RATIO {case} {number:.3g} ({what})", flush=True)


def skipped(case: str, peer: str) -> None:
    """The line of a case whose peer is not there."""
    print(f"SKIPPED {case} {peer} not installed", flush=True)


def best(call: Callable[[], object], seconds: float = 1.0, least: int = 5) -> float:
    """The shortest of many calls, which is what they take when no other job is in the way."""
    shortest, end, calls = np.inf, time.perf_counter() + seconds, 0
    while calls < least or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        shortest = min(shortest, time.perf_counter() - start)
        calls += 1
    return shortest


def medians(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Median seconds of each call; they take turns, so that all see the same machine."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def agree(case: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> float:
    """The largest difference over the largest value; stops the benchmark where it is above ``tolerance``."""
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    print(f"{case}: largest difference {difference:.2g} (tolerance {tolerance:.0e})", flush=True)
    if not difference <= tolerance:
        raise SystemExit(f"{case}: the two sides did not compute the same thing")
    return difference


def differ(case: str, wrong: np.ndarray, theirs: np.ndarray, tolerance: float, what: str) -> None:
    """The negative control of :func:`agree`: stops the benchmark where something ``wrong`` would have passed."""
    difference = float(np.abs(wrong - theirs).max() / np.abs(theirs).max())
    print(f"{case}: with {what} {difference:.2g}", flush=True)
    if not difference > tolerance:
        raise SystemExit(f"{case}: the comparison does not notice {what}")
