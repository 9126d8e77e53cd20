"""Programs as Python modules that need numpy alone."""

from __future__ import annotations

from actc.approx.fixed_point import Codes, FixedPoint
from actc.emitters.program import Program, Step, range_of
from actc.emitters.text import Header, c_integer, comment, rows

_MODULE = '''"""{about}"""

import numpy as np

FUNCTION = {function}
MAX_ERROR = {error!r}
INPUT = {input}
OUTPUT = {output}
{tables}

def evaluate(codes):
    """Output codes (int64) of input codes (integers, any shape).

    The real number of a code is code * 2.0**-fraction, fractions as in INPUT and OUTPUT.
    """
    x = np.asarray(codes)
    if x.dtype.kind not in "iu":
        raise ValueError(f"codes are integers, not {{x.dtype}}")
    if x.size and not ({low} <= x.min() and x.max() <= {high}):
        raise ValueError("codes of {format} are {low}..{high}")
    x = x.astype(np.int64)
{steps}
'''
_OPERATORS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "and": "&",
    "left": "<<",
    "right": ">>",
}


def write_numpy(program: Program, name: str, header: Header) -> bytes:
    """A module whose ``evaluate(codes)`` computes the steps.

    Args:
        name: an identifier; the first word of the module's docstring.
    """
    form = header.form.replace("_", " ")
    text = _MODULE.format(
        about=f"{name}: {form}, {program.input} codes in, {program.output} codes out.",
        function=ascii(comment(header.function)),
        error=header.max_error,
        input=_format(program.input),
        output=_format(program.output),
        tables="".join(_table(*item) for item in program.tables.items()),
        format=program.input,
        low=program.input.low,
        high=program.input.high,
        steps="\n".join(
            [
                *(f"    {step.name} = {_expression(step)}" for step in program.steps),
                _result(program.result),
            ]
        ),
    )
    return text.encode("ascii")


def _format(format: FixedPoint) -> str:
    fields = {"signed": format.signed, "bits": format.bits, "fraction": format.fraction}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in fields.items()) + "}"


def _table(name: str, table: Codes) -> str:
    entries = rows([str(entry) for entry in table.tolist()], " " * 8)
    kind = c_integer(range_of(table)).removesuffix("_t")
    return f"{name.upper()} = np.array(\n    [\n{entries}\n    ],\n    np.{kind},\n)\n"


def _expression(step: Step) -> str:
    left, right = step.left, step.right
    if step.operator == "lookup":
        return f"{str(right).upper()}[{left}].astype(np.int64)"
    if step.operator == "rank":
        return f'np.searchsorted({str(right).upper()}, {left}, side="right")'
    if step.operator in ("add", "subtract") and isinstance(right, int) and right < 0:
        return f"{left} {'-' if step.operator == 'add' else '+'} {-right}"
    return f"{left} {_OPERATORS[step.operator]} {right}"


def _result(result: str | int) -> str:
    if isinstance(result, int):
        return f"    return np.full(x.shape, {result}, np.int64)"
    return f"    return {result}"
