"""Programs in C99, for any compiler and no library but <stdint.h>.

Shifts to the right of negative numbers, which C leaves to the compiler, are written as
``~(~v >> n)``; no step overflows, because the types hold the exact ranges.
"""

from __future__ import annotations

from actc.emitters.program import Program, Range, Step, range_of
from actc.emitters.text import Header, block_comment, c_integer, rows, search_steps

_INDENT = "    "
_INT32 = Range(-(2**31), 2**31 - 1)


def write_c(program: Program, name: str, header: Header) -> bytes:
    """One function, ``intN_t name(intM_t x)``.

    Args:
        name: an identifier.
    """
    writer = _Writer(program)
    source, target = (
        c_integer(Range(form.low, form.high)) for form in (program.input, program.output)
    )
    result = writer.operand(program.result, target)
    lines = [
        block_comment(_header(program, header)),
        "#include <stdint.h>",
        "",
        # declared first: some compilers warn of external functions without
        f"{target} {name}({source} x);",
        "",
        f"{target} {name}({source} x)",
        "{",
        *writer.tables(),
        *_saturation(program, source),
        *(line for step in program.steps for line in writer.step(step)),
        f"{_INDENT}return {result};",
        "}",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def _header(program: Program, header: Header) -> list[str]:
    lines = header.lines(program.input, program.output)
    if program.input.bits not in (8, 16):
        lines.append("Other inputs count as the nearest of these.")
    return lines


def _saturation(program: Program, source: str) -> list[str]:
    """Brings x into its format, where the type has more codes than that."""
    low, high = program.input.low, program.input.high
    if program.input.bits in (8, 16):
        return []
    bounds = [("<", low)] if low else []
    return [
        line
        for sign, bound in [*bounds, (">", high)]
        for line in (
            f"{_INDENT}if (x {sign} {bound}) {{",
            f"{_INDENT * 2}x = ({source}){bound};" if bound < 0 else f"{_INDENT * 2}x = {bound};",
            f"{_INDENT}}}",
        )
    ]


class _Writer:
    """Writes the parts of one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._types = {step.name: self._type(step) for step in program.steps}

    def _type(self, step: Step) -> str:
        """int32_t where the result and the operands fit, else int64_t."""
        wide = [step.range]
        for operand in (step.left, step.right):
            if isinstance(operand, int) or operand not in self._program.tables:
                wide.append(self._program.range(operand))
        small = all(_INT32.low <= part.low and part.high <= _INT32.high for part in wide)
        return "int32_t" if small else "int64_t"

    def tables(self) -> list[str]:
        """The constant tables, in the narrowest types."""
        return [
            f"{_INDENT}static const {_table_type(range_of(table))} {name}[{table.size}] = {{\n"
            f"{rows([_number(int(entry)) for entry in table], _INDENT * 2)}\n{_INDENT}}};"
            for name, table in self._program.tables.items()
        ]

    def operand(self, operand: str | int, wanted: str) -> str:
        """A value or constant as the wanted type."""
        if isinstance(operand, int):
            return _number(operand)
        return operand if self._types.get(operand) == wanted else f"({wanted}){operand}"

    def step(self, step: Step) -> list[str]:
        """The lines of a step."""
        if step.operator == "rank":
            return self._search(step)
        return [f"{_INDENT}const {self._types[step.name]} {step.name} = {self._expression(step)};"]

    def _expression(self, step: Step) -> str:
        kind = self._types[step.name]
        if step.operator == "lookup":
            return f"{step.right}[{step.left}]"
        left, right = (self.operand(side, kind) for side in (step.left, step.right))
        if step.operator == "left":
            return f"{left} * {2 ** int(step.right)}"  # also right for negative numbers
        if step.operator == "right":
            if not self._program.range(step.left).signed:
                return f"{left} >> {right}"
            return f"{left} < 0 ? ~(~{left} >> {right}) : {left} >> {right}"
        if isinstance(step.right, int) and step.right < 0 and step.operator != "multiply":
            sign = {"add": "-", "subtract": "+"}[step.operator]
            return f"{left} {sign} {_number(-step.right)}"
        return f"{left} {_SIGNS[step.operator]} {right}"

    def _search(self, step: Step) -> list[str]:
        """A binary search: the bits of the rank, most significant first."""
        table = self._program.tables[str(step.right)]
        name = step.name
        left = self.operand(step.left, self._types[name])
        return [
            f"{_INDENT}{self._types[name]} {name} = 0;",
            f"{_INDENT}for (int32_t half = {search_steps(table.size)}; half > 0; half /= 2) {{",
            f"{_INDENT * 2}if ({name} + half <= {table.size} "
            f"&& {left} >= {step.right}[{name} + half - 1]) {{",
            f"{_INDENT * 3}{name} += half;",
            f"{_INDENT * 2}}}",
            f"{_INDENT}}}",
        ]


_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "and": "&"}


def _table_type(entries: Range) -> str:
    """The narrowest type that converts to the values' types without changing a sign."""
    if not entries.signed and 16 < entries.width < 32:
        return "int32_t"
    return c_integer(entries)


def _number(value: int) -> str:
    """A constant: the lowest one of a type has no literal of that type."""
    if value in (-(2**31), -(2**63)):
        return f"(-{-value - 1} - 1)"
    return str(value)
