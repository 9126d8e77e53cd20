"""From codes or accumulators to codes: ONNX bodies."""

from __future__ import annotations

BODIES = {
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
  y = CastLike (clipped, zero)
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
}
