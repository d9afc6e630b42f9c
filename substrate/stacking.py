"""Plans of circuits that differ in numbers alone, laid side by side as the samples of one batch."""

import pickle
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from substrate.plan import ClusterGroup, LineRows, Plan, PlannedProbe, ScaledDrive


@dataclass(frozen=True, eq=False)
class SideBySide:
    """One waveform per sample, each multiplied by its scale: what a source plays in a batch of unlike runs.

    >>> from substrate.waveforms import Step
    >>> SideBySide((Step(1.0), Step(3.0)), (1.0, 2.0)).sample(np.array([1.0])).tolist()
    [[1.0, 6.0]]
    """

    waveforms: tuple[Any, ...]
    scales: tuple[float, ...]

    def sample(self, times: np.ndarray) -> np.ndarray:
        """Values ``[times, samples]`` at the given seconds."""
        columns = [np.asarray(w.sample(times)).reshape(len(times)) for w in self.waveforms]
        return np.stack([scale * column for scale, column in zip(self.scales, columns, strict=True)], axis=1)


def likeness(plan: Plan) -> Hashable | None:
    """What plans of runs of one sample must share to be stacked; None where a plan cannot be stacked at all.

    Stackable are circuits without nonlinear elements, wide nodes and numbers per sample. Delays, topology, probes and
    the kinds of noise are shared; matrices, sources, initial states, temperatures and scales of probes may differ.
    """
    if plan.nodes or plan.nonlinear or plan.links or not plan.clusters:
        return None
    if any(group.matrices.shape[1] > 1 or group.initial.shape[-1] > 1 for group in plan.clusters):
        return None
    if any(line.charge is not None and np.ndim(line.charge) > 1 for line in plan.lines):
        return None
    if any(_wide(drive, plan.dt) for drive in plan.drives):
        return None
    asked = [probe.request for probe in plan.probes]
    if any(p.reduce != "none" or p.function is not None or callable(p.reduce_time) for p in asked):
        return None
    lines = [
        (
            *(x.name, x.delay_class, x.row, x.channels, x.steps, x.noise_sources, x.hidden, x.smoothing),
            *(x.skew, x.modulation and pickle.dumps(x.modulation), x.modulation and x.temperature),
        )
        for x in plan.lines
    ]
    probes = [(p.label, p.quantity, p.reduce, p.arriving, p.departing, p.line, p.place, p.request) for p in plan.probes]
    groups = [
        (g.names, g.ports, g.matrices.shape[2:], g.metered, *[_bytes(getattr(g, n)) for n in _EQUAL])
        for g in plan.clusters
    ]
    drives = [(drive.drive.waveform is None, drive.drive.kind, drive.drive.of_line) for drive in plan.drives]
    settings = (plan.dt, plan.reference_power, plan.classes, plan.drive_noise_source, plan.observed)
    noise = (tuple(sorted(plan.noise.kinds)), plan.noise.carrier)
    return repr((settings, noise, lines, probes, drives)), tuple(groups)


_EQUAL = ("lines", "sides", "energy", "inputs", "observed")


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _wide(drive: ScaledDrive, dt: float) -> bool:
    waveform = drive.drive.waveform
    return waveform is not None and np.ndim(waveform.sample(np.array([dt]))) > 1


def stacked(plans: Sequence[Plan]) -> Plan:
    """One plan whose sample ``b`` is ``plans[b]``; all must have the same :func:`likeness`.

    Sources of noise at unlike temperatures get the highest of them, and a column of the matrix for the ratio.
    """
    first = plans[0]
    if len(plans) == 1:
        return first
    hottest = [max(plan.drives[k].drive.temperature for plan in plans) for k in range(len(first.drives))]
    return replace(
        first,
        lines=tuple(_lines([plan.lines[k] for plan in plans]) for k in range(len(first.lines))),
        probes=tuple(_probes([plan.probes[k] for plan in plans]) for k in range(len(first.probes))),
        clusters=tuple(_groups(plans, k, hottest) for k in range(len(first.clusters))),
        drives=tuple(_drives([plan.drives[k] for plan in plans], hottest[k]) for k in range(len(first.drives))),
    )


def _per_sample(values: Sequence[Any]) -> Any:
    """One number where all are equal, else ``[samples]``."""
    return values[0] if all(np.array_equal(value, values[0]) for value in values) else np.array(values)


def _lines(lines: Sequence[LineRows]) -> LineRows:
    gains = (_per_sample([line.gains[0] for line in lines]), _per_sample([line.gains[1] for line in lines]))
    charges = [line.charge for line in lines]
    charge = charges[0]
    if any(c is not None for c in charges):
        zero = np.zeros(lines[0].steps)
        charge = np.stack([zero if c is None else np.asarray(c, float) for c in charges], axis=1)
    return replace(lines[0], gains=gains, charge=charge)


def _probes(probes: Sequence[PlannedProbe]) -> PlannedProbe:
    ways = (_per_sample([p.corrections[0] for p in probes]), _per_sample([p.corrections[1] for p in probes]))
    return replace(probes[0], scale=_per_sample([p.scale for p in probes]), corrections=ways)


def _groups(plans: Sequence[Plan], index: int, hottest: Sequence[float]) -> ClusterGroup:
    """The matrices of each cluster over all plans; kept once where clusters share all of them."""
    groups = [plan.clusters[index] for plan in plans]
    first = groups[0]
    size = first.matrices.shape[3] - first.inputs.shape[1]
    which, kept = np.zeros(len(first.which), np.int32), list[np.ndarray]()
    known: dict[bytes, int] = {}
    for cluster in range(len(first.which)):
        stack = np.stack([group.matrices[group.which[cluster], 0] for group in groups])
        for column, drive in enumerate(first.inputs[cluster].tolist()):
            if hottest[drive] > 0.0:
                kelvin = np.array([plan.drives[drive].drive.temperature for plan in plans])
                if np.any(kelvin != hottest[drive]):
                    stack[:, :, size + column] *= np.sqrt(kelvin / hottest[drive])[:, None]
        which[cluster] = known.setdefault(stack.tobytes(), len(kept))
        if which[cluster] == len(kept):
            kept.append(stack)
    matrices = np.stack(kept)
    if np.all(matrices == matrices[:, :1]):
        matrices = matrices[:, :1]
    own = np.zeros((len(kept), first.own.shape[-1] if first.own.ndim > 1 else 0))  # only single samples are factored
    # Power lost in a line over power in its cells: that of all samples, as in circuits.py.
    weights = 1.0 / np.mean([1.0 / (1.0 + group.weights) for group in groups], axis=0) - 1.0
    initial = np.concatenate([group.initial for group in groups], axis=-1)
    return replace(first, matrices=matrices, which=which, weights=weights, initial=initial, own=own)


def _drives(drives: Sequence[ScaledDrive], hottest: float) -> ScaledDrive:
    drive, scales = drives[0].drive, tuple(each.scale for each in drives)
    if drive.waveform is None:
        return replace(drives[0], drive=replace(drive, temperature=hottest))
    waveforms = tuple(each.drive.waveform for each in drives)
    if all(_same(waveform, waveforms[0]) for waveform in waveforms) and len(set(scales)) == 1:
        return drives[0]
    return ScaledDrive(replace(drive, waveform=SideBySide(waveforms, scales)), 1.0)


def _same(first: Any, second: Any) -> bool:
    """Whether two waveforms are surely equal; those that hold arrays have no answer and count as unlike."""
    try:
        return bool(first == second)
    except ValueError:
        return False
