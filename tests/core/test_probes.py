"""Probes: places inside lines, reductions on the fly, decimation; exact for any block length, in bounded memory."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from substrate import Line, Network, Probe, Resistor, Simulation, VoltageSource, compile_network, simulate
from substrate.errors import NetworkError
from substrate.media import OpticalLine, RlgcLine
from substrate.nodes import ParallelJunction, Termination
from substrate.probing import Record
from substrate.waveforms import Carrier, Sine, Step

DT = 1e-11


def loaded_line(line: Line, load: float = 100.0, waveform: Any = None) -> Network:
    net = Network()
    source = net.add(VoltageSource(waveform or Sine(1.0, frequency=7e9), 25.0), "src")
    net.connect(source, net.add(Resistor(load), "load"), line, "w1")
    return net


def cut_line(line: Line, share: float, **ends: Any) -> Network:
    """The same with the line cut in two at a share of it; the pieces carry their shares of delay, loss and phase."""
    net = Network()
    back = line.loss_db if line.loss_db_back is None else line.loss_db_back
    pieces = [
        Line(line.delay * s, line.impedance, line.loss_db * s, back * s, phase=np.asarray(line.phase) * s)
        for s in (share, 1.0 - share)
    ]
    source = net.add(VoltageSource(ends["waveform"], 25.0), "src")
    middle, load = net.add(ParallelJunction(2), "middle"), net.add(Resistor(100.0), "load")
    net.connect(source, f"{middle}.p1", pieces[0], "first")
    net.connect(f"{middle}.p2", load, pieces[1], "second")
    return net


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
@pytest.mark.parametrize("quantity", ["forward", "backward", "voltage", "current", "power"])
def test_inside_a_line_is_what_a_line_cut_there_shows(backend: str, share: float, quantity: str) -> None:
    """Loss differs between the directions, the phase turns an envelope, the batch has two phases."""
    line = Line(20 * DT, 70.0, loss_db=3.0, loss_db_back=5.0, phase=np.array([0.7, 40.0]))
    wave = Carrier(Sine(1.0, frequency=7e9), offset=1e9)
    options: dict[str, Any] = {"dtype": "complex128", "batch": 2, "backend": backend}
    inside = simulate(loaded_line(line, waveform=wave), 101 * DT, DT, [f"w1@{share}.{quantity}"], **options)
    at_cut = {"forward": "arriving", "backward": "departing"}.get(quantity, quantity)
    cut = simulate(cut_line(line, share, waveform=wave), 101 * DT, DT, [f"middle.p1.{at_cut}"], **options)
    seen, expected = inside[f"w1@{share}.{quantity}"], cut[f"middle.p1.{at_cut}"]
    assert np.abs(expected).max() > 1e-3 and seen.shape == (101, 2)
    np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_the_ends_of_a_line_are_its_ports(backend: str) -> None:
    net = loaded_line(Line(7 * DT, 70.0, loss_db=2.0))
    pairs = {
        "w1@0.forward": "src.out.departing",
        "w1@1.forward": "load.in.arriving",
        "w1@0.backward": "src.out.arriving",
        "w1@1.voltage": "load.voltage",
    }
    traces = simulate(net, 50 * DT, DT, [*pairs, *pairs.values()], backend=backend)
    for inside, port in pairs.items():
        np.testing.assert_allclose(traces[inside], traces[port], rtol=0, atol=1e-15)
        assert np.abs(traces[port]).max() > 1e-3


def test_a_place_is_a_share_or_a_time(backend: str) -> None:
    net = loaded_line(Line(20 * DT))
    traces = simulate(net, 50 * DT, DT, ["w1@0.25.voltage", "w1@50 ps.voltage", "w1@0.26.voltage"], backend=backend)
    assert np.array_equal(traces["w1@0.25.voltage"], traces["w1@50 ps.voltage"])
    assert np.array_equal(traces["w1@0.25.voltage"], traces["w1@0.26.voltage"])  # the nearest whole step


def test_a_place_may_be_a_length_where_the_line_has_one() -> None:
    guide = OpticalLine(0.02, 1.0, 299_792_458.0 * 1e-9 / 0.02, wavelength=1.55e-6)  # 1 ns
    traces = simulate(loaded_line(guide), 300 * DT, DT, ["w1@5 mm.forward", "w1@0.25.forward"], dtype="complex128")
    assert np.abs(traces["w1@5 mm.forward"]).max() > 1e-3
    assert np.array_equal(traces["w1@5 mm.forward"], traces["w1@0.25.forward"])
    with pytest.raises(NetworkError, match=r"from 0 to 0.02 m"):
        simulate(loaded_line(guide), 300 * DT, DT, ["w1@3 cm.forward"], dtype="complex128")


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_reductions_are_those_of_the_trace(backend: str, dtype: str) -> None:
    net = loaded_line(Line(9 * DT, loss_db=1.0, phase=np.array([0.0, 0.5]) if dtype == "complex128" else 0.0))
    kinds = ("mean", "rms", "final", "min", "max")
    probes = [Probe("load", "voltage"), *(Probe("load", "voltage", reduce_time=kind) for kind in kinds)]
    probes += [Probe("w1@0.5", "power"), Probe("w1@0.5", "power", reduce_time="rms")]
    steps, batch = (2500, 2) if backend != "reference" else (150, 2)
    traces = simulate(net, steps * DT, DT, probes, backend=backend, dtype=dtype, batch=batch)
    voltage = traces["load.voltage"]
    assert voltage.shape == (steps, batch)
    real = np.abs(voltage) if dtype == "complex128" else voltage
    exact = voltage.astype(complex if dtype == "complex128" else float)
    expected = {
        "mean": exact.mean(axis=0),
        "rms": np.sqrt(np.mean(np.abs(exact) ** 2, axis=0)),
        "final": voltage[-1],
        "min": real.min(axis=0),
        "max": real.max(axis=0),
    }
    for kind, value in expected.items():
        seen = traces[f"load.voltage.{kind}"]
        assert seen.shape == (batch,)
        np.testing.assert_allclose(seen, value, rtol=1e-12, atol=1e-14)
    power = traces["w1@0.5.power"].astype(float)
    np.testing.assert_allclose(traces["w1@0.5.power.rms"], np.sqrt(np.mean(power**2, axis=0)), rtol=1e-12)


def test_histogram_counts_every_step(backend: str) -> None:
    probes = [
        Probe("load", "voltage"),
        Probe("load", "voltage", reduce_time="histogram", bins=7, span=(-0.3, 0.4)),
        Probe("load", "voltage", "mean", "histogram", bins=7, span=(-0.3, 0.4)),
    ]
    steps = 1500 if backend != "reference" else 200
    net = loaded_line(Line(9 * DT, loss_db=1.0), waveform=Sine(np.array([1.0, 0.2]), frequency=7e9))
    traces = simulate(net, steps * DT, DT, probes, batch=2, backend=backend)
    for values, counts in (
        (traces["load.voltage"][:, 0], traces["load.voltage.histogram"][:, 0]),
        (traces["load.voltage"][:, 1], traces["load.voltage.histogram"][:, 1]),
        (traces["load.voltage"].mean(axis=1), traces["load.voltage.mean.histogram"]),
    ):
        assert counts.sum() == steps
        assert counts[0] == np.sum(values < -0.3) and counts[-1] == np.sum(values > 0.4)
        assert counts[1:-1].tolist() == np.histogram(values, 7, (-0.3, 0.4))[0].tolist()


def test_every_keeps_multiples_and_their_times(backend: str) -> None:
    probes = [
        Probe("load", "voltage"),
        Probe("load", "voltage", every=7, name="thin"),
        Probe("w1@0.5", "voltage"),
        Probe("w1@0.5", "voltage", every=7, reduce_time="mean"),
    ]
    traces = simulate(loaded_line(Line(9 * DT)), 100 * DT, DT, probes, backend=backend)
    kept = np.arange(1, 101) % 7 == 0
    assert np.array_equal(traces["thin"], traces["load.voltage"][kept]) and len(traces["thin"]) == 14
    assert np.array_equal(traces.times("thin"), traces.time[kept])
    assert traces.times("load.voltage") is not None and len(traces.times("load.voltage")) == 100
    np.testing.assert_allclose(traces["w1@0.5.voltage.mean"], traces["w1@0.5.voltage"][kept].mean(), rtol=1e-13)


def test_a_function_is_applied_on_the_fly_and_a_fold_sees_every_row(backend: str) -> None:
    def crossings(state: Any, rows: np.ndarray) -> Any:
        """Count changes of sign, across portions too."""
        last, count = state or (rows[:1], 0)
        signs = np.signbit(np.concatenate([last, rows]))
        return rows[-1:], count + int(np.sum(signs[1:] != signs[:-1]))

    probes = [
        Probe("load", "voltage"),
        Probe("load", "voltage", function=np.square, name="square"),
        Probe("load", "voltage", function=np.square, reduce_time="mean", name="mean square"),
        Probe("load", "voltage", reduce_time=crossings, name="crossings"),
    ]
    steps = 3000 if backend != "reference" else 300
    traces = simulate(loaded_line(Line(9 * DT)), steps * DT, DT, probes, backend=backend)
    voltage = traces["load.voltage"]
    assert np.array_equal(traces["square"], voltage**2)
    np.testing.assert_allclose(traces["mean square"], np.mean(voltage**2), rtol=1e-12)
    assert traces["crossings"][1] == np.sum(np.signbit(voltage[1:]) != np.signbit(voltage[:-1])) > 10


def test_any_block_length_and_any_stops_give_the_same(backend: str) -> None:
    """To the rounding of the engine, whose compiled loops may fuse a product and a sum in the middle of a block."""
    probes = [
        Probe("w1@0.37", "voltage"),
        Probe("w1@0.37", "voltage", reduce_time="rms"),
        Probe("w2@0.9", "power", reduce_time="mean", every=3),
        Probe("load", "voltage", reduce_time="mean"),
    ]
    net = loaded_line(Line(9 * DT, loss_db=1.0))
    net.connect(net.add(VoltageSource(Step(1.0), 10.0), "s2"), net.add(Resistor(7.0), "l2"), Line(23 * DT), "w2")
    plan = compile_network(net, DT, reference_power=1.0, probes=probes)
    steps = 2600 if backend != "reference" else 120
    results = []
    for block, stops in ((None, [steps]), (1, [steps]), (4, [steps]), (None, [1, 5, 40, steps])):
        simulation = Simulation(plan, backend=backend, block=block)
        for stop in stops:
            simulation.run(stop - simulation.state.step)
        results.append(simulation.take_probes())
    for result in results[1:]:
        for label, value in result.items():
            np.testing.assert_allclose(value, results[0][label], rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["mean", "rms", "final", "min", "max", "histogram", "none"])
def test_reductions_are_the_same_bits_for_any_blocks(kind: str) -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 2, 3))
    probe = Probe("a", "voltage", reduce_time=kind, every=3, span=(-1.0, 1.0))
    results = []
    for lengths in ([5000], [1] * 5000, [7] * 714 + [2], [1023, 1025, 2952]):
        record, start = Record(probe), 0
        for length in lengths:
            record.feed([rows[start : start + length]], start)
            start += length
        results.append(record.take())
    assert all(np.array_equal(result, results[0]) for result in results[1:])
    kept = rows[2::3]
    expected = {"none": kept, "mean": kept.mean(axis=0), "final": kept[-1], "max": kept.max(axis=0)}
    if kind in expected:
        np.testing.assert_allclose(results[0], expected[kind], rtol=1e-12)


def test_memory_does_not_grow_with_a_reduced_run() -> None:
    probes = [
        Probe("load", "voltage", reduce_time="rms"),
        Probe("load", "voltage", reduce_time="histogram", span=(-1.0, 1.0)),
        Probe("w1@0.5", "power", reduce_time="mean"),
        Probe("w1@0.5", "power", every=1000, reduce_time="max"),
    ]
    plan = compile_network(loaded_line(Line(50 * DT, loss_db=1.0)), DT, reference_power=1.0, probes=probes)

    def peak(steps: int, probed: bool = True) -> int:
        simulation = Simulation(plan, batch=8)
        simulation.run(3000)  # compiled, buffers made
        tracemalloc.start()
        simulation.run(steps)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    short, long = peak(4000), peak(60_000)
    assert long < 1.2 * short + 50_000  # a kept trace of this length alone would be 3.8 MB
    assert short < 2_000_000


def test_reduced_records_go_on_while_traces_are_taken() -> None:
    probes = [Probe("load", "voltage"), Probe("load", "voltage", reduce_time="mean")]
    plan = compile_network(loaded_line(Line(9 * DT)), DT, reference_power=1.0, probes=probes)
    simulation, parts = Simulation(plan), []
    for _ in range(5):
        simulation.run(333)
        taken = simulation.take_probes(reduced=False)
        assert list(taken) == ["load.voltage"]
        parts.append(taken["load.voltage"])
    voltage = np.concatenate(parts)
    assert len(voltage) == 5 * 333
    taken = simulation.take_probes()
    np.testing.assert_allclose(taken["load.voltage.mean"].item(), voltage.mean(), rtol=1e-12)
    assert len(taken["load.voltage"]) == 0
    assert np.isnan(simulation.take_probes()["load.voltage.mean"]).all()  # begun anew


def test_changes_during_a_run_keep_the_records_going(backend: str) -> None:
    net = loaded_line(Line(10 * DT), waveform=Step(1.0))
    probes = [Probe("load", "voltage"), Probe("load", "voltage", reduce_time="mean"), Probe("w1@0.5", "voltage")]
    traces = simulate(net, 400 * DT, DT, probes, backend=backend, changes=[(200 * DT, {"load.resistance": 300.0})])
    np.testing.assert_allclose(traces["load.voltage.mean"], traces["load.voltage"].mean(), rtol=1e-12)
    np.testing.assert_allclose(traces["load.voltage"][[199, 399]], [100 / 125, 300 / 325], rtol=1e-6)
    assert len(traces["w1@0.5.voltage"]) == 400


def test_the_field_of_an_envelope_is_complex() -> None:
    plan = compile_network(loaded_line(Line(4 * DT), waveform=Carrier(Step(1.0), offset=3e9)), DT)
    simulation = Simulation(plan, dtype="complex128")
    simulation.run(9)
    forward, backward = simulation.field("w1")
    assert (
        np.iscomplexobj(forward) and np.abs(forward.imag).max() > 0.1 and forward.shape == backward.shape == (1, 4, 1)
    )


def test_numbers_per_sample_must_fit_the_batch() -> None:
    net = loaded_line(Line(9 * DT), load=np.array([1.0, 2.0, 3.0]))  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=r"hold 3 numbers, one per sample, but the batch is 2; .*set batch=3"):
        simulate(net, 10 * DT, DT, batch=2)
    net = loaded_line(Line(9 * DT), waveform=Step(np.array([1.0, 2.0, 3.0])))
    with pytest.raises(NetworkError, match=r"waveform \(Step\) holds 3 numbers"):
        simulate(net, 10 * DT, DT, batch=2)


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: Probe("w1@0.5", "arriving"), r"must be one of \('forward'"),
    (lambda: Probe("load", "voltage", reduce_time="sum"), "reduce_time must be one of"),
    (lambda: Probe("load", "voltage", every=0), "every must be a whole number of at least 1"),
    (lambda: Probe("load", "voltage", reduce_time="histogram"), "needs span="),
    (lambda: Probe("load", "voltage", reduce_time="histogram", span=(1.0, 0.0)), "two rising numbers"),
    (lambda: run_with("w2@0.5.voltage"), "there is no line 'w2'; the lines are w1"),
    (lambda: run_with("w1@0.5.voltage", line=Line(9 * DT, loss_db=700.0)), "loses 700 dB and leaves nothing"),
    (lambda: run_with("w1@0.5.voltage", line=Line(9.5 * DT, fractional="thiran")), "a line with filters at its ends"),
    (lambda: run_with("w1@0.5.voltage", line=RlgcLine(0.02, 20.0, 250e-9, 0.0, 100e-12)), "a dispersive line"),
    (lambda: run_with("w1@1.5.voltage"), "must lie in the line, from 0 to 1"),
    (lambda: run_with("w1@3 ns.voltage"), "from 0 to 9e-11 s"),
    (lambda: run_with("w1@3 mm.voltage"), "has no length"),
    (lambda: run_with("w1@middle.voltage"), "is no place in a line"),
    (lambda: run_with(Probe("load", "voltage"), Probe("load", "voltage", every=2)), "Two different probes are called"),
    (lambda: run_with(Probe("load", "arriving", reduce_time="histogram", span=(0, 1)), complex_=True), "np.abs"),
]


def run_with(*probes: Any, complex_: bool = False, line: Line | None = None) -> Any:
    return simulate(
        loaded_line(line or Line(9 * DT)), 20 * DT, DT, probes, dtype="complex128" if complex_ else "float64"
    )


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_cannot_be_probed_says_so(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make()


def test_inside_a_warm_lossy_line_the_way_out_is_told() -> None:
    net = Network()
    net.connect(
        net.add(Termination(), "a"), net.add(Termination(), "b"), Line(9 * DT, loss_db=1.0, temperature=300.0), "w1"
    )
    with pytest.raises(NetworkError, match=r"warm and lossy.*make two lines of it, joined by ParallelJunction\(2\)"):
        simulate(net, 20 * DT, DT, ["w1@0.5.voltage"])
