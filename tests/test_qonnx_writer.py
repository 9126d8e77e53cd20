"""QONNX models that actc writes: they compute what golden computes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import network, prepared
from onnx import numpy_helper
from quantized_models import QONNX, cnn, codes_raised, compiled, mlp, plain_run, random, run_qonnx

import actc
from actc.compiler import default_pipeline
from actc.errors import UsageError
from actc.ir.context import context_of
from actc.numerics.quantization import QuantizationParameters, largest_code
from actc.targets.onnx.qonnx_check import executable
from actc.targets.onnx.qonnx_nodes import Quantizers, spelling
from actc.targets.onnx.target import OnnxTarget

Array = np.ndarray[Any, Any]
CORPUS = Path(__file__).parent / "corpus" / "qonnx"
SHIFTS = {"scales": "power-of-two"}


@dataclass(frozen=True)
class Written:
    """What `actc compile --target onnx:qonnx` gives."""

    golden: onnx.ModelProto
    qonnx: onnx.ModelProto
    notes: dict[str, dict[str, Any]]


def written(
    model: onnx.ModelProto, feeds: dict[str, Array], folder: Path, **options: Any
) -> Written:
    out = folder / "out"
    made = actc.compile(model, "onnx:qonnx", data=feeds, output=out, max_drop=1.0, **options)
    notes = {entry["code"]: entry for entry in made.report["diagnostics"]}
    return Written(onnx.load(out / "golden.onnx"), onnx.load(out / "model.qonnx.onnx"), notes)


def feeds_of(make: Any) -> dict[str, Array]:
    return {"x": random(64, 16, seed=9) if make is mlp else random(32, 3, 8, 8, seed=9)}


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def constants(model: onnx.ModelProto) -> dict[str, Array]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def quantizers(model: onnx.ModelProto) -> dict[str, tuple[int, int, int, int]]:
    """Result -> (bits, zero point, signed, narrow)."""
    held = constants(model)
    found = {}
    for node in model.graph.node:
        if node.op_type == "Quant":
            given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            numbers = int(held[node.input[3]]), int(held[node.input[2]])
            found[node.output[0]] = (*numbers, given["signed"], given["narrow"])
    return found


@pytest.mark.parametrize("make", [mlp, cnn])
def test_power_of_two_scales_are_exact(make: Any, tmp_path: Path) -> None:
    """Every bit of the outputs, and what the file gives when it is read back."""
    feeds = feeds_of(make)
    made = written(make(), feeds, tmp_path, **SHIFTS)
    wanted = plain_run(made.golden, feeds)["y"]
    np.testing.assert_array_equal(plain_run(executable(made.qonnx), feeds)["y"], wanted)
    again, _ = compiled(made.qonnx, feeds)
    np.testing.assert_array_equal(plain_run(again, feeds)["y"], wanted)
    assert "gives all" in made.notes["ACT0411"]["message"]


def test_an_executor_of_its_own(tmp_path: Path) -> None:
    """Quant as tests define it, in float64, against golden and against the spelled-out form."""
    feeds = feeds_of(mlp)
    made = written(mlp(), feeds, tmp_path, **SHIFTS)
    wanted = plain_run(made.golden, feeds)["y"]
    np.testing.assert_array_equal(run_qonnx(made.qonnx, feeds)["y"], wanted)
    free = written(mlp(), feeds, tmp_path / "free")
    got = plain_run(executable(free.qonnx), feeds)["y"]
    np.testing.assert_allclose(got, run_qonnx(free.qonnx, feeds)["y"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "activations", "weights"),
    [
        (mlp, "8", "8"),
        (cnn, "8", "8"),
        (cnn, "4", "4"),
        (mlp, "16", "8"),
        (mlp, "mixed", "ternary"),
        (mlp, "5", "2"),
    ],
)
def test_free_scales(make: Any, activations: str, weights: str, tmp_path: Path) -> None:
    """Read back, the integers are the same; only float32 scales of the outputs differ."""
    feeds = feeds_of(make)
    made = written(make(), feeds, tmp_path, activations=activations, weights=weights)
    wanted = plain_run(made.golden, feeds)["y"]
    got = plain_run(executable(made.qonnx), feeds)["y"]
    step = np.abs(wanted).max() / 200
    np.testing.assert_allclose(got, wanted, rtol=0, atol=step)
    if activations not in ("16", "mixed"):  # beyond 8 bits the reader says ACT0113
        again, result = compiled(made.qonnx, feeds)
        assert codes_raised(result) == []
        np.testing.assert_allclose(plain_run(again, feeds)["y"], wanted, rtol=1e-5, atol=1e-5)


def test_ties_are_golden_s(tmp_path: Path) -> None:
    """Sums in halves of a step: golden rounds them up, Quant alone would round to even."""
    weights = {"w": np.eye(4, dtype=np.float32), "b": np.array([0, 1, 2, 3], np.float32)}
    model = network(
        "float[N,4] x => float[N,4] y", "h = Gemm (x, w, b)\nr = Relu (h)\ny = Gemm (r, w)", weights
    )
    feeds = {"x": np.arange(0, 256, dtype=np.float32).reshape(64, 4) * 0.5}
    made = written(model, feeds, tmp_path, **SHIFTS)
    wanted = plain_run(made.golden, feeds)["y"]
    np.testing.assert_array_equal(plain_run(executable(made.qonnx), feeds)["y"], wanted)
    plain = onnx.ModelProto()
    plain.CopyFrom(made.qonnx)
    for tensor in plain.graph.initializer:
        if tensor.name.endswith("_bias"):
            tensor.CopyFrom(numpy_helper.from_array(weights["b"], tensor.name))
    assert np.any(plain_run(executable(plain), feeds)["y"] != wanted)


def test_bits_and_signs(tmp_path: Path) -> None:
    """Weights signed and narrow; behind Relu unsigned without a zero point."""
    made = written(mlp(), feeds_of(mlp), tmp_path, activations="6", weights="4")
    found = quantizers(made.qonnx)
    assert found["h_weights"][:3] == found["y_weights"][:3] == (4, 0, 1)
    assert found["r_codes"] == (6, 0, 0, 0)
    assert kinds(made.qonnx) == {"Quant": 4, "MatMul": 2, "Add": 2, "Relu": 1}
    assert {(o.domain, o.version) for o in made.qonnx.opset_import} == {("", 21), (QONNX, 1)}
    assert made.qonnx.ir_version == 10
    assert not made.qonnx.functions


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_qonnx_models_are_written_as_they_were(name: str, tmp_path: Path) -> None:
    model = onnx.load(CORPUS / f"{name}.onnx")
    feeds = {"0": np.random.default_rng(1).random((1, 1, 28, 28), np.float32)}
    made = written(model, feeds, tmp_path)
    expected = {"TFC_1W1A": {"BipolarQuant": 8, "Quant": 1}, "TFC_2W2A": {"Quant": 9}}[name]
    found = kinds(made.qonnx)
    assert {op: found[op] for op in ("BipolarQuant", "Quant") if found[op]} == expected
    wanted = next(iter(plain_run(made.golden, feeds).values()))
    again, _ = compiled(made.qonnx, feeds)
    np.testing.assert_array_equal(next(iter(plain_run(again, feeds).values())), wanted)


@pytest.mark.parametrize("bits", [2, 3, 8, 16])
def test_every_format(bits: int) -> None:
    """A format's own numbers come back as its codes, and everything beyond saturates."""
    top = largest_code(bits)
    for zero in sorted({0, 1, top // 2, top // 2 + 1, top - 1, top}):
        for low, high in ((0, top), (0, top - 1), (1, top), (0, max(top // 2, 1))):
            p = QuantizationParameters(0.25, zero, low, high, bits)
            found = spelling(p)
            codes = np.arange(p.low - 3, p.high + 4)
            x = (codes - p.zero_point) * 0.25
            if found.ends is not None:
                x = np.clip(x, *found.ends)
            first = -(1 << (found.bits - 1)) + found.narrow if found.signed else 0
            last = (1 << (found.bits - found.signed)) - 1 - (found.narrow and not found.signed)
            steps = np.clip(x / 0.25 + found.zero, first, last)
            np.testing.assert_array_equal(
                steps - found.zero, np.clip(codes, p.low, p.high) - p.zero_point
            )


def test_the_report_counts_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is too large by half is seen, and the tensor named."""

    def wrong(self: Any, source: Any, p: QuantizationParameters, name: str) -> Any:
        scale = p.scale * 1.5 if name == "r_codes" else p.scale
        other = QuantizationParameters(scale, p.zero_point, p.low, p.high, p.bits)
        return real(self, source, other, name)

    real = Quantizers.quantize
    monkeypatch.setattr(Quantizers, "quantize", wrong)
    note = written(mlp(), feeds_of(mlp), tmp_path).notes["ACT0411"]
    assert "otherwise than golden.onnx" in note["message"]
    assert "'r' by" in note["notes"][0]
    assert "on 64 samples" in note["message"]


def test_what_finn_does_not_take_is_counted(tmp_path: Path) -> None:
    made = written(cnn(), feeds_of(cnn), tmp_path)
    zeros = [zero for _, zero, _, _ in quantizers(made.qonnx).values() if zero]
    clips = kinds(made.qonnx)["Clip"]
    assert (len(zeros), clips) == (1, 1)
    message = made.notes["ACT0412"]["message"]
    assert message.startswith("1 quantizer with a zero point and 1 with a Clip in front")


def test_the_file_is_the_same_each_time() -> None:
    model = mlp()
    plans = []
    for _ in range(2):
        passes = default_pipeline("int8", "auto", "minmax")
        result = passes.run(prepared(model, feeds_of(mlp)), [])
        copy = prepared(model, feeds_of(mlp))
        quantized = default_pipeline("int8", "auto", "minmax").passes[:-2]
        for step in quantized:
            copy = step(copy).model
        context_of(result).facts["quantized"] = {"model": copy}
        plans.append(OnnxTarget.parse("qonnx").plan(result, "int8"))
    assert plans[0].digest() == plans[1].digest()
    assert list(plans[0].files) == ["model.qonnx.onnx"]


def test_wrong_option() -> None:
    with pytest.raises(UsageError) as caught:
        OnnxTarget.parse("qonx")
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0450"
    assert "did you mean 'qonnx'?" in found.help
    assert OnnxTarget.parse("qonnx").spec == "onnx:qonnx"


def test_inputs_that_are_ties(tmp_path: Path) -> None:
    """Pixels from -1 to 1 lie halfway between codes: an odd zero point would move half of them."""
    pixels = (np.arange(256, dtype=np.float32) / 127.5 - 1).reshape(64, 4)
    weights = {"w": random(4, 3, seed=1), "b": random(3, seed=2)}
    model = network("float[N,4] x => float[N,3] y", "y = Gemm (x, w, b)", weights)
    made = written(model, {"x": pixels}, tmp_path)
    (codes,) = (node for node in made.golden.graph.node if node.op_type == "QuantizeLinear")
    assert int(constants(made.golden)[codes.input[2]]) % 2, "else Quant needs no bit more"
    assert quantizers(made.qonnx)["x_codes"] == (9, 0, 1, 0)
    assert "gives all" in made.notes["ACT0411"]["message"]
    again, result = compiled(made.qonnx, {"x": pixels})
    assert codes_raised(result) == []
    wanted, got = (plain_run(m, {"x": pixels})["y"] for m in (made.golden, again))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
    assert "WideMatMul" not in kinds(again)
