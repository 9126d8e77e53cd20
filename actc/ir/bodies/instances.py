"""Signs above a threshold of the sample's own: ONNX body.

Numbers of many bits are limbs along the last axis, number = sum of limb * 2^(20 * place). Limbs
are sums of products first, below 2^62; three carries leave them within 2^19 + 8, but for the last
one, which is never cut. The highest limb that is not zero then decides the sign: all those below
it together are less than one of its units.

Where a margin changes its sign is guessed in float64, to less than one accumulator; the signs of
six accumulators around are computed exactly, and every other one has the sign of the nearest.
"""

from __future__ import annotations

from itertools import pairwise

_CARRIES = 3


def _carry(before: str, name: str) -> str:
    """Limbs cut to -2^19 .. 2^19 - 1, what is beyond moved to the next place; last place: all."""
    return f"""
  {name}_raised = Add ({before}, half)
  {name}_low = Mod ({name}_raised, base)
  {name}_high = Sub ({name}_raised, {name}_low)
  {name}_beyond = Div ({name}_high, base)
  {name}_top = Slice ({name}_beyond, minus_one, end, minus_one)
  {name}_none = Sub ({name}_top, {name}_top)
  {name}_moved = Slice ({name}_beyond, nought, minus_one, minus_one)
  {name}_taken = Concat <axis = -1> ({name}_moved, {name}_none)
  {name}_given = Concat <axis = -1> ({name}_none, {name}_moved)
  {name}_cut = Mul ({name}_taken, base)
  {name}_rest = Sub ({before}, {name}_cut)
  {name} = Add ({name}_rest, {name}_given)"""


def _sign(before: str, name: str) -> str:
    """-1, 0 or 1. onnxruntime 1.31's Sign, Max, Min and Clip of int64 look at 32 bits only."""
    return f"""
  {name}_up = Greater ({before}, zero)
  {name}_down = Less ({before}, zero)
  {name}_one = Cast <to = 7> ({name}_up)
  {name}_minus = Cast <to = 7> ({name}_down)
  {name} = Sub ({name}_one, {name}_minus)"""


def _carried(name: str) -> str:
    """`name` after all carries, as `name`3."""
    steps = [name, *(f"{name}{step}" for step in range(1, _CARRIES + 1))]
    return "".join(_carry(a, b) for a, b in pairwise(steps))


BODIES = {
    "InstanceSteps": """<shared> (acc, powers, weights, factor, slope, offset, values) => (y) {
  half = Constant <value = int64 {524288}> ()
  base = Constant <value = int64 {1048576}> ()
  one = Constant <value = int64 {1}> ()
  nought = Constant <value_ints = [0]> ()
  single = Constant <value_ints = [1]> ()
  minus_one = Constant <value_ints = [-1]> ()
  second = Constant <value_ints = [2]> ()
  end = Constant <value_ints = [9223372036854775807]> ()
  x = Cast <to = 7> (acc)
  square = Mul (x, x)
  cube = Mul (square, x)
  x_column = Unsqueeze (x, minus_one)
  square_column = Unsqueeze (square, minus_one)
  cube_column = Unsqueeze (cube, minus_one)
  all_powers = Concat <axis = -1> (x_column, square_column, cube_column)
  index = Sub (powers, one)
  used = Gather <axis = -1> (all_powers, index)
  framed = Unsqueeze (used, second)
  acc_shape = Shape (acc)
  rank = Size (acc_shape)
  two = Constant <value = int64 {2}> ()
  stop = Add (rank, one)
  positions = Range (two, stop, one)
  totals = ReduceSum <keepdims = 1> (framed, positions)
  sums = Squeeze (totals, second)
  sum_column = Unsqueeze (sums, minus_one)
  units = Constant <value_ints = [1, 1048576, 1099511627776]> ()
  next_units = Constant <value_ints = [1048576, 1099511627776, 1099511627776]> ()
  bases = Constant <value_ints = [1048576, 1048576, 0]> ()
  below = Mod (sum_column, units)
  from_here = Sub (sum_column, below)
  whole = Div (from_here, units)
  below_next = Mod (sum_column, next_units)
  from_next = Sub (sum_column, below_next)
  whole_next = Div (from_next, next_units)
  next_part = Mul (whole_next, bases)
  digits = Sub (whole, next_part)
  digit_column = Unsqueeze (digits, minus_one)
  weighted = Mul (digit_column, weights)
  digit_axes = Constant <value_ints = [-3, -2]> ()
  own = ReduceSum <keepdims = 0> (weighted, digit_axes)
  shared_value = Constant <value_int: int = @shared> ()
  shared_count = Reshape (shared_value, single)
  channel_axis = Slice (single, nought, shared_count)
  t = ReduceSum <keepdims = 1, noop_with_empty_axes = 1> (own, channel_axis)"""
    + _carried("t")
    + """
  mixed = MatMul (t3, factor)
  channel_shape = Shape <start = 1> (offset)
  level_shape = Concat <axis = 0> (nought, channel_shape)
  level = Reshape (mixed, level_shape)
  v = Add (level, offset)"""
    + _carried("v")
    + """
  limbs = Shape <start = -1> (offset)
  limb_count = Squeeze (limbs)
  zero = Constant <value = int64 {0}> ()
  places = Range (zero, limb_count, one)
  places_d = Cast <to = 11> (places)
  base_d = Constant <value = double {1048576.0}> ()
  units_d = Pow (base_d, places_d)
  level_d = Cast <to = 11> (v3)
  level_parts = Mul (level_d, units_d)
  level_real = ReduceSum <keepdims = 0> (level_parts, minus_one)
  slope_d = Cast <to = 11> (slope)
  slope_parts = Mul (slope_d, units_d)
  slope_real = ReduceSum <keepdims = 0> (slope_parts, minus_one)
  none_d = Constant <value = double {0.0}> ()
  unit_d = Constant <value = double {1.0}> ()
  flat = Equal (slope_real, none_d)
  divisor = Where (flat, unit_d, slope_real)
  quotient = Div (level_real, divisor)
  root = Neg (quotient)
  root_floor = Floor (root)
  least = Constant <value = double {-4294967296.0}> ()
  most = Constant <value = double {4294967296.0}> ()
  near = Clip (root_floor, least, most)
  guess = Cast <to = 7> (near)
  guess_column = Unsqueeze (guess, minus_one)
  around = Constant <value_ints = [-2, -1, 0, 1, 2, 3]> ()
  tried = Add (guess_column, around)
  tried_column = Unsqueeze (tried, minus_one)
  before_last = Constant <value_ints = [-2]> ()
  slope_row = Unsqueeze (slope, before_last)
  level_row = Unsqueeze (v3, before_last)
  sloped = Mul (slope_row, tried_column)
  m = Add (sloped, level_row)"""
    + _carried("m")
    + _sign("m3", "signs")
    + """
  places_u = Cast <to = 13> (places)
  one_u = Constant <value = uint64 {1}> ()
  ranks_u = BitShift <direction = "LEFT"> (one_u, places_u)
  ranks = Cast <to = 7> (ranks_u)
  ranked = Mul (signs, ranks)
  decision = ReduceSum <keepdims = 0> (ranked, minus_one)"""
    + _sign("decision", "sign")
    + """
  which = Add (sign, one)
  tried_shape = Constant <value_ints = [0, 0, -1]> ()
  table = Reshape (which, tried_shape)
  first = Slice (tried, nought, single, minus_one)
  lowest = Squeeze (first, minus_one)
  distance = Sub (x, lowest)
  five = Constant <value = int64 {5}> ()
  is_below = Less (distance, zero)
  not_below = Where (is_below, zero, distance)
  is_above = Greater (distance, five)
  index_in = Where (is_above, five, not_below)
  index_flat = Reshape (index_in, tried_shape)
  found = GatherElements <axis = 2> (table, index_flat)
  codes = Gather (values, found)
  y = Reshape (codes, acc_shape)
}""",
}
