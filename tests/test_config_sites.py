"""Choices for single activations: [sites] of actc.toml, and overrides of actc.compile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from onnx import helper, numpy_helper

import actc
from actc.config import read_config
from actc.errors import UsageError


def network() -> onnx.ModelProto:
    """Three activations behind products, the last a family of channels."""
    generator = np.random.default_rng(7)

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)

    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"], name="p1"),
        helper.make_node("Sigmoid", ["m1"], ["s1"], name="first"),
        helper.make_node("MatMul", ["s1", "w2"], ["m2"], name="p2"),
        helper.make_node("Tanh", ["m2"], ["s2"], name="second"),
        helper.make_node("MatMul", ["s2", "w3"], ["m3"], name="p3"),
        helper.make_node("PRelu", ["m3", "slopes"], ["y"], name="third"),
    ]
    slopes = numpy_helper.from_array(np.array([0.1, 0.2, 0.3, 0.4], np.float32), "slopes")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 4])],
        [*(weights(f"w{i}", 4, 4) for i in (1, 2, 3)), slopes],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


DATA = {"x": np.random.default_rng(3).standard_normal((64, 4)).astype(np.float32)}


def compiled(folder: Path, sites: dict[str, Any], **options: Any) -> actc.Artifact:
    overrides = {"sites": sites} if sites else None
    return actc.compile(
        network(), "onnx", data=DATA, output=folder, overrides=overrides, max_drop=1.0, **options
    )


def forms(artifact: actc.Artifact) -> dict[str, tuple[str, int | None]]:
    rows = artifact.report["activations"]
    return {row["nodes"][0]: (row["form"], row.get("segments")) for row in rows}


def test_single_activations_have_their_own_form(tmp_path: Path) -> None:
    usual = forms(compiled(tmp_path / "usual", {}))
    assert {form for form, _ in usual.values()} == {"table"}
    sites = {"first": {"form": "pwl", "segments": 3}, "second": {"max_error": 0.1}}
    found = compiled(tmp_path / "chosen", sites)
    assert found.report["bit_exact"] is True
    chosen = forms(found)
    assert chosen["first"] == ("pwl", 3)
    assert chosen["second"][0] == "pwl"
    assert chosen["third"] == usual["third"]
    coarse = chosen["second"][1]
    fine = forms(compiled(tmp_path / "fine", {"second": {"max_error": 0.001}}))["second"][1]
    assert coarse is not None
    assert fine is not None
    assert coarse < fine
    manifest = json.loads((tmp_path / "chosen" / "manifest.json").read_text())
    assert manifest["request"]["options"]["overrides"]["sites"] == sites


def test_a_single_activation_stays_as_it_is(tmp_path: Path) -> None:
    found = compiled(tmp_path / "out", {"first": {"form": "table"}}, approx="pwl")
    assert forms(found)["first"][0] == "table"
    assert forms(found)["second"][0] == "pwl"


def test_float_networks_have_choices_too(tmp_path: Path) -> None:
    sites = {"first": {"form": "exact"}, "second": {"form": "pwl", "segments": 5}}
    found = forms(compiled(tmp_path / "out", sites, precision="float32"))
    assert found["first"][0] == "exact"
    assert found["second"] == ("pwl", 5)


def test_bits_of_what_an_activation_reads(tmp_path: Path) -> None:
    usual = compiled(tmp_path / "usual", {}, activations="8")
    wide = compiled(tmp_path / "wide", {"second": {"bits": 12}}, activations="8")

    def sizes(artifact: actc.Artifact) -> dict[str, int]:
        assert artifact.path is not None
        golden = onnx.load(artifact.path / "golden.onnx")
        return {
            node.name: int(np.prod(tensor.dims))
            for node in golden.graph.node
            if node.op_type == "Table"
            for tensor in golden.graph.initializer
            if tensor.name == node.input[1]
        }

    before, after = sorted(sizes(usual).values()), sorted(sizes(wide).values())
    assert after[-1] > 4 * before[-1]
    assert after[:-1] == before[:-1]
    assert wide.report["bit_exact"] is True


def test_a_form_without_effect_is_said(tmp_path: Path) -> None:
    report = compiled(tmp_path / "out", {"third": {"form": "pwl"}}).report
    found = [item for item in report["diagnostics"] if item["code"] == "ACT0710"]
    assert [(item["severity"], item["node"]) for item in found] == [("warning", "third")]


def test_all_mistakes_at_once() -> None:
    sites: dict[str, Any] = {
        "a": {"from": "pwl"},
        "b": {"form": "spline", "bits": 17},
        "c": {"segments": 0, "max_error": 1e-3},
        "d": {"form": "table", "segments": 4},
        "e": {"max_error": float("nan")},
        "f": 3,
    }
    with pytest.raises(UsageError) as caught:
        actc.compile(network(), "onnx", data=DATA, overrides={"sites": sites})
    found = [(item.place.node, item.message.split("'")[1]) for item in caught.value.diagnostics]
    assert found == [
        *(("a", "from"), ("b", "form"), ("b", "bits"), ("c", "segments"), ("c", "segments")),
        *(("d", "segments"), ("e", "max_error"), ("f", "sites")),
    ]
    assert "did you mean 'form'?" in caught.value.diagnostics[0].help


def test_names_that_are_no_activation(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'second'") as caught:
        compiled(tmp_path / "out", {"secnd": {"form": "pwl"}})
    assert [item.code for item in caught.value.diagnostics] == ["ACT0234"]


@pytest.mark.parametrize(
    ("options", "sites", "code"),
    [
        ({"precision": "float32"}, {"first": {"bits": 12}}, "ACT0229"),
        ({"budget": "rms=0.1"}, {"first": {"form": "pwl"}}, "ACT0231"),
    ],
)
def test_what_cannot_be_joined(
    tmp_path: Path, options: dict[str, str], sites: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError, match=code):
        compiled(tmp_path / "out", sites, **options)


def test_the_file(tmp_path: Path, actc_cli: CommandLine) -> None:
    folder = actc_cli.directory
    onnx.save(network(), folder / "model.onnx")
    np.savez(folder / "data.npz", x=DATA["x"])
    text = '[compile]\ntarget = "onnx"\ndata = "data.npz"\noutput = "out"\n'
    text += '[sites.first]\nform = "pwl"\nsegments = 3\n'
    (folder / "actc.toml").write_text(text)
    done = actc_cli("compile", "model.onnx", "--max-drop", "1", "--json")
    assert done.status == 0, done.stderr
    rows = {row["nodes"][0]: row for row in done.document["activations"]}
    assert (rows["first"]["form"], rows["first"]["segments"]) == ("pwl", 3)
    (folder / "actc.toml").write_text(text + 'fomr = "table"\n[target]\nclok = 3\nclock = []\n')
    with pytest.raises(UsageError) as caught:
        read_config(folder / "actc.toml")
    hints = [item.help for item in caught.value.diagnostics]
    assert len(hints) == 3
    assert "did you mean 'form'?" in hints[0]
    assert "did you mean 'clock'?" in hints[1]


def test_choices_are_reproduced(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    np.savez(tmp_path / "data.npz", x=DATA["x"])
    sites = {"first": {"form": "pwl", "max_error": 0.05}}
    actc.compile(
        tmp_path / "model.onnx",
        "onnx",
        data=tmp_path / "data.npz",
        output=tmp_path / "out",
        overrides={"sites": sites},
        max_drop=1.0,
    )
    found = actc.reproduce(tmp_path / "out" / "manifest.json")
    assert found["equal"] is True
