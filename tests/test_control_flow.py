"""If, Loop and Scan: written out where their course is known, else kept with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled
from models import network, normal, operators, prepared, proto_of, random_data, run, transformed
from test_islands import kept

import actc
from actc.errors import ModelError
from actc.ir.context import context_of
from actc.passes.control_flow import MOST_NODES, MOST_STEPS, REASON
from actc.passes.integerize import Integerize
from actc.passes.normalize import Normalize
from actc.pipeline import Verify

Array = np.ndarray[Any, Any]

VECTOR = "float[N,6] x => float[N,6] y"
SEQUENCE = "float[N,5,6] x => float[N,a,6] y"
WEIGHTS: dict[str, Array] = {
    "w": normal(6, 6, scale=0.4),
    "v": normal(6, 6, scale=0.4, seed=1),
    "three": np.array(3),
    "none": np.array(0),
    "one": np.array(1),
    "yes": np.array(True),
    "no": np.array(False),
    "half": np.array(0.5, np.float32),
    "zero": np.zeros(6, np.float32),
    "first": np.array([0]),
    "last": np.array([-1]),
    "rows": normal(4, 6),
}
STEP = "step (int64 i, bool go, float[N,6] z) => (bool on, float[N,6] next)"

WRITTEN: dict[str, tuple[str, str, str]] = {
    # name: signature, body, what the note says
    "if": (VECTOR, "h = MatMul (x, w)\n y = If (yes) < then_branch = t () => (u) {"
        " u = MatMul (h, v) }, else_branch = e () => (u) { u = Neg (h) } >", "then branch"),
    "else": (VECTOR, "h = MatMul (x, w)\n y = If (no) < then_branch = t () => (u) {"
        " u = MatMul (h, v) }, else_branch = e () => (u) { u = Neg (h) } >", "else branch"),
    "a branch in a branch": (VECTOR, "h = MatMul (x, w)\n"
        "y = If (yes) < then_branch = t () => (u) { k = Neg (h)\n"
        " u = If (no) < then_branch = a () => (d) { d = Identity (k) },"
        " else_branch = b () => (d) { l = Abs (k)\n d = MatMul (l, v) } > },"
        " else_branch = e () => (u) { u = Neg (h) } >", "2 operators"),
    "if on a shape": (VECTOR, "s = Shape <start = 1> (x)\n c = Equal (s, six)\n"
        "d = Squeeze (c)\n h = MatMul (x, w)\n y = If (d) < then_branch = t () => (u) {"
        " u = MatMul (h, v) }, else_branch = e () => (u) { u = Neg (h) } >", "then branch"),
    "what was there before": (VECTOR, "h = MatMul (x, w)\n g = Neg (h)\n"
        "y = If (yes) < then_branch = t () => (u) { u = Identity (g) },"
        " else_branch = e () => (u) { u = Identity (h) } >", "then branch"),
    "two outputs": ("float[N,6] x => float[N,6] y, float[N,6] z",
        "h = MatMul (x, w)\n y, z = If (yes) < then_branch = t () => (u, o) {"
        " u = MatMul (h, v)\n o = Identity (u) }, else_branch = e () => (u, o) {"
        " u = Neg (h)\n o = Abs (h) } >", "then branch"),
    "loop": (VECTOR, f"y = Loop (three, yes, x) < body = {STEP} {{ on = Identity (go)\n"
        " p = MatMul (z, w)\n next = Tanh (p) } >", "3 steps"),
    "no condition": (VECTOR, f"y = Loop (three, , x) < body = {STEP} {{"
        " on = Identity (go)\n p = MatMul (z, w)\n next = Tanh (p) } >", "3 steps"),
    "weights inside": (VECTOR, f"y = Loop (three, yes, x) < body = {STEP} <float[6] b = "
        "{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> { on = Identity (go)\n p = MatMul (z, w)\n"
        " q = Add (p, b)\n next = Tanh (q) } >", "3 steps"),
    "captured": (VECTOR, "h = MatMul (x, v)\n"
        f"y = Loop (three, yes, x) < body = {STEP} {{ on = Identity (go)\n"
        " p = MatMul (z, w)\n q = Add (p, h)\n next = Tanh (q) } >", "3 steps"),
    "step number": (VECTOR, f"y = Loop (three, yes, x) < body = {STEP} {{"
        " on = Identity (go)\n r = Gather <axis = 0> (rows, i)\n q = Add (z, r)\n"
        " p = MatMul (q, w)\n next = Tanh (p) } >", "3 steps"),
    "nothing to do": (VECTOR, "h = MatMul (x, w)\n"
        f"y = Loop (none, yes, h) < body = {STEP} {{ on = Identity (go)\n"
        " next = Tanh (z) } >", "0 steps"),
    "never begun": (VECTOR, "h = MatMul (x, w)\n"
        f"y = Loop (three, no, h) < body = {STEP} {{ on = Identity (go)\n"
        " next = Tanh (z) } >", "0 steps"),
    "a counted condition": (VECTOR, "y, k = Loop (, yes, x, none) < body = step"
        " (int64 i, bool go, float[N,6] z, int64 n) => (bool on, float[N,6] next, int64 m)"
        " { m = Add (n, one)\n on = Less (m, three)\n p = MatMul (z, w)\n"
        " next = Tanh (p) } >", "3 steps"),
    "stopped by its condition": (VECTOR, f"y = Loop (three, yes, x) < body = {STEP} {{"
        " on = Less (i, one)\n p = MatMul (z, w)\n next = Tanh (p) } >", "2 steps"),
    "stacked": ("float[N,6] x => float[N,6] y, float[3,N,6] s",
        "y, s = Loop (three, yes, x) < body = step (int64 i, bool go, float[N,6] z) =>"
        " (bool on, float[N,6] next, float[N,6] seen) { on = Identity (go)\n"
        " p = MatMul (z, w)\n next = Tanh (p)\n seen = Neg (p) } >", "3 steps"),
    "handed on": (VECTOR, "a, b = Loop (three, yes, x, x) < body = step"
        " (int64 i, bool go, float[N,6] p, float[N,6] q) =>"
        " (bool on, float[N,6] q, float[N,6] n) { on = Identity (go)\n m = MatMul (p, w)\n"
        " n = Tanh (m) } >\n y = Add (a, b)", "3 steps"),
    "nested": (VECTOR, "h = MatMul (x, v)\n"
        f"y = Loop (three, yes, x) < body = {STEP} {{ on = Identity (go)\n"
        " r = Loop (three, yes, z) < body = inner (int64 j, bool g, float[N,6] a) =>"
        " (bool o, float[N,6] n) { o = Identity (g)\n m = MatMul (a, w)\n k = Add (m, z)\n"
        " l = Add (k, h)\n n = Tanh (l) } >\n"
        " c = Less (i, one)\n next = If (c) < then_branch = t () => (u) { u = Neg (r) },"
        " else_branch = e () => (u) { u = Identity (r) } > } >", "7 operators"),
    "scan": ("float[5,6] x => float[6] f, float[5,6] y",
        "f, y = Scan <num_scan_inputs = 1, body = step (float[6] s, float[6] t) =>"
        " (float[6] n, float[6] o) { a = Add (s, t)\n n = Tanh (a)\n o = Neg (n) }>"
        " (zero, x)", "5 steps"),
    "scan along an axis": ("float[N,5,6] x => float[N,6] f, float[N,5,6] y",
        "z = ReduceMax <keepdims = 0> (x, axis1)\n m = MatMul (z, w)\n"
        "f, y = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],"
        " body = step (float[N,6] s, float[N,6] t) => (float[N,6] n, float[N,6] o) {"
        " a = Add (s, t)\n n = Tanh (a)\n o = MatMul (n, v) }> (m, x)", "5 steps"),
    "scan backwards": ("float[N,5,6] x => float[N,6] f, float[N,6,5] y, float[N,6,5] z",
        "i = ReduceMax <keepdims = 0> (x, axis1)\n m = MatMul (i, w)\n g = Neg (x)\n"
        "f, y, z = Scan <num_scan_inputs = 2, scan_input_axes = [1, -2],"
        " scan_input_directions = [1, 0], scan_output_axes = [-1, 2],"
        " scan_output_directions = [0, 1], body = step (float[N,6] s, float[N,6] t,"
        " float[N,6] r) => (float[N,6] n, float[N,6] o, float[N,6] p) {"
        " a = Add (s, t)\n n = Tanh (a)\n o = MatMul (n, v)\n p = MatMul (r, v) }>"
        " (m, x, g)", "5 steps"),
}  # fmt: skip


def model_of(signature: str, body: str, **more: Array) -> onnx.ModelProto:
    words = set("".join(c if c.isalnum() else " " for c in body).split())
    given = {**WEIGHTS, "six": np.array([6]), "axis1": np.array([1]), **more}
    return network(signature, body, {k: v for k, v in given.items() if k in words})


@pytest.mark.parametrize("name", WRITTEN)
def test_written_out(name: str) -> None:
    signature, body, said = WRITTEN[name]
    model = model_of(signature, body)
    feeds = random_data(model, 5 if "float[5,6] x" in signature else 4)
    result = transformed(model, Normalize(), data=feeds)
    assert not {"If", "Loop", "Scan"} & set(operators(result))
    wanted, got = run(model, feeds), run(proto_of(result), feeds)
    assert list(got) == list(wanted)
    for output, array in wanted.items():
        np.testing.assert_allclose(got[output], array, rtol=1e-5, atol=1e-6)
    (note,) = (d for d in context_of(result).sink.items if d.code == "ACT0345")
    assert note.severity == "note"
    assert said in " ".join((note.message, *note.notes))
    names = [node.name for node in result.graph]
    assert len(set(names)) == len(names)


def test_names_tell_operator_and_step() -> None:
    signature, body, _ = WRITTEN["loop"]
    model = model_of(signature, body)
    model.graph.node[0].name = "cell"
    model.graph.node[0].attribute[0].g.node[1].name = "product"
    result = transformed(model, Normalize())
    names = [node.name for node in result.graph if node.op_type == "MatMul"]
    assert names == ["cell.0/product", "cell.1/product", "cell.2/product"]
    assert [o.name for o in result.graph.outputs] == ["y"]


def test_names_inside_a_branch_stay() -> None:
    signature, body, _ = WRITTEN["if"]
    model = model_of(signature, body)
    model.graph.node[1].name = "choice"
    for attribute in model.graph.node[1].attribute:
        attribute.g.node[0].name = "inside"
    result = transformed(model, Normalize())
    assert "inside" in [node.name for node in result.graph]


def test_equal_names_in_two_branches() -> None:
    """Sub-graphs beside each other may use the same names; what comes up is told apart."""
    branch = "then_branch = t () => (u) { k = Tanh ({0})\n u = MatMul (k, w) }"
    other = "else_branch = e () => (u) { u = Neg ({0}) }"
    body = "".join(
        f"{name} = If (yes) < {branch}, {other} >\n".replace("{0}", source)
        for name, source in (("a", "x"), ("b", "a"))
    )
    model = model_of(VECTOR, body + "y = Add (a, b)")
    feeds = random_data(model, 4)
    result = transformed(model, Normalize(), data=feeds)
    Verify().after(0, Normalize(), result)
    np.testing.assert_allclose(run(proto_of(result), feeds)["y"], run(model, feeds)["y"], atol=1e-6)


def test_weights_of_a_body_are_held_once() -> None:
    signature, body, _ = WRITTEN["weights inside"]
    result = transformed(model_of(signature, body), Normalize())
    assert sum(v.shape == (6,) for v in result.graph.initializers.values() if v.shape) == 1


@pytest.mark.parametrize("name", ["loop", "captured", "scan along an axis", "stacked", "nested"])
def test_what_was_inside_becomes_integer(name: str) -> None:
    signature, body, _ = WRITTEN[name]
    model = model_of(signature, body)
    golden = compiled(model, random_data(model, 24), noise=0.1)
    assert "IntMatMul" in {node.op_type for node in golden.graph.node}


def test_weights_of_all_steps_are_stored_once() -> None:
    step = STEP.replace("N,6", "N,20")
    body = f"y = Loop (three, yes, x) < body = {step} {{ on = Identity (go)\n"
    body += " p = MatMul (z, big)\n next = Tanh (p) } >"
    big = normal(20, 20, scale=0.3)
    model = model_of("float[N,20] x => float[N,20] y", body, big=big)
    golden = compiled(model, random_data(model, 24), noise=0.1)
    assert sum(node.op_type == "IntMatMul" for node in golden.graph.node) == 3
    assert sum(list(t.dims) == [20, 20] for t in golden.graph.initializer) == 1


FRONT = "h = MatMul (x, w)\n"
KEPT: dict[str, tuple[str, str, str]] = {
    # name: signature, body, the reason
    "condition": (VECTOR, FRONT + "a = ReduceMax <keepdims = 0> (h)\n c = Less (half, a)\n"
        "y = If (c) < then_branch = t () => (u) { u = MatMul (h, v) },"
        " else_branch = e () => (u) { u = Neg (h) } >", "condition depends on the data"),
    "trip count": (VECTOR, FRONT + "a = ReduceMax <keepdims = 0> (h)\n n = Cast <to = 7> (a)\n"
        f"y = Loop (n, yes, h) < body = {STEP} {{ on = Identity (go)\n p = MatMul (z, v)\n"
        " next = Tanh (p) } >", "trip count depends on the data"),
    "going on": (VECTOR, FRONT + f"y = Loop (three, yes, h) < body = {STEP} {{"
        " p = MatMul (z, v)\n next = Tanh (p)\n a = ReduceMax <keepdims = 0> (next)\n"
        " on = Less (half, a) } >", "whether it goes on depends on the data"),
    "beginning": (VECTOR, FRONT + "a = ReduceMax <keepdims = 0> (h)\n c = Less (half, a)\n"
        f"y = Loop (three, c, h) < body = {STEP} {{ on = Identity (go)\n"
        " next = Tanh (z) } >", "whether it runs at all depends on the data"),
    "steps": (VECTOR, FRONT + f"y = Loop (many, yes, h) < body = {STEP} {{ on = Identity (go)\n"
        " next = Tanh (z) } >", f"more than {MOST_STEPS} steps"),
    "no end": (VECTOR, FRONT + f"y = Loop (, yes, h) < body = {STEP} {{ on = Less (i, many)\n"
        " next = Tanh (z) } >", f"more than {MOST_STEPS} steps"),
    "size": (VECTOR, FRONT + f"y = Loop (sixty, yes, h) < body = {STEP} {{ on = Identity (go)\n"
        + "".join(f" a{k} = Neg ({f'a{k - 1}' if k else 'z'})\n" for k in range(80))
        + " next = Tanh (a79) } >", f"more than {MOST_NODES} operators"),
    "long scan": ("float[N,70,6] x => float[N,6] f, float[N,70,6] y",
        "r = ReduceMax <keepdims = 0> (x, axis1)\n m = MatMul (r, w)\n"
        "f, y = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],"
        " body = step (float[N,6] s, float[N,6] t) => (float[N,6] n, float[N,6] o) {"
        " a = Add (s, t)\n n = Tanh (a)\n o = MatMul (n, v) }> (m, x)",
        "it takes 70 steps, more than 64"),
    "open scan": ("float[N,L,6] x => float[N,6] f, float[N,L,6] y",
        "r = ReduceMax <keepdims = 0> (x, axis1)\n m = MatMul (r, w)\n"
        "f, y = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],"
        " body = step (float[N,6] s, float[N,6] t) => (float[N,6] n, float[N,6] o) {"
        " a = Add (s, t)\n n = Tanh (a)\n o = MatMul (n, v) }> (m, x)",
        "length of an axis that is not fixed"),
}  # fmt: skip
MORE = {"many": np.array(MOST_STEPS + 1), "sixty": np.array(60)}


def kept_model(name: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    signature, body, _ = KEPT[name]
    model = model_of(signature, body, **MORE)
    feeds = random_data(model, 8)
    if name == "open scan":  # two lengths, so that the axis stays open
        feeds = {"x": normal(8, 4, 6), "x.lengths": np.array([4, 3, 2, 4, 1, 4, 4, 2])}
    return model, feeds


@pytest.mark.parametrize("name", [name for name in KEPT if name != "open scan"])
def test_kept_as_an_island_with_the_reason(name: str) -> None:
    model, feeds = kept_model(name)
    golden, found = kept(model, feeds, noise=0.1)
    assert any(op in island for island in found for op in ("If", "Loop", "Scan"))
    assert "IntMatMul" in {node.op_type for node in golden.graph.node}


@pytest.mark.parametrize("name", KEPT)
def test_refused_with_the_reason(name: str) -> None:
    model, feeds = kept_model(name)
    with pytest.raises(ModelError) as caught:
        compiled(model, feeds)
    reasons = [d.message for d in caught.value.diagnostics if d.place.op in ("If", "Loop", "Scan")]
    assert any(KEPT[name][2] in reason for reason in reasons)


def test_compile_a_network_with_an_island_of_control_flow(tmp_path: Path) -> None:
    """The QDQ file and the ranking see that a branch reads what the network computes."""
    model, feeds = kept_model("condition")
    artifact = actc.compile(model, "onnx", data=feeds, output=tmp_path / "out")
    assert artifact.report["bit_exact"]
    assert artifact.report["islands"][-1]["operators"][-1] == "If"
    wanted = run(model, feeds)["y"]
    got = run(onnx.load(tmp_path / "out" / "model.qdq.onnx"), feeds)["y"]
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= 0.05 * np.sqrt(np.mean(wanted**2))
    ranking = actc.check(tmp_path / "out", feeds, sites=True)["ranking"]
    assert ranking["predicted"] == pytest.approx(ranking["measured"], rel=0.1)
    golden = actc.compile(
        tmp_path / "out" / "golden.onnx", "onnx", data=feeds, output=tmp_path / "b"
    )
    assert golden.report["bit_exact"]


def test_the_model_stays_as_it_was_where_nothing_is_known() -> None:
    """What was tried leaves no trace: no readers of values, no constants."""
    model, feeds = kept_model("going on")
    result = transformed(model, Normalize(), data=feeds)
    (loop,) = (node for node in result.graph if node.op_type == "Loop")
    assert loop.metadata_props[REASON] == KEPT["going on"][2]
    source = loop.inputs[2]
    assert source is not None
    assert [use.node for use in source.uses()] == [loop]
    np.testing.assert_allclose(run(proto_of(result), feeds)["y"], run(model, feeds)["y"], atol=1e-6)


def test_branches_that_read_what_others_rewrite() -> None:
    """A value that only a branch reads is not folded away from under it."""
    body = (
        "m = MatMul (x, w)\n h = Transpose <perm = [1,0]> (m)\n a = ReduceMax <keepdims = 0> (x)\n"
        "c = Less (half, a)\n y = If (c) < then_branch = t () => (u) {"
        " u = Transpose <perm = [1,0]> (h) }, else_branch = e () => (u) {"
        " k = Transpose <perm = [1,0]> (h)\n u = Neg (k) } >"
    )
    model = model_of(VECTOR, body)
    feeds = random_data(model, 8)
    result = transformed(model, Normalize(), data=feeds)
    Verify().after(0, Integerize(), result)
    np.testing.assert_allclose(run(proto_of(result), feeds)["y"], run(model, feeds)["y"], atol=1e-6)
    assert prepared(model, feeds) is not None
