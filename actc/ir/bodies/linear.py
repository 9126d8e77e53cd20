"""Linear operators: ONNX bodies.

Weights reach ConvInteger and MatMulInteger as uint8 with zero point 128:
onnxruntime's uint8 x int8 kernels on x86 without VNNI add pairs of products in
saturating 16-bit arithmetic, the uint8 x uint8 ones do not.

There is no integer kernel for uint16. WideConv convolves the two bytes of the codes
by themselves; WideMatMul multiplies in float64, where its sums, below 2^53, are exact.
"""

from __future__ import annotations

UNSIGNED_WEIGHTS = """
  offset = Constant <value = int32 {128}> ()
  w32 = Cast <to = 6> (w)
  shifted = Add (w32, offset)
  wu = Cast <to = 2> (shifted)
  w_zero = Constant <value = uint8 {128}> ()
"""
"""Weights `w` as uint8 `wu` with zero point `w_zero`: lines of a body."""

BODIES = {
    "IntConv": "<strides, pads, dilations, group, kernel_shape> (x, w, bias, x_zero) => (y) {"
    + UNSIGNED_WEIGHTS
    + """
  acc = ConvInteger <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations,
                     group: int = @group, kernel_shape: ints = @kernel_shape>
                    (x, wu, x_zero, w_zero)
  y = Add (acc, bias)
}""",
    "IntMatMul": "(x, w, bias, x_zero) => (y) {"
    + UNSIGNED_WEIGHTS
    + """
  acc = MatMulInteger (x, wu, x_zero, w_zero)
  y = Add (acc, bias)
}""",
    "WideConv": "<strides, pads, dilations, group, kernel_shape> (x, w, bias, x_zero) => (y) {"
    + UNSIGNED_WEIGHTS
    + """
  base = Constant <value = int32 {256}> ()
  x32 = Cast <to = 6> (x)
  zero32 = Cast <to = 6> (x_zero)
  x_high32 = Div (x32, base)
  x_low32 = Mod (x32, base)
  zero_high32 = Div (zero32, base)
  zero_low32 = Mod (zero32, base)
  x_high = Cast <to = 2> (x_high32)
  x_low = Cast <to = 2> (x_low32)
  zero_high = Cast <to = 2> (zero_high32)
  zero_low = Cast <to = 2> (zero_low32)
  high = ConvInteger <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations,
                      group: int = @group, kernel_shape: ints = @kernel_shape>
                     (x_high, wu, zero_high, w_zero)
  low = ConvInteger <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations,
                     group: int = @group, kernel_shape: ints = @kernel_shape>
                    (x_low, wu, zero_low, w_zero)
  high64 = Cast <to = 7> (high)
  low64 = Cast <to = 7> (low)
  base64 = Cast <to = 7> (base)
  shifted_high = Mul (high64, base64)
  acc = Add (shifted_high, low64)
  bias64 = Cast <to = 7> (bias)
  y = Add (acc, bias64)
}""",
    "WideMatMul": """(x, w, bias, x_zero) => (y) {
  xd = Cast <to = 11> (x)
  zero = Cast <to = 11> (x_zero)
  moved = Sub (xd, zero)
  wd = Cast <to = 11> (w)
  acc = MatMul (moved, wd)
  acc64 = Cast <to = 7> (acc)
  bias64 = Cast <to = 7> (bias)
  y = Add (acc64, bias64)
}""",
}
