"""What a node test expects, evaluated in double precision.

Some cases of the onnx package hold the noise of single precision where the result is exactly
zero; an artefact that is nearer to the exact result than they are is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

Array = npt.NDArray[Any]
_SINGLE, _DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE


def exact_outputs(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array] | None:
    """The outputs of a model whose float32 numbers are taken as float64, rounded at the end.

    Args:
        model: of operators that have the same meaning for float64; float32 inputs and outputs.
        feeds: its inputs.

    Returns:
        None where the reference evaluator does not run it so.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for value in [*wide.graph.input, *wide.graph.output]:
        if value.type.tensor_type.elem_type == _SINGLE:
            value.type.tensor_type.elem_type = _DOUBLE
    for tensor in wide.graph.initializer:
        if tensor.data_type == _SINGLE:
            array = onnx.numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    given = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}
    try:
        results = ReferenceEvaluator(wide).run(None, given)
    except Exception:  # the evaluator raises whatever its numpy code runs into
        return None
    names = [value.name for value in model.graph.output]
    pairs = zip(names, results, strict=True)
    return {name: np.asarray(result) for name, result in pairs}
