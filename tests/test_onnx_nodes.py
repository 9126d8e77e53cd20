"""Node tests of the onnx package on the target cpu: a sample, and what the page says of all.

benchmarks/onnx_nodes.py runs all of them and writes docs/onnx-coverage.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from installed import needs_tvm

import actc
from actc.errors import ModelError, UsageError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from onnx_node_case import Outcome, cases, difference, left_out, operator, run_case
from onnx_node_page import page

PAGE = Path(__file__).resolve().parent.parent / "docs" / "onnx-coverage.md"

# fmt: off
PASS = (
    "abs", "add_bcast", "affine_grid_2d", "and_bcast4v4d", "argmax_default_axis_example",
    "attention_4d_causal", "averagepool_2d_ceil", "basic_conv_with_padding",
    "basic_deform_conv_with_padding", "bitshift_left_uint8", "blackmanwindow_symmetric",
    "cast_FLOAT_to_FLOAT16", "center_crop_pad_pad", "clip_default_max_expanded", "col2im_pads",
    "compress_0", "concat_3d_axis_negative_1", "convtranspose_dilations", "cumsum_1d_exclusive",
    "dequantizelinear_blocked", "dft_axis", "dynamicquantizelinear_min_adjusted",
    "einsum_batch_diagonal", "expand_dim_changed", "flexattention_gqa", "gather_elements_1",
    "gridsample_bicubic", "gru_bidirectional", "layer_normalization_3d_axis1_epsilon",
    "linear_attention_decode_step", "lstm_with_peepholes",
    "matmulinteger", "mvn", "maxpool_with_argmax_2d_precomputed_strides", "mod_mixed_sign_int64",
    "nllloss_NCd1d2_with_weight_reduction_mean", "nonmaxsuppression_two_classes",
    "nonzero_example", "onehot_negative_indices", "pow_types_int64_float32", "qlinearconv",
    "quantizelinear_axis", "range_float_type_positive_delta", "reduce_log_sum_exp_keepdims_random",
    "reflect_pad", "reshape_zero_and_negative_dim", "resize_downsample_sizes_linear_antialias",
    "resize_upsample_scales_cubic", "reversesequence_time", "rms_normalization_2d_axis_negative_1",
    "roialign_mode_max", "scatter_elements_with_reduction_max", "scatternd_add",
    "simple_rnn_defaults",
    "slice_negative_axes", "softmax_large_number", "split_variable_parts_1d_opset18", "stft",
    "tfidfvectorizer_tf_uniandbigrams_skip5", "tile", "top_k_same_values_largest", "triu_zero",
    "unsqueeze_unsorted_axes", "where_long_example", "xor_bcast4v2d",
)
REFUSED = {
    "bernoulli": "ACT0013", "loop11": "ACT0401", "scan_sum": "ACT0008",
    "unique_sorted_without_axis": "ACT0460",
}
# fmt: on


@needs_tvm
@pytest.mark.parametrize("name", PASS)
def test_a_case_passes(name: str) -> None:
    outcome = run_case(cases()[f"test_{name}"])
    assert (outcome.result, outcome.reason) == ("passes", "")


@needs_tvm
@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_with_a_reason(name: str) -> None:
    outcome = run_case(cases()[f"test_{name}"])
    assert (outcome.result, outcome.code) == ("refused", REFUSED[name])


@needs_tvm
def test_a_wrong_kernel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the compiler's own comparison nor that with the expected outputs lets it pass."""
    from actc.targets.tvm.generic import moves

    kernel = moves.KERNELS["Tile"]
    monkeypatch.setitem(moves.KERNELS, "Tile", moves.KERNELS["Expand"])
    assert run_case(cases()["test_tile"]).result != "passes"
    monkeypatch.setitem(moves.KERNELS, "Tile", kernel)


def test_what_is_compared() -> None:
    real, whole = np.array([1.0, np.nan], np.float32), np.array([1, 2])
    assert difference(real, real, 1e-3, 1e-7) == ""
    assert "differ" in difference(real * np.float32(1.01), real, 1e-3, 1e-7)
    assert "differ" in difference(np.zeros(2, np.float32), real, 1e-3, 1e-7)
    assert "differ" in difference(whole + 1, whole, 1.0, 1.0)
    assert "type" in difference(whole.astype(np.int32), whole, 0, 0)
    assert "shape" in difference(whole[:1], whole, 0, 0)


def test_what_is_left_out() -> None:
    counted = [case for case in cases().values() if not left_out(case.model)]
    assert len(counted) > 0.9 * len(cases())
    rules = {name: left_out(case.model).partition(":")[0] for name, case in cases().items()}
    assert rules["test_adam"] == rules["test_training_dropout_default"] == "training"
    assert rules["test_sequence_insert_at_back"] == rules["test_loop13_seq"] == "sequence"
    assert rules["test_string_concat"] == "string"
    assert rules["test_optional_get_element_tensor"] in ("optional", "sequence")
    assert rules["test_softmax_axis_0"] == ""


def test_the_page() -> None:
    outcomes = {
        "test_a": Outcome("test_a", "A", "passes", run_time=True),
        "test_b": Outcome("test_b", "B", "refused", "ACT0401 no; ACT0402 no", "ACT0401"),
        "test_c": Outcome("test_c", "C", "left out", "string: it is"),
    }
    text = page(outcomes, 4)
    assert "| passes | 1 | 50.0 percent of the 2 counted; 1 of them" in text
    assert "| B | refused | b | ACT0401 no |" in text
    assert "| string: it is | 1 | C |" in text
    assert "1 cases were not run" in text


def test_the_page_is_of_this_onnx_and_keeps_its_word() -> None:
    """The sample passes by the page too; it counts every case, and nothing crashes."""
    text = PAGE.read_text(encoding="utf-8")
    if f"({onnx.__version__})" not in text:
        pytest.skip("the page is of another version of the onnx package")
    assert f"has {len(cases()):,} node tests" in text
    assert "were not run" not in text
    found = re.search(r"\| passes \| (\d+) \| ([\d.]+) percent of the (\d+)", text)
    assert found is not None
    assert float(found[2]) >= 80
    assert re.search(r"\| crashed \| 0 \|", text)
    listed = text.partition("## What does not pass")[2]
    named = set(re.findall(r"[A-Za-z0-9_]+", listed))
    assert not named & set(PASS)
    assert set(REFUSED) <= named


@needs_tvm
def test_constants_of_few_bits_are_taken(tmp_path: Path) -> None:
    """As the page says: only what a model computes in such types is refused."""
    text = """<ir_version: 11, opset_import: ["" : 23]>
        g (float[N,4] x) => (float[N,3] y)
        <float s = {0.5}> { a = DequantizeLinear(w, s) b = DequantizeLinear(v, s)
                            c = Add(a, b) y = MatMul(x, c) }"""
    model = onnx.parser.parse_model(text)
    codes = np.arange(12) % 5 - 2
    for name, kind in (("w", onnx.TensorProto.INT4), ("v", onnx.TensorProto.FLOAT8E4M3FN)):
        model.graph.initializer.append(onnx.helper.make_tensor(name, kind, [4, 3], codes))
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    artifact = actc.compile(
        model, "cpu", data={"x": x}, precision="float32", output=tmp_path / "out"
    )
    found = artifact.run({"x": x})["y"]
    np.testing.assert_allclose(found, x @ codes.reshape(4, 3).astype(np.float32), 1e-5, 1e-5)


def test_an_expanded_case_counts_for_its_operator() -> None:
    assert operator(cases()["test_clip_default_max_expanded"]) == "Clip"


def _scaled(shape: tuple[int, ...]) -> onnx.ModelProto:
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float{list(shape)} x, float s) => (float{list(shape)} y) {{ y = Mul(x, s) }}"""
    return onnx.parser.parse_model(text)


@needs_tvm
def test_a_model_without_a_batch_axis_is_taken_whole(tmp_path: Path) -> None:
    """A scalar input: each sample is all inputs, with an axis of samples in front."""
    data: dict[str, Any] = {
        "x": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "s": np.array([2.0, np.inf], np.float32),
    }
    model = _scaled((2, 3))
    artifact = actc.compile(model, "cpu", data=data, precision="float32", output=tmp_path / "a")
    got = artifact.run({"x": data["x"][0], "s": np.array(2.0, np.float32)})
    np.testing.assert_array_equal(got["y"], data["x"][0] * 2)
    assert artifact.report["samples"] == 2
    with pytest.raises((ModelError, UsageError)) as caught:
        actc.compile(model, "cpu", data=data, output=tmp_path / "b")
    assert caught.value.diagnostics[0].code == "ACT0009"


@needs_tvm
def test_shapes_that_are_inputs_must_give_what_is_declared(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["" : 21]>
        g (float[3, 4] x, int64[2] s) => (float[4, 3] y) { y = Reshape(x, s) }"""
    data = {"x": np.zeros((1, 3, 4), np.float32), "s": np.array([[4, 3]])}
    model = onnx.parser.parse_model(text)
    artifact = actc.compile(model, "cpu", data=data, precision="float32", output=tmp_path / "a")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    got = artifact.run({"x": x, "s": np.array([-1, 3])})
    np.testing.assert_array_equal(got["y"], x.reshape(4, 3))
    with pytest.raises(UsageError) as caught:
        artifact.run({"x": x, "s": np.array([2, 6])})
    assert caught.value.diagnostics[0].code == "ACT0464"
