"""`actc compile`, `inspect`, `check`, `report`: results, exit statuses, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from command_line import CommandLine, Finished, run_process
from small_models import make_data, make_model

ACCURACY = {"float", "approximated", "golden", "artifact"}
PRODUCTS = {
    "golden.onnx",
    "approximated.onnx",
    "report.json",
    "report.html",
    "manifest.json",
    "certificates.json",
    "sbom.json",
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """The digits MLP compiled for `onnx`, and how that run ended."""
    examples = Path(__file__).resolve().parent.parent / "examples/digits"
    folder = tmp_path_factory.mktemp("digits")
    done = run_process(
        folder,
        *("compile", examples / "mlp.onnx", "--target", "onnx", "-o", "out", "--json"),
        *("--data", examples / "digits_mlp.npz"),
    )
    return folder / "out", done


def test_compile_document(digits: tuple[Path, Finished]) -> None:
    directory, done = digits
    assert done.status == 0, done.stderr
    document = done.document
    assert document["target"] == "onnx"
    assert document["precision"] == "int8"
    assert set(document["accuracy"]) == ACCURACY
    assert document["accuracy"]["float"] > 0.95
    assert document["accuracy"]["golden"] == document["accuracy"]["artifact"]
    assert document["bit_exact"] is True
    assert document["samples"] == 450
    assert [site["function"] for site in document["activations"]] == ["GELU", "GELU"]
    for site in document["activations"]:
        assert {"id", "function", "form", "max_error"} <= set(site)
    assert document["left_float"] == []
    assert document["bytes"] > 0
    assert document["seconds"] > 0
    assert not [item for item in document["diagnostics"] if item["severity"] == "error"]
    assert {path.name for path in directory.iterdir()} >= PRODUCTS


def test_compile_says_what_it_does_on_stderr(digits: tuple[Path, Finished]) -> None:
    _, done = digits
    assert done.stderr.count("actc: ") >= 3
    assert "\x1b" not in done.stderr


def test_report_json_is_the_document(digits: tuple[Path, Finished]) -> None:
    directory, done = digits
    written = json.loads((directory / "report.json").read_text())
    assert {k: v for k, v in done.document.items() if k in written and "seconds" not in k} == {
        k: v for k, v in written.items() if "seconds" not in k
    }


def test_report(digits: tuple[Path, Finished], actc_cli: CommandLine) -> None:
    directory, compiled = digits
    done = actc_cli("report", directory, "--json")
    assert done.status == 0
    assert done.document["accuracy"] == compiled.document["accuracy"]
    text = actc_cli("report", directory)
    assert text.status == 0
    assert "GELU" in text.stdout
    assert str(directory / "report.html") in text.stdout


def test_check(digits: tuple[Path, Finished], actc_cli: CommandLine, root: Path) -> None:
    directory, compiled = digits
    data = root / "examples/digits/digits_mlp.npz"
    done = actc_cli("check", directory, "--data", data, "--json")
    assert done.status == 0, done.stderr
    assert done.document["bit_exact"] is True
    assert done.document["accuracy"] == compiled.document["accuracy"]
    assert actc_cli("check", directory, "--data", data).status == 0


def test_inspect(actc_cli: CommandLine, root: Path) -> None:
    done = actc_cli("inspect", root / "examples/digits/cnn.onnx", "--json")
    assert done.status == 0, done.stderr
    found = done.document
    assert {"model", "activations", "unsupported", "diagnostics"} <= set(found)
    assert [site["function"] for site in found["activations"]] == ["SiLU"] * 3
    for site in found["activations"]:
        assert {"id", "function", "nodes", "input", "output", "channels"} <= set(site)
        assert len(site["nodes"]) == 2
    assert found["unsupported"] == []
    text = actc_cli("inspect", root / "examples/digits/cnn.onnx", "--target", "cpu")
    assert text.status == 0
    assert text.stdout.count("SiLU") == 3


def test_inspect_lists_what_a_target_cannot_take(actc_cli: CommandLine, tmp_path: Path) -> None:
    model = make_model(tmp_path / "odd.onnx", op="Foo", domain="com.example")
    done = actc_cli("inspect", model, "--target", "cpu", "--json")
    assert done.status == 3
    assert "activation" in done.stderr


def test_compile_for_people(actc_cli: CommandLine, root: Path) -> None:
    examples = root / "examples/digits"
    done = actc_cli(
        *("compile", examples / "cnn.onnx", "--target", "onnx"),
        *("--data", examples / "digits.npz"),
    )
    assert done.status == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 40, "the summary fits on one screen"
    assert "cnn" in lines[0]
    for word in ("SiLU", "golden", "artifact", "450 samples", "report.html"):
        assert word in done.stdout
    assert (actc_cli.directory / "cnn-onnx" / "report.html").is_file()


def test_synthetic_data_is_said_loudly(actc_cli: CommandLine, model: Path) -> None:
    done = actc_cli("compile", model, "--target", "onnx", "--json")
    assert done.status == 0, done.stderr
    assert "warning[" in done.stderr
    assert "synthetic" in done.stderr
    assert done.document["data"]["synthetic"] is True
    assert set(done.document["accuracy"].values()) == {None}


def test_missed_budget(actc_cli: CommandLine, tmp_path: Path, root: Path) -> None:
    """Labels that only the float model gets all right: noise, named by that model."""
    model = root / "examples/digits/mlp.onnx"
    noise = np.random.default_rng(0).random((1000, 64), np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    labels = session.run(None, {"image": noise})[0].argmax(axis=1)
    data = make_data(tmp_path / "noise.npz", image=noise, labels=labels)
    arguments = ("compile", model, "--target", "onnx", "--data", data, "-o", "out", "--json")
    done = actc_cli(*arguments, "--max-drop", "0")
    assert done.status == 1, done.stderr
    assert done.codes == ["ACT0601"]
    assert "error[ACT0601]" in done.stderr
    assert done.document["accuracy"]["float"] == 1
    drop = 1 - done.document["accuracy"]["artifact"]
    assert 0 < drop < 0.1
    assert {path.name for path in (actc_cli.directory / "out").iterdir()} >= PRODUCTS
    again = actc_cli("check", "out", "--data", data, "--json")
    assert (again.status, again.codes) == (1, ["ACT0601"])
    assert actc_cli(*arguments, "--max-drop", str(drop + 1e-6)).status == 0


def test_dry_run_writes_nothing(actc_cli: CommandLine, model: Path, data: Path) -> None:
    arguments = ("compile", model, "--target", "onnx", "--data", data, "--dry-run")
    done = actc_cli(*arguments, "--json")
    assert done.status == 0, done.stderr
    plan = done.document["plan"]
    assert plan["target"] == "onnx"
    assert len(plan["digest"]) == 64
    assert plan["files"]
    assert list(actc_cli.directory.iterdir()) == []
    text = actc_cli(*arguments).stdout
    assert plan["digest"] in text
    assert all(file["path"] in text for file in plan["files"])


def test_dump_ir(actc_cli: CommandLine, model: Path, data: Path) -> None:
    done = actc_cli(
        "compile", model, "--target", "onnx", "--data", data, "-o", "out", "--dump-ir", "ir"
    )
    assert done.status == 0, done.stderr
    assert len(list((actc_cli.directory / "ir").iterdir())) >= 4
