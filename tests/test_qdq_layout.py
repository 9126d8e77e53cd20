"""model.qdq.onnx puts the channels last where onnxruntime would change layouts in its own nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal
from qdq_models import kinds, optimized, outputs, relative, written

from actc.targets.onnx import qdq as writer
from actc.targets.onnx.channels_last import _takes_rows

POOL = "p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a2)"
MEAN = "m = GlobalAveragePool (p)\nf = Flatten (m)"
DATA = {"x": normal(24, 1, 8, 8, seed=12)}


def net(
    pool: str = POOL, mean: str = MEAN, last: str = "y = Gemm (f, v, bv)", classes: int = 6
) -> onnx.ModelProto:
    """A float convolution, one on integers, SILU behind both; a pooling, a mean, a product."""
    return network(
        f"float[N,1,8,8] x => float[N,{classes}] y",
        f"""
          c1 = Conv <pads = [1,1,1,1]> (x, w1, b1)
          s1 = Sigmoid (c1)
          a1 = Mul (c1, s1)
          c2 = Conv <pads = [1,1,0,1]> (a1, w2, b2)
          s2 = Sigmoid (c2)
          a2 = Mul (c2, s2)
          {pool}
          {mean}
          {last}
        """,
        {
            "w1": normal(32, 1, 3, 3, seed=1) / 2,
            "b1": normal(32, seed=2) / 3,
            "w2": normal(48, 32, 3, 3, seed=3) / 12,
            "b2": normal(48, seed=4) / 3,
            "v": normal(48, classes, seed=5) / 4,
            "bv": normal(classes, seed=6) / 3,
        },
    )


def plainly(model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """The QDQ model with all channels first."""
    with monkeypatch.context() as patch:
        patch.setattr(writer, "pool_channels_last", lambda *_: None)
        patch.setattr(writer, "quantize_channels_last", lambda *_: None)
        return written(model, DATA)


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (2, 5), (7, 8)])
def test_a_pooled_image_keeps_its_channels_last(
    window: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same numbers, also where rows or columns are left over; no layout is changed."""
    sizes = list(window)
    model = net(f"p = MaxPool <kernel_shape = {sizes}, strides = {sizes}> (a2)")
    qdq = written(model, DATA)
    onnx.checker.check_model(qdq, full_check=True)
    found = kinds(optimized(qdq, tmp_path))
    assert found["QLinearConv"] == 1
    assert found["QuickGelu"] == 2
    assert not {"ReorderInput", "Transpose", "GlobalAveragePool"} & set(found)
    expected = outputs(plainly(model, monkeypatch), DATA)
    assert np.abs(outputs(qdq, DATA) - expected).max() <= 1e-5 * np.abs(expected).max()
    one = {"x": DATA["x"][:1]}
    assert np.allclose(outputs(qdq, one), expected[:1], rtol=1e-4, atol=1e-5)


OTHERS: dict[str, dict[str, Any]] = {
    "windows overlap": {"pool": POOL.replace("strides = [2,2]", "strides = [1,1]")},
    "windows reach out": {"pool": POOL.replace("strides", "ceil_mode = 1, strides")},
    "padded": {"pool": POOL.replace("strides", "pads = [1,1,1,1], strides")},
    "dilated": {"pool": POOL.replace("strides", "dilations = [2,2], strides")},
    "no mean": {"mean": "m = GlobalMaxPool (p)\nf = Flatten (m)"},
    "activation read twice": {
        "mean": "m = GlobalAveragePool (p)\nf0 = Flatten (m)\nq = GlobalAveragePool (a2)\n"
        "f1 = Flatten (q)\nf = Add (f0, f1)"
    },
    "too many weights": {"classes": 200},
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_such_a_tail_stays(name: str) -> None:
    model = net(**OTHERS[name])
    qdq = written(model, DATA)
    assert not {"Gather", "Tile"} & set(kinds(qdq))
    assert relative(outputs(qdq, DATA), outputs(model, DATA)) < 0.03


@pytest.mark.parametrize(
    ("given", "taken"), [({}, True), ({"axis": -3}, True), ({"axis": 2}, False)]
)
def test_rows_are_whole_samples(given: dict[str, int], taken: bool) -> None:
    """Flatten to [N * channels, 1] gives other rows than those that the weights are tiled for."""
    flat = ir.node("Flatten", [ir.Value(name="mean")], given)
    product = ir.node("Gemm", [flat.outputs[0], ir.Value(name="weights")])
    assert _takes_rows(product, flat) is taken


def test_codes_behind_a_float_convolution_have_channels_last(tmp_path: Path) -> None:
    """One node leads out of the blocks of channels, none behind the quantizer."""
    running = optimized(written(net(), DATA), tmp_path)
    reorders = [node for node in running.graph.node if node.op_type == "ReorderOutput"]
    assert [a.i for a in reorders[0].attribute if a.name == "channels_last"] == [1]
    assert len(reorders) == 1


def test_full_quantization_keeps_every_pooling_on_codes() -> None:
    assert not {"Gather", "Tile", "Transpose"} & set(kinds(written(net(), DATA, everywhere=True)))
