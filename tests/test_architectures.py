"""Common architectures: they compile closely, or what is to blame is named once.

The networks of `architectures.texts` need no torch; `test_architectures_torch.py`
exports larger ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from architectures.texts import COMPILED, GOLDEN_OPERATORS, REFUSED, Text
from integer_models import compiled, golden_of
from models import network, normal, random_data, run
from onnx import TensorProto, helper, numpy_helper

import actc
from actc.diagnostics import Diagnostic
from actc.errors import ActcError, ModelError

Array = np.ndarray[Any, Any]


def data_for(text: Text) -> dict[str, Array]:
    feeds = random_data(text.model(), 32)
    return {k: a + 1 if a.dtype.kind in "iu" and k == "x" else a for k, a in feeds.items()}


@pytest.mark.parametrize("name", COMPILED)
def test_compiles(name: str) -> None:
    """Exact against the specification, close to float, in the operators of the contract."""
    text = COMPILED[name]
    golden = compiled(text.model(), data_for(text), noise=0.05)
    assert {node.op_type for node in golden.graph.node} <= GOLDEN_OPERATORS


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """Each operator that is to blame is named once; nothing that only hangs on one is."""
    text, blamed = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        golden_of(text.model(), random_data(text.model(), 5))
    found = caught.value.diagnostics
    assert [(d.place.node, d.place.op) for d in found] == blamed
    assert all(d.code == "ACT0103" and d.help for d in found)


def refusal(model: onnx.ModelProto, tmp_path: Path, **data: Array) -> tuple[Diagnostic, ...]:
    with pytest.raises(ActcError) as caught:
        actc.compile(
            model,
            "onnx",
            data=data or random_data(model),
            output=tmp_path / "out",
            islands="never",
        )
    assert caught.value.status in (2, 3)
    assert not (tmp_path / "out").exists()
    return caught.value.diagnostics


def dense(body: str, signature: str = "float[N,6] x => float[N,4] y", **more: Any) -> Any:
    return network(signature, body, {"w": normal(6, 4), **more})


SMALL = "y = MatMul (x, w)"


def with_training_dropout() -> onnx.ModelProto:
    body = "d = Dropout (x, half, true)\ny = MatMul (d, w)"
    return dense(body, half=np.float32(0.5), true=np.array(True))


def with_reals(kind: int) -> onnx.ModelProto:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    name = TensorProto.DataType.Name(kind).lower()
    signature = f"{name}[N,6] x => {name}[N,4] y"
    return network(signature, SMALL, {"w": normal(6, 4).astype(dtype)})


def with_sparse_weights() -> onnx.ModelProto:
    model = dense(SMALL)
    del model.graph.initializer[:]
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    places = numpy_helper.from_array(np.array([[0, 0], [3, 2]]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [6, 4]))
    return model


def with_opset(version: int) -> onnx.ModelProto:
    model = dense(SMALL)
    model.opset_import[0].version = version
    return model


def without_outputs() -> onnx.ModelProto:
    model = dense(SMALL)
    del model.graph.output[:]
    return model


def quantized() -> onnx.ModelProto:
    body = "q = QuantizeLinear (x, s, z)\ni = MatMulInteger (q, k)\nc = Cast <to = 1> (i)\n"
    constants = {"s": np.float32(0.02), "z": np.uint8(0), "k": np.eye(6, 4, dtype=np.int8)}
    return dense(body + "y = Mul (c, s)", **constants)


def conditional() -> onnx.ModelProto:
    branches = "<then_branch = t () => (float[N,6] a) { a = Sigmoid (x) },"
    branches += " else_branch = e () => (float[N,6] b) { b = Tanh (x) }>"
    signature = "float[N,6] x, bool[N] flags => float[N,4] y"
    body = f"one = Gather (flags, first)\nc = If (one) {branches}\ny = MatMul (c, w)"
    return dense(body, signature, first=np.array([0]))


ODD_MODELS: dict[str, tuple[onnx.ModelProto, str, str]] = {
    # name: model, code, node (or value) that is named
    "random numbers": (
        dense("r = RandomNormalLike (x)\na = Add (x, r)\ny = MatMul (a, w)"),
        "ACT0013",
        "r",
    ),
    "training mode": (with_training_dropout(), "ACT0013", "d"),
    "float16": (with_reals(TensorProto.FLOAT16), "ACT0016", "x"),
    "double": (with_reals(TensorProto.DOUBLE), "ACT0016", "x"),
    "sparse weights": (with_sparse_weights(), "ACT0012", "w"),
    "sequences": (
        dense("s = SequenceConstruct (x)\na = SequenceAt (s, k)\ny = MatMul (a, w)", k=np.array(0)),
        "ACT0014",
        "s",
    ),
    "opset of the future": (with_opset(99), "ACT0008", ""),
    "no outputs": (without_outputs(), "ACT0007", ""),
    "computes on integers": (quantized(), "ACT0110", "i"),
    "conditional": (conditional(), "ACT0103", "c"),
    "constant output": (
        dense(SMALL + "\nc = Identity (w)", "float[N,6] x => float[N,4] y, float[6,4] c"),
        "ACT0104",
        "c",
    ),
    "batch fixed inside": (
        dense("r = Reshape (x, shape)\ny = MatMul (r, w)", shape=np.array([2, 6])),
        "ACT0011",
        "",
    ),
    "shapes that do not fit": (dense(SMALL, "float[N,5] x => float[N,4] y"), "ACT0007", ""),
    "axis of length 0": (
        network("float[N,6] x => float[N,0] y", SMALL, {"w": normal(6, 0)}),
        "ACT0015",
        "y",
    ),
    "different batch sizes": (
        dense(
            SMALL + "\nv = Tanh (z)", "float[4,6] x, float[2,6] z => float[4,4] y, float[2,6] v"
        ),
        "ACT0009",
        "",
    ),
    "NaN inside": (dense("l = Log (x)\ny = MatMul (l, w)"), "ACT0102", "l"),
    "too large a factor": (
        network("float[N,6] x => float[N,4] y", "h = MatMul (x, w)\ny = Tanh (h)",
                {"w": normal(6, 4, scale=1e25)}),
        "ACT0301",
        "y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_MODELS)
def test_odd_model(tmp_path: Path, name: str) -> None:
    model, code, node = ODD_MODELS[name]
    found = refusal(model, tmp_path)[0]
    assert (found.code, found.place.node) == (code, node)


NAMES = ["../x", '"; DROP', "</script>", "a\nb", "é中😀", "$(id)", "%s{x}", "\x1b[31m", "x" * 300]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name(tmp_path: Path, name: str) -> None:
    """Names are data: they name no file, break no report and no line."""
    model = dense("h = MatMul (x, w)\ny = Gelu (h)")
    for node in model.graph.node:
        node.name = name  # also not unique
        for values in (node.input, node.output):
            values[:] = [name + value for value in values]
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        value.name = name + value.name
    artifact = actc.compile(
        model, "onnx", data={"x": normal(8, 6)}, output=tmp_path / "out", max_drop=1
    )
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    assert [o.name for o in golden.graph.output] == [name + "y"]
    assert artifact.report["bit_exact"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "</script>y" not in page


def test_refusals_keep_names_on_one_line() -> None:
    model = dense("c = Hardmax (x)\ny = MatMul (c, w)")
    model.graph.node[0].name = "a\nb\x1b[31m"
    with pytest.raises(ModelError) as caught:
        golden_of(model, random_data(model))
    (found,) = caught.value.diagnostics
    assert str(found).splitlines()[1] == "  --> <model>: node 'a\\nb\\x1b[31m' (Hardmax)"


def test_a_shape_as_an_output() -> None:
    model = dense(SMALL + "\ns = Shape (y)", "float[N,6] x => float[N,4] y, int64[2] s")
    data = {"x": normal(8, 6)}
    assert run(golden_of(model, data), data)["s"].tolist() == [8, 4]


def test_names_that_golden_would_take() -> None:
    model = dense("a = Sigmoid (x)\nh = MatMul (a, w)\ny = Gelu (h)\nz = Tanh (h)",
                  "float[N,6] x => float[N,4] y, float[N,4] z")  # fmt: skip
    taken = {"h": "a.q", "y": "a.q_2", "z": "a.q.acc"}
    for values in (*(v for n in model.graph.node for v in (n.input, n.output)),):
        values[:] = [taken.get(value, value) for value in values]
    for value in model.graph.output:
        value.name = taken[value.name]
    golden = compiled(model, {"x": normal(32, 6)})
    assert [o.name for o in golden.graph.output] == ["a.q_2", "a.q.acc"]


def test_inputs_of_one_fixed_and_one_open_batch(tmp_path: Path) -> None:
    model = network(
        "float[4,6] x, float[N,6] z => float[4,6] y, float[N,6] v", "y = Tanh (x)\nv = Tanh (z)"
    )
    data = {"x": normal(10, 6), "z": normal(10, 6, seed=1)}
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    assert artifact.report["bit_exact"]
    assert artifact.report["samples"] == 10


@pytest.mark.parametrize("target", ["onnx", "verilog"])
@pytest.mark.parametrize("last", [False, True], ids=["sums", "activation"])
def test_same_output_twice(target: str, last: bool, tmp_path: Path) -> None:
    """A site's output too."""
    model = dense(SMALL)
    if last:
        model.graph.node[-1].output[0] = "h"
        model.graph.node.append(helper.make_node("Tanh", ["h"], ["y"], name="last"))
    model.graph.output.append(model.graph.output[0])
    artifact = actc.compile(model, target, data={"x": normal(8, 6)}, output=tmp_path / "out")
    assert artifact.report["bit_exact"]
