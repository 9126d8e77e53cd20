"""Runs of models that take too long are stopped, in onnxruntime and in onnx's evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from endless_loops import BODIES, looping
from onnx import TensorProto, helper

from actc.errors import ModelError, UsageError
from actc.ir.execute import ExecutionError, Session, require_runs
from actc.ir.time_limit import VARIABLE, interruptible, seconds

ENDLESS = {"x": np.ones((2, 6), np.float32)}
ENDING = {"x": -np.ones((2, 6), np.float32)}


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0.2")


def only_in_the_evaluator(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with an output of a type that onnxruntime does not give."""
    model.graph.node.append(helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT8E4M3FN))
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT8E4M3FN, ["batch", 6])
    model.graph.output[0].CopyFrom(output)
    return model


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("deep", [False, True], ids=["loop", "loop of a function"])
@pytest.mark.parametrize("kind", BODIES)
def test_an_endless_loop_is_stopped(kind: str, deep: bool) -> None:
    model = looping(kind, deep=deep)
    with pytest.raises(ModelError) as raised:
        require_runs(model, ENDLESS, "model.onnx")
    (found,) = raised.value.diagnostics
    assert (found.code, found.place.file) == ("ACT0063", "model.onnx")
    assert "0.2 seconds" in found.message
    assert found.notes == ("loops of the model: spin",)
    assert np.array_equal(require_runs(model, ENDING, "model.onnx")["y"], ENDING["x"])


@pytest.mark.usefixtures("hurry")
def test_an_endless_loop_is_stopped_in_the_evaluator() -> None:
    model = only_in_the_evaluator(looping("an operator"))
    session = Session(model)
    assert session.refusal is not None
    with pytest.raises(ModelError, match="ACT0063"):
        session.run(ENDLESS)
    assert session.run(ENDING)["z"].shape == (2, 6)


def test_other_failures_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "60")
    with pytest.raises(ExecutionError):
        Session(looping("an operator")).run({"x": np.ones((2, 7), np.float32)})


@pytest.mark.parametrize("kind", BODIES)
def test_a_loop_that_ends_computes_the_same(kind: str) -> None:
    model = looping(kind, rounds=3)
    changed = interruptible(model)
    assert (changed is model) == (kind == "an operator")
    onnx.checker.check_model(changed, full_check=True)
    assert np.array_equal(Session(model).run(ENDLESS)["y"], ENDLESS["x"])


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e30"])
def test_a_limit_is_a_number_of_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match="ACT0064"):
        seconds()


def test_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    assert seconds() == np.inf
    assert np.array_equal(Session(looping("nothing")).run(ENDING)["y"], ENDING["x"])
