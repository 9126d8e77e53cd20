"""The function unit: some totals in each clock, with the parameters of their channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actc.targets.fpga.folded.functions import LaneFunction
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.datapath import Pipeline
from actc.targets.fpga.folded.hardware.memories import channel_words, rom
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import Words, clock_pins, instance, vector
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire


@dataclass(frozen=True)
class Lanes:
    """A function unit.

    Attributes:
        pipeline: of the function; None: results are the totals.
        total_bits: of the totals in a clock.
        words: what it gives in a clock.
        parameter_bits: of a word of the channels' parameters; 0: there are none.
        parameters: name of their memory's module.
        files: of the pipeline and that memory.
    """

    pipeline: Pipeline | None
    total_bits: int
    words: Words
    parameter_bits: int
    parameters: str
    files: dict[str, str]

    @property
    def latency(self) -> int:
        """Clocks from totals to results."""
        own = 0 if self.pipeline is None else self.pipeline.latency
        return own + (1 if self.parameter_bits else 0)

    def text(self) -> list[str]:
        """Lines that make `result` and `result_valid` of `total` and `total_valid`."""
        if self.pipeline is None:
            bits = f"[{self.words.bits - 1}:0]" if self.words.bits < self.total_bits else ""
            return [
                f"wire {vector(self.words.bits)}result = total{bits};",
                "wire result_valid = total_valid;",
            ]
        ports = self.pipeline.ports
        pins = {"clk": "clk"} if self.pipeline.clocked else {}
        lines, source = [], "total"
        if self.parameter_bits:
            source = "total_now"
            memory = clock_pins() | {"step": "total_valid", "data": "parameters"}
            lines += [
                f"wire {vector(self.parameter_bits)}parameters;",
                *instance(self.parameters, "parameters_memory", memory),
                f"reg {vector(self.total_bits)}total_now;  // the memory answers a clock late",
                "always @(posedge clk) total_now <= total;",
            ]
            pins[ports["parameters"]] = "parameters"
        pins |= {ports["total"]: source, ports["result"]: "result"}
        lines += [
            f"wire {vector(self.words.bits)}result;",
            *instance(self.pipeline.module, "function_unit", pins),
            "wire result_valid;",
        ]
        if self.latency == 0:
            return [*lines, "assign result_valid = total_valid;"]
        delay = clock_pins() | {"now": "total_valid", "later": "result_valid"}
        parameters = {"WIDTH": 1, "CLOCKS": self.latency}
        return [*lines, *instance("actc_delay", "result_delay", delay, parameters)]


def unchanged(count: int, width: int) -> Lanes:
    """Results that are the totals."""
    return Lanes(None, count * width, Words(count, width), 0, "", {})


def lanes_of(
    function: LaneFunction,
    count: int,
    width: int,
    signed: bool,
    result: Range,
    module: str,
    options: HardwareOptions,
) -> Lanes:
    """The function unit of `count` totals at a time.

    Args:
        width, signed: bits of a total, and whether they are two's complement.
        result: the range of what the stage gives, which has the bits of that.
        module: what the names of its modules begin with.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    graph = Graph()
    wires = tuple(graph.input(f"total_{index}", function.input) for index in range(count))
    totals = Bus("total", (count,), wires, width, signed)
    ranges = [Range.of(values.tolist()) for values in function.parameters]
    bits = count * sum(own.width for own in ranges)
    buses = [totals]
    files: dict[str, str] = {}
    rows: list[list[Wire]] = [[] for _ in wires]
    if bits:
        word = graph.input("parameters", Range.unsigned(bits))
        buses.append(Bus("parameters", (1,), (word,), bits, False))
        rows = _rows(word, ranges, count)
        words = channel_words(function.parameters, [own.width for own in ranges], count)
        comment = f"Parameters of {count} channels a word: {function.name}."
        files[f"{module}_parameters.v"] = rom(
            f"{module}_parameters", words, bits, options.parameters(len(words) * bits), comment
        )
    results = [
        function.build(wire, row).narrow(result, "each channel's values")
        for wire, row in zip(wires, rows, strict=True)
    ]
    made = datapath.output("result", results, result)
    design = Design(f"{module}_function", tuple(buses), (made,))
    found = datapath.pipelined(design, options.timing, options.clock_mhz)
    return Lanes(
        found,
        count * width,
        Words(count, made.width),
        bits,
        f"{module}_parameters",
        {**found.files, **files},
    )


def _rows(word: Wire, ranges: Sequence[Range], count: int) -> list[list[Wire]]:
    """The parameters of each lane, of a word of the memory."""
    rows: list[list[Wire]] = []
    place = 0
    for _ in range(count):
        rows.append([])
        for own in ranges:
            part = word.bits(place, own.width, signed=own.signed)
            rows[-1].append(part.narrow(own, "the memory holds no others"))
            place += own.width
    return rows
