"""Directories whose models are other ones, and whose manifests say so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile.networks import good, save
from sealed import sealed

import actc
from actc.artifact import open_artifact
from actc.errors import ActcError

Forge = Callable[[str, Callable[[onnx.ModelProto], None]], Path]
X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    actc.compile(save(good(), folder), target="onnx", output=folder / "out")
    return folder / "out"


@pytest.fixture
def forge(compiled: Path, tmp_path: Path) -> Forge:
    """A copy of the directory with one of its models changed, and the digest of what is there."""

    def make(name: str, change: Callable[[onnx.ModelProto], None]) -> Path:
        directory = Path(shutil.copytree(compiled, tmp_path / "out"))
        model = onnx.load(directory / name)
        change(model)
        onnx.save(model, directory / name)
        sealed(directory)
        return directory

    return make


def code(error: pytest.ExceptionInfo[ActcError]) -> str:
    return error.value.diagnostics[0].code


def of_no_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "NoSuchOperator"


def of_another_input(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = "z" if name == "x" else name
    model.graph.input[0].name = "z"


@pytest.mark.parametrize("name", ["golden.onnx", "approximated.onnx", "float.onnx"])
def test_a_model_that_does_not_run(name: str, forge: Forge) -> None:
    directory = forge(name, of_no_operator)
    with pytest.raises(ActcError) as raised:
        actc.check(directory, X)
    assert code(raised) == "ACT0065"
    if name == "golden.onnx":
        with pytest.raises(ActcError) as raised:
            open_artifact(directory).run(X)
        assert code(raised) == "ACT0065"


@pytest.mark.parametrize("name", ["golden.onnx", "approximated.onnx", "float.onnx"])
def test_a_model_of_another_input(name: str, forge: Forge) -> None:
    with pytest.raises(ActcError) as raised:
        actc.check(forge(name, of_another_input), X)
    assert code(raised) == "ACT0204"


def test_the_same_model(
    forge: Forge,
) -> None:
    assert actc.check(forge("golden.onnx", lambda model: None), X)["bit_exact"]
