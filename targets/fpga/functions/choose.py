"""The cheapest form of a function, by the cost model of units."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from actc.cost.features import features
from actc.cost.model import coefficients, predict
from actc.targets.fpga.families import find_family
from actc.targets.fpga.functions.forms import Form, constant, domain, forms
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.steps import Integers, StepFunction
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate

_CACHE = 4096
_COUNTED_BITS = 16
"""Bits of input up to which truth tables are counted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A form and what it is estimated to cost.

    Attributes:
        form: the form.
        cost: logic cells, block memories at their rate.
    """

    form: Form
    cost: int


def choose(steps: StepFunction, options: FunctionOptions) -> Choice:
    """The form of least estimated cost; the first of equals."""
    return _chosen(_Key(steps), options)


def choices(steps: StepFunction, options: FunctionOptions) -> list[Choice]:
    """All forms with their costs, in the order of :func:`~.forms.forms`."""
    if steps.levels.size == 1:
        return [Choice(Form("constant", lambda x: constant(steps, x)), 0)]
    wide = steps.range.width > _COUNTED_BITS
    return [
        Choice(
            form,
            long_search(steps, options)
            if wide and form.name == "search"
            else cost(form, steps.range, options),
        )
        for form in forms(steps, memory=options.memory)
    ]


def long_search(steps: StepFunction, options: FunctionOptions) -> int:
    """Logic cells of a search through more inputs than truth tables are counted for."""
    per_table = find_family(options.family).lut_inputs - 1
    bits = steps.range.width - 1 + steps.hull.width
    return (steps.levels.size - 1) * -(-bits // per_table)


def cost(form: Form, range: Range, options: FunctionOptions) -> int:
    """Estimated logic cells of a form on an input of `range`."""
    whole = domain(range)
    x = Graph().input("x", whole)
    y = form.build(x)
    if y.value is not None:
        return 0
    family = find_family(options.family)
    module = Module("function", (x,), (Output("y", y, y.width),))
    outputs = np.zeros(0, np.int64)  # not read where no output is a truth table
    if whole.width <= _COUNTED_BITS:
        outputs = _outputs(module, np.arange(whole.low, whole.high + 1))
    counts = features(module, outputs, family)
    return predict(counts, family, coefficients()[family.name]).total


def _outputs(module: Module, codes: Integers) -> Integers:
    """Values in the order of the input's bit patterns."""
    if codes[0] < 0:
        codes = np.roll(codes, len(codes) // 2)
    found: Integers = evaluate(module, {"x": codes})["y"]
    return found


@dataclass(frozen=True, eq=False)
class _Key:
    """A function, equal to every equal one."""

    steps: StepFunction

    def __hash__(self) -> int:
        return hash(self.steps.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.steps.key == other.steps.key


@functools.lru_cache(maxsize=_CACHE)
def _chosen(key: _Key, options: FunctionOptions) -> Choice:
    return min(choices(key.steps, options), key=lambda choice: choice.cost)


def build(steps: StepFunction, x: Wire, options: FunctionOptions) -> Wire:
    """The function on a wire, in its cheapest form."""
    y = choose(steps, options).form.build(x)
    return y.narrow(steps.hull, "all values of the function, enumerated")
