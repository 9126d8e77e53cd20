"""The cheapest form of a function, by the cost model of units."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from actc.cost.features import features
from actc.cost.model import coefficients, predict
from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.functions.count import graph_cells, search_cells, table_cells
from actc.targets.fpga.functions.forms import (
    TABLE_BITS,
    Form,
    constant,
    extended,
    forms,
    table_form,
)
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire

_CACHE = 4096


@dataclass(frozen=True, slots=True)
class Choice:
    """A form and what it is estimated to cost.

    Attributes:
        form: the form.
        cost: logic cells.
    """

    form: Form
    cost: int


def choose(steps: StepFunction, options: FunctionOptions) -> Choice:
    """The form of least estimated cost; the first of equals."""
    return _chosen(_Key(steps), options)


def choices(steps: StepFunction, options: FunctionOptions) -> list[Choice]:
    """All forms with their costs, in the order of :func:`~.forms.forms`."""
    if steps.levels.size == 1:
        return [Choice(Form("constant", functools.partial(constant, steps), "lines"), 0)]
    found = [table_form(steps)] if narrow(steps.range, options) else forms(steps)
    return [Choice(form, cost(form, steps, options)) for form in found]


def narrow(range: Range, options: FunctionOptions) -> bool:
    """Whether a bit of any function of a range is one look-up table: nothing takes less."""
    return range.width <= find_family(options.family).lut_inputs


def cost(form: Form, steps: StepFunction, options: FunctionOptions) -> int:
    """Estimated logic cells of a form of a function."""
    family = find_family(options.family)
    if form.kind == "logic":
        return round(logic_cells(steps, family))
    x = Graph().input("x", steps.range)
    y = form.build(x)
    module = Module("function", (x,), (Output("y", y, y.width),))
    if form.kind == "lines":
        return round(graph_cells(module, family))
    counts = features(module, np.zeros(0, np.int64), family)  # no unit is a table alone
    return predict(counts, family, coefficients()[family.name]).total


def logic_cells(steps: StepFunction, family: Family) -> float:
    """Cells of a function in logic alone, however it is written."""
    if steps.range.width > TABLE_BITS:
        return search_cells(steps, family)
    return table_cells(extended(steps), steps.hull.width, family)


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
