"""The C++ of a network: constants, a function for each layer, and the top function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from actc.targets.bnn_hls import constants
from actc.targets.bnn_hls.choice import Choice
from actc.targets.bnn_hls.dataflow import (
    Dataflow,
    Process,
    dataflow,
    is_flagged,
    taps_at_once,
    window_bits,
)
from actc.targets.bnn_hls.folding import Option, is_block, kept_rows
from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import (
    Integers,
    Layer,
    MapLayer,
    MatrixLayer,
    MaximumLayer,
    Network,
    ProductLayer,
    SumLayer,
)
from actc.targets.fpga.folded.program import Window
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import identifier

Flow: TypeAlias = Literal["vitis", "vivado"]

_HEADER = """\
// {title}
#ifndef {guard}
#define {guard}

#include "actc_axis.h"

// One sample: {taken} words come, {given} words go, of {bits} bits each.
void {name}(hls::stream<actc::axis_word>& in, hls::stream<actc::axis_word>& out);

enum {{ {guard}_IN = {taken}, {guard}_OUT = {given} }};

#endif
"""
_PARAMETERS = """\
// Constants of {name}: [unit][words, in the order of their use].
#ifndef {guard}_PARAMETERS
#define {guard}_PARAMETERS

#include "actc_functions.h"

{text}
#endif
"""
_SOURCE = """\
// {title}
#include "{name}.h"

#include "actc_layers.h"
#include "actc_products.h"
#include "actc_windows.h"
#include "{name}_parameters.h"

namespace {{

{layers}}}  // namespace

#ifndef ACTC_THREADS
void {name}(hls::stream<actc::axis_word>& in, hls::stream<actc::axis_word>& out) {{
#pragma HLS INTERFACE axis port = in
#pragma HLS INTERFACE axis port = out
#pragma HLS INTERFACE ap_ctrl_none port = return
#pragma HLS DATAFLOW
{body}}}
#endif
"""


@dataclass(frozen=True, eq=False)
class Design:
    """A network that is folded, with all that its C++ is written from.

    Attributes:
        network: its layers.
        functions: of each layer.
        choice: the foldings.
        flow: whose pragmas are written.
    """

    network: Network
    functions: tuple[Function, ...]
    choice: Choice
    flow: Flow = "vitis"

    @property
    def words(self) -> tuple[int, int]:
        """Words of 64 bits of a sample, that come and that go."""
        ports = self.network.entry, self.network.output
        in_words, out_words = (-(-p.size // slots_of(p.code.bits)) for p in ports)
        return in_words, out_words


def slots_of(bits: int) -> int:
    """Elements of a word of 64 bits."""
    return int(64 >> (bits - 1).bit_length())


def write_cpp(design: Design) -> dict[str, str]:
    """Name -> text of the network's own files."""
    name, network = design.network.name, design.network
    processes = dataflow(network, design.choice)
    taken, given = design.words
    values = {"name": name, "guard": name.upper(), "title": f"{name}, written by actc"}
    numbered = list(enumerate(zip(network.layers, design.functions, strict=True)))
    options = design.choice.options
    layers = [_LayerWriter(design, n, layer, f, options[n]) for n, (layer, f) in numbered]
    functions = "\n".join(writer.function() for writer in layers)
    parameters = "\n".join(filter(None, (writer.constants() for writer in layers)))
    return {
        f"{name}.h": _HEADER.format(**values, taken=taken, given=given, bits=64),
        f"{name}_parameters.h": _PARAMETERS.format(**values, text=parameters),
        f"{name}.cpp": _SOURCE.format(**values, layers=functions, body=_body(design, processes)),
    }


def layer_name(design: Design, number: int) -> str:
    """An identifier of a layer."""
    return f"layer_{number}_{identifier(design.network.layers[number].name)}"


def call(design: Design, process: Process) -> str:
    """The call of a process."""
    streams = ", ".join((*process.reads, *process.writes))
    if process.kind in ("layer", "windows"):
        end = "_windows" if process.kind == "windows" else ""
        return f"{layer_name(design, process.numbers[0])}{end}({streams});"
    numbers = list(map(str, process.numbers))
    if process.kind == "pack":
        numbers[3] = _bool(bool(process.numbers[3]))
    return f"actc::{process.kind}<{', '.join(numbers)}>({streams});"


def _body(design: Design, processes: Dataflow) -> str:
    lines = []
    for queue in processes.queues:
        lines.append(f'  hls::stream<ap_uint<{queue.bits}> > {queue.name}("{queue.name}");')
        lines.append(f"#pragma HLS STREAM variable = {queue.name} depth = {queue.depth}")
    lines += [f"  {call(design, process)}" for process in processes.processes]
    return "\n".join(lines) + "\n"


def _bool(value: bool) -> str:
    return "true" if value else "false"


class _LayerWriter:
    """The constants and the function of one layer."""

    def __init__(
        self, design: Design, number: int, layer: Layer, function: Function, option: Option
    ) -> None:
        self.design, self.layer, self.of_total, self.option = design, layer, function, option
        self.folding = option.folding
        self.name = layer_name(design, number)

    # --- constants

    def constants(self) -> str:
        """Declarations."""
        return "\n".join(filter(None, (self._weights(), self._function())))

    def _weights(self) -> str:
        layer, pe = self.layer, self.folding.pe
        if not isinstance(layer, MatrixLayer):
            return ""
        width, words = constants.weight_words(layer, pe, self.folding.simd)
        text = constants.rows(
            [constants.braces(constants.bits(word, width) for word in row) for row in words]
        )
        return (
            f"static const ap_uint<{width}> {self.name}_weights[{pe}][{len(words[0])}] =\n{text};\n"
        )

    def _function(self) -> str:
        if self.of_total.form == "same":
            return ""
        members = ",\n".join(self._members())
        return f"static const {self._type()} {self.name}_function = {{\n{members}}};\n"

    def _type(self) -> str:
        """The type of the function."""
        function, pe = self.of_total, self.folding.pe
        if function.form == "same":
            return f"actc::Same<{function.bits}>"
        limit = constants.integer_type(function.limit_range) if function.limits.size else ""
        shape = f"{pe}, {constants.folds_of(function, pe)}"
        count = function.limits.shape[1]
        # "> >" since old compilers read ">>" as a shift
        return {
            "plain": f"actc::Plain<{shape}, {function.factor}, {self._offset_type()}, "
            f"{function.bits}>",
            "threshold": f"actc::Threshold<{shape}, {limit} >",
            "count": f"actc::Count<{shape}, {count}, {limit}, {function.bits}>",
            "steps": f"actc::Steps<{shape}, {count}, {limit}, {function.bits}>",
            "table": f"actc::Table<{shape}, {function.totals.low}, {function.levels.shape[1]}, "
            f"{function.bits}>",
            "search": f"actc::Search<{shape}, {function.depth}, {limit}, {function.bits}>",
        }[function.form]

    def _offset_type(self) -> str:
        function = self.of_total
        scaled = function.totals * Range(function.factor, function.factor)
        offsets = Range.of(map(int, function.levels.reshape(-1)))
        whole = scaled.hull(offsets).hull(Range(-1, function.factor))
        return constants.integer_type(whole.hull(Range(2 * whole.low, 2 * whole.high)))

    def _members(self) -> list[str]:
        function = self.of_total
        limits = function.limits
        if function.form == "search":
            parts = constants.search_rows(limits, function.depth)
            half = 1 << (function.depth - 1)
            return [self._search(parts, half), self._table(function.levels, flat=True)]
        if function.form == "plain":
            return [self._single(function.levels, signed=True)]
        if function.form == "threshold":
            return [self._single(limits, signed=True), self._single(function.levels)]
        if function.form == "table":
            return [self._table(function.levels)]
        first = self._table(limits, signed=True)
        if function.form == "count":
            return [first, self._single(function.levels[:, :1])]
        return [first, self._table(function.levels)]

    def _literal(self, value: int, signed: bool) -> str:
        return constants.number(value) if signed else constants.bits(value, self.of_total.bits)

    def _single(self, table: Integers, *, signed: bool = False) -> str:
        """[pe][fold]."""
        units = constants.by_unit(table, self.folding.pe)
        return constants.rows(
            [constants.braces(self._literal(row[0], signed) for row in unit) for unit in units]
        )

    def _table(self, table: Integers, *, signed: bool = False, flat: bool = False) -> str:
        """[pe][fold][entry], or [pe][fold * entry]."""
        found = []
        for unit in constants.by_unit(table, self.folding.pe):
            texts = [[self._literal(value, signed) for value in row] for row in unit]
            if flat:
                found.append(constants.braces(text for row in texts for text in row))
            else:
                found.append(constants.rows([constants.braces(row) for row in texts]))
        return constants.rows(found)

    def _search(self, parts: Sequence[Integers], half: int) -> str:
        """[pe][comparison][fold * half]."""
        pe = self.folding.pe
        folds = constants.folds_of(self.of_total, pe)
        by_part = [constants.by_unit(part, pe) for part in parts]
        found = []
        for unit in range(pe):
            texts = []
            for part in by_part:
                row = [constants.number(value) for fold in part[unit] for value in fold]
                assert len(row) <= folds * half
                texts.append(constants.braces(row))
            found.append(constants.rows(texts))
        return constants.rows(found)

    # --- the function

    def function(self) -> str:
        """The processes of the layer."""
        layer, option = self.layer, self.option
        widths = [port.code.bits * option.reads for port in layer.inputs]
        windows = []
        if self.folding.windows:
            assert isinstance(layer, (MatrixLayer, MaximumLayer))
            windows = self._windows(layer)
            widths = [window_bits(layer, option)]
        names = ["in"] if len(widths) == 1 else ["a", "b"]
        streams = [f"hls::stream<ap_uint<{n}> >& {s}" for n, s in zip(widths, names, strict=True)]
        streams.append(f"hls::stream<ap_uint<{option.gives * layer.output.code.bits}> >& out")
        return "\n".join(
            [
                f"// {_comment(layer)}",
                *windows,
                f"void {self.name}({', '.join(streams)}) {{",
                *self._pragmas(),
                f"  {self._compute(names)}",
                "}\n",
            ]
        )

    def _windows(self, layer: MatrixLayer | MaximumLayer) -> list[str]:
        """The geometry, and the process that gathers windows."""
        bits, taken = layer.input.code.bits, window_bits(layer, self.option)
        outside = layer.outside if isinstance(layer, MatrixLayer) else layer.input.code.range.low
        word = self.option.reads * bits
        value = sum((outside & ((1 << bits) - 1)) << (i * bits) for i in range(self.option.reads))
        given = f"hls::stream<ap_uint<{word}> >& in, hls::stream<ap_uint<{taken}> >&"
        flagged = _bool(is_flagged(layer))
        geometry = f"{self.name}_geometry"
        if self.folding.windows == "lines":
            made = f"actc::line_windows<{geometry}, {word}, {flagged}>"
        else:
            groups = layer.input.channels // self.option.reads
            channelwise = isinstance(layer, MaximumLayer) or layer.depthwise
            made = (
                f"actc::ring_windows<{geometry}, {groups}, {word}, "
                f"{kept_rows(layer, layer.window)}, {_bool(channelwise)}, {flagged}>"
            )
        return [
            *_geometry(geometry, layer, layer.window),
            f"void {self.name}_windows({given} out) {{",
            f"  {made}(in, out, ap_uint<{word}>({constants.bits(value, word)}));",
            "}",
            "",
        ]

    def _compute(self, names: Sequence[str]) -> str:
        layer, folding = self.layer, self.folding
        function = f"{self._type()}"
        value = f"{function}()" if self.of_total.form == "same" else f"{self.name}_function"
        folds = layer.output.channels // folding.pe
        shape = f"{layer.output.positions}, {folds}"
        streams = ", ".join([*names, "out"])
        code = layer.input.code
        if isinstance(layer, MatrixLayer):
            kind = "depthwise" if layer.depthwise else "matrix"
            steps = layer.terms // folding.simd
            total = constants.integer_type(layer.totals)
            flagged = f"{_bool(is_flagged(layer))}, " if layer.depthwise else ""
            own = (
                f"{shape}, {steps}, {folding.pe}, {flagged}{total}, {self._dot(layer)}, {function} "
            )
            return f"actc::{kind}<{own}>({streams}, {self.name}_weights, {value});"
        if isinstance(layer, MaximumLayer):
            taps = layer.window.kernel[0] * layer.window.kernel[1]
            own = f"{shape}, {taps}, {taps_at_once(layer, self.option)}, {folding.pe}, {code.bits}"
            own = f"{own}, {_bool(code.signed)}, {function} "
            return f"actc::maximum<{own}>({streams}, {value});"
        if isinstance(layer, MapLayer):
            own = f"{shape}, {folding.pe}, {code.bits}, {_bool(code.signed)}, {function} "
            return f"actc::map<{own}>({streams}, {value});"
        codes = ", ".join(f"{p.code.bits}, {_bool(p.code.signed)}" for p in layer.inputs)
        own = f"{shape}, {folding.pe}, {codes}, {self._pair(layer)}, {function} "
        return f"actc::pairs<{own}>({streams}, {value});"

    def _dot(self, layer: MatrixLayer) -> str:
        simd, code = self.folding.simd, layer.input.code
        total = layer.totals.width + 1
        signed = _bool(bool(layer.weights.min() < 0))
        element = f"{simd}, {code.bits}, {_bool(code.signed)}"
        return {
            "xnor": f"actc::Xnor<{simd}>",
            "masked xnor": f"actc::MaskedXnor<{simd}>",
            "and": f"actc::And<{simd}>",
            "centred xnor": f"actc::Centred<{simd}, {taps_at_once(layer, self.option)}>",
            "signs": f"actc::Signs<{element}, {total}>",
            "integers": f"actc::Integers<{element}, {layer.weight_bits}, {signed}, {total}>",
        }[layer.product]

    def _pair(self, layer: Layer) -> str:
        width = constants.integer_type(_hull_of_pair(layer))
        if isinstance(layer, SumLayer):
            return f"actc::Sum<{layer.factors[0]}, {layer.factors[1]}, {width} >"
        assert isinstance(layer, ProductLayer)
        numbers = f"{layer.steps[0]}, {layer.offsets[0]}, {layer.steps[1]}, {layer.offsets[1]}"
        return f"actc::Product<{numbers}, {width} >"

    # --- pragmas

    def _pragmas(self) -> list[str]:
        """Where constants lie."""
        layer, pe = self.layer, self.folding.pe
        found = []
        if isinstance(layer, MatrixLayer):
            words = layer.weights.size // (pe * self.folding.simd)
            bits = layer.weights.size * layer.weight_bits
            found += self._stored(f"{self.name}_weights", bits, words, (1,))
        function = self.of_total
        folds = constants.folds_of(function, pe)
        arrays: dict[str, dict[str, tuple[int, ...]]] = {
            "same": {},
            "plain": {"offsets": (1,)},
            "threshold": {"limits": (1,), "inverted": (1,)},
            "count": {"limits": (1, 3), "bases": (1,)},
            "steps": {"limits": (1, 3), "levels": (1,)},
            "table": {"levels": (1,)},
            "search": {"limits": (1, 2), "levels": (1,)},
        }
        members = arrays[function.form]
        for member, axes in members.items():
            deep = folds if function.form in ("plain", "threshold", "count") else 2 * folds
            bits = function.memory_bits // len(members)
            found += self._stored(f"{self.name}_function.{member}", bits, deep, axes)
        return found

    def _stored(self, name: str, bits: int, words: int, axes: Sequence[int]) -> list[str]:
        """Pragmas of an array: split along axes; what has one word for each is wired."""
        if words <= 1:
            return [f"#pragma HLS ARRAY_PARTITION variable = {name} complete dim = 0"]
        found = [
            f"#pragma HLS ARRAY_PARTITION variable = {name} complete dim = {axis}" for axis in axes
        ]
        if "." in name:
            return found
        block = is_block(bits, words)
        if self.design.flow == "vitis":
            kind = "bram" if block else "lutram"
            found.append(f"#pragma HLS BIND_STORAGE variable = {name} type = rom_1p impl = {kind}")
        else:
            kind = "ROM_1P_BRAM" if block else "ROM_1P_LUTRAM"
            found.append(f"#pragma HLS RESOURCE variable = {name} core = {kind}")
        return found


def _hull_of_pair(layer: Layer) -> Range:
    """What the terms of a sum or product, and their constants, need."""
    found = layer.totals
    if isinstance(layer, SumLayer):
        factors, offsets = layer.factors, (0, 0)
    else:
        assert isinstance(layer, ProductLayer)
        factors, offsets = layer.steps, layer.offsets
    for port, factor, offset in zip(layer.inputs, factors, offsets, strict=True):
        term = port.code.range * Range(factor, factor)
        for part in (term, term.plus(offset), Range(factor, factor), Range(offset, offset)):
            found = found.hull(part)
    return found


def _geometry(name: str, layer: Layer, window: Window) -> list[str]:
    axes = {
        "KERNEL": window.kernel,
        "STRIDE": window.strides,
        "DILATION": window.dilations,
        "BEFORE": window.before,
        "AFTER": window.after,
        "RESULT": (layer.output.rows, layer.output.columns),
    }
    found = [f"ROWS = {layer.input.rows}", f"COLUMNS = {layer.input.columns}"]
    found += [
        f"{key}_{axis} = {value}"
        for key, pair in axes.items()
        for axis, value in zip(("ROWS", "COLUMNS"), pair, strict=True)
    ]
    lines = [", ".join(found[at : at + 4]) for at in range(0, len(found), 4)]
    return [f"struct {name} {{", "  enum {", *(f"    {line}," for line in lines[:-1]),
            f"    {lines[-1]}", "  };", "};", ""]  # fmt: skip


def _comment(layer: Layer) -> str:
    what = {
        MatrixLayer: "products",
        MaximumLayer: "maxima",
        SumLayer: "sums",
        ProductLayer: "products of elements",
        MapLayer: "functions of elements",
    }[type(layer)]
    shape = f"{layer.output.rows} x {layer.output.columns} x {layer.output.channels}"
    kind = f", {layer.product}" if isinstance(layer, MatrixLayer) else ""
    return f"{identifier(layer.name)}: {what}{kind}; gives {shape}"
