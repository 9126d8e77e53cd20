"""Binary layers in the report: counted, compared with the float network, shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, run
from report_samples import HOSTILE, small

import actc
from actc.report import render_html
from actc.report.text import render_text

Array = np.ndarray[Any, Any]

BOOK = dict.fromkeys(
    ("entries", "kernels", "changed", "bytes", "bytes_before", "computed", "computed_before"), 3
) | {"error": 0.25, "error_before": 0.125}
MODEL = network(
    "float[N,1,6,6] x => float[N,3] y",
    """c0 = Conv <pads = [1, 1, 1, 1]> (x, k0)
       r0 = Relu (c0)
       c1 = Conv (r0, k1)
       r1 = Relu (c1)
       f = Flatten (r1)
       h = MatMul (f, w1)
       t = Tanh (h)
       y = MatMul (t, w2)""",
    {
        "k0": normal(4, 1, 3, 3),
        "k1": normal(5, 4, 3, 3, seed=1, scale=0.3),
        "w1": normal(80, 16, seed=2, scale=0.2),
        "w2": normal(16, 3, seed=3, scale=0.3),
    },
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, Array]:
    x = normal(200, 1, 6, 6)
    labels = run(MODEL, {"x": x})["y"].argmax(1).astype(np.int64)
    path = tmp_path_factory.mktemp("binary") / "out"
    data = {"x": x, "labels": labels}
    artifact = actc.compile(MODEL, "onnx", data=data, output=path, binarize="auto,max_drop=1")
    return artifact.report, path, x


def test_layers_and_figures(compiled: tuple[dict[str, Any], Path, Array]) -> None:
    report = compiled[0]
    binary = report["binary"]
    counts = {row["layer"]: (row["weights"], row["operations"]) for row in binary["layers"]}
    assert list(counts.values()) == [(180, 16 * 180), (1280, 1280)]
    assert [row["inputs"] for row in binary["layers"]] == ["-1, 1", "-1, 1"]
    assert binary["operations"] == 16 * 180 + 1280
    weights = 36 + 180 + 1280 + 48
    bits = 8 * (36 + 48) + 184 + 1280  # whole bytes per layer
    assert (binary["weights"], binary["binary_weights"]) == (weights, 1460)
    assert binary["model_bits"] == bits
    assert binary["compression"] == pytest.approx(32 * weights / bits)
    assert {row["layer"]: row["chosen"] for row in binary["candidates"]} == dict.fromkeys(
        counts, True
    )


def test_agreement_is_counted_on_the_bits(compiled: tuple[dict[str, Any], Path, Array]) -> None:
    """The first tensor by its definition, from the models that were written."""
    report, path, x = compiled
    golden = onnx.load(path / "golden.onnx")
    row = report["binary"]["tensors"][0]
    assert row["origin"] == "r0"
    assert 0.9 < row["agreement"] <= 1
    assert report["binary"]["tensors"][1]["agreement"] < row["agreement"]
    steps = next(node for node in golden.graph.node if node.op_type == "Steps")
    bits = run(golden, {"x": x}, steps.output[0])[steps.output[0]] > 1
    assert row["high"] == pytest.approx(bits.mean(), abs=0.02)
    real = run(MODEL, {"x": x}, "r0")["r0"]
    by_channel = [real[:, c][bits[:, c]].min() - real[:, c][~bits[:, c]].max() for c in range(4)]
    assert min(by_channel) > -0.1 * real.std()  # one cut per channel, but for rounding


def test_text_and_page_show_them(compiled: tuple[dict[str, Any], Path, Array]) -> None:
    report, path, _ = compiled
    text, page = render_text(report), (path / "report.html").read_text(encoding="utf-8")
    for name in ("c1", "h"):
        assert name in text
    assert "xnor operations" in text
    assert f"{report['binary']['model_bits']:,}" in text
    assert 'id="binary"' in page
    assert f"{report['binary']['operations']:,}" in page


def test_a_network_without_binary_layers_has_no_such_section() -> None:
    report, curves = small()
    assert 'id="binary"' not in render_html(report, curves, "timings.js")
    assert "xnor" not in render_text(report)


def test_hostile_names_and_missing_keys() -> None:
    report, curves = small()
    report["binary"] = {
        "layers": [{"layer": HOSTILE, "kind": HOSTILE, "operations": None}],
        "tensors": [{"origin": HOSTILE, "agreement": 0.5}],
        "candidates": [{"layer": HOSTILE, "error_alone": 0.1, "bits": HOSTILE, "codebook": BOOK}],
    }
    page = render_html(report, curves, "timings.js")
    assert "<script>alert" not in page
    assert 'onmouseover="' not in page
    assert "50.0" in page
    assert "\x1b" not in render_text(report)
