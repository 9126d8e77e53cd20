"""The dialect's operators for hls4ml: handlers, layers and templates, by its extension API.

:func:`register` makes hls4ml's ONNX converter read `network.onnx`. Operators of hls4ml's own
layers (ActcDense, ActcConv2D, ...) become those; the others are layers of ours, whose C++ is in
`library`. Nothing of hls4ml is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper

from actc.targets.hls4ml import oneapi
from actc.targets.hls4ml.backends import BACKENDS

LIBRARY = Path(__file__).parent / "library"
Handler = Callable[[NodeProto, list[str], list[list[int]], GraphProto], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Extension:
    """A layer of ours.

    Attributes:
        op: operator, and hls4ml's class of the layer.
        function: of the library, in the header of that name.
        constants: attributes that are arrays, in the order of the function's parameters.
        numbers: attributes that the function's configuration has.
        inputs: how many tensors it reads.
    """

    op: str
    function: str
    constants: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    inputs: int = 1

    @property
    def header(self) -> str:
        """Name of the file in the library."""
        return f"{self.function}.h"


_WINDOW = ("in", "kernel", "stride", "step", "before", "after")
"""Numbers of a window along each axis."""
_WINDOWED = (
    "outside", *(f"{name}_{axis}" for axis in ("rows", "columns") for name in _WINDOW),
    "out_rows", "out_columns",
)  # fmt: skip
_PACKED = ("word", "words", "counted", "factor")
"""Numbers of weights that are bits in words."""
EXTENSIONS = (
    Extension("ActcThresholds", "actc_thresholds", ("limits", "levels"), ("rows", "count")),
    Extension("ActcTable", "actc_table", ("levels",), ("rows", "size", "first")),
    Extension("ActcSearch", "actc_search", ("limits", "levels"), ("rows", "depth")),
    Extension(
        "ActcPiecewiseLinear", "actc_pwl", ("limits", "slopes", "offsets"),
        ("depth", "shift", "width"),
    ),
    Extension(
        "ActcShiftedLines", "actc_shifted_lines", ("limits", "digits", "offsets"),
        ("depth", "terms", "shift", "width"),
    ),
    Extension(
        "ActcBipartite", "actc_bipartite", ("initial", "offset"),
        ("first", "coarse", "high", "low", "left", "guard", "width", "initials", "offsets"),
    ),
    Extension(
        "ActcRequantize", "actc_requantize", ("multiplier", "offset"),
        ("rows", "shift", "zero", "low", "high", "width"),
    ),
    Extension("ActcAffine", "actc_affine", (), ("factor", "offset")),
    Extension("ActcSum", "actc_sum", (), ("first", "second"), 2),
    Extension("ActcProduct", "actc_product", (), ("first", "second"), 2),
    Extension("ActcConcat", "actc_concat", (), ("out_channels",), 2),
    Extension(
        "ActcRepeat", "actc_repeat", (),
        ("factor_rows", "factor_columns", "out_rows", "out_columns"),
    ),
    Extension("ActcMaxPool", "actc_max_pool", (), _WINDOWED),
    Extension("ActcWindows", "actc_window_words", (), _WINDOWED),
    Extension("ActcArrayConv2D", "actc_conv", ("weight", "bias"), (*_WINDOWED, "filters")),
    Extension("ActcDepthwiseConv2D", "actc_depthwise", ("weight", "bias"), _WINDOWED),
    Extension("ActcXnorDense", "actc_xnor_dense", ("weights", "bias"), (*_PACKED, "results")),
    Extension(
        "ActcXnorConv2D", "actc_xnor_conv", ("weights", "bias"),
        (*_WINDOWED, *_PACKED, "filters"),
    ),
    Extension("ActcArgmax", "actc_argmax", (), ("results",)),
    Extension("ActcSoftmax", "actc_softmax", ("powers",), ("results", "size", "bits")),
    Extension(
        "ActcLayerNorm", "actc_layer_norm", ("gamma", "beta"),
        ("results", "whole_high", "whole_low", "part_high", "part_low", "more", "digits"),
    ),
)  # fmt: skip
COMMON = ("actc_each.h", "actc_rows.h", "actc_windows.h", "actc_xnor.h")
"""What the other headers include."""
NAMES = "actc_types.h"
"""What gives tools' names for streams, integers and pragmas; each family has its own."""


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """Attributes as Python integers, tuples and float64 arrays."""
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        if attribute.HasField("t"):
            found[attribute.name] = numpy_helper.to_array(attribute.t).astype(np.float64)
        elif attribute.ints:
            found[attribute.name] = tuple(attribute.ints)
        else:
            found[attribute.name] = int(attribute.i)
    return found


# --- hls4ml's own layers


def _base(node: NodeProto, inputs: Sequence[str], kind: str) -> dict[str, Any]:
    return {
        "name": node.name, "class_name": kind, "inputs": list(inputs), "outputs": list(node.output)
    }  # fmt: skip


def _dense(
    node: NodeProto, inputs: list[str], shapes: list[list[int]], graph: GraphProto
) -> dict[str, Any]:
    given = attributes_of(node)
    taken, made = given["weight"].shape
    constants = {"weight_data": given["weight"], "bias_data": given["bias"], "use_bias": True}
    return {**_base(node, inputs, "Dense"), "n_in": taken, "n_out": made, **constants}


def _window(given: dict[str, Any]) -> dict[str, Any]:
    rows, columns, _ = given["input_shape"]
    top, left, bottom, right = given["pads"]
    height, width = given["kernel_shape"]
    return {
        "data_format": "channels_last", "in_height": rows, "in_width": columns,
        "out_height": (rows + top + bottom - height) // given["strides"][0] + 1,
        "out_width": (columns + left + right - width) // given["strides"][1] + 1,
        "stride_height": given["strides"][0], "stride_width": given["strides"][1],
        "pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right,
        "padding": "same" if any(given["pads"]) else "valid",
    }  # fmt: skip


def _conv(
    node: NodeProto, inputs: list[str], shapes: list[list[int]], graph: GraphProto
) -> dict[str, Any]:
    given = attributes_of(node)
    height, width, channels, filters = given["weight"].shape
    return {
        **_base(node, inputs, "Conv2D"), **_window(given), "filt_height": height,
        "filt_width": width, "n_chan": channels, "n_filt": filters,
        "dilation_height": 1, "dilation_width": 1, "weight_data": given["weight"],
        "bias_data": given["bias"], "use_bias": True,
    }  # fmt: skip


def _reshape(
    node: NodeProto, inputs: list[str], shapes: list[list[int]], graph: GraphProto
) -> dict[str, Any]:
    target = attributes_of(node)["target_shape"]
    return {**_base(node, inputs, "Reshape"), "target_shape": list(target)}


OWN: dict[str, Handler] = {
    "ActcDense": _dense,
    "ActcConv2D": _conv,
    "ActcReshape": _reshape,
}
"""Operators that are layers of hls4ml."""


# --- layers of ours


def _handler(extension: Extension) -> Handler:
    def handle(
        node: NodeProto, inputs: list[str], shapes: list[list[int]], graph: GraphProto
    ) -> dict[str, Any]:
        given = attributes_of(node)
        constants = {f"{name}_data": given.pop(name) for name in extension.constants}
        numbers = _spread(given) if "kernel_shape" in given else given
        return {**_base(node, inputs, extension.op), **numbers, **constants}

    return handle


def _spread(given: dict[str, Any]) -> dict[str, int]:
    """The numbers of a window one by one."""
    found = {name: value for name, value in given.items() if isinstance(value, int)}
    for axis, name in enumerate(("rows", "columns")):
        extent, kernel = given["input_shape"][axis], given["kernel_shape"][axis]
        stride, step = given["strides"][axis], given["dilations"][axis]
        before, after = given["pads"][axis], given["pads"][axis + 2]
        numbers = (extent, kernel, stride, step, before, after)
        found |= {f"{key}_{name}": n for key, n in zip(_WINDOW, numbers, strict=True)}
        found[f"out_{name}"] = (extent + before + after - (kernel - 1) * step - 1) // stride + 1
    return found


def _layer_class(extension: Extension) -> type:
    from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
    from hls4ml.model.layers import Layer

    def initialize(self: Any) -> None:
        shape = list(self.get_input_variable().shape)
        made = list(shape)
        if "out_rows" in extension.numbers:
            channels = self.get_attr("filters", shape[-1])
            made = [self.get_attr("out_rows"), self.get_attr("out_columns"), channels]
        if "results" in extension.numbers:
            made[-1] = self.get_attr("results")
        if extension.op == "ActcWindows":
            made[-1] *= self.get_attr("kernel_rows") * self.get_attr("kernel_columns")
        if "out_channels" in extension.numbers:
            made[-1] = self.get_attr("out_channels")
        self.add_output_variable(made)
        self.set_attr("n_in", int(np.prod(shape)))
        self.set_attr("n_chan", int(shape[-1]))
        for name in extension.constants:
            self.add_weights_variable(name, var_name=f"{name}{{index}}", data=name)

    expected = [Attribute("n_in"), Attribute("n_chan")]
    expected += [Attribute(name) for name in extension.numbers]
    for name in extension.constants:
        expected += [WeightAttribute(name), TypeAttribute(name)]
    members = {"_expected_attributes": expected, "initialize": initialize}
    return type(extension.op, (Layer,), members)


def _config_class(extension: Extension, layer: type, pipes: bool) -> type:
    from hls4ml.backends.template import LayerConfigTemplate

    def format(self: Any, node: Any) -> str:
        lines = [f"struct config{node.index} {{"]
        for name in ("n_in", "n_chan"):
            lines.append(f"    static const unsigned {name} = {int(node.get_attr(name))};")
        for name in extension.numbers:
            lines.append(f"    static const int {name} = {int(node.get_attr(name))};")
        if pipes:
            text = "\n".join([*lines, *oneapi.constant_lines(node, extension), "};"]) + "\n"
            return text + oneapi.task(node, extension)
        for name in extension.constants:
            lines.append(f"    typedef {node.get_weights(name).type.name} {name}_t;")
        return "\n".join([*lines, "};"]) + "\n"

    def initialize(self: Any) -> None:
        LayerConfigTemplate.__init__(self, layer)

    members = {"__init__": initialize, "format": format}
    return type(f"{extension.op}Config", (LayerConfigTemplate,), members)


def _call_class(extension: Extension, layer: type, pipes: bool) -> type:
    from hls4ml.backends.template import FunctionCallTemplate

    def format(self: Any, node: Any) -> str:
        if pipes:
            return oneapi.call(node, extension)
        read = [node.get_input_variable(name) for name in node.inputs[: extension.inputs]]
        made = node.get_output_variable()
        types = [variable.type.name for variable in (*read, made)]
        arguments = [variable.name for variable in (*read, made)]
        arguments += [node.get_weights(name).name for name in extension.constants]
        parameters = ", ".join([*types, f"config{node.index}"])
        return f"nnet::{extension.function}<{parameters}>({', '.join(arguments)});"

    def initialize(self: Any) -> None:
        FunctionCallTemplate.__init__(self, layer, [f"nnet_utils/{extension.header}"])

    members = {"__init__": initialize, "format": format}
    return type(f"{extension.op}Call", (FunctionCallTemplate,), members)


def register(backends: Sequence[str] = tuple(BACKENDS)) -> None:
    """Teach hls4ml the dialect of `network.onnx`; a second time nothing happens.

    Args:
        backends: of hls4ml, by name.
    """
    for name in backends:
        _register_backend(name)


@cache
def _registered() -> Mapping[Extension, type]:
    """The layers of ours, known to hls4ml and its converter from the first call on."""
    from hls4ml.converters.onnx_to_hls import register_onnx_layer_handler
    from hls4ml.model.layers import register_layer

    for op, handler in OWN.items():
        register_onnx_layer_handler(op, handler)
    layers = {extension: _layer_class(extension) for extension in EXTENSIONS}
    for extension, layer in layers.items():
        register_onnx_layer_handler(extension.op, _handler(extension))
        register_layer(extension.op, layer)
    return layers


@cache
def _register_backend(name: str) -> None:
    from hls4ml.backends import get_backend

    backend, pipes = get_backend(name), BACKENDS[name].pipes
    for extension, layer in _registered().items():
        backend.register_template(_config_class(extension, layer, pipes))
        backend.register_template(_call_class(extension, layer, pipes))
        if pipes:
            for template in oneapi.stream_templates(extension, layer):
                backend.register_template(template)
        backend.register_source(LIBRARY / extension.header)
    for header in (*COMMON, f"{BACKENDS[name].names}/{NAMES}"):
        backend.register_source(LIBRARY / header)
