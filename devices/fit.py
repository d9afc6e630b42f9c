"""Devices from measurements: fits of pulse trains, retention and threshold curves, with uncertainties."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from devices.device import Array, units
from devices.errors import DeviceError
from devices.exponential_step import ExponentialStep
from devices.linear_step import LinearStep
from devices.models import model_class, nearest
from devices.power_step import PowerStep
from devices.pulsed import SoftBounds
from devices.step_device import StepDevice
from devices.tabulated_step import TabulatedStep


@dataclass(frozen=True)
class Fit:
    """What a fit found: parameter values with one-sigma uncertainties, and how well they describe the data.

    `scatter` is the rms residual in the unit of the data, `curve` what the fitted model says at the measured points.
    """

    model: str
    values: Mapping[str, float]
    sigmas: Mapping[str, float]
    scatter: float
    points: int
    curve: Array
    fixed: Mapping[str, Any]

    def device(self, **more: Any) -> Any:
        """The fitted device; `more` sets other fields, such as rate or mode."""
        return model_class(self.model)(**{**self.fixed, **self.values, **more})

    def table(self) -> str:
        """One line per parameter: name, value, uncertainty."""
        rows = [f"{name:>12} = {value:.6g} +- {self.sigmas[name]:.2g}" for name, value in self.values.items()]
        return "\n".join([*rows, f"{'scatter':>12} = {self.scatter:.3g} over {self.points} points"])

    def card_text(self, card_id: str, title: str, source: str) -> str:
        """The fit as a device card (TOML text); `source` says where the measurement comes from."""
        unit = units(model_class(self.model))
        head = {"id": card_id, "title": title, "model": self.model, "technology": "see provenance"}
        lines = ["schema = 1", 'kind = "device"', *(f'{key} = "{value}"' for key, value in head.items())]
        lines += ['status = "fitted"', 'version = "1"', "", "[wave]", 'role = "weight"', ""]
        # tables (in `fixed`) stand for the many values that they are made of
        for name, value in {**self.fixed, **self.values}.items():
            if name not in unit:
                continue
            note = f"one sigma {self.sigmas[name]:.3g}" if name in self.sigmas else "set by the range of the data"
            shown = np.asarray(value).tolist()
            lines += [f"[params.{name}]", f"value = {shown}", f'unit = "{unit[name]}"', 'source = "measured"']
            lines += ['tag = "computed"', f'note = "{note}"']
        choices = [f"{name} = {str(v).lower()}" for name, v in self.fixed.items() if isinstance(v, bool)]
        lines += ["", "[options]", *choices] if choices else []
        return "\n".join([*lines, "", "[provenance.measured]", f'title = "{source}"', ""])


# --- pulse trains -----------------------------------------------------------------------------------------------------

Build = Callable[[Array, float, float], tuple[StepDevice, float]]  # parameters, lowest, highest -> device, reference


def build_soft(p: Array, low: float, high: float) -> tuple[StepDevice, float]:
    """Soft bounds from (dw_min, b_min, b_max, reference)."""
    return SoftBounds(dw_min=p[0], b_min=p[1], b_max=p[2]), p[3]


def build_linear(p: Array, low: float, high: float) -> tuple[StepDevice, float]:
    """Linear step from (dw_min, gamma_up, gamma_down, reference, lowest value, highest value)."""
    return LinearStep(dw_min=p[0], gamma_up=p[1], gamma_down=p[2], b_min=p[4] - p[3], b_max=p[5] - p[3]), p[3]


def build_power(p: Array, low: float, high: float) -> tuple[StepDevice, float]:
    """Power step from (dw_min, gamma_up, gamma_down, b_min, b_max), b_min and b_max as margins beyond the data."""
    return PowerStep(dw_min=p[0], gamma_up=p[1], gamma_down=p[2], b_min=low - p[3], b_max=high + p[4]), 0.0


def build_exponential(p: Array, low: float, high: float) -> tuple[StepDevice, float]:
    """Exponential step from (dw_min, a_up, a_down, gamma_up, gamma_down), bounded by the range of the data."""
    given = dict(zip(("dw_min", "a_up", "a_down", "gamma_up", "gamma_down"), p, strict=True))
    return ExponentialStep(b_min=low, b_max=high, slope=0.5, **given), 0.0


BUILDERS: dict[str, Build] = {
    "soft_bounds": build_soft,
    "linear_step": build_linear,
    "power_step": build_power,
    "exponential_step": build_exponential,
}


def starting_point(model: str, theta: Array, direction: Array) -> tuple[Array, Array, Array]:
    """First guess and box (lowest, highest) of a model's parameters, from straight lines through the steps."""
    steps, places = np.diff(theta), theta[:-1]
    up, down = direction > 0, direction < 0
    slope_up, base_up = np.polyfit(places[up], steps[up], 1)
    slope_down, base_down = np.polyfit(places[down], -steps[down], 1)
    width = float(np.ptp(theta))
    slope_up, slope_down = min(slope_up, -1e-3 * base_up / width), max(slope_down, 1e-6 * abs(base_down) / width)
    middle = (base_up - base_down) / (slope_down - slope_up)  # where an up and a down step are equal
    reference = float(np.clip(middle, theta.min() + 0.05 * width, theta.max() - 0.05 * width))
    size = max(abs(base_up + slope_up * reference), 1e-9 * width)
    tiny, huge = 1e-9 * width, 1e3 * width
    if model == "soft_bounds":
        guess = np.array([size, -size / slope_down, -size / slope_up, reference])
        return guess, np.array([tiny, -huge, tiny, -huge]), np.array([huge, -tiny, huge, huge])
    if model == "linear_step":
        reach_up, reach_down = theta.max() - reference, reference - theta.min()
        gammas = np.clip([-slope_up * reach_up / size, slope_down * reach_down / size], 0.01, 0.99)
        low, high, edge = theta.min(), theta.max(), 0.1 * width
        least = np.array([tiny, 0, 0, low + 1.1 * edge, low - edge, high - edge])
        most = np.array([huge, 1, 1, high - 1.1 * edge, low + edge, high + edge])
        guess = np.array([size, *gammas, reference, low + 0.01 * edge, high - 0.01 * edge])
        return np.clip(guess, least, most), least, most
    if model == "power_step":
        guess = np.array([2 * size, 1.0, 1.0, 0.1 * width, 0.1 * width])
        return guess, np.array([tiny, 0, 0, tiny, tiny]), np.array([huge, 10, 10, huge, huge])
    guess = np.array([size, 0.3, 0.3, 1.0, 1.0])
    return guess, np.array([tiny, -50, -50, 0.05, 0.05]), np.array([huge, 0.99, 0.99, 20, 20])


def fit_pulses(theta: Array, direction: Array, model: str = "soft_bounds", noise: str = "read") -> Fit:
    """A step device from a measured train: `theta` [n + 1] before, between and after n pulses of `direction` [n] (+-1).

    The data may be in any unit (siemens, say); dw_min, bounds and reference come out in it. `noise` "read": the
    scatter is in the readings, so the whole path is fitted (and its start); "step": the scatter is in the steps, so
    each step is fitted from where the cell was, which also gives cycle_to_cycle. Uncertainties are one sigma of
    independent scatter. Models: soft_bounds, linear_step, power_step, exponential_step. Raises DeviceError.

    >>> from devices.response import pulse_response
    >>> cell = SoftBounds(dw_min=0.05, b_min=-0.8, b_max=1.2)
    >>> rise = pulse_response(cell, 60, -0.5)
    >>> fall = pulse_response(cell, 60, rise[-1], direction=-1)
    >>> fit = fit_pulses(np.concatenate([rise, fall[1:]]), np.repeat([1, -1], 60))
    >>> [round(fit.values[name], 6) for name in ("dw_min", "b_min", "b_max")]
    [0.05, -0.8, 1.2]
    """
    theta, direction = np.asarray(theta, dtype=float), np.sign(np.asarray(direction, dtype=float))
    check_train(theta, direction, model, noise)
    low, high = float(theta.min()), float(theta.max())
    build = BUILDERS[model]
    guess, least, most = starting_point(model, theta, direction)
    guess = np.clip(guess, least + 1e-9 * np.abs(guess), most - 1e-9 * np.abs(guess))

    def step_error(p: Array) -> Array:
        return predicted_steps(build, p, theta[:-1], direction, low, high) - np.diff(theta)

    found = solve(step_error, guess, least, most)
    curve = theta[:-1] + predicted_steps(build, found.x, theta[:-1], direction, low, high)
    points = len(direction)
    if noise == "read":

        def path_error(p: Array) -> Array:
            return predicted_path(build, p[:-1], p[-1], direction, low, high) - theta

        found = solve(path_error, np.append(found.x, theta[0]), np.append(least, -np.inf), np.append(most, np.inf))
        curve = predicted_path(build, found.x[:-1], found.x[-1], direction, low, high)
        points = len(theta)
    sigma = standard_errors(found)
    return named_fit(model, found, sigma, low, high, curve, points, noise)


def check_train(theta: Array, direction: Array, model: str, noise: str) -> None:
    """Refuse trains that cannot be fitted."""
    if model not in BUILDERS:
        known = ", ".join(BUILDERS)
        raise DeviceError(f"fit_pulses knows no model {model!r}{nearest(model, BUILDERS)}; it knows {known}")
    if noise not in ("read", "step"):
        raise DeviceError(f"fit_pulses takes noise read or step, but got {noise!r}")
    if theta.ndim != 1 or theta.shape[0] != direction.shape[0] + 1:
        raise DeviceError(f"fit_pulses needs one more reading than pulses, but got {theta.shape} and {direction.shape}")
    ups, downs = int((direction > 0).sum()), int((direction < 0).sum())
    if min(ups, downs) < 4:
        raise DeviceError(
            f"fit_pulses needs pulses in both directions, at least 4 each, but got {ups} up and {downs} down"
        )


def predicted_steps(build: Build, p: Array, places: Array, direction: Array, low: float, high: float) -> Array:
    """Step [n] that each pulse makes from where the cell was [n]."""
    device, reference = build(p, low, high)
    here = places - reference
    cells = {"theta": here}
    steps = np.where(direction > 0, device.up(np, here, cells), -device.down(np, here, cells)) * device.dw_min
    return np.asarray(device.confine(np, here + steps, cells) - here)


def predicted_path(build: Build, p: Array, start: float, direction: Array, low: float, high: float) -> Array:
    """Readings [n + 1] of a cell that starts at `start`."""
    device, reference = build(p, low, high)
    path = np.empty(len(direction) + 1)
    path[0] = start - reference
    cells = {"theta": path[:1]}
    for k, sign in enumerate(direction):
        here = path[k : k + 1]
        q = device.up(np, here, cells) if sign > 0 else device.down(np, here, cells)
        path[k + 1] = device.confine(np, here + sign * device.dw_min * q, cells)[0]
    return path + reference


def named_fit(
    model: str, found: Any, sigma: Array, low: float, high: float, curve: Array, points: int, noise: str
) -> Fit:
    """The solution under the device's own names."""
    p, s = found.x, sigma
    names = {
        "soft_bounds": ("dw_min", "b_min", "b_max", "reference"),
        "linear_step": ("dw_min", "gamma_up", "gamma_down", "reference", "b_min", "b_max"),
        "power_step": ("dw_min", "gamma_up", "gamma_down", "b_min", "b_max"),
        "exponential_step": ("dw_min", "a_up", "a_down", "gamma_up", "gamma_down"),
    }[model]
    values = dict(zip(names, (float(v) for v in p), strict=False))
    sigmas = dict(zip(names, (float(v) for v in s), strict=False))
    fixed: dict[str, Any] = {}
    if model == "linear_step":
        values |= {name: values[name] - values["reference"] for name in ("b_min", "b_max")}
    elif model == "power_step":
        values |= {"b_min": low - values["b_min"], "b_max": high + values["b_max"]}
    elif model == "exponential_step":
        fixed = {"b_min": low, "b_max": high, "slope": 0.5}
    # devices count theta from their own zero; the reference brings the value back to the unit of the data
    if "reference" in values:
        values["reference"] = -values["reference"]
    scatter = float(np.sqrt(2 * found.cost / max(found.fun.size - p.size, 1)))
    if noise == "step":
        fixed = {**fixed, "cycle_to_cycle": scatter / values["dw_min"], "additive_noise": True}
    return Fit(model, values, sigmas, scatter, points, curve, fixed)


def fit_table(theta: Array, direction: Array, knots: int = 9) -> Fit:
    """A tabulated step device from a measured train (see `fit_pulses`): mean step sizes at `knots` places.

    Steps are read from one reading to the next, so readings should scatter less than a step. Values are the mean sizes
    at the knots (up_0 ... down_0 ...), in the unit of the data. Raises DeviceError.

    >>> fit = fit_table([0.0, 0.1, 0.2, 0.3, 0.4, 0.3, 0.2, 0.1, 0.0], [1, 1, 1, 1, -1, -1, -1, -1], knots=2)
    >>> round(float(fit.device().dw_min), 6)
    0.1
    """
    theta, direction = np.asarray(theta, dtype=float), np.sign(np.asarray(direction, dtype=float))
    check_train(theta, direction, "soft_bounds", "step")
    places = np.linspace(theta.min(), theta.max(), knots)
    steps, here = np.diff(theta), theta[:-1]
    hats = np.maximum(0, 1 - np.abs(here[:, None] - places[None]) / (places[1] - places[0]))
    values: dict[str, float] = {}
    sigmas: dict[str, float] = {}
    tables, curve = {}, np.zeros_like(steps)
    for name, sign in (("up", 1), ("down", -1)):
        chosen = direction == sign
        # a little smoothness fills knots that the train never visits
        bend = 1e-3 * np.diff(np.eye(knots), 2, axis=0) if knots > 2 else np.zeros((0, knots))
        matrix = np.vstack([hats[chosen], bend])
        sizes, *_ = np.linalg.lstsq(matrix, np.append(sign * steps[chosen], np.zeros(len(bend))), rcond=None)
        curve[chosen] = sign * hats[chosen] @ sizes
        error = np.std(steps[chosen] - curve[chosen])
        spread = error * np.sqrt(np.diag(np.linalg.pinv(matrix.T @ matrix)))
        tables[name] = np.maximum(sizes, 0)
        values |= {f"{name}_{k}": float(v) for k, v in enumerate(tables[name])}
        sigmas |= {f"{name}_{k}": float(v) for k, v in enumerate(spread)}
    scale = float(np.mean([tables["up"].mean(), tables["down"].mean()]))
    fixed = {"dw_min": scale, "knots": places, "up_table": tables["up"] / scale, "down_table": tables["down"] / scale}
    return TableFit(
        "tabulated_step", values, sigmas, float(np.std(steps - curve)), len(steps), theta[:-1] + curve, fixed
    )


@dataclass(frozen=True)
class TableFit(Fit):
    """A fit whose values are the entries of tables that `fixed` already holds."""

    def device(self, **more: Any) -> TabulatedStep:
        """The fitted device; `more` sets other fields, such as rate or mode."""
        return TabulatedStep(**{**self.fixed, **more})


# --- G(V, t): retention and thresholds --------------------------------------------------------------------------------


def fit_drift(time: Array, conductance: Array, t0: float = 20.0) -> Fit:
    """Drift exponent from a retention curve: G = G0 (t/t0)^-nu; `time` [n] in s, t0 at programming.

    Values "nu" and "g0" (G at t0). Uncertainties assume independent relative scatter. Raises DeviceError.

    >>> t = np.array([20.0, 200.0, 2000.0, 20000.0])
    >>> round(fit_drift(t, 5.0 * (t / 20.0) ** -0.05).values["nu"], 9)
    0.05
    """
    time, conductance = np.asarray(time, dtype=float), np.asarray(conductance, dtype=float)
    if time.shape != conductance.shape or time.size < 3 or np.any(time <= 0) or np.any(conductance <= 0):
        raise DeviceError("fit_drift needs at least 3 positive times and as many positive conductances")
    design = np.stack([np.ones_like(time), -np.log(time / t0)], axis=1)
    solution, *_ = np.linalg.lstsq(design, np.log(conductance), rcond=None)
    curve = np.exp(design @ solution)
    scatter = float(np.sqrt(np.sum((np.log(conductance) - design @ solution) ** 2) / (time.size - 2)))
    errors = scatter * np.sqrt(np.diag(np.linalg.inv(design.T @ design)))
    g0 = float(np.exp(solution[0]))
    values, sigmas = {"nu": float(solution[1]), "g0": g0}, {"nu": float(errors[1]), "g0": float(g0 * errors[0])}
    return Fit("drift", values, sigmas, scatter, time.size, curve, {"t0": t0})


def fit_threshold(voltage: Array, speed: Array) -> Fit:
    """One side of a threshold memristor: speed = k (v/v_threshold - 1)^alpha from n >= 4 voltages.

    `voltage` [n] in V and `speed` [n] (m/s or 1/s) of one sign each, all beyond the threshold. The fit is of log
    speed, so uncertainties assume independent relative scatter. Values "k", "v_threshold", "alpha". Raises
    DeviceError.

    >>> v = np.array([0.3, 0.5, 0.8, 1.2, 2.0])
    >>> fit = fit_threshold(v, 1e-3 * (v / 0.2 - 1) ** 3)
    >>> [round(fit.values[name], 6) for name in ("k", "v_threshold", "alpha")]
    [0.001, 0.2, 3.0]
    """
    voltage, speed = np.asarray(voltage, dtype=float), np.asarray(speed, dtype=float)
    side, way = np.sign(voltage[0]), np.sign(speed[0])
    size, fast = side * voltage, way * speed
    if size.size < 4 or size.shape != fast.shape or np.any(size <= 0) or np.any(fast <= 0):
        raise DeviceError("fit_threshold needs at least 4 voltages of one sign and as many speeds of one sign, none 0")
    lowest = size.min()

    def model(p: Array) -> Array:
        return p[0] + p[2] * np.log(size / p[1] - 1)

    def error(p: Array) -> Array:
        return model(p) - np.log(fast)

    low, high = np.array([-200.0, 1e-6 * lowest, 0.05]), np.array([200.0, lowest * (1 - 1e-9), 20.0])
    tries = [solve(error, np.array([np.log(fast).mean(), share * lowest, 1.5]), low, high) for share in (0.3, 0.6, 0.9)]
    found = min(tries, key=lambda one: float(one.cost))
    errors, k = standard_errors(found), float(way * np.exp(found.x[0]))
    values = {"k": k, "v_threshold": float(side * found.x[1]), "alpha": float(found.x[2])}
    sigmas = {"k": float(abs(k) * errors[0]), "v_threshold": float(errors[1]), "alpha": float(errors[2])}
    scatter = float(np.sqrt(2 * found.cost / max(size.size - 3, 1)))
    return Fit("threshold", values, sigmas, scatter, size.size, way * np.exp(model(found.x)), {})


# --- shared -----------------------------------------------------------------------------------------------------------


def solve(error: Callable[[Array], Array], start: Array, low: Array, high: Array) -> Any:
    """Least squares in a box, with parameters scaled to their first guess."""
    scale = np.maximum(np.abs(start), 1e-9 * np.max(np.abs(start)))
    start = np.clip(start, low, high)
    return least_squares(error, start, bounds=(low, high), x_scale=scale, xtol=1e-12, ftol=1e-12, gtol=1e-12)


def standard_errors(found: Any) -> Array:
    """One-sigma uncertainties [p] from the curvature at the solution and the scatter of the residuals.

    A parameter that the data does not depend on (a bound that was never reached) gets infinity.
    """
    scatter = 2 * found.cost / max(found.fun.size - found.x.size, 1)
    size = np.linalg.norm(found.jac, axis=0)
    felt = size > 0
    scaled = found.jac[:, felt] / size[felt]
    errors = np.full(found.x.size, np.inf)
    errors[felt] = np.sqrt(np.diag(np.linalg.pinv(scaled.T @ scaled)) * scatter) / size[felt]
    return errors


def read_train(path: str | Path) -> tuple[Array, Array]:
    """A pulse train (theta [n + 1], direction [n]) from a CSV file with columns "pulse" and "value".

    Each row is a reading after a pulse of that sign; the first row's pulse is 0 (before any). Raises DeviceError.
    """
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    if not rows or not {"pulse", "value"} <= set(rows[0]):
        raise DeviceError(
            f"{path} needs the columns pulse and value; its header is {list(rows[0]) if rows else 'empty'}"
        )
    try:
        pulse = np.array([float(row["pulse"]) for row in rows])
        value = np.array([float(row["value"]) for row in rows])
    except (TypeError, ValueError) as error:
        raise DeviceError(f"{path} has a row that is not two numbers: {error}") from None
    if pulse[0] != 0 or np.any(pulse[1:] == 0):
        raise DeviceError(f"{path}: the first row's pulse must be 0 and every other one not 0")
    return value, np.sign(pulse[1:])
