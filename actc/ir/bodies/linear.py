"""Linear operators: ONNX bodies.

Weights reach ConvInteger and MatMulInteger as uint8 with zero point 128:
onnxruntime's uint8 x int8 kernels on x86 without VNNI add pairs of products in
saturating 16-bit arithmetic, the uint8 x uint8 ones do not.
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
}
