"""check() measures again, inspect() looks before: what they find, and what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from classifier import MODEL, hardest, images, labelled
from models import network, normal, run

import actc
from actc.errors import UsageError

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> actc.Artifact:
    folder = tmp_path_factory.mktemp("compiled")
    return actc.compile(MODEL, "onnx", data=labelled(), output=folder / "out", max_drop=0.2)


def codes(report: dict[str, Any]) -> list[str]:
    return [d["code"] for d in report["diagnostics"]]


# check


def test_check_repeats_what_compile_said(artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    found = actc.check(artifact.path, labelled())
    for key in ("target", "precision", "accuracy", "bit_exact", "samples", "outputs"):
        assert found[key] == artifact.report[key], key
    assert found["diagnostics"] == []
    json.dumps(found, allow_nan=False)


def test_check_of_a_model_that_came_as_golden(artifact: actc.Artifact, tmp_path: Path) -> None:
    assert artifact.path is not None
    golden = artifact.path / "golden.onnx"
    again = actc.compile(golden, "onnx", data=labelled(), output=tmp_path / "again")
    assert again.path is not None
    found = actc.check(again.path, labelled())
    assert found["bit_exact"] is True
    assert found["accuracy"]["approximated"] is None


def test_check_on_other_data(artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    found = actc.check(artifact.path, {"x": images(10, seed=77)})
    assert (found["samples"], found["bit_exact"]) == (10, True)
    assert set(found["accuracy"].values()) == {None}
    with pytest.raises(UsageError):
        actc.check(artifact.path, {"x": images(10)[:, :1]})


def test_check_sees_a_drop_of_accuracy(artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    data = hardest()
    golden = run(onnx.load(artifact.path / "golden.onnx"), {"x": data["x"]})["y"]
    wrong = np.flatnonzero(golden.argmax(axis=1) != data["labels"])
    assert len(wrong), "the samples must hold some on which int8 errs"
    found = actc.check(artifact.path, {name: array[wrong] for name, array in data.items()})
    assert found["accuracy"]["float"] == 1.0
    assert found["accuracy"]["artifact"] == 0.0
    assert codes(found) == ["ACT0601"]


def test_check_sees_a_tampered_artefact(tmp_path: Path) -> None:
    artifact = actc.compile(MODEL, "onnx", data={"x": images(8)}, output=tmp_path / "out")
    assert artifact.path is not None
    # The reference is golden.onnx; here the artefact is that file too, so tamper in between.
    target = type(artifact.target)
    original = target.run

    def lying(self: Any, directory: Path, feeds: Any) -> dict[str, Array]:
        outputs = original(self, directory, feeds)
        return {name: np.nextafter(array, np.float32(9)) for name, array in outputs.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "run", lying)
        found = actc.check(artifact.path, {"x": images(8)})
    assert found["bit_exact"] is False
    assert codes(found) == ["ACT0602"]


# inspect


def test_inspect() -> None:
    found = actc.inspect(MODEL)
    assert {"model", "activations", "unsupported", "diagnostics"} <= set(found)
    assert [(a["id"], a["function"]) for a in found["activations"]] == [
        ("a1", "SiLU"),
        ("a2", "Tanh"),
    ]
    for site in found["activations"]:
        assert set(site) == {"id", "function", "nodes", "input", "output", "channels"}
    assert (found["unsupported"], found["diagnostics"]) == ([], [])
    assert found["model"]["inputs"] == [{"name": "x", "shape": ["N", 2, 8, 8], "dtype": "float32"}]


def test_inspect_names_what_has_no_integer_form() -> None:
    body = "a = Hardmax (x)\n b = Tanh (a)\n y = Det (b)"
    model = network("float[N,4,4] x => float[N] y", body)
    for node, name in zip(model.graph.node, ("first", "tanh", "last"), strict=True):
        node.name = name
    found = actc.inspect(model)
    rows = [(row["node"], row["op"]) for row in found["unsupported"]]
    assert rows == [("first", "Hardmax"), ("last", "Det")]
    assert all(row["reason"] for row in found["unsupported"])
    assert [site["function"] for site in found["activations"]] == ["Tanh"]


def test_inspect_names_what_a_target_cannot_take() -> None:
    """Also what depends on shapes: here sums that do not fit 32 bits."""
    weights = {"w": np.ones((140000, 1), np.float32)}
    model = network("float[N,140000] x => float[N,1] y", "y = MatMul (x, w)", weights)
    model.graph.node[0].name = "wide"
    assert actc.inspect(model)["unsupported"] == []
    (row,) = actc.inspect(model, "onnx")["unsupported"]
    assert (row["node"], row["op"]) == ("wide", "MatMul")
    assert "32 bits" in row["reason"]
    assert actc.inspect(MODEL, "onnx") == actc.inspect(MODEL)
    # Made-up row numbers lie beyond this table of two rows: no finding, no failure.
    rows = network("int64[N,3] i => float[N,3,4] y", "y = Gather (t, i)", {"t": normal(2, 4)})
    assert actc.inspect(rows, "onnx")["unsupported"] == []


def test_inspect_works_with_open_dimensions() -> None:
    found = actc.inspect(network("float[N,2,H,W] x => float[N,2,H,W] y", "y = Tanh (x)"))
    assert [site["function"] for site in found["activations"]] == ["Tanh"]
    assert found["model"]["inputs"][0]["shape"] == ["N", 2, "N", "N"]
