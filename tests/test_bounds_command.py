"""actc check --bound: what it prints, what it refuses, and that it reads its directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import MODEL, labelled
from command_line import CommandLine
from models import network, normal
from sealed import sealed

import actc
from actc.bounds import bound_outputs, prove
from actc.bounds.proof import Proof
from actc.errors import InternalError, UsageError
from actc.sensitivity.record import FORMATS

Array = np.ndarray[Any, Any]
KINDS = ("weights", "rounding", "saturation")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bound")
    generator = np.random.default_rng(0)
    model = network(
        "float[N,5] x => float[N,3] y, float[N,8] g",
        "h = MatMul(x, w) a = Add(h, b) g = Gelu(a) o = MatMul(g, v) y = Add(o, c)",
        {"w": normal(5, 8), "b": normal(8), "v": normal(8, 3), "c": normal(3)},
    )
    data = generator.uniform(-1, 1, (128, 5)).astype(np.float32)
    np.savez(folder / "data.npz", x=data)
    actc.compile(model, "onnx", data={"x": data}, output=folder / "out", activations="8")
    return folder


def test_the_document(compiled: Path) -> None:
    found = actc.check(compiled / "out", compiled / "data.npz", bound="data")["bound"]
    json.dumps(found, allow_nan=False)
    assert found["region"] == "data"
    assert "on the data" in found["holds_for"]
    (given,) = found["inputs"]
    data = np.load(compiled / "data.npz")["x"]
    assert (given["low"], given["high"]) == (data.min(), data.max())
    assert given["outside"] == 0
    assert [row["name"] for row in found["outputs"]] == ["y", "g"]
    for row in found["outputs"]:
        assert 0 < row["measured"] < row["bound"] < row["reach"]
        assert sum(layer["share"] for layer in row["layers"]) == pytest.approx(1.0)
        for layer in row["layers"]:
            parts = sum(layer[kind] for kind in KINDS)
            assert layer["share"] == pytest.approx(parts)
    names = {layer["name"] for layer in found["outputs"][0]["layers"]}
    assert names == {None, "h", "o"}


def test_the_region_of_the_format(compiled: Path) -> None:
    data = np.load(compiled / "data.npz")["x"].copy()
    data[3] = 7.0
    narrow = bound_outputs(compiled / "out", compiled / "data.npz", "data")
    wide = bound_outputs(compiled / "out", {"x": data}, "format")
    (given,) = wide["inputs"]
    out = ((data < given["low"]) | (data > given["high"])).any(axis=1)
    assert given["outside"] == out.sum() >= 1
    assert given["low"] < -0.99
    assert wide["outputs"][0]["bound"] > narrow["outputs"][0]["bound"]
    assert wide["outputs"][0]["measured"] < narrow["outputs"][0]["bound"]


def test_without_a_sample_in_the_region_nothing_is_measured(compiled: Path) -> None:
    data = np.full((4, 5), 9.0, np.float32)
    found = bound_outputs(compiled / "out", {"x": data}, "format")
    assert found["outputs"][0]["measured"] is None


def test_what_is_printed(compiled: Path, actc_cli: CommandLine) -> None:
    data = compiled / "data.npz"
    done = actc_cli("check", compiled / "out", "--data", data, "--bound")
    assert done.status == 0
    assert "every input that the quantizers of the inputs represent" in done.stdout
    assert "values outside saturate" in done.stdout
    assert "output y: at most" in done.stdout
    assert "on the data: largest difference 0.0" in done.stdout
    assert "share  weights  rounding  saturation  layer" in done.stdout
    done = actc_cli("check", compiled / "out", "--data", data, "--region", "data")
    assert "between the least and the largest value" in done.stdout
    assert "proven" not in actc_cli("check", compiled / "out", "--data", data).stdout
    done = actc_cli("check", compiled / "out", "--data", data, "--bound", "--json")
    assert done.document["bound"]["region"] == "format"


def test_an_unknown_region(compiled: Path, actc_cli: CommandLine) -> None:
    data = compiled / "data.npz"
    done = actc_cli("check", compiled / "out", "--data", data, "--region", "all")
    assert (done.status, "ACT0368" in done.stderr) == (2, True)
    assert "format, data" in done.stderr


def test_a_directory_of_before(compiled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(compiled / "out", copy)
    found = json.loads((copy / FORMATS).read_text())
    del found["golden"]
    (copy / FORMATS).write_text(json.dumps(found))
    with pytest.raises(UsageError, match=r"ACT0233.*does not name golden's values"):
        bound_outputs(sealed(copy), compiled / "data.npz")


def test_float_models_have_no_bound(tmp_path: Path) -> None:
    actc.compile(MODEL, "onnx", data=labelled(), output=tmp_path / "out", precision="float32")
    with pytest.raises(UsageError, match="ACT0233"):
        bound_outputs(tmp_path / "out", labelled())


def test_recurrent_layers_have_no_bound(tmp_path: Path, actc_cli: CommandLine) -> None:
    model = network(
        "float[N,4,3] x => float[N,6] y",
        "t = Transpose<perm = [1, 0, 2]>(x) s, h = GRU<hidden_size = 6>(t, w, r) y = Squeeze(h, z)",
        {"w": normal(1, 18, 3), "r": normal(1, 18, 6), "z": np.array([0])},
    )
    data = {"x": normal(16, 4, 3)}
    np.savez(tmp_path / "data.npz", x=data["x"])
    actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    done = actc_cli("check", tmp_path / "out", "--data", tmp_path / "data.npz", "--bound")
    assert (done.status, "ACT0366" in done.stderr) == (2, True)
    assert "(GRU)" in done.stderr


def test_a_sample_above_the_bound_is_an_internal_error(
    compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = prove

    def wrong(*arguments: Any) -> Proof:
        proof = right(*arguments)
        for bound in proof.bounds:
            bound.low[:] /= 1000
            bound.high[:] /= 1000
        return proof

    monkeypatch.setattr("actc.bounds.measure.prove", wrong)
    with pytest.raises(InternalError, match=r"ACT0901.*more than the bound"):
        bound_outputs(compiled / "out", compiled / "data.npz")
