"""compile(), check(), inspect() and load(): what they give, and that it repeats."""

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
from actc.errors import ModelError, UsageError

Array = np.ndarray[Any, Any]

REPORT_KEYS = {
    "target", "precision", "accuracy", "bit_exact", "samples", "activations", "left_float",
    "bytes", "seconds", "diagnostics",
}  # fmt: skip
FILES = {
    "golden.onnx", "approximated.onnx", "report.json", "report.html", "manifest.json",
    "certificates.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> actc.Artifact:
    folder = tmp_path_factory.mktemp("compiled")
    return actc.compile(MODEL, "onnx", data=labelled(), output=folder / "out", max_drop=0.2)


def codes(report: dict[str, Any]) -> list[str]:
    return [d["code"] for d in report["diagnostics"]]


def test_report(artifact: actc.Artifact) -> None:
    report = artifact.report
    assert set(report) >= REPORT_KEYS
    assert (report["target"], report["precision"]) == ("onnx", "int8")
    assert set(report["accuracy"]) == {"float", "approximated", "golden", "artifact"}
    assert report["accuracy"]["float"] == 1.0
    assert report["accuracy"]["golden"] == report["accuracy"]["artifact"] >= 0.9
    assert (report["bit_exact"], report["samples"]) == (True, 96)
    assert report["left_float"] == []
    assert [site["function"] for site in report["activations"]] == ["SiLU", "Tanh"]
    for site in report["activations"]:
        assert {"id", "function", "form", "max_error", "nodes", "input", "output"} <= set(site)
        assert site["form"] == "table"
        assert 0 < site["max_error"] < 0.1
    assert report["bytes"] > 0
    assert report["seconds"] > 0
    assert codes(report) == []


def test_files(artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    written = {path.name for path in artifact.path.iterdir()}
    assert written >= FILES | {"model.qdq.onnx"}
    report = json.loads((artifact.path / "report.json").read_text())
    differing = {key for key in report if report[key] != artifact.report[key]}
    assert differing == {"seconds"}
    assert report["seconds"] is None, "times would differ from run to run"
    manifest = json.loads((artifact.path / "manifest.json").read_text())
    assert set(manifest["files"]) == written - {"manifest.json", "timings.js"}
    assert manifest["not_reproducible"] == ["timings.js"]
    assert manifest["passes"][:2] == ["read_quantized", "normalize"]
    text = "".join(
        path.read_text() for path in artifact.path.iterdir() if path.suffix in {".json", ".html"}
    )
    assert str(artifact.path.parent) not in text


def test_errors_of_the_report_are_those_of_the_files(artifact: actc.Artifact) -> None:
    """Recomputed here from the files, with plain onnxruntime and numpy."""
    assert artifact.path is not None
    x = images()
    stages = {
        name: run(onnx.load(artifact.path / f"{name}.onnx"), {"x": x})["y"].astype(np.float64)
        for name in ("float", "approximated", "golden")
    }
    for row in artifact.report["outputs"]:
        error = np.abs(stages[row["stage"].replace("artifact", "golden")] - stages["float"])
        assert row["max"] == pytest.approx(error.max(), rel=1e-5)
        assert row["rms"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert {row["stage"] for row in artifact.report["outputs"]} == {
        "approximated", "golden", "artifact",
    }  # fmt: skip


def test_the_artefact_runs(artifact: actc.Artifact) -> None:
    assert artifact.path is not None
    x = images(7, seed=9)
    expected = run(onnx.load(artifact.path / "golden.onnx"), {"x": x})["y"]
    for opened in (artifact, actc.load(artifact.path), actc.load(str(artifact.path))):
        np.testing.assert_array_equal(opened.run(x)["y"], expected)
        np.testing.assert_array_equal(opened.load()({"x": x})["y"], expected)


@pytest.mark.parametrize(
    "feeds",
    [
        {"z": images(2)},
        {"x": images(2), "z": images(2)},
        {},
        images(2)[:, :, :4],
        images(2).astype(np.float64),
        images(2)[0],
    ],
    ids=["name", "one too many", "none", "shape", "type", "rank"],
)
def test_wrong_inputs_of_the_artefact(artifact: actc.Artifact, feeds: Any) -> None:
    with pytest.raises(UsageError):
        artifact.run(feeds)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"target": 7}', '{"target": "no such target"}']
)
def test_load_refuses_other_directories(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
        (tmp_path / "report.json").write_text("{}")
    with pytest.raises(UsageError):
        actc.load(tmp_path)


# compile: options


def test_a_missed_budget_is_an_error_in_the_report_and_files_are_written(tmp_path: Path) -> None:
    data = hardest()
    artifact = actc.compile(MODEL, "onnx", data=data, output=tmp_path / "out", max_drop=0.0)
    assert artifact.report["accuracy"]["artifact"] < 1.0
    (found,) = artifact.report["diagnostics"]
    assert (found["code"], found["severity"]) == ("ACT0601", "error")
    assert (tmp_path / "out" / "golden.onnx").is_file()
    generous = actc.compile(MODEL, "onnx", data=data, output=tmp_path / "two", max_drop=1.0)
    assert codes(generous.report) == []


def test_a_dry_run_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = actc.compile(MODEL, "onnx", data={"x": images(8)}, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert artifact.path is None
    assert artifact.plan is not None
    assert set(artifact.plan.files) == {"model.qdq.onnx"}
    assert len(artifact.report["activations"]) == 2
    assert artifact.report["bit_exact"] is None
    with pytest.raises(UsageError) as caught:
        artifact.run(images(1))
    assert [d.code for d in caught.value.diagnostics] == ["ACT0242"]


def test_the_plan_is_a_value(tmp_path: Path) -> None:
    plans = [
        actc.compile(MODEL, "onnx", data={"x": images(8, seed)}, dry_run=True).plan
        for seed in (1, 1, 2)
    ]
    first, second, third = (plan.digest() for plan in plans if plan is not None)
    assert first == second != third


def test_the_default_output_is_named_after_model_and_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(MODEL, tmp_path / "net.onnx")
    artifact = actc.compile("net.onnx", "onnx", data={"x": images(8)})
    assert artifact.path == Path("net-onnx")
    assert (tmp_path / "net-onnx" / "report.json").is_file()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"target": "onx"}, "ACT0201"),
        ({"target": "onnx:fulll"}, "ACT0450"),
        ({"precision": "int7"}, "ACT0224"),
        ({"approx": "magic"}, "ACT0224"),
        ({"calibration": "magic"}, "ACT0224"),
        ({"max_drop": -0.1}, "ACT0224"),
        ({"max_drop": 1.5}, "ACT0224"),
        ({"max_drop": float("nan")}, "ACT0224"),
        ({"passes": "normalise"}, "ACT0201"),
        ({"data": {"z": images(2), "x2": images(2)}}, "ACT0221"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    given = {"target": "onnx", "data": {"x": images(4)}, **options}
    with pytest.raises(UsageError) as caught:
        actc.compile(MODEL, output=tmp_path / "out", **given)
    assert {d.code for d in caught.value.diagnostics} == {code}
    assert list(tmp_path.iterdir()) == []


def test_all_wrong_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        actc.compile(
            MODEL,
            "onnx:fulll",
            approx="magic",
            activations="many",
            groups=-1,
            max_drop=2.0,
            binarize="all,first=9,foo=1",
            output=tmp_path / "out",
        )
    found = "\n".join(d.message for d in caught.value.diagnostics)
    wrong = ["fulll", "magic", "many", "-1 inputs", "max-drop", "'first'", "'foo'"]
    assert all(word in found for word in wrong)
    assert len(caught.value.diagnostics) == len(wrong)


def test_budgets_and_overrides_are_among_them(tmp_path: Path) -> None:
    overrides: dict[str, dict[str, Any]] = {
        "activations": {"a": 99, "b": True},
        "weights": {"c": "many"},
        "bits": {},
    }
    with pytest.raises(UsageError) as caught:
        actc.compile(
            MODEL,
            "onnx",
            budget="much",
            overrides=overrides,
            approx="magic",
            output=tmp_path / "out",
        )
    found = [d.code for d in caught.value.diagnostics]
    assert found == ["ACT0231", *["ACT0234"] * 3, "ACT0226", "ACT0224"]


def test_options_without_meaning_are_all_named(tmp_path: Path) -> None:
    options = {"weights": "4", "end": "argmax"}
    with pytest.raises(UsageError) as caught:
        actc.compile(MODEL, "onnx", precision="float32", output=tmp_path / "out", **options)
    found = [d.message.partition(" ")[0] for d in caught.value.diagnostics]
    assert found == ["--weights", "--end"]


def test_without_data(tmp_path: Path) -> None:
    artifact = actc.compile(MODEL, "onnx", output=tmp_path / "out")
    assert codes(artifact.report) == ["ACT0230"]
    assert artifact.report["data"]["synthetic"] is True
    assert artifact.report["bit_exact"] is True
    assert set(artifact.report["accuracy"].values()) == {None}


def test_dynamic_dimensions_need_data(tmp_path: Path) -> None:
    body = "p = GlobalAveragePool (x)\n y = Tanh (p)"
    model = network("float[N,2,H,W] x => float[N,2,1,1] y", body)
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "onnx", output=tmp_path / "out")
    assert [d.code for d in caught.value.diagnostics] == ["ACT0010"]
    artifact = actc.compile(model, "onnx", data={"x": images(8)}, output=tmp_path / "out")
    assert artifact.report["bit_exact"] is True


@pytest.mark.parametrize("approx", ["auto", "exact", "pwl", "table"])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_forms(tmp_path: Path, approx: str, precision: str) -> None:
    artifact = actc.compile(
        MODEL,
        "onnx",
        data=labelled(32),
        output=tmp_path / "out",
        approx=approx,
        precision=precision,
        max_drop=0.5,
    )
    report = artifact.report
    expected = {"int8": {"pwl": "pwl"}, "float32": {"auto": "pwl", "pwl": "pwl", "exact": "exact"}}
    form = expected[precision].get(approx, "table")
    assert [site["form"] for site in report["activations"]] == [form, form]
    assert report["bit_exact"] is (True if precision == "int8" else None)
    assert (tmp_path / "out" / "golden.onnx").exists() == (precision == "int8")
    (row,) = [r for r in report["outputs"] if r["stage"] == "artifact"]
    limit = {"exact": 1e-5, "pwl": 5e-3}.get(form, 0.1) if precision == "float32" else 0.1
    assert row["rms"] <= limit * row["reference_rms"]
    if form == "exact":
        assert all(site["max_error"] == 0 for site in report["activations"])
    if form == "pwl":
        certificates = json.loads((tmp_path / "out" / "certificates.json").read_text())
        assert len(certificates["certificates"]) == 2


def test_what_stays_float_is_listed_with_its_reason(tmp_path: Path) -> None:
    body = """
      a = MatMul (x, w)
      b = MatMul (x, v)
      e = Exp (b)
      d = Div (a, e)
      c = Greater (a, b)
      f = Where (c, d, a)
      y = Mul (f, b)
    """
    weights = {"w": normal(6, 5), "v": normal(6, 5, seed=1)}
    model = network("float[N,6] x => float[N,5] y", body, weights)
    for node, name in zip(model.graph.node, "abedcfy", strict=True):
        node.name = f"/{name}"
    artifact = actc.compile(
        model, "onnx", data={"x": normal(40, 6)}, output=tmp_path / "out", precision="float32"
    )
    assert [site["nodes"] for site in artifact.report["activations"]] == [["/e"]]
    left = {row["node"]: row["op"] for row in artifact.report["left_float"]}
    assert left == {"/d": "Div", "/c": "Greater", "/f": "Where"}
    assert {row["reason"] for row in artifact.report["left_float"]} == {
        "it joins tensors of different origin"
    }


def test_several_inputs_and_outputs_and_a_fixed_batch(tmp_path: Path) -> None:
    model = network(
        "float[4,6] a, int64[4,3] i => float[4,3,5] y, float[4,5] z",
        "z = MatMul (a, w)\n r = Gather (t, i)\n s = Tanh (r)\n y = MatMul (s, v)",
        {"w": normal(6, 5), "t": normal(9, 4), "v": normal(4, 5)},
    )
    data = {"a": normal(10, 6), "i": np.arange(30).reshape(10, 3) % 9}
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    assert artifact.report["samples"] == 10
    assert {row["name"] for row in artifact.report["outputs"]} == {"y", "z"}
    with pytest.raises(UsageError, match="name the inputs"):
        artifact.run(data["a"])


def test_samples_of_varying_length(tmp_path: Path) -> None:
    model = network(
        "int64[N,L] i => float[N,5] y",
        "r = Gather (t, i)\n m = ReduceMax <keepdims = 0> (r, k)\nh = Tanh (m)\n y = MatMul (h, w)",
        {"t": normal(9, 6), "k": np.array([1]), "w": normal(6, 5)},
    )
    lengths = np.array([4, 7, 2, 7, 1, 5])
    data = {"i": np.arange(42).reshape(6, 7) % 9, "i.lengths": lengths, "labels": np.arange(6) % 5}
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out", max_drop=1)
    assert (artifact.report["samples"], artifact.report["bit_exact"]) == (6, True)
    for length in (1, 3, 12):
        assert artifact.run(np.zeros((2, length), np.int64))["y"].shape == (2, 5)
    assert actc.check(artifact.path or "", data)["accuracy"] == artifact.report["accuracy"]
