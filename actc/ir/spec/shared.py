"""What several operators of the specification have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference.op_run import OpRun

from actc.ir.dialect import DOMAIN

Array = np.ndarray[Any, Any]


def windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Array:
    """All windows of the spatial axes: [N, C, out..., kernel...]."""
    spatial = len(kernel)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows = sliding_window_view(x, spans, axis=tuple(range(2, 2 + spatial)))
    index: list[slice] = [slice(None), slice(None)]
    index += [slice(None, None, s) for s in strides]
    index += [slice(None, None, d) for d in dilations]
    return windows[tuple(index)]


def int32(values: Array) -> Array:
    """The values as int32.

    Raises:
        OverflowError: one does not fit.
    """
    if values.size and (values.max() > 2**31 - 1 or values.min() < -(2**31)):
        raise OverflowError("an accumulator leaves the range of int32")
    return values.astype(np.int32)


def operator(
    name: str, function: Any, attributes: tuple[str, ...] = (), domain: str = DOMAIN
) -> type[OpRun]:
    """`function` of the inputs as an operator of onnx's reference evaluator."""

    def _run(self: OpRun, *inputs: Array, **given: Any) -> tuple[Array]:
        found = {key: given[key] for key in attributes}
        return (function(*inputs, **found),)

    return type(name, (OpRun,), {"op_domain": domain, "_run": _run})
