"""The executable specification of the integer dialect, in numpy.

One function per operator, written for exactness and readability; it shares no
code with the ONNX bodies in :mod:`actc.ir.bodies`. :func:`run` executes a whole
golden model with it (standard operators by onnx's reference evaluator, float islands
by onnxruntime on the same values) and is the second, independent execution that
golden.onnx must agree with on every bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from actc.ir.spec import (
    arithmetic,
    attention,
    codes,
    extremes,
    instances,
    islands,
    linear,
    logarithm,
    magnitude,
    normalization,
    recurrent,
    standard,
)
from actc.ir.spec.shared import Array

SPECIFICATION: list[type[OpRun]] = [
    *linear.SPECIFICATION,
    *codes.SPECIFICATION,
    *arithmetic.SPECIFICATION,
    *extremes.SPECIFICATION,
    *magnitude.SPECIFICATION,
    *normalization.SPECIFICATION,
    *logarithm.SPECIFICATION,
    *attention.SPECIFICATION,
    *recurrent.SPECIFICATION,
    *instances.SPECIFICATION,
    *standard.SPECIFICATION,
]


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Execute a golden model with this specification.

    Args:
        model: a golden model; its function bodies are ignored.
        feeds: input name -> array.

    Returns:
        output name -> array.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.functions[:]
    operators = [*SPECIFICATION, *islands.hand_over(bare, model)]
    evaluator = ReferenceEvaluator(bare, new_ops=operators)
    names = [output.name for output in bare.graph.output]
    return dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))
