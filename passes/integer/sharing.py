"""Equal weights are stored once: steps of a loop that was written out share theirs."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import constant

_LEAST = 256
"""Elements; smaller constants keep a name of their own, which readers of the file look for."""


def share_weights(initializers: list[ir.Value]) -> list[ir.Value]:
    """The initializers of a golden graph, equal int8 ones replaced by the first of them."""
    first: dict[tuple[tuple[int, ...], bytes], ir.Value] = {}
    kept = []
    for value in initializers:
        array = constant(value) if value.dtype == ir.DataType.INT8 else None
        if array is None or array.size < _LEAST:
            kept.append(value)
            continue
        held = first.setdefault((array.shape, array.tobytes()), value)
        if held is value:
            kept.append(value)
        else:
            ir.convenience.replace_all_uses_with(value, held)
    return kept
