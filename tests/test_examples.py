"""The committed digits examples: small, clean, accurate, and compiled end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

import actc

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
EXAMPLES = {"mlp": "digits_mlp.npz", "cnn": "digits.npz"}
LIMIT_BYTES = 200_000
LEAST_ACCURACY = 0.975
LARGEST_DROP = 0.005

Arrays = dict[str, npt.NDArray[Any]]


def load_data(name: str) -> Arrays:
    with np.load(DIGITS / EXAMPLES[name], allow_pickle=False) as data:
        return dict(data)


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_is_one_small_file(name: str) -> None:
    path = DIGITS / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert path.stat().st_size < LIMIT_BYTES
    assert [o.version for o in model.opset_import if o.domain == ""] == [18]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_batchnorm_is_left_for_actc_to_fold() -> None:
    model = onnx.load(DIGITS / "cnn.onnx")
    assert sum(n.op_type == "BatchNormalization" for n in model.graph.node) == 3


@pytest.mark.parametrize("name", EXAMPLES)
def test_data_holds_all_test_samples(name: str) -> None:
    data = load_data(name)
    assert set(data) == {"image", "labels"}
    assert len(data["image"]) == len(data["labels"]) == 450
    assert data["image"].min() == 0.0
    assert data["image"].max() == 1.0
    assert set(data["labels"].tolist()) == set(range(10))


@pytest.mark.parametrize("name", EXAMPLES)
def test_float_accuracy(name: str) -> None:
    data = load_data(name)
    session = onnxruntime.InferenceSession(
        DIGITS / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    (scores,) = session.run(None, {"image": data["image"]})
    accuracy = float(np.mean(np.argmax(np.asarray(scores), axis=1) == data["labels"]))
    assert accuracy >= LEAST_ACCURACY


@pytest.mark.parametrize("target", ["onnx", "cpu"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_compiles_within_half_a_point(name: str, target: str, tmp_path: Path) -> None:
    if target == "cpu":
        pytest.importorskip("tvm", reason="apache-tvm is not installed")
    artifact = actc.compile(
        DIGITS / f"{name}.onnx",
        target=target,
        data=DIGITS / EXAMPLES[name],
        output=tmp_path / "out",
    )
    report = artifact.report
    data = load_data(name)
    assert report["samples"] == 450
    assert report["bit_exact"] is True
    assert report["accuracy"]["float"] - report["accuracy"]["golden"] <= LARGEST_DROP
    assert report["accuracy"]["artifact"] == report["accuracy"]["golden"]
    expected = {"mlp": ["GELU"] * 2, "cnn": ["SiLU"] * 3}[name]
    assert [site["function"] for site in report["activations"]] == expected
    assert report["left_float"] == []

    golden = onnxruntime.InferenceSession(
        tmp_path / "out" / "golden.onnx", providers=["CPUExecutionProvider"]
    )
    (reference,) = golden.run(None, {"image": data["image"]})
    (result,) = artifact.run({"image": data["image"]}).values()
    np.testing.assert_array_equal(result, reference)
    accuracy = float(np.mean(np.argmax(result, axis=1) == data["labels"]))
    assert accuracy == pytest.approx(report["accuracy"]["artifact"])


@pytest.mark.slow
def test_training_script_reaches_its_accuracy(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    command = [sys.executable, str(DIGITS / "train.py"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name, data in EXAMPLES.items():
        assert (tmp_path / f"{name}.onnx").stat().st_size < LIMIT_BYTES
        with np.load(tmp_path / data, allow_pickle=False) as made:
            np.testing.assert_array_equal(made["image"], load_data(name)["image"])
