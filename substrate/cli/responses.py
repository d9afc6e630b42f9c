"""The response-curve figure of a device card: pulses for memories that step, a constant drive for all others."""

from pathlib import Path

import numpy as np

from devices.cards import Card, build
from devices.device import Device
from devices.response import drive_response, pulse_count, pulse_response
from devices.step_device import StepDevice

POINTS = 201
LONGEST = 1e9  # s; a device that has not moved by then does not move
SHORTEST = 1e-15  # s


def draw_response(card: Card, path: Path) -> Path:
    """Write the figure of a device card; raises the errors of `devices`."""
    from substrate.plots.response import draw_drives, draw_pulses

    path.parent.mkdir(parents=True, exist_ok=True)
    device = build(card)
    if isinstance(device, StepDevice):
        draw_pulses(path, card.id, *pulse_walk(device))
    else:
        time = np.linspace(0.0, long_enough(device), POINTS)
        up, down = (drive_response(device, drive, time) for drive in (1.0, -1.0))
        draw_drives(path, card.title, time, up, down, f"value ({card.content.wave.role if card.content.wave else '1'})")
    return path


def pulse_walk(device: StepDevice) -> tuple[np.ndarray, np.ndarray]:
    """theta of a nominal cell from 5 % to 95 % of its range and back."""
    low, high = float(np.min(device.b_min)), float(np.max(device.b_max))
    rise = pulse_response(device, pulse_count(device, +1), low + 0.05 * (high - low), +1)
    fall = pulse_response(device, pulse_count(device, -1), float(rise[-1]), -1)
    return np.asarray(rise), np.asarray(fall)


def long_enough(device: Device) -> float:
    """Seconds after which a unit drive has moved a cell by most of its range (or by 1, where it has none)."""
    low, high = device.clip_range()
    wanted = 0.45 * (high - low) if np.isfinite(high - low) else 1.0
    times = np.geomspace(SHORTEST, LONGEST, 97)
    for time in times:
        path = drive_response(device, 1.0, np.array([0.0, time]))
        if abs(float(path[1] - path[0])) >= 0.9 * wanted:
            return float(time)
    return 1.0
