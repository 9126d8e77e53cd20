"""Functions on wires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy.typing as npt

from actc.targets.fpga.functions.choose import build, choose
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.stages import Requantization, Stage, in_stages
from actc.targets.fpga.functions.steps import Function, StepFunction
from actc.targets.fpga.hdl import Range, Wire

_DEFAULT = FunctionOptions()


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
    return build(StepFunction.of(x.range, values), x, options)


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

    Args:
        stages: one at least, such as :class:`~.stages.Requantization` and
            :func:`~.stages.table_stage`.

    Raises:
        UsageError: ACT0545, a stage has no value for something that the one before gives.
    """
    for function in cheapest_stages(acc.range, stages, options):
        acc = build(function, acc, options)
    return acc


def cheapest_stages(
    range: Range, stages: Sequence[Stage], options: FunctionOptions
) -> list[StepFunction]:
    """The way to join neighbouring stages that costs least."""
    best: tuple[int, list[StepFunction]] | None = None
    for groups in _groupings(stages):
        functions: list[StepFunction] = []
        total, inputs = 0, range
        for group in groups:
            functions.append(in_stages(inputs, group))
            total += choose(functions[-1], options).cost
            inputs = functions[-1].hull
        if best is None or total < best[0]:
            best = (total, functions)
    assert best is not None  # one group of all stages is the first
    return best[1]


def _groupings(stages: Sequence[Stage]) -> Iterator[list[Sequence[Stage]]]:
    """All ways to cut a sequence, the whole one first."""
    yield [stages]
    for first in range(len(stages) - 1, 0, -1):
        for rest in _groupings(stages[first:]):
            yield [stages[:first], *rest]
