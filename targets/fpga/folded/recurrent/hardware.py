"""The module of a recurrent layer: matrix, elements, and memories between them.

The queue in front holds what one step reads, so the stage before goes on during the matrix's
clocks. States lie in one memory: what a unit keeps, and what the matrix reads of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.families import find_family
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.datapath import Code, Pipeline, code_of
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.hardware.lanes import Lanes, lanes_of, unchanged
from actc.targets.fpga.folded.hardware.memories import matrix_words, packed, rom
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import (
    Part,
    Words,
    clock_pins,
    instance,
    module_text,
    stream_in,
    stream_out,
    stream_pins,
    vector,
)
from actc.targets.fpga.folded.hardware.results import results
from actc.targets.fpga.folded.program import FoldedProgram, RecurrentStage
from actc.targets.fpga.folded.recurrent.cells import Cell, GruCell
from actc.targets.fpga.folded.recurrent.elements import Elements
from actc.targets.fpga.hdl import Design, Graph, Range

_LIBRARY = (
    "actc_accumulators",
    "actc_credits",
    "actc_delay",
    "actc_fifo",
    "actc_queue",
    "actc_recurrence",
    "actc_ring",
    "actc_serializer",
)


@dataclass(frozen=True)
class _Layer:
    """A layer on its way to text.

    Attributes:
        stage, folding, module, options: what is built.
        code: of the weights.
        terms, elements: the datapaths of the matrix and behind it.
        unit: the widths and constants of the latter.
        lanes: the function unit behind the states that leave.
    """

    stage: RecurrentStage
    folding: Folding
    module: str
    options: HardwareOptions
    code: Code
    terms: Pipeline
    term_bits: int
    elements: Pipeline
    unit: Elements
    lanes: Lanes

    @property
    def cell(self) -> Cell:
        """What a step computes."""
        return self.stage.cell

    @property
    def operand_bits(self) -> int:
        """Of a state as the matrix reads it, the lower part of a word."""
        return datapath.width_of(self.cell.operand, True)

    @property
    def memory_bits(self) -> int:
        """Of what a unit keeps."""
        return datapath.width_of(self.cell.memory, True)

    @property
    def total_bits(self) -> int:
        """Of a total of the matrix; no fewer than of a term."""
        return max(datapath.width_of(self.cell.total, True), self.term_bits)

    @property
    def gate_bits(self) -> int:
        """Of a gate."""
        return self.unit.gate.width


def factor_bits(folding: Folding, family: str) -> int:
    """Bits of the factors of a hard multiplier; 0 where products are in logic."""
    return min(find_family(family).dsp_inputs) if folding.multiplier == "dsp" else 0


def recurrent_part(
    program: FoldedProgram,
    stage: RecurrentStage,
    folding: Folding,
    module: str,
    options: HardwareOptions,
) -> Part:
    """The module of a recurrent layer.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    cell = stage.cell
    code = code_of(tuple(np.unique(cell.r).tolist()))
    terms, term_bits = _terms(cell, code, folding, module, options)
    unit = Elements(cell, stage.input.range, factor_bits(folding, options.family))
    elements = datapath.pipelined(
        unit.design(f"{module}_elements"), options.timing, options.clock_mhz
    )
    lanes = _lanes(program, stage, module, options)
    layer = _Layer(
        stage, folding, module, options, code, terms, term_bits, elements, unit, lanes
    )  # fmt: skip
    room = cell.units if stage.last else 2 * cell.units
    body = [
        *_steps(layer),
        *_control(layer),
        *_states(layer),
        *_matrix(layer),
        *_elements(layer),
        *_leaving(layer),
        *lanes.text(),
        *results(room, cell.units, lanes.words.bits, options),
    ]
    words = Words(1, stage.input.range.width)
    ports = ["input clk", "input reset", *stream_in("in", words.bits)]
    ports += stream_out("out", lanes.words.bits)
    text = module_text(_comments(layer), module, ports, body)
    files = {f"{module}.v": text, **terms.files, **elements.files, **lanes.files, **_roms(layer)}
    return Part(module, (words,), lanes.words, files, frozenset(_LIBRARY), 0)


def _comments(layer: _Layer) -> list[str]:
    cell, pe = layer.cell, layer.folding.pe
    return [
        f"{cell.kind} of {cell.units} units, {layer.stage.input.positions} steps:",
        f"{pe} products a clock, then one of the {cell.gates} gates of a unit a clock.",
    ]


def _terms(
    cell: Cell, code: Code, folding: Folding, module: str, options: HardwareOptions
) -> tuple[Pipeline, int]:
    graph = Graph()
    h = datapath.bus(graph, "h", 1, cell.operand, signed=True)
    weights = datapath.bus(graph, "weights", folding.pe, code.range)
    rows = [[wire] for wire in weights.wires]
    hard = folding.multiplier == "dsp"
    sums = datapath.dot(list(h.wires), rows, code, hard=hard)
    hull = Range(min(s.range.low for s in sums), max(s.range.high for s in sums))
    made = datapath.output("terms", sums, hull, signed=True)
    design = Design(f"{module}_terms", (h, weights), (made,))
    return datapath.pipelined(design, options.timing, options.clock_mhz), made.width


def _lanes(
    program: FoldedProgram, stage: RecurrentStage, module: str, options: HardwareOptions
) -> Lanes:
    function = stage_function(program, stage, options.family)
    width = datapath.width_of(stage.cell.result, True)
    if function is None:
        return unchanged(1, stage.cell.result.width)
    return lanes_of(function, 1, width, True, stage.output.range, module, options)


def _roms(layer: _Layer) -> dict[str, str]:
    cell, code, module, options = layer.cell, layer.code, layer.module, layer.options
    pe = layer.folding.pe
    codes = (cell.r.T[:, None, None, :] - code.base) // code.step
    texts = {
        "weights": rom(
            f"{module}_weights",
            matrix_words(codes, pe, 1, 1, code.width),
            pe * code.width,
            layer.folding.weights,
            f"Recurrent weights of {code.width} bits ({code.base} + {code.step} * code).",
        ),
        "initial": rom(
            f"{module}_initial",
            packed(np.stack(cell.initial[::-1], axis=1), [layer.operand_bits, layer.memory_bits]),
            layer.operand_bits + layer.memory_bits,
            "logic",
            "The first state of each unit.",
        ),
    }
    bits = layer.unit.parameter_bits
    if bits:
        comment = f"Of each output: {', '.join(layer.unit.columns)}."
        storage = options.parameters(bits * cell.outputs)
        words = layer.unit.parameter_words()
        texts["constants"] = rom(f"{module}_constants", words, bits, storage, comment)
    return {f"{module}_{name}.v": text for name, text in texts.items()}


def _memory(layer: _Layer) -> dict[str, int | str]:
    return {
        "BLOCK": int(layer.folding.buffer == "block"),
        "LUTRAM": layer.options.lutram,
    }


def _steps(layer: _Layer) -> list[str]:
    """The queue of what is read."""
    width, depth = layer.stage.input.range.width, layer.cell.outputs
    parameters: dict[str, int | str] = {"WIDTH": width, "DEPTH": depth, **_memory(layer)}
    pins = clock_pins() | stream_pins("in", "in")
    pins |= {"out_valid": "x_valid", "out_ready": "issue", "out_data": "x"}
    return [
        "wire x_valid;",
        f"wire {vector(width)}x;",
        *instance("actc_queue", "steps", pins, parameters),
    ]


def _control(layer: _Layer) -> list[str]:
    cell, stage = layer.cell, layer.stage
    parameters = {
        "UNITS": cell.units,
        "GATES": cell.gates,
        "BLOCKS": cell.outputs // layer.folding.pe,
        "STEPS": stage.input.positions,
        "EACH": int(not stage.last),
    }
    flags: tuple[str, ...] = (
        "credit",
        "take",
        "load",
        "loaded",
        "read",
        "valid",
        "first",
        "last",
        "unit",
    )
    flags += ("issue", "newest", "done", "to", "gate", "write", "leave")
    pins = clock_pins() | {flag: flag for flag in flags} | {"ready": "x_valid & total_ready"}
    unit, gate = (max((count - 1).bit_length(), 1) for count in (cell.units, cell.gates))
    return [
        "wire credit, take, load, loaded, read, valid, first, last, issue, newest, write, leave;",
        "wire done, total_ready;",
        f"wire {vector(unit)}unit, to;",
        f"wire {vector(gate)}gate;",
        *instance("actc_recurrence", "recurrence", pins, parameters),
    ]


def _states(layer: _Layer) -> list[str]:
    """The memory of states, and its first content."""
    own, kept = layer.operand_bits, layer.memory_bits
    memory = clock_pins() | {"step": "load", "data": "initial_state"}
    pins = {"clk": "clk", "write": "write | loaded", "to": "to"}
    pins["written"] = "loaded ? initial_state : {memory_next, operand}"
    pins |= {"from": "unit", "data": "state"}
    parameters: dict[str, int | str] = {"WIDTH": own + kept, "DEPTH": layer.cell.units}
    return [
        f"wire {vector(own + kept)}initial_state, state;",
        f"wire {vector(own)}operand;",
        f"wire {vector(kept)}memory_next;",
        *instance(f"{layer.module}_initial", "first_states", memory),
        *instance("actc_ring", "states", pins, parameters | _memory(layer)),
    ]


def _matrix(layer: _Layer) -> list[str]:
    """``h @ r``: from states to the queue of totals."""
    pe, width, bits = layer.folding.pe, layer.total_bits, layer.term_bits
    weight_bits, ports = pe * layer.code.width, layer.terms.ports
    memory = clock_pins() | {"step": "read", "data": "weights"}
    pins = {"clk": "clk"} if layer.terms.clocked else {}
    pins |= {ports["h"]: f"state[{layer.operand_bits - 1}:0]"}
    pins |= {ports["weights"]: "weights", ports["terms"]: "terms"}
    flags = {"now": "{valid, first, last}", "later": "{terms_valid, terms_first, terms_last}"}
    sums = {"clk": "clk", "valid": "terms_valid", "first": "terms_first"}
    sums |= {"terms": "terms", "totals": "totals"}
    line = clock_pins() | {"load": "summed", "words": "totals"}
    line |= {"valid": "total_there", "word": "total_word"}
    queue = clock_pins() | {"in_valid": "total_there", "in_ready": "total_room"}
    queue |= {"in_data": "total_word", "out_valid": "total_ready"}
    queue |= {"out_ready": "issue", "out_data": "h_total"}
    depth: dict[str, int | str] = {"WIDTH": width, "DEPTH": layer.cell.outputs}
    return [
        f"wire {vector(weight_bits)}weights;",
        *instance(f"{layer.module}_weights", "weights_memory", memory),
        f"wire {vector(pe * bits)}terms;",
        *instance(layer.terms.module, "products", pins),
        "wire terms_valid, terms_first, terms_last;",
        *instance(
            "actc_delay", "terms_delay", clock_pins() | flags,
            {"WIDTH": 3, "CLOCKS": layer.terms.latency},
        ),
        f"wire {vector(pe * width)}totals;",
        *instance(
            "actc_accumulators", "totals_of_block", sums, {"LANES": pe, "IN": bits, "OUT": width}
        ),
        "reg summed = 1'b0;",
        "always @(posedge clk) summed <= ~reset & terms_valid & terms_last;",
        "wire total_there, total_room;",
        f"wire {vector(width)}total_word, h_total;",
        *instance("actc_serializer", "serializer", line, {"WIDTH": width, "COUNT": pe}),
        *instance("actc_queue", "totals_queue", queue, depth | _memory(layer)),
        "wire unused_total = total_room;  // always",
    ]  # fmt: skip


def _elements(layer: _Layer) -> list[str]:
    """From what is read and totals to gates and new states."""
    cell, ports = layer.cell, layer.elements.ports
    width, own = layer.stage.input.range.width, datapath.width_of(layer.cell.total, True)
    count = cell.gates - 1
    pins = {"clk": "clk"} if layer.elements.clocked else {}
    pins |= {ports["x"]: "x_now", ports["total"]: "total_now_h", ports["last"]: "newest_now"}
    pins |= {ports["gates"]: "gates", ports["gate"]: "gate_value"}
    pins |= {ports["memory"]: f"state[{layer.operand_bits + layer.memory_bits - 1}:"
             f"{layer.operand_bits}]"}  # fmt: skip
    pins |= {ports["memory_next"]: "memory_next", ports["operand"]: "operand"}
    lines = [
        f"reg {vector(width)}x_now;  // memories answer a clock late",
        f"reg {vector(own)}total_now_h;",
        "reg newest_now;",
        "always @(posedge clk) begin",
        "  x_now <= x;",
        f"  total_now_h <= h_total{f'[{own - 1}:0]' if own < layer.total_bits else ''};",
        "  newest_now <= newest;",
        "end",
    ]
    if own < layer.total_bits:
        lines.append(f"wire unused_bits = &{{1'b0, h_total[{layer.total_bits - 1}:{own}]}};")
    bits = layer.unit.parameter_bits
    if bits:
        memory = clock_pins() | {"step": "issue", "data": "constants"}
        lines += [
            f"wire {vector(bits)}constants;",
            *instance(f"{layer.module}_constants", "constants_memory", memory),
        ]
        pins[ports["parameters"]] = "constants"
    lines += [
        f"wire {vector(layer.gate_bits)}gate_value;",
        f"wire {vector(count * layer.gate_bits)}gates;",
    ]
    gate_bits = max((cell.gates - 1).bit_length(), 1)
    for gate in range(count):
        part = f"gates[{(gate + 1) * layer.gate_bits - 1}:{gate * layer.gate_bits}]"
        ring = {"clk": "clk", "write": f"done & (gate == {gate_bits}'d{gate})", "to": "to"}
        ring |= {"written": "gate_value", "from": "unit", "data": part}
        parameters: dict[str, int | str] = {"WIDTH": layer.gate_bits, "DEPTH": cell.units}
        lines += instance("actc_ring", f"gate_{gate}", ring, parameters | _memory(layer))
    delay = clock_pins() | {"now": "issue", "later": "done"}
    return [
        *lines,
        *instance(layer.elements.module, "element", pins),
        *instance(
            "actc_delay", "element_delay", delay,
            {"WIDTH": 1, "CLOCKS": layer.elements.latency + 1},
        ),
    ]  # fmt: skip


def _leaving(layer: _Layer) -> list[str]:
    """The states that leave, as totals of the function unit."""
    wire = "memory_next" if isinstance(layer.cell, GruCell) else "operand"
    function = layer.lanes
    have = layer.memory_bits if wire == "memory_next" else layer.operand_bits
    part = f"[{function.total_bits - 1}:0]" if function.total_bits < have else ""
    return [
        f"wire {vector(function.total_bits)}total = {wire}{part};",
        "wire total_valid = leave;",
    ]
