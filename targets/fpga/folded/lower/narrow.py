"""Streams of few values carry their numbers: two values are one bit, whatever their codes.

Only sums of products read such streams, or windows' maxima in front of these. The distance of
the codes goes into the functions of the sums. Where inputs are bits and weights are -1 and 1, the
sums are counts of inputs that agree with their weight; that goes into the functions, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from actc.targets.fpga.folded.lower.functions import Affine, affine
from actc.targets.fpga.folded.lower.tracked import Integers
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MatrixStage,
    MaximumStage,
    Stage,
)
from actc.targets.fpga.functions import Stage as Function
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Share = Callable[[StepFunction], StepFunction]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The codes ``low + step * k``, told by k.

    Attributes:
        count: of the codes.
    """

    low: int
    step: int
    count: int

    @property
    def range(self) -> Range:
        """Of k."""
        return Range(0, self.count - 1)

    def of(self, codes: Integers) -> Integers:
        """k of codes."""
        return np.asarray((codes - self.low) // self.step)

    def __call__(self, inputs: Range) -> StepFunction:
        """k, as a function of codes."""
        return StepFunction.of(inputs, self.of(np.arange(inputs.low, inputs.high + 1)))

    def holds(self, code: int) -> bool:
        """Whether a code is one of them."""
        k, rest = divmod(code - self.low, self.step)
        return rest == 0 and 0 <= k < self.count


def narrowed(program: FoldedProgram, share: Share) -> FoldedProgram:
    """The same with fewer bits in the streams of evenly spaced values.

    Args:
        share: gives equal functions as one.
    """
    stages = list(program.stages)
    for number in range(len(stages)):
        current = replace(program, stages=tuple(stages))
        numbers = _numbers(stages[number])
        if numbers is None or number in program.exits:
            continue
        readers = _readers(current, number, numbers)
        if readers is None:
            continue
        stages[number] = _told(stages[number], numbers, share)
        for reader in readers:
            stages[reader] = _reading(stages[reader], numbers, share)
    return replace(program, stages=tuple(counting(stage, share) for stage in stages))


def _functions(stage: Stage) -> tuple[StepFunction, ...]:
    found: tuple[StepFunction, ...] = getattr(stage, "functions", ())
    return found


def _numbers(stage: Stage) -> Numbers | None:
    """What the values of a stage are, None where telling them by number takes as many bits."""
    functions = {id(function): function for function in _functions(stage)}
    if not functions:
        return None
    levels = np.unique(np.concatenate([function.levels for function in functions.values()]))
    low = int(levels[0])
    step = int(np.gcd.reduce(levels - low))
    if step == 0:
        return None
    found = Numbers(low, step, int(levels[-1] - low) // step + 1)
    return found if found.range.width < stage.output.range.width else None


def _readers(program: FoldedProgram, number: int, numbers: Numbers) -> list[int] | None:
    """All stages that see the numbers, None where one needs the codes."""
    found: list[int] = []
    for reader in program.readers(number):
        stage = program.stages[reader]
        if isinstance(stage, MatrixStage):
            if not _takes(stage, numbers):
                return None
            found.append(reader)
        elif isinstance(stage, MaximumStage) and not stage.functions:
            behind = _readers(program, reader, numbers)
            if behind is None or reader in program.exits:
                return None
            found += [reader, *behind]
        else:
            return None
    return found


def _takes(stage: MatrixStage, numbers: Numbers) -> bool:
    """Whether a sum can be told: its padding is a code or between both, its step a power of two."""
    inside = not _padded(stage) or numbers.holds(stage.outside) or _between(stage, numbers)
    return inside and (stage.plain is None or numbers.step & (numbers.step - 1) == 0)


def _between(stage: MatrixStage, numbers: Numbers) -> bool:
    """Whether padding lies in the middle of the two codes of a binary stage."""
    middle = numbers.count == 2 and 2 * (stage.outside - numbers.low) == numbers.step
    return middle and _of_signs(stage)


def _of_signs(stage: MatrixStage) -> bool:
    return bool(np.all(np.abs(stage.weights) == 1))


def _padded(stage: MatrixStage) -> bool:
    return any((*stage.window.before, *stage.window.after))


def _told(stage: Stage, numbers: Numbers, share: Share) -> Stage:
    """The stage, giving numbers."""
    functions = tuple(
        share(StepFunction(f.range, f.starts, numbers.of(f.levels))) for f in _functions(stage)
    )
    given: dict[str, Any] = {
        "functions": functions,
        "output": replace(stage.output, range=numbers.range),
    }
    if isinstance(stage, MatrixStage):
        given["stages"] = _each(stage.stages, lambda parts, _: (*parts, numbers))
    return replace(stage, **given)


def _reading(stage: Stage, numbers: Numbers, share: Share) -> Stage:
    """The stage, taking numbers."""
    input = replace(stage.input, range=numbers.range)
    if isinstance(stage, MaximumStage):
        return replace(stage, input=input, output=replace(stage.output, range=numbers.range))
    assert isinstance(stage, MatrixStage)
    sums = numbers.low * stage.weights.reshape(len(stage.weights), -1).sum(axis=1)
    if _padded(stage) and not numbers.holds(stage.outside):
        made = replace(stage, input=input, outside=1, counted=2)
        return _moved_totals(made, numbers.step // 2, sums - numbers.step * _negative(stage), share)
    outside = int(numbers.of(np.array(stage.outside))) if _padded(stage) else 0
    return _moved_totals(replace(stage, input=input, outside=outside), numbers.step, sums, share)


def counting(stage: Stage, share: Share) -> Stage:
    """The stage; where its inputs are bits and its weights signs, as one that counts."""
    if not isinstance(stage, MatrixStage) or stage.counted:
        return stage
    bits = Range(0, 1)
    if stage.input.range != bits or not _of_signs(stage):
        return stage
    if _padded(stage) and stage.outside not in (0, 1):
        return stage
    return _moved_totals(replace(stage, counted=1), 1, -_negative(stage), share)


def _negative(stage: MatrixStage) -> Integers:
    """How many weights of each output are negative."""
    found: Integers = np.count_nonzero(stage.weights < 0, axis=(1, 2, 3)).astype(np.int64)
    return found


def _moved_totals(stage: MatrixStage, step: int, shifts: Integers, share: Share) -> MatrixStage:
    """A stage whose totals were ``step * total + shift`` of each output."""
    if stage.plain is not None:
        return replace(stage, plain=stage.plain + stage.factor * shifts, factor=stage.factor * step)
    offsets = shifts.tolist()
    functions = tuple(
        share(affine(function, step, shift, total))
        for function, shift, total in zip(stage.functions, offsets, stage.totals, strict=True)
    )
    parts = _each(stage.stages, lambda parts, at: (_moved(parts[0], step, offsets[at]), *parts[1:]))
    return replace(stage, functions=functions, stages=parts)


def _each(
    stages: Sequence[tuple[object, ...]],
    change: Callable[[tuple[object, ...], int], tuple[object, ...]],
) -> tuple[tuple[object, ...], ...]:
    return tuple(change(parts, at) for at, parts in enumerate(stages))


def _moved(first: object, step: int, shift: int) -> object:
    """A stage of ``step * x + shift``, as one of x."""
    if (step, shift) == (1, 0):
        return first
    if isinstance(first, Affine):
        whole = first.factor * shift + first.offset
        return Affine(first.stage, first.factor * step, whole)
    return Affine(cast(Function, first), step, shift)
