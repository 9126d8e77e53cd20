"""What the hardware of a stage is made of: files, and what its streams carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

_LIBRARY = resources.files("actc.targets.fpga.folded").joinpath("verilog")


@dataclass(frozen=True, slots=True)
class Words:
    """What a stream carries in a clock.

    Attributes:
        elements: side by side, the first in the lowest bits.
        width: bits of each.
    """

    elements: int
    width: int

    @property
    def bits(self) -> int:
        """Of a word."""
        return self.elements * self.width


@dataclass(frozen=True)
class Part:
    """The module of a stage.

    Attributes:
        module: its name.
        inputs: what its streams `in`, and `other` where there are two, carry.
        output: what `out` carries.
        files: file name -> Verilog of the module and of what is in it alone.
        library: names of the library's modules that it needs.
        delay: clocks from the last element of a group to its first result's place in the
            queue of results.
        engine: number of the engine that it takes turns on; 0: none.
    """

    module: str
    inputs: tuple[Words, ...]
    output: Words
    files: Mapping[str, str]
    library: frozenset[str]
    delay: int = 0
    engine: int = 0


def library_files(names: Iterable[str]) -> dict[str, str]:
    """File name -> Verilog of modules of the library, with those that they need."""
    found: dict[str, str] = {}
    pending = sorted(names)
    while pending:
        name = pending.pop(0)
        file = f"{name}.v"
        if file not in found:
            found[file] = _LIBRARY.joinpath(file).read_text("ascii")
            pending += sorted(_NEEDS.get(name, ()))
    return dict(sorted(found.items()))


_NEEDS: dict[str, tuple[str, ...]] = {
    "actc_window": ("actc_ring",),
    "actc_queue": ("actc_ring", "actc_fifo"),
}
"""Modules of the library in others."""


def instance(
    module: str,
    name: str,
    pins: Mapping[str, str],
    parameters: Mapping[str, int | str] | None = None,
) -> list[str]:
    """Lines that put a module into another."""
    given = [f".{key}({value})" for key, value in (parameters or {}).items()]
    head = f"{module} #(" if given else f"{module} {name} ("
    lines = [head]
    if given:
        lines += [*_rows(given), f") {name} ("]
    return [*lines, *_rows(f".{pin}({wire})" for pin, wire in pins.items()), ");"]


def _rows(items: Iterable[str]) -> list[str]:
    """Items with commas between them, as many in a line as fit."""
    rows, row = [], ""
    listed = list(items)
    for number, item in enumerate(listed):
        text = item + ("," if number < len(listed) - 1 else "")
        if row and len(row) + len(text) > 90:
            rows.append(f"  {row}")
            row = text
        else:
            row = f"{row} {text}".strip()
    return [*rows, *([f"  {row}"] if row else [])]


def module_text(
    comments: Sequence[str], name: str, ports: Sequence[str], body: Iterable[str]
) -> str:
    """A module."""
    lines = [*(f"// {line}" for line in comments), f"module {name} ("]
    lines += [f"  {port}," for port in ports[:-1]] + [f"  {port}" for port in ports[-1:]]
    return "\n".join([*lines, ");", *(f"  {line}".rstrip() for line in body), "endmodule", ""])


def stream_in(name: str, bits: int) -> list[str]:
    """The ports of a stream that a module takes."""
    return [
        f"input {vector(1)}{name}_valid",
        f"output {vector(1)}{name}_ready",
        f"input {vector(bits)}{name}_data",
    ]


def stream_out(name: str, bits: int) -> list[str]:
    """The ports of a stream that a module gives."""
    return [
        f"output {vector(1)}{name}_valid",
        f"input {vector(1)}{name}_ready",
        f"output {vector(bits)}{name}_data",
    ]


def stream_pins(port: str, wires: str) -> dict[str, str]:
    """Pins of a stream, on wires that begin with another name."""
    return {f"{port}_{part}": f"{wires}_{part}" for part in ("valid", "ready", "data")}


def clock_pins() -> dict[str, str]:
    """Clock and reset."""
    return {"clk": "clk", "reset": "reset"}


def vector(bits: int) -> str:
    """The width of a declaration: vectors even of one bit, so that parts of them can be read."""
    return f"[{bits - 1}:0] " if bits > 1 else ""
