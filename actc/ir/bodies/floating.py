"""Operators of the float dialect: ONNX bodies."""

from __future__ import annotations

from actc.ir.bodies.shared import AXES

BODIES = {
    "FakeQuantize": """(x, scale, low, high) => (y) {
  steps = Div (x, scale)
  rounded = Round (steps)
  bounded = Clip (rounded, low, high)
  y = Mul (bounded, scale)
}""",
    "LayerNorm": "<axis, epsilon> (x, gamma, beta) => (y) {"
    + AXES
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
  segment = ReduceSum <keepdims = 0> (passed32, last)
  slope = Gather (slopes, segment)
  intercept = Gather (intercepts, segment)
  scaled = Mul (slope, x)
  y = Add (scaled, intercept)
}""",
    "RmsNorm": "<axis, epsilon> (x, gamma) => (y) {"
    + AXES
    + """
  eps = Constant <value_float: float = @epsilon> ()
  square = Mul (x, x)
  mean = ReduceMean (square, axes)
  raised = Add (mean, eps)
  root = Sqrt (raised)
  normal = Div (x, root)
  y = Mul (normal, gamma)
}""",
    "QuantizedTable": """(x, scale, zero, values) => (y) {
  code = QuantizeLinear (x, scale, zero)
  wide_index = Cast <to = 7> (code)
  entries = Size (values)
  one = Constant <value_int = 1> ()
  last = Sub (entries, one)
  index = Min (wide_index, last)
  y = Gather (values, index)
}""",
}
