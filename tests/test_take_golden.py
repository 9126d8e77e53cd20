"""golden.onnx as input: compiled for another target as it is, refused when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import actc
from actc.errors import ModelError, UsageError
from actc.ir.bodies import floating
from actc.ir.dialect import OPERATORS
from actc.ir.golden import INTEGER_OPERATORS

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DIGITS = (EXAMPLES / "digits/cnn.onnx", EXAMPLES / "digits/digits.npz")


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits CNN with 8-bit tensors."""
    directory = tmp_path_factory.mktemp("taken") / "first"
    actc.compile(DIGITS[0], "onnx", data=DIGITS[1], activations="8", output=directory)
    return directory / "golden.onnx"


def test_every_integer_operator_is_checked() -> None:
    assert set(floating.BODIES) | {"Hypot", "MaskedSoftmax"} == OPERATORS - INTEGER_OPERATORS


@pytest.mark.parametrize("target", ["onnx", "cpu"])
def test_same_integers(golden: Path, target: str, tmp_path: Path) -> None:
    artifact = actc.compile(golden, target, data=DIGITS[1], output=tmp_path / "again")
    assert artifact.report["bit_exact"] is True
    assert artifact.report["passes"] == ["take_golden"]
    assert [d["code"] for d in artifact.report["diagnostics"]] == ["ACT0121"]
    assert (tmp_path / "again/golden.onnx").read_bytes() == golden.read_bytes()
    assert not (tmp_path / "again/approximated.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("lstm", {}),
        ("vit", {}),
        ("cnn_hardswish", {"scales": "power-of-two"}),
        ("mlp", {"weights": "2"}),
    ],
)
def test_networks(model: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = EXAMPLES / f"mnist/{model}.onnx"
    shape = [d.dim_value for d in onnx.load(source).graph.input[0].type.tensor_type.shape.dim]
    with np.load(EXAMPLES / "mnist/mnist.npz") as file:
        data = {"image": file["image"][:64].reshape(-1, *shape[1:])}
    actc.compile(source, "onnx", data=data, output=tmp_path / "a", **options)
    first = tmp_path / "a/golden.onnx"
    actc.compile(first, "onnx", data=data, output=tmp_path / "b")
    assert (tmp_path / "b/golden.onnx").read_bytes() == first.read_bytes()


def test_bodies_of_the_file_do_not_count(golden: Path, tmp_path: Path) -> None:
    """A file whose Table adds one is compiled with actc's own Table."""
    model = onnx.load(golden)
    (body,) = (f for f in model.functions if f.name == "Table")
    body.CopyFrom(
        onnx.parser.parse_function(
            '<domain: "actc", opset_import: ["" : 21]>\nTable (x, table) => (y) {\n'
            "  index = Cast <to = 6> (x)\n  found = Gather (table, index)\n"
            "  y = BitwiseNot (found)\n}"
        )
    )
    actc.compile(model, "onnx", data=DIGITS[1], output=tmp_path / "out")
    assert (tmp_path / "out/golden.onnx").read_bytes() == golden.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"activations": "4"},
        {"weights": "4"},
        {"calibration": "mse"},
        {"budget": "rms=0.1"},
        {"precision": "float32"},
        {"passes": "normalize,integerize"},
        {"overrides": {"activations": {"x": 4}}},
    ],
    ids=str,
)
def test_nothing_is_left_to_choose(golden: Path, options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(options))} can change nothing"):
        actc.compile(golden, "onnx", data=DIGITS[1], output=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def _node(model: onnx.ModelProto, op: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == op)


def _replace(model: onnx.ModelProto, name: str, change: Callable[[Any], Any]) -> None:
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    array = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(array), name))
    infos = [info for info in model.graph.value_info if info.name == name]
    for info in infos:
        model.graph.value_info.remove(info)


def _compute_the_table(model: onnx.ModelProto) -> None:
    table = _node(model, "Table").input
    copy = onnx.helper.make_node("Identity", [table[1]], ["computed"], name="copy")
    table[1] = "computed"
    info = onnx.helper.make_tensor_value_info("computed", onnx.TensorProto.UINT8, [256])
    model.graph.value_info.append(info)
    model.graph.node.insert(0, copy)


BROKEN: dict[str, tuple[str, Callable[[onnx.ModelProto], None]]] = {
    "short table": (
        "its table has 255 entries",
        lambda m: _replace(m, _node(m, "Table").input[1], lambda a: a[:255]),
    ),
    "shift": (
        "'shift' is not within 1 and 62",
        lambda m: _replace(m, _node(m, "Requantize").input[2], lambda a: a * 0 - 1),
    ),
    "multiplier": (
        "'multiplier' is not within",
        lambda m: _replace(m, _node(m, "Requantize").input[1], lambda a: -a),
    ),
    "weights of another type": (
        "'w' has type INT16, not INT8",
        lambda m: _replace(m, _node(m, "IntConv").input[1], lambda a: a.astype(np.int16)),
    ),
    "a constant that is computed": (
        "'table' must be a constant",
        _compute_the_table,
    ),
    "a missing input": (
        "takes x, w, bias, x_zero",
        lambda m: _node(m, "IntConv").input.pop(),
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken(golden: Path, kind: str, tmp_path: Path) -> None:
    message, damage = BROKEN[kind]
    model = onnx.load(golden)
    damage(model)
    with pytest.raises(ModelError, match=message) as caught:
        actc.compile(model, "cpu", data=DIGITS[1], output=tmp_path / "out")
    assert {d.code for d in caught.value.diagnostics} <= {"ACT0120"}
    assert not (tmp_path / "out").exists()


def test_a_shape_that_lies(golden: Path, tmp_path: Path) -> None:
    model = onnx.load(golden)
    made = _node(model, "Requantize").output[0]
    (info,) = (i for i in model.graph.value_info if i.name == made)
    info.type.tensor_type.shape.dim[1].dim_value += 1
    with pytest.raises(ModelError, match="differ in dimension 1"):
        actc.compile(model, "cpu", data=DIGITS[1], output=tmp_path / "out")


def test_a_shape_that_is_missing(golden: Path, tmp_path: Path) -> None:
    model = onnx.load(golden)
    made = _node(model, "Table").output[0]
    (info,) = (i for i in model.graph.value_info if i.name == made)
    info.type.tensor_type.ClearField("shape")
    with pytest.raises(ModelError, match=f"'{made}' has no type or shape"):
        actc.compile(model, "cpu", data=DIGITS[1], output=tmp_path / "out")
