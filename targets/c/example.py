"""The loop of an example program: read a sample, run it, write the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from actc.targets.c.form import C_TYPES, wrapped

Move = Callable[[str], str]
"""The expression that moves an array, and gives how many bytes it moved."""


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output in the example.

    Attributes:
        label: its name in C.
        dtype: numpy's name of the type of its codes.
        real: whether it is float32 in the model.
    """

    label: str
    dtype: str
    real: bool


@dataclass(frozen=True, slots=True)
class Example:
    """The example of a network.

    Attributes:
        name: of the network.
        inputs, outputs: in order.
    """

    name: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]

    def buffers(self) -> str:
        """Definitions of arrays for all inputs and outputs."""
        lines = []
        for slot in (*self.inputs, *self.outputs):
            lines.append(f"static {C_TYPES[slot.dtype]} {slot.label}[{self._count(slot)}];")
            if slot.real:
                values = f"static float {slot.label}_values[{self._count(slot)}];"
                lines += [f"#ifdef {self.name.upper()}_FLOAT", values, "#endif"]
        return "\n".join(lines)

    def body(self, read: Move, write: Move, leave: Callable[[int], str]) -> str:
        """The body of a loop over samples; it leaves with 0 behind the last whole sample.

        Args:
            leave: the statement that ends the program with a status.
        """
        lines: list[str] = []
        for number, slot in enumerate(self.inputs):
            first = [] if number else ["if (moved == 0U) {", f"    {leave(0)}", "}"]
            lines += self._transfer(slot, read, leave(1), first, before=True)
        arguments = [slot.label for slot in (*self.inputs, *self.outputs)]
        call = wrapped(f"{self.name}_run", arguments)
        lines += [f"if ({call} != 0) {{", f"    {leave(1)}", "}"]
        for slot in self.outputs:
            lines += self._transfer(slot, write, leave(1), [], before=False)
        return "\n".join(line if line[:1] == "#" else f"        {line}" for line in lines)

    def _count(self, slot: Slot) -> str:
        return f"{self.name.upper()}_{slot.label.upper()}_COUNT"

    def _transfer(
        self, slot: Slot, move: Move, failed: str, first: list[str], *, before: bool
    ) -> list[str]:
        """Lines that read an input or write an output, as float where the model has float."""

        def lines(name: str) -> list[str]:
            moved = [f"moved = {move(name)};", *first]
            return [*moved, f"if (moved != sizeof {name}) {{", f"    {failed}", "}"]

        if not slot.real:
            return lines(slot.label)
        values = f"{slot.label}_values"
        function = f"{self.name}_{slot.label}_{'from' if before else 'to'}_float"
        ends = (values, slot.label) if before else (slot.label, values)
        convert = f"{function}({', '.join(ends)});"
        real = [*lines(values), convert] if before else [convert, *lines(values)]
        return [f"#ifdef {self.name.upper()}_FLOAT", *real, "#else", *lines(slot.label), "#endif"]


def slots(entries: Sequence[dict[str, object]]) -> tuple[Slot, ...]:
    """The slots that signature.json describes."""
    return tuple(
        Slot(str(e["argument"]), str(e["codes"]), e["dtype"] == "float32") for e in entries
    )
