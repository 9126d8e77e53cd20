"""actc.export: torch modules as ONNX models that do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actc
from actc.errors import ModelError, UsageError
from actc.ir.execute import Session

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    )


def test_a_network_of_any_batch(tmp_path: Path) -> None:
    module, path = network(), tmp_path / "net.onnx"
    model = actc.export(module.train(), torch.randn(2, 1, 8, 8), path)
    assert module.training
    assert path.read_bytes() == model.SerializeToString(deterministic=True)
    x = np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32)
    (found,) = Session(model).run({"x": x}).values()
    wanted = module.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    artifact = actc.compile(model, "onnx", data={"x": x}, dry_run=True)
    assert [row["function"] for row in artifact.report["activations"]] == ["GELU"]


class Two(torch.nn.Module):
    def forward(self, a: Any, b: Any) -> Any:
        return {"sum": a + b, "rest": (torch.tanh(a), b[:, :1])}


def test_inputs_by_name_and_several_outputs() -> None:
    inputs = torch.randn(2, 3), torch.randn(2, 3)
    model = actc.export(Two(), inputs, input_names=["left", "right"])
    assert [value.name for value in model.graph.input] == ["left", "right"]
    assert len(model.graph.output) == 3


def test_other_axes_may_vary() -> None:
    class Mean(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.sigmoid(x).mean(1)

    dynamic = {"x": {0: "batch", 1: "length"}}
    model = actc.export(Mean(), torch.randn(2, 7, 3), dynamic=dynamic)
    (found,) = Session(model).run({"x": np.zeros((4, 9, 3), np.float32)}).values()
    assert found.shape == (4, 3)


class OnlyTraced(torch.nn.Module):
    """Control flow that depends on values stops torch.export; a trace takes one branch."""

    def forward(self, x: Any) -> Any:
        return torch.tanh(x) if bool((x.abs() >= 0).all()) else x


def test_the_other_exporter_is_tried() -> None:
    model = actc.export(OnlyTraced(), torch.randn(2, 3))
    assert "Tanh" in {node.op_type for node in model.graph.node}


class Random(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x + torch.rand(())


def test_a_model_that_does_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(ModelError, match="ACT0017") as caught:
        actc.export(Random(), torch.randn(2, 3), path)
    assert "torch.export" in str(caught.value)
    assert "torch.jit.trace" in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ([], {}),
        ([1.0], {}),
        (torch.tensor(1.0), {}),
        (torch.randn(2, 3), {"input_names": ["a", "b"]}),
        (torch.randn(2, 3), {"dynamic": {"y": {0: "batch"}}}),
        (torch.randn(2, 3), {"dynamic": {"x": {2: "batch"}}}),
    ],
)
def test_wrong_inputs(inputs: Any, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="ACT0243"):
        actc.export(network(), inputs, **options)
