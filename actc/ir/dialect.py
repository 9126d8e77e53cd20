"""The integer operators of the ONNX domain `actc`: bodies in standard ONNX.

docs/internals.md states each operator's meaning. The bodies here make a file
that actc writes run in any ONNX runtime; :mod:`actc.ir.spec` is the numpy
reference. Tests run both against each other.

Weights reach ConvInteger and MatMulInteger as uint8 with zero point 128:
onnxruntime's uint8 x int8 kernels on x86 without VNNI add pairs of products in
saturating 16-bit arithmetic, the uint8 x uint8 ones do not.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import parser

DOMAIN = "actc"
VERSION = 1
GOLDEN_OPSET = 21

_UNSIGNED_WEIGHTS = """
  offset = Constant <value = int32 {128}> ()
  w32 = Cast <to = 6> (w)
  shifted = Add (w32, offset)
  wu = Cast <to = 2> (shifted)
  w_zero = Constant <value = uint8 {128}> ()
"""

_AXES = """
  axis_value = Constant <value_int: int = @axis> ()
  one_axis = Constant <value_ints = [1]> ()
  axes = Reshape (axis_value, one_axis)
"""

_BODIES = {
    "IntConv": "<strides, pads, dilations, group, kernel_shape> (x, w, bias, x_zero) => (y) {"
    + _UNSIGNED_WEIGHTS
    + """
  acc = ConvInteger <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations,
                     group: int = @group, kernel_shape: ints = @kernel_shape>
                    (x, wu, x_zero, w_zero)
  y = Add (acc, bias)
}""",
    "IntMatMul": "(x, w, bias, x_zero) => (y) {"
    + _UNSIGNED_WEIGHTS
    + """
  acc = MatMulInteger (x, wu, x_zero, w_zero)
  y = Add (acc, bias)
}""",
    "Requantize": """(acc, multiplier, shift, zero, low, high) => (y) {
  one = Constant <value = uint64 {1}> ()
  shift_u = Cast <to = 13> (shift)
  unit_u = BitShift <direction = "LEFT"> (one, shift_u)
  unit = Cast <to = 11> (unit_u)
  m = Cast <to = 11> (multiplier)
  factor = Div (m, unit)
  half = Constant <value = double {0.5}> ()
  zero_d = Cast <to = 11> (zero)
  centre = Add (zero_d, half)
  low_d = Cast <to = 11> (low)
  high_d = Cast <to = 11> (high)
  a = Cast <to = 11> (acc)
  product = Mul (a, factor)
  moved = Add (product, centre)
  rounded = Floor (moved)
  clipped = Clip (rounded, low_d, high_d)
  y = Cast <to = 2> (clipped)
}""",
    "Table": """(x, table) => (y) {
  index = Cast <to = 6> (x)
  y = Gather (table, index)
}""",
    "ChannelTable": """(x, table, offset) => (y) {
  code = Cast <to = 6> (x)
  index = Add (code, offset)
  y = Gather (table, index)
}""",
    "IntAdd": """(a, b, a_mul, b_mul, bias) => (y) {
  a32 = Cast <to = 6> (a)
  b32 = Cast <to = 6> (b)
  a_part = Mul (a32, a_mul)
  b_part = Mul (b32, b_mul)
  parts = Add (a_part, b_part)
  y = Add (parts, bias)
}""",
    "IntMul": """(a, b, a_zero, b_zero) => (y) {
  a32 = Cast <to = 6> (a)
  b32 = Cast <to = 6> (b)
  az = Cast <to = 6> (a_zero)
  bz = Cast <to = 6> (b_zero)
  a_part = Sub (a32, az)
  b_part = Sub (b32, bz)
  y = Mul (a_part, b_part)
}""",
    "IntReduceSum": """<keepdims> (x, x_zero, axes) => (y) {
  x32 = Cast <to = 6> (x)
  z32 = Cast <to = 6> (x_zero)
  moved = Sub (x32, z32)
  y = ReduceSum <keepdims: int = @keepdims> (moved, axes)
}""",
    "IntSoftmax": "<axis> (x, table) => (y) {"
    + _AXES
    + """
  largest = ReduceMax (x, axes)
  largest32 = Cast <to = 6> (largest)
  x32 = Cast <to = 6> (x)
  below = Sub (largest32, x32)
  powers = Gather (table, below)
  powers_d = Cast <to = 11> (powers)
  total = ReduceSum (powers_d, axes)
  ratio = Div (powers_d, total)
  y = Cast <to = 1> (ratio)
}""",
    "IntLayerNorm": "<axis, count> (x, gamma, beta, eps) => (y) {"
    + _AXES
    + """
  n_value = Constant <value_int: int = @count> ()
  n = Cast <to = 11> (n_value)
  xd = Cast <to = 11> (x)
  total = ReduceSum (xd, axes)
  square = Mul (xd, xd)
  squares = ReduceSum (square, axes)
  nx = Mul (n, xd)
  d = Sub (nx, total)
  n_squares = Mul (n, squares)
  total_2 = Mul (total, total)
  v = Sub (n_squares, total_2)
  v_eps = Add (v, eps)
  root = Sqrt (v_eps)
  resolution = Constant <value = double {4096.0}> ()
  numerator = Mul (d, resolution)
  quotient = Div (numerator, root)
  whole = Floor (quotient)
  normal = Cast <to = 6> (whole)
  scaled = Mul (normal, gamma)
  y = Add (scaled, beta)
}""",
    "IntEmbed": """(i, table) => (y) {
  rows = Shape <start = 0, end = 1> (table)
  rows32 = Cast <to = 6> (rows)
  one = Constant <value = int32 {1}> ()
  last = Sub (rows32, one)
  zero = Constant <value = int32 {0}> ()
  not_negative = GreaterOrEqual (i, zero)
  not_above = Less (i, last)
  known = And (not_negative, not_above)
  row = Where (known, i, last)
  y = Gather (table, row)
}""",
    "LayerNorm": "<axis, epsilon> (x, gamma, beta) => (y) {"
    + _AXES
    + """
  eps = Constant <value_float: float = @epsilon> ()
  mean = ReduceMean (x, axes)
  centred = Sub (x, mean)
  square = Mul (centred, centred)
  variance = ReduceMean (square, axes)
  raised = Add (variance, eps)
  root = Sqrt (raised)
  normal = Div (centred, root)
  scaled = Mul (normal, gamma)
  y = Add (scaled, beta)
}""",
    "PiecewiseLinear": """(x, breakpoints, slopes, intercepts) => (y) {
  last = Constant <value_ints = [-1]> ()
  column = Unsqueeze (x, last)
  passed = GreaterOrEqual (column, breakpoints)
  passed32 = Cast <to = 6> (passed)
  no_dims = Constant <value_int = 0> ()
  segment = ReduceSum <keepdims = 0> (passed32, last)
  slope = Gather (slopes, segment)
  intercept = Gather (intercepts, segment)
  scaled = Mul (slope, x)
  y = Add (scaled, intercept)
}""".replace("  no_dims = Constant <value_int = 0> ()\n", ""),
    "QuantizedTable": """(x, scale, zero, values) => (y) {
  code = QuantizeLinear (x, scale, zero)
  index = Cast <to = 6> (code)
  y = Gather (values, index)
}""",
}

OPERATORS = frozenset(_BODIES)
"""Names of the dialect's operators that have one body for all nodes."""


def function_text(name: str, opset: int = GOLDEN_OPSET) -> str:
    """The body of operator `name` in ONNX's text format."""
    return f'<domain: "{DOMAIN}", opset_import: ["" : {opset}]>\n{name} {_BODIES[name]}'


def function_proto(name: str, opset: int = GOLDEN_OPSET) -> onnx.FunctionProto:
    """The body of operator `name` as an ONNX function.

    Raises:
        KeyError: `name` is not an operator of the dialect.
    """
    return parser.parse_function(function_text(name, opset))


def add_bodies(model: ir.Model) -> None:
    """Add the function bodies that the nodes of `model` use, and drop unused ones.

    Bodies of :data:`OPERATORS` are written with the model's own opset; those of
    recognized activations (overloads of ``actc::Activation``) are kept.
    """
    opset = model.opset_imports.get("", GOLDEN_OPSET)
    used = {node.op_identifier() for node in model.graph.all_nodes()}
    for key in [key for key in model.functions if key not in used]:
        del model.functions[key]
    for domain, name, overload in sorted(used):
        key = (domain, name, overload)
        if domain == DOMAIN and name in OPERATORS and key not in model.functions:
            model.functions[key] = ir.serde.deserialize_function(function_proto(name, opset))
    if any(domain == DOMAIN for domain, _, _ in used):
        model.opset_imports[DOMAIN] = VERSION
    else:
        model.opset_imports.pop(DOMAIN, None)
