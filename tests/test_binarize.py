"""The pass `binarize`: exact in golden, near the float network, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, prepared, proto_of, run

from actc.compiler import default_pipeline
from actc.data import Dataset
from actc.errors import UsageError
from actc.ir import spec
from actc.ir.context import Context, context_of
from actc.passes.binarize import FACTS, Binarize, parse_binarize
from actc.passes.quantized import lowering
from actc.pipeline import Pipeline, Verify, spelling

Array = np.ndarray[Any, Any]

INNER = 24


def mlp(activation: str, seed: int = 0, width: int = INNER) -> onnx.ModelProto:
    """Three layers with batch norms of both signs of gamma before the activation."""
    gammas = np.where(np.arange(width) % 3 == 0, -1, 1) * (0.5 + np.abs(normal(width, seed=seed)))
    weights = {
        "w0": normal(6, width, seed=seed + 1),
        "w1": normal(width, width, seed=seed + 2, scale=width**-0.5),
        "w2": normal(width, 3, seed=seed + 3, scale=width**-0.5),
        **{f"g{n}": gammas.astype(np.float32) for n in range(2)},
        **{f"b{n}": normal(width, seed=seed + 7 + n) for n in range(2)},
        "m": normal(width, seed=seed + 5, scale=0.3),
        "v": (0.5 + normal(width, seed=seed + 6) ** 2).astype(np.float32),
    }
    body = "\n".join(
        f"""h{n} = MatMul (a{n}, w{n})
            n{n} = BatchNormalization (h{n}, g{n}, b{n}, m, v)
            {activation.format(x=f"n{n}", y=f"a{n + 1}", n=n)}"""
        for n in range(2)
    )
    body = f"a0 = Identity (x)\n{body}\ny = MatMul (a2, w2)"
    return network("float[N,6] x => float[N,3] y", body, weights)


FUNCTIONS = {
    "relu": "{y} = Relu ({x})",
    "tanh": "{y} = Tanh ({x})",
    "silu": "s{n} = Sigmoid ({x})\n {y} = Mul ({x}, s{n})",
    "none": "{y} = Identity ({x})",
}


def compiled(
    model: onnx.ModelProto, feeds: Mapping[str, Array], step: Binarize, **options: Any
) -> tuple[onnx.ModelProto, onnx.ModelProto, Context]:
    """Golden, the float network with its steps, and the context."""
    pipeline = default_pipeline("int8", "auto", "minmax", binary=step, **options)
    names = [spelling(p) for p in pipeline.passes]
    cut = names.index(spelling(step)) + 1
    ready = prepared(model, feeds)
    half = Pipeline(pipeline.passes[:cut]).run(ready, [Verify()])
    binary = proto_of(ir.from_proto(ir.to_proto(half)))
    whole = Pipeline(pipeline.passes[cut:]).run(half, [Verify()])
    return proto_of(whole), binary, context_of(whole)


def codes_of(
    golden: onnx.ModelProto, context: Context, feeds: Mapping[str, Array]
) -> dict[str, Array]:
    """Codes of the binary tensors in golden, by their name."""
    names = {name: context.facts["golden"][name][0] for name in context.facts[FACTS]["inputs"]}
    found = run(golden, feeds, *names.values())
    return {name: found[tensor] for name, tensor in names.items()}


def assert_exact(golden: onnx.ModelProto, feeds: Mapping[str, Array]) -> Array:
    found, exact = run(golden, feeds)["y"], spec.run(golden, feeds)["y"]
    np.testing.assert_array_equal(found, exact)
    return found


def test_a_function_that_turns_may_have_two_thresholds() -> None:
    """x * x is above a cut on both sides."""
    square = mlp("{y} = Mul ({x}, {x})")
    feeds = {"x": normal(300, 6)}
    golden, binary, context = compiled(square, feeds, Binarize("all"))
    assert not [d for d in context.sink.items if d.severity != "note"]
    points = [t for t in golden.graph.initializer if t.name.endswith(".breakpoints")]
    rows = onnx.numpy_helper.to_array(points[0]).reshape(INNER, -1)
    assert {len(np.unique(row[:-1])) for row in rows} == {2}
    codes = codes_of(golden, context, feeds)
    ((name, row),) = context.facts[FACTS]["inputs"].items()
    wanted = run(binary, feeds, name)[name] > 0
    assert (wanted == (codes[name] == row["levels"].high)).mean() > 0.98
    assert_exact(golden, feeds)


@pytest.mark.parametrize("name", ["silu", "square"])
def test_steps_are_found_where_sums_are_too_many_to_try(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mlp({**FUNCTIONS, "square": "{y} = Mul ({x}, {x})"}[name])
    feeds = {"x": normal(300, 6)}
    tried, _, _ = compiled(model, feeds, Binarize("all"))
    monkeypatch.setattr(lowering, "_MOST_SUMS", 0)
    found, _, _ = compiled(model, feeds, Binarize("all"))
    assert found == tried


@pytest.mark.parametrize("name", FUNCTIONS)
def test_codes_are_the_steps_of_the_float_network(name: str) -> None:
    """With inputs on their grid nothing is rounded before the cuts but the biases."""
    model, rng = mlp(FUNCTIONS[name]), np.random.default_rng(3)
    x = rng.integers(0, 256, (200, 6)).astype(np.float32)
    feeds = {"x": x - 128}
    feeds["x"][0], feeds["x"][1] = -128, 127
    golden, binary, context = compiled(model, feeds, Binarize("all", first="binary", last="binary"))
    assert [row["bits"] for row in context.facts["layers"].values()] == ["binary"] * 3
    assert not [d for d in context.sink.items if d.severity != "note"]
    codes = codes_of(golden, context, feeds)
    tensors = context.facts[FACTS]["inputs"]
    steps = run(binary, feeds, *tensors, *(row["origin"] for row in tensors.values()))
    assert len(codes) == 2
    for tensor, row in tensors.items():
        form = row["levels"]
        real = form.scale * (codes[tensor].astype(np.float64) - form.zero_point)
        clear = np.abs(steps[row["origin"]] - row["cuts"]) > 1e-4
        assert clear.mean() > 0.95
        np.testing.assert_allclose(real[clear], steps[tensor][clear], rtol=1e-6)
        share = (codes[tensor] == form.high).mean()
        assert 0.02 < share < 0.98
        assert set(np.unique(codes[tensor])) == {form.low, form.high}
    assert_exact(golden, feeds)
    kinds = [node.op_type for node in golden.graph.node]
    assert kinds.count("Steps") == 2
    assert "Table" not in kinds
    assert "Requantize" not in kinds


def test_all_leaves_out_the_edges_and_gives_them_bits() -> None:
    model, feeds = mlp(FUNCTIONS["relu"]), {"x": normal(128, 6)}
    _, _, context = compiled(model, feeds, Binarize("all", last="4"))
    bits = {row["node"]: row["bits"] for row in context.facts["layers"].values()}
    assert list(bits.values()) == ["8", "binary", "4"]
    assert [row["rounding"] for row in context.facts["layers"].values()][1] == "binarized"


def test_sums_that_stay_real_have_fine_biases() -> None:
    """Codes of +-16 behind which the bias loses less than a 32nd of what one sign weighs."""
    model, feeds = mlp(FUNCTIONS["tanh"]), {"x": normal(300, 6)}
    golden, binary, context = compiled(model, feeds, Binarize("all"))
    ((name, given),) = context.facts["given"].items()
    assert set(np.unique(given.codes)) == {-16, 16}
    assert context.facts["layers"][name]["bytes"] == INNER * INNER // 8
    found, close = run(golden, feeds)["y"], run(binary, feeds)["y"]
    assert np.sqrt(np.mean((found - close) ** 2)) < 0.1 * np.sqrt(np.mean(close**2))
    _, _, other = compiled(model, feeds, Binarize("all", last="binary"))
    sizes = [np.abs(weights.codes).max() for weights in other.facts["given"].values()]
    assert sizes == [1, 1]


def test_fitting_comes_nearer_than_signs_alone() -> None:
    """What the layers behind make up for shows in the outputs, on other samples as well."""
    model = mlp(FUNCTIONS["tanh"], width=48)
    feeds, fresh = {"x": normal(400, 6)}, {"x": normal(400, 6, seed=9)}
    _, binary, context = compiled(model, feeds, Binarize("all", last="binary"))
    wanted, found = run(model, fresh)["y"], run(binary, fresh)["y"]
    error = np.sqrt(np.mean((found - wanted) ** 2) / np.mean((wanted - wanted.mean(0)) ** 2))
    plain = run(model, fresh, "a1")["a1"]
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    signs = {n: np.sign(weights[n]) * np.abs(weights[n]).mean(0) for n in ("w1", "w2")}
    h = np.sign(plain) * np.abs(plain).mean() @ signs["w1"]
    n = (h - weights["m"]) / np.sqrt(weights["v"] + 1e-5) * weights["g1"] + weights["b1"]
    a = np.tanh(n)
    naive = np.sign(a) * np.abs(a).mean() @ signs["w2"]
    naive_error = np.sqrt(np.mean((naive - wanted) ** 2) / np.mean((wanted - wanted.mean(0)) ** 2))
    assert error < 0.75 * naive_error
    assert error < 0.7
    assert context.facts["given"]


CONV = network(
    "float[N,2,8,8] x => float[N,3] y",
    """c0 = Conv <pads = [1, 1, 1, 1]> (x, k0, b0)
       r0 = Relu (c0)
       p0 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r0)
       c1 = Conv <pads = [1, 1, 1, 1]> (p0, k1)
       r1 = Relu (c1)
       p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r1)
       f = Flatten (p1)
       y = MatMul (f, w)""",
    {
        "k0": normal(8, 2, 3, 3, scale=0.3),
        "b0": normal(8, seed=1, scale=0.3),
        "k1": normal(6, 8, 3, 3, seed=2, scale=0.2),
        "w": normal(24, 3, seed=3, scale=0.3),
    },
)


def test_convolutions_with_padding_pooling_and_a_flat_end() -> None:
    """Steps stand before the pooling; a padded tensor has levels 0 and a."""
    feeds = {"x": normal(96, 2, 8, 8)}
    golden, binary, context = compiled(CONV, feeds, Binarize("all", last="binary"))
    tensors = context.facts[FACTS]["inputs"]
    assert [row["origin"] for row in tensors.values()] == ["r0", "r1"]
    padded, flat = (row["levels"] for row in tensors.values())
    assert (padded.zero_point, padded.low, padded.high) == (0, 0, 1)
    assert (flat.zero_point, flat.low, flat.high) == (1, 0, 2)
    assert [row["cuts"].shape for row in tensors.values()] == [(8, 1, 1), (6, 1, 1)]
    found = assert_exact(golden, feeds)
    close = run(binary, feeds)["y"]
    assert np.sqrt(np.mean((found - close) ** 2)) < 0.1 * np.sqrt(np.mean(close**2))
    order = [node.op_type for node in golden.graph.node]
    assert order.count("Steps") == 2
    assert order.index("Steps") < order.index("MaxPool")


def test_a_tensor_with_other_readers_keeps_them_real() -> None:
    model = network(
        "float[N,5] x => float[N,8] y",
        """h = MatMul (x, w0)
           a = Tanh (h)
           g = MatMul (a, w1)
           b = Tanh (g)
           s = Add (a, b)
           y = MatMul (s, w2)""",
        {"w0": normal(5, 8), "w1": normal(8, 8, seed=1), "w2": normal(8, 8, seed=2)},
    )
    feeds = {"x": normal(100, 5)}
    golden, binary, context = compiled(model, feeds, Binarize("all"))
    assert list(context.facts[FACTS]["inputs"]) == ["a.binary"]
    (adder,) = [n for n in binary.graph.node if n.op_type == "Add" and "s" in n.output]
    assert set(adder.input) == {"a", "b"}
    assert_exact(golden, feeds)


@pytest.mark.parametrize("weights", ["ternary", "keep"])
def test_other_weights(weights: str) -> None:
    model, feeds = mlp(FUNCTIONS["relu"]), {"x": normal(200, 6)}
    golden, _, context = compiled(model, feeds, Binarize("all", weights=weights))
    rows = list(context.facts["layers"].values())
    assert rows[1]["bits"] == ("8" if weights == "keep" else weights)
    assert len(context.facts[FACTS]["inputs"]) == 1
    assert_exact(golden, feeds)


def test_weights_alone() -> None:
    model, feeds = mlp(FUNCTIONS["relu"]), {"x": normal(200, 6)}
    golden, _, context = compiled(model, feeds, Binarize("all", activations="keep"))
    assert context.facts[FACTS]["inputs"] == {}
    assert "Steps" not in [node.op_type for node in golden.graph.node]
    assert [row["bits"] for row in context.facts["layers"].values()] == ["8", "binary", "8"]
    assert_exact(golden, feeds)


def test_mixed_widths_beside_binary_layers() -> None:
    model, feeds = mlp(FUNCTIONS["relu"]), {"x": normal(200, 6)}
    golden, _, context = compiled(model, feeds, Binarize("all"), activations="mixed", weights="4")
    assert [row["bits"] for row in context.facts["layers"].values()] == ["8", "binary", "8"]
    assert_exact(golden, feeds)


def labelled(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> ir.Model:
    """The model with its own answers as labels."""
    ready = prepared(model, {**feeds, "labels": run(model, feeds)["y"].argmax(1).astype(np.int64)})
    assert isinstance(context_of(ready).dataset, Dataset)
    return ready


@pytest.mark.parametrize(("drop", "count"), [(1.0, 3), (0.0, 0)])
def test_auto_takes_what_the_budget_allows(drop: float, count: int) -> None:
    ready = labelled(mlp(FUNCTIONS["tanh"]), {"x": normal(300, 6)})
    step = Binarize(first="binary", last="binary", max_drop=drop)
    front = Pipeline.parse("normalize,structure").passes
    Pipeline((*front, step)).run(ready)
    rows = context_of(ready).facts[FACTS]["layers"].values()
    assert len(rows) == 3
    assert sum(row["chosen"] for row in rows) == count
    assert all(row["error_alone"] > 0 and row["accuracy_alone"] < 1 for row in rows)


def test_auto_keeps_to_a_budget_between() -> None:
    ready = labelled(mlp(FUNCTIONS["tanh"], width=64), {"x": normal(300, 6)})
    step = Binarize(first="binary", last="binary", max_drop=0.1)
    result = Pipeline((*Pipeline.parse("normalize,structure").passes, step)).run(ready)
    context = context_of(result)
    rows = list(context.facts[FACTS]["layers"].values())
    taken = [row for row in rows if row["chosen"]]
    assert 0 < len(taken) < 3
    assert all(row["accuracy_alone"] >= 0.9 for row in taken)
    data = context.dataset
    correct = run(proto_of(result), data.inputs)["y"].argmax(1) == data.labels
    assert correct.mean() >= 0.9


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"layers": "dense*"}, "ACT0247", "dense"),
        ({"layers": "h9"}, "ACT0247", "h1"),
        ({"layers": "none", "tensors": "h0"}, "ACT0247", "tensor"),
        ({"layers": "none", "tensors": "x"}, "ACT0247", "tensor"),
        ({"weights": "3"}, "ACT0224", "ternary"),
        ({"first": "1"}, "ACT0224", "binary"),
        ({"max_drop": 2.0}, "ACT0224", "0..1"),
        ({"weights": "keep", "activations": "keep"}, "ACT0224", "nothing"),
        ({"layers": "auto"}, "ACT0246", "labels"),
    ],
)
def test_refused(options: dict[str, Any], code: str, words: str) -> None:
    ready = prepared(mlp(FUNCTIONS["relu"]), {"x": normal(32, 6)})
    with pytest.raises(UsageError) as caught:
        Pipeline((*Pipeline.parse("normalize").passes, Binarize(**options))).run(ready)
    found = caught.value.diagnostics[0]
    assert found.code == code
    assert words in f"{found.message} {found.help}"


def test_all_names_that_mean_nothing_are_named() -> None:
    ready = prepared(mlp(FUNCTIONS["relu"]), {"x": normal(32, 6)})
    step = Binarize(layers="h9;h1;dense*", tensors="x")
    with pytest.raises(UsageError) as caught:
        Pipeline((*Pipeline.parse("normalize").passes, step)).run(ready)
    assert [d.place.node for d in caught.value.diagnostics if d.place] == ["h9", "dense*", "x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", Binarize("auto", max_drop=0.02)),
        ("all,last=binary,samples=64", Binarize("all", last="binary", samples=64, max_drop=0.02)),
        ("conv*, head", Binarize("conv*;head", max_drop=0.02)),
        ("layers=conv*;head=3", Binarize("conv*;head=3", max_drop=0.02)),
        ("weights=ternary,max_drop=0.1", Binarize(weights="ternary", max_drop=0.1)),
    ],
)
def test_spelling_on_the_command_line(text: str, expected: Binarize) -> None:
    found = parse_binarize(text, 0.02)
    assert found == expected
    assert Pipeline.parse(spelling(found)).passes == (found,)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("all,samples=many", ["ACT0223 'samples'"]),
        ("all,first=9,foo=1", ["ACT0223 'foo'", "ACT0224 'first'"]),
        ("all,frist=4,batch=0,last=8,last=4,samples=-1", ["ACT0223 'frist'", "ACT0223 'last'",
         "ACT0224 'samples'", "ACT0224 'batch'"]),
        ("all,h1,max_drop=2", ["ACT0224 'max_drop'", "ACT0224 'layers'"]),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_named(text: str, problems: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_binarize(text, 0.01)
    found = [f"{d.code} {d.message}" for d in caught.value.diagnostics]
    assert len(found) == len(problems)
    for message, problem in zip(found, problems, strict=True):
        code, option = problem.split()
        assert message.startswith(code)
        assert option in message
    hints = [d.help or "" for d in caught.value.diagnostics if "frist" in d.message]
    assert all("did you mean 'first'?" in hint for hint in hints)
