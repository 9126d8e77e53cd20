"""Softmax and normalization: ONNX bodies."""

from __future__ import annotations

from actc.ir.bodies.shared import AXES

BODIES = {
    "IntSoftmax": "<axis> (x, table) => (y) {"
    + AXES
    + """
  x32 = Cast <to = 6> (x)
  largest32 = ReduceMax (x32, axes)
  below = Sub (largest32, x32)
  powers = Gather (table, below)
  powers_d = Cast <to = 11> (powers)
  total = ReduceSum (powers_d, axes)
  ratio = Div (powers_d, total)
  y = Cast <to = 1> (ratio)
}""",
    "IntProbabilities": "<axis, bits> (x, table) => (y) {"
    + AXES
    + """
  x32 = Cast <to = 6> (x)
  largest32 = ReduceMax (x32, axes)
  below = Sub (largest32, x32)
  powers32 = Gather (table, below)
  powers = Cast <to = 7> (powers32)
  total = ReduceSum (powers, axes)
  one = Constant <value = int64 {1}> ()
  two = Constant <value = int64 {2}> ()
  bits_value = Constant <value_int: int = @bits> ()
  codes = Pow (two, bits_value)
  twice = Mul (two, powers)
  scaled = Mul (twice, codes)
  rounded = Add (scaled, total)
  divisor = Mul (two, total)
  quotient = Div (rounded, divisor)
  last = Sub (codes, one)
  inside = Min (quotient, last)
  y = Cast <to = 4> (inside)
}""",
    "IntRmsNorm": "<axis> (x, x_zero, gamma, eps) => (y) {"
    + AXES
    + """
  x64 = Cast <to = 7> (x)
  zero64 = Cast <to = 7> (x_zero)
  d = Sub (x64, zero64)
  square = Mul (d, d)
  squares = ReduceSum (square, axes)
  v = Cast <to = 11> (squares)
  v_eps = Add (v, eps)
  root = Sqrt (v_eps)
  resolution = Constant <value = int64 {131072}> ()
  fine = Mul (d, resolution)
  numerator = Cast <to = 11> (fine)
  quotient = Div (numerator, root)
  whole = Floor (quotient)
  normal = Cast <to = 6> (whole)
  y = Mul (normal, gamma)
}""",
    "IntLayerNorm": "<axis, count> (x, gamma, beta, eps) => (y) {"
    + AXES
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
}
