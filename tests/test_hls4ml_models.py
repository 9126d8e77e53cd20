"""Networks as hls4ml's example models are, and digits, through `--target hls4ml`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hls4ml_examples as examples
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import golden_of
from hls4ml_networks import needs_hls4ml
from installed import needs_gxx

import actc
from actc.errors import ModelError
from actc.targets.fpga.folded.network import build_folded
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.lower import lower

Make = Callable[[], onnx.ModelProto]
MODELS: dict[str, Make] = {
    "separable": examples.separable,
    "branched": examples.branched,
    "unet": examples.unet,
    "normalized": lambda: examples.normalized(turned=False),
    "digits_mlp": examples.digits_mlp,
    "digits_cnn": examples.digits_cnn,
}


@pytest.mark.parametrize("name", MODELS)
def test_layers_are_golden(name: str) -> None:
    model = MODELS[name]()
    feeds = dict(examples.data_of(model))
    golden = golden_of(model, feeds)
    folded = build_folded(ir.from_proto(golden), "net", more=True)
    words = folded.prologue(feeds)[0]
    expected = folded.program.evaluate([words])[0]
    for io in ("parallel", "stream"):
        found = evaluate(lower(folded.program, "net", io), words)
        np.testing.assert_array_equal(found.ravel(), expected.ravel())


def compiled(name: str, io: str, folder: Path) -> dict[str, Any]:
    """The report of a compilation, which ends with an error where the C simulation differs."""
    model = MODELS[name]()
    actc.compile(model, f"hls4ml:io={io}", data=examples.data_of(model), output=folder / "out")
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return found


def all_equal(report: dict[str, Any]) -> None:
    assert report["bit_exact"] is True
    assert report["samples"] == 24
    assert {"program", "C simulation"} <= {rung["name"] for rung in report["rungs"]}
    assert {rung["result"] for rung in report["rungs"]} == {"equal"}


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("name", "io"), [("branched", "stream"), ("digits_cnn", "parallel"), ("digits_mlp", "stream")]
)
def test_simulation_is_golden(name: str, io: str, tmp_path: Path) -> None:
    all_equal(compiled(name, io, tmp_path))


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("io", ["parallel", "stream"])
def test_all_simulations_are_golden(name: str, io: str, tmp_path: Path) -> None:
    all_equal(compiled(name, io, tmp_path))


def test_channels_along_the_batch_are_refused(tmp_path: Path) -> None:
    """As three_layer_bn_keras of hls4ml has them, and onnx takes them in old opsets."""
    model = examples.normalized(turned=True)
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "hls4ml", data=examples.data_of(model), output=tmp_path / "out")
    problems = caught.value.diagnostics
    assert [problem.code for problem in problems] == ["ACT0007"] * 2
    assert "12 channels" in problems[0].message
    assert "[12, 1]" in problems[0].message
    assert "Transpose" in str(problems[0].help)
    assert not (tmp_path / "out").exists()
