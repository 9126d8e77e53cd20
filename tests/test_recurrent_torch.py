"""Recurrent layers that torch trains and exports."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import golden_of
from models import run

from actc.ir import spec

torch = pytest.importorskip("torch", reason="needs torch: pip install 'actc[torch]'")
datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
nn = torch.nn

Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.slow
TRAINED = 1300


class Rows(nn.Module):
    """Reads an image of 8 x 8 row by row."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.layer = kind(8, 24, batch_first=True, **options)
        self.head = nn.Linear(48 if options.get("bidirectional") else 24, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.layer(x)[0][:, -1])


@pytest.fixture(autouse=True)
def quiet_torch() -> Iterator[None]:
    """Torch's exporters warn about themselves."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def digits() -> tuple[Array, Array]:
    images, labels = datasets.load_digits(return_X_y=True)
    return (images / 16).astype(np.float32).reshape(-1, 8, 8), labels


def trained(kind: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Rows(kind, **options)
    x, y = (torch.from_numpy(array[:TRAINED]) for array in digits())
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(12):
        for part in torch.randperm(TRAINED).split(64):
            loss = nn.functional.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def exported(net: Any, path: Path, dynamo: bool) -> onnx.ModelProto:
    example = (torch.zeros(2, 8, 8),)
    if dynamo:
        shapes = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(net, example, path, dynamo=True, dynamic_shapes=shapes, verbose=False)
    else:
        axes = {"x": {0: "batch"}}
        torch.onnx.export(net, example, path, dynamo=False, input_names=["x"], dynamic_axes=axes)
    return onnx.load(path)


BIDIRECTIONAL = {"bidirectional": True, "num_layers": 2}


@pytest.mark.parametrize(
    ("kind", "options", "dynamo"),
    [
        (nn.LSTM, {}, False),
        (nn.LSTM, BIDIRECTIONAL, False),
        (nn.LSTM, BIDIRECTIONAL, True),
        (nn.GRU, {"bidirectional": True, "bias": False}, False),
        (nn.GRU, {}, True),
        (nn.RNN, {}, False),  # the other exporter writes a plain layer out, step by step
    ],
)
def test_trained_layers(tmp_path: Path, kind: Any, options: dict[str, Any], dynamo: bool) -> None:
    """Both exporters: exact, and as good at digits as the float model."""
    images, labels = digits()
    model = exported(trained(kind, **options), tmp_path / "net.onnx", dynamo)
    (name,) = (value.name for value in model.graph.input)
    golden = golden_of(model, {name: images[:256]})
    test = {name: images[TRAINED:]}
    (got,), (exact,) = run(golden, test).values(), spec.run(golden, test).values()
    np.testing.assert_array_equal(got.view(np.uint32), exact.view(np.uint32))
    (reference,) = run(model, test).values()
    before, after = (np.mean(y.argmax(1) == labels[TRAINED:]) for y in (reference, got))
    assert before > 0.8
    assert after >= before - 0.01
    size = np.sqrt(np.mean(reference**2))
    assert np.sqrt(np.mean((got - reference) ** 2)) < 0.02 * size
