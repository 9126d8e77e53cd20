"""Binary layers from the command line, from actc.toml, and what is refused beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, normal, run

import actc
from actc.errors import UsageError

MODEL = network(
    "float[N,8] x => float[N,3] y",
    """h0 = MatMul (x, w0)
       a0 = Relu (h0)
       h1 = MatMul (a0, w1)
       a1 = Relu (h1)
       y = MatMul (a1, w2)""",
    {"w0": normal(8, 12), "w1": normal(12, 12, seed=1), "w2": normal(12, 3, seed=2)},
)


def data() -> dict[str, Any]:
    x = normal(120, 8)
    return {"x": x, "labels": run(MODEL, {"x": x})["y"].argmax(1).astype(np.int64)}


def compiled(tmp_path: Path, **options: Any) -> dict[str, Any]:
    options = {"max_drop": 1.0, "data": data(), **options}
    return actc.compile(MODEL, "onnx", output=tmp_path / "out", **options).report


def bits(report: dict[str, Any]) -> list[str]:
    return [row["bits"] for row in report["layers"]]


@pytest.mark.parametrize(
    ("options", "expected", "tensors"),
    [
        ({"binarize": "all"}, ["8", "binary", "8"], ["a0"]),
        ({"binarize": "auto"}, ["8", "binary", "8"], ["a0"]),
        ({"binarize": "h1,weights=ternary,last=4"}, ["8", "ternary", "8"], ["a0"]),
        ({"binarize": "all,weights=ternary,last=4"}, ["8", "ternary", "4"], ["a0"]),
        ({"activations": "binary"}, ["8", "8", "8"], ["a0"]),
        ({"activations": "1", "weights": "binary"}, ["8", "binary", "8"], ["a0"]),
        ({"overrides": {"activations": {"a1": 1}}}, ["8", "8", "8"], ["a1"]),
        (
            {"binarize": "all", "overrides": {"activations": {"a1": 1}, "weights": {"y": "3"}}},
            ["8", "binary", "3"],
            ["a0", "a1"],
        ),
        ({"binarize": "all,last=binary", "end": "argmax"}, ["8", "binary", "binary"], ["a0", "a1"]),
    ],
)
def test_options(
    options: dict[str, Any], expected: list[str], tensors: list[str], tmp_path: Path
) -> None:
    report = compiled(tmp_path, **options)
    if "overrides" in options and "weights" in options["overrides"]:
        (last,) = [n.name for n in onnx.load(tmp_path / "out/float.onnx").graph.node][-1:]
        assert last in ("", "y")
    assert bits(report) == expected
    assert [row["origin"] for row in report["binary"]["tensors"]] == tensors
    assert report["bit_exact"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"binarize": "all", "budget": "rms=0.1"}, "ACT0245", "--budget"),
        ({"activations": "binary", "budget": "size=1KB"}, "ACT0245", "--budget"),
        ({"binarize": "all", "scales": "power-of-two"}, "ACT0245", "--scales"),
        ({"binarize": "all", "activations": "binary"}, "ACT0245", "--activations"),
        ({"binarize": "all", "passes": "normalize,recognize,calibrate,approximate,quantize,"
          "weights,integerize"}, "ACT0245", "--passes"),
        ({"binarize": "all", "precision": "float32"}, "ACT0229", "--binarize"),
        ({"activations": "2x"}, "ACT0224", "binary"),
        ({"binarize": "nothing*"}, "ACT0247", "nothing"),
        ({"overrides": {"activations": {"h9": 1}}}, "ACT0247", "h9"),
        ({"binarize": "auto", "data": {"x": normal(50, 8)}}, "ACT0246", "labels"),
    ],
)  # fmt: skip
def test_refused(options: dict[str, Any], code: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(tmp_path, **options)
    found = caught.value.diagnostics[0]
    assert found.code == code
    assert words in f"{found.message} {found.help}"


def test_a_golden_model_takes_no_such_option(tmp_path: Path) -> None:
    compiled(tmp_path)
    with pytest.raises(UsageError, match="ACT0229"):
        actc.compile(tmp_path / "out/golden.onnx", "onnx", data=data(), binarize="all")


def test_configuration_file(tmp_path: Path) -> None:
    path = tmp_path / "actc.toml"
    path.write_text('[compile]\nbinarize = "all"\n[activations]\na1 = 1\n', encoding="utf-8")
    found = actc.read_config(path)
    report = compiled(tmp_path, overrides=found.overrides, **found.options)
    assert [row["origin"] for row in report["binary"]["tensors"]] == ["a0", "a1"]
