"""Laptop, short: two fifths of the steps of stage 1, at a higher rate, which end on CTC's plateau or near it."""

from dataclasses import replace

from experiments.cross_lingual.sizes import laptop

SIZE = replace(laptop.SIZE, stage1=replace(laptop.SIZE.stage1, steps=1200, learning_rate=1.5e-3))
