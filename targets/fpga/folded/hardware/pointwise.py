"""Stages of elements: sums and products of two streams, and functions of one."""

from __future__ import annotations

from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.functions import joined_range, stage_function
from actc.targets.fpga.folded.hardware.lanes import Lanes, lanes_of
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import (
    Part,
    Words,
    clock_pins,
    instance,
    module_text,
    stream_in,
    stream_out,
    vector,
)
from actc.targets.fpga.folded.hardware.results import results
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    ProductStage,
    Stream,
    SumStage,
)
from actc.targets.fpga.hdl import Design, Graph, Wire

ElementStage = SumStage | ProductStage | MapStage
_STREAMS = ("in", "other")


def element_part(
    program: FoldedProgram,
    stage: ElementStage,
    folding: Folding,
    module: str,
    options: HardwareOptions,
) -> Part:
    """The module of a stage of elements.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    streams = tuple(program.stream(source) for source in stage.sources)
    names = _STREAMS[: len(streams)]
    words = [Words(folding.pe, stream.range.width) for stream in streams]
    function = stage_function(program, stage, options.family)
    assert function is not None, "elements without functions are no stage"
    joined = _joined(stage, streams, folding, module, options)
    own = streams[0].range
    width, signed = own.width, own.signed
    if not isinstance(stage, MapStage):
        width, signed = datapath.width_of(joined_range(stage, streams), True), True
    lanes = lanes_of(function, folding.pe, width, signed, stage.output.range, module, options)
    delay = (0 if joined is None else joined.latency) + lanes.latency
    ports = ["input clk", "input reset"]
    for name, word in zip(names, words, strict=True):
        ports += stream_in(name, word.bits)
    ports += stream_out("out", lanes.words.bits)
    taken = " & ".join([*(f"{name}_valid" for name in names), "credit"])
    body = [
        "wire credit;",
        f"wire take = {taken};",
        *(f"assign {name}_ready = take;" for name in names),
        *_join_text(joined, names, lanes),
        *lanes.text(),
        *results(delay + 3, 1, lanes.words.bits, options),
    ]
    comment = f"{folding.pe} elements a clock: {function.name}."
    text = module_text([comment], module, ports, body)
    files = {f"{module}.v": text, **lanes.files, **({} if joined is None else joined.files)}
    library = frozenset({"actc_delay", "actc_fifo", "actc_credits"})
    return Part(module, tuple(words), lanes.words, files, library, delay)


def _joined(
    stage: ElementStage,
    streams: tuple[Stream, ...],
    folding: Folding,
    module: str,
    options: HardwareOptions,
) -> datapath.Pipeline | None:
    """The datapath in front of the functions; None where there is one stream."""
    if isinstance(stage, MapStage):
        return None
    graph = Graph()
    buses = [
        datapath.bus(graph, name, folding.pe, stream.range)
        for name, stream in zip(_STREAMS, streams, strict=True)
    ]
    pairs = zip(buses[0].wires, buses[1].wires, strict=True)
    made = [_join(stage, a, b) for a, b in pairs]
    total = datapath.output("total", made, joined_range(stage, streams), signed=True)
    design = Design(f"{module}_join", tuple(buses), (total,))
    return datapath.pipelined(design, options.timing, options.clock_mhz)


def _join(stage: SumStage | ProductStage, a: Wire, b: Wire) -> Wire:
    if isinstance(stage, SumStage):
        return a * stage.factors[0] + b * stage.factors[1]
    return (a - stage.zeros[0]) * (b - stage.zeros[1])


def _join_text(joined: datapath.Pipeline | None, names: tuple[str, ...], lanes: Lanes) -> list[str]:
    wires = f"wire {vector(lanes.total_bits)}total"
    if joined is None:
        return [f"{wires} = {names[0]}_data;", "wire total_valid = take;"]
    pins = {"clk": "clk"} if joined.clocked else {}
    pins |= {joined.ports[name]: f"{name}_data" for name in names}
    pins[joined.ports["total"]] = "total"
    unit = [f"{wires};", *instance(joined.module, "join_unit", pins)]
    if joined.latency == 0:  # elements that are always the same
        return [*unit, "wire total_valid = take;"]
    delay = clock_pins() | {"now": "take", "later": "total_valid"}
    parameters = {"WIDTH": 1, "CLOCKS": joined.latency}
    return [
        *unit,
        "wire total_valid;",
        *instance("actc_delay", "join_delay", delay, parameters),
    ]
