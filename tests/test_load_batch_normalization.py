"""Loading batch normalizations whose parameters do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from models import network

from actc.errors import ModelError
from actc.ir.load import load

NORMALIZED = "y = BatchNormalization (x, g, b, m, v)"


@pytest.mark.parametrize("opset", [9, 21])
@pytest.mark.parametrize("shape", ["4,3", "N,2", "N,2,3"])
def test_batch_normalization_of_other_channels(shape: str, opset: int) -> None:
    constants = {name: np.ones(3 if shape != "4,3" else 4, np.float32) for name in "gbmv"}
    signature = f"float[{shape}] x => float[{shape}] y"
    model = network(signature, NORMALIZED, constants, opset=opset)
    with pytest.raises(ModelError) as caught:
        load(model)
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0007"
    assert problem.place.op == "BatchNormalization"
    assert ("Transpose" in str(problem.help)) == (shape == "4,3")


@pytest.mark.parametrize("shape", ["N,3", "N,3,5", "N,C,5", "4,3"])
def test_batch_normalization_that_fits(shape: str) -> None:
    constants = {name: np.ones(3, np.float32) for name in "gbmv"}
    load(network(f"float[{shape}] x => float[{shape}] y", NORMALIZED, constants, opset=15))


@pytest.mark.parametrize("opset", [9, 21])
def test_batch_normalization_without_parameters(opset: int) -> None:
    """The checker says what is wrong elsewhere."""
    model = network("float[4,3] x => float[4,3] y", "y = Relu (x)", {}, opset=opset)
    model.graph.node[0].op_type = "BatchNormalization"
    with pytest.raises(ModelError) as caught:
        load(model)
    assert {problem.code for problem in caught.value.diagnostics} == {"ACT0007"}
