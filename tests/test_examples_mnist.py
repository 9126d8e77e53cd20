"""The committed MNIST examples: small, clean and accurate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

MNIST = Path(__file__).resolve().parent.parent / "examples" / "mnist"
LIMIT_BYTES = 500_000
# Accuracy on the 500 kept samples, and what makes the network what its name says.
EXAMPLES = {
    "mlp": (0.97, {"Erf"}),
    "cnn_silu": (0.98, {"Sigmoid", "BatchNormalization"}),
    "cnn_hardswish": (0.97, {"HardSwish", "BatchNormalization"}),
    "vit": (0.95, {"Softmax", "LayerNormalization", "Erf"}),
    "lstm": (0.97, {"LSTM"}),
}


@pytest.fixture(scope="module")
def data() -> dict[str, npt.NDArray[Any]]:
    with np.load(MNIST / "mnist.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_data_are_the_first_test_samples(data: dict[str, npt.NDArray[Any]]) -> None:
    assert data["image"].shape == (500, 28, 28)
    assert data["image"].dtype == np.float32
    assert data["image"].min() == 0.0
    assert data["image"].max() == 1.0
    assert set(data["labels"].tolist()) == set(range(10))


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_is_one_small_file(name: str) -> None:
    path = MNIST / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert path.stat().st_size < LIMIT_BYTES
    assert [o.version for o in model.opset_import if o.domain == ""] == [18]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {node.op_type for node in model.graph.node} >= EXAMPLES[name][1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_float_accuracy(name: str, data: dict[str, npt.NDArray[Any]]) -> None:
    session = onnxruntime.InferenceSession(
        MNIST / f"{name}.onnx", providers=["CPUExecutionProvider"]
    )
    shape = [-1, *session.get_inputs()[0].shape[1:]]
    (scores,) = session.run(None, {"image": data["image"].reshape(shape)})
    found = float(np.mean(np.asarray(scores).argmax(axis=1) == data["labels"]))
    assert found >= EXAMPLES[name][0]
