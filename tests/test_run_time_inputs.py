"""Models whose inputs say what to do, and models with scalar outputs: with and without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from installed import needs_tvm

import actc
from actc.errors import ModelError
from actc.targets.tvm.plan import Buffer, KernelPlan


def _model(inputs: str, outputs: str, body: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g ({inputs}) => ({outputs}) {{ {body} }}'
    )


PAD = _model("float[2,3] x, int64[4] pads", "float[4,5] y", "y = Pad(x, pads)")
SUM = _model("float[2,3] x", "float y", "y = ReduceSum<keepdims = 0>(x)")


def test_what_an_input_tells_an_operator_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        actc.compile(PAD, "cpu", precision="float32", output=tmp_path / "out")
    (problem,) = caught.value.diagnostics
    assert (problem.code, "'pads'" in problem.message) == ("ACT0462", True)
    assert "--data" in problem.help


def test_a_scalar_output_needs_samples_of_their_own() -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ModelError) as caught:
        actc.compile(SUM, "cpu", data={"x": x}, precision="float32")
    assert [d.code for d in caught.value.diagnostics] == ["ACT0009"]
    assert "[samples, ...]" in caught.value.diagnostics[0].help
    with pytest.raises(ModelError) as caught:
        actc.compile(SUM, "onnx", data={"x": x})
    assert [d.code for d in caught.value.diagnostics] == ["ACT0009"]


@needs_tvm
def test_a_scalar_output_without_data(tmp_path: Path) -> None:
    artifact = actc.compile(SUM, "cpu", precision="float32", output=tmp_path / "out")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert artifact.run({"x": x})["y"] == np.float32(15)


def test_a_name_stays_on_its_line() -> None:
    """A line break in a name of the model is no line of kernels.txt."""
    plan = KernelPlan(
        {"x\ny": Buffer("float32", True, (3,))},
        {"z\u202e": "x\ny"},
        {"x\ny": Buffer("float32", True, (3,))},
        {},
        (),
    )
    text = plan.text()
    assert text.count("\n") == 2
    assert "x\\ny" in text
    assert "z\\u202e" in text
