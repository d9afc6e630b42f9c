"""Response curves: what pulses or a constant drive do to a nominal cell without noise or spread."""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from devices.device import Array, Device, State
from devices.errors import DeviceError
from devices.step_device import StepDevice


def nominal(device: StepDevice) -> StepDevice:
    """The same device without spread, noise, dead cells and write errors, in pulsed mode."""
    quiet: dict[str, Any] = {f.name: 0.0 for f in fields(device) if f.name.endswith("_spread")}
    quiet |= {"cycle_to_cycle": 0.0, "write_noise": 0.0, "dead_fraction": 0.0, "mode": "pulsed"}
    return replace(device, rounding="deterministic", **quiet)


def pulse_response(device: StepDevice, pulses: int, start: float, direction: int = 1) -> Array:
    """theta [pulses + 1] of the nominal cell, starting at theta = `start`, after each of a train of pulses.

    `direction` is +1 (up) or -1 (down).

    >>> from devices.pulsed import SoftBounds
    >>> pulse_response(SoftBounds(dw_min=0.5), 2, start=0.0).tolist()
    [0.0, 0.5, 0.75]
    """
    quiet = nominal(device)
    cells: State = {"theta": np.array([start], dtype=np.float64)}
    size = np.asarray(quiet.pulse_sizes(np, cells)[0 if direction > 0 else 1])
    response = quiet.up if direction > 0 else quiet.down
    theta = np.empty(pulses + 1)
    theta[0] = start
    for k in range(pulses):
        here = theta[k : k + 1]
        theta[k + 1] = quiet.confine(np, here + direction * size * response(np, here, cells), cells)[0]
    return theta


def pulse_count(
    device: StepDevice, direction: int = 1, lo: float = 0.05, hi: float = 0.95, limit: int = 200_000
) -> int:
    """Pulses that take the nominal cell from one share of its range to another: `lo` to `hi` going up, back going down.

    Raises DeviceError after `limit` pulses.

    >>> from devices.pulsed import SoftBounds
    >>> pulse_count(SoftBounds(dw_min=0.01), +1)
    293
    """
    low, high = float(device.b_min), float(device.b_max)
    first, last = (lo, hi) if direction > 0 else (hi, lo)
    start, stop = low + first * (high - low), low + last * (high - low)
    length = 1024
    while length <= 2 * limit:
        path = pulse_response(device, length, start, direction)
        arrived = direction * (path - stop) >= 0
        if arrived.any():
            return int(np.argmax(arrived))
        length *= 4
    raise DeviceError(f"{type(device).__name__} needs more than {limit} pulses from {lo:.0%} to {hi:.0%} of its range")


def symmetry_point(device: StepDevice) -> float:
    """theta at which an up and a down pulse of the nominal cell cancel; NaN if there is no such single point.

    >>> from devices.pulsed import SoftBounds
    >>> symmetry_point(SoftBounds(dw_min=0.01)) == 0.0
    True
    """
    quiet = nominal(device)
    low, high = float(device.b_min), float(device.b_max)
    cells: State = {"theta": np.zeros(1)}
    size_up, size_down = quiet.pulse_sizes(np, cells)

    def excess(theta: Array) -> Array:
        return size_up * quiet.up(np, theta, cells) - size_down * quiet.down(np, theta, cells)

    if not excess(np.array([low]))[0] > 0 > excess(np.array([high]))[0]:
        return float("nan")
    for _ in range(200):
        middle = 0.5 * (low + high)
        difference = float(excess(np.array([middle]))[0])
        if difference == 0 or not low < middle < high:
            return middle
        low, high = (middle, high) if difference > 0 else (low, middle)
    return 0.5 * (low + high)


def drive_response(device: Device, drive: float, times: Array, start: float | None = None) -> Array:
    """Value [n] of one average cell of any device at `times` [n] (s, rising from 0) under a constant `drive`.

    Noise and spread are drawn as zeros. `start` is the value at time 0: the middle of the range if None, 0 if that
    has no middle.

    >>> from devices.ideal import Gradient
    >>> drive_response(Gradient(2.0), 1.0, np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 1.0, 2.0]
    """
    lo, hi = device.clip_range()
    if start is None:
        start = 0.5 * (lo + hi) if np.isfinite(hi - lo) else 0.0
    state = device.create(np.array([start], dtype=np.float64), np.zeros((device.initial_normals, 1)))
    values, now = np.empty(len(times)), 0.0
    for k, time in enumerate(times):
        device.advance(np, state, np.array([float(drive)]), float(time) - now, np.zeros((device.normals, 1)))
        values[k], now = float(device.value(np, state)[0]), float(time)
    return values
