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
    "IntReduceSum": """<keepdims> (x, x_zero, axes) => (y) {
  x32 = Cast <to = 6> (x)
  z32 = Cast <to = 6> (x_zero)
  moved = Sub (x32, z32)
  y = ReduceSum <keepdims: int = @keepdims> (moved, axes)
}""",
}
