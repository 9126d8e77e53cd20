"""iCE40 bitstreams, decompiled: bits -> Verilog of icebox_vlog -> netlist.

``icebox_vlog`` of Project IceStorm (Wolf and Lasser, 2015) writes a bitstream as one
assignment per look-up table and carry, one always block per flip-flop and one instance per
block memory. That subset is read here.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import Document, ice40_register, not_understood
from actc.targets.fpga.bitstream.unpacking import LIMITS, unpacked

INSTALL = "apt-get install fpga-icestorm"
MEMORY = 4 << 30
"""Bytes of address space that icebox_vlog may take."""

# icebox_vlog asks for the divider of a PLL's shift register, of which UltraPlus has two; the
# clocks' frequencies are not compared, so the first one stands for both.
_RUN = """\
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import icebox
for info in icebox.pllinfo_db.values():
    if "SHIFTREG_DIV_MODE_0" in info:
        info.setdefault("SHIFTREG_DIV_MODE", info["SHIFTREG_DIV_MODE_0"])
runpy.run_path(sys.argv[0], run_name="__main__")
"""

_NAME = r"\\\S+|[A-Za-z_][A-Za-z0-9_]*"
_BIT = rf"(?:{_NAME}|1'b[01]|[01])"
_ASSIGN = re.compile(rf"assign\s+({_NAME})\s*=\s*(.*);")
_SYNCHRONOUS = re.compile(
    rf"always @\((pos|neg)edge ({_BIT})\s*\) if \(({_BIT})\s*\) ({_NAME})\s* <= "
    rf"({_BIT})\s* \? 1'b([01]) : ({_BIT})\s*;"
)
_ASYNCHRONOUS = re.compile(
    rf"always @\((pos|neg)edge ({_BIT})\s*, posedge ({_BIT})\s*\) if \({_BIT}\s*\) ({_NAME})\s* <= "
    rf"1'b([01]); else if \(({_BIT})\s*\) (?:{_NAME})\s* <= ({_BIT})\s*;"
)
_STATEMENT = re.compile(r"\s*(SB_(?:.|\n)*?\);|[^\n]*;)[ \t]*(?=\n|$)")
_INSTANCE = re.compile(rf"(SB_\w+)\s*(?:#\((.*?)\)\s*)?({_NAME})\s*\((.*)\);", re.DOTALL)
_CONNECTION = re.compile(r"\.(\w+)\(\s*([^()]*?)\s*\)")
_TOKEN = re.compile(rf"\s*({_NAME}|1'b[01]|[01]|[()?:!&|])")


def decompile(bitstream: Path) -> str:
    """The Verilog of a bitstream; pads are called io_<x>_<y>_<number>.

    Raises:
        MissingTool: ACT0501, Project IceStorm is not installed.
        ToolFailed: ACT0510..0513, a tool refused the file or exceeded a limit.
    """
    program = toolchain.find("icebox_vlog", INSTALL)
    configuration = unpack(bitstream)
    with tempfile.TemporaryDirectory(prefix="actc-bitstream-") as name:
        folder = Path(name).resolve()
        (folder / "design.asc").write_text(configuration, "utf-8")
        text = folder / "design.v"
        argv = [sys.executable, "-c", _RUN, str(program.resolve()), "design.asc"]
        toolchain.run(argv, timeout=LIMITS.seconds, cwd=folder, memory=MEMORY, log=text)
        return text.read_text("utf-8")


def unpack(bitstream: Path) -> str:
    """The configuration that a bitstream holds.

    Raises:
        MissingTool: ACT0501, ACT0502, iceunpack is not installed.
        ToolFailed: ACT0510..0513, ACT0584, it refused the file or exceeded a limit.
    """
    arguments = ["design.bin", "design.asc"]
    return unpacked("iceunpack", bitstream, "design.bin", arguments, "design.asc")


def netlist_of(verilog: str, pads: Mapping[str, tuple[str, list[str]]]) -> dict[str, Any]:
    """A netlist from what :func:`decompile` gave.

    Args:
        pads: port -> direction and the placed site ("X0/Y18/io1") of each bit, as
            :func:`~actc.targets.fpga.bitstream.document.pads` finds them.

    Returns:
        a document with the module "top" for ``GateNetlist.read`` with family "ice40".

    Raises:
        ToolFailed: ACT0571, there is something in it that is not understood.
    """
    document = Document()
    for number, statement in enumerate(_statements(verilog)):
        _Reader(document, f"cell{number}", statement).add()
    for port, (direction, sites) in pads.items():
        document.port(port, direction, [_pad(site) for site in sites])
    for net, title in _logic_cells(verilog):
        document.title(title, net)
    return document.finish()


def _logic_cells(verilog: str) -> Iterator[tuple[str, str]]:
    """Nets that logic cells drive, with the names of their places, from comments."""
    net = ""
    for line in verilog.splitlines():
        declared = re.match(r"(?:wire|reg) (\w+)\b", line)
        if declared:
            net = declared[1]
        driver = re.match(r"// \((\d+), (\d+), 'lutff_(\d)/out'\)", line)
        if driver:
            yield net, ice40_register(driver[1], driver[2], driver[3])


def _pad(site: str) -> str:
    match = re.fullmatch(r"X(\d+)/Y(\d+)/io(\d+)", site)
    if match is None:
        raise _not_understood(f"the pad {site!r}")
    return "io_{}_{}_{}".format(*match.groups())


def _statements(verilog: str) -> Iterator[str]:
    """What assigns, without comments, declarations and the header."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", verilog, flags=re.DOTALL)
    if "endmodule" not in text:
        raise _not_understood("a text that does not end with endmodule")
    body, place = text[: text.index("endmodule")], 0
    while body[place:].strip():
        match = _STATEMENT.match(body, place)
        if match is None:
            raise _not_understood(repr(body[place:].strip()[:200]))
        place = match.end()
        if not re.match(r"(module|wire|reg)\b", match[1]):
            yield match[1]


def _not_understood(what: str) -> ToolFailed:
    return ToolFailed(not_understood(f"icebox_vlog wrote {what}"))


class _Reader:
    """One statement, turned into a cell."""

    def __init__(self, document: Document, name: str, statement: str) -> None:
        self.document = document
        self.name = name
        self.statement = statement

    def add(self) -> None:
        """Add its cell."""
        for pattern, build in (
            (_ASSIGN, self._assign),
            (_SYNCHRONOUS, self._synchronous),
            (_ASYNCHRONOUS, self._asynchronous),
            (_INSTANCE, self._instance),
        ):
            match = pattern.fullmatch(self.statement)
            if match:
                build(match)
                return
        raise _not_understood(repr(self.statement[:200]))

    def _cell(
        self, type: str, parameters: Mapping[str, str], nets: Mapping[str, str | list[str]]
    ) -> None:
        self.document.cell(self.name, type, parameters, nets)

    def _assign(self, match: re.Match[str]) -> None:
        target, text = match.groups()
        if re.fullmatch(_BIT, text):  # may be a clock, which passes no table
            pins: dict[str, str | list[str]] = {
                "USER_SIGNAL_TO_GLOBAL_BUFFER": _net(text),
                "GLOBAL_BUFFER_OUTPUT": _net(target),
            }
            self._cell("SB_GB", {}, pins)
            return
        expression = _Expression(text)
        names = expression.names
        if len(names) > 4:
            raise _not_understood(f"a table of {len(names)} inputs")
        truth = expression.truth()
        copies = 16 >> len(names)
        nets: dict[str, str | list[str]] = {f"I{i}": name for i, name in enumerate(names)}
        self._cell("SB_LUT4", {"LUT_INIT": truth * copies}, nets | {"O": _net(target)})

    def _synchronous(self, match: re.Match[str]) -> None:
        edge, clock, enable, output, reset, value, data = match.groups()
        kind = f"SB_DFF{'N' if edge == 'neg' else ''}E{'SS' if value == '1' else 'SR'}"
        self._flip_flop(kind, clock, enable, reset, data, output)

    def _asynchronous(self, match: re.Match[str]) -> None:
        edge, clock, reset, output, value, enable, data = match.groups()
        kind = f"SB_DFF{'N' if edge == 'neg' else ''}E{'S' if value == '1' else 'R'}"
        self._flip_flop(kind, clock, enable, reset, data, output)

    def _flip_flop(
        self, kind: str, clock: str, enable: str, reset: str, data: str, output: str
    ) -> None:
        pin = "S" if kind.endswith("S") else "R"
        nets = {"C": clock, "E": enable, pin: reset, "D": data, "Q": output}
        self._cell(kind, {}, {port: _net(net) for port, net in nets.items()})

    def _instance(self, match: re.Match[str]) -> None:
        kind, parameters, _, connections = match.groups()
        values = {name: _parameter(v) for name, v in _CONNECTION.findall(parameters or "")}
        nets = {
            port: [_net(net) for net in reversed(text.strip("{}").split(","))]
            for port, text in _CONNECTION.findall(connections)
        }
        self._cell(kind, values, nets)


def _net(text: str) -> str:
    text = text.strip()
    return text[-1] if re.fullmatch(r"1'b[01]", text) else text.removeprefix("\\")


def _parameter(text: str) -> str:
    """As yosys writes it: binary digits, or text."""
    match = re.fullmatch(r"(\d+)'([bh])([0-9a-fA-F]+)", text)
    if match:
        number = int(match[3], 2 if match[2] == "b" else 16)
        return f"{number:0{int(match[1])}b}"
    return f"{int(text):032b}" if text.isdigit() else text.strip('"')


class _Expression:
    """Names, constants, ``!``, ``&``, ``|`` and ``? :``, with brackets where they matter."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s", "", text):
            raise _not_understood(repr(text[:200]))
        operands = [t for t in self.tokens if re.fullmatch(_NAME, t)]
        self.names = [_net(token) for token in dict.fromkeys(operands)]
        self.values: dict[str, int] = {}
        self.place = 0

    def truth(self) -> str:
        """Binary digits, the last for all inputs 0."""
        found = ""
        for index in range(1 << len(self.names)):
            self.values = {name: index >> i & 1 for i, name in enumerate(self.names)}
            self.place = 0
            found = f"{self._choice()}{found}"
            if self.place != len(self.tokens):
                raise _not_understood(" ".join(self.tokens)[:200])
        return found

    def _peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def _choice(self) -> int:
        condition = self._either()
        if self._peek() != "?":
            return condition
        self._take()
        one = self._choice()
        if self._take() != ":":
            raise _not_understood(" ".join(self.tokens)[:200])
        zero = self._choice()
        return one if condition else zero

    def _either(self) -> int:
        value = self._both()
        while self._peek() == "|":
            self._take()
            value |= self._both()
        return value

    def _both(self) -> int:
        value = self._operand()
        while self._peek() == "&":
            self._take()
            value &= self._operand()
        return value

    def _operand(self) -> int:
        token = self._take()
        if token == "!":
            return 1 - self._operand()
        if token == "(":
            value = self._choice()
            if self._take() != ")":
                raise _not_understood(" ".join(self.tokens)[:200])
            return value
        if re.fullmatch(r"1'b[01]|[01]", token):
            return int(token[-1])
        if _net(token) not in self.values:
            raise _not_understood(" ".join(self.tokens)[:200])
        return self.values[_net(token)]
