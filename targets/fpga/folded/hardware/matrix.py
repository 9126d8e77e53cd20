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

_READ = 2
"""Clocks from the choice of a word to its data."""


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
    total = _total_width(stage, function, terms)
    lanes = _lanes(stage, function, folding.lanes, total, module, options)
    group = folding.pe // folding.lanes
    clocks = group_clocks(stage, folding)
    delay = _READ + terms.latency + 1 + lanes.latency
    # groups whose results are on their way, and one that waits
    groups = -(-(clocks + delay + group + 3) // clocks) + 1
    room = max(group * groups, 2)
    body = [
        *_window(stage, folding, options),
        *terms.text(),
        *_totals(stage, folding, terms, total),
        *lanes.text(),
        *results(room, group, lanes.words.bits, options),
    ]
    word = Words(input_word(stage, folding), stage.input.range.width)
    ports = ["input clk", "input reset", *stream_in("in", word.bits)]
    ports += stream_out("out", lanes.words.bits)
    comments = _comments(stage, folding, function, clocks)
    text = module_text(comments, module, ports, body)
    library = {"actc_window", "actc_delay", "actc_serializer", "actc_fifo", "actc_credits"}
    library.add("actc_accumulators" if isinstance(stage, MatrixStage) else "actc_maxima")
    files = {f"{module}.v": text, **terms.files, **lanes.files}
    return Part(module, (word,), lanes.words, files, frozenset(library), delay)


def _comments(
    stage: WindowStage, folding: Folding, function: LaneFunction | None, clocks: int
) -> list[str]:
    inputs = "one input each" if is_channelwise(stage) else f"{folding.simd} inputs at a time"
    name = "none" if function is None else function.name
    return [
        f"{folding.pe} outputs and {inputs}: {clocks} clocks for {folding.pe} results.",
        f"Function of the totals: {name}; {folding.lanes} a clock.",
    ]


def _window(stage: WindowStage, folding: Folding, options: HardwareOptions) -> list[str]:
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
        "SLOTS": kept_rows(stage),
        "BLOCK": int(folding.buffer == "block"),
        "LUTRAM": options.lutram,
    }
    names = ("credit", "take", "read", "valid", "first", "last", "outside")
    pins = clock_pins() | {f"in_{p}": f"in_{p}" for p in ("valid", "ready", "data")}
    pins |= {name: name if name != "valid" else "word_valid" for name in names}
    pins["data"] = "word"
    return [
        "wire credit, take, read, word_valid, first, last, outside;",
        f"wire {vector(width)}word;",
        *instance("actc_window", "window", pins, parameters),
    ]


# -- totals --------------------------------------------------------------------------------


def _total_width(stage: WindowStage, function: LaneFunction | None, terms: Terms) -> int:
    """Bits of a total: those of its range, as sums wrap around on the way; no fewer than a term."""
    if isinstance(stage, MaximumStage):
        return terms.width
    assert function is not None, "only maxima go on as they are"
    return max(datapath.width_of(function.input, True), terms.width)


def _lanes(
    stage: WindowStage,
    function: LaneFunction | None,
    count: int,
    width: int,
    module: str,
    options: HardwareOptions,
) -> Lanes:
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
