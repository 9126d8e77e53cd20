"""Networks that end in argmax or probabilities, or normalize their layers, for hls4ml."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from golden_models import Golden
from hls4ml_networks import needs_hls4ml
from installed import needs_gxx, needs_tvm
from models import network, normal, run
from onnx import helper

import actc
from actc.errors import ModelError, UsageError
from actc.ir.golden import problems
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import RowStage
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.lower import lower

Array = np.ndarray[Any, Any]
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
FRONT = """
m = MatMul(x, a)
n = Add(m, b)
l = LayerNormalization<axis=-1>(n, g, e)
r = Relu(l)
p = MatMul(r, c)
q = Add(p, d)
h = Relu(q)
"""


@cache
def digits() -> dict[str, Array]:
    with np.load(DIGITS / "digits_mlp.npz") as file:
        return dict(file)


def normalized() -> onnx.ModelProto:
    """64-32-LayerNorm-32-10-softmax on digits: the last layer is fitted to random ones."""
    weights = {
        "a": normal(64, 32, seed=1) / 8, "b": normal(32, seed=2), "g": 1 + normal(32, seed=3) / 4,
        "e": normal(32, seed=4) / 4, "c": normal(32, 32, seed=5) / 6, "d": normal(32, seed=6) / 4,
    }  # fmt: skip
    image, labels = digits()["image"], digits()["labels"]
    hidden = run(network("float[N,64] x => float[N,32] h", FRONT, weights), {"x": image})["h"]
    taken = np.hstack([hidden, np.ones((len(hidden), 1), np.float32)]).astype(np.float64)
    wanted = 8.0 * np.eye(10)[labels] - 4
    fitted = np.linalg.solve(taken.T @ taken + np.eye(33), taken.T @ wanted).astype(np.float32)
    weights |= {"f": fitted[:-1], "o": fitted[-1]}
    end = "s = MatMul(h, f)\nt = Add(s, o)\ny = Softmax<axis=-1>(t)"
    return network("float[N,64] x => float[N,10] y", FRONT + end, weights)


def with_softmax() -> onnx.ModelProto:
    """The trained network of the examples, with a softmax behind it."""
    model = onnx.load(DIGITS / "mlp.onnx")
    (output,) = model.graph.output
    model.graph.node.append(helper.make_node("Softmax", [output.name], ["p"], "softmax", axis=-1))
    output.name = "p"
    return model


# --- probabilities


def test_probabilities_on_digits(tmp_path: Path) -> None:
    model, data = with_softmax(), digits()
    given = DIGITS / "digits_mlp.npz"
    report = actc.compile(model, "onnx", data=given, output=tmp_path, end="probabilities").report
    assert report["bit_exact"] is True
    assert report["accuracy"]["golden"] >= report["accuracy"]["float"] - 0.001
    golden = onnx.load(tmp_path / "golden.onnx")
    assert not list(problems(ir.from_proto(golden)))
    last = [node.op_type for node in golden.graph.node][-2:]
    assert last == ["IntProbabilities", "DequantizeLinear"]
    found, real = (run(m, {"image": data["image"]})["p"] for m in (golden, model))
    assert found.dtype == np.float32
    assert np.array_equal(found, np.rint(found * 2**16) / 2**16)
    assert np.abs(found.sum(axis=1) - 1).max() < 2**-8
    assert np.abs(found - real).max() < 0.1
    sure = np.partition(real, -2)[:, -1] - np.partition(real, -2)[:, -2] > 0.2
    assert np.array_equal(found.argmax(axis=1)[sure], real.argmax(axis=1)[sure])
    assert sure.mean() > 0.9


def code(caught: pytest.ExceptionInfo[UsageError | ModelError]) -> list[str]:
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("y = MatMul(x, w)", "comes from MatMul"),
        ("s = MatMul(x, w)\ny = LogSoftmax<axis=1>(s)", "comes from LogSoftmax"),
        ("s = MatMul(x, w)\ny = Softmax<axis=1>(s)\nz = Relu(y)", "read inside"),
    ],
)
def test_without_a_softmax_at_the_end(body: str, reason: str, tmp_path: Path) -> None:
    outputs = "float[N,4] y, float[N,4] z" if "z =" in body else "float[N,4] y"
    model = network(f"float[N,8] x => {outputs}", body, {"w": normal(8, 4, seed=1)})
    data = {"x": normal(20, 8, seed=2)}
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "onnx", data=data, output=tmp_path / "out", end="probabilities")
    assert set(code(caught)) == {"ACT0442"}
    assert reason in caught.value.diagnostics[0].message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"precision": "float32"}, "ACT0229"),
        ({"passes": "normalize,recognize,quantize,integerize"}, "ACT0225"),
        ({"passes": "normalize,choose,recognize,quantize,integerize"}, "ACT0225"),
    ],
)
def test_options_that_clash(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "data": DIGITS / "digits_mlp.npz",
        "output": tmp_path / "out",
        **options,
    }
    with pytest.raises(UsageError) as caught:
        actc.compile(with_softmax(), "onnx", end="probabilities", **given)
    assert code(caught) == [expected]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("ecp5-85k", "ACT0550"), ("bnn-hls", "ACT0605")],
)
def test_targets_without_it_say_so(target: str, expected: str, tmp_path: Path) -> None:
    body = "s = MatMul(x, w)\ny = Softmax<axis=1>(s)"
    model = network("float[N,4] x => float[N,3] y", body, {"w": normal(4, 3, seed=1)})
    given: dict[str, Any] = {"data": {"x": normal(20, 4, seed=2)}, "output": tmp_path / "out"}
    with pytest.raises(ModelError) as caught:
        actc.compile(model, target, end="probabilities", **given)
    assert code(caught)[0] == expected
    assert "IntProbabilities" in str(caught.value.diagnostics[0].place)
    assert not list(tmp_path.iterdir())


@needs_tvm
def test_probabilities_on_cpu(tmp_path: Path) -> None:
    """Of maps, some of whose scores are far apart."""
    body = "s = Conv<kernel_shape=[1,1]>(x, w)\ny = Softmax<axis=1>(s)"
    weights = {"w": 3 * normal(5, 4, 1, 1, seed=1)}
    model = network("float[N,4,2,3] x => float[N,5,2,3] y", body, weights)
    given: dict[str, Any] = {"data": {"x": normal(40, 4, 2, 3, seed=2)}, "output": tmp_path}
    assert actc.compile(model, "cpu", end="probabilities", **given).report["bit_exact"] is True
    found = run(onnx.load(tmp_path / "golden.onnx"), given["data"])["y"]
    assert found.max() == 1 - 2**-16
    assert np.abs(found.sum(axis=1) - 1).max() < 2**-8


def test_the_bits_of_a_golden_file_are_checked() -> None:
    g = Golden()
    x = g.input("x", 4, dtype=np.uint8)
    table = np.rint(2.0**20 * np.exp(-0.1 * np.arange(256))).astype(np.int32)
    node = g.actc("IntProbabilities", x, g.const(table), axis=1, bits=24)
    assert [text for _, text in problems(g.model(node))] == [
        "its attribute 'bits' is not within 9 and 16"
    ]


# --- rows of folded programs


def rows_of(folded: FoldedNetwork) -> list[str]:
    return [type(s.row).__name__ for s in folded.program.stages if isinstance(s, RowStage)]


def folded_of(model: onnx.ModelProto, feeds: dict[str, Array], out: Path, **options: Any) -> Any:
    actc.compile(model, "onnx", data=feeds, output=out, **options)
    golden = onnx.load(out / "golden.onnx")
    return golden, build_folded(ir.from_proto(golden), "net", more=True)


def assert_golden(golden: onnx.ModelProto, folded: FoldedNetwork, feeds: dict[str, Array]) -> None:
    """The program, and its layers, give golden's outputs."""
    wanted, words = run(golden, feeds), folded.prologue(feeds)
    found = evaluate(lower(folded.program, "net", "stream"), words[0])
    stream = folded.program.stream(folded.program.exits[0])
    layers = folded.epilogue([found.reshape(len(found), *stream.shape)])
    for outputs in (folded.run(feeds), layers):
        for name, array in wanted.items():
            assert outputs[name].dtype == array.dtype
            np.testing.assert_array_equal(outputs[name], array)


CLASSES = "y = Conv<kernel_shape=[3,3]>(x, k, b)"
MAP = {"k": normal(3, 2, 3, 3, seed=1), "b": normal(3, seed=2)}
STEPS = {
    "a": normal(6, 8, seed=1), "g": normal(8, seed=2), "e": normal(8, seed=3),
    "c": normal(8, 3, seed=4),
}  # fmt: skip


@pytest.mark.parametrize(
    ("signature", "body", "weights", "options", "rows"),
    [
        ("float[N,2,5,5] x => float[N,3,3,3] y", CLASSES, MAP, {"end": "argmax"}, ["ArgmaxRow"]),
        (
            "float[N,2,5,5] x => float[N,3,3,3] y",
            CLASSES.replace("y =", "s =") + "\ny = Softmax<axis=1>(s)",
            MAP,
            {"end": "probabilities"},
            ["SoftmaxRow"],
        ),
        ("float[N,2,5,5] x => int64[N,1,3,3] y", CLASSES.replace("y =", "s =")
         + "\ny = ArgMax<axis=1, keepdims=1>(s)", MAP, {}, ["ArgmaxRow"]),
        (
            "float[N,5,6] x => float[N,5,3] y",
            "m = MatMul(x, a)\nl = LayerNormalization<axis=-1>(m, g, e)\nr = Relu(l)\n"
            "y = MatMul(r, c)",
            STEPS,
            {},
            ["LayerNormRow"],
        ),
        (
            "float[N,5,6] x => float[N,5,8] y",
            "m = MatMul(x, a)\ny = LayerNormalization<axis=-1>(m, g, e)",
            STEPS,
            {},
            ["LayerNormRow"],
        ),
        (
            "float[N,2,5,5] x => float[N,3,3,3] y",
            "s = Conv<kernel_shape=[3,3]>(x, k, b)\nt = Transpose<perm=[0,2,3,1]>(s)\n"
            "l = LayerNormalization<axis=-1>(t, g, e)\nu = Transpose<perm=[0,3,1,2]>(l)\n"
            "y = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(u, k2)",
            {**MAP, "g": normal(3, seed=5), "e": normal(3, seed=6), "k2": normal(3, 3, 3, 3)},
            {},
            ["LayerNormRow"],
        ),
        (
            "float[N,2,5,5] x => float[N,3,3,3] y",
            CLASSES.replace("y =", "s =") + "\ny = Softmax<axis=1>(s)",
            MAP,
            {},
            [],  # the host's
        ),
    ],
)  # fmt: skip
def test_rows_of_networks(
    signature: str,
    body: str,
    weights: dict[str, Array],
    options: dict[str, Any],
    rows: list[str],
    tmp_path: Path,
) -> None:
    model = network(signature, body, weights)
    shape = [40] + [int(n) for n in signature.split("]")[0].split(",")[1:]]
    feeds = {"x": normal(*shape, seed=3)}
    golden, folded = folded_of(model, feeds, tmp_path, **options)
    assert rows_of(folded) == rows
    assert_golden(golden, folded, feeds)


@pytest.mark.parametrize(
    ("body", "output", "reason"),
    [
        ("y = ArgMax<axis=1, keepdims=0, select_last_index=1>(m)", "int64[N,8] y", "last of equal"),
        ("y = ArgMax<axis=1, keepdims=0>(m)", "int64[N,8] y", "does not come together"),
    ],
)
def test_rows_that_are_refused(body: str, output: str, reason: str, tmp_path: Path) -> None:
    model = network(f"float[N,5,6] x => {output}", f"m = MatMul(x, a)\n{body}", STEPS)
    with pytest.raises(ModelError) as caught:
        folded_of(model, {"x": normal(30, 5, 6, seed=3)}, tmp_path)
    assert code(caught) == ["ACT0605"]
    assert reason in caught.value.diagnostics[0].message


@pytest.mark.parametrize("target", ["ecp5-25k:architecture=folded", "bnn-hls"])
@pytest.mark.parametrize("end", ["outputs", "argmax"])
def test_targets_without_rows_refuse_them(target: str, end: str, tmp_path: Path) -> None:
    body = "m = MatMul(x, a)\nl = LayerNormalization<axis=-1>(m, g, e)\ny = MatMul(l, c)"
    model = network("float[N,6] x => float[N,3] y", body, STEPS)
    given: dict[str, Any] = {"data": {"x": normal(30, 6, seed=3)}, "output": tmp_path / "out"}
    with pytest.raises(ModelError) as caught:
        actc.compile(model, target, end=end, **given)
    refused = [(d.code, d.place.op) for d in caught.value.diagnostics if d.place]
    both = [("ACT0605", "IntLayerNorm"), ("ACT0605", "ArgMax")]
    assert refused == (both if end == "argmax" else both[:1])
    assert not list(tmp_path.iterdir())


# --- whole compilations


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("io", "end", "row"),
    [
        ("stream", "probabilities", "SoftmaxRow"),
        pytest.param("parallel", "argmax", "ArgmaxRow", marks=pytest.mark.slow),
    ],
)
def test_normalized_digits(io: str, end: str, row: str, tmp_path: Path) -> None:
    data = {"x": digits()["image"], "labels": digits()["labels"]}
    given: dict[str, Any] = {"data": data, "output": tmp_path, "end": end, "max_drop": 0.05}
    report = actc.compile(normalized(), f"hls4ml:io={io}", **given).report
    assert report["bit_exact"] is True
    accuracy = report["accuracy"]
    assert accuracy["float"] > 0.8
    assert accuracy["artifact"] >= accuracy["float"] - 0.02
    folded = build_folded(ir.load(tmp_path / "golden.onnx"), "net", more=True)
    assert rows_of(folded) == ["LayerNormRow", row]
