"""Piecewise-linear functions with float32 coefficients in C99.

The product of two floats is exact in double, so the result is rounded once, by the sum:
it is the certified value, whether or not the compiler contracts the two operations.
"""

from __future__ import annotations

import numpy as np

from actc.approx.function import Float64Array
from actc.approx.pwl import PiecewiseLinear
from actc.emitters.text import block_comment, rows, search_steps

_INDENT = "    "


def write_c_lines(
    form: PiecewiseLinear, name: str, function: str, domain: tuple[float, float], max_error: float
) -> bytes:
    """One function, ``double name(float x)``, equal to ``form.evaluate`` at every float.

    Args:
        form: with coefficients that are float32 numbers.
        name: an identifier.
        function, domain, max_error: for the comment at the top.

    Raises:
        ValueError: a coefficient is not a float32 number.
    """
    about = [
        f"{function}: piecewise linear, {form.segments} segments.",
        f"Largest error {max_error!r} for x in [{domain[0]!r}, {domain[1]!r}]; the outer "
        "segments continue beyond.",
        "The product is exact in double: the result does not depend on how the compiler "
        "contracts floating-point operations. Assigned to a float it is rounded once more.",
    ]
    steps = not np.any(form.slopes)
    tables = [("breakpoints", form.breakpoints), ("intercepts", form.intercepts)]
    if not steps:
        tables.insert(1, ("slopes", form.slopes))
    line = "intercepts[segment]"
    if not steps:
        line = f"(double)slopes[segment] * (double)x + (double){line}"
    lines = [
        block_comment(about),
        f"double {name}(float x);",
        "",
        f"double {name}(float x)",
        "{",
        *(_table(*table) for table in tables if table[1].size),
        *_search(form.breakpoints.size),
        f"{_INDENT}return {line};",
        "}",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def _table(name: str, values: Float64Array) -> str:
    if np.any(values != values.astype(np.float32)):
        raise ValueError(f"the {name} are not all float32 numbers")
    entries = rows([_literal(value) for value in values.tolist()], _INDENT * 2)
    return f"{_INDENT}static const float {name}[{values.size}] = {{\n{entries}\n{_INDENT}}};"


def _literal(value: float) -> str:
    """A hexadecimal literal: C rounds decimal ones as it likes."""
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}f"


def _search(breakpoints: int) -> list[str]:
    """A binary search for the number of breakpoints <= x, most significant bit first."""
    if not breakpoints:
        return [f"{_INDENT}const int segment = 0;"]
    return [
        f"{_INDENT}int segment = 0;",
        f"{_INDENT}for (int half = {search_steps(breakpoints)}; half > 0; half /= 2) {{",
        f"{_INDENT * 2}if (segment + half <= {breakpoints} "
        "&& x >= breakpoints[segment + half - 1]) {",
        f"{_INDENT * 3}segment += half;",
        f"{_INDENT * 2}}}",
        f"{_INDENT}}}",
    ]
