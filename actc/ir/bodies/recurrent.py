"""Recurrent layers: ONNX bodies, a Scan over time on integers in float64.

Every value below is an integer less than 2^53 in magnitude or such an integer divided
by a power of two, so that each step is exact; docs/internals.md has the operators.
"""

from __future__ import annotations

_ONE = 15
"""Fraction bits of what the tables give."""
_FINE = 23
"""Fraction bits of the state of IntGru."""


def _power(name: str, bits: str) -> str:
    """`name` = 2^bits as a double; `bits` names an int32 scalar."""
    return f"""
  {name}_one = Constant <value = uint64 {{1}}> ()
  {name}_exponent = Cast <to = 13> ({bits})
  {name}_whole = BitShift <direction = "LEFT"> ({name}_one, {name}_exponent)
  {name} = Cast <to = 11> ({name}_whole)
"""


def _number(name: str, value: float) -> str:
    return f"  {name} = Constant <value = double {{{float(value)!r}}}> ()\n"


def _half(name: str, unit: str) -> str:
    """`name` = floor(unit / 2): what makes a shift by `unit` round."""
    return f"""
  {name}_two = Constant <value = double {{2.0}}> ()
  {name}_exact = Div ({unit}, {name}_two)
  {name} = Floor ({name}_exact)
"""


def _table(name: str) -> str:
    """The table `name`: its entries, what each rises to the next, and the range of steps."""
    return f"""
  {name}_values = Cast <to = 11> ({name}_table)
  {name}_first = Constant <value_ints = [0]> ()
  {name}_second = Constant <value_ints = [1]> ()
  {name}_last = Constant <value_ints = [-1]> ()
  {name}_end = Constant <value_ints = [2147483647]> ()
  {name}_left = Slice ({name}_values, {name}_first, {name}_last)
  {name}_right = Slice ({name}_values, {name}_second, {name}_end)
  {name}_rises = Sub ({name}_right, {name}_left)
  {name}_count = Size ({name}_left)
  {name}_pieces = Cast <to = 11> ({name}_count)
  {name}_steps = Mul ({name}_pieces, step)
  {name}_unit = Constant <value = double {{1.0}}> ()
  {name}_top = Sub ({name}_steps, {name}_unit)
  {name}_halves = Constant <value = double {{2.0}}> ()
  {name}_middle = Div ({name}_steps, {name}_halves)
"""


def _look_up(result: str, table: str, p: str) -> str:
    """`result` = `table` at `p`, between its entries by a straight line."""
    return f"""
    {result}_moved = Add ({p}, {table}_middle)
    {result}_u = Clip ({result}_moved, zero, {table}_top)
    {result}_place = Div ({result}_u, step)
    {result}_entry = Floor ({result}_place)
    {result}_start = Mul ({result}_entry, step)
    {result}_part = Sub ({result}_u, {result}_start)
    {result}_index = Cast <to = 6> ({result}_entry)
    {result}_value = Gather ({table}_values, {result}_index)
    {result}_rise = Gather ({table}_rises, {result}_index)
    {result}_product = Mul ({result}_rise, {result}_part)
""" + _shift(f"{result}_raised", f"{result}_product", "step", "step_half") + f"""
    {result} = Add ({result}_value, {result}_raised)
"""  # fmt: skip


def _shift(result: str, value: str, unit: str, half: str) -> str:
    """`result` = value / unit, rounded; ties towards plus infinity."""
    return f"""
    {result}_sum = Add ({value}, {half})
    {result}_ratio = Div ({result}_sum, {unit})
    {result} = Floor ({result}_ratio)
"""


def _initial(name: str) -> str:
    """The state `name`0, [N, H] or [1, H], as doubles [N, H]: `name`_first."""
    return f"""
  {name}_batch = Shape <start = 1, end = 2> (acc)
  {name}_width = Shape <start = 0, end = 1> (r)
  {name}_shape = Concat <axis = 0> ({name}_batch, {name}_width)
  {name}_narrow = Cast <to = 11> ({name}0)
  {name}_first = Expand ({name}_narrow, {name}_shape)
"""


_COMMON = (
    _power("unit", "shift")
    + _half("half", "unit")
    + _power("step", "step_bits")
    + _half("step_half", "step")
    + _number("zero", 0)
    + _number("one", 2**_ONE)
    + _number("one_half", 2 ** (_ONE - 1))
    + _table("cell")
    + """
  acc_d = Cast <to = 11> (acc)
  r_d = Cast <to = 11> (r)
  x_factor = Cast <to = 11> (x_multiplier)
  h_factor = Cast <to = 11> (h_multiplier)
  acc_scaled = Mul (acc_d, x_factor)
"""
)

_PREACTIVATION = """
    sums = MatMul (h, r_d)
    sums_scaled = Mul (sums, h_factor)
    total = Add (a, sums_scaled)
""" + _shift("p", "total", "unit", "half")

_SCAN = """Scan <num_scan_inputs = 1, scan_input_directions: ints = @directions,
    scan_output_directions: ints = @directions, body = """

_LSTM = (
    """<directions> (acc, h0, c0, r, x_multiplier, h_multiplier, shift, gate_table, cell_table,
    step_bits, cell_bits, cell_shift) => (y, h_last, c_last) {"""
    + _COMMON
    + _table("gate")
    + _initial("h")
    + _initial("c")
    + _power("cell_one", "cell_bits")
    + _power("out", "cell_shift")
    + _half("out_half", "out")
    + _number("highest", 2**24 - 1)
    + _number("lowest", 1 - 2**24)
    + """
  lift = Div (cell_one, one)
  h_end, c_end, y_all = """
    + _SCAN
    + """step (double[n, hidden] h, double[n, hidden] c, double[n, gates] a)
      => (double[n, hidden] h_next, double[n, hidden] c_next, double[n, hidden] y_next) {"""
    + _PREACTIVATION
    + """
    p_i, p_o, p_f, p_g = Split <axis = 1, num_outputs = 4> (p)
    p_gates = Concat <axis = 1> (p_i, p_o, p_f)
"""
    + _look_up("gates", "gate", "p_gates")
    + "    i, o, f = Split <axis = 1, num_outputs = 3> (gates)\n"
    + _look_up("g", "cell", "p_g")
    + """
    kept = Mul (f, c)
    entering = Mul (i, g)
    lifted = Mul (entering, lift)
    mixed = Add (kept, lifted)
"""
    + _shift("c_free", "mixed", "one", "one_half")
    + "    c_next = Clip (c_free, lowest, highest)\n"
    + _shift("c_steps", "c_next", "out", "out_half")
    + _look_up("squashed", "cell", "c_steps")
    + "    opened = Mul (o, squashed)\n"
    + _shift("h_next", "opened", "one", "one_half")
    + """
    y_next = Identity (h_next)
  }> (h_first, c_first, acc_scaled)
  y = Cast <to = 6> (y_all)
  h_last = Cast <to = 6> (h_end)
  c_last = Cast <to = 6> (c_end)
}"""
)


def _gru(candidate: str) -> str:
    """IntGru with the lines that give `p_g`, the pre-activation of the new state."""
    return (
        """<directions> (acc, h0, r, h_bias, x_multiplier, h_multiplier, shift, gate_table,
    cell_table, step_bits) => (y, h_last) {"""
        + _COMMON
        + _table("gate")
        + _initial("h")
        + _number("fine", 2 ** (_FINE - _ONE))
        + _number("fine_half", 2 ** (_FINE - _ONE - 1))
        + """
  h_bias_d = Cast <to = 11> (h_bias)
  z_factor, reset_factor, g_factor = Split <axis = 0, num_outputs = 3> (h_factor)
  gates_factor = Concat <axis = 0> (z_factor, reset_factor)
  r_z, r_reset, r_g = Split <axis = 1, num_outputs = 3> (r_d)
  r_gates = Concat <axis = 1> (r_z, r_reset)
  h_end, y_all = """
        + _SCAN
        + """step (double[n, hidden] state, double[n, gates] a)
      => (double[n, hidden] state_next, double[n, hidden] y_next) {
    a_z, a_reset, a_g = Split <axis = 1, num_outputs = 3> (a)
    a_gates = Concat <axis = 1> (a_z, a_reset)
"""
        + _shift("h", "state", "fine", "fine_half")
        + """
    sums = MatMul (h, r_gates)
    sums_scaled = Mul (sums, gates_factor)
    total = Add (a_gates, sums_scaled)
"""
        + _shift("p_gates", "total", "unit", "half")
        + _look_up("gates", "gate", "p_gates")
        + "    z, reset = Split <axis = 1, num_outputs = 2> (gates)\n"
        + candidate
        + _look_up("g", "cell", "p_g")
        + """
    g_fine = Mul (g, fine)
    kept = Mul (z, state)
    opening = Sub (one, z)
    entering = Mul (opening, g_fine)
    mixed = Add (kept, entering)
"""
        + _shift("state_next", "mixed", "one", "one_half")
        + """
    y_next = Identity (state_next)
  }> (h_first, acc_scaled)
  y = Cast <to = 6> (y_all)
  h_last = Cast <to = 6> (h_end)
}"""
    )


_RESET_AFTER = (
    """
    g_sums = MatMul (h, r_g)
    g_biased = Add (g_sums, h_bias_d)
    g_scaled = Mul (g_biased, g_factor)
"""
    + _shift("inner", "g_scaled", "unit", "half")
    + "    inner_reset = Mul (reset, inner)\n"
    + _shift("from_h", "inner_reset", "one", "one_half")
    + _shift("from_x", "a_g", "unit", "half")
    + "    p_g = Add (from_x, from_h)\n"
)

_RESET_BEFORE = (
    "    h_reset = Mul (reset, h)\n"
    + _shift("h_kept", "h_reset", "one", "one_half")
    + """
    g_sums = MatMul (h_kept, r_g)
    g_biased = Add (g_sums, h_bias_d)
    g_scaled = Mul (g_biased, g_factor)
    g_total = Add (a_g, g_scaled)
"""
    + _shift("p_g", "g_total", "unit", "half")
)

_RNN = (
    """<directions> (acc, h0, r, x_multiplier, h_multiplier, shift, cell_table, step_bits)
    => (y, h_last) {"""
    + _COMMON
    + _initial("h")
    + """
  h_end, y_all = """
    + _SCAN
    + """step (double[n, hidden] h, double[n, hidden] a)
      => (double[n, hidden] h_next, double[n, hidden] y_next) {"""
    + _PREACTIVATION
    + _look_up("h_next", "cell", "p")
    + """
    y_next = Identity (h_next)
  }> (h_first, acc_scaled)
  y = Cast <to = 6> (y_all)
  h_last = Cast <to = 6> (h_end)
}"""
)

BODIES = {
    "FixedPoint": "(x, bits, low, high) => (y) {"
    + _power("unit", "bits")
    + """
  x_d = Cast <to = 11> (x)
  scaled = Mul (x_d, unit)
  rounded = Round (scaled)
  unknown = IsNaN (rounded)
  zero = Constant <value = double {0.0}> ()
  known = Where (unknown, zero, rounded)
  low_d = Cast <to = 11> (low)
  high_d = Cast <to = 11> (high)
  clipped = Clip (known, low_d, high_d)
  y = Cast <to = 6> (clipped)
}""",
    "IntGru": _gru(_RESET_AFTER),
    "IntGruResetBefore": _gru(_RESET_BEFORE),
    "IntLstm": _LSTM,
    "IntRnn": _RNN,
}
