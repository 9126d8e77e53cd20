"""--end argmax: the index of the largest output, on integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from command_line import CommandLine
from models import network, normal, run

import actc
from actc.errors import ModelError, UsageError
from actc.ir import spec
from actc.ir.golden import problems

Array = np.ndarray[Any, Any]

SAMPLES = 300
ENDS = {
    "sums": "y = Add(c, e)",
    "softmax": "s = Add(c, e)\ny = Softmax<axis=1>(s)",
    "log-softmax": "s = Add(c, e)\ny = LogSoftmax<axis=-1>(s)",
    "sigmoid": "s = Add(c, e)\ny = Sigmoid(s)",
    "tanh": "s = Add(c, e)\ny = Tanh(s)",
}


def classifier(end: str = "sums", classes: int = 5) -> onnx.ModelProto:
    """Two layers, whose last has a scale per class."""
    spread = np.linspace(1, 4, classes, dtype=np.float32)
    weights = {
        "v": normal(8, 6, seed=1),
        "b": normal(6, seed=2),
        "w": normal(6, classes, seed=3) * spread / 4,
        "e": normal(classes, seed=4),
    }
    body = f"m = MatMul(x, v)\na = Add(m, b)\nh = Relu(a)\nc = MatMul(h, w)\n{ENDS[end]}"
    return network(f"float[N,8] x => float[N,{classes}] y", body, weights)


def data() -> dict[str, Array]:
    return {"x": normal(SAMPLES, 8, seed=5)}


def compiled(model: onnx.ModelProto, out: Path, target: str = "onnx", **options: Any) -> Any:
    labels = run(model, data())["y"].argmax(axis=1)
    given = {**data(), "labels": labels}
    return actc.compile(model, target, data=given, output=out, end="argmax", **options)


def operators(out: Path) -> list[str]:
    return [node.op_type for node in onnx.load(out / "golden.onnx").graph.node]


@pytest.mark.parametrize("end", ENDS)
def test_golden_gives_the_index_of_the_largest(end: str, tmp_path: Path) -> None:
    model = classifier(end)
    report = compiled(model, tmp_path / "out").report
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    assert not list(problems(ir.from_proto(golden)))
    found, exact = run(golden, data())["y"], spec.run(golden, data())["y"]
    assert found.dtype == np.int64
    assert found.shape == (SAMPLES,)
    np.testing.assert_array_equal(found, exact)
    assert np.mean(found == run(model, data())["y"].argmax(axis=1)) > 0.95
    assert report["bit_exact"] is True
    assert report["accuracy"]["float"] == 1.0
    assert report["accuracy"]["golden"] == np.mean(found == run(model, data())["y"].argmax(1))
    rows = {row["stage"]: row for row in report["outputs"]}
    assert rows["golden"]["top1_agreement"] == report["accuracy"]["golden"]
    assert rows["golden"]["max"] in (0, 1)
    softmaxes = {"IntSoftmax", "IntLogSoftmax"}
    assert not softmaxes & set(operators(tmp_path / "out"))
    assert ("Table" in operators(tmp_path / "out")) == (end == "tanh")


def test_sums_of_one_scale_are_compared_as_they_are(tmp_path: Path) -> None:
    model = classifier()
    compiled(model, tmp_path / "out", scales="power-of-two", weights="4")
    shifted = onnx.load(tmp_path / "out" / "golden.onnx")
    multipliers = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in shifted.graph.initializer
        if tensor.name.startswith("y.scores.multiplier")
    ]
    assert all(not np.any(array & (array - 1)) for array in multipliers)
    equal = classifier()
    for tensor in equal.graph.initializer:
        if tensor.name == "w":
            signs = np.sign(normal(6, 5, seed=3)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(signs, "w"))
    compiled(equal, tmp_path / "one")
    assert operators(tmp_path / "one")[-2:] == ["IntMatMul", "ArgMax"]


def test_multipliers_have_few_digits_and_are_close(tmp_path: Path) -> None:
    compiled(classifier(), tmp_path / "out")
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    (found,) = (
        onnx.numpy_helper.to_array(tensor).reshape(-1)
        for tensor in golden.graph.initializer
        if tensor.name.startswith("y.scores.multiplier")
    )
    actc.compile(classifier(), "onnx", data=data(), output=tmp_path / "plain")
    scales = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(tmp_path / "plain" / "golden.onnx").graph.initializer
    }
    (scale,) = (array for name, array in scales.items() if name.startswith("y.out.scale"))
    ratios, wanted = found / found.max(), scale / scale.max()
    np.testing.assert_allclose(ratios, wanted, rtol=2.0**-6)
    nearest = np.rint(wanted * found.max()).astype(int).tolist()
    assert digits(found.tolist()) < digits(nearest)


def digits(numbers: list[int]) -> int:
    """Signed digits, which stand where n and 3 n differ."""
    return sum((number ^ 3 * number).bit_count() for number in numbers)


def test_maps_of_classes(tmp_path: Path) -> None:
    weights = {"k": normal(3, 2, 3, 3, seed=1), "b": normal(3, seed=2)}
    body = "y = Conv<kernel_shape=[3,3]>(x, k, b)"
    model = network("float[N,2,5,5] x => float[N,3,3,3] y", body, weights)
    feeds = {"x": normal(40, 2, 5, 5, seed=3)}
    actc.compile(model, "onnx", data=feeds, output=tmp_path / "out", end="argmax")
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    found = run(golden, feeds)["y"]
    assert found.shape == (40, 3, 3)
    assert np.mean(found == run(model, feeds)["y"].argmax(axis=1)) > 0.97


def test_another_output_that_counts_stays(tmp_path: Path) -> None:
    body = "y = MatMul(x, w)\ni = ArgMin<axis=1, keepdims=0>(y)"
    model = network("float[N,8] x => float[N,4] y, int64[N] i", body, {"w": normal(8, 4, seed=1)})
    actc.compile(model, "onnx", data=data(), output=tmp_path / "out", end="argmax")
    found = run(onnx.load(tmp_path / "out" / "golden.onnx"), data())
    wanted = run(model, data())
    assert np.mean(found["y"] == wanted["y"].argmax(axis=1)) > 0.97
    assert np.mean(found["i"] == wanted["i"]) > 0.97


def code(caught: pytest.ExceptionInfo[UsageError | ModelError]) -> list[str]:
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_what_has_no_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        compiled(classifier("sigmoid", classes=1), tmp_path / "out")
    assert code(caught) == ["ACT0549"]
    assert "[?, 1]" in caught.value.diagnostics[0].message
    body = "i = ArgMax<axis=1, keepdims=0>(x)"
    model = network("float[N,8] x => int64[N] i", body)
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "onnx", data=data(), output=tmp_path / "out", end="argmax")
    assert code(caught) == ["ACT0549"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"end": "top5"}, "ACT0224"),
        ({"end": "argmax", "precision": "float32"}, "ACT0229"),
        ({"end": "argmax", "passes": "normalize,recognize,quantize,integerize"}, "ACT0225"),
    ],
)
def test_options_that_clash_are_refused(
    options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        actc.compile(classifier(), "onnx", data=data(), output=tmp_path / "out", **options)
    assert code(caught) == [expected]


def test_bits_are_chosen_by_the_errors_of_the_outputs(tmp_path: Path) -> None:
    report = compiled(classifier(), tmp_path / "out", budget="rms=0.1").report
    assert report["allocation"] is not None
    assert operators(tmp_path / "out")[-1] == "ArgMax"


def test_on_the_command_line_and_measured_again(actc_cli: CommandLine, tmp_path: Path) -> None:
    onnx.save(classifier("softmax"), tmp_path / "m.onnx")
    labels = run(classifier("softmax"), data())["y"].argmax(axis=1)
    np.savez(tmp_path / "data.npz", x=data()["x"], labels=labels)
    given = ("--target", "onnx", "--data", tmp_path / "data.npz", "-o", tmp_path / "out")
    given = (*given, "--max-drop", "0.05")
    done = actc_cli("compile", tmp_path / "m.onnx", *given, "--end", "argmax", "--json")
    assert done.status == 0, done.stderr
    assert done.document["bit_exact"] is True
    assert done.document["options"]["end"] == "argmax"
    again = actc_cli("check", tmp_path / "out", "--data", tmp_path / "data.npz", "--json")
    assert again.status == 0, again.stderr
    assert again.document["accuracy"] == done.document["accuracy"]
