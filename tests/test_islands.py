"""Float islands: what has no integer form stays as it is, and all the rest stays exact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from models import network, normal, prepared, proto_of, random_data, run

import actc
from actc.checks.equivalence import check_specification
from actc.compiler import default_pipeline
from actc.data import load as load_data
from actc.errors import InternalError, ModelError, UsageError
from actc.ir import islands, spec
from actc.ir.context import context_of
from actc.pipeline import Verify
from actc.prepare import input_infos
from actc.report import render_html, render_text

Array = np.ndarray[Any, Any]

IMAGE = "float[N,3,8,8] x => float[N,a,b,c] y"
FLAT = "float[N,3,8,8] x => float[N,a] y"
FRONT = (
    "h = Conv <pads = [1,1,1,1], strides = [3,3]> (x, w)\n r = Relu (h)\n s = Sigmoid (h)\n"
    "h2 = Conv <pads = [1,1,1,1], strides = [3,3]> (x, w2)\n s2 = Sigmoid (h2)\n"
)
WEIGHTS = {
    "w": normal(6, 3, 3, 3, scale=0.3),
    "w2": normal(6, 3, 3, 3, scale=0.3, seed=1),
    "v": normal(4, 6, 1, 1, scale=0.3),
    "m": normal(6, 5),
    "two": np.array([2]),
    "flat": np.array([0, -1]),
    "spread": np.array([0, 6, 1, 1]),
    "half": np.array(0.5, np.float32),
    "yes": np.array(True),
    "steps": np.array(3),
    "indices": np.array([0]),
}

CASES: dict[str, tuple[str, str, list[str]]] = {
    # name: signature, body behind FRONT, operators of each island
    "one": (FLAT, "d = Det (r)\n t = Tanh (d)\n y = MatMul (t, m)", ["Det"]),
    "an output": (FLAT, "y = Det (r)", ["Det"]),
    "of an input": (FLAT, "d = Det (x)\n p = GlobalAveragePool (r)\n"
        "q = Reshape (p, flat)\n t = Tanh (d)\n y = Concat <axis = 1> (q, t)", ["Det"]),
    "of sums": (FLAT, "y = Det (h)", ["Det"]),
    "two": (FLAT, "c = Pow (s, s2)\n d = Det (c)\n t = Tanh (d)\n y = MatMul (t, m)",
        ["Pow, Det"]),
    "moved between": (FLAT, "c = Pow (s, s2)\n t = Transpose <perm = [0,1,3,2]> (c)\n"
        "y = Det (t)", ["Pow, Transpose, Det"]),
    "moved at the end": (IMAGE, "c = Pow (s, s2)\n y = Transpose <perm = [0,2,3,1]> (c)",
        ["Pow, Transpose"]),
    "moved, then integer": (IMAGE, "c = Pow (s, s2)\n t = Transpose <perm = [0,1,3,2]> (c)\n"
        "y = Conv (t, v)", ["Pow, Transpose"]),
    "apart": (FLAT, "c = Pow (s, s2)\n k = Conv (c, v)\n y = Det (k)", ["Pow", "Det"]),
    "parallel": (FLAT, "c = Pow (s, s2)\n d = Det (c)\n k = Conv (c, v)\n e = Det (k)\n"
        "y = Concat <axis = 1> (d, e)", ["Pow, Det", "Det"]),
    "indices": (IMAGE, "c = Pow (s, s2)\n a = ArgMax <axis = 1> (c)\n"
        "y = GatherElements <axis = 1> (r, a)", ["Pow", "GatherElements"]),
}  # fmt: skip


CONTROL: dict[str, tuple[str, str]] = {
    "a condition": (IMAGE, "k = ReduceSum (r)\n b = Less (k, half)\n"
        "y = If (b) < then_branch = t () => (u) { u = Mul (r, half) },"
        " else_branch = e () => (u) { o = Neg (r)\n u = Add (o, h) } >"),
    "a loop": (IMAGE, "a = ReduceMax <keepdims = 0> (r)\n n = Cast <to = 7> (a)\n"
        "y = Loop (n, yes, r) < body = step (int64 i, bool go, float[N,6,3,3] z) =>"
        " (bool on, float[N,6,3,3] next) { on = Identity (go)\n p = Mul (z, half)\n"
        " next = Add (p, h) } >"),
}  # fmt: skip


def model_of(name: str, extra: Mapping[str, Array] | None = None) -> onnx.ModelProto:
    signature, body = CASES[name][:2] if name in CASES else CONTROL[name]
    weights = {**WEIGHTS, **(extra or {})}
    used = {key: value for key, value in weights.items() if _reads(FRONT + body, key)}
    return network(signature, FRONT + body, used)


def _reads(body: str, name: str) -> bool:
    words = "".join(c if c.isalnum() else " " for c in body).split()
    return name in words


def golden_of(
    model: onnx.ModelProto, feeds: Mapping[str, Array], activations: str = "8"
) -> tuple[onnx.ModelProto, Any]:
    pipeline = default_pipeline("int8", "auto", "minmax", activations, islands=True)
    result = pipeline.run(prepared(model, feeds), [Verify()])
    return proto_of(result), context_of(result)


def kept(
    model: onnx.ModelProto, feeds: Mapping[str, Array] | None = None, **options: Any
) -> tuple[onnx.ModelProto, list[str]]:
    """Golden with islands, exact and near float; and the operators of each island."""
    noise = options.pop("noise", 0.05)
    given = random_data(model, 16) if feeds is None else feeds
    golden, context = golden_of(model, given, **options)
    onnx.checker.check_model(golden, full_check=True)
    exact, got = spec.run(golden, given), islands.session(golden).run(given)
    reference = run(model, given)
    assert list(got) == list(reference)
    for name, wanted in reference.items():
        assert exact[name].tobytes() == got[name].tobytes(), name
        assert (got[name].shape, got[name].dtype) == (wanted.shape, wanted.dtype), name
        size = np.sqrt(np.mean(wanted.astype(np.float64) ** 2))
        error = np.sqrt(np.mean((got[name].astype(np.float64) - wanted) ** 2))
        assert error <= noise * max(size, 1e-6), name
    return golden, [", ".join(row["operators"]) for row in context.facts["islands"].values()]


@pytest.mark.parametrize("name", CASES)
def test_operators_stay_in_float(name: str) -> None:
    golden, found = kept(model_of(name), activations="16")
    assert found == CASES[name][2]
    assert golden.opset_import[0].version == 21


@pytest.mark.parametrize(("name", "op"), [("a condition", "If"), ("a loop", "Loop")])
def test_control_flow_that_reads_what_the_network_computes(name: str, op: str) -> None:
    _, found = kept(model_of(name), activations="16")
    assert found[-1].split(", ")[-1] == op


def test_neighbours_are_one_island_without_conversions() -> None:
    golden, _ = kept(model_of("two"))
    made = {name: node for node in golden.graph.node for name in node.output}
    det = next(node for node in golden.graph.node if node.op_type == "Det")
    assert made[det.input[0]].op_type == "Pow"
    assert {p.key: p.value for p in det.metadata_props} == {islands.KEY: "1"}


def test_what_an_island_gives_is_an_output_as_it_is() -> None:
    golden, _ = kept(model_of("an output"))
    (last,) = (n for n in golden.graph.node if golden.graph.output[0].name in n.output)
    assert last.op_type == "Det"


def test_an_island_reads_float_inputs_as_they_are() -> None:
    golden, _ = kept(model_of("of an input"))
    (det,) = (n for n in golden.graph.node if n.op_type == "Det")
    assert det.input[0] == "x"


@pytest.mark.parametrize("activations", ["8", "16"])
def test_an_island_reads_sums_before_they_are_rounded(activations: str) -> None:
    """With 16 bits the sums are of 64 bits, which DequantizeLinear does not take."""
    golden, _ = kept(model_of("of sums"), activations=activations)
    made = {name: node for node in golden.graph.node for name in node.output}
    (det,) = (n for n in golden.graph.node if n.op_type == "Det")
    path, node = [], det
    while node.input[0] in made:
        node = made[node.input[0]]
        path.append(node.op_type)
    wide = ["Mul", "Cast", "WideConv"]
    assert path[:-1] == (wide if activations == "16" else ["DequantizeLinear", "IntConv"])


def test_shapes_that_depend_on_data() -> None:
    """NonZero, and what is gathered where it says, at a length that no shape tells."""
    body = FRONT + (
        "p = GlobalMaxPool (r)\n q = Reshape (p, flat)\n d = Det (r)\n b = Greater (d, half)\n"
        "n = NonZero (b)\n t = Transpose <perm = [1,0]> (n)\n y = GatherND (q, t)"
    )
    weights = {key: WEIGHTS[key] for key in ("w", "w2", "flat")}
    weights["half"] = np.array(-1e6, np.float32)
    model = network("float[N,3,8,8] x => float[k] y", body, weights)
    _, found = kept(model)
    assert found[0].split(", ")[0] == "Det"
    assert found[-1] == "GatherND"
    assert all("NonZero" not in island for island in found)  # of booleans: it needs no float


def test_a_layer_of_another_kind_and_a_mask_among_scores() -> None:
    """What numerics refuse (ACT0108, ACT0106) stays in float too; scores keep their accuracy."""
    lstm = network(
        "float[N,5,4] x => float[5,N,6] y",
        "t = Transpose <perm = [1,0,2]> (x)\n m = MatMul (t, a)\n"
        "o, h, c = LSTM <hidden_size = 6> (m, w, r, , , , , p)\n y = Squeeze (o, one)",
        {"a": normal(4, 4), "w": normal(1, 24, 4, scale=0.4), "r": normal(1, 24, 6, scale=0.4),
         "p": normal(1, 18, scale=0.3), "one": np.array([1])},
    )  # fmt: skip
    _, found = kept(lstm)
    assert found == ["LSTM, Squeeze"]
    masked = network(
        "float[N,4,8] x, float[N,1,4] mask => float[N,4,4] y",
        "q = MatMul (x, a)\n k = MatMul (x, b)\n kt = Transpose <perm = [0,2,1]> (k)\n"
        "s = MatMul (q, kt)\n n = Mul (mask, low)\n t = Add (s, n)\n y = Softmax (t)",
        {"a": normal(8, 8, scale=0.3), "b": normal(8, 8, scale=0.3), "low": np.float32(-1e4)},
    )
    feeds = random_data(masked, 16)
    feeds["mask"] = np.random.default_rng(0).random((16, 1, 4)).round().astype(np.float32) * 0.7
    golden, found = kept(masked, feeds)
    assert found == ["Activation, Add, Softmax"]
    assert "IntBatchMatMul" in [node.op_type for node in golden.graph.node]


def test_operators_of_a_later_opset() -> None:
    """Islands keep the model's opset, as operators may be younger than golden's."""
    body = (
        FRONT + "p = GlobalAveragePool (r)\n q = Reshape (p, flat)\n d = Det (r)\n y = Add (q, d)"
    )
    model = network(FLAT, body, {k: WEIGHTS[k] for k in ("w", "w2", "flat")}, opset=23)
    golden, found = kept(model)
    assert found == ["Det"]
    assert golden.opset_import[0].version == 23


def test_integers_around_an_island_are_still_compared() -> None:
    """A wrong integer operator behind an island is found; a wrong island cannot be."""
    model = model_of("one")
    feeds = random_data(model, 8)
    golden, _ = golden_of(model, feeds)
    infos = input_infos(prepared(model, feeds), "net")
    dataset = load_data(feeds, infos)
    check_specification(golden, dataset)
    for function in golden.functions:
        if function.name == "Requantize":
            wrong = function.node[-1]
            function.node.append(onnx.helper.make_node("BitwiseNot", ["before"], [wrong.output[0]]))
            wrong.output[0] = "before"
    with pytest.raises(InternalError, match="ACT0904"):
        check_specification(golden, dataset)


def test_nothing_integer_is_an_error() -> None:
    signature = "float[N,8,8] x, float[N,8,8] z => float[N] y"
    model = network(signature, "c = Mod <fmod = 1> (x, z)\n y = Det (c)")  # fmt: skip
    with pytest.raises(ModelError, match="ACT0344") as caught:
        golden_of(model, random_data(model))
    (found,) = caught.value.diagnostics
    assert any("Mod" in note for note in found.notes)
    assert any("Det" in note for note in found.notes)


@pytest.mark.parametrize(("target", "given"), [("onnx", "never"), ("cpu", "auto")])
def test_refused_where_they_are_not_wanted_or_cannot_run(target: str, given: str) -> None:
    model = model_of("two")
    with pytest.raises(ModelError, match="ACT0103") as caught:
        actc.compile(model, target, data=random_data(model), islands=given, dry_run=True)
    found = caught.value.diagnostics
    assert [d.place.op for d in found] == ["Pow", "Det"]
    assert all("--target onnx" in d.notes[-1] for d in found)


def test_wrong_values_of_the_option(actc_cli: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(model_of("one"), path)
    done = actc_cli("compile", path, "--json", "--islands", "nevr")
    assert (done.status, done.codes) == (2, ["ACT0224"])
    assert "did you mean 'never'?" in done.stderr
    with pytest.raises(UsageError, match="ACT0229"):
        actc.compile(path, "onnx", precision="float32", islands="never", dry_run=True)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> actc.Artifact:
    model = model_of("one")
    folder = tmp_path_factory.mktemp("compiled")
    return actc.compile(model, "onnx", data=random_data(model, 24), output=folder / "out")


def test_the_report_names_islands_and_reasons(artifact: actc.Artifact) -> None:
    report = artifact.report
    (row,) = report["islands"]
    assert row["operators"] == ["Det"]
    assert row["nodes"][0] == {
        "node": "d", "op": "Det", "reason": "it has no integer form",
        "help": "replace the operator, or compile in float: --precision float32 with --target onnx "
        "or cpu",
    }  # fmt: skip
    assert report["operators"]["float"] == 1
    assert report["bit_exact"]
    (warning,) = (d for d in report["diagnostics"] if d["code"] == "ACT0343")
    assert (warning["severity"], warning["node"], warning["op"]) == ("warning", "d", "Det")
    page, text = render_html(report, {}), render_text(report)
    assert "it has no integer form" in page
    assert "every operator is integer" not in page
    assert "float island" in text


def test_all_commands_take_such_a_model(artifact: actc.Artifact) -> None:
    data = random_data(model_of("one"), 24)
    assert artifact.path is not None
    found = actc.check(artifact.path, data, sites=True)
    assert found["bit_exact"]
    ranking = found["ranking"]
    assert ranking["predicted"] == pytest.approx(ranking["measured"], rel=0.1)
    (row,) = (r for r in artifact.report["outputs"] if r["stage"] == "golden")
    float_rms = np.sqrt(np.mean(run(model_of("one"), data)["y"].astype(np.float64) ** 2))
    assert ranking["measured"] == pytest.approx(row["rms"] / float_rms, rel=0.1)
    assert actc.bisect(artifact.path, data, max_drop=1e-9)["loss_after"] <= 1e-9


def test_the_qdq_file_computes_the_network(artifact: actc.Artifact) -> None:
    feeds = random_data(model_of("one"), 24)
    assert artifact.path is not None
    model = onnx.load(artifact.path / "model.qdq.onnx")
    assert "Det" in {node.op_type for node in model.graph.node}
    wanted, got = run(model_of("one"), feeds)["y"], run(model, feeds)["y"]
    assert np.sqrt(np.mean((got - wanted) ** 2)) <= 0.05 * np.sqrt(np.mean(wanted**2))


def test_compiling_twice_gives_the_same_bytes(artifact: actc.Artifact, tmp_path: Path) -> None:
    model = model_of("one")
    again = actc.compile(model, "onnx", data=random_data(model, 24), output=tmp_path / "again")
    assert artifact.path is not None
    assert again.path is not None
    for name in ("golden.onnx", "report.html", "formats.json"):
        assert (artifact.path / name).read_bytes() == (again.path / name).read_bytes(), name
