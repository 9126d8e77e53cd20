"""What tests of pipelines share."""

from __future__ import annotations

import numpy as np
from fpga_designs import random_samples

from actc.targets.fpga.hdl import Design
from actc.targets.fpga.pipeline import Timing, find_timing

ECP5 = find_timing("ecp5-6")
SLOW = Timing("slow", "a device with slow carries", 4, 4, 1.0, 1.0, 0.1, 0.5, 0.5, 1.0, 1.0)


def delayed_outputs(design: Design, made: Design, seed: int = 0) -> None:
    """Check that `made` gives the outputs of `design`, its latency later."""
    inputs = random_samples(design, 30, seed)
    latency = made.latency
    assert latency is not None
    expected, found = design.evaluate(inputs), made.evaluate(inputs)
    for bus in design.outputs:
        assert np.array_equal(found[bus.name][latency:], expected[bus.name][: 30 - latency])
