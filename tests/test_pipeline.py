"""Pipelines: their spelling, foreign passes in them, and the instruments that catch mistakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import dataset_of, network, normal, operators, prepared, proto_of, random_data, run
from onnxscript import rewriter

from actc.checks.equivalence import FunctionKept
from actc.compiler import default_pipeline
from actc.errors import ActcError, InternalError, UsageError
from actc.ir.context import context_of
from actc.passes.approximate import FORMS, Approximate
from actc.passes.base import Pass
from actc.passes.calibrate import Calibrate
from actc.passes.normalize import Normalize
from actc.passes.quantize import Quantize
from actc.passes.recognize import Recognize
from actc.pipeline import DumpIr, Instrument, Pipeline, Snapshot, Timing, Verify, spelling

Array = np.ndarray[Any, Any]

MODEL = network(
    "float[N,4] x => float[N,3] y",
    "h = MatMul (x, w)\n s = Sigmoid (h)\n y = MatMul (s, v)",
    {"w": normal(4, 5), "v": normal(5, 3)},
)


# Spelling


def test_spelling_of_passes() -> None:
    assert spelling(Normalize()) == "normalize"
    assert spelling(Calibrate(samples=9)) == "calibrate{samples=9}"
    text = spelling(Approximate(form="pwl", segments=16, max_error=0.25))
    assert text == "approximate{form=pwl,segments=16,max_error=0.25}"


def test_parsing() -> None:
    pipeline = Pipeline.parse(" normalize , approximate{ form = pwl , segments=16 },quantize ")
    assert pipeline.passes == (Normalize(), Approximate(form="pwl", segments=16), Quantize())


_PASSES = st.one_of(
    st.just(Normalize()),
    st.just(Recognize()),
    st.builds(Calibrate, samples=st.integers(0, 9999), batch=st.integers(1, 99)),
    st.builds(
        Approximate,
        form=st.sampled_from(FORMS),
        segments=st.integers(0, 99),
        max_error=st.floats(1e-9, 1, allow_nan=False),
    ),
    st.builds(Quantize, method=st.sampled_from(["minmax", "mse"])),
)


@settings(deadline=None, derandomize=True)
@given(st.lists(_PASSES, min_size=1, max_size=5))
def test_spelling_can_be_read_back(passes: list[Any]) -> None:
    pipeline = Pipeline(tuple(passes))
    assert Pipeline.parse(str(pipeline)) == pipeline


def test_the_default_pipelines_can_be_read_back() -> None:
    for precision in ("int8", "float32"):
        pipeline = default_pipeline(precision, "pwl", "mse")
        assert Pipeline.parse(str(pipeline)) == pipeline


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("recognise", "ACT0201", ["did you mean 'recognize'?"]),
        ("normalize,xyzzy", "ACT0201", ["known passes:"]),
        ("", "ACT0223", ["cannot read"]),
        ("normalize,,quantize", "ACT0223", [",quantize"]),
        ("normalize{", "ACT0223", ["normalize{"]),
        ("normalize quantize", "ACT0223", ["cannot read"]),
        ("approximate{from=pwl}", "ACT0223", ["no option 'from'", "did you mean 'form'?"]),
        ("approximate{pwl}", "ACT0223", ["no option 'pwl'"]),
        ("normalize{a=1}", "ACT0223", ["its options: none"]),
        ("approximate{segments=many}", "ACT0223", ["cannot be 'many'", "a value like 0"]),
        ("approximate{max_error=}", "ACT0223", ["cannot be ''"]),
    ],
)
def test_wrong_spelling(text: str, code: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Pipeline.parse(text)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert all(word in str(found) for word in words)


def test_all_wrong_spellings_are_named() -> None:
    text = "recognise,approximate{from=pwl,segments=many,form=pwl,form=pwl},normalize{a=1}quantize"
    with pytest.raises(UsageError) as caught:
        Pipeline.parse(text)
    found = [f"{d.code} {d.message}" for d in caught.value.diagnostics]
    words = ["recognise", "'from'", "'many'", "twice", "at 'normalize{a=1}quantize'"]
    assert len(found) == len(words)
    assert all(word in message for word, message in zip(words, found, strict=True))


@pytest.mark.parametrize("text", ["approximate{form=round}", "quantize{method=best}"])
def test_values_that_do_not_exist(text: str) -> None:
    steps = Pipeline.parse(f"normalize,recognize,calibrate,{text}")
    with pytest.raises(UsageError) as caught:
        steps.run(prepared(MODEL))
    assert "known" in str(caught.value) or "table" in str(caught.value)


@pytest.mark.parametrize("text", ["normalize,recognize,approximate", "normalize,quantize"])
def test_passes_that_miss_what_an_earlier_one_finds(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pipeline.parse(text).run(prepared(MODEL))
    assert [d.code for d in caught.value.diagnostics] == ["ACT0222"]
    assert "calibrate" in str(caught.value)


# Foreign passes


class ReluInsteadOfSigmoid(ir.passes.InPlacePass):
    """A pass of a user, who knows nothing of actc."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        for node in model.graph:
            if node.op_type == "Sigmoid":
                node.op_type = "Relu"
        return ir.passes.PassResult(model, modified=True)


class Copy(ir.passes.FunctionalPass):
    """A pass that gives another model."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        return ir.passes.PassResult(ir.from_proto(ir.to_proto(model)), modified=True)


def test_a_plain_onnx_ir_pass() -> None:
    pipeline = Pipeline((Normalize(), ReluInsteadOfSigmoid(), Recognize()))
    assert str(pipeline) == "normalize,ReluInsteadOfSigmoid,recognize"
    model = prepared(MODEL)
    instruments = [Verify(), FunctionKept(dataset_of(model))]
    (site,) = context_of(pipeline.run(model, instruments)).sites.values()
    assert site.label == "ReLU"


def test_a_pass_that_gives_another_model_keeps_the_context() -> None:
    model = prepared(MODEL)
    context = context_of(model)
    result = Pipeline((Normalize(), Copy(), Recognize(), Copy(), Calibrate())).run(
        model, [Verify()]
    )
    assert result is not model
    assert context_of(result) is context
    assert len(context.sites) == 1
    assert context.ranges


def test_a_rewrite_rule_of_onnxscript() -> None:
    """x * sigmoid(x) written as Swish-like GELU: a rule replaces nodes before recognition."""

    def pattern(op: Any, x: Any) -> Any:
        return op.Sigmoid(x)

    def replacement(op: Any, x: Any) -> Any:
        return op.Tanh(x)

    rule = rewriter.RewritePass([rewriter.pattern.RewriteRule(pattern, replacement)])
    model = prepared(MODEL)
    result = Pipeline((Normalize(), rule, Recognize())).run(model, [Verify()])
    (site,) = context_of(result).sites.values()
    assert site.label == "Tanh"
    feeds = random_data(MODEL)
    w, v = normal(4, 5), normal(5, 3)
    expected = np.tanh(feeds["x"] @ w) @ v
    np.testing.assert_allclose(run(proto_of(result), feeds)["y"], expected, rtol=1e-4, atol=1e-5)


def test_an_error_inside_a_sequence_of_passes_comes_out_as_it_is() -> None:
    sequence = ir.passes.Sequential(Normalize(), Recognize(), Approximate())
    with pytest.raises(UsageError) as caught:
        Pipeline((sequence,)).run(prepared(MODEL))
    assert [d.code for d in caught.value.diagnostics] == ["ACT0222"]


# Instruments


@dataclass(frozen=True, slots=True)
class Broken(Pass):
    """Does what it is told, and claims that the function is kept."""

    name: ClassVar[str] = "broken"
    preserves: ClassVar[str] = "function"

    act: Callable[[ir.Model], None]

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        self.act(model)
        return ir.passes.PassResult(model, modified=True)


def drop_producer(model: ir.Model) -> None:
    model.graph.remove(model.graph[0])


def reverse(model: ir.Model) -> None:
    nodes = list(model.graph)
    model.graph.remove(nodes)
    model.graph.extend(reversed(nodes))


def same_names(model: ir.Model) -> None:
    for node in model.graph:
        node.outputs[0].name = "twin"


def no_name(model: ir.Model) -> None:
    model.graph[0].outputs[0].name = None


def unknown_operator(model: ir.Model) -> None:
    model.graph[0].domain = "actc"


def lost_function(model: ir.Model) -> None:
    model.graph[0].domain, model.graph[0].op_type = "actc", "Activation"


def empty_initializer(model: ir.Model) -> None:
    next(iter(model.graph.initializers.values())).const_value = None


def foreign_output(model: ir.Model) -> None:
    model.graph.outputs[0] = ir.node("Relu", [model.graph.inputs[0]]).outputs[0]


MISTAKES = {
    drop_producer: "before it is made",
    reverse: "before it is made",
    same_names: "two values are called 'twin'",
    no_name: "has no name",
    unknown_operator: "unknown operator actc::",
    lost_function: "lost its function",
    empty_initializer: "has no value",
    foreign_output: "is never made",
}


@pytest.mark.parametrize("act", MISTAKES)
def test_verify_catches(act: Callable[[ir.Model], None]) -> None:
    with pytest.raises(InternalError) as caught:
        Pipeline((Normalize(), Broken(act))).run(prepared(MODEL), [Verify()])
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0902"
    assert "pass 'broken'" in found.message
    assert any(MISTAKES[act] in text for text in (found.message, *found.notes))


def nothing(model: ir.Model) -> None:
    pass


def other_weights(model: ir.Model) -> None:
    for value in model.graph.initializers.values():
        assert value.const_value is not None
        value.const_value = ir.tensor(value.const_value.numpy() * np.float32(1.01), name=value.name)


def other_operator(model: ir.Model) -> None:
    for node in model.graph:
        node.op_type = "Tanh" if node.op_type == "Sigmoid" else node.op_type


@pytest.mark.parametrize("act", [other_weights, other_operator])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_function_kept_catches(act: Callable[[ir.Model], None], scale: float) -> None:
    """Also where all outputs are small."""
    weights = {"w": normal(4, 5), "v": normal(5, 3, scale=scale)}
    small = network(
        "float[N,4] x => float[N,3] y",
        "h = MatMul (x, w)\n s = Sigmoid (h)\n y = MatMul (s, v)",
        weights,
    )
    model = prepared(small)
    instruments = [Verify(), FunctionKept(dataset_of(model))]
    with pytest.raises(InternalError) as caught:
        Pipeline((Normalize(), Broken(nothing), Broken(act))).run(model, instruments)
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0903"
    assert "pass 'broken' changed output 'y'" in found.message


def test_function_kept_lets_a_pass_change_values_that_says_so() -> None:
    @dataclass(frozen=True, slots=True)
    class Honest(Broken):
        preserves: ClassVar[str] = ""

    model = prepared(MODEL)
    kept = FunctionKept(dataset_of(model))
    Pipeline((Normalize(), Honest(other_weights), Broken(nothing))).run(model, [kept])
    # What came before the honest pass is forgotten, what comes behind it is checked again.
    with pytest.raises(InternalError):
        Pipeline((Honest(other_weights), Broken(other_operator))).run(model, [kept])


def test_instruments_see_every_pass(tmp_path: Path) -> None:
    lines: list[str] = []
    seen: list[tuple[str, list[str]]] = []

    class Spy(Instrument):
        def before(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
            lines.append(f"{number}")

    timing = Timing(lines.append)
    observed = Snapshot(("recognize",), lambda name, model: seen.append((name, operators(model))))
    pipeline = Pipeline((Normalize(), Recognize(), Normalize()))
    pipeline.run(prepared(MODEL), [timing, Spy(), observed, DumpIr(tmp_path / "ir")])
    assert lines == ["normalize", "0", "recognize", "1", "normalize", "2"]
    assert set(timing.seconds) == {"normalize", "recognize"}
    assert all(seconds > 0 for seconds in timing.seconds.values())
    assert seen == [("recognize", ["MatMul", "Activation", "MatMul"])]
    files = sorted(path.name for path in (tmp_path / "ir").iterdir())
    assert files == ["01-normalize.onnxtxt", "02-recognize.onnxtxt", "03-normalize.onnxtxt"]
    text = (tmp_path / "ir" / "02-recognize.onnxtxt").read_text("utf-8")
    assert "Activation" in text
    assert "Sigmoid" in text


def test_passes_are_values() -> None:
    assert Approximate(form="pwl") == Approximate(form="pwl")
    assert len({Normalize(), Normalize(), Quantize()}) == 2
    with pytest.raises(AttributeError):
        Approximate().form = "pwl"  # type: ignore[misc]


def test_errors_are_actc_errors() -> None:
    assert issubclass(UsageError, ActcError)
    assert issubclass(InternalError, ActcError)
