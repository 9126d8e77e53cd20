"""What an interface must know of the core that it surrounds, and of its clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.hdl.names import KEYWORDS

MAX_BITS = (1 << 24) - 1
"""Bits of all inputs or outputs: what an identity has room for."""


@dataclass(frozen=True, slots=True)
class CorePort:
    """One packed vector of a core.

    Attributes:
        name: of the port in Verilog.
        bits: its width.
    """

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """A module that takes new inputs every clock.

    Attributes:
        name: of the module.
        inputs, outputs: its ports besides `clk`; on the wire they follow each other
            in this order, the first in the lowest bits.
        latency: clocks from inputs to outputs; 0: there is no register between them.
        clocked: whether it has a port `clk`.

    Raises:
        UsageError: ACT0531, a name is no plain Verilog identifier.
        ValueError: no input or output, a name twice, a width below 1, more than
            `MAX_BITS` bits, or a latency without a clock.
    """

    name: str
    inputs: tuple[CorePort, ...]
    outputs: tuple[CorePort, ...]
    latency: int
    clocked: bool

    def __post_init__(self) -> None:
        ports = (*self.inputs, *self.outputs)
        for name in (self.name, *(port.name for port in ports)):
            check_identifier(name)
        names = {port.name for port in ports} | {"clk"}
        if not self.inputs or not self.outputs or len(names) != len(ports) + 1:
            raise ValueError(f"{self.name} needs inputs and outputs of different names")
        if min(port.bits for port in ports) < 1 or self.latency < 0:
            raise ValueError(f"{self.name} has a width below 1 or a latency below 0")
        if max(self.input_bits, self.output_bits) > MAX_BITS:
            raise ValueError(f"{self.name} has more than {MAX_BITS} bits")
        if self.latency and not self.clocked:
            raise ValueError(f"{self.name} has a latency of {self.latency}, but no clock")

    @property
    def input_bits(self) -> int:
        """Bits of all inputs."""
        return sum(port.bits for port in self.inputs)

    @property
    def output_bits(self) -> int:
        """Bits of all outputs."""
        return sum(port.bits for port in self.outputs)


@dataclass(frozen=True, slots=True)
class StreamCore:
    """A module that takes a sample word by word, and gives its outputs so, some time later.

    Its ports: clk, reset (synchronous, high), in_valid, in_ready, in_data, out_valid,
    out_ready, out_data. A word moves in a clock with valid and ready; valid stays until then
    and does not wait for ready. Outputs come in the order of the samples, each without
    inputs of the next one.

    Attributes:
        name: of the module.
        in_bits, in_words: bits of an input word, and words of a sample. On the wire they
            follow each other, the first in the lowest bits.
        out_bits, out_words: of the outputs.

    Raises:
        UsageError: ACT0531, the name is no plain Verilog identifier.
        ValueError: a number below 1, or more than `MAX_BITS` bits.
    """

    name: str
    in_bits: int
    in_words: int
    out_bits: int
    out_words: int

    def __post_init__(self) -> None:
        check_identifier(self.name)
        if min(self.in_bits, self.in_words, self.out_bits, self.out_words) < 1:
            raise ValueError(f"{self.name} has words without bits, or samples without words")
        if max(self.input_bits, self.output_bits) > MAX_BITS:
            raise ValueError(f"{self.name} has more than {MAX_BITS} bits")

    @property
    def input_bits(self) -> int:
        """Bits of all inputs of a sample."""
        return self.in_bits * self.in_words

    @property
    def output_bits(self) -> int:
        """Bits of all outputs of a sample."""
        return self.out_bits * self.out_words


@dataclass(frozen=True, slots=True)
class ClockModule:
    """What makes the clock of the design from that of the board, a PLL.

    Attributes:
        module: its name. Its ports are `reference`, `clk` and `locked`, which is high while
            `clk` can be used.
        files: file name -> Verilog text of it.
    """

    module: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_identifier(self.module)


def check_identifier(name: str) -> None:
    """Refuse what cannot stand in Verilog as it is.

    Raises:
        UsageError: ACT0531.
    """
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is None or name in KEYWORDS:
        raise UsageError(
            Diagnostic(
                "ACT0531",
                f"'{name}' is not a plain Verilog identifier",
                help="use letters, digits and underscores, and no word of the language",
            )
        )
