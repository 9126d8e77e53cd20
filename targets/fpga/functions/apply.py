"""Functions on wires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy.typing as npt

from actc.targets.fpga.functions.bias import without_bias
from actc.targets.fpga.functions.choose import build, choose, narrow
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.scaling import sparing_offsets
from actc.targets.fpga.functions.stages import Requantization, Stage, in_stages
from actc.targets.fpga.functions.steps import Function, StepFunction
from actc.targets.fpga.hdl import Range, Wire

_DEFAULT = FunctionOptions()
_OFFSETS = 3


def integer_function(
    x: Wire,
    values: npt.ArrayLike | Function | StepFunction,
    options: FunctionOptions = _DEFAULT,
) -> Wire:
    """Any integer function of one wire, in the form that is estimated to be cheapest.

    Args:
        values: int64 [x.range.high - x.range.low + 1], from the lowest input on; or what
            computes them from an array of inputs; or runs of equal values.

    Returns:
        the wire, equal to the function on all of `x.range`, whose range is the hull of the
        values there.

    Raises:
        UsageError: ACT0545, `values` are not one integer per input; ACT0546, too many
            inputs to compute all values.
    """
    return composite(x, [StepFunction.of(x.range, values).cut], options)


def preferred_offset(
    range: Range,
    values: npt.ArrayLike | Function | StepFunction,
    options: FunctionOptions = _DEFAULT,
) -> int:
    """What to add to the input, where that is free, so that the function costs least.

    An accumulator's bias is free. For an accumulator `acc` with `range`, build ``x = acc +
    offset`` as part of its sum, and then ``integer_function(x, StepFunction.of(range,
    values).moved(offset))``: one threshold becomes a sign bit, a line loses its constant, and
    saturated ends move to where first bits tell them.

    Returns:
        the offset; 0 if no other costs less.

    Raises:
        UsageError: as :func:`integer_function`.
    """
    steps = StepFunction.of(range, values)
    if steps.levels.size == 1:
        return 0
    ends = [-int(steps.starts[1]), -int(steps.starts[-1])]
    offsets = dict.fromkeys([0, *ends, *sparing_offsets(steps)[:_OFFSETS]])
    return min(offsets, key=lambda offset: choose(steps.moved(offset), options).cost)


def requantize(
    acc: Wire,
    multiplier: int,
    shift: int,
    zero: int,
    low: int,
    high: int,
    options: FunctionOptions = _DEFAULT,
) -> Wire:
    """``clamp(((acc * multiplier + 2**(shift-1)) >> shift) + zero, low, high)``, exactly.

    Raises:
        UsageError: ACT0547, the parameters are no requantization.
    """
    return composite(acc, [Requantization(multiplier, shift, zero, low, high)], options)


def composite(acc: Wire, stages: Sequence[Stage], options: FunctionOptions = _DEFAULT) -> Wire:
    """Functions one after the other; neighbours are joined wherever that costs less.

    Constants that `acc` ends with, such as the bias of an accumulator, become a part of the
    first function.

    Args:
        stages: one at least, such as :class:`~.stages.Requantization` and
            :func:`~.stages.table_stage`.

    Raises:
        UsageError: ACT0545, a stage has no value for something that the one before gives.
    """
    wire, own = without_bias(acc, stages)
    for function in cheapest_stages(wire.range, own, options):
        wire = build(function, wire, options)
    return wire


def cheapest_stages(
    range: Range, stages: Sequence[Stage], options: FunctionOptions
) -> list[StepFunction]:
    """The way to join neighbouring stages that costs least."""
    if narrow(range, options):
        return [in_stages(range, stages)]
    return min(
        groupings(range, stages),
        key=lambda functions: sum(choose(steps, options).cost for steps in functions),
    )


def groupings(range: Range, stages: Sequence[Stage]) -> Iterator[list[StepFunction]]:
    """All ways to join neighbouring stages, all of them in one function first."""
    for groups in _groupings(stages):
        functions: list[StepFunction] = []
        inputs = range
        for group in groups:
            functions.append(in_stages(inputs, group))
            inputs = functions[-1].hull
        yield functions


def _groupings(stages: Sequence[Stage]) -> Iterator[list[Sequence[Stage]]]:
    """All ways to cut a sequence, the whole one first."""
    yield [stages]
    for first in range(len(stages) - 1, 0, -1):
        for rest in _groupings(stages[first:]):
            yield [stages[:first], *rest]
