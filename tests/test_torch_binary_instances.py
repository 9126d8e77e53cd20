"""Thresholds that depend on the sample (INSTA-BNN): integers from the sum to the sign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import actc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from torch import nn  # noqa: E402

from actc.torch.binary import (  # noqa: E402
    Binarize,
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    InstanceThreshold,
    IntegerScores,
    export_binary,
)

CHANNELS, SIDE = 16, 8


def made(power: int) -> nn.Module:
    """Two convolutions; the sign between them has a threshold of each sample's own."""
    features = CHANNELS * SIDE * SIDE
    module = nn.Sequential(
        Binarize(0.5),
        BinaryConv2d(1, CHANNELS, 3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        InstanceThreshold(CHANNELS, power=power),
        BinaryConv2d(CHANNELS, CHANNELS, 3, padding=1),
        nn.BatchNorm2d(CHANNELS),
        BinaryActivation(),
        nn.Flatten(),
        BinaryLinear(features, 10),
        IntegerScores(10, features),
    )
    torch.manual_seed(power)
    for layer in module:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            assert layer.running_var is not None
            nn.init.uniform_(layer.running_var, 5, 20)
        if isinstance(layer, InstanceThreshold):
            nn.init.normal_(layer.offset, std=0.3)
            nn.init.normal_(layer.factor, std=0.5)
    return module.eval()


@pytest.mark.parametrize("power", [1, 3])
def test_thresholds_of_instances_are_computed_in_integers(power: int, tmp_path: Path) -> None:
    module = made(power)
    images = np.random.default_rng(power).random((256, 1, SIDE, SIDE), np.float32)
    images = np.round(images * 255) / np.float32(255)
    path = tmp_path / "insta.onnx"
    export_binary(module, torch.from_numpy(images[:8]), path, input_name="image")
    artifact = actc.compile(path, "onnx", data={"image": images}, output=tmp_path / "out")
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    operators = [node.op_type for node in golden.graph.node]
    assert "IntReduceSum" in operators  # the statistic of the sample
    assert operators.count("QuantizeLinear") == operators.count("DequantizeLinear") == 1
    binary = artifact.report["binary"]
    assert [row["kind"] for row in binary["layers"]] == ["binary"] * 3
    shares = [row["agreement"] for row in binary["tensors"]]
    assert shares[0] == 1
    assert min(shares) > 0.9  # sums and statistics are rounded to 12 bits in front of the sign
    codes = {item["code"] for item in artifact.report["diagnostics"]}
    assert {"ACT0113", "ACT0118"} & codes  # that it is rounded is said
