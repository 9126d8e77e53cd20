"""Thresholds that depend on the sample (INSTA-BNN): exact integers from the sum to the sign."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from instance_networks import Norm, exact_margins, sums_and_codes

import actc
from actc.ir.execute import Session

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

Array = np.ndarray[Any, Any]

CHANNELS, SIDE = 16, 8


def conv(power: int) -> nn.Module:
    """Two convolutions; the sign between them has a threshold of each sample's own."""
    torch.manual_seed(power)
    features = CHANNELS * SIDE * SIDE
    return randomized(
        nn.Sequential(
            Binarize(0.5),
            BinaryConv2d(1, CHANNELS, 3, padding=1, scaled=True),
            nn.BatchNorm2d(CHANNELS),
            InstanceThreshold(CHANNELS, power=power),
            BinaryConv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.BatchNorm2d(CHANNELS),
            BinaryActivation(),
            nn.Flatten(),
            BinaryLinear(features, 10),
            IntegerScores(10, features),
        )
    )


def dense(power: int) -> nn.Module:
    """Two layers of features, which share the statistic."""
    torch.manual_seed(10 + power)
    return randomized(
        nn.Sequential(
            nn.Flatten(),
            Binarize(0.5),
            BinaryLinear(SIDE * SIDE, CHANNELS),
            nn.BatchNorm1d(CHANNELS),
            InstanceThreshold(CHANNELS, power=power),
            BinaryLinear(CHANNELS, 10),
            IntegerScores(10, CHANNELS),
        )
    )


def randomized(module: nn.Module) -> nn.Module:
    """As after a training, from torch's seed."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
            assert layer.running_var is not None
            assert layer.running_mean is not None
            nn.init.uniform_(layer.running_var, 5, 20)
            nn.init.normal_(layer.running_mean)
        if isinstance(layer, InstanceThreshold):
            nn.init.normal_(layer.offset, std=0.3)
            nn.init.normal_(layer.factor, std=0.5)
        if isinstance(layer, BinaryConv2d) and layer.gain is not None:
            nn.init.uniform_(layer.gain, 0.5, 2)
    return module.eval()


def numbers(module: nn.Module) -> Norm:
    """The batch norm and the threshold."""
    layers = list(module.named_children())
    place = next(k for k, (_, layer) in enumerate(layers) if isinstance(layer, InstanceThreshold))
    held = {
        name.partition(".")[2]: tensor.numpy()
        for name, tensor in module.state_dict().items()
        if name.partition(".")[0] in (layers[place - 1][0], layers[place][0])
    }
    parts = ("weight", "bias", "running_mean", "running_var", "offset", "factor")
    gamma, beta, mean, variance, a, b = (held[name] for name in parts)
    return Norm(gamma, beta, mean, variance, a, b, 1e-5)


@pytest.mark.parametrize("make", [conv, dense])
@pytest.mark.parametrize("form", ["qonnx", "onnx"])
@pytest.mark.parametrize("power", [1, 3])
def test_thresholds_of_instances_are_exact(
    power: int, form: str, make: Any, tmp_path: Path
) -> None:
    module = make(power)
    images = np.random.default_rng(power).random((48, 1, SIDE, SIDE), np.float32)
    images = np.round(images * 255) / np.float32(255)
    path = tmp_path / "insta.onnx"
    export_binary(module, torch.from_numpy(images[:8]), path, input_name="image", form=form)
    artifact = actc.compile(path, "onnx", data={"image": images}, output=tmp_path / "out")
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    operators = [node.op_type for node in golden.graph.node]
    assert operators.count("InstanceSteps") == 1
    assert operators.count("QuantizeLinear") == operators.count("DequantizeLinear") == 1
    binary = artifact.report["binary"]
    assert {row["kind"] for row in binary["layers"]} == {"binary"}
    assert [row["agreement"] for row in binary["tensors"]] == [1] * len(binary["tensors"])
    codes = {item["code"] for item in artifact.report["diagnostics"]}
    assert not {"ACT0113", "ACT0118"} & codes
    acc, bits = sums_and_codes(golden, images)
    gain = next((m.gain for m in module.modules() if isinstance(m, BinaryConv2d)), None)
    margins = exact_margins(acc, numbers(module), power, None if gain is None else gain.detach())
    np.testing.assert_array_equal(bits, np.where(margins >= 0, 2, 0))
    with torch.no_grad():
        wanted = module(torch.from_numpy(images)).numpy()
    (found,) = Session(golden).run({"image": images}).values()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("make", [conv, dense])
@pytest.mark.parametrize("power", [1, 3])
def test_thresholds_of_instances_run_on_cpu(power: int, make: Any, tmp_path: Path) -> None:
    pytest.importorskip("tvm")
    module = make(power)
    images = np.random.default_rng(power).random((48, 1, SIDE, SIDE), np.float32)
    path = tmp_path / "insta.onnx"
    export_binary(module, torch.from_numpy(images[:8]), path, input_name="image")
    artifact = actc.compile(path, "cpu", data={"image": images}, output=tmp_path / "out")
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    assert "InstanceSteps" in [node.op_type for node in golden.graph.node]
    (wanted,) = Session(golden).run({"image": images}).values()
    (found,) = artifact.run({"image": images}).values()
    np.testing.assert_array_equal(found, wanted)
