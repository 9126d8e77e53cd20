"""Maxima of 16-bit codes, for which onnxruntime has no kernels: ONNX bodies."""

from __future__ import annotations

BODIES = {
    "WideMaxPool": """<strides, pads, dilations, ceil_mode, kernel_shape> (x) => (y) {
  xf = Cast <to = 1> (x)
  largest = MaxPool <strides: ints = @strides, pads: ints = @pads, dilations: ints = @dilations,
                     ceil_mode: int = @ceil_mode, kernel_shape: ints = @kernel_shape> (xf)
  y = Cast <to = 4> (largest)
}""",
    "WideReduceMax": """<keepdims> (x, axes) => (y) {
  x32 = Cast <to = 6> (x)
  largest = ReduceMax <keepdims: int = @keepdims> (x32, axes)
  y = Cast <to = 4> (largest)
}""",
}
