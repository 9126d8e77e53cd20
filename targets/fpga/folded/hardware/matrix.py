"""Stages with a window: convolutions, matrix products, channelwise sums and maxima."""

from __future__ import annotations

from actc.targets.fpga.folded.costs.clocks import kept_rows
from actc.targets.fpga.folded.folding import (
    Folding,
    group_clocks,
    input_word,
    is_channelwise,
)
from actc.targets.fpga.folded.functions import LaneFunction
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.hardware.lanes import Lanes, lanes_of, unchanged
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
from actc.targets.fpga.folded.hardware.terms import Terms, WindowStage, terms_of
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage, MaximumStage

READ_CLOCKS = 2
"""Clocks from the choice of a word to its data."""
WORD_FLAGS = "wire read, word_valid, first, last, outside;"
"""Of a word: it is asked for; it is there; where in its group it is; it is padding."""


def window_part(
    program: FoldedProgram,
    stage: WindowStage,
    folding: Folding,
    module: str,
    options: HardwareOptions,
) -> Part:
    """The module of a stage with a window.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    terms = terms_of(stage, folding, module, options)
    function = stage_function(program, stage, options.family)
    total = total_width(stage, function, terms)
    lanes = function_lanes(stage, function, folding.lanes, total, module, options)
    clocks = group_clocks(stage, folding)
    delay = READ_CLOCKS + terms.latency + 1 + lanes.latency
    room = queue_room(stage, folding, delay)
    body = [
        *window_text(stage, folding, options),
        *terms.text(),
        *_totals(stage, folding, terms, total),
        *lanes.text(),
        *results(room, folding.pe // folding.lanes, lanes.words.bits, options),
    ]
    word = Words(input_word(stage, folding), stage.input.range.width)
    ports = ["input clk", "input reset", *stream_in("in", word.bits)]
    ports += stream_out("out", lanes.words.bits)
    comments = stage_comments(stage, folding, function, clocks)
    text = module_text(comments, module, ports, body)
    library = {"actc_window", "actc_delay", "actc_serializer", "actc_fifo", "actc_credits"}
    library.add("actc_accumulators" if isinstance(stage, MatrixStage) else "actc_maxima")
    files = {f"{module}.v": text, **terms.files, **lanes.files}
    return Part(module, (word,), lanes.words, files, frozenset(library), delay)


def queue_room(stage: WindowStage, folding: Folding, delay: int) -> int:
    """Words of the queue of results: groups that are on their way, and one that waits.

    Args:
        delay: clocks from the last element of a group to its first result.
    """
    clocks, group = group_clocks(stage, folding), folding.pe // folding.lanes
    return max(group * (-(-(clocks + delay + group + 3) // clocks) + 1), 2)


def stage_comments(
    stage: WindowStage, folding: Folding, function: LaneFunction | None, clocks: int
) -> list[str]:
    """What a stage does at a time, in words."""
    inputs = "one input each" if is_channelwise(stage) else f"{folding.simd} inputs at a time"
    name = "none" if function is None else function.name
    return [
        f"{folding.pe} outputs and {inputs}: {clocks} clocks for {folding.pe} results.",
        f"Function of the totals: {name}; {folding.lanes} a clock.",
    ]


def window_text(
    stage: WindowStage,
    folding: Folding,
    options: HardwareOptions,
    *,
    credit: str = "credit",
    shared: bool = False,
) -> list[str]:
    """Lines that read the windows: `word`, and what it is.

    Args:
        credit: when a group may begin or follow.
        shared: whether the words go to an engine, and the wires are ports.
    """
    window, stream = stage.window, stage.input
    rows, columns = window.positions(stream)
    word = input_word(stage, folding)
    words = stream.channels // word
    outputs = stage.output.channels
    if is_channelwise(stage):
        inner, repeat, parts = 1, 1, words
    else:
        assert isinstance(stage, MatrixStage)
        inner = words // stage.groups
        repeat, parts = outputs // stage.groups // folding.pe, stage.groups
    width = word * stream.range.width
    parameters = {
        "WIDTH": width,
        "WORDS": words,
        "ROWS": stream.rows,
        "COLUMNS": stream.columns,
        "KERNEL_ROWS": window.kernel[0],
        "KERNEL_COLUMNS": window.kernel[1],
        "ROW_STRIDE": window.strides[0],
        "COLUMN_STRIDE": window.strides[1],
        "ROW_DILATION": window.dilations[0],
        "COLUMN_DILATION": window.dilations[1],
        "TOP": window.before[0],
        "LEFT": window.before[1],
        "OUT_ROWS": rows,
        "OUT_COLUMNS": columns,
        "INNER": inner,
        "REPEAT": repeat,
        "PARTS": parts,
        "PLACES_FIRST": int(folding.codebook),
        "SLOTS": kept_rows(stage),
        "BLOCK": int(folding.buffer == "block"),
        "LUTRAM": options.lutram,
    }
    names = ("take", "read", "valid", "first", "last", "outside")
    pins = clock_pins() | {f"in_{p}": f"in_{p}" for p in ("valid", "ready", "data")}
    pins |= {"credit": credit} | ({"busy": "busy", "able": "able"} if shared else {})
    pins |= {name: name if name != "valid" else "word_valid" for name in names}
    pins["data"] = "word"
    wires = [] if shared else [WORD_FLAGS, f"wire {vector(width)}word;"]
    return [
        "wire credit, take;",
        *wires,
        *instance("actc_window", "window", pins, parameters),
    ]


# -- totals --------------------------------------------------------------------------------


def total_width(stage: WindowStage, function: LaneFunction | None, terms: Terms) -> int:
    """Bits of a total: those of its range, as sums wrap around on the way; no fewer than a term."""
    if isinstance(stage, MaximumStage):
        return terms.width
    assert function is not None, "only maxima go on as they are"
    return max(datapath.width_of(function.input, True), terms.width)


def function_lanes(
    stage: WindowStage,
    function: LaneFunction | None,
    count: int,
    width: int,
    module: str,
    options: HardwareOptions,
) -> Lanes:
    """The function unit of a stage.

    Args:
        count: totals in a clock.
        width: bits of each.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    if function is None:
        return unchanged(count, width)
    result = stage.output.range
    signed = isinstance(stage, MatrixStage) or stage.input.range.signed
    return lanes_of(function, count, width, signed, result, module, options)


def _totals(stage: WindowStage, folding: Folding, terms: Terms, width: int) -> list[str]:
    count = folding.pe
    pins = {"clk": "clk", "valid": "terms_valid", "first": "terms_first"}
    pins |= {"terms": "terms", "totals": "totals"}
    if isinstance(stage, MatrixStage):
        parameters = {"LANES": count, "IN": terms.width, "OUT": width}
        name = "actc_accumulators"
    else:
        signed = int(stage.input.range.signed)
        parameters = {"LANES": count, "WIDTH": width, "SIGNED": signed}
        name = "actc_maxima"
    one = folding.lanes * width
    return [
        f"wire {vector(count * width)}totals;",
        *instance(name, "totals_of_group", pins, parameters),
        "reg done = 1'b0;",
        "always @(posedge clk) done <= ~reset & terms_valid & terms_last;",
        f"wire {vector(one)}total;",
        "wire total_valid;",
        *instance(
            "actc_serializer",
            "serializer",
            clock_pins()
            | {"load": "done", "words": "totals", "valid": "total_valid", "word": "total"},
            {"WIDTH": one, "COUNT": count // folding.lanes},
        ),
    ]
