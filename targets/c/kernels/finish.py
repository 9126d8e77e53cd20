"""What follows a kernel's arithmetic: requantization, a table, the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.c.form import Form, index, integer
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.strided import TableKind


@dataclass(frozen=True, slots=True)
class Finish:
    """The tail of a strided kernel.

    Attributes:
        form: that it writes into.
        epilogue: of the requantization, None without.
        multiplier, offset: how the loops walk through them.
        table: whether a look-up follows.
        out: how the loops walk through the result.
    """

    form: Form
    epilogue: Epilogue | None
    multiplier: Operand | None
    offset: Operand | None
    table: TableKind
    out: Operand

    def store(self, value: str, variables: Sequence[str]) -> None:
        """Store an expression: int32_t where it is requantized, else of the result's type."""
        form, place = self.form, index(self.out, variables)
        if self.epilogue is not None and self.multiplier is not None:
            factor = f"multiplier[{index(self.multiplier, variables)}]"
            value = requantized(form, value, factor, self.epilogue)
        if self.table == "channel" and self.offset is not None:
            value = f"table[{value} + offset[{index(self.offset, variables)}]]"
        elif self.table == "shared":
            value = f"table[{value}]"
        form.say(f"out[{place}] = {value};")


def requantized(form: Form, value: str, factor: str, epilogue: Epilogue) -> str:
    """An int32_t as a code."""
    e = epilogue
    numbers = ", ".join(map(integer, (e.shift, e.zero, e.low, e.high)))
    return f"{form.calls('requantize')}({value}, {factor}, {numbers})"


def finish(
    form: Form,
    program: Program,
    names: Sequence[str],
    operands: Sequence[Operand],
    out: Operand,
    requantize: Epilogue | None,
    table: TableKind,
) -> Finish:
    """Take the arguments of a tail: the multiplier, the offset and the table, where they are."""
    rest = list(zip(names, [*operands, None], strict=False))
    multiplier = offset = None
    if requantize is not None:
        name, multiplier = rest.pop(0)
        form.reads("multiplier", program.constants[name].astype(np.int32), "int32")
    if table == "channel":
        name, offset = rest.pop(0)
        form.reads("offset", program.constants[name].astype(np.int32), "int32")
    if table != "none":
        form.reads("table", program.constants[rest.pop(0)[0]], "uint8")
    return Finish(form, requantize, multiplier, offset, table, out)
