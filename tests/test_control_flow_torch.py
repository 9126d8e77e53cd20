"""Control flow that torch exports."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled
from models import normal, operators, proto_of, run, transformed
from test_islands import kept

from actc.passes.normalize import Normalize

torch = pytest.importorskip("torch", reason="needs torch: pip install 'actc[torch]'")
nn = torch.nn

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.slow


class Cell(nn.Module):
    """What the loops share."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Linear(6, 6)
        self.g = nn.Linear(6, 6)


class OverTime(Cell):
    """A recurrence in Python, with a branch on the number of the step."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        h = torch.zeros_like(x[:, 0])
        seen = torch.zeros_like(h)
        for t in range(x.size(1)):
            h = torch.tanh(self.f(h) + x[:, t])
            if t % 2 == 0:
                seen = seen + h
        return self.g(h + seen)


class Counted(Cell):
    """A while loop whose end constants decide."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        n = 0
        while n < 12:
            x = torch.tanh(self.f(x))
            n += 1
        return self.g(x)


class UntilSmall(Cell):
    """A while loop whose end the data decides."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.g(x)
        while bool(x.abs().max() > 1.0):
            x = 0.5 * self.f(x)
        return x


class Branches(Cell):
    """torch.cond on the data."""

    def forward(self, x: Any) -> Any:
        h = self.g(x)
        return torch.cond(
            h.sum() > 0, lambda a: torch.relu(self.f(a)), lambda a: torch.tanh(a), (h,)
        )


class Scanned(Cell):
    """torch's scan, which becomes ONNX's."""

    def forward(self, x: Any) -> Any:
        from torch._higher_order_ops.scan import scan

        def step(h: Any, t: Any) -> tuple[Any, Any]:
            h = torch.tanh(self.f(h) + t)
            return h, h * 2

        _, ys = scan(step, torch.zeros_like(x[:, 0]), x.movedim(1, 0), dim=0)
        return self.g(ys.movedim(0, 1))


@pytest.fixture(autouse=True)
def quiet_torch() -> Iterator[None]:
    """Torch's exporters warn about themselves."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def exported(kind: type[Any], shape: tuple[int, ...], path: Path) -> onnx.ModelProto:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net, example = kind().eval(), (torch.zeros(2, *shape),)
    names = {"input_names": ["x"], "output_names": ["y"]}
    if kind in (Branches, Scanned):
        shapes = ({0: torch.export.Dim("N")},)
        options = {"dynamo": True, "dynamic_shapes": shapes, "verbose": False}
        torch.onnx.export(net, example, path, **names, **options)
    else:
        axes = {"x": {0: "N"}}
        net = torch.jit.script(net)
        torch.onnx.export(net, example, path, dynamo=False, dynamic_axes=axes, **names)
    return onnx.load(path)


@pytest.mark.parametrize(
    ("kind", "shape", "op"),
    [(OverTime, (12, 6), "Loop"), (Counted, (6,), "Loop"), (Scanned, (7, 6), "Scan")],
)
def test_written_out(kind: type[Any], shape: tuple[int, ...], op: str, tmp_path: Path) -> None:
    model = exported(kind, shape, tmp_path / "net.onnx")
    assert op in {node.op_type for node in model.graph.node}
    feeds = {"x": normal(32, *shape)}
    result = transformed(model, Normalize(), data=feeds)
    assert not {"If", "Loop", "Scan"} & set(operators(result))
    np.testing.assert_allclose(run(proto_of(result), feeds)["y"], run(model, feeds)["y"], atol=1e-5)
    compiled(model, feeds, noise=0.1)


@pytest.mark.parametrize(("kind", "op"), [(UntilSmall, "Loop"), (Branches, "If")])
def test_kept_as_an_island(kind: type[Any], op: str, tmp_path: Path) -> None:
    model = exported(kind, (6,), tmp_path / "net.onnx")
    golden, found = kept(model, {"x": normal(16, 6)}, noise=0.1)
    assert any(op in island for island in found)
    assert "IntMatMul" in {node.op_type for node in golden.graph.node}
