"""An engine: stages that take turns on one array of multipliers.

Each stage keeps its window, its function unit and its queue of results; products, the memory of
weights and sums are shared. A turn passes on among the windows (`actc_turns`); the one that has
it begins a group only when its data is stored and its results have room, as it would alone, and a
group that has begun runs through. So whoever holds the engine never waits, and the turn comes
around: an engine cannot stop where its stages alone would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.folded.costs.clocks import HOLD_CLOCKS
from actc.targets.fpga.folded.folding import Folding, group_clocks, input_word
from actc.targets.fpga.folded.functions import LaneFunction
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.datapath import Code, code_of
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.hardware.matrix import (
    READ_CLOCKS,
    function_lanes,
    queue_room,
    stage_comments,
    total_width,
    window_text,
)
from actc.targets.fpga.folded.hardware.memories import shared_rom
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
from actc.targets.fpga.folded.hardware.terms import (
    Terms,
    code_comment,
    made_terms,
    stage_inputs,
    stored_words,
    terms_bus,
)
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage
from actc.targets.fpga.hdl import Bus, Graph, Range, Wire

FLAGS = ("busy", "wants", "turn", "read", "valid", "first", "last", "outside", "total_valid")
"""Wires between an engine and each of its stages; `turn` and `total_valid` come from it."""
LIBRARY = ("actc_turns", "actc_delay", "actc_accumulators", "actc_serializer")


@dataclass(frozen=True, eq=False)
class Engine:
    """What stages share.

    Attributes:
        module: its name.
        members: numbers of the stages, in order.
        functions: behind their totals.
        words: bits of their words.
        lanes, width: totals that leave in a clock, and bits of each.
        delay: clocks from the choice of a group's last word to its first total.
        files: file name -> Verilog.
    """

    module: str
    members: tuple[int, ...]
    functions: tuple[LaneFunction | None, ...]
    words: tuple[int, ...]
    lanes: int
    width: int
    delay: int
    files: dict[str, str]


def engine_of(
    program: FoldedProgram,
    members: Sequence[int],
    foldings: Sequence[Folding],
    module: str,
    options: HardwareOptions,
) -> Engine:
    """The shared part of an engine.

    Args:
        members: numbers of its stages.
        foldings: of these; alike but for `buffer`.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    stages = [_stage(program, number) for number in members]
    functions = tuple(stage_function(program, stage, options.family) for stage in stages)
    folding = foldings[0]
    terms = _terms(stages, folding, module, options)
    width = max(
        total_width(stage, function, terms)
        for stage, function in zip(stages, functions, strict=True)
    )
    words = tuple(input_word(stage, folding) * stage.input.range.width for stage in stages)
    found = Engine(
        module,
        tuple(members),
        functions,
        words,
        folding.lanes,
        width,
        READ_CLOCKS + terms.latency + 1,
        dict(terms.files),
    )
    names = ", ".join(stage.name for stage in stages)
    comments = [
        f"Shared by turns: {names}.",
        f"{folding.pe} outputs and {folding.simd} inputs at a time.",
    ]
    body = [*_turns(found), *_products(found, terms), *_totals(found, folding, terms)]
    text = module_text([_plain(line) for line in comments], module, _ports(found), body)
    found.files[f"{module}.v"] = text
    return found


def member_part(
    program: FoldedProgram,
    number: int,
    folding: Folding,
    module: str,
    engine: Engine,
    options: HardwareOptions,
) -> Part:
    """The module of a stage on an engine: all that is not shared.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    stage, place = _stage(program, number), engine.members.index(number)
    function = engine.functions[place]
    lanes = function_lanes(stage, function, folding.lanes, engine.width, module, options)
    delay = engine.delay + lanes.latency
    room = queue_room(stage, folding, delay)
    body = [
        "wire able;",
        *window_text(stage, folding, options, credit="credit & turn", shared=True),
        "assign wants = able & credit;",
        *lanes.text(),
        *results(room, folding.pe // folding.lanes, lanes.words.bits, options),
    ]
    word = Words(input_word(stage, folding), stage.input.range.width)
    ports = ["input clk", "input reset", *stream_in("in", word.bits)]
    ports += stream_out("out", lanes.words.bits)
    ports += ["input turn", "output busy, wants, read, word_valid, first, last, outside"]
    ports += [f"output {vector(word.bits)}word", "input total_valid"]
    ports += [f"input {vector(engine.lanes * engine.width)}total"]
    comments = stage_comments(stage, folding, function, group_clocks(stage, folding))
    comments.append(f"Products and sums are those of {engine.module}.")
    files = {f"{module}.v": module_text(comments, module, ports, body), **lanes.files}
    library = frozenset({"actc_window", "actc_delay", "actc_fifo", "actc_credits"})
    return Part(module, (word,), lanes.words, files, library, delay, folding.engine)


def member_pins(engine: Engine, place: int, wires: str) -> dict[str, str]:
    """Pins of an engine's stage, on wires that begin with a name."""
    pins = {flag: f"{wires}_{flag}[{place}]" for flag in FLAGS}
    pins["word_valid"] = pins.pop("valid")
    return pins | {"word": f"{wires}_word_{place}", "total": f"{wires}_total"}


def engine_wires(engine: Engine, wires: str) -> list[str]:
    """Declarations of the wires between an engine and its stages."""
    flags = ", ".join(f"{wires}_{flag}" for flag in FLAGS)
    lines = [f"wire {vector(len(engine.members))}{flags};"]
    lines += [
        f"wire {vector(bits)}{wires}_word_{place};" for place, bits in enumerate(engine.words)
    ]
    return [*lines, f"wire {vector(engine.lanes * engine.width)}{wires}_total;"]


def engine_pins(engine: Engine, wires: str) -> dict[str, str]:
    """Pins of an engine."""
    names = [*FLAGS, *(f"word_{place}" for place in range(len(engine.members))), "total"]
    return clock_pins() | {name: f"{wires}_{name}" for name in names}


# -- its parts -----------------------------------------------------------------------------


def _stage(program: FoldedProgram, number: int) -> MatrixStage:
    stage = program.stages[number]
    assert isinstance(stage, MatrixStage), "no others are on engines"
    return stage


def _plain(text: str) -> str:
    """Text that ends no comment."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def _ports(engine: Engine) -> list[str]:
    count = vector(len(engine.members))
    given = [f"input {count}{flag}" for flag in FLAGS if flag not in ("turn", "total_valid")]
    words = [f"input {vector(bits)}word_{place}" for place, bits in enumerate(engine.words)]
    total = f"output {vector(engine.lanes * engine.width)}total"
    return [
        "input clk",
        "input reset",
        *given,
        *words,
        f"output {count}turn",
        f"output {count}total_valid",
        total,
    ]


def _turns(engine: Engine) -> list[str]:
    pins = clock_pins() | {flag: flag for flag in ("busy", "wants", "turn")}
    return instance(
        "actc_turns", "turns", pins, {"COUNT": len(engine.members), "HOLD": HOLD_CLOCKS}
    )


def _tag_bits(engine: Engine) -> int:
    return (len(engine.members) - 1).bit_length()


def _products(engine: Engine, terms: Terms) -> list[str]:
    """Lines that make terms of the words of the stage whose turn it is, with its number."""
    count, bits = len(engine.members), _tag_bits(engine)
    assert terms.pipeline is not None, "weights are stored"
    ports = terms.pipeline.ports
    pins = {"clk": "clk"} if terms.pipeline.clocked else {}
    pins |= {ports["terms"]: "terms", ports["tag"]: "tag"}
    unused = []
    for place in range(count):
        pins[ports[f"x_{place}"]] = f"word_{place}"
        if f"outside_{place}" in ports:
            pins[ports[f"outside_{place}"]] = f"outside[{place}]"
        else:
            unused.append(f"outside[{place}]")
    tags = [
        " | ".join(f"valid[{place}]" for place in range(count) if place >> bit & 1)
        for bit in range(bits)
    ]
    lines = [
        f"wire {vector(bits)}tag = {{{', '.join(reversed(tags))}}};",
        f"wire {vector(terms.lanes * terms.width)}terms;",
    ]
    if terms.memory:
        pins[ports["weights"]] = "weights"
        lines.append(f"wire {vector(terms.weight_bits)}weights;")
        memory = clock_pins() | {"step": "read", "data": "weights"}
        lines += instance(terms.memory, "weights_memory", memory)
    else:
        unused.append("read")
    lines += instance(terms.pipeline.module, "products", pins)
    names = "terms_valid, terms_first, terms_last"
    now = "{|valid, |(valid & first), |(valid & last), tag}"
    lines += [f"wire {names};", f"wire {vector(bits)}terms_tag;"]
    if terms.latency == 0:
        lines.append(f"assign {{{names}, terms_tag}} = {now};")
    else:
        delay = clock_pins() | {"now": now, "later": f"{{{names}, terms_tag}}"}
        parameters = {"WIDTH": 3 + bits, "CLOCKS": terms.latency}
        lines += instance("actc_delay", "terms_delay", delay, parameters)
    return [*lines, f"wire unused = &{{1'b0, {', '.join(unused)}}};"] if unused else lines


def _totals(engine: Engine, folding: Folding, terms: Terms) -> list[str]:
    """Lines that add the terms up, and give totals to the stage that they are of."""
    width, bits = engine.width, _tag_bits(engine)
    pins = {"clk": "clk", "valid": "terms_valid", "first": "terms_first"}
    pins |= {"terms": "terms", "totals": "totals"}
    shift = clock_pins() | {"load": "done", "words": "totals", "valid": "any_valid"}
    return [
        f"wire {vector(folding.pe * width)}totals;",
        *instance(
            "actc_accumulators",
            "totals_of_group",
            pins,
            {"LANES": folding.pe, "IN": terms.width, "OUT": width},
        ),
        "reg done = 1'b0;",
        f"reg {vector(bits)}owner = {bits}'d0;  // all totals leave before the next ones are done",
        "always @(posedge clk) begin",
        "  done <= ~reset & terms_valid & terms_last;",
        "  if (terms_valid & terms_last) owner <= terms_tag;",
        "end",
        "wire any_valid;",
        *instance(
            "actc_serializer",
            "serializer",
            shift | {"word": "total"},
            {"WIDTH": folding.lanes * width, "COUNT": folding.pe // folding.lanes},
        ),
        *(
            f"assign total_valid[{place}] = any_valid & (owner == {bits}'d{place});"
            for place in range(len(engine.members))
        ),
    ]


def _terms(
    stages: Sequence[MatrixStage], folding: Folding, module: str, options: HardwareOptions
) -> Terms:
    """The products of the stage that a tag tells, with weights that all have one code."""
    graph = Graph()
    tag = datapath.bus(graph, "tag", 1, Range(0, len(stages) - 1))
    buses: list[Bus] = [tag]
    inputs: list[list[Wire]] = []
    for place, stage in enumerate(stages):
        own, wires = stage_inputs(graph, stage, folding, f"_{place}")
        buses += own
        inputs.append(wires)
    chosen = [graph.select(tag.wires[0], list(same)) for same in zip(*inputs, strict=True)]
    code = engine_code(stages)
    count = folding.pe * folding.simd
    if code.range.single:
        constant = graph.constant(code.range.low)
        rows = [[constant] * folding.simd] * folding.pe
        return made_terms(buses, terms_bus(_sums(chosen, rows, code, folding)), module, options)
    bus = datapath.bus(graph, "weights", count, code.range)
    wires = list(bus.wires)
    rows = [wires[start : start + folding.simd] for start in range(0, count, folding.simd)]
    made = terms_bus(_sums(chosen, rows, code, folding))
    found = made_terms([*buses, bus], made, module, options)
    memory, bits = f"{module}_weights", count * code.width
    blocks = [stored_words(stage, folding, code) for stage in stages]
    text = shared_rom(memory, blocks, bits, folding.weights, code_comment(code))
    files = {**found.files, f"{memory}.v": text}
    return Terms(found.pipeline, found.lanes, found.width, files, memory, bits)


def _sums(x: list[Wire], rows: list[list[Wire]], code: Code, folding: Folding) -> list[Wire]:
    return datapath.dot(x, rows, code, hard=folding.multiplier == "dsp")


def engine_code(stages: Sequence[MatrixStage]) -> Code:
    """How an engine stores the weights of all its stages."""
    levels: set[int] = set()
    for stage in stages:
        levels |= {int(value) for value in np.unique(stage.weights)}
    return code_of(tuple(sorted(levels)))
