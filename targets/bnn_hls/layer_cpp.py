"""The processes of one layer: a function that calls the library, with its pragmas."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.bnn_hls import constants
from actc.targets.bnn_hls.dataflow import is_flagged, taps_at_once, window_bits
from actc.targets.bnn_hls.design import Design
from actc.targets.bnn_hls.folding import is_block, kept_rows
from actc.targets.bnn_hls.layer_constants import LayerConstants
from actc.targets.bnn_hls.layers import (
    Layer,
    MapLayer,
    MatrixLayer,
    MaximumLayer,
    ProductLayer,
    SumLayer,
)
from actc.targets.fpga.folded.program import Window
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import identifier


class LayerWriter:
    """Writes a layer.

    Args:
        own: its constants, which are declared elsewhere.
    """

    def __init__(self, design: Design, own: LayerConstants) -> None:
        self.flow, self.own = design.flow, own
        self.layer, self.option, self.name = own.layer, own.option, own.name
        self.folding = own.folding

    def processes(self) -> str:
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
        function = f"{self.own.type()}"
        value = f"{function}()" if self.own.function.form == "same" else f"{self.name}_function"
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

    def _pragmas(self) -> list[str]:
        """Where constants lie."""
        layer, pe = self.layer, self.folding.pe
        found = []
        if isinstance(layer, MatrixLayer):
            words = layer.weights.size // (pe * self.folding.simd)
            bits = layer.weights.size * layer.weight_bits
            found += self._stored(f"{self.name}_weights", bits, words, (1,))
        function = self.own.function
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
        if self.flow == "vitis":
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


def _bool(value: bool) -> str:
    return "true" if value else "false"
