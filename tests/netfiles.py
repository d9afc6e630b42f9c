"""A valid netfile with something of everything, and the examples; tests of netfiles share them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ("mismatched_line.toml", "pulse_former.toml", "ring.toml", "lc_ladder.toml")

GOOD = """\
schema = 1
kind = "circuit"
title = "Two loads"

[simulation]
duration = "20 ns"
dt = "10 ps"
batch = 2
probes = ["b.voltage", { at = "w1@0.5", quantity = "voltage", reduce_time = "rms" }]

[nodes.src]
type = "VoltageSource"
resistance = [25.0, 50.0]
waveform = { type = "Pulse", amplitude = "1 V", width = "2 ns", rise = "100 ps" }

[nodes.tee]
type = "ParallelJunction"

[nodes.a]
type = "Capacitor"
capacitance = "1 pF"

[nodes.b]
type = "Resistor"
resistance = "75 ohm"

[lines.w1]
from = "src"
to = "tee.p1"
delay = "1 ns"
impedance = "50 ohm"

[lines.w2]
from = "tee.p2"
to = "b"
delay = "2 ns"
loss_db = "0.1 dB"

[[joints]]
from = "tee.p3"
to = "a"

[[changes]]
time = "10 ns"
set = { "b.resistance" = "60 ohm" }
"""
