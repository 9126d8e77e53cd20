"""What a target refuses is said all at once, each time with the file, the node and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from installed import needs_tvm

import actc
from actc.diagnostics import Diagnostic, Place
from actc.errors import MissingTool, ModelError, UsageError

DIGITS = Path(__file__).parent.parent / "examples/digits"
LSTM = Path(__file__).parent.parent / "examples/mnist/lstm.onnx"


@pytest.mark.parametrize("target", ["c", "cpu"])
def test_a_recurrent_layer_is_named_though_what_feeds_it_is_refused(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(ModelError) as caught:
        actc.compile(LSTM, target, output=tmp_path / "out")
    found = {d.place.op: d for d in caught.value.diagnostics}
    assert {"Transpose", "IntLstm"} == set(found)
    assert all(d.place.file == "lstm.onnx" and d.place.node for d in found.values())
    assert all("--target onnx" in d.help for d in found.values())
    assert not list(tmp_path.iterdir())


def test_a_diagnostic_keeps_the_file_that_it_names() -> None:
    plain = Diagnostic("ACT0401", "no", place=Place(node="n"))
    assert plain.in_file("m.onnx").place == Place("m.onnx", "n")
    assert plain.in_file("m.onnx").in_file("other.onnx").place.file == "m.onnx"


def test_labels_that_are_no_classes_are_told(tmp_path: Path) -> None:
    """Labels counted from 1, say: the accuracy would just be low."""
    data = np.load(DIGITS / "digits_mlp.npz")
    for shift, wrong in (
        (1, int((data["labels"] == 9).sum())),
        (-1, int((data["labels"] == 0).sum())),
    ):
        given = {"image": data["image"], "labels": data["labels"] + shift}
        found = actc.compile(DIGITS / "mlp.onnx", "onnx", data=given, dry_run=True).report
        (told,) = (d for d in found["diagnostics"] if d["code"] == "ACT0221")
        assert told["severity"] == "warning"
        assert told["message"].startswith(f"{wrong} of 450 labels are no class of output")


def test_labels_that_are_classes_are_no_matter() -> None:
    data = np.load(DIGITS / "digits_mlp.npz")
    found = actc.compile(DIGITS / "mlp.onnx", "onnx", data=dict(data), dry_run=True).report
    assert not found["diagnostics"]


def test_all_missing_tools_are_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tvm")
    for name in ("ACTC_NVCC", "ACTC_GXX", "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("actc.targets.tvm.cuda.toolkit.importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingTool) as caught:
        actc.compile(DIGITS / "mlp.onnx", "cuda", output=tmp_path / "out")
    text = str(caught.value)
    assert "tool nvcc" in text
    assert "tool g++" in text
    assert not list(tmp_path.iterdir())


@needs_tvm
def test_operators_of_half_precision_are_no_integers(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT16, ["N", 4])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, ["N", 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    opset = [onnx.helper.make_opsetid("", 21)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    artifact = actc.compile(model, "cpu", precision="float32", output=tmp_path / "out")
    assert artifact.report["operators"] == {"integer": 0, "float": 1}


def test_a_foreign_folder_is_seen_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    stages: list[str] = []
    with pytest.raises(UsageError, match="ACT0240"):
        actc.compile(DIGITS / "mlp.onnx", "onnx", output=tmp_path, progress=stages.append)
    assert stages == ["load"]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
