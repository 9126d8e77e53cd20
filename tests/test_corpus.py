"""The export corpus: each activation is one site, however and whenever it was exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import actc

CORPUS = Path(__file__).resolve().parent / "corpus"
MANIFEST: dict[str, Any] = json.loads((CORPUS / "manifest.json").read_text())
MODELS: list[dict[str, Any]] = MANIFEST["models"]
REQUIRED = {
    "gelu", "gelu_tanh", "silu", "mish", "hardswish", "softplus", "elu", "snake", "golu", "pade",
    "two_parameters",
}  # fmt: skip
COMPILED = (
    "gelu-dynamo-18.onnx",
    "gelu_tanh-torchscript-17.onnx",
    "softplus-dynamo-20.onnx",
    "pade-torchscript-23.onnx",
    "two_parameters-dynamo-18-conv.onnx",
    "golu-torchscript-18-conv.onnx",
    "snake_channels-dynamo-18-conv.onnx",
    "prelu_channels-torchscript-20.onnx",
)
LARGEST_FILE = 4000


def path_of(entry: dict[str, Any]) -> Path:
    return CORPUS / "models" / str(entry["file"])


def test_manifest_and_files_agree() -> None:
    listed = [entry["file"] for entry in MODELS]
    assert sorted(listed) == sorted(p.name for p in (CORPUS / "models").iterdir())
    assert len(set(listed)) == len(listed)


def test_every_combination_is_there_or_explained() -> None:
    known = [*MODELS, *MANIFEST["missing"]]
    linear = {(e["function"], e["exporter"], e["opset"]) for e in known if e["layer"] == "linear"}
    for function in REQUIRED:
        for exporter in ("dynamo", "torchscript"):
            for opset in (17, 18, 20, 23):
                assert (function, exporter, opset) in linear
    assert all(entry["reason"] for entry in MANIFEST["missing"])
    # Only torch itself can be the reason: no way down from the Mish of opset 18.
    assert [entry["file"] for entry in MANIFEST["missing"]] == ["mish-dynamo-17.onnx"]


@pytest.mark.parametrize("entry", MODELS, ids=lambda e: e["file"])
def test_file_is_what_its_name_says(entry: dict[str, Any]) -> None:
    path = path_of(entry)
    model = onnx.load(path)
    assert path.stat().st_size < LARGEST_FILE
    assert [o.version for o in model.opset_import if o.domain == ""] == [entry["opset"]]
    assert not model.metadata_props
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


@pytest.mark.parametrize("entry", MODELS, ids=lambda e: e["file"])
def test_one_site_with_the_right_name(entry: dict[str, Any]) -> None:
    result = actc.inspect(path_of(entry))
    assert result["unsupported"] == []
    assert len(result["activations"]) == 1
    (site,) = result["activations"]
    assert site["function"] == entry["label"]
    assert (site["channels"] or 1) == entry["channels"]
    model = onnx.load(path_of(entry))
    layers = {"Gemm", "Conv", "Constant"}
    inside = {node.name for node in model.graph.node if node.op_type not in layers}
    assert inside == set(site["nodes"])


@pytest.mark.parametrize("name", COMPILED)
def test_compiles_to_integers(name: str, tmp_path: Path) -> None:
    path = CORPUS / "models" / name
    rng = np.random.default_rng(0)
    shape = (256, 2, 5, 5) if "-conv" in name else (256, 4)
    data = {"x": rng.standard_normal(shape).astype(np.float32)}
    artifact = actc.compile(path, target="onnx", data=data, output=tmp_path / "out")
    assert artifact.report["bit_exact"] is True
    assert artifact.report["left_float"] == []
    assert len(artifact.report["activations"]) == 1

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = (np.asarray(y) for y in session.run(None, data))
    (result,) = artifact.run(data).values()
    noise = float(np.sqrt(np.mean((result - expected) ** 2)) / np.std(expected))
    # int8 signal-to-noise of better than 30 dB behind two layers
    assert noise < 0.03
