"""Modules as Verilog-2005 that every tool reads alike.

Equal modules give equal text. One declaration per wire, in the order in which the
graph was built; tables are functions (logic) or initialized memories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.expressions import Text, expression, literal
from actc.targets.fpga.hdl.graph import Wire
from actc.targets.fpga.hdl.module import Module, port_name
from actc.targets.fpga.hdl.names import Names, identifier

CLOCK = "clk"
LINT_OFF = "/* verilator lint_off UNUSED */  // shifts drop low bits, claims drop high ones"
LINT_ON = "/* verilator lint_on UNUSED */"
ADDRESS = "address"
_DIRECTIVE = re.compile(r"^\s*(?=(synthesis|synopsys|verilator|pragma|altera|xilinx)\b)", re.I)
_QUOTED = "- "
"""In front of what tools would take for a directive, as a name of the model's may be."""
_CASE_BITS = 12
"""Address bits of a table up to which one flat case is written: the fewest LUTs in yosys."""

IN_BLOCK = '(* rom_style = "block" *)'
"""The attribute of memories that shall be block memories, for yosys and Vivado."""
_ROW = 256
"""Entries of a memory that one block sets: yosys takes time by the square of a block."""


def write_verilog(module: Module) -> str:
    """The text of a module: ports as declared, then `clk` if it has registers.

    A port is an unsigned vector that holds the two's complement of a signed value.
    """
    names = Names()
    names.new(ADDRESS)  # an argument of functions
    names.new(CLOCK)  # which a port of the design may be called
    title = names.new(module.name)
    inputs = {wire.index: names.new(port_name(wire)) for wire in module.inputs}
    outputs = [names.new(out.name) for out in module.outputs]
    ports = [f"input {vector(w.width)}{inputs[w.index]}" for w in module.inputs]
    if module.clocked:
        ports.insert(0, f"input {CLOCK}")
    ports += [
        f"output {vector(out.width)}{name}"
        for out, name in zip(module.outputs, outputs, strict=True)
    ]
    text = Text({**inputs}, {})
    body = _body(module, text, names)
    for out, name in zip(module.outputs, outputs, strict=True):
        body.append(f"assign {name} = {text.fit(out.wire, out.width)};")
    lines = comment_lines(module.comments)
    lines += [
        LINT_OFF,
        f"module {title} (",
        ",\n".join(f"  {port}" for port in ports),
        ");",
        *(f"  {line}" if line else "" for line in body),
        "endmodule",
        LINT_ON,
    ]
    return "\n".join(lines) + "\n"


def module_identifier(module: Module) -> str:
    """The name under which `module` is written."""
    return identifier(module.name)


def comment_lines(comments: Sequence[str]) -> list[str]:
    """Comments in ASCII, which no text in them can leave: they may hold names of a model."""
    lines = (line for comment in comments for line in comment.splitlines())
    plain = ("".join(map(_printable, line)) for line in lines)
    return [f"// {_DIRECTIVE.sub(_QUOTED, line)}".rstrip() for line in plain]


def _printable(character: str) -> str:
    if character.isascii() and (character.isprintable() or character == "\t"):
        return character
    return character.encode("unicode_escape").decode()


def vector(width: int) -> str:
    """The width of a declaration; nothing for single bits."""
    return f"[{width - 1}:0] " if width > 1 else ""


def _body(module: Module, text: Text, names: Names) -> list[str]:
    wires = [wire for wire in module.wires() if _declared(wire)]
    hints = module.graph.hints
    for wire in wires:
        text.names[wire.index] = names.new(hints.get(wire.index, wire.operator.noun))
    lines: list[str] = []
    for wire in wires:
        lines += declaration(wire, text, names)
    return lines


def _declared(wire: Wire) -> bool:
    if isinstance(wire.operator, (op.Input, op.Constant)):
        return False
    return not is_part(wire) or wire.index in wire.graph.hints


def is_part(wire: Wire) -> bool:
    """Whether a wire is some bits of another; it is written in place unless it has a name."""
    return isinstance(wire.operator, (op.Bits, op.ShiftRight, op.Narrow))


def declaration(wire: Wire, text: Text, names: Names, *, port: bool = False) -> list[str]:
    """What declares a wire and gives it its value.

    Args:
        text: knows the names of the wire and of what it reads; learns that of its table.
        names: those taken in the module.
        port: whether the wire is an output port, which is declared already.
    """
    name, declared = text.names[wire.index], vector(wire.width)
    if isinstance(wire.operator, op.Register):
        start = f"initial {name} = {literal(wire.operator.initial, wire.width)};"
        driven = text.fit(wire.operands[0], wire.width)
        return [
            *([] if port else [f"reg {declared}{name};"]),
            *([] if wire.operator.free else [start]),
            f"always @(posedge {CLOCK}) {name} <= {driven};",
        ]
    lines = []
    if isinstance(wire.operator, op.Lookup):
        text.tables[wire.index] = names.new(f"{name}_table")
        write = _memory if wire.operator.memory else _function
        lines = write(wire.operator, wire, text.tables[wire.index])
    start = "assign " if port else f"wire {declared}"
    return [*lines, f"{start}{name} = {expression(wire.operator, wire, text)};"]


def _memory(operator: op.Lookup, wire: Wire, table: str) -> list[str]:
    count = 1 << wire.operands[0].width
    entries = _entries(operator, count)
    lines = [f"{IN_BLOCK} reg {vector(wire.width)}{table} [0:{count - 1}];"]
    for first in range(0, count, _ROW):
        row = enumerate(entries[first : first + _ROW], first)
        lines += ["initial begin"]
        lines += [f"  {table}[{a}] = {literal(value, wire.width)};" for a, value in row]
        lines += ["end"]
    return lines


def _entries(operator: op.Lookup, count: int) -> list[int]:
    """All that an address of its width can reach; beyond the table its last entry."""
    values = list(operator.values[:count])
    return values + values[-1:] * (count - len(values))


def _function(operator: op.Lookup, wire: Wire, table: str) -> list[str]:
    width = wire.operands[0].width
    entries = _entries(operator, 1 << width)
    leaves = [[f"{table} = {literal(value, wire.width)};"] for value in entries]
    # simulators walk through the items of a case, so large tables get rows
    low = width if width <= _CASE_BITS else width // 2
    rows = [leaves[first : first + (1 << low)] for first in range(0, len(leaves), 1 << low)]
    inner = ADDRESS if low == width else f"{ADDRESS}[{low - 1}:0]"
    body = _case(f"{ADDRESS}[{width - 1}:{low}]", width - low, [_case(inner, low, r) for r in rows])
    return [
        f"function {vector(wire.width)}{table}(input {vector(width)}{ADDRESS});",
        *(f"  {line}" for line in body),
        "endfunction",
    ]


def _case(selector: str, width: int, branches: list[list[str]]) -> list[str]:
    """A case over all values of `width` bits; the last branch stands for all equal to it."""
    default = branches[-1]
    if all(branch == default for branch in branches):
        return default
    lines = [f"case ({selector})"]
    for value, branch in enumerate(branches):
        if branch != default:
            lines += _branch(literal(value, width), branch)
    return [*lines, *_branch("default", default), "endcase"]


def _branch(label: str, lines: list[str]) -> list[str]:
    """`label: line`, further lines indented."""
    return [f"  {label}: {lines[0]}", *(f"  {line}" for line in lines[1:])]
