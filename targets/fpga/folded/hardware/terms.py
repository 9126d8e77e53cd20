"""Terms: what the words of a window become before they are added up over a group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actc.targets.fpga.adders import AdderOptions, linear
from actc.targets.fpga.folded.folding import (
    Folding,
    decoder_clocks,
    input_word,
    is_channelwise,
)
from actc.targets.fpga.folded.hardware import datapath
from actc.targets.fpga.folded.hardware.codebook import kernel_memory
from actc.targets.fpga.folded.hardware.datapath import Code, Pipeline, code_of
from actc.targets.fpga.folded.hardware.memories import matrix_words, rom
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import clock_pins, instance, vector
from actc.targets.fpga.folded.kernels import kernels_of
from actc.targets.fpga.folded.program import MatrixStage, MaximumStage
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire

WindowStage = MatrixStage | MaximumStage


@dataclass(frozen=True)
class Terms:
    """One term in each clock for each output at a time.

    Attributes:
        pipeline: the datapath; None: the words are the terms.
        lanes: terms in a clock.
        width: bits of a term.
        files: of the datapath and the weights.
        memory: module of the weights; "": they are constants, or there are none.
        weight_bits: of a word of that memory.
        word_bits: of a word of the window.
        wait: clocks that the window's words wait for their weights.
    """

    pipeline: Pipeline | None
    lanes: int
    width: int
    files: dict[str, str]
    memory: str = ""
    weight_bits: int = 0
    word_bits: int = 0
    wait: int = 0

    @property
    def latency(self) -> int:
        """Clocks from a word to its terms."""
        return self.wait + (0 if self.pipeline is None else self.pipeline.latency)

    def text(self) -> list[str]:
        """Lines that make `terms`, `terms_valid`, `terms_first` and `terms_last` of the words."""
        lines = [f"wire {vector(self.lanes * self.width)}terms;"]
        unused = {"read", "outside"}
        if self.pipeline is None:
            lines.append("assign terms = word;")
        else:
            ports = self.pipeline.ports
            pins = {"clk": "clk"} if self.pipeline.clocked else {}
            lines += self._waiting(padded="outside" in ports)
            behind = "_later" if self.wait else ""
            pins |= {ports["x"]: f"word{behind}", ports["terms"]: "terms"}
            if "outside" in ports:
                pins[ports["outside"]] = f"outside{behind}"
                unused.remove("outside")
            if self.memory:
                pins[ports["weights"]] = "weights"
                unused.remove("read")
                lines.append(f"wire {vector(self.weight_bits)}weights;")
                memory = clock_pins() | {"step": "read", "data": "weights"}
                lines += instance(self.memory, "weights_memory", memory)
            lines += instance(self.pipeline.module, "products", pins)
        lines += self._flags()
        return lines + (
            [f"wire unused = &{{1'b0, {', '.join(sorted(unused))}}};"] if unused else []
        )

    def _waiting(self, *, padded: bool) -> list[str]:
        if not self.wait:
            return []
        flag = ["outside"] if padded else []
        now, later = ([*(name + end for name in flag), "word" + end] for end in ("", "_later"))
        pins = clock_pins() | {"now": _joined(now), "later": _joined(later)}
        parameters = {"WIDTH": self.word_bits + len(flag), "CLOCKS": self.wait}
        return [
            f"wire {vector(self.word_bits)}word_later;",
            *(f"wire {name}_later;" for name in flag),
            *instance("actc_delay", "words_delay", pins, parameters),
        ]

    def _flags(self) -> list[str]:
        names = "terms_valid, terms_first, terms_last"
        if self.latency == 0:
            return [f"wire {names};", f"assign {{{names}}} = {{word_valid, first, last}};"]
        pins = clock_pins() | {"now": "{word_valid, first, last}", "later": f"{{{names}}}"}
        parameters = {"WIDTH": 3, "CLOCKS": self.latency}
        return [f"wire {names};", *instance("actc_delay", "terms_delay", pins, parameters)]


def _joined(names: list[str]) -> str:
    return f"{{{', '.join(names)}}}"


def terms_of(stage: WindowStage, folding: Folding, module: str, options: HardwareOptions) -> Terms:
    """The terms of a stage with a window.

    A layer whose words hold all inputs and whose terms are all outputs has constant weights: its
    products are shared adders, as in unrolled networks.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    graph = Graph()
    buses, inputs = stage_inputs(graph, stage, folding)
    if isinstance(stage, MaximumStage):
        if len(buses) == 1:
            return Terms(None, folding.pe, stage.input.range.width, {})
        made = datapath.output("terms", inputs, stage.input.range)
        return made_terms(buses, made, module, options)
    return _weighted(stage, folding, buses, inputs, module, options)


def stage_inputs(
    graph: Graph, stage: WindowStage, folding: Folding, which: str = ""
) -> tuple[list[Bus], list[Wire]]:
    """The buses `x` and, with padding, `outside` of a stage, and its inputs with padding.

    Args:
        which: behind these names.
    """
    x = datapath.bus(graph, f"x{which}", input_word(stage, folding), stage.input.range)
    if not any((*stage.window.before, *stage.window.after)):
        return [x], list(x.wires)
    flag = datapath.bus(graph, f"outside{which}", 1, Range(0, 1))
    value = stage.outside if isinstance(stage, MatrixStage) else stage.input.range.low
    return [x, flag], [graph.select(flag.wires[0], [wire, value]) for wire in x.wires]


def _weighted(
    stage: MatrixStage,
    folding: Folding,
    buses: list[Bus],
    inputs: list[Wire],
    module: str,
    options: HardwareOptions,
) -> Terms:
    graph = inputs[0].graph
    if stage.counted:
        return _counted(stage, folding, buses, inputs, module, options)
    if is_unrolled(stage, folding):
        weights = stage.weights.reshape(len(stage.weights), -1)
        adders = AdderOptions(family=options.family)
        sums = linear(weights, inputs, np.zeros(len(weights), np.int64), adders)
        return made_terms(buses, terms_bus(sums), module, options)
    code = code_of(tuple(sorted({int(value) for value in np.unique(stage.weights)})))
    count = folding.pe if is_channelwise(stage) else folding.pe * folding.simd
    hard = folding.multiplier == "dsp"
    if code.range.single:
        rows = [graph.constant(code.range.low)] * count
        return made_terms(buses, terms_bus(_sums(stage, inputs, rows, code, hard)), module, options)
    bus = datapath.bus(graph, "weights", count, code.range)
    sums = _sums(stage, inputs, list(bus.wires), code, hard)
    found = made_terms([*buses, bus], terms_bus(sums), module, options)
    memory, bits = f"{module}_weights", count * code.width
    text = rom(
        memory, stored_words(stage, folding, code), bits, folding.weights, code_comment(code)
    )
    files = {**found.files, f"{memory}.v": text}
    return Terms(found.pipeline, found.lanes, found.width, files, memory, bits)


def _counted(
    stage: MatrixStage,
    folding: Folding,
    buses: list[Bus],
    inputs: list[Wire],
    module: str,
    options: HardwareOptions,
) -> Terms:
    """Of a binary stage: bits that agree with those of the weights are counted."""
    graph, outside = inputs[0].graph, None
    if stage.counted == 2:
        (x, flag) = buses
        inputs, outside = list(x.wires), flag.wires[0]
    each = 1 if is_channelwise(stage) else len(inputs)
    signs = (stage.weights > 0).astype(np.int64)
    memory, own = "", list(buses)
    if is_unrolled(stage, folding):
        weights = [graph.constant(bit) for bit in signs.ravel().tolist()]
    elif signs.min() == signs.max():
        weights = [graph.constant(int(signs.min()))] * (folding.pe * each)
    else:
        own.append(datapath.bus(graph, "weights", folding.pe * each, Range(0, 1)))
        weights, memory = list(own[-1].wires), f"{module}_weights"
    sums = datapath.counts(
        [inputs[at : at + each] for at in range(0, len(inputs), each)],
        [weights[at : at + each] for at in range(0, len(weights), each)],
        options.family,
        counted=stage.counted,
        outside=outside,
    )
    found = made_terms(own, terms_bus(sums), module, options)
    if not memory:
        return found
    files = {**found.files, f"{memory}.v": _signs(stage, folding, memory, len(weights))}
    return replace(
        found,
        files=files,
        memory=memory,
        weight_bits=len(weights),
        word_bits=len(inputs),
        wait=decoder_clocks(stage, folding),
    )


def _signs(stage: MatrixStage, folding: Folding, memory: str, bits: int) -> str:
    """The memory of a binary stage's weights."""
    if folding.codebook:
        kernels = kernels_of(stage)
        assert kernels is not None, "foldings have a codebook where there is one"
        return kernel_memory(memory, stage, folding, kernels)
    code = code_of((-1, 1))
    words = stored_words(stage, folding, code)
    return rom(memory, words, bits, folding.weights, code_comment(code))


def is_unrolled(stage: MatrixStage, folding: Folding) -> bool:
    """Whether a position takes one clock, so that its weights are constants."""
    outputs, rows, columns, channels = stage.weights.shape
    alone = stage.groups == rows == columns == 1
    return alone and (folding.pe, folding.simd) == (outputs, channels)


def _sums(
    stage: MatrixStage, inputs: list[Wire], weights: list[Wire], code: Code, hard: bool
) -> list[Wire]:
    """A sum of products for each output at a time."""
    if is_channelwise(stage):
        pairs = zip(inputs, weights, strict=True)
        return [datapath.dot([wire], [[weight]], code, hard=hard)[0] for wire, weight in pairs]
    size = len(inputs)
    rows = [weights[start : start + size] for start in range(0, len(weights), size)]
    return datapath.dot(inputs, rows, code, hard=hard)


def terms_bus(sums: list[Wire]) -> Bus:
    """The output of a datapath of terms, which are signed."""
    hull = Range(min(wire.range.low for wire in sums), max(wire.range.high for wire in sums))
    return datapath.output("terms", sums, hull, signed=True)


def made_terms(buses: list[Bus], made: Bus, module: str, options: HardwareOptions) -> Terms:
    """A datapath as hardware, without weights.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    design = Design(f"{module}_terms", tuple(buses), (made,))
    found = datapath.pipelined(design, options.timing, options.clock_mhz)
    return Terms(found, len(made.wires), made.width, found.files)


def code_comment(code: Code) -> str:
    """What stands above the memory of weights."""
    how = f"{code.base} + {code.step} * code" if code.base or code.step != 1 else "as they are"
    return f"Weights of {code.width} bits ({how}), in the order of their use."


def stored_words(stage: MatrixStage, folding: Folding, code: Code) -> list[int]:
    """The weights of a stage as words of a memory, in the order of their use."""
    codes = (stage.weights - code.base) // code.step
    if is_channelwise(stage):
        return matrix_words(codes, folding.pe, 1, 1, code.width)
    return matrix_words(codes, folding.pe, folding.simd, stage.groups, code.width)
