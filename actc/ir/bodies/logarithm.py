"""Log-softmax: ONNX body."""

from __future__ import annotations

from actc.ir.bodies.shared import AXES

_SHIFTS = (16, 8, 4, 2, 1)


def _normalize(shift: int, mantissa: str, octave: str) -> str:
    """One step towards a mantissa of 31 bits: up by `shift` where it stays below 2^31."""
    return f"""
  limit{shift} = Constant <value = int64 {{{2 ** (31 - shift)}}}> ()
  factor{shift} = Constant <value = int64 {{{2**shift}}}> ()
  shift{shift} = Constant <value = int64 {{{shift}}}> ()
  small{shift} = Less ({mantissa}, limit{shift})
  scale{shift} = Where (small{shift}, factor{shift}, one)
  mantissa{shift} = Mul ({mantissa}, scale{shift})
  lost{shift} = Where (small{shift}, shift{shift}, none)
  octave{shift} = Sub ({octave}, lost{shift})"""


def _normalization() -> str:
    before = (("total", "top"), *((f"mantissa{s}", f"octave{s}") for s in _SHIFTS))
    return "".join(_normalize(s, *names) for s, names in zip(_SHIFTS, before, strict=False))


BODIES = {
    "IntLogSoftmax": "<axis> (x, table, levels, octaves, logarithms) => (y) {"
    + AXES
    + f"""
  one = Constant <value = int64 {{1}}> ()
  none = Constant <value = int64 {{0}}> ()
  top = Constant <value = int64 {{30}}> ()
  segments = Constant <value = int64 {{256}}> ()
  width = Constant <value = int64 {{{2**22}}}> ()
  half = Constant <value = int64 {{{2**21}}}> ()
  x32 = Cast <to = 6> (x)
  largest32 = ReduceMax (x32, axes)
  below = Sub (largest32, x32)
  powers = Gather (table, below)
  powers64 = Cast <to = 7> (powers)
  total = ReduceSum (powers64, axes){_normalization()}
  segment = Div (mantissa1, width)
  start = Mul (segment, width)
  inside = Sub (mantissa1, start)
  index = Sub (segment, segments)
  next = Add (index, one)
  low = Gather (logarithms, index)
  high = Gather (logarithms, next)
  rise = Sub (high, low)
  rise64 = Cast <to = 7> (rise)
  climbed = Mul (rise64, inside)
  rounded = Add (climbed, half)
  part64 = Div (rounded, width)
  part = Cast <to = 6> (part64)
  octave_part = Gather (octaves, octave1)
  whole = Add (octave_part, low)
  logarithm = Add (whole, part)
  distance = Gather (levels, below)
  sum = Add (distance, logarithm)
  y = Neg (sum)
}}""",
}
