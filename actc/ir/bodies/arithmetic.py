"""Arithmetic of activations: ONNX bodies."""

from __future__ import annotations

BODIES = {
    "IntAdd": """(a, b, a_mul, b_mul, bias) => (y) {
  a_like = CastLike (a, a_mul)
  b_like = CastLike (b, b_mul)
  a_part = Mul (a_like, a_mul)
  b_part = Mul (b_like, b_mul)
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
    "WideMul": """(a, b, a_zero, b_zero) => (y) {
  a64 = Cast <to = 7> (a)
  b64 = Cast <to = 7> (b)
  az = Cast <to = 7> (a_zero)
  bz = Cast <to = 7> (b_zero)
  a_part = Sub (a64, az)
  b_part = Sub (b64, bz)
  y = Mul (a_part, b_part)
}""",
    "IntDivide": """(a, b, a_zero, b_zero, least, unit) => (y) {
  a64 = Cast <to = 7> (a)
  az = Cast <to = 7> (a_zero)
  dividend = Sub (a64, az)
  fine = Mul (dividend, unit)
  numerator = Cast <to = 11> (fine)
  b64 = Cast <to = 7> (b)
  bz = Cast <to = 7> (b_zero)
  divisor = Sub (b64, bz)
  least64 = Cast <to = 7> (least)
  positive = Max (divisor, least64)
  denominator = Cast <to = 11> (positive)
  quotient = Div (numerator, denominator)
  whole = Floor (quotient)
  lowest = Constant <value = double {-1073741824.0}> ()
  highest = Constant <value = double {1073741824.0}> ()
  bounded = Clip (whole, lowest, highest)
  y = Cast <to = 6> (bounded)
}""",
    "IntReduceMean": """<keepdims> (x, x_zero, axes) => (y) {
  x64 = Cast <to = 7> (x)
  total = ReduceSum <keepdims: int = @keepdims> (x64, axes)
  shape = Shape (x)
  extents = Gather (shape, axes)
  count = ReduceProd <keepdims = 0> (extents)
  doubled = Constant <value = int64 {8192}> ()
  steps = Constant <value = int64 {4096}> ()
  fine = Mul (total, doubled)
  raised = Add (fine, count)
  twice = Add (count, count)
  mean = Div (raised, twice)
  zero64 = Cast <to = 7> (x_zero)
  moved = Mul (zero64, steps)
  centred = Sub (mean, moved)
  y = Cast <to = 6> (centred)
}""",
    "IntReduceSum": """<keepdims> (x, x_zero, axes) => (y) {
  x32 = Cast <to = 6> (x)
  z32 = Cast <to = 6> (x_zero)
  moved = Sub (x32, z32)
  y = ReduceSum <keepdims: int = @keepdims> (moved, axes)
}""",
}
