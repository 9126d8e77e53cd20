"""The magnitude of two tensors: ONNX bodies."""

from __future__ import annotations

BODIES = {
    "IntHypot": """(a, b, a_zero, b_zero, eps) => (y) {
  ad = Cast <to = 11> (a)
  bd = Cast <to = 11> (b)
  az = Cast <to = 11> (a_zero)
  bz = Cast <to = 11> (b_zero)
  a_part = Sub (ad, az)
  b_part = Sub (bd, bz)
  a_square = Mul (a_part, a_part)
  b_square = Mul (b_part, b_part)
  squares = Add (a_square, b_square)
  total = Add (squares, eps)
  root = Sqrt (total)
  resolution = Constant <value = double {64.0}> ()
  fine = Mul (root, resolution)
  whole = Floor (fine)
  y = Cast <to = 6> (whole)
}""",
    "Hypot": """<epsilon> (a, b) => (y) {
  eps = Constant <value_float: float = @epsilon> ()
  a_square = Mul (a, a)
  b_square = Mul (b, b)
  squares = Add (a_square, b_square)
  total = Add (squares, eps)
  y = Sqrt (total)
}""",
}
