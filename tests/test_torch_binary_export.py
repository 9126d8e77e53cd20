"""Binary networks as ONNX and QONNX files: golden gives what the module gives."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import actc
from actc.errors import ModelError, UsageError
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
    ShiftedPReLU,
    deployed,
    export_binary,
)

Array = np.ndarray[Any, Any]


def shaken(module: Any, seed: int = 0) -> Any:
    """BatchNorm with factors of both signs and statistics as after a training."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for tensor, scale in ((layer.weight, 1), (layer.bias, 1), (layer.running_mean, 2)):
                tensor.data.copy_(torch.randn(tensor.shape, generator=generator) * scale)
            layer.running_var.uniform_(5, 50, generator=generator)
        if isinstance(layer, IntegerScores):
            layer.bias.data.uniform_(-5, 5, generator=generator)
        if isinstance(layer, (BinaryActivation, InstanceThreshold, ShiftedPReLU)):
            for parameter in layer.parameters():
                parameter.data.uniform_(0.1, 0.4, generator=generator)
    return module.eval()


def mlp() -> Any:
    torch.manual_seed(0)
    return shaken(
        nn.Sequential(
            Binarize(0.5),
            BinaryLinear(20, 16),
            nn.BatchNorm1d(16),
            BinaryActivation(16),
            BinaryLinear(16, 12, scaled=True),
            nn.BatchNorm1d(12),
            ShiftedPReLU(12),
            BinaryActivation(),
            BinaryLinear(12, 3),
            IntegerScores(3, 12),
        )
    )


def cnn() -> Any:
    torch.manual_seed(0)
    return shaken(
        nn.Sequential(
            Binarize(0.5),
            BinaryConv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            BinaryActivation(),
            nn.MaxPool2d(2),
            BinaryConv2d(4, 6, 2, border=1.0, padding=1, scaled=True),
            nn.BatchNorm2d(6),
            BinaryActivation(),
            nn.Flatten(),
            BinaryLinear(150, 3),
            IntegerScores(3, 150),
        )
    )


def images(*shape: int) -> Array:
    """Bytes / 255, as images are."""
    codes = np.random.default_rng(0).integers(0, 256, shape)
    return (codes / np.float32(255)).astype(np.float32)


CASES = {"mlp": (mlp, (300, 20)), "cnn": (cnn, (200, 1, 8, 8))}


def outputs(module: Any, x: Array) -> Array:
    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(x)))


@pytest.mark.parametrize("weights", ["float", "int8"])
@pytest.mark.parametrize("name", CASES)
def test_qonnx_compiles_to_the_module(name: str, weights: str, tmp_path: Path) -> None:
    make, shape = CASES[name]
    module, x = make(), images(*shape)
    path = tmp_path / "net.onnx"
    model = export_binary(module, torch.from_numpy(x), path, weights=weights)
    assert path.read_bytes() == model.SerializeToString(deterministic=True)
    ops = Counter(node.op_type for node in model.graph.node)
    assert ops["Where"] == ops["GreaterOrEqual"] == 0
    assert ops["BatchNormalization"] == 2
    assert ops["BipolarQuant"] == 3 + (3 if weights == "float" else 0)
    actc.compile(path, "onnx", data={"x": x}, output=tmp_path / "plan", max_drop=1.0)
    golden = onnx.load(tmp_path / "plan" / "golden.onnx")
    (found,) = Session(golden).run({"x": x}).values()
    wanted = outputs(module, x)
    assert np.array_equal(found, wanted)
    assert len(np.unique(wanted)) > 5
    # a single sign of a weight that is another one shows
    kinds = (BinaryLinear, BinaryConv2d)
    layer = next(layer for layer in module.modules() if isinstance(layer, kinds))
    layer.weight.data[0].neg_()
    assert not np.array_equal(found, outputs(module, x))


@pytest.mark.parametrize("name", CASES)
def test_signs_of_plain_onnx_compile_to_the_module(name: str, tmp_path: Path) -> None:
    make, shape = CASES[name]
    module, x = make(), images(*shape)
    model = export_binary(module, torch.from_numpy(x), form="onnx")
    actc.compile(model, "onnx", data={"x": x}, output=tmp_path / "plan", max_drop=1.0)
    (found,) = Session(onnx.load(tmp_path / "plan" / "golden.onnx")).run({"x": x}).values()
    assert np.array_equal(found, outputs(module, x))


@pytest.mark.parametrize("name", CASES)
def test_onnx_runs_as_the_module(name: str) -> None:
    make, shape = CASES[name]
    module, x = make().train(), images(*shape)
    module.eval()
    wanted = outputs(module, x)
    module.train()
    model = export_binary(module, torch.from_numpy(x[:3]), form="onnx", input_name="image")
    assert module.training
    onnx.checker.check_model(model, full_check=True)
    (found,) = Session(model).run({"image": x}).values()
    assert np.array_equal(found, wanted)
    ops = Counter(node.op_type for node in model.graph.node)
    assert ops["Where"] == 3
    assert {entry.domain for entry in model.opset_import} == {""}
    small = export_binary(module, torch.from_numpy(x[:3]), form="onnx", weights="int8")
    (found,) = Session(small).run({"x": x}).values()
    assert np.array_equal(found, wanted)


def test_files_hold_signs_and_no_latent_weights() -> None:
    module, x = mlp(), torch.from_numpy(images(4, 20))
    for weights, size in (("float", 4), ("int8", 1)):
        model = export_binary(module, x, weights=weights)
        held = [
            numpy_helper.to_array(tensor)
            for tensor in model.graph.initializer
            if len(tensor.dims) == 2 and tensor.dims[0] > 1
        ]
        assert sorted(array.shape for array in held) == [(3, 12), (12, 16), (16, 20)]
        assert all(set(np.unique(array)) == {-1, 1} for array in held)
        assert {array.itemsize for array in held} == {size}
    assert str(Path.cwd()) not in str(model)


def test_a_deployed_module_computes_the_same() -> None:
    module, x = cnn(), images(50, 1, 8, 8)
    copy = deployed(module)
    assert np.array_equal(outputs(copy, x), outputs(module, x))
    assert not any(parameter.ndim > 1 for parameter in copy.parameters())
    alone = deployed(BinaryLinear(2, 1))
    assert set(alone(torch.eye(2)).abs().flatten().tolist()) == {1.0}


def test_instance_thresholds_and_waves_run_as_the_module() -> None:
    torch.manual_seed(0)
    module = shaken(
        nn.Sequential(
            BinaryConv2d(1, 4, 3, surrogate="square-wave"),
            nn.BatchNorm2d(4),
            InstanceThreshold(4, power=1),
            nn.Flatten(),
            BinaryLinear(144, 5),
            BinaryActivation(surrogate="square-wave"),
        )
    )
    x = np.random.default_rng(0).choice(np.float32([-1, 1]), (20, 1, 8, 8))
    model = export_binary(module, torch.from_numpy(x), form="onnx")
    (found,) = Session(model).run({"x": x}).values()
    assert np.array_equal(found, outputs(module, x))


def test_wrong_forms_and_modules_are_refused(tmp_path: Path) -> None:
    x = torch.zeros(2, 20)
    for wrong in ({"form": "tflite"}, {"weights": "int4"}):
        with pytest.raises(UsageError, match="ACT0386"):
            export_binary(mlp(), x, tmp_path / "net.onnx", **wrong)

    class Random(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + torch.rand(())

    with pytest.raises(ModelError, match="ACT0387"):
        export_binary(Random(), x, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
