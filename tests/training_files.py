"""A small training file that tests of the configuration and the command line share."""

TINY = """\
schema = 1
kind = "train"
title = "tiny"
seed = 1

[network]
layers = [64, 10]

[line]
delay = "1 ps"
impedance = "50 ohm"

[clock]
dt = "1 ps"
dwell = "4 ps"

[device]
card = "ideal_gradient"
rate_per_batch = 0.3

[training]
batch = 200
epochs = 2

[record]
checkpoint_seconds = 0
device_every = 2
"""
