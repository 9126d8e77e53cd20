"""Where a model leaves the numbers: the first value that is NaN or infinite though its operands
are not.

What comes of it depends on the order of float sums and on how zeros are written, so that two
ways to compute the same need not agree there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.execute import Session

Array = np.ndarray[Any, Any]


def require_finite(model: onnx.ModelProto, feeds: Mapping[str, Array], file: str) -> None:
    """All values that come of finite operands must be finite.

    Args:
        model: that onnxruntime runs.
        feeds: one batch.
        file: name of the model, for the message.

    Raises:
        ModelError: ACT0102, one is not.
    """
    found = _origin(model, feeds)
    if found is not None:
        name, node = found
        raise ModelError(
            Diagnostic(
                "ACT0102",
                f"value '{name}' is NaN or infinite on the data, though its operands are not",
                place=Place(file, node.name or name, node.op_type),
                help="check the data's scale; the float model itself overflows here",
            )
        )


def _origin(
    model: onnx.ModelProto, feeds: Mapping[str, Array]
) -> tuple[str, onnx.NodeProto] | None:
    names = [name for node in model.graph.node for name in node.output if name]
    values = Session(model, names, optimize=False).run(feeds)
    finite = {name: _is_finite(array) for name, array in (values | dict(feeds)).items()}
    for tensor in model.graph.initializer:
        finite[tensor.name] = _is_finite(numpy_helper.to_array(tensor))
    for node in model.graph.node:
        if all(finite.get(name, True) for name in node.input):
            for name in node.output:
                if not finite.get(name, True):
                    return name, node
    return None


def _is_finite(array: Any) -> bool:
    return not isinstance(array, np.ndarray) or array.dtype.kind != "f" or bool(
        np.isfinite(array).all()
    )  # fmt: skip
