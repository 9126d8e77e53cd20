"""The committed binary networks of MNIST: small, of signs only, and accurate as compiled."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import actc
from actc.ir.execute import Session

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
Array = np.ndarray[Any, Any]

LIMIT_BYTES = 400_000
# Accuracy on the 1,000 kept test images, weights, and the data file.
NETWORKS = {
    "mnist_bnn": (0.965, 784 * 256 + 2 * 256 * 256 + 2560, "mnist_mlp"),
    "mnist_bnn_small": (0.94, 784 * 96 + 96 * 96 + 960, "mnist_mlp"),
    "mnist_bnn_cnn": (0.98, 32 * 25 + 48 * 288 + 64 * 432 + 5760, "mnist_cnn"),
}


def loaded(name: str) -> onnx.ModelProto:
    return onnx.load(EXAMPLES / "mnist_bnn" / f"{name}.onnx", load_external_data=False)


@cache
def data(name: str) -> dict[str, Array]:
    with np.load(EXAMPLES / "folded" / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_weights_are_signs_in_a_byte(name: str) -> None:
    model = loaded(name)
    assert (EXAMPLES / "mnist_bnn" / f"{name}.onnx").stat().st_size < LIMIT_BYTES
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights = [a for a in tensors.values() if a.dtype == np.int8]
    assert sum(a.size for a in weights) == NETWORKS[name][1]
    assert all(set(np.unique(a)) == {-1, 1} for a in weights)
    products = [n for n in model.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    assert len(products) == len(weights)
    assert all(n.input[1].endswith(".real") for n in products)
    signs = [n for n in model.graph.node if n.op_type == "BipolarQuant"]
    assert len(signs) == len(products)
    bias = next(a for name, a in tensors.items() if name.endswith("bias") and a.shape == (10,))
    assert np.array_equal(bias, np.round(bias))


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_is_accurate(name: str, tmp_path: Path) -> None:
    least, _, file = NETWORKS[name]
    samples = data(file)
    path = EXAMPLES / "mnist_bnn" / f"{name}.onnx"
    actc.compile(path, "onnx", data=samples, output=tmp_path / "plan", max_drop=1.0)
    golden = Session(onnx.load(tmp_path / "plan" / "golden.onnx"))
    (scores,) = golden.run({"image": samples["image"]}).values()
    assert float((scores.argmax(1) == samples["labels"]).mean()) >= least
    # sums of signs and an integer, times a power of two: nothing is rounded
    unit = np.abs(scores[scores != 0]).min()
    assert np.array_equal(scores / unit, np.round(scores / unit))
