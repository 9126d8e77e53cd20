"""Functions of one wire, evaluated on every input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from actc.ir.spec import codes as spec
from actc.targets.fpga.functions import Requantization
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate

Integers = npt.NDArray[np.int64]


def inputs(range: Range) -> Integers:
    return np.arange(range.low, range.high + 1, dtype=np.int64)


def on_all(range: Range, build: Callable[[Wire], Wire]) -> tuple[Wire, Integers]:
    """What `build` makes of an input, and its value for every input."""
    x = Graph().input("x", range)
    y = build(x)
    module = Module("unit", (x,), (Output("y", y, y.width),))
    return y, evaluate(module, {"x": inputs(range)})["y"]


def specified(x: Integers, r: Requantization) -> Integers:
    zero, low, high = (np.array(v, np.uint16) for v in (r.zero, r.low, r.high))
    found = spec.requantize(x, np.array(r.multiplier), np.array(r.shift), zero, low, high)
    return np.asarray(found, np.int64)
