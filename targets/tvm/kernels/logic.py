"""Arithmetic on integers and truth values, lane by lane. Importing this module imports TVM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import tirx

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.attention_spec import Logic


def apply_logic(operation: Logic, values: Sequence[Any]) -> Any:
    """The operation as an expression over the loaded inputs."""
    a = values[0]
    if operation.kind == "convert":
        return _convert(a, operation.dtype)
    if operation.kind == "hide":
        shown = values[1] == tir.const(0, "uint8", a)
        return tirx.Select(shown, a, tir.const(float(np.finfo(np.float32).min), "float32", a))
    if operation.kind == "not":
        return tir.const(1, "uint8", a) - a
    if operation.kind == "equal":
        return _truth(a == values[1], a)
    return tirx.Max(a, values[1]) if operation.kind == "or" else tirx.Min(a, values[1])


def _convert(a: Any, dtype: str) -> Any:
    if dtype == "bool":
        return _truth(a != tir.const(0, str(a.ty.dtype).split("x")[0], a), a)
    return tir.cast(dtype, a)


def _truth(condition: Any, like: Any) -> Any:
    return tirx.Select(condition, tir.const(1, "uint8", like), tir.const(0, "uint8", like))
