"""A kernel as a C function: its arguments, its body and the helpers that it calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from actc.targets.tvm.kernels.operand import Operand

Array = np.ndarray[Any, Any]

WIDTH = 100
"""Characters of a line, as far as that is possible."""

C_TYPES = {
    "bool": "uint8_t",
    "uint8": "uint8_t",
    "int8": "int8_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "float32": "uint32_t",
}
"""numpy's name of an element type -> C's; float32 is handled as its bits."""


@dataclass(frozen=True, eq=False)
class Argument:
    """A pointer that the function takes.

    Attributes:
        name: in the function.
        dtype: numpy's name of the elements' type.
        source: name of a buffer, or a constant.
    """

    name: str
    dtype: str
    source: str | Array


@dataclass(eq=False)
class Form:
    """A C function in the making.

    Attributes:
        arguments: what it reads.
        result: numpy's name of the type of what it writes.
        lines: of the body.
        helpers: names of the functions in `library.py` that it calls.
        stack: bytes of its arrays on the stack.
    """

    result: str
    arguments: list[Argument] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    stack: int = 0
    _depth: int = 1

    def reads(self, name: str, source: str | Array, dtype: str) -> str:
        """Add an argument; its name."""
        self.arguments.append(Argument(name, dtype, source))
        return name

    def calls(self, helper: str) -> str:
        """Note a helper; its name."""
        self.helpers.add(helper)
        return helper

    def say(self, *lines: str) -> None:
        """Add lines at the present depth."""
        self.lines += [f"{'    ' * self._depth}{line}" for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """`head {` ... `}`"""
        self.say(f"{head} {{")
        self._depth += 1
        yield
        self._depth -= 1
        self.say("}")

    @contextmanager
    def loop(self, variable: str, extent: int | str) -> Iterator[None]:
        """A loop from 0 on."""
        with self.block(f"for (int32_t {variable} = 0; {variable} < {extent}; {variable}++)"):
            yield

    @contextmanager
    def loop_between(self, variable: str, first: str, last: str) -> Iterator[None]:
        """A loop from one expression to another."""
        head = f"for (int32_t {variable} = {first}; {variable} < {last}; {variable}++)"
        with self.block(head):
            yield

    @contextmanager
    def loops(self, dims: Sequence[int], prefix: str = "i") -> Iterator[list[str]]:
        """Nested loops; yields their variables."""
        names = [f"{prefix}{axis}" for axis in range(len(dims))]
        for name, extent in zip(names, dims, strict=True):
            self.say(f"for (int32_t {name} = 0; {name} < {extent}; {name}++) {{")
            self._depth += 1
        yield names
        for _ in names:
            self._depth -= 1
            self.say("}")

    def text(self, name: str) -> str:
        """The function's definition."""
        arguments = [f"const {C_TYPES[a.dtype]} *{a.name}" for a in self.arguments]
        head = wrapped(f"KERNEL void {name}", [*arguments, f"{C_TYPES[self.result]} *out"])
        return "\n".join([head, "{", *self.lines, "}", ""])


def wrapped(head: str, arguments: Sequence[str], indent: str = "") -> str:
    """A call or the head of a function, in lines that are not too long."""
    lines, line = [], f"{indent}{head}("
    for number, argument in enumerate(arguments):
        part = argument + ("," if number < len(arguments) - 1 else ")")
        if len(line) + len(part) + 1 > WIDTH and not line.endswith("("):
            lines.append(line.rstrip())
            line = f"{indent}    "
        line += part + " "
    return "\n".join([*lines, line.rstrip()])


def index(operand: Operand, variables: Sequence[str], offset: int | None = None) -> str:
    """The element of a buffer that belongs to the loops' variables."""
    terms = [
        name if stride == 1 else f"{name} * {stride}"
        for name, stride in zip(variables, operand.strides, strict=True)
        if stride
    ]
    first = operand.offset if offset is None else offset
    if first or not terms:
        terms.append(str(first))
    return " + ".join(terms).replace("+ -", "- ")


def integer(value: int) -> str:
    """An int32_t as a C constant."""
    return "(-2147483647 - 1)" if value == -(2**31) else str(value)
