"""actc.toml: what it may hold, what it changes, and what is said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from classifier import MODEL, labelled
from command_line import CommandLine

import actc
from actc.config import CONFIG, OPTIONS, find_config, read_config
from actc.errors import UsageError


def written(folder: Path, text: str, name: str = CONFIG) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_everything(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [compile]
        target = "onnx"
        data = "data.npz"
        weights = 4
        activations = "mixed"
        max_drop = 0
        [activations]
        "a/b \\u00e9" = 16
        [weights]
        conv = 4
        "head.0" = "ternary"
        """,
    )
    found = read_config(path)
    assert found.options == {
        "target": "onnx",
        "data": str(tmp_path / "data.npz"),
        "weights": "4",
        "activations": "mixed",
        "max_drop": 0.0,
    }
    assert found.overrides == {
        "activations": {"a/b é": 16},
        "weights": {"conv": "4", "head.0": "ternary"},
    }
    assert find_config(tmp_path / "model.onnx") == path
    assert find_config(tmp_path / "other" / "model.onnx") is None
    assert read_config(written(tmp_path, "", "empty.toml")).options == {}


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = """
    rms = 1
    [compile]
    traget = "onnx"
    max_drop = "much"
    weights = true
    data = 3
    [activation]
    [activations]
    a = 17
    b = "8"
    [weights]
    c = 9
    """
    with pytest.raises(UsageError) as caught:
        read_config(written(tmp_path, text))
    found = {d.place.node: d for d in caught.value.diagnostics}
    assert set(found) == {
        *("rms", "traget", "max_drop", "weights", "data", "activation", "a", "b", "c")
    }
    assert {d.code for d in found.values()} == {"ACT0234"}
    assert "did you mean 'target'?" in found["traget"].help
    assert "did you mean 'activations'?" in found["activation"].help


@pytest.mark.parametrize("text", ["[", "a = ", "compile = 3", "weights = [1]"])
def test_what_is_no_configuration(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="ACT0234"):
        read_config(written(tmp_path, text))
    with pytest.raises(UsageError, match="ACT0234"):
        read_config(tmp_path / "none.toml")


def test_every_option_of_compile_is_known() -> None:
    import inspect

    parameters = set(inspect.signature(actc.compile).parameters)
    assert set(OPTIONS) <= parameters
    assert parameters - set(OPTIONS) == {"model", "progress", "dump_ir", "dry_run", "overrides"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    np.savez(tmp_path / "data.npz", **labelled())
    (tmp_path / "model.onnx").write_bytes(MODEL.SerializeToString())
    return tmp_path


HEAD = '[compile]\ntarget = "onnx"\ndata = "data.npz"\noutput = "out"\nmax_drop = 1.0\n'


def report(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "out" / "report.json").read_text())
    return found


def test_a_file_beside_the_model(project: Path, actc_cli: CommandLine) -> None:
    first = actc.compile(MODEL, "onnx", data=labelled(), output=project / "plain", max_drop=1.0)
    layers = [row["node"] for row in first.report["layers"]]
    written(project, f'{HEAD}weights = 6\n[weights]\n"{layers[0]}" = 3\n')
    done = actc_cli("compile", project / "model.onnx", "--weights", "5")
    assert done.status == 0, done.stderr
    bits = {row["node"]: row["bits"] for row in report(project)["layers"]}
    assert bits[layers[0]] == "3"  # below what the first layer has otherwise
    assert report(project)["options"]["weights"] == "5"  # the command line is above the file
    assert report(project)["target"] == "onnx"
    assert f"options of {project / CONFIG}" in done.stderr.replace("\n", "")


def test_another_file(project: Path, actc_cli: CommandLine) -> None:
    written(project, "[compile]\nnonsense = 1\n")
    other = written(project, HEAD, "other.toml")
    done = actc_cli("compile", project / "model.onnx", "--config", other)
    assert done.status == 0, done.stderr
    assert actc_cli("compile", project / "model.onnx").status == 2


def test_names_that_are_not_in_the_model(project: Path, actc_cli: CommandLine) -> None:
    first = actc.compile(MODEL, "onnx", data=labelled(), output=project / "plain", max_drop=1.0)
    layer = first.report["layers"][0]["node"]
    written(project, f'{HEAD}[activations]\nxx = 8\nzz = 4\n[weights]\n"{layer}x" = 8\n')
    done = actc_cli("compile", project / "model.onnx")
    assert (done.status, done.stderr.count("ACT0234")) == (2, 3)
    assert f"did you mean '{layer}'" in done.stderr
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    "overrides",
    [{"activation": {}}, {"activations": {"x": 0}}, {"weights": {"x": 9}}],
    ids=str,
)
def test_wrong_overrides(overrides: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ACT0234|ACT0226"):
        actc.compile(MODEL, "onnx", data=labelled(), output=tmp_path / "o", overrides=overrides)
