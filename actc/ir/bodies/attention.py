"""Attention: products of two activations, and softmax under a mask. ONNX bodies."""

from __future__ import annotations

from actc.ir.bodies.shared import AXES

BODIES = {
    # uint8 times uint8 is exact in onnxruntime everywhere (see `linear`).
    "IntBatchMatMul": """(a, b, a_zero, b_zero) => (y) {
  y = MatMulInteger (a, b, a_zero, b_zero)
}""",
    "WideBatchMatMul": """(a, b, a_zero, b_zero) => (y) {
  ad = Cast <to = 11> (a)
  bd = Cast <to = 11> (b)
  a_zero_d = Cast <to = 11> (a_zero)
  b_zero_d = Cast <to = 11> (b_zero)
  a_moved = Sub (ad, a_zero_d)
  b_moved = Sub (bd, b_zero_d)
  product = MatMul (a_moved, b_moved)
  y = Cast <to = 7> (product)
}""",
    "IntMaskedSoftmax": "<axis, empty> (x, hidden, table) => (y) {"
    + AXES
    + """
  zero = Constant <value = int32 {0}> ()
  one = Constant <value = int32 {1}> ()
  two = Constant <value = int32 {2}> ()
  none = Constant <value = double {0.0}> ()
  unit = Constant <value = double {1.0}> ()
  empty_value = Constant <value_int: int = @empty> ()
  empty32 = Cast <to = 6> (empty_value)
  shows_all = Equal (empty32, one)
  shows_none = Equal (empty32, two)
  flags = Cast <to = 9> (hidden)
  x32 = Cast <to = 6> (x)
  raised = Add (x32, one)
  visible = Where (flags, zero, raised)
  highest = ReduceMax (visible, axes)
  some = Greater (highest, zero)
  keeps = Not (shows_all)
  masked = Or (some, keeps)
  covered = And (flags, masked)
  level = Where (covered, zero, raised)
  largest = ReduceMax (level, axes)
  below = Sub (largest, level)
  entries = Shape (table)
  entries32 = Cast <to = 6> (entries)
  last = Sub (entries32, one)
  index = Min (below, last)
  powers = Gather (table, index)
  powers_d = Cast <to = 11> (powers)
  silenced = Or (some, shows_none)
  gone = And (covered, silenced)
  left = Where (gone, none, powers_d)
  sum = ReduceSum (left, axes)
  total = Max (sum, unit)
  ratio = Div (left, total)
  y = Cast <to = 1> (ratio)
}""",
    "MaskedSoftmax": "<axis, empty> (x, hidden) => (y) {"
    + AXES
    + """
  one = Constant <value_int = 1> ()
  two = Constant <value_int = 2> ()
  none = Constant <value = float {0.0}> ()
  lowest = Constant <value = float {-3.4028234663852886e38}> ()
  empty_value = Constant <value_int: int = @empty> ()
  shows_all = Equal (empty_value, one)
  shows_none = Equal (empty_value, two)
  flags = Cast <to = 9> (hidden)
  visible = Where (flags, lowest, x)
  highest = ReduceMax (visible, axes)
  some = Greater (highest, lowest)
  keeps = Not (shows_all)
  masked = Or (some, keeps)
  covered = And (flags, masked)
  level = Where (covered, lowest, x)
  weights = Softmax <axis: int = @axis> (level)
  silenced = Or (some, shows_none)
  gone = And (covered, silenced)
  y = Where (gone, none, weights)
}""",
}
