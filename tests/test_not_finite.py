"""Passes are compared where the model keeps to numbers; where it does not, that is said."""

from __future__ import annotations

import numpy as np
import pytest
from models import network

import actc
from actc.errors import ModelError

X = {"x": np.linspace(0.1, 1, 32, dtype=np.float32).reshape(8, 4)}


def test_a_model_that_overflows_is_refused_where_its_passes_cannot_be_compared() -> None:
    """A phase of a transposed Conv without weights is 0, as a Conv it is 0 times infinity."""
    body = """
        a = Mul (x, h)
        b = Mul (a, h)
        c = Unsqueeze (b, one)
        y = ConvTranspose <strides = [2]> (c, w)
    """
    weights = {
        "h": np.float32(1e30),
        "one": np.array([1], np.int64),
        "w": np.ones((1, 1, 1), np.float32),
    }
    model = network("float[N,4] x => float[N,1,7] y", body, weights)
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "onnx", data=X, dry_run=True)
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0102"
    assert found.place is not None
    assert found.place.op == "Mul"
    assert "'b'" in found.message
