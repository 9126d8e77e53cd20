"""actc check --sites and actc bisect, on a network of which one layer is made bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import MODEL, labelled
from command_line import CommandLine
from sealed import sealed

import actc
from actc.errors import UsageError
from actc.ranking import toml_text
from actc.sensitivity.record import FORMATS

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "digits"


@pytest.fixture(scope="module")
def crude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits CNN with 3-bit tensors, which costs it much of its accuracy."""
    folder = tmp_path_factory.mktemp("compiled") / "out"
    actc.compile(
        EXAMPLES / "cnn.onnx",
        "onnx",
        data=EXAMPLES / "digits.npz",
        output=folder,
        activations="3",
        weights="4",
        rounding="nearest",
        max_drop=0.9,
    )
    return folder


def found(directory: Path) -> dict[str, Any]:
    result: dict[str, Any] = actc.check(directory, EXAMPLES / "digits.npz", sites=True)
    return result


def test_the_directory_holds_what_rebuilds_the_model(crude: Path) -> None:
    manifest = json.loads((crude / "manifest.json").read_text())
    assert FORMATS in manifest["files"]
    golden = (crude / "golden.onnx").stat().st_size
    assert (crude / FORMATS).stat().st_size < golden


def test_ranking(crude: Path) -> None:
    report = found(crude)
    ranking = report["ranking"]
    assert report["bit_exact"] is True
    shares = [row["share"] for row in ranking["sites"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert sum(row["share"] for row in ranking["layers"]) == pytest.approx(1)
    assert {row["bits"] for row in ranking["sites"] if row["kind"] == "tensor"} == {"3"}
    assert ranking["method"] == "behind"
    worst = ranking["sites"][0]
    assert ranking["overrides"]["activations"][worst["name"]] == 8
    json.dumps(report, allow_nan=False)


def test_the_simulation_is_the_compiled_model(crude: Path) -> None:
    """Rebuilt from its files, it errs as golden does."""
    report = found(crude)
    (golden,) = [row for row in report["outputs"] if row["stage"] == "golden"]
    relative = golden["rms"] / golden["reference_rms"]
    assert report["ranking"]["measured"] == pytest.approx(relative, rel=0.1)


def test_the_worst_site_is_returned_first(crude: Path) -> None:
    before = found(crude)["ranking"]
    result = actc.bisect(crude, EXAMPLES / "digits.npz", max_drop=0.01)
    assert len(result["returned"]) < len(before["sites"])
    largest = {row["name"] for row in before["sites"][: len(result["returned"])]}
    assert largest & {row["name"] for row in result["returned"]}


def test_bisect_finds_the_smallest_prefix(crude: Path) -> None:
    result = actc.bisect(crude, EXAMPLES / "digits.npz", max_drop=0.025)
    losses = {step["returned"]: step["loss"] for step in result["steps"]}
    count = len(result["returned"])
    assert result["measure"] == "accuracy"
    assert result["loss"] == losses[0] > 0.025 >= result["loss_after"] == losses[count]
    assert count >= 1
    assert losses[count - 1] > 0.025
    assert losses[result["sites"]] == 0
    assert len(losses) <= 2 + np.ceil(np.log2(result["sites"]))


def test_without_labels_it_compares_classes(crude: Path) -> None:
    images = {"image": np.load(EXAMPLES / "digits.npz")["image"][:100]}
    result = actc.bisect(crude, images, max_drop=0.045)
    assert result["measure"] == "agreement"
    assert result["loss"] > 0.045 >= result["loss_after"]


def test_a_good_model_needs_nothing(tmp_path: Path, actc_cli: CommandLine) -> None:
    out = tmp_path / "out"
    actc.compile(MODEL, "onnx", data=labelled(), output=out, max_drop=0.9)
    np.savez(tmp_path / "data.npz", **labelled())
    done = actc_cli("bisect", out, "--data", tmp_path / "data.npz", "--max-drop", "0.9")
    assert (done.status, "nothing needs to stay float" in done.stdout) == (0, True)
    done = actc_cli("bisect", out, "--data", tmp_path / "data.npz", "--max-drop", "0.9", "--json")
    assert json.loads(done.stdout)["returned"] == []
    done = actc_cli("check", out, "--data", tmp_path / "data.npz", "--sites")
    assert done.status == 0
    assert "errors by site (64 samples" in done.stdout
    assert "errors by layer" in done.stdout
    assert "site 1 of" in done.stderr


def test_a_damaged_record(crude: Path, tmp_path: Path, actc_cli: CommandLine) -> None:
    copy = tmp_path / "out"
    copy.mkdir()
    for path in crude.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    data = EXAMPLES / "digits.npz"
    text = (copy / FORMATS).read_text()
    for damaged in ("", "[]", text.replace('"getitem"', '"other"'), text.replace("scale", "s")):
        (copy / FORMATS).write_text(damaged)
        done = actc_cli("bisect", sealed(copy), "--data", data)
        assert (done.status, "ACT0233" in done.stderr) == (2, True), damaged[:20]
    (copy / FORMATS).unlink()
    assert actc_cli("check", sealed(copy), "--data", data).status == 0
    assert "ACT0233" in actc_cli("check", copy, "--data", data, "--sites").stderr


def test_float_models_have_no_sites(tmp_path: Path) -> None:
    actc.compile(MODEL, "onnx", data=labelled(), output=tmp_path / "out", precision="float32")
    with pytest.raises(UsageError, match="ACT0233"):
        actc.bisect(tmp_path / "out", labelled())


def test_wrong_budget(crude: Path) -> None:
    with pytest.raises(UsageError, match="ACT0224"):
        actc.bisect(crude, EXAMPLES / "digits.npz", max_drop=1.5)


def test_names_are_quoted_for_toml() -> None:
    tomllib = pytest.importorskip("tomllib")
    names = ["/model/a.0/MatMul", 'a "b" \\ c', "é\n\x7f"]
    overrides = {"activations": dict.fromkeys(names, 16), "weights": {"n": 8}}
    assert tomllib.loads(toml_text(overrides)) == overrides
