"""From codes or accumulators to codes: ONNX bodies."""

from __future__ import annotations

_HALVES = (128, 64, 32, 16, 8, 4, 2, 1)
"""Strides of a binary search among 255 breakpoints."""


def _halve(stride: int, index: str) -> str:
    """One step of the search: on by `stride` where the breakpoint before there is passed."""
    return f"""
  ahead{stride} = Constant <value = int32 {{{stride - 1}}}> ()
  stride{stride} = Constant <value = int32 {{{stride}}}> ()
  probe{stride} = Add ({index}, ahead{stride})
  point{stride} = Gather (breakpoints, probe{stride})
  passed{stride} = GreaterOrEqual (acc, point{stride})
  one{stride} = Cast <to = 6> (passed{stride})
  step{stride} = Mul (one{stride}, stride{stride})
  index{stride} = Add ({index}, step{stride})"""


def _search() -> str:
    before = ("offset", *(f"index{stride}" for stride in _HALVES))
    return "".join(_halve(s, index) for s, index in zip(_HALVES, before, strict=False))


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
    "Steps": f"""(acc, breakpoints, values, offset) => (y) {{{_search()}
  y = Gather (values, index1)
}}""",
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
