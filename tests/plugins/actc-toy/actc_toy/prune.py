"""Magnitude pruning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from actc.passes.base import Pass


@dataclass(frozen=True, slots=True)
class Prune(Pass):
    """Rules:

    1. In every float32 weight of a Conv or MatMul, values of at most `threshold`
       times the largest magnitude become zero.
    """

    name: ClassVar[str] = "prune"
    threshold: float = 0.01

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Prune `model` in place."""
        modified = False
        for node in model.graph:
            if node.op_type not in ("Conv", "MatMul"):
                continue
            weight = node.inputs[1]
            if weight is None or weight.const_value is None or weight.dtype != ir.DataType.FLOAT:
                continue
            values = weight.const_value.numpy()
            kept = np.where(np.abs(values) <= self.threshold * np.abs(values).max(), 0, values)
            weight.const_value = ir.tensor(kept.astype(np.float32), name=weight.name)
            modified = modified or bool((kept != values).any())
        return ir.passes.PassResult(model, modified)
