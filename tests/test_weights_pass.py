"""Pass `weights`, and what compile does with fewer bits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, prepared, proto_of, random_data, run

import actc
from actc.errors import ModelError, UsageError
from actc.ir import spec
from actc.ir.context import Context, context_of
from actc.numerics.weights import WeightFormat
from actc.passes import weights as module
from actc.passes.weights import QuantizeWeights
from actc.pipeline import Pipeline, Verify

Array = np.ndarray[Any, Any]

FRONT = "normalize,structure,recognize,calibrate,approximate,quantize"
MODEL = network(
    "float[N,3,8,8] x => float[N,5] y",
    "h = Conv <pads = [1,1,1,1]> (x, u, c)\n r = Relu (h)\n"
    "g = Conv <group = 2> (r, v)\n s = Sigmoid (g)\n p = GlobalAveragePool (s)\n"
    "f = Flatten (p)\n k = MatMul (f, t)\n q = Relu (k)\n m = MatMul (q, w)\n y = Add (m, b)",
    {
        "u": normal(6, 3, 3, 3, scale=0.3),
        "c": normal(6),
        "v": normal(8, 3, 3, 3, scale=0.3),
        "t": normal(8, 12),
        "w": normal(12, 5),
        "b": normal(5),
    },
)
LAYERS = ("h", "g", "k", "m")
NARROW = ("6", "4", "3", "2", "ternary", "binary")


def quantized(
    model: onnx.ModelProto = MODEL, *passes: Any, samples: int = 64
) -> tuple[onnx.ModelProto, Context]:
    """Golden, and the context behind it; `passes` stand between quantize and integerize."""
    ready = prepared(model, random_data(model, samples))
    steps = (*Pipeline.parse(FRONT).passes, *passes, *Pipeline.parse("integerize").passes)
    result = Pipeline(steps).run(ready, [Verify()])
    return proto_of(result), context_of(result)


def codes_of(golden: onnx.ModelProto) -> list[Array]:
    """Weights of the linear operators, in order."""
    linear = [n for n in ir.from_proto(golden).graph if n.op_type in ("IntConv", "IntMatMul")]
    return [node.inputs[1].const_value.numpy() for node in linear]  # type: ignore[union-attr]


def error(golden: onnx.ModelProto, seed: int) -> float:
    feeds = random_data(MODEL, 64, seed)
    wanted, got = run(MODEL, feeds)["y"], run(golden, feeds)["y"]
    return float(np.sqrt(np.mean((wanted - got) ** 2) / np.mean(wanted**2)))


def test_eight_bits_change_nothing() -> None:
    """The default pass gives the very integers that integerize chooses by itself."""
    without, _ = quantized()
    with_pass, context = quantized(MODEL, QuantizeWeights())
    assert with_pass.SerializeToString(deterministic=True) == without.SerializeToString(
        deterministic=True
    )
    assert list(context.facts["weights"]) == list(LAYERS)


@pytest.mark.parametrize("bits", NARROW)
def test_golden_holds_the_codes_and_stays_exact(bits: str) -> None:
    golden, context = quantized(MODEL, QuantizeWeights(bits=bits, edges=0))
    form = WeightFormat.parse(bits)
    allowed = np.concatenate([-form.magnitudes, form.magnitudes])
    for codes in codes_of(golden):
        assert codes.dtype == np.int8
        assert np.isin(codes, allowed).all()
    feeds = random_data(MODEL, 16, seed=3)
    np.testing.assert_array_equal(run(golden, feeds)["y"], spec.run(golden, feeds)["y"])
    rows = context.facts["layers"]
    assert [row["bits"] for row in rows.values()] == [bits] * 4
    assert all(row["bytes"] == form.packed_bytes(row["weights"]) for row in rows.values())
    for row in rows.values():
        assert 0 < row["output_error"] < row["output_error_nearest"]


@pytest.mark.parametrize("bits", NARROW)
def test_optimal_rounding_beats_nearest_on_samples_not_seen(bits: str) -> None:
    optimal, _ = quantized(MODEL, QuantizeWeights(bits=bits, edges=0), samples=256)
    nearest, _ = quantized(MODEL, QuantizeWeights(bits=bits, edges=0, rounding="nearest"))
    assert error(optimal, seed=5) < 0.8 * error(nearest, seed=5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["8", "4", "4", "8"]),
        ({"edges": 6}, ["6", "4", "4", "6"]),
        ({"edges": 2}, ["4", "4", "4", "4"]),
        ({"edges": 0}, ["4", "4", "4", "4"]),
        ({"layers": "k=ternary; h=3;"}, ["3", "4", "ternary", "8"]),
    ],
)
def test_bits_per_layer(options: dict[str, Any], expected: list[str]) -> None:
    _, context = quantized(MODEL, QuantizeWeights(bits="4", rounding="nearest", **options))
    assert [row["bits"] for row in context.facts["layers"].values()] == expected


@pytest.mark.parametrize(("wide", "expected"), [(12, "8"), (1, "4")])
def test_depthwise_layers_keep_bits_unless_they_hold_most_weights(wide: int, expected: str) -> None:
    model = network(
        "float[N,3,8,8] x => float[N,2,a,b] y",
        "p = Conv (x, v)\n q = Conv <group = 12> (p, d)\n r = Conv (q, w)\n y = Conv (r, u)",
        {
            "v": normal(12, 3, 1, 1),
            "d": normal(12, 1, 3, 3),
            "w": normal(wide, 12, 1, 1),
            "u": normal(2, wide, 1, 1),
        },
    )
    _, context = quantized(model, QuantizeWeights(bits="4", rounding="nearest"))
    found = {name: row["bits"] for name, row in context.facts["layers"].items()}
    assert found == {"p": "8", "q": expected, "r": "4", "y": "8"}


def test_first_and_last_are_what_no_layer_stands_before_or_behind() -> None:
    """Two inputs, two outputs, and a lookup, which is a first layer itself."""
    model = network(
        "float[N,4] a, int64[N,3] i => float[N,2] y, float[N,3,2] z",
        "p = MatMul (a, v)\n q = Relu (p)\n y = MatMul (q, w)\n"
        "e = Gather (t, i)\n k = MatMul (e, u)\n l = Relu (k)\n z = MatMul (l, s)",
        {"v": normal(4, 6), "w": normal(6, 2), "t": normal(9, 50), "u": normal(50, 4),
         "s": normal(4, 2)},
    )  # fmt: skip
    _, context = quantized(model, QuantizeWeights(bits="4", rounding="nearest"))
    found = {name: row["bits"] for name, row in context.facts["layers"].items()}
    assert found == {"p": "8", "y": "8", "k": "4", "z": "8"}


@pytest.mark.parametrize(("inner", "expected"), [(7, ["4"] * 3), (8, ["8", "4", "8"])])
def test_first_and_last_layers_are_no_exception_where_they_are_most_of_it(
    inner: int, expected: list[str]
) -> None:
    """First and last hold 32 weights each, the one between them 56 or 64."""
    model = network(
        "float[N,4] x => float[N,32] y",
        "a = MatMul (x, u)\n b = Relu (a)\n c = MatMul (b, v)\n d = Relu (c)\n"
        " e = ReduceSum <keepdims = 0> (d, axes)\n f = Unsqueeze (e, axes)\n y = MatMul (f, w)",
        {
            "u": normal(4, 8),
            "v": normal(8, inner),
            "axes": np.array([1]),
            "w": normal(1, 32),
        },
    )
    _, context = quantized(model, QuantizeWeights(bits="4", rounding="nearest"))
    assert [row["bits"] for row in context.facts["layers"].values()] == expected


def test_the_spelling_of_overrides_survives_a_pipeline() -> None:
    step = QuantizeWeights(bits="4", layers="/net/conv=8;a=b=ternary", power_of_two=True)
    assert Pipeline.parse(str(Pipeline((step,)))) == Pipeline((step,))
    with pytest.raises(UsageError) as caught:
        quantized(MODEL, step)
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0227"
    assert "'/net/conv'" in found.message
    assert "h, g, k, m" in found.help


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"bits": "5.5"}, "ACT0226", "ternary"),
        ({"layers": "k=many"}, "ACT0226", "ternary"),
        ({"layers": "kk=4"}, "ACT0227", "did you mean 'k'"),
        ({"layers": "k"}, "ACT0227", "h, g, k, m"),
        ({"rounding": "best"}, "ACT0224", "nearest"),
        ({"granularity": "group"}, "ACT0224", "tensor"),
        ({"edges": 9}, "ACT0226", "8"),
        ({"groups": -1}, "ACT0244", "per group"),
    ],
)
def test_wrong_options(options: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        quantized(MODEL, QuantizeWeights(**options))
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert words in found.help


@pytest.mark.parametrize("rounding", ["nearest", "optimal"])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_shared_scales_and_powers_of_two(rounding: str, granularity: str) -> None:
    step = QuantizeWeights("5", rounding, granularity, power_of_two=True)
    _, context = quantized(MODEL, step)
    for chosen in context.facts["weights"].values():
        np.testing.assert_array_equal(np.frexp(chosen.scales)[0], 0.5)
        assert granularity == "channel" or len(np.unique(chosen.scales)) == 1


@pytest.mark.parametrize("rounding", ["nearest", "optimal"])
def test_a_bias_far_larger_than_the_weights(rounding: str) -> None:
    """The channel takes a coarser scale, so that the bias fits the accumulator."""
    bias = np.array([1e6, 0.1, -1e6], np.float32)
    model = network(
        "float[N,4] x => float[N,3] y",
        "h = MatMul (x, w)\n y = Add (h, b)",
        {"w": normal(4, 3, scale=1e-3), "b": bias},
    )
    golden, _ = quantized(model, QuantizeWeights("4", rounding, edges=0))
    y = run(golden, random_data(model, 8))["y"]
    np.testing.assert_allclose(y[:, [0, 2]], np.broadcast_to(bias[[0, 2]], (8, 2)), rtol=1e-6)


def test_the_mean_error_goes_to_the_bias() -> None:
    model = network("float[N,6] x => float[N,40] y", "y = MatMul (x, w)", {"w": normal(6, 40)})
    feeds = {"x": np.abs(normal(200, 6)) + 1}
    means = {}
    for correct in (True, False):
        step = QuantizeWeights("3", "optimal", edges=0, correct_bias=correct)
        steps = (*Pipeline.parse(FRONT).passes, step, *Pipeline.parse("integerize").passes)
        golden = proto_of(Pipeline(steps).run(prepared(model, feeds)))
        difference = run(golden, feeds)["y"] - run(model, feeds)["y"]
        means[correct] = np.abs(difference.mean(axis=0)).mean()
    assert means[True] < 0.1 * means[False]


def test_a_layer_too_wide_is_rounded_to_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WIDEST", 20)
    _, context = quantized(MODEL, QuantizeWeights("4", edges=0))
    rows = context.facts["layers"]
    assert [row["rounding"] for row in rows.values()] == ["nearest"] * 2 + ["sequential"] * 2
    assert [d.code for d in context.sink.items] == ["ACT0228"] * 2
    assert [d.place.node for d in context.sink.items] == ["h", "g"]


def test_optimal_rounding_needs_data() -> None:
    ready = prepared(MODEL, random_data(MODEL, 8))
    current = Pipeline.parse(FRONT).run(ready)
    context_of(current).dataset = None
    with pytest.raises(UsageError) as caught:
        QuantizeWeights("4")(current)
    assert caught.value.diagnostics[0].code == "ACT0222"


def test_what_has_no_integer_form_is_left_to_integerize() -> None:
    model = network(
        "float[N,3,8,8] x => float[N,a,b,c] y",
        "k = Reshape (x, s)\n y = Conv (x, k)",
        {"s": np.array([-1, 3, 8, 8])},
    )
    with pytest.raises(ModelError) as caught:
        quantized(model, QuantizeWeights("4"))
    assert "not constant" in caught.value.diagnostics[0].message


def test_compile_reports_layers_and_packed_size(tmp_path: Any) -> None:
    data = random_data(MODEL, 32)
    eight = actc.compile(MODEL, "onnx", data=data, output=tmp_path / "8")
    four = actc.compile(MODEL, "onnx", data=data, output=tmp_path / "4", weights="4")
    sizes = {"h": 162, "g": 216, "k": 96, "m": 60}
    assert eight.report["weights"] == {"bits": ["8"], "bytes": sum(sizes.values())}
    assert four.report["weights"] == {"bits": ["8", "4"], "bytes": 162 + 108 + 48 + 60}
    assert [row["weights"] for row in four.report["layers"]] == list(sizes.values())
    assert [row["rounding"] for row in four.report["layers"]] == [
        "sequential",
    ] * 4
    assert four.report["options"]["weights"] == "4"
    assert "weights{bits=4}" in four.report["passes"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"weights": "1"}, "ACT0224"),
        ({"rounding": "up"}, "ACT0224"),
        ({"groups": 32}, "ACT0244"),
        ({"weights": "4", "groups": -1}, "ACT0244"),
        ({"weights": "4", "groups": 32, "precision": "float32"}, "ACT0229"),
        ({"weights": "4", "precision": "float32", "target": "cpu"}, "ACT0229"),
        ({"rounding": "nearest", "precision": "float32", "target": "cpu"}, "ACT0229"),
    ],
)
def test_wrong_options_of_compile(options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        actc.compile(MODEL, dry_run=True, **options)
    assert caught.value.diagnostics[0].code == code


def test_groups_share_factors_and_stay_exact() -> None:
    step = QuantizeWeights(bits="4", edges=0, groups=2)
    golden, context = quantized(MODEL, step)
    plain, before = quantized(MODEL, QuantizeWeights(bits="4", edges=0))
    feeds = random_data(MODEL, 16, seed=3)
    np.testing.assert_array_equal(run(golden, feeds)["y"], spec.run(golden, feeds)["y"])
    assert error(golden, seed=5) < error(plain, seed=5)
    rows, previous = (c.facts["layers"] for c in (context, before))
    # Of a convolution two channels with their windows, of a matrix two inputs.
    factors = {"h": 6 * 2, "g": 8 * 2, "k": 12 * 4, "m": 5 * 6}
    for name, row in rows.items():
        assert row["groups"] == 2
        assert row["bytes"] == previous[name]["bytes"] + factors[name] // 2
        assert row["output_error"] < previous[name]["output_error"]
    chosen = context.facts["weights"]["h"]
    assert chosen.factors.shape == (6, 2)
    spread = np.repeat(chosen.factors, 18, axis=1)[:, :27].reshape(chosen.codes.shape)
    codes, rest = np.divmod(chosen.codes, spread)
    assert not rest.any()
    assert np.abs(codes).max() <= 7


@pytest.mark.parametrize("bits", ["8", "4"])
def test_groups_that_change_nothing(bits: str) -> None:
    """Eight bits leave no room for factors, and one group per channel needs none."""
    groups = 2 if bits == "8" else 100
    step = QuantizeWeights(bits=bits, edges=0)
    without, _ = quantized(MODEL, step)
    golden, context = quantized(MODEL, dataclasses.replace(step, groups=groups))
    assert [row["groups"] for row in context.facts["layers"].values()] == [0] * 4
    for one, other in zip(codes_of(golden), codes_of(without), strict=True):
        np.testing.assert_array_equal(one, other)
