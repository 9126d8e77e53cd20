"""actc debug reduce: the smallest model that a check still holds for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from onnx import checker, helper, numpy_helper

import actc
from actc.errors import ActcError
from actc.reduction.search import minimize

FLOAT = onnx.TensorProto.FLOAT


def tensor(name: str, *shape: int) -> onnx.TensorProto:
    generator = np.random.default_rng(len(name) + sum(shape))
    return numpy_helper.from_array(generator.standard_normal(shape).astype(np.float32), name)


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, shape)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", 21)]
    found = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    checker.check_model(found, full_check=True)
    return found


def long_chain() -> onnx.ModelProto:
    """A hundred nodes; only the 16th block has an Erf."""
    node, nodes, last = helper.make_node, [], "x"
    for i in range(33):
        nodes.append(node("MatMul", [last, f"w{i}"], [f"m{i}"], doc_string="a product"))
        nodes.append(node("Erf" if i == 16 else "Sigmoid", [f"m{i}"], [f"s{i}"]))
        nodes.append(node("Add", [f"s{i}", last], [f"a{i}"]))
        last = f"a{i}"
    nodes.append(node("Softmax", [last], ["y"], axis=1))
    weights = [tensor(f"w{i}", 16, 16) for i in range(33)]
    outputs = [value("y", "N", 16), value("m3", "N", 16)]
    return model_of(nodes, [value("x", "N", 16)], outputs, weights)


def has_chain(*operators: str) -> Callable[[onnx.ModelProto], bool]:
    """Whether one node of each operator follows the one before."""

    def check(model: onnx.ModelProto) -> bool:
        def ends(name: str, wanted: Sequence[str]) -> bool:
            nodes = [n for n in model.graph.node if name in n.output and n.op_type == wanted[-1]]
            before = wanted[:-1]
            return any(not before or any(ends(x, before) for x in n.input) for n in nodes)

        return any(ends(name, operators) for n in model.graph.node for name in n.output)

    return check


def test_a_core_of_three_nodes_in_a_hundred() -> None:
    model = long_chain()
    before = model.SerializeToString(deterministic=True)
    check = has_chain("MatMul", "Erf", "Add")
    asked = []

    def counted(candidate: onnx.ModelProto) -> bool:
        checker.check_model(candidate, full_check=True)
        asked.append(candidate)
        return check(candidate)

    found = actc.reduce(model, counted)
    assert [node.op_type for node in found.model.graph.node] == ["MatMul", "Erf", "Add"]
    assert found.complete
    assert found.tests == len(asked) < 100
    assert check(found.model)
    (weights,) = found.model.graph.initializer
    assert list(weights.dims) == [1, 1]
    assert not numpy_helper.to_array(weights).any()
    assert not any(node.doc_string for node in found.model.graph.node)
    assert found.sizes["nodes"] == (100, 3)
    assert found.sizes["outputs"] == (2, 1)
    assert model.SerializeToString(deterministic=True) == before
    again = actc.reduce(model, check)
    assert again.model.SerializeToString() == found.model.SerializeToString()
    assert again.tests == found.tests


def test_a_limit_of_tests() -> None:
    check = has_chain("MatMul", "Erf", "Add")
    found = actc.reduce(long_chain(), check, tests=8)
    assert not found.complete
    assert found.tests <= 9  # one to see that the answer stays the same
    assert check(found.model)
    assert len(found.model.graph.node) < 100


def test_what_matters_stays() -> None:
    """Attributes, weights, sizes and operands that the check asks for."""
    weights = tensor("w", 8, 4, 3, 3)
    node = helper.make_node("Conv", ["x", "w", "b"], ["c"], group=2, pads=[1, 1, 1, 1])
    nodes = [node, helper.make_node("Relu", ["c"], ["y"])]
    model = model_of(
        nodes, [value("x", 1, 8, 12, 12)], [value("y", 1, 8, 12, 12)], [weights, tensor("b", 8)]
    )

    def check(candidate: onnx.ModelProto) -> bool:
        (conv, *_) = candidate.graph.node
        found = {item.name: helper.get_attribute_value(item) for item in conv.attribute}
        return conv.op_type == "Conv" and found.get("group") == 2

    (conv,) = (found := actc.reduce(model, check)).model.graph.node
    assert [item.name for item in conv.attribute] == ["group"]
    assert len(conv.input) == 2  # no bias
    (image,) = found.model.graph.input
    assert all(axis.dim_value <= 3 for axis in image.type.tensor_type.shape.dim)

    def kept_weights(candidate: onnx.ModelProto) -> bool:
        arrays = map(numpy_helper.to_array, candidate.graph.initializer)
        return any(array.ndim == 4 and array.min() < -0.5 for array in arrays)

    assert kept_weights(actc.reduce(model, kept_weights).model)


def test_flattened_images_get_smaller() -> None:
    """Weights of a product follow the size of what they are multiplied with."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    constants = [tensor("w", 10, 3 * 14 * 14), tensor("b", 10)]
    model = model_of(nodes, [value("x", "N", 3, 28, 28)], [value("y", "N", 10)], constants)
    found = actc.reduce(model, has_chain("MaxPool", "Flatten", "Gemm")).model
    assert all(np.prod(item.dims) <= 4 for item in found.graph.initializer)


def branching() -> onnx.ModelProto:
    def branch(name: str, *operators: str) -> onnx.GraphProto:
        names = ["a", *(f"{name}{i}" for i in range(len(operators)))]
        nodes = [helper.make_node(op, [names[i]], [names[i + 1]]) for i, op in enumerate(operators)]
        return helper.make_graph(nodes, name, [], [value(names[-1], "N", 4)])

    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node(
            "If", ["c"], ["r"],
            then_branch=branch("then", "Exp", "Tanh", "Neg"), else_branch=branch("else", "Sin"),
        ),
        helper.make_node("Sqrt", ["r"], ["y"]),
    ]  # fmt: skip
    condition = helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
    return model_of(nodes, [value("x", "N", 4), condition], [value("y", "N", 4)])


def test_branches() -> None:
    def anywhere(candidate: onnx.ModelProto) -> bool:
        return "Tanh" in str(candidate)

    model = actc.reduce(branching(), anywhere).model
    assert [node.op_type for node in model.graph.node] == ["Tanh"]


def test_inside_of_branches() -> None:
    """What must be inside an If stays there, alone."""

    def check(candidate: onnx.ModelProto) -> bool:
        nodes = [node for node in candidate.graph.node if node.op_type == "If"]
        return any("Tanh" in str(node) for node in nodes)

    model = actc.reduce(branching(), check).model
    (node,) = model.graph.node
    inner = {item.name: [n.op_type for n in item.g.node] for item in node.attribute}
    assert inner["then_branch"] == ["Tanh"]
    assert len(inner["else_branch"]) <= 1


def test_minimize_leaves_what_is_needed() -> None:
    things, needed, asked = list(range(100)), {3, 57, 58}, []

    def without(start: int, stop: int) -> bool:
        asked.append((start, stop))
        rest = things[:start] + things[stop:]
        if needed <= set(rest):
            things[:] = rest
            return True
        return False

    assert minimize(lambda: len(things), without)
    assert things == [3, 57, 58]
    assert len(asked) < 60
    assert not minimize(lambda: len(things), without)


CHECK = """
import sys
content = open(sys.argv[1], "rb").read()
print("a fault" if b"Erf" in content else "fine")
sys.exit(3 if b"Erf" in content or b"Softmax" in content else 1)
"""


@pytest.fixture
def folder(tmp_path: Path, actc_cli: CommandLine) -> Path:
    nodes = [
        helper.make_node("Erf", ["x"], ["e"]),
        helper.make_node("Neg", ["e"], ["n"]),
        helper.make_node("Softmax", ["n"], ["y"]),
    ]
    onnx.save(
        model_of(nodes, [value("x", 2, 4)], [value("y", 2, 4)]), actc_cli.directory / "m.onnx"
    )
    (actc_cli.directory / "check.py").write_text(CHECK)
    return actc_cli.directory


def test_the_command(folder: Path, actc_cli: CommandLine) -> None:
    check = (
        "--check",
        f"{sys.executable} -S check.py {{model}}",
        "--status",
        "3",
        "--text",
        "fault",
    )
    done = actc_cli("debug", "reduce", "m.onnx", *check, "-o", "s.onnx", "--json")
    assert done.status == 0, done.stderr
    assert [node.op_type for node in onnx.load(folder / "s.onnx").graph.node] == ["Erf"]
    assert done.document["sizes"]["nodes"] == {"before": 3, "after": 1}
    assert done.document["complete"] is True
    assert "1 of 3 nodes" in done.stderr
    assert {path.name for path in folder.iterdir()} == {"m.onnx", "s.onnx", "check.py"}


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("no-such-program {model}", "ACT0235"),
        ("true", "ACT0235"),
        ("", "ACT0235"),
        ("true '{model}", "ACT0235"),
        ("false {model}", "ACT0236"),
        (f"{sys.executable} -c 'import time; time.sleep(20)' {{model}}", "ACT0237"),
    ],
)
def test_wrong_checks(folder: Path, actc_cli: CommandLine, check: str, code: str) -> None:
    options = ("--timeout", "0.3", "-o", "s.onnx", "--json")
    done = actc_cli("debug", "reduce", "m.onnx", "--check", check, *options)
    assert (done.status, done.codes) == (2, [code])
    assert not (folder / "s.onnx").exists()


def test_wrong_models(folder: Path, actc_cli: CommandLine) -> None:
    broken = onnx.load(folder / "m.onnx")
    broken.graph.node[1].input[0] = "nowhere"
    onnx.save(broken, folder / "broken.onnx")
    for name, status, code in (
        ("check.py", 3, "ACT0001"),
        ("none.onnx", 2, "ACT0202"),
        ("broken.onnx", 3, "ACT0238"),
    ):
        done = actc_cli("debug", "reduce", name, "--check", "true {model}", "--json")
        assert (done.status, done.codes) == (status, [code]), name


def test_all_wrong_numbers_at_once(folder: Path) -> None:
    with pytest.raises(ActcError) as caught:
        actc.reduce(folder / "m.onnx", "nothing", timeout=float("nan"), tests=0)
    assert [item.code for item in caught.value.diagnostics] == ["ACT0224", "ACT0224", "ACT0235"]


def test_where_nothing_can_be_written(folder: Path, actc_cli: CommandLine) -> None:
    done = actc_cli(
        "debug", "reduce", "m.onnx", "--check", "true {model}", "-o", "no/s.onnx", "--json"
    )
    assert (done.status, done.codes) == (2, ["ACT0241"])


def test_a_check_that_changes_its_mind() -> None:
    answers = iter([True])
    found = actc.reduce(branching(), lambda model: next(answers, False))
    assert [item.code for item in found.diagnostics] == ["ACT0239"]


def test_usage_of_two_words(actc_cli: CommandLine) -> None:
    assert "see `actc debug reduce --help`" in actc_cli("debug", "reduce").stderr
    assert "see `actc debug --help`" in actc_cli("debug", "shrink").stderr
    assert "did you mean 'actc debug'" in actc_cli("debgu").stderr
