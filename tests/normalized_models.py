"""What normalization leaves of a model, which must compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from models import operators, proto_of, random_data, run, transformed

from actc.ir.verify import problems
from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]
RTOL = 1e-4


def normalized(
    model: onnx.ModelProto, data: Mapping[str, Array] | None = None
) -> tuple[list[str], onnx.ModelProto]:
    """Operators left by normalize; checks structure and outputs on the way."""
    feeds = random_data(model) if data is None else dict(data)
    result = transformed(model, Normalize(), data=feeds)
    assert problems(result) == []
    proto = proto_of(result)
    onnx.checker.check_model(proto)
    expected, found = run(model, feeds), run(proto, feeds)
    assert list(expected) == list(found)
    for name, reference in expected.items():
        assert found[name].shape == reference.shape
        scale = float(np.abs(reference).max(initial=1e-3)) if reference.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(found[name], reference, rtol=RTOL, atol=RTOL * scale)
    return operators(result), proto
