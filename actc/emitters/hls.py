"""Programs in C++ for Vitis and Vivado HLS, every value in its exact width."""

from __future__ import annotations

from actc.emitters.program import INPUT, Program, Range, Step, range_of
from actc.emitters.text import Header, block_comment, rows, search_steps

_INDENT = "    "
_LARGEST_LUTRAM = 8192
"""Bits of the largest table kept in LUTs; larger ones go into a block RAM (18 kbit)."""


def write_hls(program: Program, name: str, header: Header) -> bytes:
    """One function, ``ap_int<n> name(ap_int<m> x)`` (ap_uint where a format is unsigned).

    Args:
        name: an identifier.
    """
    writer = _Writer(program)
    source, target = (_integer(form.signed, form.bits) for form in (program.input, program.output))
    lines = [
        block_comment(header.lines(program.input, program.output)),
        "#include <ap_int.h>",
        "",
        f"{target} {name}({source} x)",
        "{",
        "#pragma HLS PIPELINE II=1",
        *writer.tables(),
        *(line for step in program.steps for line in writer.step(step)),
        f"{_INDENT}return {program.result};",
        "}",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def _integer(signed: bool, width: int) -> str:
    return f"ap_{'' if signed else 'u'}int<{width}>"


def _type(range: Range) -> str:
    return _integer(range.signed, range.width)


class _Writer:
    """Writes the parts of one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._searched = {step.right for step in program.steps if step.operator == "rank"}

    def tables(self) -> list[str]:
        """The constant tables; those that are searched become comparators."""
        lines = []
        for name, table in self._program.tables.items():
            exact = range_of(table)
            entries = rows([str(entry) for entry in table.tolist()], _INDENT * 2)
            lines += [
                f"{_INDENT}static const {_type(exact)} {name}[{table.size}] = {{",
                entries,
                f"{_INDENT}}};",
            ]
            if name in self._searched:
                lines.append(f"#pragma HLS ARRAY_PARTITION variable={name} complete")
            else:
                kind = "lutram" if table.size * exact.width <= _LARGEST_LUTRAM else "bram"
                lines.append(f"#pragma HLS BIND_STORAGE variable={name} type=rom_1p impl={kind}")
        return lines

    def step(self, step: Step) -> list[str]:
        """The lines of a step."""
        if step.operator == "rank":
            return self._search(step)
        return [f"{_INDENT}const {_type(step.range)} {step.name} = {self._expression(step)};"]

    def _expression(self, step: Step) -> str:
        left, right = step.left, step.right
        if step.operator == "lookup":
            return f"{right}[{left}]"
        if step.operator == "left":
            # a shift keeps the width of its left operand
            return f"{_type(step.range)}({left}) << {right}"
        if step.operator in ("add", "subtract") and isinstance(right, int) and right < 0:
            return f"{left} {'-' if step.operator == 'add' else '+'} {-right}"
        if isinstance(left, int) and isinstance(right, str):
            left = f"{_type(self._program.range(left))}({left})"
        return f"{left} {_SIGNS[step.operator]} {right}"

    def _search(self, step: Step) -> list[str]:
        """A binary search, unrolled: the bits of the rank, most significant first."""
        size = self._program.tables[str(step.right)].size
        first = search_steps(size)
        name = step.name
        left = INPUT if step.left == INPUT else step.left
        return [
            f"{_INDENT}ap_uint<{size.bit_length()}> {name} = 0;",
            f"{_INDENT}for (int half = {first}; half > 0; half /= 2) {{",
            "#pragma HLS UNROLL",
            f"{_INDENT * 2}if ({name} + half <= {size} "
            f"&& {left} >= {step.right}[{name} + half - 1]) {{",
            f"{_INDENT * 3}{name} += half;",
            f"{_INDENT * 2}}}",
            f"{_INDENT}}}",
        ]


_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "and": "&", "right": ">>"}
