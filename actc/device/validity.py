"""What the numbers of an interface must be, so that the client can trust them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from actc.device.interface import InputFormat, Interface, OutputFormat, Simulation
from actc.device.logarithm import TABLES
from actc.device.members import Wrong, require

KINDS = ("stream", "uart", "spi")
_GIVEN = ("quantize", "codes", "index", "flags")
_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
_FLOATS = ("float16", "float32", "float64")
_KINDS = {
    **dict.fromkeys(("codes", "accumulator", "softmax", "scores", "log_softmax"), ("float32",)),
    "integers": (*_INTEGERS, "bool"),
}
"""Kinds of outputs, and the types that they may have."""
_WIDEST = 62
_MOST_IN_FLIGHT = 32
"""Half of the sequence numbers: old and new answers are told apart."""
_MOST_BITS = 1 << 24


def check(interface: Interface) -> None:
    """Refuse an interface that contradicts itself.

    Raises:
        Wrong: with the first problem.
    """
    require(interface.kind in KINDS, f"'{interface.kind}' is no kind of interface")
    digits = set(interface.build) <= set("0123456789abcdef") and len(interface.build) == 16
    require(digits, "'build' is not 16 hexadecimal digits")
    require(interface.latency >= 0, "'latency' is negative")
    require(bool(interface.inputs and interface.outputs), "there are no inputs or no outputs")
    _distinct([item.bus for item in interface.inputs])
    _distinct([item.output for item in interface.outputs])
    _distinct(list(interface.output_buses))
    buses = {item.bus for item in interface.outputs}
    require(buses == set(interface.output_buses), "'output_buses' are not those of the outputs")
    for item in interface.inputs:
        for problem in (*_tensor_problems(item), *_input_problems(item)):
            raise Wrong(f"the input '{item.input}' {problem}")
    for output in interface.outputs:
        for problem in (*_tensor_problems(output), *_output_problems(output, interface)):
            raise Wrong(f"the output '{output.output}' {problem}")
    most = max(interface.input_bits, interface.output_bits)
    require(most < _MOST_BITS, f"{most} bits are more than a board can have")
    if interface.kind == "uart":
        require((interface.clock_hz or 0) > 0 and (interface.baud or 0) > 0, "no clock or baud")
    if interface.in_flight is not None:
        fits = 1 <= interface.in_flight <= _MOST_IN_FLIGHT
        require(fits, f"'in_flight' is not 1..{_MOST_IN_FLIGHT}")
    if interface.simulation is not None:
        _check_simulation(interface.simulation)


def _check_simulation(simulation: Simulation) -> None:
    """Its names go into Verilog, its files are read."""
    for name in (simulation.top, simulation.clock_module or simulation.top):
        plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is not None
        require(plain, f"'{name}' is no plain Verilog identifier")
    for file in simulation.files:
        inside = not Path(file).is_absolute() and ".." not in Path(file).parts
        require(inside, f"the file '{file}' is not inside the directory")


def _distinct(names: list[str]) -> None:
    require(len(set(names)) == len(names), "a name stands twice")


def _tensor_problems(item: InputFormat | OutputFormat) -> Iterator[str]:
    if min((1, *item.shape)) < 1 or prod(item.shape) >= _MOST_BITS:
        yield f"has the shape {list(item.shape)}"
    if not 1 <= item.width <= _WIDEST:
        yield f"has {item.width} bits, not 1..{_WIDEST}"
    if item.axes and sorted(item.axes) != list(range(len(item.shape))):
        yield f"has the axes {list(item.axes)}"


def _input_problems(item: InputFormat) -> Iterator[str]:
    if item.kind not in _GIVEN:
        yield f"is of the unknown kind '{item.kind}'"
    if item.dtype not in (*_INTEGERS, *_FLOATS, "bool"):
        yield f"has the type '{item.dtype}'"
    least = -(1 << item.width - 1) if item.signed else 0
    if not least <= item.low <= item.high < least + (1 << item.width):
        yield f"has integers {item.low}..{item.high} in {item.width} bits"
    if not _is_scale(item.scale):
        yield f"has the scale {item.scale}"
    if item.kind != "quantize" and item.dtype in _FLOATS:
        yield "is real, but not quantized"


def _output_problems(item: OutputFormat, interface: Interface) -> Iterator[str]:
    if item.dtype not in _KINDS.get(item.kind, ()):
        yield f"is of the kind '{item.kind}' and the type '{item.dtype}'"
    rank = len(item.shape) + 1
    axis = item.axis % rank
    if not -rank <= item.axis < max(rank, 2):
        yield f"has no axis {item.axis}"
        return
    along = (1, item.shape[axis - 1]) if axis else (1,)
    if len(item.scale) not in along or not all(map(_is_scale, item.scale)):
        yield "has scales that do not fit its shape, or are not positive"
    if len(item.offset) not in along:
        yield "has offsets that do not fit its shape"
    if "softmax" in item.kind or item.kind == "scores":
        yield from _softmax_problems(item, axis)
    shared = next(other for other in interface.outputs if other.bus == item.bus)
    same = ((o.elements, o.width, o.signed) for o in (item, shared))
    if len(set(same)) > 1:
        yield f"and '{shared.output}' are made of one bus, but differ in bits"


def _softmax_problems(item: OutputFormat, axis: int) -> Iterator[str]:
    needed = {"scores": ("table",), "log_softmax": tuple(TABLES)}.get(item.kind, ())
    sizes = {name: len(table) for name, table in item.tables.items()}
    if set(sizes) != set(needed) or not axis:
        yield "has no axis or not the tables for its softmax"
    elif item.kind == "log_softmax" and (sizes != TABLES or item.width > 8):
        yield "has tables of the wrong size"
    elif needed and (min(item.tables["table"], default=-1) < 0 or not item.tables["table"][0]):
        yield "has a table that is not positive"


def _is_scale(value: float) -> bool:
    limits = np.finfo(np.float32)
    return float(limits.tiny) <= value <= float(limits.max)
